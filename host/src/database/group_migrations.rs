//! Migrations that a tenant's component brings along: tables of its own, in the tenant's database.
//!
//! They are SQL of strangers, run by whoever owns the schema. So each step is read into a tree, which may hold
//! what expands a schema and nothing else, and is written anew for the engine: an older revision goes on
//! with what it knows, and rollback stays a pointer flip. The record of what was applied, and of which group made
//! which table, lies beside the tables; no group reaches it.

mod reading;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::lease::Lease;
use super::{Database, Failure, Limits, Pool, Rows, Tables, Value};
use reading::{Does, Statement};

pub use reading::is_keyword;

/// One file of a component's `migrations/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The file's name without `.sql`: four digits, an underscore, and what it is about.
    pub name: String,
    /// What the file says.
    pub sql: String,
}

/// Whose SQL is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

/// A step that was read.
struct Read<'a> {
    name: &'a str,
    /// SHA-256 of the file.
    digest: String,
    statements: Vec<Statement>,
}

/// What the tables of the record are called. Their prefix is one that no group may name.
const RECORD: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS _wharf_tables (name TEXT NOT NULL PRIMARY KEY, group_name TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS _wharf_migrations (group_name TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (group_name, name))",
];

impl Database {
    /// Applies the steps of a group's component that were not applied yet, in their order, each in a transaction
    /// with its record. Of several hosts at the same database, one applies a step. `tables` are those of the
    /// component's manifest: its steps make no others. Returns the names of the steps that were applied now.
    ///
    /// Groups whose databases were opened before see what their tables became; a table that is new is
    /// reached by a database that is opened afterwards.
    ///
    /// # Errors
    /// A sentence that names the step, the line, what is wrong and what to do. Steps before it stay applied.
    pub async fn apply(
        &self,
        group: &str,
        steps: &[Step],
        tables: &Tables,
    ) -> Result<Vec<String>, String> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let engine = match &self.pool {
            Pool::Sqlite(_) => Engine::Sqlite,
            Pool::Postgres(_) => Engine::Postgres,
        };
        let read = read(steps, engine, &self.limits)?;
        let mut applied = Vec::new();
        let done = self.apply_all(group, &read, tables, &mut applied).await;
        // Also where another host was quicker.
        if let Pool::Sqlite(pool) = &self.pool {
            pool.look_again().await.map_err(|failure| {
                format!("the migrations of group {group} were applied, and the database does not tell its tables now: {failure}; try again")
            })?;
        }
        done.map(|()| applied)
    }

    async fn apply_all(
        &self,
        group: &str,
        steps: &[Read<'_>],
        tables: &Tables,
        applied: &mut Vec<String>,
    ) -> Result<(), String> {
        loop {
            let mut work = Work::begin(self, group).await?;
            let Some(step) = work.next(steps).await? else { return Ok(()) };
            work.run(step, tables).await?;
            work.commit(step).await?;
            tracing::info!(group, step = step.name, "applied a component's migration");
            applied.push(step.name.to_owned());
        }
    }
}

/// Reads all steps before any of them runs.
fn read<'a>(steps: &'a [Step], engine: Engine, limits: &Limits) -> Result<Vec<Read<'a>>, String> {
    if steps.len() > limits.migrations {
        return Err(format!(
            "the component brings {} migrations, and a group has at most {} (sql.migrations)",
            steps.len(),
            limits.migrations
        ));
    }
    if let Some([before, after]) =
        steps.array_windows().find(|[before, after]| before.name >= after.name)
    {
        return Err(format!(
            "the migration {} comes after {}; number them in the order in which they are applied",
            after.name, before.name
        ));
    }
    steps.iter().map(|step| read_step(step, engine, limits)).collect()
}

fn read_step<'a>(step: &'a Step, engine: Engine, limits: &Limits) -> Result<Read<'a>, String> {
    let Step { name, sql } = step;
    let (number, about) = name.split_once('_').unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if number.len() != 4
        || !number.bytes().all(|byte| byte.is_ascii_digit())
        || !(1..=60).contains(&about.len())
        || !about.chars().all(plain)
    {
        return Err(format!(
            "the migration {name:?} is not named like 0001_what_it_is_about, with four digits and small letters; rename the file"
        ));
    }
    let most = limits.migration_bytes;
    if sql.len() > most {
        return Err(format!(
            "the migration {name} has {} bytes, and one has at most {most} (sql.migration_bytes); split it",
            sql.len()
        ));
    }
    if sql.contains('\0') {
        return Err(format!(
            "the migration {name} holds U+0000, which no database stores; write the file as text"
        ));
    }
    let statements = reading::read(sql, engine)
        .map_err(|why| format!("the migration {name} is refused at {why}"))?;
    let most = limits.migration_statements;
    if statements.len() > most {
        return Err(format!(
            "the migration {name} has {} statements, and one has at most {most} (sql.migration_statements); split it",
            statements.len()
        ));
    }
    Ok(Read { name, digest: hex::encode(Sha256::digest(sql)), statements })
}

/// One step's transaction, which nobody else's runs beside. Dropped, it is rolled back.
struct Work<'a> {
    lease: Lease,
    group: &'a str,
    limits: &'a Limits,
    engine: Engine,
    /// Which group made which table.
    owners: BTreeMap<String, String>,
}

impl<'a> Work<'a> {
    async fn begin(database: &'a Database, group: &'a str) -> Result<Self, String> {
        let limits = &database.limits;
        let begun = async {
            let (mut lease, engine) = match &database.pool {
                Pool::Sqlite(pool) => (pool.migrating(limits).await?, Engine::Sqlite),
                Pool::Postgres(_) => (database.lease().await?, Engine::Postgres),
            };
            lease.begin(true).await?;
            if let Pool::Postgres(pool) = &database.pool {
                for (setting, most) in
                    [("lock_timeout", limits.wait), ("statement_timeout", limits.migration)]
                {
                    // A prepared SET takes no parameters; both are numbers of this host's own.
                    lease
                        .execute(&format!("SET LOCAL {setting} = {}", most.as_millis()), Vec::new())
                        .await?;
                }
                let key = Value::Integer(pool.schema_lock());
                lease.execute("SELECT pg_advisory_xact_lock($1)", vec![key]).await?;
            }
            for table in RECORD {
                lease.execute(table, Vec::new()).await?;
            }
            let sql = "SELECT name, group_name FROM _wharf_tables";
            let owners = pairs(lease.query(sql, Vec::new(), &own(limits)).await?);
            Ok(Work { lease, group, limits, engine, owners })
        };
        begun.await.map_err(|failure: Failure| {
            format!("the migrations of group {group} cannot begin: {failure}; another host may be applying them, so try again")
        })
    }

    /// The first step that was not applied yet.
    async fn next<'s, 't>(
        &mut self,
        steps: &'s [Read<'t>],
    ) -> Result<Option<&'s Read<'t>>, String> {
        let sql = "SELECT name, digest FROM _wharf_migrations WHERE group_name = $1";
        let group = Value::Text(self.group.to_owned());
        let known = self.lease.query(sql, vec![group], &own(self.limits)).await;
        let known = pairs(known.map_err(|failure| {
            format!("the record of migrations cannot be read: {failure}; try again")
        })?);
        if let Some(step) = steps
            .iter()
            .find(|step| known.get(step.name).is_some_and(|digest| *digest != step.digest))
        {
            return Err(format!(
                "the migration {} was applied with other contents before; leave it as it was, and write a new step for what is to change",
                step.name
            ));
        }
        let Some(step) = steps.iter().find(|step| !known.contains_key(step.name)) else {
            return Ok(None);
        };
        if let Some((last, _)) =
            known.last_key_value().filter(|(last, _)| last.as_str() > step.name)
        {
            return Err(format!(
                "the migration {} comes before {last}, which was applied already; give it a higher number",
                step.name
            ));
        }
        if known.len() >= self.limits.migrations {
            return Err(format!(
                "group {} has had {} migrations, and a group has at most that many (sql.migrations): {} is one too many; put what is to change into fewer steps, or ask the operator for more",
                self.group,
                known.len(),
                step.name
            ));
        }
        Ok(Some(step))
    }

    async fn run(&mut self, step: &Read<'_>, tables: &Tables) -> Result<(), String> {
        let mut made = BTreeSet::new();
        let most = self.limits.migration;
        let run = async {
            for statement in &step.statements {
                let at = |why: String| {
                    format!(
                        "the migration {} is refused at line {}: {why}",
                        step.name, statement.line
                    )
                };
                self.check(statement, tables, &mut made).await.map_err(at)?;
                let done = self.lease.execute(&statement.sql, Vec::new()).await;
                done.map_err(|failure| match failure {
                    Failure::Timeout => at(too_long(most)),
                    failure if failure.is_passing() => at(format!("{failure}; try again")),
                    failure => at(format!("the database says {failure}; correct the statement")),
                })?;
            }
            Ok(())
        };
        in_time(most, step.name, run).await?;
        for table in made {
            self.owners.insert(table.clone(), self.group.to_owned());
            let sql = "INSERT INTO _wharf_tables (name, group_name) VALUES ($1, $2)";
            let values = vec![Value::Text(table), Value::Text(self.group.to_owned())];
            self.lease
                .execute(sql, values)
                .await
                .map_err(|failure| unrecorded(step.name, &failure))?;
        }
        Ok(())
    }

    /// Refuses what touches a table that is not the group's, or that an older revision may be at odds with.
    async fn check(
        &mut self,
        statement: &Statement,
        tables: &Tables,
        made: &mut BTreeSet<String>,
    ) -> Result<(), String> {
        let group = self.group;
        let Statement { does, table, refers, .. } = statement;
        let is_own = |table: &String| {
            made.contains(table) || self.owners.get(table).is_some_and(|owner| owner == group)
        };
        let belongs = |table: &String| match self.owners.get(table) {
            Some(other) => format!("the table {table} was made by group {other}"),
            None => format!("the table {table} was not made by a migration of group {group}"),
        };
        let own = is_own(table);
        if let Some(other) = refers.iter().find(|other| *other != table && !is_own(other)) {
            return Err(format!(
                "{}, and a key that refers to it would hold its rows fast; refer to the group's own tables, and keep other tables' keys as plain columns",
                belongs(other)
            ));
        }
        match does {
            Does::Make | Does::MakeUnlessThere => {
                if tables.iter().all(|(named, _)| named != table) {
                    return Err(format!(
                        "the table {table} is not in the manifest's [tables], and a migration makes no others; write {table} = \"write\" there, or grant it in [groups.{group}.tables]"
                    ));
                }
                let there = own || self.is_there(table).await?;
                if there && !own {
                    let is_others = self.owners.get(table).map_or_else(
                        || format!("the database has a table {table}, which no migration of group {group} made"),
                        |other| format!("the table {table} was made by group {other}"),
                    );
                    return Err(format!(
                        "{is_others}; choose another name, such as {group}_{table}"
                    ));
                }
                if !there {
                    made.insert(table.clone());
                }
            }
            Does::Add | Does::AddUnique if !own => {
                return Err(format!(
                    "{}; a migration changes the group's own tables alone",
                    belongs(table)
                ));
            }
            Does::AddUnique if !made.contains(table) => {
                return Err(format!(
                    "a UNIQUE INDEX on {table}, which an earlier step made, could refuse rows that an older revision writes: make it in the step that makes the table, or leave UNIQUE out"
                ));
            }
            Does::Add | Does::AddUnique => {}
        }
        Ok(())
    }

    /// Whether the database has a table, a view or anything else of this name.
    async fn is_there(&mut self, name: &str) -> Result<bool, String> {
        let sql = match self.engine {
            Engine::Sqlite => "SELECT 1 FROM sqlite_schema WHERE lower(name) = $1",
            Engine::Postgres => {
                "SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = current_schema() AND relname = $1"
            }
        };
        let found =
            self.lease.query(sql, vec![Value::Text(name.to_owned())], &own(self.limits)).await;
        found.map(|found| !found.rows.is_empty()).map_err(|failure| {
            format!("the database does not tell its tables: {failure}; try again")
        })
    }

    async fn commit(mut self, step: &Read<'_>) -> Result<(), String> {
        let now = match self.engine {
            Engine::Sqlite => "unixepoch()",
            Engine::Postgres => "CAST(extract(epoch FROM now()) AS BIGINT)",
        };
        let sql = format!(
            "INSERT INTO _wharf_migrations (group_name, name, digest, applied_at) VALUES ($1, $2, $3, {now})"
        );
        let values = [self.group, step.name, &step.digest].map(|text| Value::Text(text.to_owned()));
        let recorded = async {
            self.lease.execute(&sql, values.to_vec()).await?;
            self.lease.commit().await
        };
        recorded.await.map_err(|failure| unrecorded(step.name, &failure))
    }
}

fn unrecorded(step: &str, failure: &Failure) -> String {
    format!("the migration {step} cannot be recorded, and was not applied: {failure}; try again")
}

/// The records are the host's own, however few rows a component may read.
fn own(limits: &Limits) -> Limits {
    Limits { rows: usize::MAX, bytes: usize::MAX, ..*limits }
}

/// Bounds a step's time on the host's side, in case the database does not.
async fn in_time(
    most: std::time::Duration,
    step: &str,
    work: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    tokio::time::timeout(most, work)
        .await
        .unwrap_or_else(|_| Err(format!("the migration {step} {}", too_long(most))))
}

fn too_long(most: std::time::Duration) -> String {
    format!(
        "took longer than {} ms (sql.migration_milliseconds), and was not applied: do less in one step",
        most.as_millis()
    )
}

/// Rows of two texts.
fn pairs(rows: Rows) -> BTreeMap<String, String> {
    let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(first), Value::Text(second)]) => Some((first, second)),
        _ => None,
    };
    rows.rows.into_iter().filter_map(pair).collect()
}
