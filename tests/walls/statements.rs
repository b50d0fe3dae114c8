//! Statements that try to leave the tenant's rows.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::{ENDLESS, hostile, hostile_on_both, told};
use crate::support::{TestHost, postgres};

/// What neither database is even asked.
const FOR_BOTH: &[&str] = &[
    // Other statements.
    "ATTACH DATABASE '/tmp/x' AS x",
    "PRAGMA writable_schema = ON",
    "SET ROLE wharf",
    "SET search_path TO public",
    "RESET ALL",
    "COPY users TO '/tmp/x'",
    "CREATE TEMP TABLE x (y INT)",
    "CREATE TRIGGER x AFTER INSERT ON users BEGIN SELECT 1; END",
    "EXPLAIN SELECT 1",
    "VACUUM INTO '/tmp/x'",
    "LISTEN x",
    "DO 'BEGIN END'",
    "CALL x()",
    "TABLE users",
    "(SELECT 1)",
    // Several of them, or one behind a comment.
    "SELECT 1; SELECT 2",
    "SELECT 1 /* ; */",
    "SELECT set_config --count\n('role', 'wharf', false)",
    "SELECT set_config/**/('role', 'wharf', false)",
    // The session's settings, locks and notes.
    "SELECT set_config('role', 'wharf', false)",
    "SELECT pg_catalog.set_config('statement_timeout', '0', false)",
    "SELECT SET_CONFIG ('search_path', 'wharf', false)",
    "SELECT \"set_config\"('role', 'wharf', false)",
    "SELECT U&\"\\0073et_config\"('role', 'wharf', false)",
    "SELECT U&\"!0073et_config\" UESCAPE '!' ('role', 'wharf', false)",
    "SELECT `set_config`('role', 'wharf', false)",
    "SELECT [set_config]('role', 'wharf', false)",
    "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
    "UPDATE U&\"\\0070g_settings\" SET setting = '0'",
    "UPDATE \"pg_settings\" SET setting = '0'",
    "SELECT current_setting('data_directory')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock_shared(1, 2)",
    "SELECT pg_notify('x', 'y')",
    "SELECT query_to_xml('select set_' || 'config(''role'', ''wharf'', false)', true, true, '')",
    "SELECT nextval('users_id_seq')",
    // Files, other servers, other sessions, time.
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT lo_import('/etc/hostname')",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT * FROM dblink('dbname=x', 'select 1') AS x (y INT)",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_sleep(100)",
    "SELECT load_extension('x')",
    "SELECT readfile('/etc/hostname')",
    // Much out of little.
    "SELECT randomblob(1000000000)",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT repeat('x', 1000000000)",
    "SELECT COUNT(*) FROM generate_series(1, 1000000000000)",
    "SELECT replace('x', 'y', 'z')",
    // The catalogue.
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_table_list",
    "SELECT * FROM _sqlx_migrations",
    "INSERT INTO sqlite_sequence VALUES ('users', 1)",
    "SELECT * FROM pg_authid",
    "SELECT passwd FROM pg_catalog.pg_shadow",
    "SELECT query FROM pg_stat_activity",
    "SELECT * FROM information_schema.tables",
    // Tables that would outlive the request.
    "SELECT 1 AS x INTO y",
    "SELECT 1 AS x INTO TEMP y",
    "SELECT insert INTO TEMP y FROM (SELECT 1 AS insert) AS x",
    "SELECT 1 AS x INTO TEMPORARY TABLE y",
    // INSERT is a name here, and the table that is made would be the role's own.
    "SELECT 1 AS a, 2 insert INTO kept",
    "SELECT 16384::oid::regnamespace::text",
    "SELECT current_user",
    "SELECT 1 FROM \u{feff}sqlite_schema",
    // Doubled again and again, it is gigabytes.
    "WITH RECURSIVE n(i, x) AS (SELECT 1, 'x' UNION ALL SELECT i + 1, x || x FROM n WHERE i < 30) SELECT MAX(length(x)) FROM n",
    "SELECT concat(code, code) FROM invitation_codes",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_beyond_rows_is_denied_on_both_databases() {
    for host in hostile_on_both(|config| {
        config.sql.connections = 1;
        config.sql.statement_milliseconds = 1_000;
    })
    .await
    {
        for sql in FOR_BOTH {
            let told = told(&host, sql).await;
            assert!(told.contains("Denied"), "{sql}: {told}");
        }
        // The one connection that all of them had goes on, and still has its limits.
        assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
        assert!(told(&host, ENDLESS).await.contains("Timeout"));
        assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_components_need_passes_on_both_databases() {
    for host in hostile_on_both(|_| {}).await {
        for sql in [
            " select 1 ; ",
            "SELECT COUNT(*), MAX(length(lower(province))) FROM user_addresses WHERE (id IN (1, 2)) AND NOT (zip LIKE 'a%')",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT CAST(i AS VARCHAR(9)) FROM n",
            "WITH known AS (SELECT code FROM invitation_codes) SELECT COUNT(*) FROM known",
            "INSERT INTO invitation_codes (code) VALUES ('a') ON CONFLICT (code) DO UPDATE SET usage_times = invitation_codes.usage_times + 1 RETURNING code",
            "UPDATE invitation_codes SET usage_times = coalesce(usage_limit, 0) WHERE code = 'a' RETURNING code",
            "DELETE FROM invitation_codes WHERE code IN (SELECT code FROM invitation_codes) RETURNING code",
            "SELECT row_number() OVER (PARTITION BY city ORDER BY id) FROM user_addresses",
        ] {
            let told = told(&host, sql).await;
            assert!(told.ends_with(" rows\""), "{sql}: {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_schema_is_reached_on_postgres() {
    let Some(host) = on_postgres().await else { return };
    for sql in [
        "SELECT * FROM wharf.token_families",
        "SELECT (SELECT MAX(family_id) FROM wharf.token_families)",
        "WITH gone AS (DELETE FROM wharf.token_families RETURNING family_id) SELECT * FROM gone",
        "INSERT INTO wharf.user_generations VALUES ('store', 1, 9)",
    ] {
        let told = told(&host, sql).await;
        assert!(told.contains("Denied") && told.contains("schema wharf"), "{sql}: {told}");
    }
}

/// Whatever reading statements may miss: the role itself has no more than its tables. The test's own
/// connection is a superuser's that has put the role on, and sends what it likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_groups_role_on_postgres_has_no_more_than_its_tables() {
    let Some(host) = on_postgres().await else { return };
    let mut role = connect(&host).await;
    let name = role_of(&mut role, "hostile").await;
    role.execute(AssertSqlSafe(format!("SET ROLE {name}"))).await.expect("the role is there");
    for sql in [
        "SELECT * FROM tenant_default.users",
        "SELECT * FROM tenant_default._sqlx_migrations",
        "INSERT INTO tenant_default.user_addresses (user_id) VALUES (1)",
        "SELECT * FROM wharf.token_families",
        "SELECT * FROM pg_catalog.pg_authid",
        "SELECT * FROM pg_shadow",
        "CREATE TABLE tenant_default.x (y INT)",
        "CREATE TABLE public.x (y INT)",
        "CREATE SCHEMA x",
        "CREATE ROLE x",
        "DROP TABLE tenant_default.invitation_codes",
        "ALTER TABLE tenant_default.invitation_codes ADD COLUMN x INT",
        "TRUNCATE tenant_default.invitation_codes",
        "COPY tenant_default.invitation_codes TO '/tmp/wharf-must-not-be'",
        "COPY tenant_default.invitation_codes TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'wharf' AND pid <> pg_backend_pid()",
        "ALTER SYSTEM SET fsync = on",
    ] {
        let refused = role.execute(sql).await.expect_err(sql);
        let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {refused}");
    }
    role.execute("INSERT INTO tenant_default.invitation_codes (code) VALUES ('a')")
        .await
        .expect("what was granted works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_role_on_postgres_signs_in_with_the_hosts_password_alone() {
    let Some(host) = on_postgres().await else { return };
    let mut admin = connect(&host).await;
    let name = role_of(&mut admin, "hostile").await;
    let url = host.postgres().expect("PostgreSQL").replace("wharf@", &format!("{name}:guess@"));
    let refused = PgConnection::connect(&url).await.expect_err("a guess signs nobody in");
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    // The host itself has signed in as the role to serve this.
    assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
    let limit: i32 = sqlx::query_scalar("SELECT rolconnlimit FROM pg_roles WHERE rolname = $1")
        .bind(&name)
        .fetch_one(&mut admin)
        .await
        .expect("the role");
    assert_eq!(limit, 100, "sql.role_connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_statements_on_sqlite_have_sizes() {
    let host = hostile(|config| config.sql.value_bytes = 10_000).await;
    let hex = |length: usize| format!("SELECT hex('{}')", "x".repeat(length));
    assert_eq!(told(&host, &hex(4_500)).await, "\"1 rows\"");
    let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
    let wide = vec!["SELECT 1"; 60].join(" UNION ALL ");
    let pattern = format!("SELECT province LIKE '{}' FROM user_addresses", "%a".repeat(300));
    for sql in [&hex(6_000), &deep, &wide] {
        let told = told(&host, sql).await;
        assert!(told.contains("InvalidValue") || told.contains("Failed"), "{sql}: {told}");
    }
    // A pattern is only looked at where there is a row.
    host.sql("INSERT INTO users (realm, name, username, password, created_at, updated_at) VALUES ('store', 'a', 'a', '', 0, 0)", Vec::new()).await;
    host.sql("INSERT INTO user_addresses (user_id, province, city, district, address, zip, contact_name, contact_phone, created_at, updated_at) SELECT MAX(id), 'a', '', '', '', '', '', '', 0, 0 FROM users", Vec::new()).await;
    assert!(told(&host, &pattern).await.contains("pattern too complex"));
    assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
}

async fn on_postgres() -> Option<TestHost> {
    let url = postgres::fresh_database().await?;
    Some(hostile(|config| config.database = Some(url)).await)
}

/// A superuser's connection to the host's database.
async fn connect(host: &TestHost) -> PgConnection {
    PgConnection::connect(host.postgres().expect("PostgreSQL")).await.expect("the server answers")
}

/// The role of a group in this connection's database.
async fn role_of(connection: &mut PgConnection, group: &str) -> String {
    let sql = "SELECT DISTINCT grantee::regrole::text FROM pg_namespace, aclexplode(nspacl)
               WHERE nspname = 'tenant_default' AND grantee::regrole::text LIKE 'wharf\\_%\\_' || $1";
    let role = sqlx::query_scalar(sql).bind(group).fetch_one(connection).await;
    role.expect("the group has one role")
}
