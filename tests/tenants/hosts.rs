//! Host names and paths of others: nobody takes what belongs to somebody else.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{TENANTS, asks, greets, rivals};
use crate::support::raw::saying;
use crate::support::socket::{exchange, statuses};
use crate::support::{Ask as _, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_is_of_one_tenant_however_it_is_written() {
    let host = TestHost::on_sqlite().await;
    let names = ["shop.example.com", "*.acme.org", "xn--shp-sna.example.com"];
    host.create(json!({ "name": "acme", "hosts": names })).await;
    host.create(json!({ "name": "other", "hosts": ["other.example.com"] })).await;
    let ask = async |method, path: &str, body: Json| {
        host.operate(method, path).json(&body).answer().await
    };
    for (name, status) in [
        ("shop.example.com", 409),
        ("xn--shp-sna.example.com", 409),
        ("*.example.com", 409),
        ("*.com", 409),
        ("*.acme.org", 409),
        ("a.acme.org", 409),
        ("a.b.acme.org", 409),
        ("*.b.acme.org", 409),
        ("*.org", 409),
        // What would be the same name once a client or a resolver has read it.
        ("Shop.example.com", 400),
        ("shop.example.com.", 400),
        ("shop.example.com:80", 400),
        ("shöp.example.com", 400),
        ("shop\u{ff0e}example.com", 400),
        ("shop.example.com\n", 400),
        (" shop.example.com", 400),
        ("http://shop.example.com", 400),
        ("shop.*.com", 400),
        ("*shop.example.com", 400),
        ("*.*.com", 400),
        ("*.", 400),
        ("*", 400),
        ("..", 400),
        ("", 400),
    ] {
        let made = ask(Method::POST, "tenants", json!({ "name": "third", "hosts": [name] })).await;
        assert_eq!(made.status, status, "{name:?}: {made:?}");
        let changed = ask(Method::PATCH, "tenants/other", json!({ "hosts": [name] })).await;
        assert_eq!(changed.status, status, "{name:?}: {changed:?}");
        if status == 409 {
            assert!(changed.body.contains("of tenant acme"), "{name:?}: {changed:?}");
        }
    }
    // Beside another's, and not within it.
    for name in ["acme.org", "notacme.org", "*.shop.example.com"] {
        let changed = ask(Method::PATCH, "tenants/other", json!({ "hosts": [name] })).await;
        assert_eq!(changed.status, 200, "{name}: {changed:?}");
    }
    assert_eq!(ask(Method::GET, "tenants/third", json!({})).await.status, 404);
}

/// Where a request with this head is answered: its status, and whose words it is answered with.
async fn answered(host: &TestHost, head: &str) -> (u16, String) {
    let answer = exchange(host.address(), format!("{head}\r\n\r\n").as_bytes()).await;
    let status = statuses(&answer).first().copied().unwrap_or_default();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_header_leads_to_the_tenant_that_it_names_or_to_none() {
    let host = rivals(TestHost::on_sqlite().await).await;
    for tenant in TENANTS.into_iter().chain(["default"]) {
        greets(&host, tenant, tenant).await;
    }
    let named = async |name: &str| {
        answered(&host, &format!("GET /greet HTTP/1.1\r\nhost: {name}\r\nconnection: close")).await
    };
    for name in [
        "acme.localhost",
        "ACME.localhost",
        "acme.localhost.",
        "acme.localhost:80",
        "acme.localhost:",
    ] {
        assert_eq!(named(name).await, (200, "acme".into()), "{name}");
    }
    for name in
        ["a.acme.localhost", "acme.localhost..", "localhost", "127.0.0.1", "[::1]:80", "acme"]
    {
        assert_eq!(named(name).await, (200, "default".into()), "{name}");
    }
    for name in [
        "acme.localhost, other.localhost",
        "acme.localhost other.localhost",
        "acme.localhost/greet",
        "acme.localhost?",
        "acme.localhost#",
        "acme.localhost@other.localhost",
        "user:other.localhost@acme.localhost",
        "acme.localhost:80:80",
        "acme.localhost:http",
        "acme.localhost\u{0}",
        "acme.localhost\\",
        "ac\u{fc}me.localhost",
    ] {
        let (status, body) = named(name).await;
        assert!(status == 400 || body == "default", "{name:?}: {status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_names_in_one_request_never_meet_in_the_middle() {
    let host = rivals(TestHost::on_sqlite().await).await;
    for tenant in TENANTS.into_iter().chain(["default"]) {
        greets(&host, tenant, tenant).await;
    }
    for head in [
        "GET /greet HTTP/1.1\r\nhost: acme.localhost\r\nhost: other.localhost",
        "GET /greet HTTP/1.1\r\nhost: acme.localhost\r\nHost: acme.localhost",
        "GET /greet HTTP/1.1\r\nconnection: close",
        "GET /greet HTTP/1.1\r\nhost : acme.localhost",
        "GET /greet HTTP/1.1\r\nhost: acme.localhost\r\n other.localhost",
    ] {
        assert_eq!(answered(&host, head).await.0, 400, "{head:?}");
    }
    // RFC 9112, section 3.2.2: the target counts, and the host beside it does not.
    let absolute =
        "GET http://acme.localhost/greet HTTP/1.1\r\nhost: other.localhost\r\nconnection: close";
    assert_eq!(answered(&host, absolute).await, (200, "acme".into()));
    let forwarded = "GET /greet HTTP/1.1\r\nhost: other.localhost\r\nx-forwarded-host: acme.localhost\r\nforwarded: host=acme.localhost\r\nconnection: close";
    assert_eq!(answered(&host, forwarded).await, (200, "other".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_replaces_its_own_tenants_alone_and_nothing_of_the_hosts() {
    let host = rivals(TestHost::on_sqlite().await).await;
    for tenant in TENANTS {
        greets(&host, tenant, tenant).await;
    }
    greets(&host, "acme", "new").await;
    assert_eq!(asks(&host, "other", "/greet").await.body, "other");
    host.remove("acme", "greet").await;
    assert_eq!(asks(&host, "acme", "/greet").await.status, 404);
    assert_eq!(asks(&host, "other", "/greet").await.body, "other");
    // A group of the built-in API's name is not the built-in one.
    host.deploy("acme", "captcha", saying("api/captchas", "mine", 200))
        .await
        .expect("it is deployed");
    assert_eq!(asks(&host, "acme", "/api/captchas").await.body, "mine");
    assert_eq!(host.captcha().await.1.len(), 5);
    for (path, says) in [("healthz", "ok"), ("readyz", "ready")] {
        let _ = host.deploy("acme", path, saying(path, "mine", 503)).await;
        let answer = asks(&host, "acme", &format!("/{path}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.contains("mine")),
            (200, false),
            "{answer:?}"
        );
        assert!(answer.body.contains(says), "{answer:?}");
    }
}
