//! The realm `console`: the `{status, data, message, cmd}` envelope, always with HTTP's status 200, also
//! for callers without a token; answers that pages of any origin may read; sign-ins that last as long
//! as they are used.

use wharf_kit::answer::header;
use wharf_kit::bindings::wharf::plugin::http::{Caller as Sender, Identity, Rejection};
use wharf_kit::{
    Endpoint, Error, Handler, Request, Response, Value, answer, clock, database, json, params,
    settings,
};

use crate::store::DISABLED;
use crate::validate::Rule;

/// The realm's name.
pub const CONSOLE: &str = "console";

/// The level of whoever may do everything.
pub const SUPER_ADMIN: i64 = 1;

/// The level of whoever may look at users.
pub const ADMIN: i64 = 2;

/// The level of ordinary users.
pub const USER: i64 = 3;

/// What callers without the right to something are told, and those without a token.
const NOT_ALLOWED: &str = "权限不足，操作失败";

/// Seconds that a sign-in lasts without being used, unless the operator says otherwise.
const IDLE_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The envelope of what went well.
pub fn done(request: &Request, data: Value, message: &str) -> Response {
    done_as(request, data, message, command(request))
}

/// As [`done`], with a `cmd` that is not the path.
pub fn done_as(request: &Request, data: Value, message: &str, command: &str) -> Response {
    envelope(request, true, data, message, command)
}

/// The envelope of what did not.
pub fn refused(request: &Request, message: &str) -> Error {
    envelope(request, false, Value::Null, message, command(request)).into()
}

/// A GET route of the realm's, whose failures are told in its envelope, as those of all below.
pub const fn get(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint::get(path, handler).tag(CONSOLE).failing(failure)
}

/// A POST route of the realm's.
pub const fn post(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint::post(path, handler).tag(CONSOLE).failing(failure)
}

/// A PUT route of the realm's.
pub const fn put(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint::put(path, handler).tag(CONSOLE).failing(failure)
}

/// A DELETE route of the realm's.
pub const fn delete(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint::delete(path, handler).tag(CONSOLE).failing(failure)
}

/// What a client gets that cannot be served: HTTP's status and headers, in an envelope that says so.
fn failure(request: &Request, error: Error) -> Response {
    let message = match &error {
        Error::Busy => "服务繁忙，请稍后再试",
        Error::Internal(_) => "服务异常，请稍后再试",
        Error::Answer(_) | Error::Unauthenticated | Error::TooOften => return error.answer(),
    };
    let plain = error.answer();
    let mut told = envelope(request, false, Value::Null, message, command(request));
    told.status = plain.status;
    told.headers.extend(plain.headers.into_iter().filter(|(name, _)| name == "retry-after"));
    told
}

/// What is said of an address that is none.
pub fn not_found(request: &Request) -> Response {
    let mut response = envelope(request, false, Value::Null, "请求地址不存在", command(request));
    response.status = 404;
    response
}

/// What a request asked for, as its answer repeats it.
fn command(request: &Request) -> &str {
    request.raw_path().trim_start_matches('/')
}

fn envelope(
    request: &Request,
    status: bool,
    data: Value,
    message: &str,
    command: &str,
) -> Response {
    let data = if data.is_null() { json!([]) } else { data };
    let body = json!({ "status": status, "data": data, "message": message, "cmd": command });
    let mut response = answer::json(200, &body);
    response.headers = vec![header("content-type", "application/json; charset=utf-8")];
    open_to_all_origins(request, &mut response);
    response
}

/// Lets pages of any origin read an answer (the Fetch standard, section 3.3).
fn open_to_all_origins(request: &Request, response: &mut Response) {
    match request.header("origin") {
        None => response.headers.push(header("access-control-allow-origin", "*")),
        Some(origin) => response.headers.extend([
            header("access-control-allow-origin", &origin),
            header("access-control-allow-credentials", "true"),
            header("vary", "origin"),
        ]),
    }
}

/// The route by which a browser asks whether a page may call a path: any may.
pub const fn open(path: &'static str) -> Endpoint {
    Endpoint::options(path, preflight).tag(CONSOLE).summary("CORS.")
}

fn preflight(request: &Request) -> Result<Response, Error> {
    let asked = |name: &str, usual: &str| request.header(name).unwrap_or_else(|| usual.to_owned());
    let methods = asked("access-control-request-method", "GET,POST,PATCH,PUT,HEAD,OPTIONS,DELETE");
    let headers = asked("access-control-request-headers", "*,Authorization");
    let mut response = done(request, Value::Null, "success");
    response.headers.extend([
        header("access-control-allow-methods", &methods),
        header("access-control-allow-headers", &headers),
        header("access-control-max-age", "3600"),
    ]);
    Ok(response)
}

/// A rule, and what is said of an input that breaks it.
pub type Told = (Rule, &'static str);

/// What nicknames look like.
pub const NICKNAME: &[Told] = &[
    (Rule::Length(2, 16), "nickname长度不符合要求 2,16"),
    (Rule::ChineseWord, "nickname只能是汉字、字母、数字和下划线_及破折号-"),
];

/// What names look like.
pub const NAME: &[Told] = &[
    (Rule::Length(2, 16), "name长度不符合要求 2,16"),
    (Rule::ChineseWord, "name只能是汉字、字母、数字和下划线_及破折号-"),
];

/// What phone numbers look like.
pub const PHONE: &[Told] =
    &[(Rule::Phone, "手机号格式不正确"), (Rule::RealPhone, "禁止使用虚拟电话号")];

/// What passwords look like.
pub const PASSWORD: &[Told] = &[
    (Rule::Word, "密码只能由字母、数字、下划线 _ 、破折号 - 组成"),
    (Rule::Length(6, 16), "密码位数只能为 6~16 位"),
];

/// What positions look like. The message is the original's, its numbers included.
pub const POSITION: &[Told] = &[
    (Rule::Length(2, 20), "请输入2~16字的职务名称"),
    (Rule::ChineseWord, "position只能是汉字、字母、数字和下划线_及破折号-"),
];

/// What e-mail addresses look like.
pub const EMAIL: &[Told] = &[
    (Rule::Text, "请输入正确的电子邮箱"),
    (Rule::Max(254), "电子邮箱最大可输入254字"),
    (Rule::Email, "请输入正确的电子邮箱"),
];

/// An input with its rules, in the order in which they are tried.
pub struct Field {
    name: &'static str,
    missing: Option<&'static str>,
    rules: &'static [Told],
}

/// An input that must be sent, with what is said when it is not.
pub const fn required(name: &'static str, missing: &'static str, rules: &'static [Told]) -> Field {
    Field { name, missing: Some(missing), rules }
}

/// An input that may be missing.
pub const fn optional(name: &'static str, rules: &'static [Told]) -> Field {
    Field { name, missing: None, rules }
}

/// Refuses input that breaks a rule, with the first message.
pub fn check(request: &Request, fields: &[Field]) -> Result<(), Error> {
    let input = request.input();
    let broken = |field: &Field| {
        let missing = field.missing.filter(|_| !Rule::Required.holds(input, field.name));
        let rules = || field.rules.iter().find(|(rule, _)| !rule.holds(input, field.name));
        missing.or_else(|| rules().map(|(_, message)| *message))
    };
    match fields.iter().find_map(broken) {
        None => Ok(()),
        Some(message) => Err(refused(request, message)),
    }
}

/// Refuses a token that is none of this realm's, also where none is needed.
pub fn token(request: &Request) -> Result<Option<&Identity>, Error> {
    let reason = match request.caller() {
        Sender::Anonymous => return Ok(None),
        Sender::Identity(identity) if identity.realm == CONSOLE => return Ok(Some(identity)),
        Sender::Identity(_) => "非法登录信息",
        Sender::Rejected(Rejection::Malformed) => "请求参数不可解析，访问异常！",
        Sender::Rejected(Rejection::Expired | Rejection::Revoked) => "登录凭证过期，请重新登录",
    };
    Err(refused(request, reason))
}

/// Looks the caller up and keeps the sign-in alive; refuses callers whose level is beyond `most`.
pub fn admit(request: &Request, most: i64) -> Result<(), Error> {
    let identity = token(request)?.ok_or_else(|| refused(request, NOT_ALLOWED))?;
    let user = database::query_one(
        "SELECT users.status, console_users.level, console_sessions.expires_at
         FROM users JOIN console_users ON console_users.user_id = users.id
         LEFT JOIN console_sessions ON console_sessions.user_id = users.id AND console_sessions.token_id = $3
         WHERE users.realm = $1 AND users.id = $2",
        params![CONSOLE, identity.user_id, &identity.token_id],
    )?;
    let user = user.ok_or_else(|| refused(request, "无效凭证信息，请重新登录"))?;
    let (now, expires) = (clock::now(), user.integer("expires_at"));
    if expires <= now {
        return Err(refused(request, "登录凭证过期，请重新登录"));
    }
    if user.integer("status") == DISABLED {
        return Err(refused(request, "账户正在审核中，请等待审核完成"));
    }
    if user.integer("level") > most {
        return Err(refused(request, NOT_ALLOWED));
    }
    prolong(&identity.token_id, expires, now)
}

/// Begins a sign-in with this token, and forgets those that are over. Says whether the user is still there.
pub fn sign_in(user: i64, token: &str) -> Result<bool, Error> {
    let now = clock::now();
    database::execute("DELETE FROM console_sessions WHERE expires_at <= $1", params![now])?;
    let begun = database::execute(
        "INSERT INTO console_sessions (token_id, user_id, expires_at) VALUES ($1, $2, $3)",
        params![token, user, now.saturating_add(idle_seconds())],
    );
    match begun {
        Err(database::Error::ForeignKey(_)) => Ok(false),
        begun => Ok(begun.map(|_| true)?),
    }
}

/// Moves the end of a sign-in away. Not with every request: a write for each would cost more than it is worth.
fn prolong(token: &str, expires: i64, now: i64) -> Result<(), Error> {
    let idle = idle_seconds();
    let until = now.saturating_add(idle);
    if until - expires >= idle / 100 {
        let sql = "UPDATE console_sessions SET expires_at = $1 WHERE token_id = $2";
        match database::execute(sql, params![until, token]) {
            // A database that takes no writes for the moment can still be read: a later request prolongs.
            Err(error) if error.is_passing() => {}
            done => drop(done?),
        }
    }
    Ok(())
}

fn idle_seconds() -> i64 {
    let setting = settings::get("console.idle_seconds");
    setting.and_then(|seconds| seconds.parse().ok()).unwrap_or(IDLE_SECONDS)
}
