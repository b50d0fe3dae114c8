//! Numbered steps that bring a database up to date, the same on both engines.

use std::path::Path;

use include_dir::{Dir, File, include_dir};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr, SqlitePool};

// Not `sqlx::migrate!`, which has the whole of sqlx and both its drivers built a second time, as a macro.
static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../migrations");

/// The steps of one owner's schema, embedded in the binary from `migrations/`.
pub struct Migrations {
    sqlite: Migrator,
    postgres: Migrator,
}

impl Migrations {
    /// The host's own tables: what tokens are revoked.
    pub fn host() -> Self {
        Migrations { sqlite: embedded("sqlite/host"), postgres: embedded("postgres/host") }
    }

    /// No tables: those of a tenant that inherits nothing, whose components bring their own.
    pub fn none() -> Self {
        let none = || Migrator::with_migrations(Vec::new());
        Migrations { sqlite: none(), postgres: none() }
    }

    /// The tables of the built-in API: users, addresses, profiles.
    pub fn api() -> Self {
        Migrations { sqlite: embedded("sqlite/api"), postgres: embedded("postgres/api") }
    }

    /// Applies what a file is missing and logs each step.
    pub(super) async fn run_sqlite(&self, pool: &SqlitePool, file: &Path) -> Result<(), String> {
        let place = file.display().to_string();
        let before = applied(&mut *pool.acquire().await.map_err(|error| error.to_string())?).await;
        log(&self.sqlite, before, &place, self.sqlite.run(pool).await)
    }

    /// Applies what a schema is missing and logs each step.
    pub(super) async fn run_postgres(&self, pool: &PgPool, schema: &str) -> Result<(), String> {
        let place = format!("schema {schema}");
        let before = applied(&mut *pool.acquire().await.map_err(|error| error.to_string())?).await;
        log(&self.postgres, before, &place, self.postgres.run(pool).await)
    }
}

/// The steps in a folder of `migrations/`, in the order of their numbers.
fn embedded(folder: &str) -> Migrator {
    let folder = FILES.get_dir(folder).expect("a folder below migrations/");
    let mut steps: Vec<Migration> = folder.files().map(step).collect();
    steps.sort();
    Migrator::with_migrations(steps)
}

/// The step in a file that is named as sqlx names them: `0001_what_it_does.sql`.
fn step(file: &'static File<'static>) -> Migration {
    let name = file.path().file_stem().and_then(|name| name.to_str());
    let (version, what) = name.and_then(|name| name.split_once('_')).expect("NUMBER_NAME.sql");
    Migration::new(
        version.parse().expect("a number"),
        what.replace('_', " ").into(),
        MigrationType::Simple,
        file.contents_utf8().expect("UTF-8").into_sql_str(),
        false,
    )
}

/// The newest step that the database has; 0 for a new one.
async fn applied(connection: &mut impl Migrate) -> i64 {
    let steps = connection.list_applied_migrations("_sqlx_migrations").await.unwrap_or_default();
    steps.iter().map(|step| step.version).max().unwrap_or(0)
}

fn log(
    migrator: &Migrator,
    before: i64,
    place: &str,
    done: Result<(), MigrateError>,
) -> Result<(), String> {
    done.map_err(|error| match error {
        MigrateError::VersionMissing(version) => {
            format!("the database {place} is newer than this wharf: it has migration {version}, which this binary does not know; install a newer wharf")
        }
        MigrateError::VersionMismatch(version) => {
            format!("the database {place} was made by a different migration {version}; restore a backup or use the wharf that made it")
        }
        other => format!("cannot bring the database {place} up to date: {other}"),
    })?;
    for step in migrator.iter().filter(|step| step.version > before) {
        tracing::info!(database = place, version = step.version, name = %step.description, "applied migration");
    }
    Ok(())
}
