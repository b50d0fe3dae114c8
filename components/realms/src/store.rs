//! The realm `store`: its envelope, its codes, its messages. HTTP's status is 200 for all of these.

use serde::{Deserialize, Serialize, Serializer};
use wharf_kit::{
    Error, FromRequest, Input, IntoResponse, Json, Request, Response, Value, answer, database,
    json, params, text,
};

use crate::validate::{Field, Rule};

/// The realm's name.
pub const STORE: &str = "store";

/// Characters that a column holds, as the original system's do: with more, the database refused to write.
const LONGEST: usize = 255;

/// What a code of the envelope means. The texts are sent as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// An input breaks a rule.
    Invalid,
    /// An input is well-formed but wrong: credentials, captchas.
    Wrong,
    /// It is done.
    Done,
    /// It is forbidden.
    Forbidden,
    /// The caller may not do this.
    NotAllowed,
    /// The caller's token is over, or there is none.
    Expired,
    /// The database refused to write.
    Failed,
}

impl Code {
    fn number(self) -> i64 {
        match self {
            Code::Invalid => 10001,
            Code::Wrong => 10003,
            Code::Done => 20001,
            Code::Forbidden => 40001,
            Code::NotAllowed => 40003,
            Code::Expired => 40005,
            Code::Failed => 50001,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Code::Invalid => "参数有误",
            Code::Wrong => "数据有误",
            Code::Done => "操作成功",
            Code::Forbidden => "禁止访问",
            Code::NotAllowed => "权限不足",
            Code::Expired => "授权过期",
            Code::Failed => "操作失败",
        }
    }
}

/// The envelope with the code's usual message.
pub fn envelope(data: Value, code: Code) -> Response {
    envelope_with(data, code, code.message())
}

/// The envelope with a message of its own.
pub fn envelope_with(data: Value, code: Code, message: &str) -> Response {
    answer::json(200, &json!({ "data": data, "code": code.number(), "msg": message }))
}

/// Done: the envelope of what a handler answers.
#[derive(Clone, Debug)]
pub struct Done<T>(pub T);

impl<T: Serialize> IntoResponse for Done<T> {
    fn into_response(self) -> Result<Response, Error> {
        #[derive(Serialize)]
        struct Envelope<T> {
            data: T,
            code: i64,
            msg: &'static str,
        }
        let (code, msg) = (Code::Done.number(), Code::Done.message());
        Json(Envelope { data: self.0, code, msg }).into_response()
    }
}

/// The answer to whoever may not do this.
pub fn not_allowed() -> Error {
    envelope(Value::Null, Code::NotAllowed).into()
}

/// The answer to a write that the database refuses.
pub fn failed(sent: Value) -> Error {
    envelope(sent, Code::Failed).into()
}

/// Refuses input that breaks a rule, with the first message and what was sent.
pub fn check(input: &Input, fields: &[Field]) -> Result<(), Error> {
    let first = fields.iter().find_map(|field| Some((field, field.broken(input).next()?)));
    match first {
        None => Ok(()),
        Some((field, rule)) => {
            let label = field.label.map_or_else(|| words(field.name), str::to_owned);
            let message = message(rule, &label);
            Err(envelope_with(input.echo(), Code::Invalid, &message).into())
        }
    }
}

/// Turns a write that the database refuses into its answer. Where a client should try again, it is told so.
pub fn written<T>(
    outcome: Result<T, database::Error>,
    sent: impl FnOnce() -> Value,
) -> Result<T, Error> {
    outcome.map_err(|error| match error {
        database::Error::UniqueViolation(_)
        | database::Error::ForeignKey(_)
        | database::Error::InvalidValue(_) => failed(sent()),
        passing if passing.is_passing() => Error::Busy,
        other => {
            wharf_kit::error!("a write failed: {other:?}");
            failed(sent())
        }
    })
}

/// The status of users who may neither sign in nor use the tokens that they hold.
pub const DISABLED: i64 = -1;

/// The columns of a [`User`].
pub const USER: &str = "id, name, username, email, email_verified_at, phone, invitation_code, status, avatar, created_at, updated_at";

/// What may be seen of a user, as clients of the realm read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns say what they are")]
pub struct User {
    pub id: i64,
    pub name: Option<String>,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified_at: Option<Date>,
    pub phone: Option<String>,
    pub invitation_code: Option<String>,
    pub status: i64,
    pub avatar: Option<String>,
    pub created_at: Date,
    pub updated_at: Date,
}

/// The user who calls, as the database knows them at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The user's id.
    pub id: i64,
    /// Whether one of the user's roles says admin.
    pub is_admin: bool,
}

/// Somebody who is gone or disabled is nobody, and somebody who was demoted is no admin any more, whatever their token
/// says.
impl FromRequest<'_> for Caller {
    fn from_request(request: &Request) -> Result<Self, Error> {
        let id = request.identity()?.user_id;
        let roles: Vec<Option<String>> = database::query_as(
            "SELECT roles.name FROM users
             LEFT JOIN user_roles ON user_roles.user_id = users.id
             LEFT JOIN roles ON roles.id = user_roles.role_id
             WHERE users.realm = $1 AND users.id = $2 AND users.status <> $3",
            params![STORE, id, DISABLED],
        )?;
        if roles.is_empty() {
            return Err(Error::Unauthenticated);
        }
        Ok(Caller { id, is_admin: roles.iter().flatten().any(|name| name.contains("admin")) })
    }
}

/// A column's parameter from an input: NULL for null; an array, an object and long text fit no column.
pub fn column(value: &Value, sent: impl FnOnce() -> Value) -> Result<Option<String>, Error> {
    if value.is_null() {
        return Ok(None);
    }
    let fits = |text: &String| text.chars().count() <= LONGEST;
    text(value).filter(fits).map(Some).ok_or_else(|| failed(sent()))
}

/// A time as clients of the realm read it: `YYYY-MM-DD HH:MM:SS`.
pub fn date(seconds: i64) -> String {
    crate::date(STORE, seconds)
}

/// A column of unix seconds, which clients of the realm read as [`date`].
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Date(pub i64);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&date(self.0))
    }
}

fn message(rule: Rule, label: &str) -> String {
    match rule {
        Rule::Required => format!("The {label} field is required."),
        Rule::Text => format!("The {label} must be a string."),
        Rule::Min(least) => format!("The {label} must be at least {least} characters."),
        Rule::AlphaDash => {
            format!("The {label} may only contain letters, numbers, dashes and underscores.")
        }
        Rule::Confirmed => format!("The {label} confirmation does not match."),
        Rule::Same(other) => format!("The {label} and {} must match.", words(other)),
        _ => format!("The {label} format is invalid."),
    }
}

/// `old_password` and `oldPassword` → `old password`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(' ');
        }
        if c != '_' {
            words.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(words("password_confirmation"), "password confirmation");
        assert_eq!(words("newPassword_confirmation"), "new password confirmation");
    }
}
