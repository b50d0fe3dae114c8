//! Calls to `wasi:http` components from groups of the same tenant: the answer is taken whole.

use serde_json::{Value as Json, json};
use wharf::Config;

use crate::support::{Ask as _, TestHost, guests};

/// A host with the component, and one that sends requests on.
async fn host(change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components =
            guests::folder("relayed", &["tests/guests/proxy", "tests/guests/relay"]);
        change(config);
    })
    .await
}

async fn relay(host: &TestHost, request: Json) -> Json {
    let answer = host.post("/relay").json(&request).answer().await;
    assert_eq!(answer.status, 200, "{request}: {answer:?}");
    answer.json()
}

async fn get(host: &TestHost, path: &str) -> Json {
    relay(host, json!({ "method": "GET", "url": format!("http://self/proxy{path}") })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_calls_a_component_of_wasi_http_within_its_own_place() {
    // One request at a time: a call that waited for a place of its own would wait for ever.
    let host = host(|config| {
        config.admission.concurrency = 1;
        config.admission.group_concurrency = 1;
    })
    .await;
    for _ in 0..3 {
        let answer = get(&host, "/hello").await;
        assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("hello")));
    }
    let url = "http://self/proxy/echo";
    let echoed = relay(&host, json!({ "method": "POST", "url": url, "body": "a body" })).await;
    assert_eq!(echoed["body"], "a body", "{echoed}");
    let told = get(&host, "/headers?a=b").await["body"].to_string();
    assert!(
        told.contains("target: /headers?a=b") && told.contains("x-forwarded-prefix: /proxy"),
        "{told}"
    );
    assert_eq!(get(&host, "/status?503").await["status"], 503);
    assert_eq!(get(&host, "/trap/before").await["status"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_or_does_not_end_is_none_for_a_group() {
    let host = host(|config| config.limits.response_bytes = 100_000).await;
    let broken = get(&host, "/trap").await["error"].to_string();
    assert!(broken.contains("Failed") && broken.contains("broke off"), "{broken}");
    for path in ["/endless", "/big?100001"] {
        let endless = get(&host, path).await["error"].to_string();
        assert!(endless.contains("TooLarge"), "{path}: {endless}");
    }
    // What the group makes of it is larger than it.
    assert_eq!(get(&host, "/big?90000").await["status"], 200);
}
