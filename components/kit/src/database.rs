//! The tenant's database, with rows that become structs, or whose columns are read by name.

mod decode;

use std::rc::Rc;

use serde::de::DeserializeOwned;
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
        &[$($crate::database::Value::from($value)),*] as &[$crate::database::Value]
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

/// Runs a statement and returns its rows as a type: a struct by the names of the columns, a tuple by their order, or
/// the value of the one column.
///
/// ```no_run
/// # use wharf_kit::prelude::*;
/// #[derive(Deserialize)]
/// struct Coupon {
///     code: String,
///     percent: i64,
/// }
///
/// # fn main() -> Result<()> {
/// let sql = "SELECT code, percent FROM coupons WHERE percent >= $1 ORDER BY code LIMIT 100";
/// let coupons: Vec<Coupon> = database::query_as(sql, params![50])?;
/// let total: Option<i64> = database::query_one_as("SELECT COUNT(*) FROM coupons", params![])?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What the database says; [`Error::Failed`], which names the column, if one is missing or of another type.
pub fn query_as<T: DeserializeOwned>(sql: &str, parameters: &[Value]) -> Result<Vec<T>, Error> {
    typed(&wit::query(sql, parameters)?)
}

/// Runs a statement and returns its first row as a type, as [`query_as`].
///
/// # Errors
/// As those of [`query_as`].
pub fn query_one_as<T: DeserializeOwned>(
    sql: &str,
    parameters: &[Value],
) -> Result<Option<T>, Error> {
    first(&wit::query(sql, parameters)?)
}

/// Runs a statement that always returns a row, such as INSERT … RETURNING or SELECT COUNT(*), as a type, as
/// [`query_as`].
///
/// # Errors
/// As those of [`query_as`]; [`Error::Failed`] if there is no row.
pub fn query_row_as<T: DeserializeOwned>(sql: &str, parameters: &[Value]) -> Result<T, Error> {
    made(query_one_as(sql, parameters)?)
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

    /// As [`query_as`], within the transaction.
    ///
    /// # Errors
    /// As those of [`query_as`].
    pub fn query_as<T: DeserializeOwned>(
        &self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Vec<T>, Error> {
        typed(&self.0.query(sql, parameters)?)
    }

    /// As [`query_one_as`], within the transaction.
    ///
    /// # Errors
    /// As those of [`query_as`].
    pub fn query_one_as<T: DeserializeOwned>(
        &self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Option<T>, Error> {
        first(&self.0.query(sql, parameters)?)
    }

    /// As [`query_row_as`], within the transaction.
    ///
    /// # Errors
    /// As those of [`query_row_as`].
    pub fn query_row_as<T: DeserializeOwned>(
        &self,
        sql: &str,
        parameters: &[Value],
    ) -> Result<T, Error> {
        made(self.query_one_as(sql, parameters)?)
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

fn typed<T: DeserializeOwned>(found: &wit::Rows) -> Result<Vec<T>, Error> {
    found.rows.iter().map(|row| decode::row(&found.columns, row)).collect()
}

fn first<T: DeserializeOwned>(found: &wit::Rows) -> Result<Option<T>, Error> {
    found.rows.first().map(|row| decode::row(&found.columns, row)).transpose()
}

fn made<T>(row: Option<T>) -> Result<T, Error> {
    row.ok_or_else(|| Error::Failed("the statement returned no row".to_owned()))
}

/// Integers that 64 bits with a sign hold.
macro_rules! integers {
    ($($of:ty),*) => {$(
        impl From<$of> for Value {
            fn from(value: $of) -> Self {
                Value::Integer(value.into())
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32);

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Value::Blob(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Value::Blob(value.to_vec())
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

impl<T: Clone + Into<Value>> From<&Option<T>> for Value {
    fn from(value: &Option<T>) -> Self {
        value.clone().into()
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
