//! A revision is tried on a share of the callers, and taken back or over by what is seen.

use std::time::Duration;

use wharf::admin::api::Deploy;
use wharf::deploy::Deployed;
use wharf::registry::{Bounds, Event};

use crate::support::TestHost;
use crate::support::raw::{answering, saying};

const BOUNDS: Bounds = Bounds {
    errors_percent: 1.0,
    p99_factor: 2.0,
    requests: 20,
    window_seconds: 60,
    promote: true,
};

/// Somebody's answer: callers are told apart by their addresses.
async fn caller(host: &TestHost, number: u8) -> String {
    let asked = host
        .get("/greet")
        .header("host", "acme.localhost")
        .header("x-forwarded-for", format!("10.0.{number}.1"));
    asked.send().await.expect("an answer").text().await.expect("text")
}

async fn serving() -> TestHost {
    let host = TestHost::with(|config| {
        config.http.proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    });
    let host = host.await;
    host.tenant("acme").await;
    host.deploy("acme", "greet", saying("greet", "old", 200)).await.expect("it is deployed");
    host
}

/// Has a component tried on a share of the callers.
async fn on_trial(
    host: &TestHost,
    component: Vec<u8>,
    percent: u8,
    bounds: Bounds,
) -> Result<Deployed, String> {
    let how = Deploy {
        group: Some("greet".to_owned()),
        percent: Some(percent),
        errors_percent: Some(bounds.errors_percent),
        p99_factor: Some(bounds.p99_factor),
        requests: Some(bounds.requests),
        window_seconds: Some(bounds.window_seconds),
        promote: Some(bounds.promote),
        ..Deploy::default()
    };
    host.deploy_as("acme", &how, component).await
}

/// Waits until this was decided, which is written down a moment after the callers notice.
async fn decided(host: &TestHost, what: &str) -> Event {
    let written = async {
        loop {
            let last = host.last_event("acme", "greet").await;
            if last.what == what {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), written).await.expect("it is written down")
}

/// Waits until all callers are answered by one revision.
async fn until_all(host: &TestHost, text: &str) {
    let settled = async {
        loop {
            let mut answers = Vec::new();
            for number in 0..100 {
                answers.push(caller(host, number).await);
            }
            if answers.iter().all(|answer| answer == text) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), settled).await.expect("it is decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_callers_always_the_same_ones_and_then_all() {
    let host = serving().await;
    let new = saying("greet", "new", 200);
    let deployed = on_trial(&host, new, 30, BOUNDS).await.expect("it is tried");
    assert_eq!((deployed.revision, deployed.percent), (2, Some(30)));
    let mut tried = Vec::new();
    for number in 0..100 {
        tried.push(caller(&host, number).await);
    }
    let share = tried.iter().filter(|answer| *answer == "new").count();
    assert!((15..=45).contains(&share), "{share}");
    for (number, before) in (0..100).zip(&tried) {
        assert_eq!(caller(&host, number).await, *before, "caller {number}");
    }
    host.clock.advance(61);
    until_all(&host, "new").await;
    let last = decided(&host, "promoted").await;
    assert!(last.why.contains("within its bounds"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_take_it_back() {
    let host = serving().await;
    let broken = saying("greet", "new", 500);
    on_trial(&host, broken, 30, BOUNDS).await.expect("it is tried");
    until_all(&host, "old").await;
    let last = decided(&host, "canary rolled back").await;
    assert!(last.why.contains("too many errors"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slowness_takes_it_back() {
    let host = serving().await;
    let slow = answering("greet", "new", 200, 60_000_000);
    on_trial(&host, slow, 30, BOUNDS).await.expect("it is tried");
    until_all(&host, "old").await;
    let last = decided(&host, "canary rolled back").await;
    assert!(last.why.contains("too slow"), "{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_take_it_over_or_back_and_a_restart_keeps_it() {
    let mut host = serving().await;
    let patient = Bounds { promote: false, ..BOUNDS };
    let new = |text| saying("greet", text, 200);
    on_trial(&host, new("new"), 50, patient).await.expect("it is tried");
    let mut tried = Vec::new();
    for number in 0..20 {
        tried.push(caller(&host, number).await);
    }
    assert!(tried.contains(&"new".to_owned()) && tried.contains(&"old".to_owned()), "{tried:?}");
    host.restart().await;
    for (number, before) in (0..20).zip(&tried) {
        assert_eq!(caller(&host, number).await, *before, "caller {number}");
    }
    host.rollback("acme", "greet", None).await.expect("it is taken back");
    until_all(&host, "old").await;
    let first = host.rollback("acme", "greet", None).await.expect_err("there is none before");
    assert!(first.contains("the first that is kept"), "{first}");
    on_trial(&host, new("newer"), 1, patient).await.expect("it is tried");
    host.promote("acme", "greet").await.expect("it is taken over");
    until_all(&host, "newer").await;
    let none = host.promote("acme", "greet").await.expect_err("there is none");
    assert!(none.contains("no revision on trial"), "{none}");
}
