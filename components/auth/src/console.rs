//! The realm `console`: nicknames, captchas, portraits, and an admin who lets new users in.

use wharf_kit::database::{self, Transaction};
use wharf_kit::tokens::Subject;
use wharf_kit::{
    Endpoint, Error, File, Parameter, Request, Response, Value, blobs, chance, clock, file, json,
    params, passwords, required, throttle, tokens,
};
use wharf_realms::console::{self, CONSOLE, Field, check, done, refused};
use wharf_realms::media::{self, Kind, Refusal};
use wharf_realms::store::DISABLED;
use wharf_realms::validate::Rule::{Alphanumeric, Length, Max, Same};
use wharf_realms::{account, captcha, day};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    console::put("/signUp", sign_up)
        .body_limit(sign_up_limit)
        .summary("Signs a user up, who waits for an admin's approval.")
        .parameters(SIGN_UP_INPUTS),
    console::post("/signUp", sign_up)
        .body_limit(sign_up_limit)
        .summary("The same, as the project's own client sends it.")
        .parameters(SIGN_UP_INPUTS),
    console::open("/signUp"),
    console::post("/login", login).summary("Signs a user in.").parameters(&[
        required("nickname", "The nickname."),
        required("passwd", "The password."),
        required("captcha_code", "What a captcha's picture shows."),
        required("captcha_id", "The captcha's id."),
    ]),
    console::open("/login"),
];

const SIGN_UP_INPUTS: &[Parameter] = &[
    file("avatar", "A portrait: PNG, JPEG or BMP of at most 30 KiB."),
    required("nickname", "2 to 16 Chinese characters, letters, digits, dashes and underscores."),
    required("phone", "A mobile number."),
    required("passwd", "6 to 16 letters, digits, dashes and underscores."),
    required("repasswd", "The same again."),
    required("name", "2 to 16 Chinese characters, letters, digits, dashes and underscores."),
    required("position", "2 to 20 Chinese characters, letters, digits, dashes and underscores."),
    required("email", "An e-mail address."),
];

/// Bytes of a portrait.
const LARGEST_AVATAR: usize = 30_720;

/// Bytes of a form, so that whoever sends a photograph as it was taken is told in words that it is too large.
fn sign_up_limit() -> u32 {
    10 * 1024 * 1024
}

/// What cannot be stored is told so.
const NOT_SIGNED_UP: &str = "注册失败，请稍后再试";

const SIGN_UP_NAME: &[Field] =
    &[console::required("nickname", "nickname不能为空", console::NICKNAME)];

const SIGN_UP: &[Field] = &[
    console::required("phone", "phone不能为空", console::PHONE),
    console::required(
        "passwd",
        "请填写密码",
        &[(Same("repasswd"), "两次密码输入不一致，请重新输入")],
    ),
    console::optional("passwd", console::PASSWORD),
    console::required("name", "name不能为空", console::NAME),
    console::required("position", "请输入职务名称", console::POSITION),
    console::required("email", "请输入电子邮箱", console::EMAIL),
];

fn sign_up(request: &Request) -> Result<Response, Error> {
    let input = request.input();
    let (portrait, kind) = avatar(request)?;
    check(request, SIGN_UP_NAME)?;
    let nickname = input.text("nickname");
    if is_taken(&nickname)? {
        return Err(refused(request, "该用户名已被使用"));
    }
    check(request, SIGN_UP)?;
    console::token(request)?;
    throttle::attempt(None)?;

    let password = passwords::hash(&input.text("passwd"))?;
    let now = clock::now();
    let name = chance::draw(b"0123456789abcdef", 32);
    let key = format!("uploads/{}/{name}.{}", day(CONSOLE, now), kind.extension());
    request.keep(portrait, &key).map_err(|error| match error {
        blobs::Error::Unavailable => Error::Busy,
        _ => refused(request, "文件上传失败：请稍后再试"),
    })?;
    let inserted = insert(request, &nickname, &password, &key, now);
    if let Err(error) = &inserted {
        media::discard(&key);
        if let database::Error::UniqueViolation(_) = error {
            let taken = is_taken(&nickname)?;
            return Err(refused(request, if taken { "该用户名已被使用" } else { NOT_SIGNED_UP }));
        }
    }
    inserted.map_err(|error| match error {
        passing if passing.is_passing() => Error::Busy,
        _ => refused(request, NOT_SIGNED_UP),
    })?;
    Ok(done(request, Value::Null, "注册成功"))
}

/// The portrait, whatever its sender says it is.
fn avatar(request: &Request) -> Result<(&File, Kind), Error> {
    let input = request.input();
    let Some(file) = input.file("avatar") else {
        let sent = !input.value("avatar").is_null();
        return Err(refused(request, if sent { "avatar不是有效的上传文件" } else { "请上传头像" }));
    };
    let extension = file.name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let extensions = ["png", "jpg", "jpeg", "pjpeg", "bmp"];
    if !extension.is_some_and(|extension| extensions.contains(&extension.as_str())) {
        return Err(refused(request, "上传文件后缀不允许"));
    }
    if file.content.len() > LARGEST_AVATAR {
        return Err(refused(request, "上传文件大小不符！"));
    }
    match Kind::of(file) {
        Ok(kind @ (Kind::Jpeg | Kind::Png | Kind::Bmp)) => Ok((file, kind)),
        Ok(Kind::Pdf) | Err(Refusal::Unknown) => Err(refused(request, "上传文件后缀不允许")),
        Err(Refusal::TooLarge) => Err(refused(request, "上传文件大小不符！")),
        Err(Refusal::Empty | Refusal::Name | Refusal::Broken) => {
            Err(refused(request, "avatar不是有效的上传文件"))
        }
    }
}

fn is_taken(nickname: &str) -> Result<bool, Error> {
    Ok(account::find(CONSOLE, "username", nickname)?.is_some())
}

/// Makes the user, who may sign in when an admin has approved.
fn insert(
    request: &Request,
    nickname: &str,
    password: &str,
    avatar: &str,
    now: i64,
) -> Result<(), database::Error> {
    let input = request.input();
    let transaction = Transaction::begin()?;
    let made = transaction.query_one(
        "INSERT INTO users (realm, name, username, email, phone, avatar, status, password, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING id",
        params![
            CONSOLE, input.text("name"), nickname, input.text("email"), input.text("phone"),
            avatar, DISABLED, password, now
        ],
    )?;
    transaction.execute(
        "INSERT INTO console_users (user_id, position, level) VALUES ($1, $2, $3)",
        params![made.map_or(0, |row| row.integer("id")), input.text("position"), console::USER],
    )?;
    transaction.commit()
}

/// A name or password that is empty is simply a wrong one.
const LOGIN: &[Field] = &[
    console::optional("nickname", console::NICKNAME),
    console::optional("passwd", console::PASSWORD),
    console::required(
        "captcha_code",
        "请填写验证码",
        &[(Length(5, 5), "请输入正确的验证码"), (Alphanumeric, "验证码只能为字母和数字")],
    ),
    console::required(
        "captcha_id",
        "验证码参数缺失",
        &[(Max(32), "请填写正确的验证码参数"), (Alphanumeric, "请填写正确的验证码参数")],
    ),
];

fn login(request: &Request) -> Result<Response, Error> {
    let input = request.input();
    check(request, LOGIN)?;
    console::token(request)?;
    account::attempt(CONSOLE, &input.text("nickname"))?;
    let solved = captcha::take(CONSOLE, &input.text("captcha_id"))
        .is_some_and(|code| captcha::matches(&code, &input.text("captcha_code")));
    if !solved {
        return Err(refused(request, "请输入正确的验证码"));
    }
    let found = database::query_one(
        "SELECT users.id, users.username, users.password, users.status, console_users.level
         FROM users JOIN console_users ON console_users.user_id = users.id
         WHERE users.realm = $1 AND users.username = $2",
        params![CONSOLE, input.text("nickname")],
    )?;
    let verified = account::verify(found.as_ref(), &input.text("passwd"))?;
    let wrong = || refused(request, "用户名或密码输入错误，请稍后再试");
    let (Some(user), Some(verified)) = (found, verified) else {
        return Err(wrong());
    };
    if user.integer("status") == DISABLED {
        return Err(refused(request, "用户正在等待审核中"));
    }
    let token = tokens::issue(&Subject {
        user_id: verified.id,
        realm: CONSOLE.to_owned(),
        name: user.text("username").to_owned(),
        roles: vec![format!("level-{}", user.integer("level"))],
        claims: Vec::new(),
    })?;
    // Somebody may have changed the password or removed the user meanwhile.
    if !verified.still_holds()? || !console::sign_in(verified.id, &token.id)? {
        return Err(wrong());
    }
    let data = json!({
        "id": verified.id,
        "account_status": user.integer("status"),
        "nickname": user.text("username"),
        "user_level": user.integer("level"),
        "token": token.text,
    });
    Ok(done(request, data, "登录成功"))
}
