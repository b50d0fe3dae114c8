//! Storage that is away, locked, full or read-only: a 503 at once for whoever needs it, everything else
//! goes on, and so does the rest as soon as it can, without a restart.

mod full;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::support::postgres::Server;
use crate::support::{ADMIN_PASSWORD, Answer, Ask as _, TestHost, files, tools};

/// Adds an address that can be told from others.
async fn add_address(host: &TestHost, token: &str, street: &str) -> Answer {
    let names = ["province", "city", "district", "zip", "contact_name", "contact_phone"];
    let inputs = names.map(|name| (name, "1")).into_iter().chain([("address", street)]);
    let inputs: Vec<_> = inputs.collect();
    host.post("/api/user_addresses").bearer_auth(token).query(&inputs).answer().await
}

async fn addresses(host: &TestHost, token: &str) -> Answer {
    host.get("/api/user_addresses").bearer_auth(token).answer().await
}

/// That a request was refused as it should be while what it needs is not there.
#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str(), answer.header("retry-after")),
        (503, r#"{"message":"Service Unavailable"}"#, "1")
    );
}

/// Asks until the answer is a 200, and returns how long that took.
async fn until_done(ask: impl AsyncFn() -> Answer) -> Duration {
    let asked = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status == 200 {
            return asked.elapsed();
        }
        assert_unavailable(&answer);
        assert!(asked.elapsed() < Duration::from_mins(1), "it comes back: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn readiness(host: &TestHost) -> (u16, String) {
    let answer = host.get("/readyz").answer().await;
    (answer.status.as_u16(), answer.json()["status"].as_str().expect("text").to_owned())
}

/// A host on a server of its own, where nobody would be answered within a minute who waited for a connection.
async fn on(server: &Server) -> TestHost {
    TestHost::with(|config| {
        config.database = Some(server.url());
        config.sql.wait_milliseconds = 60_000;
        config.sql.statement_milliseconds = 60_000;
        config.limits.call_milliseconds = 60_000;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_told_at_once_and_used_again_when_it_is_back() {
    let Some(mut server) = Server::new() else { return };
    server.start();
    let host = on(&server).await;
    let token = host.user("customer").await;
    let console = host.console_admin().await;
    let captcha = host.console_captcha().await;
    assert_eq!(add_address(&host, &token, "before").await.code(), 20001);

    tokio::task::block_in_place(|| server.stop());
    let asked = Instant::now();
    for _ in 0..20 {
        assert_unavailable(&addresses(&host, &token).await);
        assert_unavailable(&add_address(&host, &token, "meanwhile").await);
    }
    assert_unavailable(&host.login("customer", "secret-1").await);
    assert_unavailable(&host.delete("/api/auth/logout").bearer_auth(&token).answer().await);
    assert_unavailable(&host.doctor_login("nobody").await);
    // The console tells it in its own envelope.
    for answer in [
        host.get("/list/user").header("authorization", &console).answer().await,
        host.console_login_with(captcha, "admin", ADMIN_PASSWORD).await,
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
        assert_eq!(answer.json()["status"], false);
        assert_eq!(answer.json()["message"], "服务繁忙，请稍后再试");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    // What needs no database is served; probes tell the two apart.
    assert_eq!(host.get("/api/response_code").answer().await.code(), 20001);
    assert_eq!(host.get("/healthz").answer().await.status, 200);
    assert_eq!(readiness(&host).await, (503, "the database does not answer".into()));
    let refused = asked.elapsed();
    assert!(refused < Duration::from_mins(1), "nobody waited for a connection: {refused:?}");

    let started = Instant::now();
    tokio::task::block_in_place(|| server.start());
    let starting = started.elapsed();
    let back = until_done(async || addresses(&host, &token).await).await;
    println!(
        "47 refusals took {refused:?}; PostgreSQL took {starting:?} to start, the first success {back:?} after that"
    );
    assert!(back < starting * 10, "{back:?} after a start of {starting:?}");
    assert_eq!(readiness(&host).await, (200, "ready".into()));
    assert_eq!(add_address(&host, &token, "after").await.code(), 20001);
    let streets = host.sql("SELECT address FROM user_addresses ORDER BY id", Vec::new()).await;
    let streets: Vec<_> = streets.rows.into_iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(streets, ["[Text(\"before\")]", "[Text(\"after\")]"]);
}

/// Each writer is told about each write whether it was done, whatever happens to the server meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_while_the_server_stopped_is_there() {
    let Some(mut server) = Server::new() else { return };
    server.start();
    let host = on(&server).await;
    let token = host.user("customer").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writing = (0..4).map(|writer| {
        let (host, token, stopped) = (&host, &token, stopped.clone());
        async move {
            let mut acknowledged = Vec::new();
            let mut refused = 0;
            for number in 0.. {
                if *stopped.borrow() && acknowledged.len() > refused {
                    break;
                }
                let street = format!("{writer}-{number}");
                let answer = add_address(host, token, &street).await;
                if answer.status == 200 {
                    assert_eq!(answer.code(), 20001);
                    acknowledged.push(street);
                } else {
                    assert_unavailable(&answer);
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            (acknowledged, refused)
        }
    });
    let writing = futures_util::future::join_all(writing);
    let stopping = async {
        for _ in 0..2 {
            until_done(async || add_address(&host, &token, "probe").await).await;
            tokio::task::block_in_place(|| server.stop());
            assert_unavailable(&addresses(&host, &token).await);
            tokio::task::block_in_place(|| server.start());
        }
        stop.send(true).expect("writers write");
    };
    let (written, ()) = tokio::join!(writing, stopping);
    assert!(written.iter().any(|(_, refused)| *refused > 0), "the writers met the outage");
    let rows = host.sql("SELECT address FROM user_addresses", Vec::new()).await.rows;
    let there: std::collections::BTreeSet<String> =
        rows.into_iter().map(|row| format!("{:?}", row[0])).collect();
    for street in written.iter().flat_map(|(acknowledged, _)| acknowledged) {
        assert!(there.contains(&format!("Text({street:?})")), "{street} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_throws_clients_out_or_takes_no_writes_is_waited_for() {
    let Some(mut server) = Server::new() else { return };
    server.start();
    let host = on(&server).await;
    let token = host.user("customer").await;
    let mut operator = PgConnection::connect(&server.url()).await.expect("the server answers");
    let others =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wharf'";
    operator.execute(others).await.expect("the operator may");
    until_done(async || addresses(&host, &token).await).await;

    for (setting, status, ready) in [("on", 503, "reads only"), ("off", 200, "ready")] {
        let change = format!("ALTER SYSTEM SET default_transaction_read_only = {setting}");
        operator.execute(sqlx::AssertSqlSafe(change)).await.expect("the operator may");
        operator.execute("SELECT pg_reload_conf()").await.expect("the operator may");
        let asked = Instant::now();
        // The server tells its processes a little later.
        while add_address(&host, &token, "written").await.status != status {
            assert!(asked.elapsed() < Duration::from_mins(1), "the server takes the setting over");
        }
        assert_eq!(addresses(&host, &token).await.code(), 20001);
        assert_eq!(readiness(&host).await, (200, ready.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_stays_is_waited_for_once() {
    let host = TestHost::with(|config| config.sql.wait_milliseconds = 1_000).await;
    let wait = Duration::from_secs(1);
    let token = host.user("customer").await;
    let file = host.data().join("tenants/default.db");
    let mut other =
        SqliteConnection::connect(file.to_str().expect("UTF-8")).await.expect("the file");
    other.execute("BEGIN IMMEDIATE").await.expect("the lock is free");

    assert_unavailable(&add_address(&host, &token, "meanwhile").await);
    let asked = Instant::now();
    while readiness(&host).await.1 != "reads only" {
        assert!(asked.elapsed() < Duration::from_mins(1), "the lock is noticed");
    }
    let asked = Instant::now();
    for _ in 0..10 {
        assert_unavailable(&add_address(&host, &token, "meanwhile").await);
        assert_eq!(addresses(&host, &token).await.code(), 20001);
    }
    assert!(asked.elapsed() < wait * 5, "ten writes did not wait in turn: {:?}", asked.elapsed());

    other.execute("ROLLBACK").await.expect("the lock is given back");
    until_done(async || add_address(&host, &token, "after").await).await;
    assert_eq!(readiness(&host).await, (200, "ready".into()));
    assert_eq!(addresses(&host, &token).await.data()["total"], 1);
}

/// Whoever has just written has proved that the lock can be had.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_write_that_waited_for_the_lock_the_next_is_not_refused() {
    let host = TestHost::on_sqlite().await;
    let token = host.user("customer").await;
    let file = host.data().join("tenants/default.db");
    let mut other =
        SqliteConnection::connect(file.to_str().expect("UTF-8")).await.expect("the file");
    for _ in 0..5 {
        other.execute("BEGIN IMMEDIATE").await.expect("the lock is free");
        let waits = async {
            let waited = add_address(&host, &token, "waits").await;
            let next = add_address(&host, &token, "next").await;
            (waited.status, next.status)
        };
        let noticed = async {
            while readiness(&host).await.1 != "reads only" {}
            other.execute("ROLLBACK").await.expect("the lock is given back");
        };
        let (answered, ()) = tokio::join!(waits, noticed);
        assert_eq!(answered, (StatusCode::OK, StatusCode::OK));
    }
}

/// Files and folders that nobody may change, root included, until this is dropped.
struct Immutable(Vec<std::path::PathBuf>);

impl Immutable {
    /// `None`, loudly, where the file system knows no such thing or the user may not.
    fn make(paths: Vec<std::path::PathBuf>) -> Option<Self> {
        let probe = tempfile::NamedTempFile::new().expect("a temporary file");
        let works = {
            let _immutable = Immutable::change(vec![probe.path().to_owned()]);
            std::io::Write::write(&mut probe.as_file(), b"x").is_err()
        };
        if works {
            return Some(Immutable::change(paths));
        }
        tools::skip("chattr +i on the temporary folder's file system, and the right to it");
        None
    }

    fn change(paths: Vec<std::path::PathBuf>) -> Self {
        Immutable::run("+i", &paths);
        Immutable(paths)
    }

    fn run(flag: &str, paths: &[std::path::PathBuf]) {
        let mut command = std::process::Command::new("chattr");
        let _ = command.arg(flag).args(paths).stderr(std::process::Stdio::null()).status();
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        Immutable::run("-i", &self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_only_be_read_is_read_until_it_may_be_written_again() {
    let host = TestHost::on_sqlite().await;
    let token = host.user("customer").await;
    let doctor = host.doctor("doctor").await;
    assert_eq!(upload(&host, &doctor).await.status, 200);
    let tenants = host.data().join("tenants");
    let certificates = tenants.join("default/blobs/certificate");
    let paths = vec![tenants.join("default.db"), tenants.join("default.db-wal"), certificates];
    let Some(immutable) = Immutable::make(paths) else { return };

    assert_unavailable(&add_address(&host, &token, "meanwhile").await);
    assert_unavailable(&upload(&host, &doctor).await);
    assert_eq!(readiness(&host).await, (200, "reads only".into()));
    // So many at once that connections are opened now, which SQLite lets read and no more.
    let reads = (0..20).map(|_| addresses(&host, &token));
    for answer in futures_util::future::join_all(reads).await {
        assert_eq!(answer.code(), 20001);
    }
    let stored = host.get("/api/doctor/certificate").bearer_auth(&doctor).answer().await;
    assert_eq!((stored.status.as_u16(), stored.header("content-type")), (200, "application/pdf"));

    drop(immutable);
    until_done(async || add_address(&host, &token, "after").await).await;
    let writes = (0..20).map(|_| add_address(&host, &token, "after"));
    for answer in futures_util::future::join_all(writes).await {
        assert_eq!(answer.code(), 20001, "no connection is left that may only read");
    }
    assert_eq!(readiness(&host).await, (200, "ready".into()));
    assert_eq!(upload(&host, &doctor).await.status, 200);
    assert_eq!(addresses(&host, &token).await.data()["total"], 21);
    assert_eq!(host.blobs().len(), 2, "what could not be stored left nothing");
}

async fn upload(host: &TestHost, token: &str) -> Answer {
    let part = Part::bytes(files::pdf(10_000)).file_name("certificate.pdf");
    let form = Form::new().part("certificate", part);
    let request = host.post("/api/doctor/certificate/upload").bearer_auth(token);
    request.multipart(form).answer().await
}

/// A password is not changed where the tokens of its holder cannot be ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_with_its_tokens_or_not_at_all() {
    let host = TestHost::on_sqlite().await;
    let token = host.user("customer").await;
    // Something is recorded, so that the log is there.
    let other = host.sign_in("customer", "secret-1").await;
    let ended = host.delete("/api/auth/logout").bearer_auth(&other).answer().await;
    assert_eq!(ended.code(), 20001);
    let paths = ["host.db", "host.db-wal"].map(|name| host.data().join(name)).to_vec();
    let Some(immutable) = Immutable::make(paths) else { return };
    let change = || {
        let inputs = [
            ("oldPassword", "secret-1"),
            ("newPassword", "secret-2"),
            ("newPassword_confirmation", "secret-2"),
        ];
        let request = host.put("/api/user/password/customer").bearer_auth(&token);
        request.query(&inputs).answer()
    };
    assert_unavailable(&change().await);
    let logout = host.delete("/api/auth/logout").bearer_auth(&token);
    assert_unavailable(&logout.answer().await);
    host.sign_in("customer", "secret-1").await;
    assert_eq!(addresses(&host, &token).await.code(), 20001);

    drop(immutable);
    assert_eq!(change().await.code(), 20001);
    addresses(&host, &token).await.assert_unauthenticated();
    host.sign_in("customer", "secret-2").await;
}
