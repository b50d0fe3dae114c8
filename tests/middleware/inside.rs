//! Calls between groups of one tenant: through the host, without a socket.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use super::{components, host};
use crate::support::{Ask as _, TestHost};

/// Has the relay send a request on, and returns what it is answered.
async fn relay(host: &TestHost, request: Json, token: Option<&str>) -> Json {
    let mut asked = host.post("/relay").json(&request);
    if let Some(token) = token {
        asked = asked.bearer_auth(token);
    }
    let answer = asked.answer().await;
    assert_eq!(answer.status, 200, "{request}: {answer:?}");
    answer.json()
}

fn get(url: &str) -> Json {
    json!({ "method": "GET", "url": url })
}

/// The body of an answer that was relayed.
fn body(answer: &Json) -> Json {
    serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_arrives_as_if_it_had_come_in_by_the_socket() {
    let host = host(&[], |_| {}).await;
    let request = json!({
        "method": "POST", "url": "http://self/seen?page=2", "body": "a body",
        "headers": { "x-own": "1", "authorization": "Bearer x", "cookie": "a=b", "host": "other", "connection": "close", "content-length": "99" },
    });
    let answer = relay(&host, request, None).await;
    assert_eq!(answer["status"], 200, "{answer}");
    let seen = body(&answer);
    assert_eq!((&seen["caller"], &seen["body"]), (&json!("anonymous"), &json!("a body")));
    assert_eq!(seen["url"], format!("{}/seen", host.origin()));
    assert_eq!(seen["headers"], json!({ "x-own": ["1"], "host": [host.address().to_string()] }));
    let id = seen["id"].as_str().expect("an id");
    assert!(id.ends_with("-1") && id.len() > 2, "the outer request's id, and a number: {id}");
    assert_eq!(relay(&host, get("http://self/hello"), None).await["body"], "hello");
    assert_eq!(relay(&host, get("http://self/blob"), None).await["body"], "from a blob");
    // What the host itself answers is an answer as well.
    let posted =
        json!({ "method": "POST", "url": "http://self/small", "body": "more than ten bytes" });
    for (request, status) in [
        (get("http://self/nowhere"), 404),
        (get("http://self"), 404),
        (get("http://self/healthz"), 404),
        (json!({ "method": "PUT", "url": "http://self/seen" }), 405),
        (get("http://self/trap"), 500),
        (posted, 413),
        (get(&format!("http://self/{}", "x".repeat(10_000))), 414),
    ] {
        assert_eq!(relay(&host, request.clone(), None).await["status"], status, "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_of_nobody_unless_it_says_that_it_is_the_callers() {
    let host = host(&[], |_| {}).await;
    let token = host.user("somebody").await;
    let signed_in = |as_caller: bool| json!({ "method": "GET", "url": "http://self/signed-in", "as_caller": as_caller });
    assert_eq!(relay(&host, signed_in(false), Some(&token)).await["status"], 401);
    assert_eq!(relay(&host, signed_in(true), None).await["status"], 401);
    let answer = relay(&host, signed_in(true), Some(&token)).await;
    assert_eq!((&answer["status"], &body(&answer)["caller"]), (&json!(200), &json!("somebody")));
    // A token that the component makes up, or was told, is none.
    let mut with_token = signed_in(false);
    with_token["headers"] = json!({ "authorization": format!("Bearer {token}") });
    assert_eq!(relay(&host, with_token, None).await["status"], 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_to_the_tenants_own_groups_is_denied_in_words() {
    let open = host(&[], |_| {}).await;
    for (url, words) in [
        ("http://127.0.0.1:1/hello", ["Denied", "http://self/path"]),
        ("https://self/hello", ["Denied", "https://self"]),
        ("http://self:80/hello", ["Denied", "http://self:80"]),
        ("http://self@127.0.0.1/hello", ["Denied", "http://self/path"]),
        ("http://SELF/hello", ["Denied", "http://self/path"]),
        ("file:///etc/passwd", ["Denied", "file://"]),
        ("/hello", ["Invalid", "no URL"]),
        ("http://self/a b", ["Invalid", "the URL"]),
        ("http://self/\r\nx: y", ["Invalid", "the URL"]),
    ] {
        let told = relay(&open, get(url), None).await["error"].to_string();
        assert!(words.iter().all(|word| told.contains(word)), "{url}: {told}");
    }
    let split =
        json!({ "method": "GET", "url": "http://self/hello", "headers": { "x-a": "b\r\nx-c: d" } });
    assert!(relay(&open, split, None).await["error"].to_string().contains("Invalid"));
    let closed = host(&[], |config| {
        config.groups.entry("relay".into()).or_default().outbound = Some(Vec::new());
    })
    .await;
    let told = relay(&closed, get("http://self/hello"), None).await["error"].to_string();
    assert!(
        told.contains("Denied") && told.contains("outbound = [") && told.contains("[groups.relay]"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_within_calls_are_so_deep_and_take_no_further_places() {
    // One request at a time: a call that waited for a place of its own would wait for ever.
    let host = host(&[("hello", &["relay"])], |config| {
        config.admission.concurrency = 1;
        config.admission.group_concurrency = 1;
    })
    .await;
    let many = join_all((0..20).map(|_| host.get("/deep/4").answer())).await;
    assert!(many.iter().all(|answer| answer.body == "\"the bottom\""), "{many:?}");
    let told = host.get("/deep/5").answer().await.body;
    assert!(told.contains("Denied") && told.contains("limits.nesting"), "{told}");
    assert_eq!(host.get("/wide/50").answer().await.json(), 50);
    assert_eq!(relay(&host, get("http://self/hello"), None).await["body"], "hello");
    host.settles().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_call_is_its_callers_as_well() {
    let endless = json!({ "method": "GET", "url": "http://self/loop" });
    let slow = host(&[], |config| {
        config.limits.compute_milliseconds = 60_000;
        config.limits.call_milliseconds = 500;
    })
    .await;
    let computing = host(&[], |config| config.limits.compute_milliseconds = 300).await;
    for host in [slow, computing] {
        // Of both limits, the caller's ends no later.
        let answer = host.post("/relay").json(&endless).answer().await;
        let status = if answer.status == 200 {
            answer.json()["status"].clone()
        } else {
            json!(answer.status.as_u16())
        };
        assert_eq!(status, 500, "{answer:?}");
        assert_eq!(host.get("/deep/2").answer().await.body, "\"the bottom\"");
        host.settles().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_as_other_requests_are() {
    let host = TestHost::with(|config| {
        config.components = components();
        config.throttle.enabled = Some(true);
        config.throttle.usual = 6;
    })
    .await;
    // The request itself is one of the six.
    assert_eq!(host.get("/wide/10").answer().await.json(), 5);
}
