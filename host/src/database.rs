//! SQLite or PostgreSQL behind one face: the only room that knows `sqlx`.
//!
//! A database holds the data of one owner: the host's own, or a tenant's. On SQLite that is a
//! file, on PostgreSQL a schema. Statements take `$1, $2 …` and SQL that both understand.
//!
//! A group of a tenant reaches the tenant's data through a [`Database`] of its own, with connections
//! that the database itself holds to the group's tables: SQLite's authorizer, or a role of PostgreSQL's.

mod data;
mod group_migrations;
mod lease;
mod migrations;
mod notices;
mod outage;
mod postgres;
mod rights;
mod sqlite;
mod statement;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use crate::written;

pub use data::{Data, Share};
pub use group_migrations::{Step, is_keyword};
use lease::{Connection, Lease};
pub use migrations::Migrations;
pub use notices::{Notice, Notices};
use outage::Outage;
pub use postgres::{Server, Standing};
pub use rights::{Right, Rights, Tables};

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

/// What statements may cost. Every field but the last has a setting in `[sql]`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at once.
    pub connections: u32,
    /// Connections of a group's role on PostgreSQL, over all hosts that share the database.
    pub role_connections: u32,
    /// Connections to PostgreSQL that a [`Server`] has open for all data together.
    pub server_connections: u32,
    /// How long a statement waits for a connection or for another's lock.
    pub wait: Duration,
    /// How long a statement runs.
    pub statement: Duration,
    /// How long a transaction is open.
    pub transaction: Duration,
    /// Rows of one result.
    pub rows: usize,
    /// Bytes of one result, counted over its values.
    pub bytes: usize,
    /// Bytes of a component's statement.
    pub statement_bytes: usize,
    /// Parameters of a component's statement.
    pub parameters: usize,
    /// Bytes of one value of a component's: a parameter or, on SQLite, anything on the way to a result.
    pub value_bytes: usize,
    /// Statements of one request.
    pub request_statements: u32,
    /// How long all statements of one request take.
    pub request: Duration,
    /// Migrations of a group's component.
    pub migrations: usize,
    /// Bytes of one of them.
    pub migration_bytes: usize,
    /// Statements of one of them.
    pub migration_statements: usize,
    /// How long one of them runs.
    pub migration: Duration,
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

/// Whom connections are for, where that is not the host itself.
#[derive(Debug)]
struct Group {
    name: String,
    tables: Tables,
}

impl Group {
    fn new(name: &str, tables: &Tables) -> Arc<Self> {
        Arc::new(Group { name: name.to_owned(), tables: tables.clone() })
    }

    /// Why it cannot have a table that it asks for, whether it is there or not.
    fn reaches_too_far(&self) -> Option<String> {
        let own = self.tables.iter().find(|(table, _)| statement::is_of_the_database(table));
        own.map(|(table, _)| format!(
            "group {} asks for the table {table:?}, which belongs to the database; remove it from its manifest's [tables] or from [groups.{}.tables]",
            self.name, self.name
        ))
    }
}

/// The data of one owner, as the host or a group may reach it. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    limits: Limits,
    outage: Arc<Outage>,
    /// Whose statements are read before they are sent; the host's own are not.
    group: Option<Arc<Group>>,
}

#[derive(Clone, Debug)]
enum Pool {
    Sqlite(sqlite::Pool),
    Postgres(postgres::Pool),
}

impl Database {
    /// Opens the database for the host, proves that it answers, and brings it up to date.
    ///
    /// # Errors
    /// A sentence that names the place and the remedy.
    pub async fn open(
        location: &Location,
        limits: Limits,
        migrations: &Migrations,
    ) -> Result<Self, String> {
        Database::open_at(&Server::of_one(&limits), location, limits, migrations).await
    }

    /// The same, for data that shares the server's connections with others'.
    async fn open_at(
        server: &Server,
        location: &Location,
        limits: Limits,
        migrations: &Migrations,
    ) -> Result<Self, String> {
        let (pool, outage) = match location {
            Location::Sqlite(file) => {
                let pool = sqlite::Pool::open(file, &limits, migrations).await?;
                let outage = Outage::new(file.display().to_string(), sqlite::probe(file));
                (Pool::Sqlite(pool), outage)
            }
            Location::Postgres { url, schema } => {
                let pool = postgres::Pool::open(url, schema, &limits, server, migrations).await?;
                let outage = Outage::new(format!("schema {schema}"), pool.probe());
                (Pool::Postgres(pool), outage)
            }
        };
        Ok(Database { pool, limits, outage, group: None })
    }

    /// The same data for each group, by name, with connections of its own that reach the named tables
    /// alone. Connections are opened when they are needed. The passwords of PostgreSQL's roles are made
    /// of the key: hosts that share a database need the same one.
    ///
    /// # Errors
    /// A sentence that names a table that is not there, or the right that the host lacks, and the remedy.
    pub async fn for_groups(
        &self,
        groups: &BTreeMap<String, Tables>,
        key: &[u8; 32],
    ) -> Result<BTreeMap<String, Self>, String> {
        let serving = Tables::default();
        let groups = groups.iter().map(|(name, tables)| (Group::new(name, tables), &serving));
        let databases = self.open_for(groups.collect(), key).await?;
        Ok(databases.into_iter().collect())
    }

    /// The same data for one group while others serve, and also while other revisions of the group do:
    /// `serving` are their tables. On PostgreSQL they share a role, which has the rights of all of them until the
    /// group is opened anew; no right that a revision needs is away for a moment.
    ///
    /// # Errors
    /// As of [`Database::for_groups`].
    pub async fn for_group(
        &self,
        group: &str,
        tables: &Tables,
        serving: &Tables,
        key: &[u8; 32],
    ) -> Result<Self, String> {
        let groups = vec![(Group::new(group, tables), serving)];
        let opened = self.open_for(groups, key).await?;
        let (_, database) = opened.into_iter().next().expect("one group was asked for");
        Ok(database)
    }

    /// Takes a group's rights away that is no longer there: on PostgreSQL, its role. What was opened for it
    /// must be closed before.
    ///
    /// # Errors
    /// A sentence that names the role, and what hinders.
    pub async fn drop_group(&self, group: &str) -> Result<(), String> {
        match &self.pool {
            Pool::Sqlite(_) => Ok(()),
            Pool::Postgres(pool) => pool.drop_group(group).await,
        }
    }

    async fn open_for(
        &self,
        groups: Vec<(Arc<Group>, &Tables)>,
        key: &[u8; 32],
    ) -> Result<Vec<(String, Self)>, String> {
        if let Some(why) = groups.iter().find_map(|(group, _)| group.reaches_too_far()) {
            return Err(why);
        }
        let pools: Vec<Pool> = match &self.pool {
            Pool::Sqlite(pool) => {
                let pools = groups.iter().map(|(group, _)| pool.for_group(group, &self.limits));
                pools.map(|pool| pool.map(Pool::Sqlite)).collect::<Result<_, _>>()?
            }
            Pool::Postgres(pool) => {
                let pools = pool.for_groups(&groups, &self.limits, key).await?;
                pools.into_iter().map(Pool::Postgres).collect()
            }
        };
        let database = |((group, _), pool): ((Arc<Group>, &Tables), Pool)| {
            let (name, outage) = (group.name.clone(), Arc::clone(&self.outage));
            (name, Database { pool, limits: self.limits, outage, group: Some(group) })
        };
        Ok(groups.into_iter().zip(pools).map(database).collect())
    }

    /// What its statements may cost.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Runs a statement that returns rows, in a transaction of its own.
    pub async fn query(&self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        self.check(sql, &parameters)?;
        let writes = writes(sql);
        let work = async { self.lease().await?.query(sql, parameters, &self.limits).await };
        self.in_time(writes, work).await.inspect(|found| {
            if writes && !found.rows.is_empty() {
                self.outage.written();
            }
        })
    }

    /// Runs a statement and returns how many rows it changed, in a transaction of its own.
    pub async fn execute(&self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        self.check(sql, &parameters)?;
        let work = async { self.lease().await?.execute(sql, parameters).await };
        self.in_time(true, work).await.inspect(|changed| {
            if *changed > 0 {
                self.outage.written();
            }
        })
    }

    /// Begins a transaction, which rolls back unless it is committed.
    pub async fn begin(&self) -> Result<Transaction, Failure> {
        let writes = self.group.as_ref().is_none_or(|group| group.tables.may_write());
        let begun = self.in_time(writes, async {
            let mut lease = self.lease().await?;
            lease.begin(writes).await?;
            Ok(lease)
        });
        let lease = Arc::new(Mutex::new(Some(begun.await?)));
        let (most, held) = (self.limits.transaction, Arc::clone(&lease));
        let end = tokio::spawn(async move {
            tokio::time::sleep(most).await;
            // Dropped, it is rolled back: whoever keeps it open keeps others from their locks.
            held.lock().await.take();
        });
        Ok(Transaction { lease, end: end.abort_handle(), database: self.clone() })
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

    /// Connections in use: one for each statement that runs and each transaction that is open.
    pub fn in_use(&self) -> usize {
        match &self.pool {
            Pool::Sqlite(pool) => pool.in_use(),
            Pool::Postgres(pool) => pool.in_use(),
        }
    }

    /// What a PostgreSQL server says about its user and the roles of these groups; `None` for a file
    /// that answers or is not there yet. Nothing is changed, not even brought up to date.
    ///
    /// # Errors
    /// A sentence that names the place and the remedy.
    pub async fn standing(
        location: &Location,
        limits: &Limits,
        groups: &[String],
    ) -> Result<Option<Standing>, String> {
        let (url, schema) = match location {
            Location::Postgres { url, schema } => (url, schema),
            Location::Sqlite(file) => return sqlite::look(file).await.map(|()| None),
        };
        let pool = postgres::Pool::connect(url, schema, limits, &Server::of_one(limits)).await?;
        let standing = pool.standing(groups).await;
        pool.close().await;
        standing.map(Some)
    }

    /// Removes the data at a place for good, with the roles of these groups.
    async fn remove(
        server: &Server,
        location: &Location,
        limits: &Limits,
        groups: &[String],
    ) -> Result<(), String> {
        match location {
            Location::Sqlite(file) => sqlite::remove(file),
            Location::Postgres { url, schema } => {
                let pool = postgres::Pool::connect(url, schema, limits, server).await?;
                let removed = pool.remove(groups).await;
                pool.close().await;
                removed
            }
        }
    }

    /// Closes all connections, after those in use have been given back.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    async fn lease(&self) -> Result<Lease, Failure> {
        let connection = match &self.pool {
            Pool::Sqlite(pool) => Connection::Sqlite(pool.connection().await?),
            Pool::Postgres(pool) => {
                Connection::Postgres(pool.connection().await?, self.group.clone())
            }
        };
        Ok(Lease::new(connection))
    }

    fn check(&self, sql: &str, parameters: &[Value]) -> Result<(), Failure> {
        match self.group {
            Some(_) => statement::check(sql, parameters, &self.limits),
            None => Ok(()),
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
    /// There until its time is over.
    lease: Arc<Mutex<Option<Lease>>>,
    /// Ends it when its time is over.
    end: AbortHandle,
    database: Database,
}

impl Transaction {
    /// As [`Database::query`], within the transaction.
    pub async fn query(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        self.database.check(sql, &parameters)?;
        let mut lease = self.lease.lock().await;
        let lease = lease.as_mut().ok_or(Failure::Timeout)?;
        let work = lease.query(sql, parameters, &self.database.limits);
        self.database.in_time(false, work).await
    }

    /// As [`Database::execute`], within the transaction.
    pub async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        self.database.check(sql, &parameters)?;
        let mut lease = self.lease.lock().await;
        let lease = lease.as_mut().ok_or(Failure::Timeout)?;
        self.database.in_time(false, lease.execute(sql, parameters)).await
    }

    /// Makes the changes durable.
    pub async fn commit(self) -> Result<(), Failure> {
        let mut lease = self.lease.lock().await.take().ok_or(Failure::Timeout)?;
        let committed = self.database.in_time(false, lease.commit()).await;
        committed.inspect(|()| self.database.outage.written())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.end.abort();
    }
}

/// What to tell an operator who grants a table that is not there.
fn no_such_table<'a>(
    group: &str,
    table: &str,
    tables: impl IntoIterator<Item = &'a str>,
) -> String {
    let tables = tables.into_iter().filter(|other| !other.contains("sql"));
    let meant = written::nearest(table, tables);
    let meant = meant.map(|meant| format!("; the nearest is {meant:?}")).unwrap_or_default();
    format!(
        "group {group} asks for the table {table:?}, which the database does not have{meant}: correct its manifest's [tables] or [groups.{group}.tables]"
    )
}

/// Connections of a pool that somebody uses.
fn in_use<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> usize {
    (pool.size() as usize).saturating_sub(pool.num_idle())
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
