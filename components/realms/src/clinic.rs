//! The realm `clinic`: bodies without an envelope, HTTP's own statuses, every message of every field.

use wharf_kit::database::{self, Row};
use wharf_kit::{Error, FromRequest, Input, Map, Request, Response, Value, answer, json, params};

use crate::store::DISABLED;
use crate::validate::{Field, Rule};

/// The realm's name.
pub const CLINIC: &str = "clinic";

/// The type of users who are doctors.
const DOCTOR: i64 = 0;

/// Text for the user.
pub fn message(status: u16, text: &str) -> Response {
    answer::json(status, &json!({ "message": text }))
}

/// What is wrong with inputs: messages by field.
#[derive(Default)]
pub struct Errors(Map<String, Value>);

impl Errors {
    /// All rules that inputs break.
    pub fn of(input: &Input, fields: &[Field]) -> Self {
        let mut errors = Errors::default();
        for field in fields {
            for rule in field.broken(input) {
                errors.add(field.name, &text(rule, field.label.unwrap_or(field.name)));
            }
        }
        errors
    }

    /// Adds a message of a field.
    pub fn add(&mut self, field: &str, message: &str) {
        match self.0.get_mut(field) {
            Some(Value::Array(messages)) => messages.push(message.into()),
            _ => {
                self.0.insert(field.to_owned(), json!([message]));
            }
        }
    }

    /// Refuses the request if anything is wrong.
    pub fn check(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(self.refusal()) }
    }

    /// The answer that tells them.
    pub fn refusal(self) -> Error {
        let body = json!({ "message": "The given data was invalid.", "errors": self.0 });
        answer::json(422, &body).into()
    }
}

fn text(rule: Rule, label: &str) -> String {
    match rule {
        Rule::Required => format!("{label} 不能为空。"),
        Rule::Plain => format!("{label} 必须是一个字符串。"),
        Rule::Email => format!("{label} 不是一个合法的邮箱。"),
        Rule::Min(least) => format!("{label} 至少为 {least} 个字符。"),
        Rule::Max(most) => format!("{label} 不能大于 {most} 个字符。"),
        Rule::Integer => format!("{label} 必须是整数。"),
        Rule::Between(least, most) => format!("{label} 必须介于 {least} - {most} 之间。"),
        _ => format!("{label} 格式不正确。"),
    }
}

/// What is said of a value that another user has.
pub fn taken(label: &str) -> String {
    format!("{label} 已经存在。")
}

/// The user who calls, as the database knows them at this moment: a row of [`USER`].
///
/// Somebody who is gone or disabled is nobody, whatever their token says.
pub struct User(pub Row);

impl FromRequest<'_> for User {
    fn from_request(request: &Request) -> Result<Self, Error> {
        let id = request.identity()?.user_id;
        let sql = format!(
            "SELECT {USER} FROM users JOIN clinic_users ON clinic_users.user_id = users.id
             WHERE users.realm = $1 AND users.id = $2 AND users.status <> $3"
        );
        let found = database::query_one(&sql, params![CLINIC, id, DISABLED])?;
        found.map(User).ok_or(Error::Unauthenticated)
    }
}

/// The user who calls, who is a doctor.
pub struct Doctor(pub Row);

impl FromRequest<'_> for Doctor {
    fn from_request(request: &Request) -> Result<Self, Error> {
        let User(caller) = User::from_request(request)?;
        if caller.integer("type") == DOCTOR {
            Ok(Doctor(caller))
        } else {
            Err(message(403, "没有访问权限").into())
        }
    }
}

/// The columns of a user that may be seen, for [`user`].
pub const USER: &str =
    "users.id, users.username, users.email, type, sex, age, head_portrait, clinic, mobile,
    fix_phone_number, certificate, certificate_checked, wechat, intro, school, major";

/// A row of [`USER`] as clients of the realm read it: the documented names, then those that later
/// clients read. The original system kept no times.
pub fn user(row: &Row) -> Value {
    json!({
        "id": row.json("id"),
        "created_at": null,
        "updated_at": null,
        "type": row.json("type"),
        "username": row.json("username"),
        "sex": row.json("sex"),
        "age": row.json("age"),
        "head_portrait": row.json("head_portrait"),
        "clinic": row.json("clinic"),
        "mobile": row.json("mobile"),
        "email": row.json("email"),
        "fixphonenumber": row.json("fix_phone_number"),
        "certificat": row.json("certificate"),
        "certificat_checked": row.json("certificate_checked"),
        "wechat": row.json("wechat"),
        "intro": row.json("intro"),
        "school": row.json("school"),
        "major": row.json("major"),
        "fix_phone_number": row.json("fix_phone_number"),
        "certificate": row.json("certificate"),
        "certificate_checked": row.json("certificate_checked"),
    })
}
