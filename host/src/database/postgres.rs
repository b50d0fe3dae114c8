//! PostgreSQL: one schema, values encoded as the server says its parameters are typed.

use std::str::FromStr as _;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgPoolOptions, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, Connection as _, Either, Executor as _,
    PgConnection, PgPool, Postgres, Row as _, Statement as _, TypeInfo as _, ValueRef as _,
};

use super::outage::{Probe, State};
use super::{Failure, Limits, Meter, Rows, Value};

/// Connects to the schema, and makes it if it is missing.
pub(super) async fn open(url: &str, schema: &str, limits: &Limits) -> Result<PgPool, String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("the database URL does not begin with postgres://; it looks like postgres://user:password@host:5432/name".to_owned());
    }
    // The error of a bad URL may repeat the URL, and with it a password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        "the database URL is not valid; it looks like postgres://user:password@host:5432/name"
            .to_owned()
    })?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let options = options.application_name("wharf").options([
        ("search_path", schema),
        ("statement_timeout", &limits.statement.as_millis().to_string()),
    ]);
    let unreachable = |error: sqlx::Error| {
        format!(
            "cannot reach the PostgreSQL database at {place}: {error}; start it, or correct --database"
        )
    };
    let pool = PgPoolOptions::new()
        .max_connections(limits.connections)
        .acquire_timeout(limits.wait)
        .connect_with(options)
        .await
        .map_err(unreachable)?;
    make_schema(&pool, schema).await.map_err(|error| {
        format!("cannot make the schema {schema} in the database at {place}: {error}; grant its user CREATE on the database")
    })?;
    Ok(pool)
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

pub(super) async fn connection(pool: &PgPool) -> Result<PoolConnection<Postgres>, Failure> {
    pool.acquire().await.map_err(|error| failure(&error))
}

pub(super) async fn query(
    connection: &mut PgConnection,
    sql: &str,
    parameters: Vec<Value>,
    limits: &Limits,
) -> Result<Rows, Failure> {
    let statement = prepare(connection, sql).await?;
    let arguments = bind(&statement, parameters)?;
    let mut found = Rows {
        columns: statement.columns().iter().map(|column| column.name().to_owned()).collect(),
        rows: Vec::new(),
    };
    let mut meter = Meter::new(limits);
    let mut stream = statement.query_with(arguments).fetch(connection);
    while let Some(row) = stream.try_next().await.map_err(|error| failure(&error))? {
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
    let statement = prepare(connection, sql).await?;
    let arguments = bind(&statement, parameters)?;
    let done = statement.query_with(arguments).execute(connection).await;
    done.map(|done| done.rows_affected()).map_err(|error| failure(&error))
}

/// Lets the server infer the parameters' types. The connection keeps the statement for next time.
async fn prepare(connection: &mut PgConnection, sql: &str) -> Result<PgStatement, Failure> {
    connection
        .prepare(sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(sql)))
        .await
        .map_err(|error| failure(&error))
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

/// Looks whether the server lets somebody in.
pub(super) fn probe(pool: &PgPool) -> Probe {
    let options = pool.connect_options();
    Box::new(move || {
        let options = Arc::clone(&options);
        Box::pin(async move {
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
        })
    })
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
