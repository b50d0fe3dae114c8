//! `database`: the tenant's data, and nobody else's.

use std::time::{Duration, Instant};

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::Guest;
use crate::bindings::wharf::plugin::database::{self, Error, Rows, Value};
use crate::database::{self as store, Failure, Limits};

/// A transaction that a guest holds; dropping it rolls back.
pub struct OpenTransaction {
    transaction: store::Transaction,
}

/// What a request has taken of its share of the database: the transaction that it holds, if it holds
/// one, and what it has spent.
pub struct Transactions {
    open: ResourceTable,
    spent: Spent,
}

/// What a request has spent of its share.
#[derive(Default)]
struct Spent {
    statements: u32,
    time: Duration,
}

impl Transactions {
    /// Whether the request holds none.
    pub fn are_closed(&self) -> bool {
        self.open.is_empty()
    }
}

impl Default for Transactions {
    fn default() -> Self {
        let mut open = ResourceTable::new();
        // A second one would wait for the first one's locks for ever.
        open.set_max_capacity(1);
        Transactions { open, spent: Spent::default() }
    }
}

impl Spent {
    /// Does what a request asks of the database, and counts it towards what one request may take.
    async fn spend<T>(
        &mut self,
        limits: &Limits,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Error> {
        if self.statements == limits.request_statements {
            return Err(Error::Denied(format!(
                "a request sends at most {} statements (sql.request_statements)",
                limits.request_statements
            )));
        }
        self.statements += 1;
        let begun = Instant::now();
        let done = tokio::time::timeout(limits.request.saturating_sub(self.time), work).await;
        self.time += begun.elapsed();
        done.unwrap_or(Err(Failure::Timeout)).map_err(error)
    }
}

/// What one request may do with the tenant's data.
pub struct Database<'a> {
    share: &'a store::Share,
    request: &'a mut Transactions,
}

impl Database<'_> {
    async fn spend<T>(
        &mut self,
        work: impl AsyncFnOnce(&store::Database) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let work = async { work(self.share.get().await?).await };
        self.request.spent.spend(self.share.limits(), work).await
    }

    /// As [`Database::spend`], for work on the transaction that the request holds.
    async fn spend_within<T>(
        &mut self,
        this: &Resource<OpenTransaction>,
        work: impl AsyncFnOnce(&mut store::Transaction) -> Result<T, Failure>,
    ) -> wasmtime::Result<Result<T, Error>> {
        let Transactions { open, spent } = self.request;
        let transaction = &mut open.get_mut(this)?.transaction;
        Ok(spent.spend(self.share.limits(), work(transaction)).await)
    }
}

impl database::Host for Database<'_> {
    async fn query(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let found = self.spend(async |open| open.query(&sql, incoming(parameters)).await).await;
        Ok(found.map(outgoing))
    }

    async fn execute(
        &mut self,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        Ok(self.spend(async |open| open.execute(&sql, incoming(parameters)).await).await)
    }
}

impl database::HostTransaction for Database<'_> {
    async fn begin(&mut self) -> wasmtime::Result<Result<Resource<OpenTransaction>, Error>> {
        if !self.request.open.is_empty() {
            return Ok(Err(Error::Denied(
                "a transaction is open already: commit or drop it first".into(),
            )));
        }
        match self.spend(async |open| open.begin().await).await {
            Ok(transaction) => Ok(Ok(self.request.open.push(OpenTransaction { transaction })?)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn query(
        &mut self,
        this: Resource<OpenTransaction>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let work =
            async |open: &mut store::Transaction| open.query(&sql, incoming(parameters)).await;
        Ok(self.spend_within(&this, work).await?.map(outgoing))
    }

    async fn execute(
        &mut self,
        this: Resource<OpenTransaction>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let work =
            async |open: &mut store::Transaction| open.execute(&sql, incoming(parameters)).await;
        self.spend_within(&this, work).await
    }

    async fn commit(
        &mut self,
        this: Resource<OpenTransaction>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let open = self.request.open.delete(this)?;
        // Not counted: a request that has used up its share may still keep what it has done.
        Ok(open.transaction.commit().await.map_err(error))
    }

    async fn drop(&mut self, this: Resource<OpenTransaction>) -> wasmtime::Result<()> {
        self.request.open.delete(this)?;
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
        share: guest.group.database.as_ref().expect("a group that may import it has one"),
        request: &mut guest.transactions,
    })
}
