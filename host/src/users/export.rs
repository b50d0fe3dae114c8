//! Users moved out, a page at a time.

use std::io::Write;

use super::realms::{Realm, Table};
use crate::database::{Database, Value};

/// Users of one page.
const PAGE: usize = 5_000;

/// A realm on its way into a file.
pub struct Export {
    database: Database,
    realm: &'static Realm,
    sql: String,
    /// The last user that was written.
    last: i64,
}

impl Export {
    /// Begins with the oldest user.
    pub fn new(database: Database, realm: &'static Realm) -> Self {
        let columns = realm.columns.iter().map(|column| match column.table {
            Table::Users => format!("users.{}", column.sql),
            Table::Side => format!("beside.{}", column.sql),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let beside = match realm.columns_of(Table::Side).next() {
            Some(_) => {
                format!("LEFT JOIN {} AS beside ON beside.user_id = users.id", realm.side.table)
            }
            None => String::new(),
        };
        // Joined to nothing, the realm is no reason to read and sort all users by an index of it.
        let sql = format!(
            "SELECT users.id, {columns} FROM users {beside} WHERE users.realm || '' = $1 AND users.id > $2 ORDER BY users.id LIMIT {PAGE}"
        );
        Export { database, realm, sql, last: 0 }
    }

    /// Users of the realm.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub async fn count(&self) -> Result<u64, String> {
        let realm = vec![Value::Text(self.realm.name.into())];
        let sql = "SELECT COUNT(*) FROM users WHERE realm = $1";
        let counted =
            self.database.query(sql, realm).await.map_err(|failure| failure.to_string())?;
        Ok(match counted.rows.first().map(Vec::as_slice) {
            Some([Value::Integer(count)]) => count.unsigned_abs(),
            _ => 0,
        })
    }

    /// Writes the columns' names.
    ///
    /// # Errors
    /// As the writer says.
    pub fn header(&self, file: &mut csv::Writer<impl Write>) -> Result<(), String> {
        let names = self.realm.columns.iter().map(|column| column.name);
        file.write_record(names).map_err(|error| error.to_string())
    }

    /// Writes the next users and answers how many; 0 after the last.
    ///
    /// # Errors
    /// As the database or the writer says.
    pub async fn next_page(&mut self, file: &mut csv::Writer<impl Write>) -> Result<u64, String> {
        let parameters = vec![Value::Text(self.realm.name.into()), Value::Integer(self.last)];
        let page = self.database.query(&self.sql, parameters).await;
        let page = page.map_err(|failure| failure.to_string())?;
        for row in &page.rows {
            if let Some(Value::Integer(id)) = row.first() {
                self.last = *id;
            }
            file.write_record(row[1..].iter().map(field)).map_err(|error| error.to_string())?;
        }
        Ok(page.rows.len() as u64)
    }
}

fn field(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        // The tables have neither of these.
        Value::Null | Value::Boolean(_) | Value::Float(_) | Value::Blob(_) => String::new(),
    }
}
