//! `database`: the tenant's data, and nobody else's.

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::Guest;
use crate::bindings::wharf::plugin::database::{self, Error, Rows, Value};
use crate::database::{self as store, Failure};

/// A transaction that a guest holds; dropping it rolls back.
pub struct OpenTransaction {
    transaction: store::Transaction,
}

/// The transaction that a request holds, if it holds one.
pub struct Transactions(ResourceTable);

impl Default for Transactions {
    fn default() -> Self {
        let mut table = ResourceTable::new();
        // A second one would wait for the first one's locks for ever.
        table.set_max_capacity(1);
        Transactions(table)
    }
}

/// What one request may do with the tenant's data.
pub struct Database<'a> {
    database: &'a store::Database,
    open: &'a mut ResourceTable,
}

impl database::Host for Database<'_> {
    async fn query(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let found = self.database.query(&sql, incoming(parameters)).await;
        Ok(found.map(outgoing).map_err(error))
    }

    async fn execute(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        Ok(self.database.execute(&sql, incoming(parameters)).await.map_err(error))
    }
}

impl database::HostTransaction for Database<'_> {
    async fn begin(&mut self) -> wasmtime::Result<Result<Resource<OpenTransaction>, Error>> {
        if !self.open.is_empty() {
            return Ok(Err(Error::Denied(
                "a transaction is open already: commit or drop it first".into(),
            )));
        }
        match self.database.begin().await {
            Ok(transaction) => Ok(Ok(self.open.push(OpenTransaction { transaction })?)),
            Err(failure) => Ok(Err(error(failure))),
        }
    }

    async fn query(
        &mut self,
        this: Resource<OpenTransaction>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let open = self.open.get_mut(&this)?;
        let found = open.transaction.query(&sql, incoming(parameters)).await;
        Ok(found.map(outgoing).map_err(error))
    }

    async fn execute(
        &mut self,
        this: Resource<OpenTransaction>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let open = self.open.get_mut(&this)?;
        Ok(open.transaction.execute(&sql, incoming(parameters)).await.map_err(error))
    }

    async fn commit(
        &mut self,
        this: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let open = self.open.delete(this)?;
        Ok(open.transaction.commit().await.map_err(error))
    }

    async fn drop(&mut self, this: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.open.delete(this)?;
        Ok(())
    }
}

fn incoming(parameters: Vec<Value>) -> Vec<store::Value> {
    let value = |value| match value {
        Value::Null => store::Value::Null,
        Value::Boolean(value) => store::Value::Boolean(value),
        Value::Integer(value) => store::Value::Integer(value),
        Value::Float(value) => store::Value::Float(value),
        Value::Text(value) => store::Value::Text(value),
        Value::Blob(value) => store::Value::Blob(value),
    };
    parameters.into_iter().map(value).collect()
}

fn outgoing(found: store::Rows) -> Rows {
    let value = |value| match value {
        store::Value::Null => Value::Null,
        store::Value::Boolean(value) => Value::Boolean(value),
        store::Value::Integer(value) => Value::Integer(value),
        store::Value::Float(value) => Value::Float(value),
        store::Value::Text(value) => Value::Text(value),
        store::Value::Blob(value) => Value::Blob(value),
    };
    let row = |row: Vec<store::Value>| row.into_iter().map(value).collect();
    Rows { columns: found.columns, rows: found.rows.into_iter().map(row).collect() }
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::Unique(text) => Error::UniqueViolation(text),
        Failure::ForeignKey(text) => Error::ForeignKey(text),
        Failure::Invalid(text) => Error::InvalidValue(text),
        Failure::Busy => Error::Busy,
        Failure::Away(_) | Failure::Unwritable(_) => Error::Unavailable,
        Failure::Timeout => Error::Timeout,
        Failure::TooLarge => Error::TooLarge,
        Failure::Denied(text) => Error::Denied(text),
        Failure::Failed(text) => Error::Failed(text),
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Database<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    database::add_to_linker::<_, View>(linker, |guest| Database {
        database: &guest.group.shared.database,
        open: &mut guest.transactions.0,
    })
}
