//! Two tenants with the same group and the same tables: neither reaches what the other keeps.

use reqwest::Method;
use serde_json::json;
use wharf::tenant::package::Package;

use super::{TENANTS, asks, call, hostile, rivals, to, token};
use crate::support::languages::Language;
use crate::support::{Ask as _, TestHost, guests, on_both_databases};

/// The coupons service as it is deployed, with its table.
fn coupons() -> Vec<u8> {
    let language = Language::Rust;
    let component = language.component().expect("cargo is here");
    let component = std::fs::read(component).expect("the component");
    let package = Package::read(&language.source().join("wharf-plugin.toml")).expect("a manifest");
    package.put_into(&component).expect("it is a component")
}

/// Both tenants with the coupons service.
async fn shops(host: TestHost) -> TestHost {
    let host = rivals(host).await;
    for tenant in TENANTS {
        host.deploy(tenant, "coupons", coupons()).await.expect("it is deployed");
    }
    host
}

/// Creates a coupon; the status.
async fn create(host: &TestHost, tenant: &str, code: &str, percent: i64) -> u16 {
    let body = json!({ "code": code, "percent": percent });
    let made = to(host, tenant, Method::POST, "/api/coupons").json(&body).answer().await;
    made.status.as_u16()
}

/// What the hostile guest of a tenant is told when it sends a statement.
async fn told(host: &TestHost, tenant: &str, sql: &str) -> String {
    let request = to(host, tenant, Method::POST, "/statement").json(&json!({ "sql": sql }));
    let answer = request.answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

on_both_databases! {
    async fn rows_and_what_is_cached_of_them(host: TestHost) {
        let host = shops(host).await;
        assert_eq!(create(&host, "acme", "SPRING", 10).await, 201);
        assert_eq!(create(&host, "acme", "SPRING", 10).await, 409);
        assert_eq!(create(&host, "other", "SPRING", 20).await, 201);
        assert_eq!(create(&host, "other", "AUTUMN", 30).await, 201);
        for cached in ["miss", "hit"] {
            for (tenant, codes) in [("acme", &["SPRING"][..]), ("other", &["AUTUMN", "SPRING"])] {
                let answer = asks(&host, tenant, "/api/coupons").await;
                assert_eq!(answer.header("x-cache"), cached, "{tenant}");
                let coupons = answer.json()["coupons"].clone();
                let found: Vec<_> = coupons.as_array().expect("a list").iter().map(|it| it["code"].clone()).collect();
                assert_eq!(found, codes, "{tenant}");
            }
        }
        let redeemed = to(&host, "acme", Method::POST, "/api/coupons/SPRING/redeem").answer().await;
        assert_eq!(redeemed.json()["percent"], 10, "{redeemed:?}");
        let theirs = asks(&host, "other", "/api/coupons/SPRING").await.json();
        assert_eq!((&theirs["percent"], &theirs["redeemed_at"]), (&json!(20), &json!(null)));
        host.delete_tenant("acme").await;
        let kept = asks(&host, "other", "/api/coupons").await.json();
        assert_eq!(kept["coupons"].as_array().map(Vec::len), Some(2));
    }

    async fn settings_and_secrets(host: TestHost) {
        let host = shops(host).await;
        host.set("acme", "coupons", "most_percent", "5").await;
        assert_eq!((create(&host, "acme", "A", 50).await, create(&host, "other", "A", 50).await), (422, 201));
        let secret = json!({ "set": { "key": { "value": "acmes-secret-value", "secret": true } } });
        let path = |tenant: &str, rest: &str| format!("tenants/{tenant}/groups/coupons{rest}");
        let set = host.operate(Method::PATCH, &path("acme", "/settings")).json(&secret).answer().await;
        assert_eq!(set.status, 200, "{set:?}");
        let theirs = token(&host, "other").await;
        for rest in ["/settings", "/revisions"] {
            let answer = call(&host, &theirs, Method::GET, &path("other", rest)).answer().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!answer.body.contains("acmes") && !answer.body.contains("\"key\""), "{answer:?}");
        }
        // It is sealed for its place: moved to another's, it cannot be opened.
        let moved = "SELECT sealed FROM tenant_settings WHERE tenant = 'acme' AND sealed IS NOT NULL";
        let sealed = host.host_sql(moved, Vec::new()).await.rows;
        assert!(!format!("{sealed:?}").contains("acmes-secret-value"));
        assert_eq!(sealed.len(), 1);
        host.host_sql("UPDATE tenant_settings SET tenant = 'other' WHERE sealed IS NOT NULL RETURNING tenant", Vec::new()).await;
        let answer = call(&host, &theirs, Method::GET, &path("other", "/settings")).answer().await;
        assert!(answer.status.is_server_error() || answer.status == 422, "{answer:?}");
        assert_eq!(create(&host, "other", "B", 50).await, 201);
    }

    async fn tables_by_whatever_name(host: TestHost) {
        let host = shops(host).await;
        assert_eq!(create(&host, "acme", "SPRING", 10).await, 201);
        for tenant in TENANTS {
            host.deploy(tenant, "hostile", hostile("coupons = \"write\"", "")).await.expect("it is deployed");
        }
        assert_eq!(told(&host, "acme", "SELECT code FROM coupons").await, "\"1 rows\"");
        assert_eq!(told(&host, "other", "SELECT code FROM coupons").await, "\"0 rows\"");
        for sql in [
            "SELECT code FROM tenant_acme.coupons",
            "SELECT code FROM \"tenant_acme\".\"coupons\"",
            "SELECT code FROM acme.coupons",
            "SELECT code FROM main.coupons",
            "INSERT INTO tenant_acme.coupons (code, percent) VALUES ('X', 1)",
            "UPDATE tenant_acme.coupons SET percent = 100",
            "DELETE FROM tenant_acme.coupons",
            "WITH coupons AS (SELECT * FROM tenant_acme.coupons) SELECT code FROM coupons",
            "SELECT code FROM coupons UNION SELECT code FROM tenant_acme.coupons",
            "SELECT (SELECT code FROM tenant_acme.coupons LIMIT 1) FROM coupons",
            "SELECT name FROM wharf.tenants",
            "SELECT hash FROM wharf.deploy_tokens",
            "SELECT name FROM tenants",
            "SELECT 1 FROM pg_catalog.pg_class",
            "SELECT 1 FROM information_schema.tables",
            "SELECT 1 FROM sqlite_master",
            "SET search_path TO tenant_acme",
            "SET ROLE tenant_acme",
            "RESET ROLE",
            "SELECT set_config('search_path', 'tenant_acme', false)",
            "SELECT query_to_xml('SELECT code FROM tenant_acme.coupons', true, true, '')",
            "ATTACH DATABASE '../tenants/acme.db' AS acme",
            "ATTACH 'acme.db' AS acme",
            "PRAGMA database_list",
            "CREATE VIEW mine AS SELECT * FROM tenant_acme.coupons",
            "SELECT load_extension('acme')",
            "SELECT pg_read_file('/etc/passwd')",
            "COPY coupons FROM '/etc/passwd'",
        ] {
            let answer = told(&host, "other", sql).await;
            let is_own = sql == "SELECT code FROM main.coupons" && answer == "\"0 rows\"";
            assert!(is_own || !answer.contains(" rows"), "{sql}: {answer}");
        }
        // What was tried has changed nothing, for the next statement neither.
        assert_eq!(told(&host, "other", "SELECT code FROM coupons").await, "\"0 rows\"");
        let theirs = asks(&host, "acme", "/api/coupons/SPRING").await.json();
        assert_eq!(theirs["percent"], 10);
    }

    async fn keys_of_the_cache_and_of_blobs(host: TestHost) {
        let host = rivals(host).await;
        let relay = std::fs::read(guests::guest("relay").join("relay.wasm")).expect("a component");
        for tenant in TENANTS {
            host.grant(tenant, &["outbound"]).await;
            host.deploy(tenant, "hostile", hostile("", "")).await.expect("it is deployed");
            host.deploy(tenant, "relay", relay.clone()).await.expect_err("both have /trap");
            host.remove(tenant, "hostile").await;
            host.deploy(tenant, "relay", relay.clone()).await.expect("it is deployed");
            host.remove(tenant, "relay").await;
            host.deploy(tenant, "hostile", hostile("", "")).await.expect("it is deployed");
        }
        for (tenant, count) in [("acme", "1"), ("acme", "2"), ("other", "1"), ("acme", "3"), ("other", "2")] {
            assert_eq!(asks(&host, tenant, "/count").await.body, count, "{tenant}");
        }
        // One that fills its cache drives out nothing of another's.
        asks(&host, "other", "/fill").await;
        assert_eq!(asks(&host, "acme", "/count").await.body, "4");
        for tenant in TENANTS {
            host.remove(tenant, "hostile").await;
            host.deploy(tenant, "relay", relay.clone()).await.expect("it is deployed");
        }
        assert_eq!(asks(&host, "acme", "/blob").await.body, "from a blob");
        let blobs = |tenant: &str| host.data().join("tenants").join(tenant).join("blobs");
        assert!(blobs("acme").is_dir());
        assert!(!blobs("other").exists(), "nothing was stored for the other");
    }
}

/// With instances of their own for each request, and with instances that are kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_leaves_in_memory_the_other_never_finds() {
    for more in ["", "[reuse]\nmax_uses = 20\n"] {
        let host = rivals(TestHost::on_sqlite().await).await;
        for tenant in TENANTS {
            host.deploy(tenant, "hostile", hostile("", more)).await.expect("it is deployed");
        }
        // What is in its own memory, it does find: the question, read backwards.
        assert_eq!(asks(&host, "other", "/search/racecar").await.body, "true");
        for _ in 0..500 {
            let left = asks(&host, "acme", "/remember/a-secret-of-acmes").await;
            assert_eq!(left.status, 200, "{left:?}");
            let found = asks(&host, "other", "/search/semca-fo-terces-a").await;
            assert_eq!(found.body, "false", "{more}");
        }
    }
}
