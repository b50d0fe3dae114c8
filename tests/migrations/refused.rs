//! What a migration may not do, and what its author is told.

use std::time::Duration;

use super::{Place, apply, group, rows, step, tables};
use wharf::database::{Tables, Value};

/// Statements behind a table `coupons (id, code)` of the group's own, and a word of what is said about each.
const REFUSED: &[(&str, &str)] = &[
    // What takes away, and what changes under a revision that serves.
    ("DROP TABLE coupons", "rollback must stay possible"),
    ("DROP INDEX coupons_code", "rollback must stay possible"),
    ("ALTER TABLE coupons DROP COLUMN code", "rollback must stay possible"),
    ("ALTER TABLE coupons RENAME TO vouchers", "rollback must stay possible"),
    ("ALTER TABLE coupons RENAME COLUMN code TO name", "rollback must stay possible"),
    ("ALTER TABLE coupons ALTER COLUMN code SET NOT NULL", "rollback must stay possible"),
    ("ALTER TABLE coupons ADD CONSTRAINT x CHECK (id > 0)", "ADD COLUMN"),
    ("ALTER TABLE coupons ADD COLUMN a INT, ADD COLUMN b INT", "ADD COLUMN"),
    ("ALTER TABLE coupons ADD COLUMN a INT NOT NULL", "DEFAULT"),
    ("ALTER TABLE coupons ADD COLUMN a INT NOT NULL DEFAULT NULL", "DEFAULT"),
    ("ALTER TABLE coupons ADD COLUMN a INT UNIQUE", "could refuse rows"),
    ("ALTER TABLE coupons ADD COLUMN a INT CHECK (a > 0)", "could refuse rows"),
    ("ALTER TABLE coupons ADD COLUMN a INT DEFAULT 1 REFERENCES coupons (id)", "no DEFAULT"),
    ("ALTER TABLE coupons OWNER TO postgres", "ADD COLUMN"),
    ("ALTER TABLE coupons ENABLE ROW LEVEL SECURITY", "ADD COLUMN"),
    ("CREATE UNIQUE INDEX coupons_once ON coupons (code)", "earlier step"),
    ("DELETE FROM coupons", "let the component do it"),
    ("UPDATE coupons SET code = 'x'", "let the component do it"),
    ("TRUNCATE coupons", "let the component do it"),
    // What leaves the tenant's file or schema.
    ("ATTACH DATABASE '/tmp/x' AS x", "ATTACH begins no statement"),
    ("DETACH DATABASE x", "DETACH begins no statement"),
    ("PRAGMA writable_schema = ON", "PRAGMA begins no statement"),
    ("VACUUM INTO '/tmp/x'", "VACUUM begins no statement"),
    ("SET search_path TO public", "SET begins no statement"),
    ("COPY coupons TO PROGRAM 'id'", "COPY begins no statement"),
    ("GRANT ALL ON coupons TO PUBLIC", "GRANT begins no statement"),
    ("DO $$ BEGIN END $$", "DO begins no statement"),
    ("COMMIT", "a transaction of its own"),
    ("BEGIN; COMMIT", "a transaction of its own"),
    ("SELECT 1", "SELECT begins no statement"),
    ("WITH x AS (SELECT 1) INSERT INTO coupons (id) SELECT 1 FROM x", "WITH begins no statement"),
    ("EXPLAIN INSERT INTO coupons (id) VALUES (1)", "EXPLAIN begins no statement"),
    ("CREATE TABLE public.redemptions (x INT)", "names stand alone"),
    ("CREATE TABLE main.redemptions (x INT)", "names stand alone"),
    ("CREATE TABLE temp.redemptions (x INT)", "names stand alone"),
    ("CREATE TABLE \"public\".\"redemptions\" (x INT)", "names stand alone"),
    ("CREATE TABLE redemptions (x INT REFERENCES pg_catalog.pg_class (oid))", "names stand alone"),
    ("INSERT INTO pg_catalog.pg_authid (rolname) VALUES ('x')", "names stand alone"),
    ("CREATE TEMP TABLE redemptions (x INT)", "CREATE TEMP is nothing"),
    ("CREATE TEMPORARY TABLE redemptions (x INT)", "CREATE TEMPORARY is nothing"),
    ("CREATE UNLOGGED TABLE redemptions (x INT)", "CREATE UNLOGGED is nothing"),
    ("CREATE VIRTUAL TABLE redemptions USING fts5(x)", "CREATE VIRTUAL is nothing"),
    ("CREATE VIEW redemptions AS SELECT 1", "CREATE VIEW is nothing"),
    ("CREATE TRIGGER x AFTER INSERT ON coupons BEGIN SELECT 1; END", "CREATE TRIGGER is nothing"),
    ("CREATE FUNCTION x() RETURNS INT LANGUAGE SQL AS 'SELECT 1'", "CREATE FUNCTION is nothing"),
    ("CREATE EXTENSION dblink", "CREATE EXTENSION is nothing"),
    ("CREATE SCHEMA x", "CREATE SCHEMA is nothing"),
    ("CREATE ROLE x SUPERUSER", "CREATE ROLE is nothing"),
    ("CREATE OR REPLACE TABLE coupons (x INT)", "CREATE OR is nothing"),
    // Tables of others, and of the databases.
    ("CREATE TABLE users (x INT)", "not in the manifest's [tables]"),
    ("CREATE TABLE IF NOT EXISTS \"reports\" (x INT)", "not in the manifest's [tables]"),
    ("INSERT INTO reports (id) VALUES (1)", "made by group reports"),
    ("ALTER TABLE reports ADD COLUMN x INT", "made by group reports"),
    ("CREATE INDEX x ON reports (id)", "made by group reports"),
    ("CREATE TABLE redemptions (x INT REFERENCES reports (id))", "made by group reports"),
    (
        "CREATE TABLE redemptions (x INT, FOREIGN KEY (x) REFERENCES reports (id))",
        "made by group reports",
    ),
    (
        "INSERT INTO _wharf_tables (name, group_name) VALUES ('reports', 'coupons')",
        "belongs to the database",
    ),
    ("INSERT INTO _wharf_migrations (name) VALUES ('x')", "belongs to the database"),
    ("INSERT INTO _SQLX_migrations (version) VALUES (1)", "belongs to the database"),
    ("ALTER TABLE \"_sqlx_migrations\" ADD COLUMN x INT", "belongs to the database"),
    ("CREATE TABLE sqlite_master (x INT)", "belongs to the database"),
    ("INSERT INTO sqlite_sequence (name) VALUES ('x')", "belongs to the database"),
    ("CREATE TABLE pg_x (x INT)", "belongs to the database"),
    // Names that are not what they look like.
    ("CREATE TABLE \"Coupons\" (x INT)", "is no name of a migration"),
    ("CREATE TABLE \"x\"\"; DROP TABLE coupons; --\" (x INT)", "is no name of a migration"),
    ("CREATE TABLE [redemptions] (x INT)", "has no place"),
    ("CREATE TABLE `redemptions` (x INT)", "line 1"),
    ("CREATE TABLE U&\"\\0075sers\" (x INT)", "line 1"),
    ("CREATE TABLE 'redemptions' (x INT)", "line 1"),
    ("CREATE TABLE rédemptions (x INT)", "is no name of a migration"),
    // What is computed, now or later.
    ("CREATE TABLE redemptions AS SELECT 1", "no AS SELECT"),
    ("CREATE TABLE redemptions (x INT) AS SELECT 1", "no AS SELECT"),
    ("CREATE TABLE redemptions (LIKE coupons)", "line 1"),
    ("CREATE TABLE redemptions (x INT) INHERITS (coupons)", "no AS SELECT"),
    ("CREATE TABLE redemptions (x INT) WITH (fillfactor = 10)", "no AS SELECT"),
    ("CREATE TABLE redemptions (x INT) TABLESPACE x", "line 1"),
    ("CREATE TABLE redemptions (x INT) PARTITION BY RANGE (x)", "no AS SELECT"),
    ("CREATE TABLE redemptions (x INT GENERATED ALWAYS AS (1) STORED)", "a column is numbered by"),
    (
        "CREATE TABLE redemptions (x INT GENERATED ALWAYS AS IDENTITY (START WITH 5) PRIMARY KEY)",
        "a column is numbered by",
    ),
    ("CREATE TABLE redemptions (x TEXT GENERATED ALWAYS AS IDENTITY)", "a column is numbered by"),
    ("CREATE TABLE redemptions (x INT DEFAULT (SELECT 1))", "a DEFAULT is a number"),
    ("CREATE TABLE redemptions (x INT DEFAULT random())", "a DEFAULT is a number"),
    ("CREATE TABLE redemptions (x TEXT DEFAULT current_user)", "a DEFAULT is a number"),
    (
        "CREATE TABLE redemptions (x TEXT DEFAULT pg_read_file('/etc/passwd'))",
        "a DEFAULT is a number",
    ),
    ("CREATE TABLE redemptions (x TEXT DEFAULT CURRENT_TIMESTAMP)", "a DEFAULT is a number"),
    ("CREATE TABLE redemptions (x TEXT CHECK (pg_sleep(1) IS NULL))", "no function but length"),
    ("CREATE TABLE redemptions (x TEXT CHECK (\"length\"(x) > 1))", "no function but length"),
    ("CREATE TABLE redemptions (x TEXT CHECK (length(DISTINCT x) > 1))", "no function but length"),
    ("CREATE TABLE redemptions (x TEXT CHECK (length(x, x) > 1))", "no function but length"),
    ("CREATE TABLE redemptions (x TEXT CHECK (x LIKE '%'))", "CHECK compares"),
    ("CREATE TABLE redemptions (x TEXT CHECK (EXISTS (SELECT 1)))", "CHECK compares"),
    ("CREATE TABLE redemptions (x TEXT CHECK (x IN (SELECT code FROM coupons)))", "CHECK compares"),
    ("CREATE TABLE redemptions (x TEXT CHECK (y = 'a'))", "no column of the table"),
    ("CREATE TABLE redemptions (x TEXT CHECK (x = \"a\"))", "no column of the table"),
    ("CREATE TABLE redemptions (x INT CHECK (x > 0) NO INHERIT)", "line 1"),
    ("CREATE TABLE redemptions (x TEXT COLLATE \"C\")", "a column takes"),
    ("CREATE TABLE redemptions (x INT REFERENCES coupons)", "names the columns"),
    ("CREATE TABLE redemptions (x INT REFERENCES coupons (id) DEFERRABLE)", "REFERENCES takes"),
    ("CREATE TABLE redemptions (x INT, EXCLUDE USING gist (x WITH =))", "line 1"),
    ("CREATE INDEX x ON coupons (lower(code))", "over columns"),
    ("CREATE INDEX x ON coupons (code) WHERE code IS NOT NULL", "no WHERE"),
    ("CREATE INDEX x ON coupons USING hash (code)", "no WHERE"),
    ("CREATE INDEX CONCURRENTLY x ON coupons (code)", "no WHERE"),
    ("CREATE INDEX ON coupons (code)", "a name"),
    ("CREATE INDEX x ON coupons (code COLLATE \"C\")", "line 1"),
    ("INSERT INTO coupons (id) SELECT 1", "literal values"),
    ("INSERT INTO coupons VALUES (1, 'x')", "names its columns"),
    ("INSERT INTO coupons (id) VALUES (1) RETURNING id", "literal values"),
    ("INSERT INTO coupons (id) VALUES (1) ON CONFLICT DO NOTHING", "literal values"),
    ("INSERT INTO coupons (id) VALUES (1, 2)", "2 values, and 1 columns"),
    (
        "INSERT INTO coupons (code) VALUES (current_setting('data_directory'))",
        "a value is a number",
    ),
    ("INSERT INTO coupons (code) VALUES ((SELECT 'x'))", "a value is a number"),
    ("INSERT INTO coupons (id) VALUES (1 + 1)", "has no place"),
    ("INSERT INTO coupons (code) VALUES ('a' || 'b')", "has no place"),
    ("INSERT INTO coupons (code) VALUES ($$x$$)", "has no place"),
    ("INSERT INTO coupons (code) VALUES ($1)", "has no place"),
    ("INSERT INTO coupons (code) VALUES (E'\\'')", "has no place"),
    ("INSERT INTO coupons (code) VALUES (X'00')", "has no place"),
    ("INSERT INTO coupons (id) VALUES ('1'::bigint)", "has no place"),
    // Types that are not the same on both databases.
    ("CREATE TABLE redemptions (x VARCHAR(10))", "write TEXT"),
    ("CREATE TABLE redemptions (x TIMESTAMP)", "seconds since 1970"),
    ("CREATE TABLE redemptions (x JSONB)", "INTEGER, BIGINT, BOOLEAN"),
    ("CREATE TABLE redemptions (x SERIAL PRIMARY KEY)", "INTEGER, BIGINT, BOOLEAN"),
    ("CREATE TABLE redemptions (x regclass)", "INTEGER, BIGINT, BOOLEAN"),
    ("CREATE TABLE redemptions (x)", "line 1"),
    // What is no SQL, and what would be a deep tree.
    ("CREATE TABLE", "line 1"),
    ("CREATE TABLE redemptions (x INT", "line 1"),
    ("CREATE TABLE redemptions (x INT) CREATE TABLE y (z INT)", "line 1"),
    ("INSERT INTO coupons (code) VALUES ('open)", "line 1"),
    ("/* open", "line 1"),
    ("\n\n  DROP TABLE coupons", "line 3"),
    ("INSERT INTO coupons (id) VALUES (1);\n/* ; */ -- ;\nDROP TABLE coupons", "line 3"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_migration_may_not_do_is_refused_in_words() {
    for place in Place::both().await {
        let database = place.open().await;
        let first = step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY, code TEXT)");
        apply(&database, std::slice::from_ref(&first)).await.expect("it is applied");
        let reports = step("0001_reports", "CREATE TABLE reports (id BIGINT PRIMARY KEY)");
        let named = tables("reports = \"write\"");
        database.apply("reports", &[reports], &named).await.expect("it is applied");
        let mut wrong = Vec::new();
        for (sql, word) in REFUSED {
            let steps = [first.clone(), step("0002_refused", sql)];
            let told = apply(&database, &steps).await.err().unwrap_or_default();
            if !told.contains("0002_refused is refused at line ") || !told.contains(word) {
                wrong.push(format!("{sql}: {told:?} does not say {word:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        assert!(rows(&coupons, "SELECT id, code FROM coupons").await.rows.is_empty());
    }
}

/// Not even an index or a key of a table that was there before is in another group's way, and a table that the
/// host made is nobody's.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_no_group_made_belongs_to_none() {
    for place in Place::both().await {
        let database = place.open().await;
        let coupons = step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)");
        apply(&database, std::slice::from_ref(&coupons)).await.expect("it is applied");
        let named = tables("coupons = \"write\"");
        for sql in ["CREATE TABLE coupons (x INT)", "CREATE TABLE IF NOT EXISTS coupons (x INT)"] {
            let told =
                database.apply("reports", &[step("0001_x", sql)], &named).await.expect_err(sql);
            assert!(
                told.contains("made by group coupons") && told.contains("reports_coupons"),
                "{told}"
            );
        }
        // For its own group it is merely there.
        let again = step("0002_again", "CREATE TABLE IF NOT EXISTS coupons (x INT)");
        apply(&database, &[coupons, again]).await.expect("it is applied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_are_nobodys_to_read() {
    for place in Place::both().await {
        let database = place.open().await;
        apply(&database, &[step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)")])
            .await
            .expect("it is applied");
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        for sql in [
            "SELECT * FROM _wharf_tables",
            "DELETE FROM \"_wharf_migrations\"",
            "SELECT (SELECT MAX(name) FROM _wharf_tables)",
        ] {
            let told = coupons.query(sql, Vec::new()).await.expect_err(sql).to_string();
            assert!(told.contains("belongs to the database"), "{sql}: {told}");
        }
        for table in ["_wharf_tables", "_sqlx_migrations", "sqlite_schema"] {
            let asked = tables(&format!("{table} = \"read\""));
            let opened = database.for_group("coupons", &asked, &Tables::default(), &[7; 32]).await;
            let told = opened.expect_err("it is refused");
            assert!(told.contains(table) && told.contains("belongs to the database"), "{told}");
        }
        // Whatever reading statements may miss: the database itself says no.
        if !place.is_sqlite() {
            let sql = "SELECT COUNT(*) FROM pg_roles WHERE rolname LIKE 'wharf\\_%\\_coupons' AND has_table_privilege(oid, 'tenant_acme._wharf_tables', 'SELECT, INSERT, UPDATE, DELETE')";
            assert_eq!(rows(&database, sql).await.rows, [[Value::Integer(0)]]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_have_sizes_and_a_time() {
    for mut place in Place::both().await {
        place.limits.migrations = 2;
        place.limits.migration_bytes = 6_000;
        place.limits.migration_statements = 3;
        place.limits.migration = Duration::from_secs(1);
        let database = place.open().await;
        let table = "CREATE TABLE coupons (id BIGINT PRIMARY KEY);";
        let first = step("0001_coupons", table);
        let long = step("0001_long", &format!("{table}{}", " ".repeat(6_000)));
        let many = step(
            "0001_many",
            &format!("{table}{}", "INSERT INTO coupons (id) VALUES (1);".repeat(3)),
        );
        let deep = step(
            "0001_deep",
            &format!(
                "CREATE TABLE coupons (id BIGINT CHECK ({}id > 0{}))",
                "(".repeat(2_000),
                ")".repeat(2_000)
            ),
        );
        let chain = step(
            "0001_chain",
            &format!("CREATE TABLE coupons (id BIGINT CHECK (id > 0{}))", " OR id=1".repeat(600)),
        );
        let wide = (0..201).map(|column| format!("c{column} INT")).collect::<Vec<_>>().join(",");
        let wide = step("0001_wide", &format!("CREATE TABLE coupons ({wide})"));
        let named = [
            step("coupons", table),
            step("1_coupons", table),
            step("0001_Coupons", table),
            step("0001_../x", table),
        ];
        for (refused, word) in [
            (long, "sql.migration_bytes"),
            (many, "sql.migration_statements"),
            (deep, "20 levels"),
            (chain, "100 operators"),
            (wide, "200 columns"),
        ]
        .into_iter()
        .chain(named.map(|step| (step, "rename the file")))
        {
            let told = apply(&database, std::slice::from_ref(&refused)).await.expect_err(word);
            assert!(told.contains(word), "{}: {told}", refused.name);
        }
        let twice = [first.clone(), first.clone()];
        assert!(apply(&database, &twice).await.expect_err("twice").contains("number them"));
        let steps: Vec<_> = (1..=3).map(|number| step(&format!("000{number}_more"), "")).collect();
        assert!(apply(&database, &steps).await.expect_err("too many").contains("sql.migrations"));
        apply(&database, &[first]).await.expect("it is applied");
        // A component may leave out what was applied before; it counts nevertheless.
        apply(&database, &steps[1..2]).await.expect("it is applied");
        assert!(
            apply(&database, &steps[2..]).await.expect_err("too many").contains("sql.migrations")
        );
    }
}

/// A migration that waits for a transaction of the component's gives up, and has changed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_does_not_wait_for_ever() {
    for mut place in Place::both().await {
        place.limits.wait = Duration::from_millis(300);
        place.limits.transaction = Duration::from_secs(30);
        let database = place.open().await;
        let first = step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)");
        apply(&database, std::slice::from_ref(&first)).await.expect("it is applied");
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        let mut open = coupons.begin().await.expect("a transaction");
        open.execute("INSERT INTO coupons (id) VALUES (1)", Vec::new()).await.expect("a row");
        let steps = [first, step("0002_note", "ALTER TABLE coupons ADD COLUMN note TEXT")];
        let told = apply(&database, &steps).await.expect_err("it waits for the lock");
        assert!(told.contains("try again"), "{told}");
        open.commit().await.expect("committed");
        assert_eq!(apply(&database, &steps).await.expect("it is applied"), ["0002_note"]);
    }
}
