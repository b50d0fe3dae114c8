//! Tenants deploy `wasi:http` components, within what they have been granted.

use std::net::IpAddr;

use wharf::admin::api::Deploy;
use wharf::deploy::Deployed;

use super::outbound::{OK, upstream};
use crate::support::deploying::with_manifest;
use crate::support::{Answer, Ask as _, TestHost, guests};

/// A host with a tenant that may call nobody, and names that lead to this machine.
async fn serving(names: &[&str]) -> TestHost {
    let local: Vec<IpAddr> = vec!["127.0.0.1".parse().expect("an address")];
    let host = TestHost::with(|config| {
        config.outbound.private_networks = vec!["127.0.0.0/8".parse().expect("a network")];
        config.outbound.hosts =
            names.iter().map(|name| ((*name).to_owned(), local.clone())).collect();
        config.http.proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    });
    let host = host.await;
    host.tenant("acme").await;
    host
}

fn component(manifest: &str) -> Vec<u8> {
    with_manifest(&guests::bare("proxy"), &format!("group = \"shop\"\n{manifest}"))
}

async fn deploy(host: &TestHost, manifest: &str) -> Result<Deployed, String> {
    host.deploy("acme", "shop", component(manifest)).await
}

async fn asks(host: &TestHost, tenant: &str, path: &str) -> Answer {
    host.get(path).header("host", format!("{tenant}.localhost")).answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_wasi_http_is_refused_in_words() {
    let host = serving(&[]).await;
    let refusals: [(&str, &[&str]); 8] = [
        ("", &["is a wasi:http component", "write mount = \"/shop\" in its wharf-plugin.toml"]),
        ("mount = \"shop\"", &["the mount \"shop\"", "no beginning of a path"]),
        (
            "mount = \"/shop\"\nmiddleware = [\"api-key\"]",
            &["cannot be wrapped yet", "take api-key out of middleware"],
        ),
        (
            "mount = \"/shop\"\noutbound = [\"self\", \"api.example.com\"]",
            &[
                "its manifest wants to call api.example.com, which tenant acme has not been granted",
                "wharf grant acme http:api.example.com",
            ],
        ),
        ("mount = \"/shop\"\noutbound = [\"a/b\"]", &["\"a/b\"", "no host name"]),
        (
            "mount = \"/shop\"\n[smoke]\npath = \"/hello\"",
            &["smoke request GET /hello", "none of its routes"],
        ),
        (
            "mount = \"/shop\"\n[smoke]\npath = \"/shop/status?503\"",
            &["smoke request GET /shop/status?503", "status 503"],
        ),
        (
            "mount = \"/shop\"\n[smoke]\npath = \"/shop/trap/before\"",
            &["smoke request GET /shop/trap/before failed", "unreachable"],
        ),
    ];
    for (manifest, words) in refusals {
        let refused = deploy(&host, manifest).await.expect_err(manifest);
        assert!(words.iter().all(|word| refused.contains(word)), "{manifest}: {refused}");
        assert!(!refused.contains("[groups."), "a tenant has no configuration: {refused}");
    }
    assert_eq!(asks(&host, "acme", "/shop/hello").await.status, 404);
    // A component with routes of its own is mounted nowhere.
    let hello = with_manifest(
        &guests::bare("hello"),
        "group = \"hello\"\ngrants = [\"log\"]\nmount = \"/hello\"",
    );
    let refused = host.deploy("acme", "hello", hello).await.expect_err("it has a mount");
    assert!(refused.contains("declares its own routes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_wasi_http_is_served_below_its_mount_to_its_tenant_alone() {
    let mut host = serving(&[]).await;
    host.tenant("other").await;
    let smoke = "mount = \"/shop\"\n[smoke]\nmethod = \"POST\"\npath = \"/shop/echo?a=b\"\nbody = \"some\"\nstatus = 200";
    let deployed = deploy(&host, smoke).await.expect("it is deployed");
    assert_eq!((deployed.revision, deployed.was), (1, None));
    assert_eq!(deployed.routes, ["* /shop", "* /shop/", "* /shop/{*rest}"]);
    for _ in 0..2 {
        assert_eq!(asks(&host, "acme", "/shop/hello").await.body, "hello");
        for (tenant, path) in [("acme", "/hello"), ("other", "/shop/hello")] {
            assert_eq!(asks(&host, tenant, path).await.status, 404, "{tenant} {path}");
        }
        host.restart().await;
    }
    let moved = deploy(&host, "mount = \"/store\"").await.expect("it is deployed");
    assert_eq!((moved.revision, moved.was), (2, Some(1)));
    assert_eq!(asks(&host, "acme", "/store/hello").await.body, "hello");
    assert_eq!(asks(&host, "acme", "/shop/hello").await.status, 404);
    host.rollback("acme", "shop", None).await.expect("it goes back");
    assert_eq!(asks(&host, "acme", "/shop/hello").await.body, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_component_calls_whom_its_tenant_was_granted() {
    let (address, mut asked) = upstream(OK).await;
    let port = address.port();
    let names = ["api.example.com", "example.org", "a.example.org", "a.b.example.org"];
    let mut host = serving(&names).await;
    let with = |name: &str| format!("mount = \"/shop\"\noutbound = [\"{name}:{port}\"]");
    let call = async |host: &TestHost, name: &str| {
        asks(host, "acme", &format!("/shop/call?http://{name}:{port}/path")).await.body
    };
    deploy(&host, "mount = \"/shop\"").await.expect("it is deployed");
    assert_eq!(call(&host, "api.example.com").await, "ErrorCode::HttpRequestDenied");
    let refused = deploy(&host, &with("api.example.com")).await.expect_err("not granted");
    assert!(
        refused.contains(&format!("wharf grant acme http:api.example.com:{port}")),
        "{refused}"
    );
    let granted = ["api.example.com", "*.example.org"].map(|name| format!("http:{name}:{port}"));
    host.grant("acme", &granted.each_ref().map(String::as_str)).await;
    for other in ["*.api.example.com", "example.org", "*.example.com", "badexample.org"] {
        let refused = deploy(&host, &with(other)).await.expect_err(other);
        assert!(refused.contains("has not been granted"), "{other}: {refused}");
    }
    let usual = "mount = \"/shop\"\noutbound = [\"api.example.com\"]";
    let refused = deploy(&host, usual).await.expect_err("another port was granted");
    assert!(refused.ends_with("wharf grant acme http:api.example.com"), "{refused}");
    for (wanted, called, denied) in [
        ("API.example.com", "api.example.com", "a.example.org"),
        ("a.example.org", "a.example.org", "api.example.com"),
        ("*.example.org", "a.b.example.org", "example.org"),
        ("*.b.example.org", "a.b.example.org", "a.example.org"),
    ] {
        deploy(&host, &with(wanted)).await.expect(wanted);
        assert_eq!(call(&host, called).await, "200 ok ", "{wanted} {called}");
        let request = asked.try_recv().expect("it was asked");
        assert!(request.contains(&format!("\r\nhost: {called}:{port}\r\n")), "{request}");
        assert_eq!(call(&host, denied).await, "ErrorCode::HttpRequestDenied", "{wanted} {denied}");
    }
    host.restart().await;
    assert_eq!(call(&host, "a.b.example.org").await, "200 ok ");
    assert_eq!(call(&host, "self").await, "ErrorCode::HttpRequestDenied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_wasi_http_that_is_tried_out_is_judged_by_the_heads_of_its_answers() {
    let host = serving(&[]).await;
    deploy(&host, "mount = \"/shop\"").await.expect("it is deployed");
    let how = Deploy {
        group: Some("shop".into()),
        percent: Some(50),
        requests: Some(5),
        ..Deploy::default()
    };
    // The root of all paths is what the one before does not answer.
    let tried = host.deploy_as("acme", &how, component("mount = \"/\"")).await;
    assert_eq!(tried.expect("it is tried").percent, Some(50));
    let ended = async {
        for number in (0..=255_u8).cycle() {
            let asked = host.get("/status?503").header("host", "acme.localhost");
            asked.header("x-forwarded-for", format!("10.0.{number}.1")).answer().await;
            let last = host.last_event("acme", "shop").await;
            if last.what == "canary rolled back" {
                return last.why;
            }
        }
        String::new()
    };
    let why = tokio::time::timeout(std::time::Duration::from_secs(30), ended).await;
    let why = why.expect("it is taken back");
    assert!(why.contains("too many errors"), "{why}");
}
