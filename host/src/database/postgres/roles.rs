//! A role for each group, which owns nothing and reaches the tables that the group was granted.
//!
//! Roles belong to the whole server and rights to a database: a role's name tells the database, the
//! schema and the group. When a group is opened, its rights are taken away and granted anew, in one
//! transaction, so that whoever serves meanwhile, here or on other hosts, has the old ones or the new ones.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest as _, Sha256};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool};

use super::super::rights::{Right, Rights};
use super::super::{Group, Limits, Tables, no_such_table};

/// Rounds of a password's hash, as many as PostgreSQL makes itself. The password is 256 random bits,
/// which no number of rounds would make harder to guess.
const ROUNDS: u32 = 4_096;

/// The longest name that PostgreSQL keeps, in bytes (`NAMEDATALEN` less one).
const LONGEST_NAME: usize = 63;

/// What the hosts of a database queue for while they settle its roles.
const LOCK: i64 = 0x7768_6172_6600_0001;

/// What a group signs in with. It has no `Debug`, so that no log line can hold it.
pub(super) struct Role {
    pub(super) name: String,
    pub(super) password: String,
}

/// What the server says about the host's user and the groups' roles.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The host's user.
    pub user: String,
    /// Whether it may make roles.
    pub makes_roles: bool,
    /// Whether everybody may make temporary tables in the database.
    pub public_makes_temporary: bool,
    /// Groups whose roles the next start makes.
    pub missing: Vec<String>,
    /// Groups whose roles have more power than any start gives them, and which.
    pub too_mighty: Vec<String>,
    /// The time there, in unix seconds.
    pub now: i64,
}

impl Role {
    /// The role of a group, whose password follows from its name and the key.
    fn of(database: &str, schema: &str, group: &str, key: &[u8; 32]) -> Self {
        let name = name(database, schema, group);
        let password = hex::encode(mac(key, &name));
        Role { name, password }
    }

    /// The password as PostgreSQL stores it (RFC 5803): neither a statement nor the server's log holds
    /// what opens a session.
    fn verifier(&self, key: &[u8; 32]) -> String {
        let salt = &mac(key, &format!("salt of {}", self.name))[..16];
        let mut salted = [0; 32];
        pbkdf2_hmac::<Sha256>(self.password.as_bytes(), salt, ROUNDS, &mut salted);
        let stored = Sha256::digest(mac(&salted, "Client Key"));
        let server = mac(&salted, "Server Key");
        let [salt, stored, server] =
            [salt, stored.as_slice(), &server].map(|bytes| STANDARD.encode(bytes));
        format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored}:{server}")
    }
}

/// `wharf_`, 16 hexadecimal digits of a hash, and the group for people to read.
fn name(database: &str, schema: &str, group: &str) -> String {
    let hash = Sha256::digest(format!("{database}\0{schema}\0{group}"));
    let mut name = format!("wharf_{}_", hex::encode(&hash[..8]));
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.extend(group.chars().map(plain).take(LONGEST_NAME - name.len()));
    name
}

fn mac(key: &[u8; 32], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Makes what roles are missing and settles the rights of all; answers in the groups' order.
///
/// # Errors
/// A sentence that names what is missing and the remedy.
pub(super) async fn establish(
    pool: &PgPool,
    schema: &str,
    groups: &[(Arc<Group>, &Tables)],
    limits: &Limits,
    key: &[u8; 32],
) -> Result<Vec<Role>, String> {
    let cannot = |error: sqlx::Error| {
        format!("cannot settle the roles of the groups in the PostgreSQL database: {error}")
    };
    let mut transaction = pool.begin().await.map_err(cannot)?;
    // The schema's first: whoever waits for its migrations keeps no other tenant waiting.
    for lock in [schema_lock(schema), LOCK] {
        let locked = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock);
        locked.execute(&mut *transaction).await.map_err(cannot)?;
    }
    let (database, user, may): (String, String, bool) =
        whoami(&mut transaction).await.map_err(cannot)?;
    if !may {
        return Err(format!(
            "the PostgreSQL user {user} may not make roles, and each group signs in with one of its own; as a superuser, run: ALTER ROLE {} CREATEROLE",
            quoted(&user)
        ));
    }
    let tables = tables(&mut transaction, schema).await.map_err(cannot)?;
    let mut roles = Vec::new();
    for (group, serving) in groups {
        let is_there = |table: &str| tables.iter().any(|there| there == table);
        if let Some((table, _)) = group.tables.iter().find(|(table, _)| !is_there(table)) {
            let tables = tables.iter().map(String::as_str);
            return Err(no_such_table(&group.name, table, tables));
        }
        let role = Role::of(&database, schema, &group.name, key);
        let there = exists(&mut transaction, &role.name).await.map_err(cannot)?;
        let mut statements = settle(&role, there, limits, key);
        let serving = serving.iter().filter(|(table, _)| is_there(table));
        grant(&mut statements, schema, &role, group.tables.iter().chain(serving));
        transaction.execute(AssertSqlSafe(statements)).await.map_err(cannot)?;
        roles.push(role);
    }
    transaction.commit().await.map_err(cannot)?;
    Ok(roles)
}

/// The database, the host's user, and whether it may make roles.
async fn whoami(connection: &mut PgConnection) -> Result<(String, String, bool), sqlx::Error> {
    let sql = "SELECT current_database()::text, current_user::text, rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user";
    sqlx::query_as(sql).fetch_one(connection).await
}

/// What hosts queue for while they change a schema, or the rights to its tables.
pub(super) fn schema_lock(schema: &str) -> i64 {
    let hash = Sha256::digest(format!("schema {schema}"));
    i64::from_be_bytes(hash[..8].try_into().expect("eight bytes"))
}

/// Takes a group's role away, with its rights. One that is not there is gone already.
///
/// # Errors
/// A sentence that names the role, and what hinders.
pub(super) async fn drop(pool: &PgPool, schema: &str, group: &str) -> Result<(), String> {
    let dropped = async {
        let mut transaction = pool.begin().await?;
        for lock in [schema_lock(schema), LOCK] {
            let locked = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock);
            locked.execute(&mut *transaction).await?;
        }
        let (database, ..) = whoami(&mut transaction).await?;
        let role = name(&database, schema, group);
        if exists(&mut transaction, &role).await? {
            let mut statements = String::new();
            revoke(&mut statements, schema, &quoted(&role));
            let _ = write!(statements, "DROP ROLE {};", quoted(&role));
            transaction.execute(AssertSqlSafe(statements)).await?;
        }
        transaction.commit().await
    };
    dropped.await.map_err(|error: sqlx::Error| {
        format!("the role of group {group} in schema {schema} cannot be dropped: {error}; drop it by hand once nobody is signed in with it")
    })
}

/// The tables of the schema but for the records of migrations.
async fn tables(connection: &mut PgConnection, schema: &str) -> Result<Vec<String>, sqlx::Error> {
    let sql = "SELECT relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm') AND relname <> '_sqlx_migrations' AND NOT starts_with(relname, '_wharf_')";
    sqlx::query_scalar(sql).bind(schema).fetch_all(connection).await
}

async fn exists(connection: &mut PgConnection, role: &str) -> Result<bool, sqlx::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)";
    sqlx::query_scalar(sql).bind(role).fetch_one(connection).await
}

/// The statements that make a role what it should be. What only superusers have is not named, since
/// only they may name it; a new role has none of it.
fn settle(role: &Role, there: bool, limits: &Limits, key: &[u8; 32]) -> String {
    let name = quoted(&role.name);
    let mut statements = String::new();
    if !there {
        let _ = write!(statements, "CREATE ROLE {name};");
    }
    let _ = write!(
        statements,
        "ALTER ROLE {name} LOGIN NOINHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {} PASSWORD '{}';",
        limits.role_connections,
        role.verifier(key)
    );
    statements
}

/// The statements that take all rights from a role, and grant those to tables.
fn grant<'a>(
    statements: &mut String,
    schema: &str,
    role: &Role,
    tables: impl Iterator<Item = (&'a str, &'a Rights)>,
) {
    let role = quoted(&role.name);
    revoke(statements, schema, &role);
    let schema = quoted(schema);
    let _ = write!(statements, "GRANT USAGE ON SCHEMA {schema} TO {role};");
    for (table, rights) in tables {
        let verbs: Vec<&str> = rights.iter().map(verb).collect();
        if verbs.is_empty() {
            continue;
        }
        let table = format!("{schema}.{}", quoted(table));
        let _ = write!(statements, "GRANT {} ON {table} TO {role};", verbs.join(", "));
    }
}

/// The statements that take all rights from a role, and those that everybody would have.
fn revoke(statements: &mut String, schema: &str, role: &str) {
    let schema = quoted(schema);
    for of in ["TABLES", "SEQUENCES", "FUNCTIONS"] {
        let _ =
            write!(statements, "REVOKE ALL ON ALL {of} IN SCHEMA {schema} FROM PUBLIC, {role};");
    }
    let _ = write!(statements, "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {role};");
}

fn verb(right: Right) -> &'static str {
    match right {
        Right::Read => "SELECT",
        Right::Insert => "INSERT",
        Right::Update => "UPDATE",
        Right::Delete => "DELETE",
    }
}

/// A name as PostgreSQL takes it literally.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Looks at the user and the roles, and changes nothing.
pub(super) async fn standing(
    pool: &PgPool,
    schema: &str,
    groups: &[String],
) -> Result<Standing, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let (database, user, makes_roles) = whoami(&mut connection).await?;
    let public_makes_temporary = sqlx::query_scalar(
        "SELECT has_database_privilege('public', current_database(), 'TEMPORARY')",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (mut missing, mut too_mighty) = (Vec::new(), Vec::new());
    for group in groups {
        let role = name(&database, schema, group);
        let mighty: Option<bool> = sqlx::query_scalar(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
                 OR EXISTS (SELECT 1 FROM pg_auth_members WHERE member = pg_roles.oid)
             FROM pg_roles WHERE rolname = $1",
        )
        .bind(&role)
        .fetch_optional(&mut *connection)
        .await?;
        match mighty {
            None => missing.push(group.clone()),
            Some(true) => too_mighty.push(role),
            Some(false) => {}
        }
    }
    let now = sqlx::query_scalar("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")
        .fetch_one(&mut *connection)
        .await?;
    Ok(Standing { user, makes_roles, public_makes_temporary, missing, too_mighty, now })
}
