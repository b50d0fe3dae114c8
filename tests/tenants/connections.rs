//! Tenants share a PostgreSQL server's connections: however many they are, it has enough for them.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use wharf::Config;

use super::{hostile, to};
use crate::support::{Answer, Ask as _, TestHost, guests, postgres};
use crate::walls::ENDLESS;

/// A host with so many tenants that send statements; `None` where PostgreSQL is missing.
async fn host(tenants: &[String], change: impl FnOnce(&mut Config)) -> Option<TestHost> {
    let url = postgres::fresh_database().await?;
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        config.captcha_reveal = false;
        config.database = Some(url);
        change(config);
    })
    .await;
    for tenant in tenants {
        host.tenant(tenant).await;
        host.grant(tenant, &["cache", "database"]).await;
        host.deploy(tenant, "hostile", hostile("", "")).await.expect("it is deployed");
    }
    Some(host)
}

/// Waits until the server runs so many statements of tenants.
async fn until_busy(host: &TestHost, statements: i64) {
    let busy = async {
        while count(host, "state = 'active' AND usename LIKE 'wharf\\_%'").await < statements {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), busy).await.expect("they run");
}

async fn asks(host: &TestHost, tenant: &str, path: &str, sql: &str) -> Answer {
    to(host, tenant, Method::POST, path).json(&json!({ "sql": sql })).answer().await
}

/// What the server counts among the connections to the host's database.
async fn count(host: &TestHost, what: &str) -> i64 {
    let url = host.postgres().expect("PostgreSQL");
    let mut admin = PgConnection::connect(url).await.expect("it answers");
    let sql = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'wharf' AND {what}"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut admin).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tenants_are_served_over_few_connections() {
    let tenants: Vec<String> = (0..16).map(|number| format!("tenant-{number}")).collect();
    let change = |config: &mut Config| {
        config.sql.connections = 2;
        config.sql.server_connections = 4;
    };
    let Some(host) = host(&tenants, change).await else { return };
    for _ in 0..3 {
        let answers = join_all(tenants.iter().map(|it| asks(&host, it, "/statement", "SELECT 1")));
        for answer in answers.await {
            assert_eq!((answer.status.as_u16(), &*answer.body), (200, "\"1 rows\""));
        }
        // The host's own are two, and one that listens; a process ends a little later than its connection.
        let open = count(&host, "TRUE").await;
        assert!(
            (1..=4 + 3 + 4).contains(&open),
            "{open} connections for {} tenants",
            tenants.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_all_of_a_servers_connections_in_use_is_asked_to_come_back() {
    let tenants = ["first", "second", "third"].map(str::to_owned);
    let change = |config: &mut Config| {
        config.sql.connections = 1;
        config.sql.server_connections = 2;
        config.sql.wait_milliseconds = 500;
        config.sql.statement_milliseconds = 3_000;
    };
    let Some(host) = host(&tenants, change).await else { return };
    let [first, second, third] = &tenants;
    let busy = join_all([first, second].map(|it| asks(&host, it, "/statement", ENDLESS)));
    let refused = async {
        until_busy(&host, 2).await;
        asks(&host, third, "/query", "SELECT 1").await
    };
    let (busy, refused) = tokio::join!(busy, refused);
    for answer in busy {
        assert!(answer.body.contains("Timeout"), "{answer:?}");
    }
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(asks(&host, third, "/statement", "SELECT 1").await.body, "\"1 rows\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_uses_half_of_a_servers_connections_at_most() {
    let tenants = ["greedy", "other"].map(str::to_owned);
    let change = |config: &mut Config| {
        config.sql.connections = 2;
        config.sql.server_connections = 2;
        config.sql.wait_milliseconds = 500;
        config.sql.statement_milliseconds = 3_000;
    };
    let Some(host) = host(&tenants, change).await else { return };
    let [greedy, other] = &tenants;
    let meanwhile = async {
        until_busy(&host, 1).await;
        let refused = asks(&host, greedy, "/query", "SELECT 1").await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
        assert_eq!(asks(&host, other, "/statement", "SELECT 1").await.body, "\"1 rows\"");
    };
    let (busy, ()) = tokio::join!(asks(&host, greedy, "/statement", ENDLESS), meanwhile);
    assert!(busy.body.contains("Timeout"), "{busy:?}");
}
