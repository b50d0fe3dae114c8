//! SQLite or PostgreSQL behind one face: the only room that knows `sqlx`.
//!
//! A database holds the data of one owner: the host's own, or a tenant's. On SQLite that is a
//! file, on PostgreSQL a schema. Statements take `$1, $2 …` and SQL that both understand.

mod migrations;
mod outage;
mod postgres;
mod sqlite;

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};

pub use migrations::Migrations;
use outage::Outage;

/// Where an owner's data lies.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file, made if it is missing.
    Sqlite(PathBuf),
    /// A schema of the database behind a `postgres://` URL, made if it is missing.
    Postgres {
        /// The URL, whose password must never be shown.
        url: String,
        /// The schema.
        schema: String,
    },
}

/// What one statement may cost. Every field has a setting in `[database]`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at once.
    pub connections: u32,
    /// How long a statement waits for a connection or for another's lock.
    pub wait: Duration,
    /// How long a statement runs.
    pub statement: Duration,
    /// Rows of one result.
    pub rows: usize,
    /// Bytes of one result, counted over its values.
    pub bytes: usize,
    /// Whether transactions write many rows: a connection to SQLite then keeps more in memory.
    pub bulk: bool,
}

/// A value of a parameter or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A BOOLEAN.
    Boolean(bool),
    /// Any integer.
    Integer(i64),
    /// A double-precision number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// What it counts towards [`Limits::bytes`].
    fn bytes(&self) -> usize {
        match self {
            Value::Text(text) => text.len() + size_of::<Value>(),
            Value::Blob(bytes) => bytes.len() + size_of::<Value>(),
            _ => size_of::<Value>(),
        }
    }
}

/// What a query returned.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, each with as many values as there are columns.
    pub rows: Vec<Vec<Value>>,
}

/// Why a statement failed. Nothing of it has been applied. The texts are for logs.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A UNIQUE or PRIMARY KEY constraint.
    Unique(String),
    /// A FOREIGN KEY constraint.
    ForeignKey(String),
    /// A NOT NULL or CHECK constraint, or a value that does not fit its column.
    Invalid(String),
    /// A lock or a connection did not become free in time.
    Busy,
    /// The statement ran too long.
    Timeout,
    /// The result is larger than it may be.
    TooLarge,
    /// The statement may not be sent.
    Denied(String),
    /// The database does not answer. What a lost connection was about to write may have been applied.
    Away(String),
    /// The database is full or may only be read; reads go on.
    Unwritable(String),
    /// Anything else.
    Failed(String),
}

impl Failure {
    /// Whether the same statement may work a little later. The database logs when such a time begins
    /// and when it ends, so that nobody else needs to.
    pub fn is_passing(&self) -> bool {
        matches!(self, Failure::Busy | Failure::Timeout | Failure::Away(_) | Failure::Unwritable(_))
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unique(text)
            | Failure::ForeignKey(text)
            | Failure::Invalid(text)
            | Failure::Denied(text)
            | Failure::Away(text)
            | Failure::Unwritable(text)
            | Failure::Failed(text) => f.write_str(text),
            Failure::Busy => f.write_str("it is busy"),
            Failure::Timeout => f.write_str("the statement ran too long"),
            Failure::TooLarge => f.write_str("the result is too large"),
        }
    }
}

/// The data of one owner. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    limits: Limits,
    outage: Arc<Outage>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Database {
    /// Opens the database, proves that it answers, and brings it up to date.
    ///
    /// # Errors
    /// A sentence that names the place and the remedy.
    pub async fn open(
        location: &Location,
        limits: Limits,
        migrations: &Migrations,
    ) -> Result<Self, String> {
        let (pool, outage) = match location {
            Location::Sqlite(file) => {
                let outage = Outage::new(file.display().to_string(), sqlite::probe(file));
                (Pool::Sqlite(sqlite::open(file, &limits, migrations).await?), outage)
            }
            Location::Postgres { url, schema } => {
                let pool = postgres::open(url, schema, &limits).await?;
                migrations.run_postgres(&pool, schema).await?;
                let outage = Outage::new(format!("schema {schema}"), postgres::probe(&pool));
                (Pool::Postgres(pool), outage)
            }
        };
        Ok(Database { pool, limits, outage })
    }

    /// Runs a statement that returns rows, in a transaction of its own.
    pub async fn query(&self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        check(sql, &parameters)?;
        let writes = writes(sql);
        self.in_time(writes, async {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    sqlite::query(
                        &mut *sqlite::connection(pool).await?,
                        sql,
                        parameters,
                        &self.limits,
                    )
                    .await
                }
                Pool::Postgres(pool) => {
                    postgres::query(
                        &mut *postgres::connection(pool).await?,
                        sql,
                        parameters,
                        &self.limits,
                    )
                    .await
                }
            }
        })
        .await
        .inspect(|found| {
            if writes && !found.rows.is_empty() {
                self.outage.written();
            }
        })
    }

    /// Runs a statement and returns how many rows it changed, in a transaction of its own.
    pub async fn execute(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        check(sql, &parameters)?;
        self.in_time(true, async {
            match &self.pool {
                Pool::Sqlite(pool) => {
                    sqlite::execute(&mut *sqlite::connection(pool).await?, sql, parameters).await
                }
                Pool::Postgres(pool) => {
                    postgres::execute(&mut *postgres::connection(pool).await?, sql, parameters)
                        .await
                }
            }
        })
        .await
        .inspect(|changed| {
            if *changed > 0 {
                self.outage.written();
            }
        })
    }

    /// Begins a transaction, which rolls back unless it is committed.
    pub async fn begin(&self) -> Result<Transaction, Failure> {
        let open = self
            .in_time(true, async {
                Ok(match &self.pool {
                    // The write lock is taken now, so that no later statement finds the snapshot stale.
                    Pool::Sqlite(pool) => Open::Sqlite(
                        pool.begin_with("BEGIN IMMEDIATE")
                            .await
                            .map_err(|error| sqlite::failure(&error))?,
                    ),
                    Pool::Postgres(pool) => Open::Postgres(
                        pool.begin().await.map_err(|error| postgres::failure(&error))?,
                    ),
                })
            })
            .await?;
        Ok(Transaction { open, database: self.clone() })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.query("SELECT 1", Vec::new()).await.map(drop)
    }

    /// Whether writes are known to fail while reads go on: no room, no right to write, a lock of
    /// another process's.
    pub fn is_read_only(&self) -> bool {
        self.outage.is_read_only()
    }

    /// Connections that statements and transactions hold at this moment.
    pub fn in_use(&self) -> usize {
        let (open, idle) = match &self.pool {
            Pool::Sqlite(pool) => (pool.size(), pool.num_idle()),
            Pool::Postgres(pool) => (pool.size(), pool.num_idle()),
        };
        usize::try_from(open).unwrap_or(usize::MAX).saturating_sub(idle)
    }

    /// Closes all connections, after those in use have been given back.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    /// Bounds a statement's time, and ends it early when the database is found to be away. `locking` says
    /// whether it waits for the lock that writing takes.
    async fn in_time<T>(
        &self,
        locking: bool,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.outage.check(locking)?;
        let most = self.limits.statement;
        let mut work = pin!(work);
        let quick = tokio::time::timeout(outage::PATIENCE.min(most), work.as_mut()).await;
        let done = if let Ok(done) = quick {
            done
        } else {
            self.outage.doubt();
            tokio::select! {
                biased;
                done = tokio::time::timeout(most.saturating_sub(outage::PATIENCE), work) => {
                    done.unwrap_or(Err(Failure::Timeout))
                }
                away = self.outage.until_away() => Err(away),
            }
        };
        self.outage.learn(&done);
        done
    }
}

/// Several statements that take effect together or not at all; dropping it rolls back.
#[derive(Debug)]
pub struct Transaction {
    open: Open,
    database: Database,
}

#[derive(Debug)]
enum Open {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Transaction {
    /// As [`Database::query`], within the transaction.
    pub async fn query(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        check(sql, &parameters)?;
        let limits = self.database.limits;
        self.database
            .in_time(false, async {
                match &mut self.open {
                    Open::Sqlite(transaction) => {
                        sqlite::query(transaction, sql, parameters, &limits).await
                    }
                    Open::Postgres(transaction) => {
                        postgres::query(transaction, sql, parameters, &limits).await
                    }
                }
            })
            .await
    }

    /// As [`Database::execute`], within the transaction.
    pub async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        check(sql, &parameters)?;
        self.database
            .in_time(false, async {
                match &mut self.open {
                    Open::Sqlite(transaction) => {
                        sqlite::execute(transaction, sql, parameters).await
                    }
                    Open::Postgres(transaction) => {
                        postgres::execute(transaction, sql, parameters).await
                    }
                }
            })
            .await
    }

    /// Makes the changes durable.
    pub async fn commit(self) -> Result<(), Failure> {
        let Transaction { open, database } = self;
        let committed = database.in_time(false, async {
            match open {
                Open::Sqlite(transaction) => {
                    transaction.commit().await.map_err(|error| sqlite::failure(&error))
                }
                Open::Postgres(transaction) => {
                    transaction.commit().await.map_err(|error| postgres::failure(&error))
                }
            }
        });
        committed.await.inspect(|()| database.outage.written())
    }
}

/// The statements that may be sent: those that read or write rows. What changes the schema, the
/// session or the transaction is the host's business, and would outlive the request.
const STATEMENTS: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES"];

/// Refuses what neither database should see, alike for both.
fn check(sql: &str, parameters: &[Value]) -> Result<(), Failure> {
    let statement = sql.trim().trim_end_matches(';');
    let keyword = statement.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if !STATEMENTS.iter().any(|allowed| allowed.eq_ignore_ascii_case(keyword)) {
        return Err(Failure::Denied(format!(
            "statements begin with one of {}",
            STATEMENTS.join(", ")
        )));
    }
    // SQLite would run what follows as a second statement; text with a semicolon belongs in a parameter.
    if statement.contains(';') {
        return Err(Failure::Denied(
            "one statement a call: a semicolon may only end it, text goes into parameters".into(),
        ));
    }
    let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if sql.contains('\0') || parameters.iter().any(nul) {
        return Err(Failure::Invalid("text holds U+0000".into()));
    }
    Ok(())
}

/// Whether a statement that may be sent changes rows. One that begins with WITH is taken to read.
fn writes(sql: &str) -> bool {
    let keyword = sql.trim_start().get(..6).unwrap_or_default();
    ["INSERT", "UPDATE", "DELETE"].iter().any(|writing| writing.eq_ignore_ascii_case(keyword))
}

/// Sorts an error that the database did not give itself: it could not be asked.
fn unanswered(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::PoolTimedOut => Failure::Busy,
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Failure::Away(error.to_string()),
        other => Failure::Failed(other.to_string()),
    }
}

/// Counts what a result has taken of its limits.
struct Meter<'a> {
    limits: &'a Limits,
    rows: usize,
    bytes: usize,
}

impl<'a> Meter<'a> {
    fn new(limits: &'a Limits) -> Self {
        Meter { limits, rows: 0, bytes: 0 }
    }

    fn count(&mut self, row: &[Value]) -> Result<(), Failure> {
        self.rows += 1;
        self.bytes += row.iter().map(Value::bytes).sum::<usize>();
        if self.rows > self.limits.rows || self.bytes > self.limits.bytes {
            return Err(Failure::TooLarge);
        }
        Ok(())
    }
}
