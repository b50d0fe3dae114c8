//! One tenant's deploy token against the other's tenant, by whatever name.

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::{TENANTS, asks, call, greets, rivals, token};
use crate::support::raw::saying;
use crate::support::{Ask as _, TestHost, guests};

/// Where the calls about a group begin.
const GROUP: &str = "/v1/tenants/{tenant}/groups/{group}";

/// The methods and paths of all calls about a tenant, as the admin API's router has them.
fn calls() -> Vec<(Method, String)> {
    let source = std::fs::read_to_string(guests::root().join("host/src/admin.rs"));
    let source = source.expect("the room of the admin API");
    let router = source.split("fn router(").nth(1).expect("its router");
    let router = router.split("\n}").next().expect("its end");
    let mut calls = Vec::new();
    for route in router.split(".route(").skip(1) {
        let quoted = || route.split('"').nth(1).expect("a path").to_owned();
        let path = match route.trim_start() {
            own if own.starts_with("group,") => GROUP.to_owned(),
            own if own.starts_with("&at(") => format!("{GROUP}{}", quoted()),
            _ => quoted(),
        };
        for method in ["get", "post", "patch", "put", "delete"] {
            if route.contains(&format!("{method}(")) && path.contains("{tenant}") {
                let method = method.to_uppercase().parse().expect("a method");
                calls.push((method, path.trim_start_matches("/v1/").to_owned()));
            }
        }
    }
    assert!(calls.len() >= 14, "{calls:?}");
    calls
}

/// All that is stored about the tenants.
async fn stored(host: &TestHost) -> Vec<String> {
    let mut stored = Vec::new();
    for table in ["tenants", "tenant_hosts", "tenant_settings", "revisions", "pointers"] {
        let rows = host.host_sql(&format!("SELECT * FROM {table}"), Vec::new()).await;
        let mut rows: Vec<_> = rows.rows.iter().map(|row| format!("{table} {row:?}")).collect();
        rows.sort();
        stored.extend(rows);
    }
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_with_a_token_of_another_tenant_finds_or_changes_anything() {
    let host = rivals(TestHost::on_sqlite().await).await;
    for text in ["one", "two"] {
        greets(&host, "other", text).await;
    }
    host.set("other", "greet", "color", "red").await;
    let acmes = token(&host, "acme").await;
    let before = stored(&host).await;
    for (method, path) in calls() {
        let mut answers = Vec::new();
        for tenant in ["other", "nobody"] {
            let path = path.replace("{tenant}", tenant).replace("{group}", "greet");
            let request = call(&host, &acmes, method.clone(), &path);
            let body = json!({ "to": 1, "hosts": [], "unset": ["color"], "add": ["blobs"], "name": "x", "verbs": ["deploy"], "expires_seconds": 9 });
            let answer = request.query(&[("from", 1), ("to", 2)]).json(&body).answer().await;
            answers.push((answer.status, answer.body.replace(tenant, "…")));
        }
        assert_eq!(answers[0].0, 404, "{method} {path}: {answers:?}");
        assert_eq!(answers[0], answers[1], "{method} {path}");
    }
    assert_eq!(stored(&host).await, before);
    assert_eq!(asks(&host, "other", "/greet").await.body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_of_writing_a_path_leads_to_another_tenant() {
    let host = rivals(TestHost::on_sqlite().await).await;
    greets(&host, "acme", "mine").await;
    greets(&host, "other", "one").await;
    greets(&host, "other", "two").await;
    let acmes = token(&host, "acme").await;
    for tenant in [
        "acme%2F..%2Fother",
        "acme%2f%2e%2e%2fother",
        "%6fther",
        "other%00",
        "other%20",
        "OTHER",
        "acme%2Cother",
        "acme;other",
        "acme%0d%0aother",
    ] {
        for (method, rest) in
            [(Method::GET, "/revisions"), (Method::POST, "/rollback"), (Method::DELETE, "")]
        {
            let path = format!("tenants/{tenant}/groups/greet{rest}");
            let answer = call(&host, &acmes, method, &path).json(&json!({})).answer().await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
    }
    for group in ["..%2F..%2Fother%2Fgroups%2Fgreet", "greet%00", "other.greet", "other%2Fgreet"] {
        let path = format!("tenants/acme/groups/{group}/rollback");
        let answer = call(&host, &acmes, Method::POST, &path).json(&json!({})).answer().await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    assert_eq!(asks(&host, "other", "/greet").await.body, "two");
    assert_eq!(asks(&host, "acme", "/greet").await.body, "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_two_tokens_make_none() {
    let host = rivals(TestHost::on_sqlite().await).await;
    let [mine, theirs] = [token(&host, "acme").await, token(&host, "other").await];
    let parts = |token: &str| -> Vec<String> { token.split('_').map(str::to_owned).collect() };
    let (mine_parts, theirs_parts) = (parts(&mine), parts(&theirs));
    let hash = wharf::registry::tokens::hash(&theirs);
    for forged in [
        format!("wharf_{}_{}", theirs_parts[1], mine_parts[2]),
        format!("wharf_{}_{}", mine_parts[1], theirs_parts[2]),
        format!("wharf_{}_{hash}", theirs_parts[1]),
        theirs.to_uppercase(),
        format!("{theirs}0"),
        theirs[..theirs.len() - 1].to_owned(),
        format!("wharf_%_{}", theirs_parts[2]),
        hash,
    ] {
        let answer = call(&host, &forged, Method::GET, "tenants/other").answer().await;
        assert_eq!(answer.status, 401, "{forged}");
    }
    assert_eq!(call(&host, &theirs, Method::GET, "tenants/other").answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_of_another_tenant_are_neither_found_nor_taken_along() {
    let mut host = rivals(TestHost::on_sqlite().await).await;
    // The same bytes, so that both name the same artifact.
    for tenant in TENANTS {
        greets(&host, tenant, "one").await;
    }
    greets(&host, "other", "two").await;
    greets(&host, "other", "three").await;
    let acmes = token(&host, "acme").await;
    let group = "tenants/acme/groups/greet";
    for number in [2, 3] {
        let body = json!({ "to": number });
        let path = format!("{group}/rollback");
        let answer = call(&host, &acmes, Method::POST, &path).json(&body).answer().await;
        assert_eq!(answer.status, 404, "{answer:?}");
        let path = format!("{group}/diff?from=1&to={number}");
        let answer = call(&host, &acmes, Method::GET, &path).answer().await;
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(answer.body.contains(&format!("no revision {number}")), "{answer:?}");
    }
    let digest = host.revisions("other", "greet").await.revisions[0].digest.clone();
    for path in [format!("{group}/{digest}"), format!("artifacts/{digest}")] {
        assert_eq!(call(&host, &acmes, Method::GET, &path).answer().await.status, 404);
    }
    let own = call(&host, &acmes, Method::GET, &format!("{group}/revisions")).answer().await;
    assert_eq!(own.json()["revisions"].as_array().map(Vec::len), Some(1));
    assert!(!own.body.contains("other"), "{own:?}");
    // What the other takes away, or what goes with it, is still there for whoever has it as well.
    host.delete_tenant("other").await;
    host.restart().await;
    assert_eq!(asks(&host, "acme", "/greet").await.body, "one");
    host.deploy("acme", "greet", saying("greet", "two", 200)).await.expect("it is deployed");
    host.rollback("acme", "greet", Some(1)).await.expect("it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_in_the_middle_of_anything_ends_there() {
    let host = rivals(TestHost::on_sqlite().await).await;
    let acmes = token(&host, "acme").await;
    let show = async || call(&host, &acmes, Method::GET, "tenants/acme").answer().await.status;
    assert_eq!(show().await, 200);
    let id = acmes.split('_').nth(1).expect("an id");
    let revoked = host.operate(Method::DELETE, &format!("tokens/{id}")).answer().await;
    assert_eq!(revoked.status, 200);
    for (method, path) in calls() {
        let path = path.replace("{tenant}", "acme").replace("{group}", "greet");
        let answer = call(&host, &acmes, method, &path).json(&Json::Null).answer().await;
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
    }
}
