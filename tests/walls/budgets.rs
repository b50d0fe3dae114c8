//! What one statement and one request may take of the database.

use serde_json::{Value as Json, json};

use super::{ENDLESS, hostile_on_both, told};
use crate::support::{Ask as _, TestHost};

async fn again(host: &TestHost, sql: &str, times: usize) -> Json {
    let body = json!({ "sql": sql, "times": times.to_string() });
    host.post("/statements").json(&body).answer().await.json()
}

async fn with_parameters(host: &TestHost, count: usize, bytes: usize) -> String {
    let body = json!({ "count": count.to_string(), "bytes": bytes.to_string() });
    host.post("/parameters").json(&body).answer().await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sends_so_many_statements() {
    for host in hostile_on_both(|config| config.sql.request_statements = 5).await {
        let answer = again(&host, "SELECT 1", 100).await;
        assert_eq!(answer["done"], 5, "{answer}");
        assert!(answer["then"].as_str().expect("text").contains("sql.request_statements"));
        // The next request has as many again.
        assert_eq!(again(&host, "SELECT 1", 4).await, json!({ "done": 4, "then": "None" }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_statements_of_a_request_together_have_a_time() {
    for host in hostile_on_both(|config| {
        config.sql.statement_milliseconds = 1_000;
        config.sql.request_milliseconds = 200;
    })
    .await
    {
        // The first statement is stopped by what the request has, and no further one begins.
        let answer = again(&host, ENDLESS, 1).await;
        assert_eq!(answer["done"], 0, "{answer}");
        let begun = std::time::Instant::now();
        let answer = again(&host, ENDLESS, 100).await;
        assert!(answer["then"].as_str().expect("text").contains("Timeout"), "{answer}");
        assert!(begun.elapsed().as_millis() < 100 * 200, "each statement had the whole time");
        host.settles().await;
        assert_eq!(told(&host, "SELECT 1").await, "\"1 rows\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_their_parameters_have_sizes() {
    for host in hostile_on_both(|config| {
        config.sql.statement_bytes = 1_000;
        config.sql.parameters = 10;
        config.sql.value_bytes = 5_000;
    })
    .await
    {
        assert_eq!(with_parameters(&host, 10, 5_000).await, "\"0 rows\"");
        assert!(with_parameters(&host, 11, 1).await.contains("sql.parameters"));
        assert!(with_parameters(&host, 1, 5_001).await.contains("sql.value_bytes"));
        let padded = |length: usize| format!("SELECT 1{}", " ".repeat(length - "SELECT 1".len()));
        assert_eq!(told(&host, &padded(999)).await, "\"1 rows\"");
        let long = format!("{}1", padded(1_000));
        assert!(told(&host, &long).await.contains("sql.statement_bytes"));
    }
}
