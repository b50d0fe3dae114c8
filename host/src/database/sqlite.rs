//! SQLite: one file, write-ahead log, fully synchronous.

mod guard;
mod read_only;
mod schema;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _,
    Sqlite, SqliteConnection, SqlitePool, TypeInfo as _, ValueRef as _,
};

use super::lease::{Connection, Lease};
use super::outage::{Probe, State};
use super::{Failure, Group, Limits, Meter, Migrations, Rows, Value};
use schema::{Access, Current, Schema};

/// The first release without the write-ahead log's reset bug, as `SQLITE_VERSION_NUMBER`.
const OLDEST: i32 = 3_051_003;

const _: () =
    assert!(libsqlite3_sys::SQLITE_VERSION_NUMBER >= OLDEST, "the bundled SQLite is too old");

/// Pages kept for work on many rows, as SQLite takes it: KiB with a minus sign.
const BULK_CACHE: &str = "-65536";

/// The same for a group's connections, of which there are many: the operating system keeps pages as well.
const GROUP_CACHE: &str = "-512";

/// How long a group's connection waits for the next statement before it is closed, with the thread and
/// the memory that go with it.
const IDLE: Duration = Duration::from_mins(1);

/// Connections to one file.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    connections: SqlitePool,
    options: SqliteConnectOptions,
    schema: Arc<Current>,
}

impl Pool {
    /// Opens a file, with the folder that it lies in, and brings it up to date.
    pub(super) async fn open(
        file: &Path,
        limits: &Limits,
        migrations: &Migrations,
    ) -> Result<Self, String> {
        let unusable = |error: &dyn std::fmt::Display| {
            format!(
                "cannot open the database {}: {error}; make its folder writable or choose another with --data",
                file.display()
            )
        };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
        }
        let options = options(file, limits);
        // Migrations change the schema, on a connection of their own: those that serve may not.
        let migrating = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone());
        let migrating = migrating.await.map_err(|error| unusable(&error))?;
        migrations.run_sqlite(&migrating, file).await?;
        let schema = async { Schema::read(&mut *migrating.acquire().await?).await };
        let schema = schema.await.map_err(|error| unusable(&error))?;
        migrating.close().await;
        let schema = Arc::new(Current::new(schema));
        // The last connection takes the log and its index along, which a full disk has no room to make anew.
        let kept = watched(&schema, None, limits).idle_timeout(None).max_lifetime(None);
        let connections = kept.connect_with(options.clone()).await;
        let connections = connections.map_err(|error| unusable(&error))?;
        Ok(Pool { connections, options, schema })
    }

    /// Connections for a group, that are opened when they are needed.
    ///
    /// # Errors
    /// A sentence that names a table that is not there.
    pub(super) fn for_group(&self, group: &Arc<Group>, limits: &Limits) -> Result<Self, String> {
        self.schema.schema().check(group)?;
        let options = self.options.clone().pragma("cache_size", GROUP_CACHE);
        let watched = watched(&self.schema, Some(group), limits).idle_timeout(IDLE);
        let connections = watched.connect_lazy_with(options.clone());
        Ok(Pool { connections, options, schema: Arc::clone(&self.schema) })
    }

    /// A connection of its own that changes the schema: those that serve may not. Whatever runs on it is stopped
    /// when its time is over.
    pub(super) async fn migrating(&self, limits: &Limits) -> Result<Lease, Failure> {
        let most = limits.migration;
        let one = SqlitePoolOptions::new().max_connections(1).acquire_timeout(limits.wait);
        let one = one.after_connect(move |connection, _| {
            Box::pin(async move {
                let begun = Instant::now();
                let mut locked = connection.lock_handle().await?;
                locked.set_progress_handler(guard::INSTRUCTIONS, move || begun.elapsed() <= most);
                Ok(())
            })
        });
        // The pool is gone with its one connection.
        let one = one.connect_lazy_with(self.options.clone());
        let connection = Box::pin(one.acquire()).await.map_err(|error| failure(&error))?;
        Ok(Lease::new(Connection::Sqlite(connection)))
    }

    /// Reads the tables anew if the schema was changed, here or by another host, for this pool and those of
    /// the groups.
    pub(super) async fn look_again(&self) -> Result<(), Failure> {
        let read = async {
            let mut connection = SqliteConnection::connect_with(&self.options).await?;
            let version = Schema::version(&mut connection).await?;
            let schema = if self.schema.is_of(version) {
                None
            } else {
                Some(Schema::read(&mut connection).await?)
            };
            connection.close().await?;
            Ok(schema)
        };
        if let Some(schema) = read.await.map_err(|error| failure(&error))? {
            self.schema.replace(schema);
        }
        Ok(())
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Sqlite>, Failure> {
        // Boxed, since the future is larger than everything that waits for it.
        Box::pin(self.connections.acquire()).await.map_err(|error| failure(&error))
    }

    pub(super) fn in_use(&self) -> usize {
        super::in_use(&self.connections)
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}

/// Removes a file with what SQLite keeps beside it.
pub(super) fn remove(file: &Path) -> Result<(), String> {
    for suffix in ["", "-wal", "-shm"] {
        let mut place = file.as_os_str().to_owned();
        place.push(suffix);
        match std::fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("cannot remove {}: {error}", place.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Proves that a file, if it is there, is a database that answers. Nothing is written.
pub(super) async fn look(file: &Path) -> Result<(), String> {
    if !file.exists() {
        return Ok(());
    }
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let looked = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query("SELECT COUNT(*) FROM sqlite_schema").execute(&mut connection).await?;
        connection.close().await
    };
    looked.await.map_err(|error| {
        format!(
            "the database {} does not answer: {error}; make it readable, or restore a backup",
            file.display()
        )
    })
}

fn options(file: &Path, limits: &Limits) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        // Statements may hold what is nobody else's business.
        .disable_statement_logging()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(limits.wait)
        // Schema text may not call functions with side effects, and text in double quotes is no string.
        .pragma("trusted_schema", "OFF");
    if !limits.bulk {
        return options;
    }
    options
        // A transaction touches most pages of the indexes, in no order: what does not fit is written many times.
        .pragma("cache_size", BULK_CACHE)
        // Otherwise every statement writes the pages that it changes to a file, in case it fails half-way.
        .pragma("temp_store", "MEMORY")
}

/// Connections that are each watched over from their beginning, for a group or for the host.
fn watched(
    schema: &Arc<Current>,
    group: Option<&Arc<Group>>,
    limits: &Limits,
) -> SqlitePoolOptions {
    let (schema, group, limits) = (Arc::clone(schema), group.cloned(), *limits);
    let current = Arc::clone(&schema);
    let read_only = Arc::new(read_only::Period::default());
    let noted = Arc::clone(&read_only);
    SqlitePoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.wait)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let access = Arc::new(Access::of(schema.schema(), group.clone()));
            let noted = Arc::clone(&noted);
            Box::pin(async move {
                noted.note(connection).await?;
                guard::watch(connection, access, limits).await
            })
        })
        .before_acquire(move |_, about| {
            let keep = !read_only.covers(about.age) && current.covers(about.age);
            Box::pin(std::future::ready(Ok(keep)))
        })
}

/// How long a look at the database waits for the lock: other requests hold it for less.
const LOCK: Duration = Duration::from_secs(1);

/// Looks whether the file can be opened and its lock can be had.
pub(super) fn probe(file: &Path) -> Probe {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(LOCK);
    Box::new(move || {
        let options = options.clone();
        Box::pin(async move {
            let Ok(mut connection) = SqliteConnection::connect_with(&options).await else {
                return State::Away;
            };
            let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await;
            // Closing it rolls back.
            let _ = connection.close().await;
            match begun.map_err(|error| failure(&error)) {
                Err(Failure::Busy) => State::Locked,
                _ => State::Usable,
            }
        })
    })
}

pub(super) async fn query(
    connection: &mut SqliteConnection,
    sql: &str,
    parameters: Vec<Value>,
    limits: &Limits,
) -> Result<Rows, Failure> {
    let arguments = bind(parameters)?;
    let mut stream = sqlx::query_with(AssertSqlSafe(sql), arguments).fetch(connection);
    let mut found = Rows::default();
    let mut meter = Meter::new(limits);
    while let Some(row) = stream.try_next().await.map_err(|error| failure(&error))? {
        if found.columns.is_empty() {
            found.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
        }
        let values =
            (0..row.len()).map(|index| value(&row, index)).collect::<Result<Vec<_>, _>>()?;
        meter.count(&values)?;
        found.rows.push(values);
    }
    Ok(found)
}

pub(super) async fn execute(
    connection: &mut SqliteConnection,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<u64, Failure> {
    let arguments = bind(parameters)?;
    let done = sqlx::query_with(AssertSqlSafe(sql), arguments).execute(connection).await;
    done.map(|done| done.rows_affected()).map_err(|error| failure(&error))
}

/// Says why a statement was denied, as far as the connection knows.
pub(super) async fn explained<T>(
    connection: &mut SqliteConnection,
    done: Result<T, Failure>,
) -> Result<T, Failure> {
    match done {
        Err(Failure::Denied(message)) => {
            Err(Failure::Denied(guard::refusal(connection).await.unwrap_or(message)))
        }
        done => done,
    }
}

fn bind(parameters: Vec<Value>) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    for parameter in parameters {
        match parameter {
            Value::Null => arguments.add(None::<i64>),
            Value::Boolean(value) => arguments.add(value),
            Value::Integer(value) => arguments.add(value),
            Value::Float(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Blob(value) => arguments.add(value),
        }
        .map_err(|error| Failure::Failed(error.to_string()))?;
    }
    Ok(arguments)
}

/// Reads a column by the type of the value in it, which in SQLite may differ from row to row.
fn value(row: &SqliteRow, index: usize) -> Result<Value, Failure> {
    let raw = row.try_get_raw(index).map_err(|error| failure(&error))?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info();
    let read = match kind.name() {
        "BOOLEAN" => row.try_get(index).map(Value::Boolean),
        "INTEGER" => row.try_get(index).map(Value::Integer),
        "REAL" => row.try_get(index).map(Value::Float),
        "BLOB" => row.try_get(index).map(Value::Blob),
        _ => row.try_get(index).map(Value::Text),
    };
    read.map_err(|error| failure(&error))
}

/// Sorts an error by SQLite's extended result code (<https://sqlite.org/rescode.html>).
pub(super) fn failure(error: &sqlx::Error) -> Failure {
    let Some(database) = error.as_database_error() else {
        return super::unanswered(error);
    };
    let message = database.message().to_owned();
    let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    match code {
        2067 | 1555 => Failure::Unique(message),
        787 => Failure::ForeignKey(message),
        // SQLITE_CONSTRAINT_NOTNULL, _CHECK and _DATATYPE, SQLITE_MISMATCH, SQLITE_TOOBIG
        1299 | 275 | 3091 | 20 | 18 => Failure::Invalid(message),
        // SQLITE_AUTH, which a function is refused without
        23 => Failure::Denied(message),
        // SQLITE_INTERRUPT, by the connection's watch
        9 => Failure::Timeout,
        1 if message.starts_with("not authorized") => Failure::Denied(message),
        // The rest is told by the primary code, whatever its extension.
        code => match code & 0xff {
            // SQLITE_BUSY and SQLITE_LOCKED
            5 | 6 => Failure::Busy,
            // SQLITE_READONLY, SQLITE_IOERR and SQLITE_FULL
            8 | 10 | 13 => Failure::Unwritable(message),
            // SQLITE_CANTOPEN
            14 => Failure::Away(message),
            _ => Failure::Failed(message),
        },
    }
}
