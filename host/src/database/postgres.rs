//! PostgreSQL: one schema, values encoded as the server says its parameters are typed.

mod roles;
mod server;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Either,
    Executor as _, PgConnection, PgPool, Row as _, Statement as _, TypeInfo as _, ValueRef as _,
};

use super::outage::{Probe, State};
use super::rights::Right;
use super::{Failure, Group, Limits, Meter, Migrations, Rows, Tables, Value};
pub use roles::Standing;
use server::Connections;
pub(super) use server::Lent;
pub use server::Server;
pub(super) use server::apart;

/// How long a group's connection waits for the next statement before it is closed: the server keeps a
/// process for each.
const IDLE: Duration = Duration::from_mins(1);

/// The first version that looks whether a statement's client is still there while it runs.
const NOTICES_CLIENTS: u32 = 140_000;

/// Connections to one schema.
#[derive(Clone)]
pub(super) struct Pool {
    connections: Arc<Connections>,
    server: Server,
    options: PgConnectOptions,
    schema: Arc<str>,
}

impl std::fmt::Debug for Pool {
    /// Without the options, which hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Pool {
    /// Connects to the schema, makes it if it is missing, and brings it up to date.
    pub(super) async fn open(
        url: &str,
        schema: &str,
        limits: &Limits,
        server: &Server,
        migrations: &Migrations,
    ) -> Result<Self, String> {
        let pool = Pool::connect(url, schema, limits, server).await?;
        make_schema(pool.owner(), schema).await.map_err(|error| {
            format!(
                "cannot make the schema {schema} in the database at {}: {error}; grant its user CREATE on the database",
                pool.place()
            )
        })?;
        migrations.run_postgres(pool.owner(), schema).await?;
        Ok(pool)
    }

    /// Connects, and changes nothing.
    pub(super) async fn connect(
        url: &str,
        schema: &str,
        limits: &Limits,
        server: &Server,
    ) -> Result<Self, String> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err("the database URL does not begin with postgres://; it looks like postgres://user:password@host:5432/name".to_owned());
        }
        // The error of a bad URL may repeat the URL, and with it a password.
        let options = PgConnectOptions::from_str(url).map_err(|_| {
            "the database URL is not valid; it looks like postgres://user:password@host:5432/name"
                .to_owned()
        })?;
        // Statements may hold what is nobody else's business.
        let options = options.disable_statement_logging().application_name("wharf").options([
            ("search_path", schema),
            ("statement_timeout", &limits.statement.as_millis().to_string()),
        ]);
        server.make_room(None).await;
        let connected = apart(pool_options(limits).connect_with(options.clone())).await;
        let (server, schema) = (server.clone(), schema.into());
        match connected {
            Ok(pool) => Ok(Pool { connections: server.count(pool, None), server, options, schema }),
            Err(error) => Err(format!(
                "cannot reach the PostgreSQL database at {}:{}: {error}; start it, or correct --database",
                options.get_host(),
                options.get_port()
            )),
        }
    }

    /// Connections for each group, in their order, each with a role of its own, which has rights to further
    /// tables that other revisions of the group use. They are opened when they are needed.
    ///
    /// # Errors
    /// A sentence that names what is missing and the remedy.
    pub(super) async fn for_groups(
        &self,
        groups: &[(Arc<Group>, &Tables)],
        limits: &Limits,
        key: &[u8; 32],
    ) -> Result<Vec<Self>, String> {
        let roles = roles::establish(self.owner(), &self.schema, groups, limits, key).await?;
        let pool = |role: roles::Role| {
            let options = self.options.clone().username(&role.name).password(&role.password);
            let pool = pool_options(limits).idle_timeout(IDLE).connect_lazy_with(options.clone());
            let (server, schema) = (self.server.clone(), Arc::clone(&self.schema));
            Pool {
                connections: server.count(pool, Some(&self.connections)),
                server,
                options,
                schema,
            }
        };
        let pools: Vec<Self> = roles.into_iter().map(pool).collect();
        // All sign in alike: what keeps one out keeps out all.
        if let Some(pool) = pools.first() {
            pool.server.make_room(None).await;
            apart(pool.connections.pool.acquire()).await.map_err(|error| {
                format!(
                    "cannot sign in to the PostgreSQL database at {} as the group's role {}: {error}; let roles whose names begin with wharf_ sign in with a password (scram-sha-256) in pg_hba.conf",
                    pool.place(),
                    pool.options.get_username()
                )
            })?;
        }
        Ok(pools)
    }

    /// Takes a group's role away.
    pub(super) async fn drop_group(&self, group: &str) -> Result<(), String> {
        roles::drop(self.owner(), &self.schema, group).await
    }

    /// Removes the schema with all that is in it, and these groups' roles.
    pub(super) async fn remove(&self, groups: &[String]) -> Result<(), String> {
        for group in groups {
            self.drop_group(group).await?;
        }
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", roles::quoted(&self.schema));
        let removed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.owner()).await;
        removed
            .map(drop)
            .map_err(|error| format!("cannot remove the schema {}: {error}", self.schema))
    }

    /// What hosts queue for that change the schema or its roles' rights.
    pub(super) fn schema_lock(&self) -> i64 {
        roles::schema_lock(&self.schema)
    }

    /// What the server says about the host's user and each group's role, without changing anything.
    pub(super) async fn standing(&self, groups: &[String]) -> Result<Standing, String> {
        roles::standing(self.owner(), &self.schema, groups)
            .await
            .map_err(|error| format!("the database does not tell about its roles: {error}"))
    }

    pub(super) async fn connection(&self) -> Result<Lent, Failure> {
        // Boxed, since the future is larger than everything that waits for it.
        Box::pin(self.server.lend(&self.connections)).await
    }

    /// Looks whether the server lets somebody in.
    pub(super) fn probe(&self) -> Probe {
        let options = self.connect_options();
        Box::new(move || {
            let options = Arc::clone(&options);
            Box::pin(apart(async move {
                match PgConnection::connect_with(&options).await {
                    Ok(connection) => {
                        // Politely, or the server logs a lost connection.
                        let _ = connection.close().await;
                        State::Usable
                    }
                    Err(error) => match failure(&error) {
                        Failure::Away(_) => State::Away,
                        // Whoever refuses is there.
                        _ => State::Usable,
                    },
                }
            }))
        })
    }

    /// How the host itself connects.
    pub(super) fn connect_options(&self) -> Arc<PgConnectOptions> {
        self.connections.pool.connect_options()
    }

    pub(super) fn in_use(&self) -> usize {
        super::in_use(&self.connections.pool)
    }

    pub(super) async fn close(&self) {
        self.connections.pool.close().await;
    }

    /// What the host does with the schema besides statements, which it seldom does.
    fn owner(&self) -> &PgPool {
        &self.connections.pool
    }

    fn place(&self) -> String {
        format!("{}:{}", self.options.get_host(), self.options.get_port())
    }
}

fn pool_options(limits: &Limits) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.wait)
        .after_connect(|connection, _| Box::pin(notice_clients(connection)))
}

/// Has the server stop a statement soon after its connection was closed, as abandoned ones are.
async fn notice_clients(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    if connection.server_version_num().is_some_and(|version| version >= NOTICES_CLIENTS) {
        connection.execute("SET client_connection_check_interval = 100").await?;
    }
    Ok(())
}

/// Makes the schema unless it is there: `IF NOT EXISTS` alone would demand the right to make it.
async fn make_schema(pool: &PgPool, schema: &str) -> Result<(), sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
            .bind(schema)
            .fetch_one(pool)
            .await?;
    if !there {
        let statement = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", schema.replace('"', "\"\""));
        pool.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

pub(super) async fn query(
    connection: &mut PgConnection,
    sql: &str,
    parameters: Vec<Value>,
    limits: &Limits,
) -> Result<Rows, Failure> {
    // A migration, on this host or another, may have added a column to what a star stands for.
    let again = sql.contains('*').then(|| parameters.clone());
    let parameters = match (query_once(connection, sql, parameters, limits).await, again) {
        (Err(Failed { state, .. }), Some(again)) if state == NOT_SUPPORTED => again,
        (done, _) => return done.map_err(|failed| failed.failure),
    };
    connection.clear_cached_statements().await.map_err(|error| failure(&error))?;
    let done = query_once(connection, sql, parameters, limits).await;
    done.map_err(|Failed { failure, state }| match state.as_str() {
        // The first failure has ended the transaction; another one will have the new columns.
        ABORTED => Failure::Busy,
        _ => failure,
    })
}

/// What the server answers to a statement that was prepared before its table had another column.
const NOT_SUPPORTED: &str = "0A000";

/// What it answers in a transaction after a statement of it failed.
const ABORTED: &str = "25P02";

/// A failure and its SQLSTATE.
struct Failed {
    failure: Failure,
    state: String,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Failed { failure, state: String::new() }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        Failed { failure: failure(&error), state: state.unwrap_or_default().into_owned() }
    }
}

async fn query_once(
    connection: &mut PgConnection,
    sql: &str,
    parameters: Vec<Value>,
    limits: &Limits,
) -> Result<Rows, Failed> {
    let statement = prepare(connection, sql).await?;
    let arguments = bind(&statement, parameters)?;
    let mut found = Rows {
        columns: statement.columns().iter().map(|column| column.name().to_owned()).collect(),
        rows: Vec::new(),
    };
    let mut meter = Meter::new(limits);
    let mut stream = statement.query_with(arguments).fetch(connection);
    while let Some(row) = stream.try_next().await? {
        let values =
            (0..row.len()).map(|index| value(&row, index)).collect::<Result<Vec<_>, _>>()?;
        meter.count(&values)?;
        found.rows.push(values);
    }
    Ok(found)
}

pub(super) async fn execute(
    connection: &mut PgConnection,
    sql: &str,
    parameters: Vec<Value>,
) -> Result<u64, Failure> {
    let statement = prepare(connection, sql).await.map_err(|error| failure(&error))?;
    let arguments = bind(&statement, parameters)?;
    let done = statement.query_with(arguments).execute(connection).await;
    done.map(|done| done.rows_affected()).map_err(|error| failure(&error))
}

/// Lets the server infer the parameters' types. The connection keeps the statement for next time.
async fn prepare(connection: &mut PgConnection, sql: &str) -> Result<PgStatement, sqlx::Error> {
    connection.prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql))).await
}

/// Encodes each value as the type that the server expects in its place.
fn bind(statement: &PgStatement, parameters: Vec<Value>) -> Result<PgArguments, Failure> {
    let Some(Either::Left(types)) = statement.parameters() else {
        return Err(Failure::Failed("the server did not describe the parameters".into()));
    };
    if types.len() != parameters.len() {
        return Err(Failure::Failed(format!(
            "the statement has {} parameters, {} were given",
            types.len(),
            parameters.len()
        )));
    }
    let mut arguments = PgArguments::default();
    for (kind, parameter) in types.iter().zip(parameters) {
        add(&mut arguments, kind, parameter)?;
    }
    Ok(arguments)
}

/// Adds one value, converted as SQLite's column affinity would convert it, if nothing is lost.
fn add(arguments: &mut PgArguments, kind: &PgTypeInfo, parameter: Value) -> Result<(), Failure> {
    let name = kind.name();
    let unfit =
        |value: &str| Failure::Invalid(format!("{value} does not fit a parameter of type {name}"));
    let added = match (name, parameter) {
        (_, Value::Null) => arguments.add(None::<String>),
        ("BOOL", Value::Boolean(value)) => arguments.add(value),
        ("INT8", Value::Integer(value)) => arguments.add(value),
        ("INT4", Value::Integer(value)) => {
            arguments.add(i32::try_from(value).map_err(|_| unfit("an integer"))?)
        }
        ("INT2", Value::Integer(value)) => {
            arguments.add(i16::try_from(value).map_err(|_| unfit("an integer"))?)
        }
        ("INT8", Value::Boolean(value)) => arguments.add(i64::from(value)),
        ("INT4", Value::Boolean(value)) => arguments.add(i32::from(value)),
        ("INT2", Value::Boolean(value)) => arguments.add(i16::from(value)),
        ("INT8", Value::Text(value)) => {
            arguments.add(value.parse::<i64>().map_err(|_| unfit("text"))?)
        }
        ("FLOAT8", Value::Float(value)) => arguments.add(value),
        #[expect(
            clippy::cast_precision_loss,
            reason = "SQLite's REAL affinity converts the same way"
        )]
        ("FLOAT8", Value::Integer(value)) => arguments.add(value as f64),
        ("BYTEA", Value::Blob(value)) => arguments.add(value),
        ("TEXT" | "VARCHAR" | "CHAR" | "NAME", Value::Text(value)) => arguments.add(value),
        ("TEXT" | "VARCHAR", Value::Integer(value)) => arguments.add(value.to_string()),
        (_, Value::Boolean(_)) => return Err(unfit("a boolean")),
        (_, Value::Integer(_)) => return Err(unfit("an integer")),
        (_, Value::Float(_)) => return Err(unfit("a float")),
        (_, Value::Text(_)) => return Err(unfit("text")),
        (_, Value::Blob(_)) => return Err(unfit("a blob")),
    };
    added.map_err(|error| Failure::Failed(error.to_string()))
}

/// Reads a column by its type.
fn value(row: &PgRow, index: usize) -> Result<Value, Failure> {
    let raw = row.try_get_raw(index).map_err(|error| failure(&error))?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info();
    let read = match kind.name() {
        "BOOL" => row.try_get(index).map(Value::Boolean),
        "INT8" => row.try_get(index).map(Value::Integer),
        "INT4" => row.try_get::<i32, _>(index).map(|value| Value::Integer(value.into())),
        "INT2" => row.try_get::<i16, _>(index).map(|value| Value::Integer(value.into())),
        "FLOAT8" => row.try_get(index).map(Value::Float),
        "FLOAT4" => row.try_get::<f32, _>(index).map(|value| Value::Float(value.into())),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" => row.try_get(index).map(Value::Text),
        "BYTEA" => row.try_get(index).map(Value::Blob),
        other => {
            let column = row.column(index).name();
            return Err(Failure::Failed(format!(
                "column {column} is of type {other}; cast it to BIGINT, TEXT or another type that both databases have"
            )));
        }
    };
    read.map_err(|error| failure(&error))
}

/// Sorts an error by its SQLSTATE (PostgreSQL's documentation, appendix A).
pub(super) fn failure(error: &sqlx::Error) -> Failure {
    let Some(database) = error.as_database_error() else {
        return super::unanswered(error);
    };
    let message = database.message().to_owned();
    let code = database.code().unwrap_or_default();
    match (&*code, code.get(..2)) {
        ("23505", _) => Failure::Unique(message),
        ("23503", _) => Failure::ForeignKey(message),
        ("42501", _) => Failure::Denied(message),
        ("57014", _) => Failure::Timeout,
        // The disk is full, it failed, or the server takes no writes, as a standby does not.
        ("53100" | "58030" | "25006", _) => Failure::Unwritable(message),
        // Class 53: too many connections or too little memory, but the server is there.
        ("40001" | "40P01" | "55P03", _) | (_, Some("53")) => Failure::Busy,
        // It is stopping, starting, or gone.
        (_, Some("08" | "57")) => Failure::Away(message),
        (_, Some("22" | "23")) => Failure::Invalid(message),
        _ => Failure::Failed(message),
    }
}

/// Says which right a statement lacks: PostgreSQL names the table alone.
pub(super) fn explained<T>(
    group: Option<&Group>,
    sql: &str,
    done: Result<T, Failure>,
) -> Result<T, Failure> {
    match (done, group) {
        (Err(Failure::Denied(message)), Some(group)) => {
            let table = message.strip_prefix("permission denied for table ");
            let why = table.map(|table| {
                let lacks = |right: &Right| !group.tables.allow(table, *right);
                let right = wanted(sql, table).find(lacks).unwrap_or(Right::Read);
                group.tables.refusal(&group.name, table, right)
            });
            Err(Failure::Denied(why.unwrap_or(message)))
        }
        (done, _) => done,
    }
}

/// What a statement may want of a table, the likeliest first: what the words before its name say, else
/// to read it, else to change the rows that an INSERT meets.
fn wanted(sql: &str, table: &str) -> impl Iterator<Item = Right> {
    let words =
        sql.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    let before = |words: &[String]| match words {
        [_, into, name] if into == "into" && name == table => Some(Right::Insert),
        [_, update, name] if update == "update" && name == table => Some(Right::Update),
        [delete, from, name] if delete == "delete" && from == "from" && name == table => {
            Some(Right::Delete)
        }
        _ => None,
    };
    // UPDATE may be the first word, which nothing stands before.
    let padded: Vec<String> = std::iter::once(String::new()).chain(words).collect();
    let first = padded.windows(3).find_map(before);
    first.into_iter().chain([Right::Read, Right::Update])
}
