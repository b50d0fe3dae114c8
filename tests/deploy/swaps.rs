//! Revisions replace each other under load, and no request is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::Method;
use serde_json::json;
use wharf::admin::api::Deploy;

use crate::support::raw::{answering, saying};
use crate::support::serving::{Serving, serve};
use crate::support::{Ask as _, TestHost, guests};

/// Sends requests, one after the other on one connection, until it is over; none may fail.
async fn ask(client: reqwest::Client, url: String, over: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    while !over.load(Ordering::Relaxed) {
        let answer = client.get(&url).send().await;
        let answer = answer.expect("no request is lost");
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.expect("a whole body");
        assert!(text == "one" || text == "two", "{text}");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_swaps_lose_no_request() {
    let host = TestHost::on_sqlite().await;
    host.create(json!({ "name": "acme", "quotas": { "deploys_per_hour": 2_000 } })).await;
    // One of the two takes its time, so that requests are in flight whenever it is replaced.
    let one = saying("greet", "one", 200);
    let two = answering("greet", "two", 200, 2_000_000);
    host.deploy("acme", "greet", one.clone()).await.expect("it is deployed");
    let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let url = format!("http://acme.localhost:{}/greet", host.address().port());
    let client = || reqwest::Client::builder().resolve("acme.localhost", host.address());
    let http1 = || client().http1_only().build().expect("a client");
    let http2 = client().http2_prior_knowledge().build().expect("a client");
    let clients = [http1(), http1(), http2];
    let asking: Vec<_> = clients
        .into_iter()
        .map(|client| tokio::spawn(ask(client, url.clone(), Arc::clone(&over), Arc::clone(&count))))
        .collect();
    for round in 0..1_000 {
        match round % 4 {
            0 => drop(host.deploy("acme", "greet", two.clone()).await.expect("it is deployed")),
            2 => drop(host.deploy("acme", "greet", one.clone()).await.expect("it is deployed")),
            _ => {
                let back = host.rollback("acme", "greet", None).await;
                back.expect("it goes back");
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    for asked in asking {
        asked.await.expect("no request was lost");
    }
    assert!(count.load(Ordering::Relaxed) > 1_000, "{count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_deploys_at_once_one_wins_and_the_others_are_told_why() {
    let host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    host.deploy("acme", "greet", saying("greet", "old", 200)).await.expect("it is deployed");
    let texts: Vec<String> = (0..50).map(|number| format!("new {number}")).collect();
    let base = Some(host.revisions("acme", "greet").await.pointer.changes);
    let how = Deploy { group: Some("greet".to_owned()), base, ..Deploy::default() };
    let deploys = texts.iter().map(|text| host.deploy_as("acme", &how, saying("greet", text, 200)));
    let done = futures_util::future::join_all(deploys).await;
    let won: Vec<&String> =
        texts.iter().zip(&done).filter(|(_, done)| done.is_ok()).map(|(text, _)| text).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(super::asks(&host, "acme", "/greet").await, (200, won[0].clone()));
    for lost in done.iter().filter_map(|done| done.as_ref().err()) {
        assert!(lost.contains("was changed since you began (deployed by operator"), "{lost}");
    }
}

/// Machine code of a small component takes a quarter of a megabyte each time that it is loaded.
const SWAPS: u64 = 300;
const SPARE: u64 = 30 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn revisions_that_were_replaced_give_their_memory_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let serving = Serving::start(serve(folder.path(), &guests::guest("hello")));
    let token = wharf::admin::operator::read(&folder.path().join("data")).expect("the token");
    let client = reqwest::Client::new();
    let operate = |method: Method, path: &str| {
        client.request(method, format!("{}/v1/{path}", serving.admin)).bearer_auth(&token)
    };
    let made = operate(Method::POST, "tenants").json(&json!({ "name": "acme" })).answer().await;
    assert_eq!(made.status, 201, "{made:?}");
    for text in ["one", "two"] {
        let deploy = operate(Method::POST, "tenants/acme/deploys?group=greet");
        let deployed = deploy.body(saying("greet", text, 200)).answer().await;
        assert!(deployed.body.contains("\"deployed\""), "{deployed:?}");
    }
    let swap = async |number: u64| {
        let to = json!({ "to": 1 + number % 2 });
        let swap = operate(Method::POST, "tenants/acme/groups/greet/rollback").json(&to);
        let swapped = swap.answer().await;
        assert!(swapped.status.is_success(), "{swapped:?}");
        let asked = client.get(format!("{}/greet", serving.url)).header("host", "acme.localhost");
        assert_eq!(asked.answer().await.status, 200);
    };
    for number in 0..SWAPS / 10 {
        swap(number).await;
    }
    let before = resident(&serving);
    for number in 0..SWAPS {
        swap(number).await;
    }
    let after = resident(&serving);
    assert!(after < before + SPARE, "{before} bytes before, {after} after");
}

/// Bytes of memory that the program has.
fn resident(serving: &Serving) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serving.child.id()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    let value = line.split_whitespace().next().and_then(|value| value.parse::<u64>().ok());
    value.expect("a number") * 1024
}
