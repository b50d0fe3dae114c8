//! The tenant's database, with rows whose columns are read by name.

use std::rc::Rc;

use serde_json::Value as Json;

use crate::bindings::wharf::plugin::database as wit;
pub use crate::bindings::wharf::plugin::database::{Error, Value};

impl Error {
    /// Whether the same statement may work a little later, so that the client is asked to come back.
    pub fn is_passing(&self) -> bool {
        matches!(self, Error::Busy | Error::Unavailable | Error::Timeout)
    }
}

/// Parameters of a statement: `params![id, "text", None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::database::Value::from($value)),*]
    };
}

/// Runs a statement that returns rows.
pub fn query(sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Error> {
    wit::query(sql, parameters).map(rows)
}

/// Runs a statement and returns its first row.
pub fn query_one(sql: &str, parameters: &[Value]) -> Result<Option<Row>, Error> {
    Ok(query(sql, parameters)?.into_iter().next())
}

/// Runs a statement and returns how many rows it changed.
pub fn execute(sql: &str, parameters: &[Value]) -> Result<u64, Error> {
    wit::execute(sql, parameters)
}

/// Several statements that take effect together or not at all; dropping it rolls back.
pub struct Transaction(wit::Transaction);

impl Transaction {
    /// Begins a transaction.
    pub fn begin() -> Result<Self, Error> {
        wit::Transaction::begin().map(Transaction)
    }

    /// As [`query_one`], within the transaction.
    pub fn query_one(&self, sql: &str, parameters: &[Value]) -> Result<Option<Row>, Error> {
        Ok(rows(self.0.query(sql, parameters)?).into_iter().next())
    }

    /// As [`execute`], within the transaction.
    pub fn execute(&self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.0.execute(sql, parameters)
    }

    /// Makes the changes durable.
    pub fn commit(self) -> Result<(), Error> {
        wit::Transaction::commit(self.0)
    }
}

/// A row of a result.
pub struct Row {
    columns: Rc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// A column's integer; 0 if it is NULL or something else.
    pub fn integer(&self, column: &str) -> i64 {
        self.optional_integer(column).unwrap_or(0)
    }

    /// A column's integer, unless it is NULL.
    pub fn optional_integer(&self, column: &str) -> Option<i64> {
        match self.value(column)? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// A column's text; empty if it is NULL or something else.
    pub fn text(&self, column: &str) -> &str {
        match self.value(column) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A column as JSON. Bytes have no JSON and are null.
    pub fn json(&self, column: &str) -> Json {
        match self.value(column) {
            Some(Value::Boolean(value)) => Json::from(*value),
            Some(Value::Integer(value)) => Json::from(*value),
            Some(Value::Float(value)) => Json::from(*value),
            Some(Value::Text(value)) => Json::from(value.as_str()),
            Some(Value::Null | Value::Blob(_)) | None => Json::Null,
        }
    }

    fn value(&self, column: &str) -> Option<&Value> {
        let index = self.columns.iter().position(|name| name == column)?;
        self.values.get(index)
    }
}

fn rows(found: wit::Rows) -> Vec<Row> {
    let columns: Rc<[String]> = found.columns.into();
    found.rows.into_iter().map(|values| Row { columns: Rc::clone(&columns), values }).collect()
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::Text(value.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
