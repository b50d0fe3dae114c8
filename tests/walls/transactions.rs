//! What is left behind by requests that end badly: nothing.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::{ENDLESS, hostile, hostile_on_both, told};
use crate::support::{Ask as _, TestHost, postgres};

/// Trapped transactions, each with a row written.
const TRAPS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_trapped_transactions_leave_none_in_use_on_sqlite() {
    // One writes at a time: more would only poll for the lock.
    trap(&hostile(|_| {}).await, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_trapped_transactions_leave_none_in_use_on_postgres() {
    let Some(url) = postgres::fresh_database().await else { return };
    trap(&hostile(|config| config.database = Some(url)).await, 8).await;
}

async fn trap(host: &TestHost, at_once: usize) {
    let requests = (0..TRAPS).map(|_| host.get("/transaction/trap").answer());
    let trapped = futures_util::stream::iter(requests)
        .buffer_unordered(at_once)
        .filter(|answer| std::future::ready(answer.status == 500));
    assert_eq!(trapped.count().await, TRAPS);
    host.settles().await;
    assert!(host.sql("SELECT code FROM invitation_codes", Vec::new()).await.rows.is_empty());
    assert_eq!(told(host, "SELECT 1").await, "\"1 rows\"");
}

/// SQLite ends a transaction by itself when it interrupts a statement of it: what follows must not run
/// without one.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_statement_that_fails_nothing_of_a_transaction_is_kept() {
    for host in hostile_on_both(|config| config.sql.statement_milliseconds = 1_000).await {
        let slow =
            format!("INSERT INTO invitation_codes (code) SELECT 'slow' FROM ({ENDLESS}) AS n");
        let insert = |code: &str| format!("INSERT INTO invitation_codes (code) VALUES ('{code}')");
        for fails in [slow.as_str(), "INSERT INTO nowhere (x) VALUES (1)"] {
            let sql = [&insert("before"), fails, &insert("after")].join("\n");
            let body = json!({ "sql": sql });
            let answer = host.post("/transaction/statements").json(&body).answer().await.json();
            assert_eq!(answer["told"][0], "1 rows", "{answer}");
            assert_eq!(answer["kept"], false, "{answer}");
            host.settles().await;
            let kept = host.sql("SELECT code FROM invitation_codes", Vec::new()).await.rows;
            assert!(kept.is_empty(), "{fails}: {kept:?}");
        }
        // What the database merely refuses is the component's to deal with, on SQLite.
        let sql = [insert("a"), insert("b")].join("\n");
        let body = json!({ "sql": sql });
        let answer = host.post("/transaction/statements").json(&body).answer().await.json();
        assert_eq!((&answer["told"][1], &answer["kept"]), (&json!("1 rows"), &json!(true)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_beyond_its_time_ends_and_the_next_is_served_at_once() {
    for host in hostile_on_both(|config| {
        config.sql.connections = 1;
        config.sql.statement_milliseconds = 1_000;
    })
    .await
    {
        for _ in 0..3 {
            let begun = Instant::now();
            assert!(told(&host, ENDLESS).await.contains("Timeout"));
            let endless = begun.elapsed();
            let begun = Instant::now();
            assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
            assert!(begun.elapsed() < endless, "the statement went on");
        }
        host.settles().await;
    }
}

/// Whoever waited is gone long before the statement's own time is over.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_stops_a_statement_that_nobody_waits_for() {
    let Some(url) = postgres::fresh_database().await else { return };
    let host = hostile(|config| {
        config.database = Some(url);
        config.limits.call_milliseconds = 300;
        config.sql.statement_milliseconds = 600_000;
    })
    .await;
    let mut admin =
        PgConnection::connect(host.postgres().expect("PostgreSQL")).await.expect("it answers");
    let body = json!({ "sql": ENDLESS });
    assert_eq!(host.post("/statement").json(&body).answer().await.status, 500);
    let stopped = async {
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 'wharf\\_%' AND datname = current_database()";
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut admin).await.expect("a count") > 0 {}
    };
    tokio::time::timeout(Duration::from_mins(1), stopped).await.expect("the server stops it");
    host.settles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_statement_ends_at_its_own_time_on_sqlite() {
    let host = hostile(|config| {
        config.sql.connections = 1;
        config.limits.call_milliseconds = 100;
        config.sql.statement_milliseconds = 1_000;
    })
    .await;
    // It holds the lock that every other writer needs.
    let slow = format!("INSERT INTO invitation_codes (code) SELECT 'slow' FROM ({ENDLESS}) AS n");
    let body = json!({ "sql": slow });
    let answer = host.post("/transaction/statements").json(&body).answer().await;
    assert_eq!(answer.status, 500);
    host.settles().await;
    host.sql("INSERT INTO invitation_codes (code) VALUES ('next')", Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_connections_in_use_is_asked_to_come_back() {
    for host in hostile_on_both(|config| {
        config.sql.connections = 1;
        config.sql.wait_milliseconds = 50;
        config.sql.statement_milliseconds = 1_000;
    })
    .await
    {
        let slow = json!({ "sql": ENDLESS });
        let requests = (0..8).map(|_| host.post("/query").json(&slow).answer());
        for answer in futures_util::future::join_all(requests).await {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(answer.header("retry-after"), "1");
        }
        host.settles().await;
        assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_keeps_a_transaction_open_keeps_others_from_writing_for_a_moment_only() {
    for host in hostile_on_both(|config| {
        config.sql.transaction_milliseconds = 200;
        config.limits.call_milliseconds = 20_000;
    })
    .await
    {
        let writes = async {
            // The same row, which PostgreSQL locks as SQLite locks the file.
            let sql = "INSERT INTO invitation_codes (code) VALUES ('abandoned') ON CONFLICT (code) DO NOTHING RETURNING code";
            while told(&host, sql).await != "\"1 rows\"" {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let held = host.get("/transaction/sleep").answer();
        tokio::select! {
            biased;
            answer = held => panic!("the guest was stopped before anybody could write: {answer:?}"),
            () = async { tokio::time::sleep(std::time::Duration::from_millis(100)).await; writes.await } => {}
        }
    }
}
