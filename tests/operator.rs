//! What tenants' operators and the host's do: tenants, tokens, revisions.

mod access;
mod commands;
mod registry;
mod signatures;
mod tenants;
mod uploads;

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::support::{Answer, Ask as _, TestHost, guests};

/// A host that serves the hello guest, and has a tenant `acme`.
async fn host_with_acme() -> TestHost {
    let host = TestHost::with(|config| config.components = guests::guest("hello")).await;
    make(&host, &json!({ "name": "acme" })).await;
    host
}

/// Makes a tenant.
async fn make(host: &TestHost, tenant: &Json) -> Json {
    let made = host.operate(Method::POST, "tenants").json(tenant).answer().await;
    assert_eq!(made.status, 201, "{made:?}");
    made.json()
}

/// Makes a token for a tenant.
async fn token(host: &TestHost, tenant: &str, verbs: &[&str]) -> String {
    host.token(tenant, verbs).await
}

/// The hello guest, and others that only differ in bytes that mean nothing.
fn hello(variant: u8) -> Vec<u8> {
    let mut component =
        std::fs::read(guests::guest("hello").join("hello.wasm")).expect("it is built");
    if variant > 0 {
        // A custom section, whose name is one byte.
        component.extend([0, 3, 1, b'v', variant]);
    }
    component
}

/// Deploys a component with a token; the lines of the answer.
async fn deploy(host: &TestHost, token: &str, query: &str, component: Vec<u8>) -> Vec<Json> {
    let url = format!("{}/v1/tenants/acme/deploys{query}", host.admin_origin());
    let request = reqwest::Client::new().post(url).bearer_auth(token);
    let answer = request.body(component).answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What a tenant's host name answers.
async fn visit(host: &TestHost, tenant: &str, path: &str) -> Answer {
    host.get(path).header("host", format!("{tenant}.localhost")).answer().await
}

/// That a call was refused with a status, and with these words.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, words: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["error"];
    let text = format!("{}: {}; {}", error["code"], error["message"], error["remedy"]);
    for word in words {
        assert!(text.contains(word), "{word:?} in: {text}");
    }
}
