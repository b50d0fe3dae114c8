//! Migrations that a component carries, on both databases: what they may do, what they may not, and that an
//! older revision notices nothing.

mod refused;

use wharf::Config;
use wharf::database::{Database, Failure, Limits, Location, Migrations, Rows, Step, Tables, Value};

use crate::support::postgres;

/// The database of a tenant that inherits nothing.
struct Place {
    location: Location,
    limits: Limits,
    _folder: tempfile::TempDir,
}

impl Place {
    /// One on SQLite and, where it is installed, one on PostgreSQL.
    async fn both() -> Vec<Place> {
        let place = |location, folder| Place {
            location,
            limits: Config::default().sql.limits(),
            _folder: folder,
        };
        let folder = || tempfile::tempdir().expect("a temporary folder");
        let (first, second) = (folder(), folder());
        let mut places = vec![place(Location::Sqlite(first.path().join("acme.db")), first)];
        if let Some(url) = postgres::fresh_database().await {
            places.push(place(Location::Postgres { url, schema: "tenant_acme".into() }, second));
        }
        places
    }

    /// As another host opens it.
    async fn open(&self) -> Database {
        let database = Database::open(&self.location, self.limits, &Migrations::none()).await;
        database.expect("the database opens")
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.location, Location::Sqlite(_))
    }
}

fn step(name: &str, sql: &str) -> Step {
    Step { name: name.to_owned(), sql: sql.to_owned() }
}

fn tables(toml: &str) -> Tables {
    toml::from_str(toml).expect("tables")
}

/// What the coupons group brings along.
const COUPONS: &str = "
    -- A coupon is redeemed once; -- and text may say so: 'once'.
    CREATE TABLE IF NOT EXISTS coupons (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        code TEXT NOT NULL CONSTRAINT coupons_short CHECK (length(code) <= 40 AND code <> ''),
        percent INTEGER NOT NULL DEFAULT 10,
        active BOOLEAN NOT NULL DEFAULT TRUE,
        weight DOUBLE PRECISION,
        picture BLOB,
        CONSTRAINT coupons_code UNIQUE (code),
        CHECK (percent BETWEEN 1 AND 100 OR percent IS NULL)
    );
    CREATE INDEX coupons_percent ON coupons (percent DESC, code);
    CREATE TABLE redemptions (
        coupon BIGINT NOT NULL REFERENCES coupons (id) ON DELETE CASCADE,
        redeemed_at BIGINT NOT NULL,
        PRIMARY KEY (coupon, redeemed_at)
    );
    CREATE UNIQUE INDEX redemptions_once ON redemptions (coupon);
    INSERT INTO coupons (code, percent, weight) VALUES ('it''s \\'' new', 20, -1.5), ('plain', 5, NULL);";

const COUPONS_TABLES: &str = "coupons = \"write\"\nredemptions = \"write\"";

async fn apply(database: &Database, steps: &[Step]) -> Result<Vec<String>, String> {
    database.apply("coupons", steps, &tables(COUPONS_TABLES)).await
}

async fn group(database: &Database, name: &str, toml: &str) -> Database {
    let opened = database.for_group(name, &tables(toml), &Tables::default(), &[7; 32]).await;
    opened.expect("the group's database opens")
}

async fn rows(database: &Database, sql: &str) -> Rows {
    database.query(sql, Vec::new()).await.unwrap_or_else(|failure| panic!("{sql}: {failure}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_applied_once_and_mean_the_same_on_both_databases() {
    for place in Place::both().await {
        let database = place.open().await;
        let mut steps = vec![step("0001_coupons", COUPONS)];
        assert_eq!(apply(&database, &steps).await.expect("it is applied"), ["0001_coupons"]);
        assert!(apply(&database, &steps).await.expect("nothing is to be done").is_empty());
        steps.push(step(
            "0002_note",
            "ALTER TABLE coupons ADD COLUMN note TEXT NOT NULL DEFAULT 'none'",
        ));
        assert_eq!(apply(&database, &steps).await.expect("it is applied"), ["0002_note"]);
        // What an older revision brings along was applied, too.
        assert!(apply(&database, &steps[..1]).await.expect("nothing is to be done").is_empty());

        let coupons = group(&database, "coupons", COUPONS_TABLES).await;
        let found = rows(
            &coupons,
            "SELECT id, code, percent, active, weight, picture, note FROM coupons ORDER BY id",
        )
        .await;
        let none = Value::Text("none".into());
        let first = vec![
            Value::Integer(1),
            Value::Text("it's \\' new".into()),
            Value::Integer(20),
            Value::Integer(1),
            Value::Float(-1.5),
            Value::Null,
            none.clone(),
        ];
        let second = vec![
            Value::Integer(2),
            Value::Text("plain".into()),
            Value::Integer(5),
            Value::Integer(1),
            Value::Null,
            Value::Null,
            none,
        ];
        assert_eq!(found.rows, [first, second]);
        let insert = "INSERT INTO coupons (code, percent, active) VALUES ($1, $2, $3)";
        let coupon = |code: &str, percent, active| {
            vec![Value::Text(code.into()), Value::Integer(percent), active]
        };
        coupons.execute(insert, coupon("b", 50, Value::Boolean(false))).await.expect("a row");
        let twice = coupons.execute(insert, coupon("b", 50, Value::Boolean(true))).await;
        assert!(matches!(twice, Err(Failure::Unique(_))), "{twice:?}");
        for (code, percent, active) in [("c", 101, 1), ("", 1, 1), ("c", 1, 2)] {
            let unfit =
                coupons.execute(insert, coupon(code, percent, Value::Integer(active))).await;
            assert!(matches!(unfit, Err(Failure::Invalid(_))), "{unfit:?}");
        }
        let redeem = "INSERT INTO redemptions (coupon, redeemed_at) VALUES ($1, 0)";
        coupons.execute(redeem, vec![Value::Integer(1)]).await.expect("redeemed");
        let again = coupons.execute(redeem, vec![Value::Integer(1)]).await;
        assert!(matches!(again, Err(Failure::Unique(_))), "{again:?}");
        let unknown = coupons.execute(redeem, vec![Value::Integer(9)]).await;
        assert!(matches!(unknown, Err(Failure::ForeignKey(_))), "{unknown:?}");
        assert_eq!(
            coupons.execute("DELETE FROM coupons WHERE id = 1", Vec::new()).await.expect("deleted"),
            1
        );
        assert!(rows(&coupons, "SELECT coupon FROM redemptions").await.rows.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_applied_stays_as_it_was_and_in_its_place() {
    for place in Place::both().await {
        let database = place.open().await;
        let first = step("0002_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)");
        apply(&database, std::slice::from_ref(&first)).await.expect("it is applied");
        let changed =
            step("0002_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY, code TEXT)");
        let told = apply(&database, &[changed]).await.expect_err("it was changed");
        assert!(
            told.contains("0002_coupons was applied with other contents")
                && told.contains("new step"),
            "{told}"
        );
        let earlier = step("0001_before", "CREATE TABLE redemptions (id BIGINT)");
        let told = apply(&database, &[earlier, first]).await.expect_err("it comes too late");
        assert!(told.contains("0001_before comes before 0002_coupons"), "{told}");
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        assert!(rows(&coupons, "SELECT id FROM coupons").await.rows.is_empty());
    }
}

/// Two hosts that take the same deploy over at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_one_applies_a_step() {
    for place in Place::both().await {
        let (first, second) = (place.open().await, place.open().await);
        let steps: Vec<Step> = (1..=10)
            .map(|number| {
                step(
                    &format!("{number:04}_more"),
                    &match number {
                        1 => "CREATE TABLE coupons (id BIGINT PRIMARY KEY)".to_owned(),
                        _ => format!("ALTER TABLE coupons ADD COLUMN column_{number} BIGINT"),
                    },
                )
            })
            .collect();
        let (one, other) = tokio::join!(apply(&first, &steps), apply(&second, &steps));
        let mut applied = [one.expect("applied"), other.expect("applied")].concat();
        applied.sort();
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(applied, names);
        let coupons = group(&second, "coupons", "coupons = \"read\"").await;
        assert_eq!(rows(&coupons, "SELECT column_10 FROM coupons").await.rows.len(), 0);
    }
}

/// A step that fails half-way leaves nothing of itself, and what came before it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_applied_whole_or_not_at_all() {
    for place in Place::both().await {
        let database = place.open().await;
        let good = step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)");
        let bad = step(
            "0002_redemptions",
            "CREATE TABLE redemptions (id BIGINT);\nINSERT INTO coupons (id) VALUES (1);\nINSERT INTO coupons (id) VALUES (1)",
        );
        let told = apply(&database, &[good.clone(), bad]).await.expect_err("a row is there twice");
        assert!(
            told.contains("0002_redemptions is refused at line 3")
                && told.to_lowercase().contains("unique"),
            "{told}"
        );
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        assert!(rows(&coupons, "SELECT id FROM coupons").await.rows.is_empty());
        let better = step(
            "0002_redemptions",
            "CREATE TABLE redemptions (id BIGINT);\nINSERT INTO coupons (id) VALUES (1)",
        );
        assert_eq!(
            apply(&database, &[good, better]).await.expect("it is applied"),
            ["0002_redemptions"]
        );
    }
}

/// The revision that is serving goes on over the next one's migrations: with what it prepared before, with
/// rows that it deletes, and with rights that the next one does not ask for.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_revision_notices_nothing() {
    for place in Place::both().await {
        let database = place.open().await;
        let first = step(
            "0001_coupons",
            "CREATE TABLE coupons (id BIGINT PRIMARY KEY); INSERT INTO coupons (id) VALUES (1), (2)",
        );
        apply(&database, std::slice::from_ref(&first)).await.expect("it is applied");
        let older = group(&database, "coupons", "coupons = \"write\"").await;
        let all = "SELECT * FROM coupons WHERE id = $1";
        assert_eq!(
            older.query(all, vec![Value::Integer(1)]).await.expect("a row").rows[0].len(),
            1
        );
        let second = step(
            "0002_redemptions",
            "CREATE TABLE redemptions (coupon BIGINT REFERENCES coupons (id) ON DELETE CASCADE); ALTER TABLE coupons ADD COLUMN note TEXT;",
        );
        // Another host applies it.
        let other = place.open().await;
        let applying = if place.is_sqlite() { &database } else { &other };
        apply(applying, &[first, second]).await.expect("it is applied");
        assert_eq!(
            older.query(all, vec![Value::Integer(1)]).await.expect("a row").rows[0].len(),
            2
        );
        let serving = tables("coupons = \"write\"");
        let newer = database
            .for_group(
                "coupons",
                &tables("coupons = \"read\"\nredemptions = \"write\""),
                &serving,
                &[7; 32],
            )
            .await;
        let newer = newer.expect("the next revision's database opens");
        newer
            .execute("INSERT INTO redemptions (coupon) VALUES ($1)", vec![Value::Integer(2)])
            .await
            .expect("a row");
        assert_eq!(
            older.execute("DELETE FROM coupons WHERE id = 2", Vec::new()).await.expect("deleted"),
            1
        );
        assert!(rows(&newer, "SELECT coupon FROM redemptions").await.rows.is_empty());
    }
}

/// Rights are settled anew with every deploy, while requests of the same group and of others run.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_opened_anew_disturbs_none_that_serves() {
    for place in Place::both().await {
        let database = place.open().await;
        apply(&database, &[step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)")])
            .await
            .expect("it is applied");
        let serving = group(&database, "coupons", "coupons = \"write\"").await;
        let reading = group(&database, "reports", "coupons = \"read\"").await;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let requests = tokio::spawn(async move {
            let mut count = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) || count < 100 {
                let insert = "INSERT INTO coupons (id) VALUES ($1)";
                serving
                    .execute(insert, vec![Value::Integer(count)])
                    .await
                    .expect("its rights are there");
                rows(&reading, "SELECT MAX(id) FROM coupons").await;
                count += 1;
            }
            count
        });
        for _ in 0..20 {
            let again = group(&database, "coupons", "coupons = \"write\"").await;
            rows(&again, "SELECT MAX(id) FROM coupons").await;
            again.close().await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(requests.await.expect("no request fails") >= 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_gone_leaves_no_rights_behind() {
    for place in Place::both().await {
        let database = place.open().await;
        apply(&database, &[step("0001_coupons", "CREATE TABLE coupons (id BIGINT PRIMARY KEY)")])
            .await
            .expect("it is applied");
        let coupons = group(&database, "coupons", "coupons = \"write\"").await;
        rows(&coupons, "SELECT id FROM coupons").await;
        coupons.close().await;
        database.drop_group("coupons").await.expect("its role goes");
        database.drop_group("coupons").await.expect("it is gone already");
        if !place.is_sqlite() {
            let sql = "SELECT COUNT(*) FROM pg_roles WHERE rolname LIKE 'wharf\\_%\\_coupons' AND has_schema_privilege(oid, 'tenant_acme', 'USAGE')";
            assert_eq!(rows(&database, sql).await.rows, [[Value::Integer(0)]]);
        }
        let back = group(&database, "coupons", "coupons = \"write\"").await;
        assert!(rows(&back, "SELECT id FROM coupons").await.rows.is_empty());
    }
}
