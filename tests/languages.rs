//! One group in Rust, JavaScript, Python and C (`tests/guests/coupons`): the same requests get the same answers.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};
use wharf::tenant::package::Package;

use crate::support::languages::Language;
use crate::support::{Answer, Ask as _, TestHost, keys, postgres};

/// Asks the whole suite of the group in one language, on SQLite and, where it is installed, on PostgreSQL.
macro_rules! in_each_language {
    ($($name:ident: $language:ident),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                if let Some(host) = deployed(Language::$language, None).await {
                    suite(host).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(url) = postgres::fresh_database().await else { return };
                if let Some(host) = deployed(Language::$language, Some(url)).await {
                    suite(host).await;
                }
            }
        }
    )*};
}

in_each_language! {
    rust: Rust,
    javascript: JavaScript,
    python: Python,
    c: C,
}

/// A host with the group in a language, deployed beside the built-in ones as anybody would; `None`, loudly, where
/// its toolchain is missing.
async fn deployed(language: Language, database: Option<String>) -> Option<TestHost> {
    let component = language.component()?;
    let host = TestHost::with(|config| {
        config.database = database;
        // An interpreter is in each component, and larger than what a component usually has.
        config.compile.component_bytes = 32 * 1024 * 1024;
        config.compile.processor_seconds = 120;
        config.compile.seconds = 120;
    })
    .await;
    host.grant("default", &["cache", "database"]).await;
    host.set("default", "coupons", "most_percent", "80").await;
    let package = Package::read(&language.source().join("wharf-plugin.toml")).expect("a manifest");
    let component = std::fs::read(component).expect("the component");
    let component = package.put_into(&component).expect("it is a component");
    let deployed = host.deploy("default", "coupons", component).await;
    assert_eq!(deployed.expect("it is deployed").revision, 1);
    Some(host)
}

/// What `tests/guests/coupons/README.md` promises.
async fn suite(host: TestHost) {
    an_empty_list_is_a_list(&host).await;
    coupons_are_created_and_found(&host).await;
    what_is_not_valid_is_refused_with_a_reason_for_each_field(&host).await;
    text_is_stored_as_it_was_sent(&host).await;
    a_coupon_is_redeemed_once(&host).await;
    a_redemption_names_its_caller(&host).await;
    lists_come_from_the_cache_until_something_changes(&host).await;
    lists_come_in_pages(&host).await;
    the_host_knows_the_routes(&host).await;
}

/// Creates a coupon that may be created.
async fn create(host: &TestHost, code: &str, percent: i64) -> Json {
    let answer = post(host, &json!({ "code": code, "percent": percent })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn post(host: &TestHost, body: &Json) -> Answer {
    host.post("/api/coupons").json(body).answer().await
}

async fn list(host: &TestHost, query: &str) -> Answer {
    let answer = host.get(&format!("/api/coupons{query}")).answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    answer
}

/// A code in a path, percent-encoded.
fn path(code: &str) -> String {
    format!("/api/coupons/{}", utf8_percent_encode(code, NON_ALPHANUMERIC))
}

async fn an_empty_list_is_a_list(host: &TestHost) {
    let answer = list(host, "").await;
    assert_eq!(answer.json(), json!({ "coupons": [], "next": null }));
}

async fn coupons_are_created_and_found(host: &TestHost) {
    let created = create(host, "SPRING", 20).await;
    let expected =
        json!({ "code": "SPRING", "percent": 20, "redeemed_by": null, "redeemed_at": null });
    assert_eq!(created, expected);
    assert_eq!(keys(&created), ["code", "percent", "redeemed_by", "redeemed_at"]);
    let found = host.get("/api/coupons/SPRING").answer().await;
    assert_eq!((found.status.as_u16(), found.json()), (200, expected));
    let again = post(host, &json!({ "code": "SPRING", "percent": 30 })).await;
    let message = json!({ "message": "there is a coupon with this code already" });
    assert_eq!((again.status.as_u16(), again.json()), (409, message));
    let none = host.get("/api/coupons/spring").answer().await;
    let message = json!({ "message": "there is no such coupon" });
    assert_eq!((none.status.as_u16(), none.json()), (404, message));
}

async fn what_is_not_valid_is_refused_with_a_reason_for_each_field(host: &TestHost) {
    let code = "must be text of 1 to 64 bytes without control characters";
    // The largest percentage is the operator's setting.
    let percent = "must be a whole number from 1 to 80";
    let long = "é".repeat(33);
    for (sent, fields) in [
        (json!({}), json!({ "code": code, "percent": percent })),
        (json!([]), json!({ "code": code, "percent": percent })),
        (json!(["A", 5]), json!({ "code": code, "percent": percent })),
        (json!(null), json!({ "code": code, "percent": percent })),
        (json!({ "code": "", "percent": 5 }), json!({ "code": code })),
        (json!({ "code": 5, "percent": 5 }), json!({ "code": code })),
        (json!({ "code": null, "percent": 5 }), json!({ "code": code })),
        (json!({ "code": { "code": "A" }, "percent": 5 }), json!({ "code": code })),
        (json!({ "code": "a\nb", "percent": 5 }), json!({ "code": code })),
        (json!({ "code": "a\0b", "percent": 5 }), json!({ "code": code })),
        (json!({ "code": long, "percent": 5 }), json!({ "code": code })),
        (json!({ "code": "A" }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": 0 }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": -5 }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": 81 }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": 2.5 }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": u64::MAX }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": "5" }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": true }), json!({ "percent": percent })),
        (json!({ "code": "A", "percent": [5] }), json!({ "percent": percent })),
    ] {
        let answer = post(host, &sent).await;
        let expected = json!({ "message": "the coupon is not valid", "fields": fields });
        assert_eq!((answer.status.as_u16(), answer.json()), (422, expected), "{sent}");
    }
    let deep = format!("{{\"code\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for body in ["", "{", "text", "{\"code\":\"\\ud800\",\"percent\":5}", &deep] {
        let answer = host.post("/api/coupons").body(body.to_owned()).answer().await;
        assert_eq!(answer.status, 422, "{body:.40}: {answer:?}");
    }
    let answer = host.post("/api/coupons").body(&b"{\"code\":\"\xff\",\"percent\":5}"[..]);
    assert_eq!(answer.answer().await.status, 422);
}

async fn text_is_stored_as_it_was_sent(host: &TestHost) {
    for code in [
        "'; DROP TABLE coupons; --",
        "' OR '1'='1",
        "$1",
        "\"quoted\" \\ back/slash",
        "50% + 1 & more?#",
        "Grüße 🎟️ 优惠券",
        "e\u{301} and é",
        "\u{202e}txt",
        "🧑\u{200d}🚀",
        &"é".repeat(32),
    ] {
        let created = create(host, code, 10).await;
        assert_eq!(created["code"], *code);
        let found = host.get(&path(code)).answer().await;
        assert_eq!((found.status.as_u16(), found.json()), (200, created), "{code}");
    }
    // As other clients may write the same text.
    let body = r#"{"code":"\ud83c\udf9f\u00e9\/\"","percent":1e1}"#;
    let answer = host.post("/api/coupons").body(body).answer().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["code"]), (201, &json!("🎟é/\"")));
    assert_eq!(answer.json()["percent"], 10);
}

async fn a_coupon_is_redeemed_once(host: &TestHost) {
    create(host, "ONCE", 50).await;
    let redemptions = (0..20).map(|_| host.post("/api/coupons/ONCE/redeem").answer());
    let answers = futures_util::future::join_all(redemptions).await;
    let (redeemed, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((redeemed.len(), refused.len()), (1, 19), "{refused:?}");
    let message = json!({ "message": "this coupon was redeemed before" });
    for answer in refused {
        assert_eq!((answer.status.as_u16(), answer.json()), (409, message.clone()));
    }
    let expected = json!({ "code": "ONCE", "percent": 50, "redeemed_by": "anonymous", "redeemed_at": host.clock.now() });
    assert_eq!(redeemed[0].json(), expected);
    assert_eq!(host.get("/api/coupons/ONCE").answer().await.json(), expected);
    let none = host.post("/api/coupons/NONE/redeem").answer().await;
    assert_eq!(none.status, 404, "{none:?}");
}

async fn a_redemption_names_its_caller(host: &TestHost) {
    create(host, "MINE", 50).await;
    let token = host.user("redeemer").await;
    let id = host.me(&token).await.data()["id"].as_i64().expect("an id");
    host.clock.advance(90);
    let answer = host.post("/api/coupons/MINE/redeem").bearer_auth(&token).answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["redeemed_by"], format!("store/{id}"));
    assert_eq!(answer.json()["redeemed_at"], host.clock.now());
    // Somebody whose token is refused is nobody.
    create(host, "FORGED", 50).await;
    let answer = host.post("/api/coupons/FORGED/redeem").bearer_auth("forged").answer().await;
    assert_eq!(answer.json()["redeemed_by"], "anonymous", "{answer:?}");
}

async fn lists_come_from_the_cache_until_something_changes(host: &TestHost) {
    create(host, "CACHED", 5).await;
    let cached = async || list(host, "").await.header("x-cache").to_owned();
    assert_eq!((cached().await, cached().await), ("miss".into(), "hit".into()));
    let (missed, hit) = (list(host, "?after=B").await, list(host, "?after=B").await);
    assert_eq!((missed.header("x-cache"), hit.header("x-cache")), ("miss", "hit"));
    assert_eq!(missed.body, hit.body);
    create(host, "CACHED TOO", 5).await;
    assert_eq!((cached().await, cached().await), ("miss".into(), "hit".into()));
    let redeem = async || host.post(&format!("{}/redeem", path("CACHED"))).answer().await.status;
    assert_eq!(redeem().await, 200);
    assert_eq!((cached().await, cached().await), ("miss".into(), "hit".into()));
    // Nothing was changed.
    assert_eq!(redeem().await, 409);
    assert_eq!(cached().await, "hit");
}

async fn lists_come_in_pages(host: &TestHost) {
    for number in 0..60 {
        create(host, &format!("PAGE {number:02}"), 5).await;
    }
    let (mut codes, mut query, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(host, &query).await.json();
        let coupons = page["coupons"].as_array().expect("coupons");
        codes.extend(
            coupons.iter().map(|coupon| coupon["code"].as_str().expect("a code").to_owned()),
        );
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(coupons.len(), 50);
        assert_eq!(Some(next), codes.last().map(String::as_str));
        query = format!("?after={}", &path(next)["/api/coupons/".len()..]);
    }
    let total = i64::try_from(codes.len()).expect("few");
    let counted = host.sql("SELECT COUNT(*) FROM coupons", Vec::new()).await;
    assert_eq!(counted.rows[0][0], wharf::database::Value::Integer(total));
    assert_eq!(pages, 2);
    let mut distinct = codes.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), codes.len());
}

async fn the_host_knows_the_routes(host: &TestHost) {
    let answer = host.delete("/api/coupons/SPRING").answer().await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"));
    let mut routes: Vec<String> = host
        .routes()
        .iter()
        .filter(|route| route.path.starts_with("/api/coupons"))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    routes.sort();
    let expected = [
        "GET /api/coupons",
        "GET /api/coupons/{code}",
        "POST /api/coupons",
        "POST /api/coupons/{code}/redeem",
    ];
    assert_eq!(routes, expected);
}
