//! Values into rows, and rows into values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{Failure, Value};

/// A text parameter.
pub(super) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A parameter that may be NULL.
pub(super) fn optional(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Integer)
}

/// A parameter that is stored as JSON.
pub(super) fn json(value: &impl Serialize) -> Value {
    // What is stored has text for keys and no numbers that JSON lacks; otherwise the column refuses it.
    serde_json::to_string(value).map_or(Value::Null, Value::Text)
}

/// Reads what was stored as JSON.
pub(super) fn of_json<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::Failed(format!("the registry holds JSON that cannot be read: {error}"))
    })
}

/// A column that may be NULL.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(value) => Some(*value),
        _ => None,
    }
}

/// What a row is that does not have the columns that it should.
pub(super) fn unreadable(table: &str) -> Failure {
    Failure::Failed(format!("a row of {table} cannot be read"))
}

/// A size as the database counts.
pub(super) fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
