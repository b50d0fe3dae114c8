//! The realm `store`: usernames, captchas, the `{data, code, msg}` envelope.

use wharf_kit::database::Row;
use wharf_kit::prelude::*;
use wharf_kit::tokens::{self, Subject, Token};
use wharf_kit::{Endpoint, Input, Parameter, optional, passwords, throttle};
use wharf_realms::store::{
    self, Caller, Code, DISABLED, Done, STORE, USER, User, check, date, envelope, envelope_with,
    failed, written,
};
use wharf_realms::validate::Rule::{AlphaDash, Alphanumeric, Confirmed, Min, Required, Same, Text};
use wharf_realms::validate::{Field, field};
use wharf_realms::{account, captcha};

pub(super) const ENDPOINTS: &[Endpoint] =
    endpoints![response_code, unauthorized, logout, refresh, me];

const ANY_CODE: &[Parameter] = &[optional("10001", "Any of the codes; ignored.")];

/// What the codes of the envelope mean.
#[get("/api/response_code", unlimited, tag = "general", parameters = ANY_CODE)]
fn response_code() -> Done<Value> {
    Done(json!({
        "10001": "参数有误",
        "10003": "数据有误",
        "20001": "操作成功",
        "40001": "禁止访问",
        "40003": "权限不足",
        "40004": "查询为空",
        "40005": "请求过期",
        "50001": "操作失败",
    }))
}

/// Where the original system sent browsers without a token.
#[get("/api/unauthorized", tag = "general")]
fn unauthorized() -> Response {
    envelope(Value::Null, Code::Expired)
}

const REGISTER: &[Field] = &[
    field("name", &[Required]),
    field("username", &[Required, Min(6), Alphanumeric]),
    field("password", &[Required, AlphaDash, Min(6), Confirmed]),
    field("password_confirmation", &[Required, Same("password")]),
    field("invitation_code", &[Required, Text]),
    field("captcha_key", &[Required, Text]),
    field("captcha_code", &[Required, Text]),
];

pub(super) fn register(request: &Request) -> Result<Response> {
    let input = request.input();
    check(input, REGISTER)?;
    throttle::attempt(None)?;
    solve_captcha(input)?;
    let username = input.text("username");
    if is_taken(&username)? {
        return Err(taken(&username));
    }
    let password = passwords::hash(&input.text("password"))?;
    sign_up(input, &username, &password)?;
    Done(input.echo()).into_response()
}

/// Takes the captcha, so that neither a right nor a wrong answer can be tried twice.
fn solve_captcha(input: &Input) -> Result<()> {
    let typed = input.text("captcha_code");
    let refuse = |message| Err(envelope_with(json!(typed), Code::Wrong, message).into());
    match captcha::take(STORE, &input.text("captcha_key")) {
        None => refuse("验证码无效"),
        Some(code) if !captcha::matches(&code, &typed) => refuse("验证码错误"),
        Some(_) => Ok(()),
    }
}

fn is_taken(username: &str) -> Result<bool> {
    Ok(account::find(STORE, "username", username)?.is_some())
}

fn taken(username: &str) -> Error {
    envelope_with(json!(username), Code::Forbidden, "用户已存在").into()
}

/// Makes the user with an empty profile, and counts the use of the invitation.
fn sign_up(input: &Input, username: &str, password: &str) -> Result<()> {
    let column = |name| store::column(input.value(name), || Value::Null);
    let (name, invitation) = (column("name")?, column("invitation_code")?);
    let (email, phone, avatar) = (column("email")?, column("phone")?, column("avatar")?);
    let now = clock::now();

    let transaction = Transaction::begin()?;
    use_invitation(&transaction, &input.text("invitation_code"))?;
    let made = transaction.query_row_as::<i64>(
        "INSERT INTO users (realm, name, username, email, phone, invitation_code, status, avatar, password, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $9) RETURNING id",
        params![STORE, name, username, email, phone, invitation, avatar, password, now],
    );
    // Somebody may have taken the name since it was looked up; otherwise it is the e-mail address or the phone.
    if matches!(made, Err(database::Error::UniqueViolation(_))) {
        drop(transaction);
        return Err(if is_taken(username)? { taken(username) } else { failed(Value::Null) });
    }
    let user = written(made, || Value::Null)?;
    let profile = transaction.execute(
        "INSERT INTO user_profiles (user_id, sex, created_at, updated_at) VALUES ($1, 1, $2, $2)",
        params![user, now],
    );
    written(profile, || Value::Null)?;
    written(transaction.commit(), || Value::Null)
}

/// Counts the use of an invitation. Any code will do, unless the operator wants one that is known and
/// not used up.
fn use_invitation(transaction: &Transaction, code: &str) -> Result<()> {
    let required = settings::get("store.invitations").as_deref() == Some("required");
    let sql = "UPDATE invitation_codes SET usage_times = usage_times + 1
         WHERE code = $1 AND (usage_limit IS NULL OR usage_times < usage_limit)";
    let used = written(transaction.execute(sql, params![code]), || Value::Null)? > 0;
    if required && !used {
        return Err(envelope_with(json!(code), Code::Wrong, "邀请码无效").into());
    }
    Ok(())
}

const LOGIN: &[Field] =
    &[field("username", &[Required, Text]), field("password", &[Required, AlphaDash, Min(6)])];

pub(super) fn login(request: &Request) -> Result<Response> {
    let input = request.input();
    check(input, LOGIN)?;
    let username = input.text("username");
    account::attempt(STORE, &username)?;
    let found = find_by_login(&username)?;
    let verified = account::verify(found.as_ref(), &input.text("password"))?;
    let user = found.filter(|user| user.integer("status") != DISABLED);
    if let (Some(user), Some(verified)) = (user, verified) {
        let welcome = welcome(&user)?;
        if verified.still_holds()? {
            return Ok(welcome);
        }
    }
    Ok(envelope_with(input.echo(), Code::Wrong, "用户名或密码有误"))
}

/// Finds a user by username, else by e-mail address, else by phone number: in one statement, which takes
/// as long for somebody who is not there.
fn find_by_login(login: &str) -> Result<Option<Row>> {
    let sql = "SELECT id, username, password, status FROM users
         WHERE realm = $1 AND (username = $2 OR email = $2 OR phone = $2)
         ORDER BY CASE WHEN username = $2 THEN 0 WHEN email = $2 THEN 1 ELSE 2 END LIMIT 1";
    Ok(database::query_one(sql, params![STORE, login])?)
}

fn welcome(user: &Row) -> Result<Response> {
    let id = user.integer("id");
    let token = tokens::issue(&Subject {
        user_id: id,
        realm: STORE.to_owned(),
        name: user.text("username").to_owned(),
        roles: role_names(id)?,
        claims: Vec::new(),
    })?;
    bearer(&token).into_response()
}

/// The token, with its lifetime in minutes.
fn bearer(token: &Token) -> Done<Value> {
    Done(
        json!({ "access_token": token.text, "token_type": "Bearer", "expires_in": token.expires_in / 60 }),
    )
}

/// Ends the token that it is called with.
#[delete("/api/auth/logout", signed_in = STORE, tag = "auth")]
fn logout(_: Caller) -> Result<Response> {
    tokens::revoke()?;
    Ok(envelope_with(Value::Null, Code::Done, "注销成功"))
}

/// Exchanges the token that it is called with for a new one.
#[put("/api/auth/refresh", exchanges = STORE, tag = "auth")]
fn refresh(Caller { id, .. }: Caller) -> Result<Done<Value>> {
    let sql = "SELECT username FROM users WHERE id = $1";
    let name: Option<String> = database::query_one_as(sql, params![id])?;
    let name = name.ok_or(Error::Unauthenticated)?;
    Ok(bearer(&tokens::refresh(&name, &role_names(id)?)?))
}

/// The caller, with roles and permissions.
#[get("/api/auth/me", signed_in = STORE, tag = "auth")]
fn me(Caller { id, .. }: Caller) -> Result<Done<Value>> {
    let sql = format!("SELECT {USER} FROM users WHERE id = $1");
    let user: Option<User> = database::query_one_as(&sql, params![id])?;
    let roles = roles(id)?.iter().map(|role| role_json(id, role)).collect::<Result<Vec<_>>>()?;
    let mut me = json!(user.ok_or(Error::Unauthenticated)?);
    me["roles"] = json!(roles);
    Ok(Done(me))
}

fn role_names(user: i64) -> Result<Vec<String>> {
    Ok(roles(user)?.iter().map(|role| role.text("name").to_owned()).collect())
}

fn roles(user: i64) -> Result<Vec<Row>> {
    Ok(database::query(
        "SELECT roles.id, roles.name, roles.guard_name, roles.created_at, roles.updated_at
         FROM roles JOIN user_roles ON user_roles.role_id = roles.id
         WHERE user_roles.user_id = $1 ORDER BY roles.id",
        params![user],
    )?)
}

fn role_json(user: i64, role: &Row) -> Result<Value> {
    let id = role.integer("id");
    let permissions = database::query(
        "SELECT permissions.id, permissions.name, permissions.guard_name, permissions.created_at, permissions.updated_at
         FROM permissions JOIN role_permissions ON role_permissions.permission_id = permissions.id
         WHERE role_permissions.role_id = $1 ORDER BY permissions.id",
        params![id],
    )?;
    let permission = |permission: &Row| {
        let pivot = json!({ "role_id": id, "permission_id": permission.integer("id") });
        named(permission, json!({ "pivot": pivot }))
    };
    let pivot = json!({ "model_id": user, "role_id": id, "model_type": "App\\Models\\User" });
    let permissions: Vec<Value> = permissions.iter().map(permission).collect();
    Ok(named(role, json!({ "pivot": pivot, "permissions": permissions })))
}

/// What roles and permissions have in common, then what is particular.
fn named(row: &Row, rest: Value) -> Value {
    let mut object = json!({
        "id": row.json("id"),
        "name": row.json("name"),
        "guard_name": row.json("guard_name"),
        "created_at": date(row.integer("created_at")),
        "updated_at": date(row.integer("updated_at")),
    });
    if let (Value::Object(object), Value::Object(rest)) = (&mut object, rest) {
        object.extend(rest);
    }
    object
}
