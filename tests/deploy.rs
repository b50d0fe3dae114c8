//! Components go online, and are taken back, while requests are answered.

mod canary;
mod killed;
mod refused;
mod swaps;

use crate::support::raw::saying;
use crate::support::{Ask as _, TestHost, on_both_databases};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

/// A route of the built-in API's for whoever is signed in.
const ME: &str = "/api/auth/me";

/// What a tenant answers to a path, with the status.
async fn asks(host: &TestHost, tenant: &str, path: &str) -> (u16, String) {
    let asked = host.get(path).header("host", format!("{tenant}.localhost")).send().await;
    let answer = asked.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// Signs somebody up at a tenant that inherits; always the same one, and so it works once.
async fn register(host: &TestHost, tenant: &str) -> StatusCode {
    let doctor = json!({ "username": "somebody", "password": "12345678", "email": "somebody@example.com", "sex": 0, "age": 24 });
    let request = host.post("/api/auth/register").header("host", format!("{tenant}.localhost"));
    request.json(&doctor).send().await.expect("an answer").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_served_to_its_tenants_host_names_alone() {
    let mut host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    host.tenant("other").await;
    assert_eq!(asks(&host, "acme", "/greet").await.0, 404);
    let deployed = host.deploy("acme", "greet", saying("greet", "one", 200)).await;
    let deployed = deployed.expect("it is deployed");
    assert_eq!((deployed.revision, deployed.was), (1, None));
    assert_eq!(deployed.routes, ["GET /greet"]);
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "one".into()));
    assert_eq!(asks(&host, "ACME", "/greet").await, (200, "one".into()));
    for nobody in ["other", "default", "unknown", "not.acme"] {
        assert_eq!(asks(&host, nobody, "/greet").await.0, 404, "{nobody}");
    }
    // The built-in groups are the default tenant's.
    assert_eq!(asks(&host, "acme", ME).await.0, 404);
    assert_eq!(asks(&host, "unknown", ME).await.0, 401);
    host.restart().await;
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "one".into()));
    assert_eq!(asks(&host, "other", "/greet").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_replaces_the_one_before_and_can_be_taken_back() {
    let mut host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    for (number, text) in [(1, "one"), (2, "two"), (3, "three")] {
        let deployed = host.deploy("acme", "greet", saying("greet", text, 200)).await;
        assert_eq!(deployed.expect("it is deployed").revision, number);
        assert_eq!(asks(&host, "acme", "/greet").await, (200, text.into()));
    }
    let back = host.rollback("acme", "greet", None).await.expect("it goes back");
    assert_eq!((back.revision, back.was), (2, Some(3)));
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "two".into()));
    let further = host.rollback("acme", "greet", None).await.expect("it goes further back");
    assert_eq!((further.revision, further.was), (1, Some(2)));
    let first = host.rollback("acme", "greet", None).await.expect_err("it is the first");
    assert!(first.contains("the first that is kept"), "{first}");
    host.rollback("acme", "greet", Some(3)).await.expect("it goes forward");
    host.rollback("acme", "greet", Some(1)).await.expect("it goes back");
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "one".into()));
    let again = host.rollback("acme", "greet", Some(1)).await;
    assert!(again.expect_err("it is there").contains("answers already"));
    let unknown = host.rollback("acme", "greet", Some(9)).await;
    assert!(unknown.expect_err("there is none").contains("no revision 9"));
    host.restart().await;
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "one".into()));
    host.remove("acme", "greet").await;
    assert_eq!(asks(&host, "acme", "/greet").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_in_group_is_replaced_and_comes_back() {
    let host = TestHost::on_sqlite().await;
    let hello = saying("api/captchas", "mine", 200);
    host.deploy("default", "captcha", hello).await.expect("it is deployed");
    assert_eq!(
        host.get("/api/captchas").send().await.expect("an answer").text().await.expect("text"),
        "mine"
    );
    host.remove("default", "captcha").await;
    assert_eq!(host.captcha().await.1.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_that_inherit_have_users_of_their_own() {
    let host = TestHost::on_sqlite().await;
    for name in ["acme", "other"] {
        host.create(json!({ "name": name, "inherits": true })).await;
    }
    let token = host.user("somebody").await;
    for (tenant, status) in [("default", 200), ("acme", 401), ("other", 401)] {
        let asked = host.get(ME).bearer_auth(&token).header("host", format!("{tenant}.localhost"));
        assert_eq!(asked.send().await.expect("an answer").status(), status, "{tenant}");
    }
    let login = host
        .post("/api/auth/login")
        .header("host", "acme.localhost")
        .query(&[("username", "somebody"), ("password", "secret-1")]);
    let answer = login.send().await.expect("an answer");
    assert!(!answer.text().await.expect("text").contains("access_token"));
}

on_both_databases! {
    async fn a_deleted_tenant_leaves_nothing_to_a_later_one_of_its_name(host: TestHost) {
        for _ in 0..2 {
            host.create(json!({ "name": "acme", "inherits": true })).await;
            assert_eq!(register(&host, "acme").await, 200, "nobody has this name");
            assert_ne!(register(&host, "acme").await, 200);
            host.delete_tenant("acme").await;
            assert!(!host.data().join("tenants/acme.db").exists());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_data_cannot_be_removed_stays() {
    let mut host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    host.deploy("acme", "greet", saying("greet", "one", 200)).await.expect("it is deployed");
    let place = host.data().join("tenants/acme.db");
    std::fs::create_dir_all(&place).expect("nothing is stored there yet");
    let refused = host.operate(Method::DELETE, "tenants/acme").answer().await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    assert!(
        refused.body.contains("acme.db") && refused.body.contains("delete it again"),
        "{refused:?}"
    );
    assert_eq!(asks(&host, "acme", "/greet").await, (200, "one".into()));
    std::fs::remove_dir(&place).expect("it is empty");
    host.delete_tenant("acme").await;
    assert_eq!(asks(&host, "acme", "/greet").await.0, 404);
    host.restart().await;
    assert_eq!(asks(&host, "acme", "/greet").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_made_while_a_host_reads_what_it_missed_keeps_its_data() {
    let Some(host) = TestHost::on_postgres().await else { return };
    let mut admin = PgConnection::connect(host.postgres().expect("its URL")).await.expect("it");
    let deaf = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let _slowly = fail::FailGuard::new("deploy::read", "sleep(100)");
    for name in (0..10).map(|number| format!("tenant-{number}")) {
        sqlx::query(deaf).execute(&mut admin).await.expect("it reads anew");
        host.create(json!({ "name": name, "inherits": true })).await;
        assert_eq!(register(&host, &name).await, 200, "{name} serves");
        assert_eq!(register(&host, &name).await, 422, "{name} has its user");
        host.delete_tenant(&name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_two_hosts_is_refused() {
    let host = TestHost::on_sqlite().await;
    host.tenant("acme").await;
    host.deploy("acme", "greet", saying("greet", "one", 200)).await.expect("it is deployed");
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .resolve("acme.localhost", host.address())
        .build()
        .expect("a client");
    let url = format!("http://acme.localhost:{}/greet", host.address().port());
    let ask = |other: Option<&'static str>| {
        let request = client.get(&url);
        other.into_iter().fold(request, |request, other| request.header("host", other)).send()
    };
    assert_eq!(ask(None).await.expect("an answer").status(), 200);
    assert_eq!(ask(Some("other.localhost")).await.expect("an answer").status(), 400);
}
