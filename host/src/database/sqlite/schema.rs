//! The tables of a file and what binds them, and what a group may do with them.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sqlx::{Row as _, SqliteConnection};

use super::super::rights::Right;
use super::super::{Group, no_such_table};

/// The tables of a file. All names are in lower case, as SQLite compares them.
#[derive(Debug)]
pub(super) struct Schema {
    /// Changes with every change of the schema (<https://sqlite.org/pragma.html#pragma_schema_version>).
    version: i64,
    tables: BTreeSet<String>,
    keys: Vec<ForeignKey>,
}

/// A foreign key of one column.
#[derive(Debug)]
struct ForeignKey {
    child: (String, String),
    parent: (String, String),
    /// Whether rows of the child are deleted with their parent.
    deletes: bool,
    /// Whether columns of the child change with their parent.
    changes: bool,
}

impl Schema {
    /// Reads the tables as they are now.
    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        // First: what changes while the rest is read is seen at the next look.
        let version = Schema::version(connection).await?;
        let tables = sqlx::query_scalar::<_, String>(
            "SELECT lower(name) FROM sqlite_schema WHERE type IN ('table', 'view')",
        );
        let tables = tables.fetch_all(&mut *connection).await?.into_iter().collect();
        let keys = sqlx::query(
            r#"SELECT lower(owner.name), lower(key."from"), lower(key."table"), lower(coalesce(key."to", '')), key.on_delete, key.on_update
               FROM sqlite_schema AS owner, pragma_foreign_key_list(owner.name) AS key WHERE owner.type = 'table'"#,
        );
        let mut read = Vec::new();
        for row in keys.fetch_all(connection).await? {
            let (on_delete, on_update): (String, String) = (row.try_get(4)?, row.try_get(5)?);
            let sets = |action: &str| action.starts_with("SET ");
            read.push(ForeignKey {
                child: (row.try_get(0)?, row.try_get(1)?),
                parent: (row.try_get(2)?, row.try_get(3)?),
                deletes: on_delete == "CASCADE",
                changes: sets(&on_delete) || sets(&on_update) || on_update == "CASCADE",
            });
        }
        Ok(Schema { version, tables, keys: read })
    }

    /// What the version of a file's schema is now.
    pub(super) async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("PRAGMA schema_version").fetch_one(connection).await
    }

    /// Looks whether all tables of a group are there.
    ///
    /// # Errors
    /// A sentence that names a table that is not there.
    pub(super) fn check(&self, group: &Group) -> Result<(), String> {
        let missing = group.tables.iter().find(|(table, _)| !self.tables.contains(*table));
        missing.map_or(Ok(()), |(table, _)| {
            let tables = self.tables.iter().map(String::as_str);
            Err(no_such_table(&group.name, table, tables))
        })
    }
}

/// The tables as they are now, and since when.
#[derive(Debug)]
pub(super) struct Current(RwLock<(Arc<Schema>, Instant)>);

impl Current {
    pub(super) fn new(schema: Schema) -> Self {
        Current(RwLock::new((Arc::new(schema), Instant::now())))
    }

    /// The tables.
    pub(super) fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Whether the tables are those of this version.
    pub(super) fn is_of(&self, version: i64) -> bool {
        self.schema().version == version
    }

    /// Has connections that are opened from now on know these tables, and those before used no more.
    pub(super) fn replace(&self, schema: Schema) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = (Arc::new(schema), Instant::now());
    }

    /// Whether a connection of this age was opened since the tables are as they are.
    pub(super) fn covers(&self, age: Duration) -> bool {
        age < self.0.read().unwrap_or_else(PoisonError::into_inner).1.elapsed()
    }
}

/// What the connections of a group may do, or those of the host.
#[derive(Debug)]
pub(super) struct Access {
    schema: Arc<Schema>,
    /// The host's own connections reach every table.
    group: Option<Arc<Group>>,
    /// Columns that are read to hold foreign keys, though their table may not be.
    read: BTreeSet<(String, String)>,
    /// Tables whose rows go with those of another.
    deleted: BTreeSet<String>,
    /// Columns that change with those of another table.
    changed: BTreeSet<(String, String)>,
}

impl Access {
    /// What a group may do, and what the schema does in its wake: SQLite asks for that, too, and does
    /// not tell it from what the statement says. PostgreSQL does it as the tables' owner. The host may do
    /// everything that statements can.
    pub(super) fn of(schema: Arc<Schema>, group: Option<Arc<Group>>) -> Self {
        let (read, deleted, changed) = Default::default();
        let mut access = Access { schema, group, read, deleted, changed };
        if access.is_of_group() {
            access.follow_keys();
        }
        access
    }

    /// Whether it is a group's, not the host's.
    pub(super) fn is_of_group(&self) -> bool {
        self.group.is_some()
    }

    fn follow_keys(&mut self) {
        let schema = Arc::clone(&self.schema);
        let (mut read, mut changed) = (BTreeSet::new(), BTreeSet::new());
        let mut gone = BTreeSet::new();
        loop {
            let before = gone.len();
            for key in &schema.keys {
                let deletes =
                    self.granted(&key.parent.0, Right::Delete) || gone.contains(&key.parent.0);
                let changes = self.granted(&key.parent.0, Right::Update);
                let inserts = [Right::Insert, Right::Update]
                    .iter()
                    .any(|right| self.granted(&key.child.0, *right));
                if deletes && key.deletes {
                    gone.insert(key.child.0.clone());
                }
                if (deletes || changes) && key.changes {
                    changed.insert(key.child.clone());
                }
                if deletes || changes || inserts {
                    read.extend([key.child.clone(), key.parent.clone()]);
                }
            }
            if gone.len() == before {
                break;
            }
        }
        (self.read, self.deleted, self.changed) = (read, gone, changed);
    }

    fn granted(&self, table: &str, right: Right) -> bool {
        self.group.as_ref().is_none_or(|group| group.tables.allow(table, right))
    }

    /// Whether a statement may do something with a column of a table; SQLite names no column where a
    /// whole row is meant, and an empty one where a table is only counted.
    ///
    /// # Errors
    /// Why not, for the component to read.
    pub(super) fn check(&self, right: Right, table: &str, column: &str) -> Result<(), String> {
        let table = table.to_ascii_lowercase();
        let named = || (table.clone(), column.to_ascii_lowercase());
        let allowed = self.granted(&table, right)
            || match right {
                // A table that WITH names looks like one whose columns nobody reads.
                Right::Read if column.is_empty() => !self.schema.tables.contains(&table),
                Right::Read => self.read.contains(&named()),
                Right::Update => self.changed.contains(&named()),
                Right::Delete => self.deleted.contains(&table),
                Right::Insert => false,
            };
        match &self.group {
            Some(group) if !allowed => Err(group.tables.refusal(&group.name, &table, right)),
            _ => Ok(()),
        }
    }
}
