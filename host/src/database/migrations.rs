//! Numbered steps that bring a database up to date, the same on both engines.

use std::path::Path;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{PgPool, SqlitePool};

/// The steps of one owner's schema, embedded in the binary from `migrations/`.
pub struct Migrations {
    sqlite: Migrator,
    postgres: Migrator,
}

impl Migrations {
    /// The host's own tables: what tokens are revoked.
    pub fn host() -> Self {
        Migrations {
            sqlite: sqlx::migrate!("../migrations/sqlite/host"),
            postgres: sqlx::migrate!("../migrations/postgres/host"),
        }
    }

    /// No tables: those of a tenant that inherits nothing, whose components bring their own.
    pub fn none() -> Self {
        let none = || Migrator::with_migrations(Vec::new());
        Migrations { sqlite: none(), postgres: none() }
    }

    /// The tables of the built-in API: users, addresses, profiles.
    pub fn api() -> Self {
        Migrations {
            sqlite: sqlx::migrate!("../migrations/sqlite/api"),
            postgres: sqlx::migrate!("../migrations/postgres/api"),
        }
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
