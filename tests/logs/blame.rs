//! Whose fault it is that a request failed.

use std::time::Duration;

use serde_json::Value as Json;

use super::{host, message, visit};
use crate::support::{Ask as _, TestHost};

/// The last line of acme's log, and whom it blames.
async fn last(host: &TestHost) -> (Json, String) {
    let line = host.log("acme", "?last=1").await.remove(0);
    let blame = line["blame"].as_str().unwrap_or("nobody").to_owned();
    (line, blame)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_to_blame_for_traps_limits_and_odd_answers() {
    let host = host(|config| config.limits.compute_milliseconds = 200).await;
    for (path, cause) in [
        ("/trap", "unreachable"),
        ("/loop", "limits.compute_milliseconds"),
        ("/status", "status 99"),
        ("/split", "is not valid in HTTP"),
        ("/grow", "limits.memory_bytes"),
    ] {
        assert_eq!(visit(&host, "acme", path).await, 500);
        let (line, blame) = last(&host).await;
        assert_eq!((&*blame, &line["level"]), ("guest", &"error".into()), "{path}: {line}");
        assert!(message(&line).contains(cause), "{path}: {line}");
    }
    // Neither the log nor the answer of one that does well says anything.
    let before = host.log("acme", "").await.len();
    assert_eq!(visit(&host, "acme", "/ok").await, 200);
    assert_eq!(host.log("acme", "").await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_to_blame_for_what_it_sends() {
    let host = host(|_| {}).await;
    let request = host.post("/statement").header("host", "acme.localhost");
    assert_eq!(request.body(vec![b' '; 2_000_000]).answer().await.status, 413);
    let (line, blame) = last(&host).await;
    assert_eq!((&*blame, &line["level"]), ("client", &"info".into()), "{line}");
    assert!(message(&line).contains("larger than the route takes"), "{line}");
    // What no group answers is in nobody's log.
    assert_eq!(visit(&host, "acme", "/nowhere").await, 404);
    assert_eq!(last(&host).await.0, line);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_to_blame_for_having_no_place() {
    let host = host(|config| {
        config.admission.group_concurrency = 1;
        config.admission.queue = 0;
        config.limits.call_milliseconds = 60_000;
    })
    .await;
    let sleeper = host.get("/sleep").header("host", "acme.localhost").send();
    let sleeper = tokio::spawn(sleeper);
    while host.in_components() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(visit(&host, "acme", "/ok").await, 503);
    let (line, blame) = last(&host).await;
    assert_eq!((&*blame, &line["level"]), ("host", &"warn".into()), "{line}");
    assert!(message(&line).contains("more requests are waiting than may"), "{line}");
    sleeper.abort();
}

/// The host's own reasons may name machines and tables that are no business of a tenant's.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_fails_at_is_told_without_the_reason() {
    let host = TestHost::with(|config| config.tokens.remembered = 0).await;
    let (staying, leaving) = (host.user("ipsaipsa").await, host.user("quodquod").await);
    host.delete("/api/auth/logout").bearer_auth(&leaving).answer().await;
    assert_eq!(host.me(&staying).await.status, 200);
    host.host_schema("ALTER TABLE token_families RENAME TO hidden").await;
    assert_eq!(host.me(&staying).await.status, 503);
    let line = host.log("default", "?last=1").await.remove(0);
    assert_eq!((&line["blame"], &line["group"]), (&"host".into(), &"auth".into()), "{line}");
    assert!(message(&line).contains("its operator finds the reason"), "{line}");
    assert!(!message(&line).contains("token_families"), "{line}");
}
