//! The database as a wall: between groups, between requests, and around the tenant.

mod budgets;
mod doctor;
mod grants;
mod least;
mod statements;
mod transactions;

use serde_json::json;
use wharf::Config;

use crate::support::{Ask as _, TestHost, guests, postgres};

/// A host that serves the hostile guest, on SQLite unless the settings say otherwise.
async fn hostile(change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components = guests::guest("hostile");
        config.captcha_reveal = false;
        change(config);
    })
    .await
}

/// The same on SQLite and, where it is installed, on PostgreSQL.
async fn hostile_on_both(change: impl Fn(&mut Config)) -> Vec<TestHost> {
    let mut hosts = vec![hostile(&change).await];
    if let Some(url) = postgres::fresh_database().await {
        hosts.push(
            hostile(|config| {
                config.database = Some(url);
                change(config);
            })
            .await,
        );
    }
    hosts
}

/// What the guest is told when it sends a statement.
async fn told(host: &TestHost, sql: &str) -> String {
    host.post("/statement").json(&json!({ "sql": sql })).answer().await.body
}

/// A statement that computes until it is stopped.
pub const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n WHERE i < 0";
