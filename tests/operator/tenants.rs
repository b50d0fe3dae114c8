//! Tenants, their grants and settings, through the admin API.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::{assert_problem, deploy, hello, host_with_acme, make, token, visit};
use crate::support::{Ask as _, TestHost, on_both_databases};

on_both_databases! {
    async fn a_tenant_is_made_shown_changed_and_deleted(host: TestHost) {
        let new = json!({ "name": "acme", "hosts": ["shop.example.com"], "grants": ["database"], "quotas": { "groups": 5 } });
        let made = make(&host, &new).await;
        assert_eq!(made["grants"], json!(["log", "clock", "random", "settings", "database"]));
        assert_eq!((&made["quotas"]["groups"], &made["quotas"]["revisions"]), (&json!(5), &json!(10)));
        make(&host, &json!({ "name": "other" })).await;
        let list = host.operate(Method::GET, "tenants").answer().await.json();
        let names: Vec<_> = list.as_array().expect("a list").iter().map(|it| it["name"].clone()).collect();
        assert_eq!(names, ["default", "acme", "other"]);
        let change = json!({ "hosts": ["acme.example.com"], "quotas": { "concurrency": 7 } });
        let changed = host.operate(Method::PATCH, "tenants/acme").json(&change).answer().await.json();
        assert_eq!((&changed["hosts"], &changed["quotas"]["groups"]), (&json!(["acme.example.com"]), &json!(5)));
        let granted = json!({ "add": ["cache", "http:api.example.com"], "remove": ["database"] });
        let granted = host.operate(Method::POST, "tenants/acme/grants").json(&granted).answer().await;
        assert_eq!(granted.json()["grants"], json!(["log", "clock", "random", "settings", "cache", "http:api.example.com"]));
        let shown = host.operate(Method::GET, "tenants/acme").answer().await.json();
        assert_eq!((&shown["tenant"]["grants"], &shown["groups"]), (&granted.json()["grants"], &json!([])));
        let taken = json!({ "name": "third", "hosts": ["*.example.com"] });
        let taken = host.operate(Method::POST, "tenants").json(&taken).answer().await;
        assert_problem(&taken, 409, &["conflict", "*.example.com", "of tenant acme"]);
        assert_eq!(host.operate(Method::DELETE, "tenants/acme").answer().await.status, 204);
        let gone = host.operate(Method::GET, "tenants/acme").answer().await;
        assert_problem(&gone, 404, &["there is no tenant", "acme", "wharf tenant list"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_formed_is_refused_with_the_reason() {
    let host = host_with_acme().await;
    let call = async |method, path: &str, body: serde_json::Value| {
        host.operate(method, path).json(&body).answer().await
    };
    for (body, words) in [
        (json!({ "name": "Acme" }), &["no name for a tenant"][..]),
        (json!({ "name": "a", "hosts": ["a:80"] }), &["no host name"]),
        (json!({ "name": "a", "grants": ["everything"] }), &["no grant", "database"]),
        (json!({ "name": "a", "quotas": { "bytes": 1 } }), &["bytes", "artifact_bytes"]),
        (json!({ "name": "a", "quotas": { "revisions": 0 } }), &["revisions is 0"]),
        (json!({ "name": "a", "signer": "x" }), &["minisign", "wharf key new"]),
    ] {
        assert_problem(&call(Method::POST, "tenants", body).await, 400, words);
    }
    let unknown = call(Method::POST, "tenants", json!({ "nam": "a" })).await;
    assert_problem(&unknown, 422, &["nam"]);
    let absent = call(Method::POST, "tenants/acme/grants", json!({ "remove": ["cache"] })).await;
    assert_problem(&absent, 400, &["has no grant", "cache", "log"]);
    let large = json!({ "name": "a".repeat(200_000) });
    assert_problem(&call(Method::POST, "tenants", large).await, 413, &["invalid"]);
    assert_problem(&call(Method::PUT, "tenants", json!({})).await, 404, &["no such call"]);
    assert_problem(&call(Method::GET, "nothing", json!({})).await, 404, &["no such call"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_setting_makes_a_new_revision_and_a_secret_is_shown_to_nobody() {
    let host = host_with_acme().await;
    let path = "tenants/acme/groups/hello/settings";
    let set = async |body: serde_json::Value| {
        let answer = host.operate(Method::PATCH, path).json(&body).answer().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["deployed"]["revision"].clone()
    };
    let secret = "a-very-secret-value";
    let key = json!({ "value": secret, "secret": true });
    assert!(set(json!({ "set": { "key": key, "color": { "value": "red" } } })).await.is_null());
    let operator = host.operator_token();
    let lines = deploy(&host, &operator, "", hello(0)).await;
    assert_eq!(lines.last().expect("a line")["deployed"]["revision"], 1, "{lines:?}");
    assert_eq!(set(json!({ "set": { "color": { "value": "blue" } } })).await, 2);
    let other = json!({ "value": "another-secret-value", "secret": true });
    assert_eq!(set(json!({ "set": { "key": other }, "unset": ["color"] })).await, 3);
    assert_eq!(visit(&host, "acme", "/hello").await.body, "hello");
    let reader = token(&host, "acme", &["read"]).await;
    let read = async |path: &str| {
        let url = format!("{}/v1/tenants/acme/groups/hello/{path}", host.admin_origin());
        let answer = reqwest::Client::new().get(url).bearer_auth(&reader).answer().await;
        assert!(!answer.body.contains(secret) && !answer.body.contains("another-"), "{answer:?}");
        answer.json()
    };
    assert_eq!(read("settings").await, json!({ "key": { "secret": true } }));
    let revisions = read("revisions").await;
    assert_eq!(
        revisions["revisions"][2]["settings"],
        json!({ "color": { "value": "red", "secret": false }, "key": { "secret": true } })
    );
    let first = read("diff?from=1&to=2").await;
    assert_eq!(
        (&first["settings_changed"], &first["component_differs"]),
        (&json!(["color"]), &json!(false))
    );
    let second = read("diff?from=2&to=3").await;
    assert_eq!(
        (&second["settings_changed"], &second["settings"]["removed"]),
        (&json!(["key"]), &json!(["color"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_leaves_is_done_all_the_same() {
    let Some(host) = TestHost::on_postgres().await else { return };
    host.tenant("acme").await;
    let url = host.postgres().expect("PostgreSQL");
    let mut other = PgConnection::connect(url).await.expect("it answers");
    let mut watching = PgConnection::connect(url).await.expect("it answers");
    let mut waiting = async || {
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut watching).await.expect("a count")
    };
    let lock = "BEGIN; LOCK TABLE wharf.tenants IN EXCLUSIVE MODE";
    other.execute(lock).await.expect("the lock is free");
    let grant = host.operate(Method::POST, "tenants/acme/grants");
    let leaving = tokio::spawn(grant.json(&json!({ "add": ["cache"] })).send());
    let begun = Instant::now();
    while waiting().await == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "it waits for the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    leaving.abort();
    for _ in 0..50 {
        assert_eq!(host.operate(Method::GET, "tenants/acme").answer().await.status, 200);
        assert_eq!(waiting().await, 1, "it waits on");
    }
    other.execute("ROLLBACK").await.expect("the lock is given back");
    loop {
        let shown = host.operate(Method::GET, "tenants/acme").answer().await.json();
        if shown["tenant"]["grants"].to_string().contains("cache") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "it is never granted: {shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
