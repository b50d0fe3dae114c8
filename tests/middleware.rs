//! Groups that wrap others, and groups that call others of their own tenant.

mod inside;

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value as Json, json};
use wharf::{Clock, Config, Host};

use crate::support::serving::{Serving, serve};
use crate::support::{Answer, Ask as _, START, TestHost, guests, settings};

/// Groups that wrap, one that calls, one that does neither, and the built-in ones that sign users in.
fn components() -> PathBuf {
    let crates = [
        "components/auth",
        "components/captcha",
        "tests/guests/hello",
        "tests/guests/relay",
        "tests/guests/api-key",
        "tests/guests/response-headers",
    ];
    guests::folder("middleware", &crates)
}

/// A host that serves them; groups are wrapped by what `wrapped` says of them.
async fn host(wrapped: &[(&str, &[&str])], change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components = components();
        wrap(config, wrapped);
        change(config);
    })
    .await
}

fn wrap(config: &mut Config, wrapped: &[(&str, &[&str])]) {
    for (group, middleware) in wrapped {
        let middleware = middleware.iter().map(|name| (*name).to_owned()).collect();
        config.groups.entry((*group).to_owned()).or_default().middleware = Some(middleware);
    }
    let settings = [
        ("api-key", "key", "the-key"),
        ("response-headers", "headers", "x-frame-options: DENY\nx-team: shop"),
        ("response-headers", "timing", "true"),
    ];
    for (group, name, value) in settings {
        config.groups.entry(group.into()).or_default().settings.insert(name.into(), value.into());
    }
}

async fn with_key(host: &TestHost, path: &str, key: &str) -> Answer {
    host.get(path).header("x-api-key", key).answer().await
}

/// What the group saw of a request that the relay's own middleware changed as `odd` says.
async fn odd(host: &TestHost, path: &str, odd: &str) -> Answer {
    let request =
        host.get(path).header("x-odd", odd).header("x-several", "1").header("x-several", "2");
    request.header("authorization", "Bearer none").answer().await
}

fn has(answer: &Answer, header: &str) -> bool {
    answer.headers.contains_key(header)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_checked_before_the_group_sees_anything() {
    let host = host(&[("hello", &["api-key"]), ("relay", &["api-key"])], |_| {}).await;
    for key in ["", "the-ke", "the-key2", "THE-KEY"] {
        let answer = with_key(&host, "/hello", key).await;
        assert_eq!(answer.status, 401, "{key:?}");
        assert!(answer.json()["message"].as_str().is_some_and(|text| text.contains("x-api-key")));
    }
    assert_eq!(host.get("/hello").answer().await.status, 401);
    assert_eq!(with_key(&host, "/hello", "the-key").await.body, "hello");
    // Another group's routes are not wrapped, and a path that nobody has is no matter of a key.
    assert_eq!(host.get("/captcha").answer().await.status, 200);
    assert_eq!(host.get("/nowhere").answer().await.status, 404);
    let seen = with_key(&host, "/seen", "the-key").await.json();
    assert_eq!(seen["headers"]["x-api-key"], Json::Null, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_key_everybody_is_turned_away() {
    for key in [None, Some("")] {
        let host = host(&[("hello", &["api-key"])], |config| {
            let settings = &mut config.groups.entry("api-key".into()).or_default().settings;
            settings.remove("key");
            settings.extend(key.map(|key| ("key".to_owned(), key.to_owned())));
        })
        .await;
        assert_eq!(with_key(&host, "/hello", "").await.status, 401);
        assert_eq!(host.get("/hello").answer().await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outermost_sees_requests_first_and_answers_last() {
    let outer = host(&[("hello", &["response-headers", "api-key"])], |_| {}).await;
    for (key, status) in [("the-key", 200), ("wrong", 401)] {
        let answer = with_key(&outer, "/hello", key).await;
        assert_eq!(answer.status, status);
        assert_eq!((answer.header("x-frame-options"), answer.header("x-team")), ("DENY", "shop"));
        let timing = answer.header("server-timing");
        let took = timing.strip_prefix("app;dur=").and_then(|took| took.parse::<f64>().ok());
        assert!(
            took.is_some_and(|took| took > 0.0),
            "the instance remembers its request: {timing}"
        );
    }
    let inner = host(&[("hello", &["api-key", "response-headers"])], |_| {}).await;
    assert_eq!(with_key(&inner, "/hello", "the-key").await.header("x-team"), "shop");
    assert!(!has(&with_key(&inner, "/hello", "wrong").await, "x-team"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_sees_the_headers_as_they_were_changed() {
    let host = host(&[("relay", &["relay"])], |_| {}).await;
    for (asked, several) in [
        ("", json!(["1", "2"])),
        ("set", json!(["odd"])),
        ("add", json!(["1", "2", "odd"])),
        ("remove", Json::Null),
    ] {
        let answer = odd(&host, "/seen", asked).await;
        assert_eq!(answer.json()["headers"]["x-several"], several, "{asked}");
        assert_eq!(answer.json()["headers"]["authorization"], Json::Null);
        // The answer is seen by the instance that saw the request.
        assert_eq!(answer.header("x-odd-saw"), format!("saw {asked}: 200 {}", answer.body.len()));
    }
    let blob = odd(&host, "/blob", "blob").await;
    assert_eq!((blob.body.as_str(), blob.header("x-odd-saw")), ("from a blob", "saw blob: 200 0"));
    let called = odd(&host, "/seen", "call").await;
    assert_eq!(called.json()["headers"]["x-called"], json!(["200"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_responds_is_seen_by_those_further_out_alone() {
    let host = host(&[("relay", &["response-headers", "relay", "api-key"])], |_| {}).await;
    let answer = odd(&host, "/seen", "respond").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (418, "\"odd\""));
    assert_eq!(answer.header("x-team"), "shop");
    assert!(!has(&answer, "x-odd-saw"), "who responds does not see the answer");
    let answer = odd(&host, "/seen", "").await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("x-odd-saw").starts_with("saw : 401 "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_middleware_that_fails_is_a_500_and_its_group_goes_on() {
    let host = host(&[("hello", &["relay"]), ("relay", &["relay"])], |config| {
        config.limits.compute_milliseconds = 300;
    })
    .await;
    for asked in ["trap-before", "trap-after", "loop", "authorization", "split"] {
        let answer = odd(&host, "/hello", asked).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_str()),
            (500, r#"{"message":"Server Error"}"#),
            "{asked}"
        );
        assert_eq!(odd(&host, "/hello", "").await.body, "hello", "after {asked}");
    }
    // A group that fails has no answer for it to see.
    let answer = odd(&host, "/trap", "").await;
    assert!(answer.status == 500 && !has(&answer, "x-odd-saw"), "{answer:?}");
    host.settles().await;
}

#[test]
fn the_log_says_which_of_the_components_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "[groups.hello]\nmiddleware = [\"relay\"]\n").expect("settings");
    let mut command: Command = serve(folder.path(), &components());
    command.arg("--config").arg(settings);
    let serving = Serving::start(command);
    let asked = Command::new("curl")
        .args(["-s", "-H", "x-odd: trap-after"])
        .arg(format!("{}/hello", serving.url))
        .output();
    assert!(String::from_utf8_lossy(&asked.expect("curl runs").stdout).contains("Server Error"));
    let (_, printed) = serving.stop("TERM");
    let line = printed.lines().find(|line| line.contains("a component failed")).expect("a line");
    assert!(line.contains("component=relay") || line.contains("\"component\":\"relay\""), "{line}");
}

/// A key that is to be checked is never left unchecked.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_does_not_start_with_a_middleware_that_is_none() {
    let many = ["relay"; 9];
    for (middleware, words) in [
        (&["api-kye"][..], ["wrapped by api-kye", "deploy it first"]),
        (&["api-key", "hello"], ["wrapped by hello", "does not export wharf:plugin/middleware"]),
        (&many, ["9 groups", "8 at most"]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = settings(folder.path(), components());
        wrap(&mut config, &[("relay", middleware)]);
        let refused = Host::start(config, Clock::manual(START)).await.err().expect("it is refused");
        assert!(words.iter().all(|word| refused.contains(word)), "{refused}");
    }
}
