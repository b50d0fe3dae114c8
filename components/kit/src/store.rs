//! The realm `store`: its envelope, its codes, its dates. HTTP's status is 200 for all of these.

use serde_json::{Value, json};
use time::{Date, Month, OffsetDateTime, UtcOffset};

use crate::bindings::wharf::plugin::log::{self, Level};
use crate::database::{self, Row};
use crate::validate::{Field, first_failure};
use crate::{Error, Input, Request, Response, answer, params, settings, text};

/// The realm's name.
pub const STORE: &str = "store";

/// The zone that dates are printed in, unless the setting `utc_offset` says otherwise: Asia/Shanghai.
const UTC_OFFSET: &str = "+08:00";

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

/// Done.
pub fn done(data: Value) -> Response {
    envelope(data, Code::Done)
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
    match first_failure(input, fields) {
        None => Ok(()),
        Some(message) => Err(envelope_with(input.echo(), Code::Invalid, &message).into()),
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
        database::Error::Busy | database::Error::Timeout => Error::Busy,
        other => {
            log::write(Level::Error, &format!("a write failed: {other:?}"));
            failed(sent())
        }
    })
}

/// The status of users who may neither sign in nor use the tokens that they hold.
pub const DISABLED: i64 = -1;

/// The columns of a user that may be seen, for [`user`].
pub const USER: &str = "id, name, username, email, email_verified_at, phone, invitation_code, status, avatar, created_at, updated_at";

/// A row of [`USER`] as clients of the realm read it.
pub fn user(row: &Row) -> Value {
    json!({
        "id": row.json("id"),
        "name": row.json("name"),
        "username": row.json("username"),
        "email": row.json("email"),
        "email_verified_at": optional_date(row.optional_integer("email_verified_at")),
        "phone": row.json("phone"),
        "invitation_code": row.json("invitation_code"),
        "status": row.json("status"),
        "avatar": row.json("avatar"),
        "created_at": date(row.integer("created_at")),
        "updated_at": date(row.integer("updated_at")),
    })
}

/// The user who calls, as the database knows them at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The user's id.
    pub id: i64,
    /// Whether one of the user's roles says admin.
    pub is_admin: bool,
}

/// Looks the caller up: somebody who is gone or disabled is nobody, and somebody who was demoted is
/// no admin any more, whatever their token says.
pub fn caller(request: &Request) -> Result<Caller, Error> {
    let id = request.identity()?.user_id;
    let found = database::query(
        "SELECT users.id, roles.name FROM users
         LEFT JOIN user_roles ON user_roles.user_id = users.id
         LEFT JOIN roles ON roles.id = user_roles.role_id
         WHERE users.realm = $1 AND users.id = $2 AND users.status <> $3",
        params![STORE, id, DISABLED],
    )?;
    if found.is_empty() {
        return Err(Error::Unauthenticated);
    }
    Ok(Caller { id, is_admin: found.iter().any(|row| row.text("name").contains("admin")) })
}

/// A column's parameter from an input: NULL for null; an array or object fits no column.
pub fn column(value: &Value, sent: impl FnOnce() -> Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        other => text(other).map(Some).ok_or_else(|| failed(sent())),
    }
}

/// A time as clients of the realm read it: `YYYY-MM-DD HH:MM:SS`.
pub fn date(seconds: i64) -> String {
    let offset = settings::get("utc_offset");
    print_date(
        seconds,
        offset.as_deref().and_then(parse_offset).or_else(|| parse_offset(UTC_OFFSET)),
    )
}

/// A time as JSON; null if there is none.
pub fn optional_date(seconds: Option<i64>) -> Value {
    seconds.map_or(Value::Null, |seconds| Value::from(date(seconds)))
}

/// Whether a text is a day of the calendar: `YYYY-MM-DD`.
pub fn is_day(day: &str) -> bool {
    let parts: Vec<&str> = day.split('-').collect();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let lengths = year.len() == 4 && month.len() == 2 && day.len() == 2;
    let numbers = (
        year.parse().ok(),
        month.parse::<u8>().ok().and_then(|month| Month::try_from(month).ok()),
        day.parse().ok(),
    );
    matches!(numbers, (Some(year), Some(month), Some(day)) if lengths && Date::from_calendar_date(year, month, day).is_ok())
}

fn print_date(seconds: i64, offset: Option<UtcOffset>) -> String {
    let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let local = utc.checked_to_offset(offset.unwrap_or(UtcOffset::UTC)).unwrap_or(utc);
    let (year, month, day) = (local.year(), u8::from(local.month()), local.day());
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        local.hour(),
        local.minute(),
        local.second()
    )
}

/// Reads `+08:00` (ISO 8601, 4.2.5).
fn parse_offset(text: &str) -> Option<UtcOffset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i8, i8) = (hours.parse().ok()?, minutes.parse().ok()?);
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_printed_in_the_zone() {
        assert_eq!(print_date(0, parse_offset("+08:00")), "1970-01-01 08:00:00");
        assert_eq!(print_date(1_595_838_060, parse_offset("+08:00")), "2020-07-27 16:21:00");
        assert_eq!(print_date(0, parse_offset("-03:30")), "1969-12-31 20:30:00");
        assert_eq!(print_date(i64::MAX, None), "1970-01-01 00:00:00");
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        assert!(is_day("2024-02-29"));
        for no in
            ["2023-02-29", "2024-13-01", "2024-1-1", "24-01-01", "2024-01-01-01", "tomorrow", ""]
        {
            assert!(!is_day(no), "{no}");
        }
    }
}
