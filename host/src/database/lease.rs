//! A connection while it is in use: given back as it was, or closed.

use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{Executor as _, Sqlite};

use super::{Failure, Group, Limits, Rows, Value, postgres, sqlite};

/// A connection of either kind.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    /// With the group that it is for, if it is for one.
    Postgres(postgres::Lent, Option<Arc<Group>>),
}

/// What whoever drops the lease leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Clean,
    /// A transaction, which is rolled back.
    Transaction,
    /// A statement that has not ended, or a transaction that the database has ended by itself: what
    /// the connection would do next is uncertain, so it is closed. On PostgreSQL the server notices
    /// and stops the statement; on SQLite the statement meets its own deadline.
    Uncertain,
}

/// A connection that one statement or one transaction has to itself.
#[derive(Debug)]
pub(super) struct Lease {
    /// There until the lease is dropped.
    connection: Option<Connection>,
    state: State,
}

impl Lease {
    pub(super) fn new(connection: Connection) -> Self {
        Lease { connection: Some(connection), state: State::Clean }
    }

    /// Runs a statement that returns rows.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
        limits: &Limits,
    ) -> Result<Rows, Failure> {
        let (connection, before) = self.begin_work()?;
        let done = connection.query(sql, parameters, limits).await;
        self.end_work([before; 2], done)
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<u64, Failure> {
        let (connection, before) = self.begin_work()?;
        let done = connection.execute(sql, parameters).await;
        self.end_work([before; 2], done)
    }

    /// Begins a transaction, which may write or only read.
    pub(super) async fn begin(&mut self, writes: bool) -> Result<(), Failure> {
        let (connection, before) = self.begin_work()?;
        // SQLite's write lock is taken now, so that no later statement finds the snapshot stale.
        let sqlite = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let begun = connection.run(sqlite, "BEGIN").await;
        self.end_work([before, State::Transaction], begun)
    }

    /// Makes a transaction's changes durable.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        let (connection, before) = self.begin_work()?;
        let done = connection.run("COMMIT", "COMMIT").await;
        self.end_work([before, State::Clean], done)
    }

    /// Whoever drops the lease before the work has ended leaves it uncertain.
    fn begin_work(&mut self) -> Result<(&mut Connection, State), Failure> {
        let before = std::mem::replace(&mut self.state, State::Uncertain);
        match &mut self.connection {
            Some(connection) if before != State::Uncertain => Ok((connection, before)),
            _ => Err(Failure::Failed(
                "the transaction is over: an earlier statement of it failed".to_owned(),
            )),
        }
    }

    /// What became of the work says what state the connection is in.
    fn end_work<T>(
        &mut self,
        [before, after]: [State; 2],
        done: Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.state = match &done {
            Ok(_) => after,
            // The rest of the result is still on its way, or the statement may still run.
            Err(Failure::TooLarge | Failure::Timeout | Failure::Away(_)) => State::Uncertain,
            // SQLite may have rolled the whole transaction back, and would run what follows without one.
            Err(Failure::Busy | Failure::Unwritable(_) | Failure::Failed(_))
                if before == State::Transaction =>
            {
                State::Uncertain
            }
            // The statement alone was refused, and had no effect.
            Err(_) => before,
        };
        done
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.state {
            State::Clean => {}
            State::Uncertain => connection.close_on_drop(),
            State::Transaction => {
                tokio::spawn(async move {
                    if connection.run("ROLLBACK", "ROLLBACK").await.is_err() {
                        connection.close_on_drop();
                    }
                });
            }
        }
    }
}

impl Connection {
    async fn query(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
        limits: &Limits,
    ) -> Result<Rows, Failure> {
        match self {
            Connection::Sqlite(connection) => {
                let done = sqlite::query(connection, sql, parameters, limits).await;
                sqlite::explained(connection, done).await
            }
            Connection::Postgres(lent, group) => {
                let done = postgres::query(&mut lent.connection, sql, parameters, limits).await;
                postgres::explained(group.as_deref(), sql, done)
            }
        }
    }

    async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        match self {
            Connection::Sqlite(connection) => {
                let done = sqlite::execute(connection, sql, parameters).await;
                sqlite::explained(connection, done).await
            }
            Connection::Postgres(lent, group) => {
                let done = postgres::execute(&mut lent.connection, sql, parameters).await;
                postgres::explained(group.as_deref(), sql, done)
            }
        }
    }

    /// Sends what begins or ends a transaction.
    async fn run(&mut self, sqlite: &'static str, postgres: &'static str) -> Result<(), Failure> {
        match self {
            Connection::Sqlite(connection) => {
                connection.execute(sqlite).await.map(drop).map_err(|error| sqlite::failure(&error))
            }
            Connection::Postgres(lent, _) => lent
                .connection
                .execute(postgres)
                .await
                .map(drop)
                .map_err(|error| postgres::failure(&error)),
        }
    }

    fn close_on_drop(&mut self) {
        match self {
            Connection::Sqlite(connection) => connection.close_on_drop(),
            Connection::Postgres(lent, _) => lent.connection.close_on_drop(),
        }
    }
}
