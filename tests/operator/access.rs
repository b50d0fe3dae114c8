//! Who may do what: every call with every kind of token.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value as Json, json};
use wharf::admin::Config;

use super::{assert_problem, host_with_acme, make, token};
use crate::support::{Answer, Ask as _, TestHost, guests};

/// The verb of a call that takes the operator's token.
const OPERATOR: &str = "operator";

/// What a token may allow.
const VERBS: [&str; 5] = ["deploy", "rollback", "read", "settings", "logs"];

/// Every call about a tenant, and the verb that it takes.
fn calls() -> Vec<(Method, &'static str, Json, &'static str)> {
    let group = "/groups/hello";
    let at = |path: &str| -> &'static str { format!("{group}{path}").leak() };
    vec![
        (Method::GET, "", Json::Null, "read"),
        (Method::PATCH, "", json!({}), OPERATOR),
        (Method::DELETE, "", Json::Null, OPERATOR),
        (Method::POST, "/grants", json!({ "add": ["cache"] }), OPERATOR),
        (Method::GET, "/tokens", Json::Null, OPERATOR),
        (
            Method::POST,
            "/tokens",
            json!({ "name": "a", "verbs": ["read"], "expires_seconds": 9 }),
            OPERATOR,
        ),
        (Method::POST, "/deploys", Json::Null, "deploy"),
        (Method::GET, group, Json::Null, "deploy"),
        (Method::DELETE, group, Json::Null, "deploy"),
        (Method::GET, at("/settings"), Json::Null, "read"),
        (Method::PATCH, at("/settings"), json!({ "unset": ["a"] }), "settings"),
        (Method::GET, at("/revisions"), Json::Null, "read"),
        (Method::GET, at("/diff?from=1&to=2"), Json::Null, "read"),
        (Method::POST, at("/rollback"), json!({}), "rollback"),
        (Method::POST, at("/promote"), Json::Null, "rollback"),
        (Method::GET, "/logs", Json::Null, "logs"),
    ]
}

async fn call(
    host: &TestHost,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: &Json,
) -> Answer {
    let mut request =
        reqwest::Client::new().request(method, format!("{}/v1/{path}", host.admin_origin()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let request = if body.is_null() { request } else { request.json(body) };
    request.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_takes_a_token_for_its_tenant_and_its_verb() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        config.admin = Config { wrong_tokens: 0, ..config.admin };
    })
    .await;
    make(&host, &json!({ "name": "acme" })).await;
    make(&host, &json!({ "name": "other" })).await;
    let others = token(&host, "other", &VERBS).await;
    for (method, path, body, verb) in calls() {
        let of = |tenant: &str| format!("tenants/{tenant}{path}");
        let ask = async |token: Option<&str>, tenant: &str| {
            call(&host, token, method.clone(), &of(tenant), &body).await
        };
        for nobody in [None, Some("wharf_00_11"), Some("x"), Some("")] {
            let answer = ask(nobody, "acme").await;
            assert_problem(&answer, 401, &["unauthorized"]);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        // Another tenant's token learns nothing, not even that the tenant exists.
        let [there, nowhere] = [ask(Some(&others), "acme").await, ask(Some(&others), "none").await];
        assert_problem(&there, 404, &["there is no tenant"]);
        assert_eq!(there.body.replace("acme", "none"), nowhere.body);
        // A token with all verbs but the one that it takes.
        let rest: Vec<&str> = VERBS.into_iter().filter(|other| *other != verb).collect();
        let answer = ask(Some(&token(&host, "acme", &rest).await), "acme").await;
        assert_problem(&answer, 403, &["forbidden"]);
        if verb == OPERATOR {
            assert_problem(&answer, 403, &["host's operator"]);
            continue;
        }
        let command = format!("wharf token create acme --verb {verb}");
        assert_problem(&answer, 403, &[&command, &format!("takes `{verb}`")]);
        let answer = ask(Some(&token(&host, "acme", &[verb]).await), "acme").await;
        assert!(![401, 403].contains(&answer.status.as_u16()), "{method} {path}: {answer:?}");
    }
    let acmes = token(&host, "acme", &VERBS).await;
    let listed = call(&host, Some(&acmes), Method::GET, "tenants", &Json::Null).await.json();
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert_eq!(listed[0]["name"], "acme");
    let new = json!({ "name": "mine" });
    let made = call(&host, Some(&acmes), Method::POST, "tenants", &new).await;
    assert_problem(&made, 403, &["making a tenant", "operator.token"]);
    let revoked = call(&host, Some(&acmes), Method::DELETE, "tokens/00", &Json::Null).await;
    assert_problem(&revoked, 403, &["revoking a token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_when_it_expires_is_revoked_or_its_tenant_goes() {
    let host = host_with_acme().await;
    let show = async |token: &str| {
        call(&host, Some(token), Method::GET, "tenants/acme", &Json::Null).await.status.as_u16()
    };
    let [short, revoked] =
        [token(&host, "acme", &["read"]).await, token(&host, "acme", &["read"]).await];
    assert_eq!((show(&short).await, show(&revoked).await), (200, 200));
    let id = revoked.split('_').nth(1).expect("an id");
    let path = format!("tokens/{id}");
    assert_eq!(host.operate(Method::DELETE, &path).answer().await.status, 200);
    assert_eq!((show(&short).await, show(&revoked).await), (200, 401));
    assert_problem(&host.operate(Method::DELETE, &path).answer().await, 404, &["no token", id]);
    host.clock.advance(3600);
    assert_eq!(show(&short).await, 401);
    let last = token(&host, "acme", &["read"]).await;
    assert_eq!(host.operate(Method::DELETE, "tenants/acme").answer().await.status, 204);
    make(&host, &json!({ "name": "acme" })).await;
    assert_eq!(show(&last).await, 401);
    let listed = host.operate(Method::GET, "tenants/acme/tokens").answer().await;
    assert_eq!(listed.json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_counted_and_right_ones_let_in_all_the_same() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        config.admin = Config { wrong_tokens: 3, ..config.admin };
    })
    .await;
    let guess =
        async || call(&host, Some("wharf_00_11"), Method::GET, "tenants", &Json::Null).await;
    for _ in 0..3 {
        assert_eq!(guess().await.status, 401);
    }
    let often = guess().await;
    assert_problem(&often, 429, &["too-often", "admin.wrong_tokens"]);
    assert_eq!(often.header("retry-after"), "20");
    assert_eq!(host.operate(Method::GET, "tenants").answer().await.status, 200);
    host.clock.advance(20);
    assert_eq!(guess().await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_may_be_are_told_to_come_back() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hello");
        config.admin = Config { requests: 1, ..config.admin };
    })
    .await;
    // An upload whose body the host waits for, and which ends when nobody sends it any more.
    let upload = waiting_upload(&host);
    let refused = host.operate(Method::GET, "tenants").answer().await;
    assert_problem(&refused, 503, &["unavailable", "admin.requests"]);
    assert_eq!(refused.header("retry-after"), "1");
    drop(upload);
    let freed =
        async { while host.operate(Method::GET, "tenants").answer().await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("the place is free again");
}

/// A connection on which a component is about to be sent, and the host has said that it reads it.
fn waiting_upload(host: &TestHost) -> TcpStream {
    let admin = host.admin_origin();
    let address = admin.strip_prefix("http://").expect("plain HTTP");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/tenants/default/deploys HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n",
        host.operator_token()
    );
    stream.write_all(head.as_bytes()).expect("it is open");
    let mut told = [0; 12];
    stream.read_exact(&mut told).expect("an answer");
    assert_eq!(&told, b"HTTP/1.1 100");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_token_is_kept_over_restarts_and_made_anew_when_it_is_removed() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut host = host_with_acme().await;
    let first = host.operator_token();
    host.restart().await;
    assert_eq!(host.operator_token(), first);
    let file = host.data().join("keys/operator.token");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::remove_file(&file).expect("it is there");
    host.restart().await;
    assert_ne!(host.operator_token(), first);
    assert_eq!(call(&host, Some(&first), Method::GET, "tenants", &Json::Null).await.status, 401);
}
