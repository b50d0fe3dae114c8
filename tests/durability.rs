//! The host ends at any moment, killed or asked to, while clients write: what they were told is done is
//! there afterwards, and nothing is half done.
//!
//! `WHARF_ROUNDS` says how often the host is killed, 5 times by default; `.ci/durability` does so 200
//! times. `WHARF_SEED` repeats the moments of an earlier run.

mod writers;

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use wharf::Config;
use wharf::database::{Database, Location, Migrations, Value};

use crate::support::serving::{Serving, serve};
use crate::support::{guests, postgres};
use writers::{Acknowledged, Writers};

/// A number from the environment.
fn setting<T: FromStr<Err: Display>>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

/// The data of a host that comes and goes.
struct Data {
    folder: TempDir,
    database: Option<String>,
}

impl Data {
    fn new(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = "throttle.enabled = false\n";
        std::fs::write(folder.path().join("wharf.toml"), settings).expect("the folder is writable");
        Data { folder, database }
    }

    fn start(&self) -> Serving {
        let mut command = serve(self.folder.path(), &guests::built_in());
        command.arg("--config").arg(self.folder.path().join("wharf.toml"));
        command.args(["--log", "warn"]).env("WHARF_CAPTCHA_REVEAL", "1");
        if let Some(url) = &self.database {
            command.arg("--database").arg(url);
        }
        Serving::start(command)
    }

    /// Starts it, and says how long it takes until a user is answered.
    async fn start_timed(&self, writers: &mut Writers) -> (Serving, Duration) {
        let started = Instant::now();
        let serving = self.start();
        writers.go_to(&serving.url);
        writers.read().await;
        (serving, started.elapsed())
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// The first column of what a statement finds in the tenant's tables, as text.
    async fn column(&self, sql: &str) -> Vec<String> {
        let location = match &self.database {
            Some(url) => Location::Postgres { url: url.clone(), schema: "tenant_default".into() },
            None => Location::Sqlite(self.file("tenants/default.db")),
        };
        let limits = wharf::database::Limits {
            rows: usize::MAX,
            bytes: usize::MAX,
            ..Config::default().sql.limits()
        };
        let database = Database::open(&location, limits, &Migrations::api()).await;
        let database = database.expect("the database");
        let rows = database.query(sql, Vec::new()).await.expect("the statement runs");
        database.close().await;
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        rows.rows.iter().map(|row| text(&row[0])).collect()
    }

    /// That both files are sound, and all that was acknowledged is there and whole.
    async fn check(&self, acknowledged: &Acknowledged) {
        if self.database.is_none() {
            for name in ["host.db", "tenants/default.db"] {
                assert_sound(&self.file(name)).await;
            }
        }
        let mut users = self.column("SELECT username FROM users WHERE realm = 'store'").await;
        users.sort_unstable();
        for user in &acknowledged.users {
            assert!(users.binary_search(user).is_ok(), "{user} was acknowledged");
        }
        let halves = "SELECT username FROM users WHERE realm = 'store' AND username <> 'admin'
             AND (SELECT COUNT(*) FROM user_profiles WHERE user_id = users.id) <> 1";
        assert_eq!(self.column(halves).await, Vec::<String>::new(), "users without a profile");
        let mut streets = self.column("SELECT address FROM user_addresses").await;
        streets.sort_unstable();
        for street in &acknowledged.streets {
            assert!(streets.binary_search(street).is_ok(), "{street} was acknowledged");
        }
        let mixed = "SELECT address FROM user_addresses WHERE province <> city OR city <> district
             OR district <> address OR address <> contact_name OR contact_name <> contact_phone";
        assert_eq!(self.column(mixed).await, Vec::<String>::new(), "addresses half changed");
        let changed = self.column("SELECT city FROM user_addresses WHERE city LIKE 'changed-%'");
        let changed = changed.await.iter().filter_map(|city| city[8..].parse::<u32>().ok()).max();
        assert!(changed >= acknowledged.changed, "{changed:?} after {:?}", acknowledged.changed);
    }
}

/// What SQLite itself says of a file.
async fn assert_sound(file: &Path) {
    let path = file.to_str().expect("UTF-8");
    let mut connection = SqliteConnection::connect(path).await.expect("the file");
    for (question, answer) in
        [("PRAGMA integrity_check", vec!["ok"]), ("PRAGMA foreign_key_check", vec![])]
    {
        let told: Vec<String> =
            sqlx::query_scalar(question).fetch_all(&mut connection).await.expect("an answer");
        assert_eq!(told, answer, "{question} of {}", file.display());
    }
}

/// Kills the host at random moments while clients write.
async fn survives_kills(database: Option<String>, rounds: u32) {
    let seed = setting("WHARF_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{rounds} rounds, WHARF_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let data = Data::new(database);
    let serving = data.start();
    let mut writers = Writers::new(&serving.url).await;
    serving.stop("TERM");
    let (mut serving, clean) = data.start_timed(&mut writers).await;
    let mut acknowledged = Acknowledged::default();
    let mut starts = Vec::new();
    for round in 0..rounds {
        let enough = random.usize(1..60);
        let pause = Duration::from_micros(random.u64(0..5_000));
        let killing = async {
            writers.until_acknowledged(enough).await;
            // Somewhere within the writes that are under way, not right after one.
            tokio::time::sleep(pause).await;
            serving.child.kill().expect("it runs");
            serving.child.wait().expect("it ends");
        };
        let (told, ()) = tokio::join!(writers.write(round), killing);
        acknowledged.add(told);
        let (again, took) = data.start_timed(&mut writers).await;
        (serving, starts) = (again, [starts, vec![took]].concat());
        data.check(&acknowledged).await;
        writers.assert_ended(&acknowledged.ended).await;
    }
    serving.stop("TERM");
    starts.sort_unstable();
    let median = starts[starts.len() / 2];
    println!(
        "{} users, {} addresses, {} sign-outs acknowledged, none lost; a clean start took {clean:?}, \
         one after a kill {median:?} (median; at most {:?})",
        acknowledged.users.len(),
        acknowledged.streets.len(),
        acknowledged.ended.len(),
        starts[starts.len() - 1],
    );
    assert!(median < clean * 5, "a start after a kill takes {median:?}, a clean one {clean:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_a_kill_on_sqlite() {
    survives_kills(None, setting("WHARF_ROUNDS").unwrap_or(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_a_kill_on_postgres() {
    if let Some(url) = postgres::fresh_database().await {
        // The server is not killed: what is tried is that the host tells no one too early.
        let rounds = setting("WHARF_ROUNDS").unwrap_or(5_u32).div_ceil(5);
        survives_kills(Some(url), rounds).await;
    }
}

/// After SIGTERM, whatever was begun is done and answered: no write took effect that its client was not
/// told of, and the host ends well.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_requests_finish_when_the_host_stops_under_load() {
    let data = Data::new(None);
    let mut serving = data.start();
    let mut writers = Writers::new(&serving.url).await;
    for round in 0..3 {
        let before = data.column("SELECT address FROM user_addresses").await;
        let stopping = async {
            writers.until_acknowledged(40).await;
            serving.signal("TERM");
        };
        let (told, ()) = tokio::join!(writers.write(round), stopping);
        let code = tokio::task::block_in_place(|| serving.child.wait()).expect("it ends").code();
        assert_eq!(code, Some(0), "{}", serving.rest());
        assert!(!serving.rest().contains("cut off"), "{}", serving.rest());
        let after = data.column("SELECT address FROM user_addresses").await;
        assert_eq!(after.len() - before.len(), told.streets.len(), "each new address was told");
        let users = data.column("SELECT username FROM users WHERE username LIKE 'round%'").await;
        let told_now = users.iter().filter(|user| user.starts_with(&format!("round{round}x")));
        assert_eq!(told_now.count(), told.users.len(), "each new user was told");
        data.check(&told).await;
        serving = data.start();
        writers.go_to(&serving.url);
    }
}
