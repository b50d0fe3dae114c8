//! Which realm answers where two have the same route: each row of the contract's table, through the socket.

use serde_json::Value;

use crate::support::{Answer, Ask as _, TestHost};

/// Whose words an answer is in.
fn realm(answer: &Answer) -> &'static str {
    let body: Value = answer.json();
    if body.get("code").is_some() { "store" } else { "clinic" }
}

/// Sends a query and a JSON body to a host name.
async fn post(host: &TestHost, path: &str, name: &str, query: &str, body: &str) -> Answer {
    host.post(&format!("{path}?{query}"))
        .header("host", name)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(body.to_owned())
        .answer()
        .await
}

const LOGIN: [(&str, &str, &str); 11] = [
    ("username=ratione&password=blanditiis", "", "store"),
    ("", r#"{"username":"ratione","password":"blanditiis"}"#, "store"),
    ("username=", "", "store"),
    ("", r#"{"email":"me@example.com","password":"12345678"}"#, "clinic"),
    ("email=", "", "clinic"),
    ("username=a", r#"{"email":"me@example.com"}"#, "clinic"),
    ("username=a&email=me@example.com", "", "store"),
    ("email=me@example.com", r#"{"username":"a"}"#, "store"),
    ("", "[object Object]", "clinic"),
    ("", r#"{"password":"12345678"}"#, "clinic"),
    ("", "", "store"),
];

const REGISTER: [(&str, &str, &str); 9] = [
    ("name=quod&username=ipsa", "", "store"),
    ("", r#"{"password_confirmation":"aut","email":"a"}"#, "store"),
    ("invitation_code=&sex=0", "", "store"),
    ("captcha_key=a", r#"{"age":24}"#, "store"),
    ("", r#"{"captcha_code":""}"#, "store"),
    ("", r#"{"username":"demo","sex":0,"age":24}"#, "clinic"),
    ("email=", "", "clinic"),
    ("username=demo", "[object Object]", "clinic"),
    ("username=ipsa&password=aut", "", "store"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_decides_between_store_and_clinic() {
    let host = TestHost::on_sqlite().await;
    for (path, rows) in [("/api/auth/login", &LOGIN[..]), ("/api/auth/register", &REGISTER[..])] {
        for (query, body, expected) in rows {
            let answer = post(&host, path, "localhost", query, body).await;
            assert_eq!(realm(&answer), *expected, "{path}?{query} {body}");
            for name in ["store.wutang.com", "STORE.wutang.com:80"] {
                assert_eq!(
                    realm(&post(&host, path, name, query, body).await),
                    "store",
                    "{name} {query} {body}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_binds_host_names() {
    let host = TestHost::with(|config| {
        config.realms.entry("store".into()).or_default().hosts = Some(Vec::new());
        config.realms.entry("clinic".into()).or_default().hosts =
            Some(vec!["clinic.example".into(), "praxis.example".into()]);
    })
    .await;
    for (query, body, by_keys) in LOGIN {
        for name in ["clinic.example", "Praxis.example:8080"] {
            assert_eq!(
                realm(&post(&host, "/api/auth/login", name, query, body).await),
                "clinic",
                "{query} {body}"
            );
        }
        assert_eq!(
            realm(&post(&host, "/api/auth/login", "store.wutang.com", query, body).await),
            by_keys
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_are_printed_in_the_realms_zone() {
    let host = TestHost::with(|config| {
        config.realms.entry("store".into()).or_default().zone = Some("America/New_York".into());
        config.realms.entry("console".into()).or_default().zone = Some("-03:30".into());
    })
    .await;
    let store = host.user("ipsaipsa").await;
    assert_eq!(host.me(&store).await.data()["created_at"], "2023-11-14 17:13:20");
    // Half a year later New York's clocks are an hour ahead.
    host.clock.advance(200 * 24 * 60 * 60);
    let token = host.user("quodquod").await;
    assert_eq!(host.me(&token).await.data()["created_at"], "2024-06-01 18:13:20");
    let id = host.console_user("测试用户5", "13800000001").await;
    let admin = host.console_admin().await;
    let list = host.get("/list/user").header("authorization", &admin).answer().await;
    assert_eq!(
        (&list.data()["data"][0]["id"], &list.data()["data"][0]["create_time"]),
        (&id.into(), &"2024-06-01 18:43:20".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_realm_has_its_lifetimes() {
    let host = TestHost::with(|config| {
        config.realms.entry("clinic".into()).or_default().lifetime_seconds = Some(120);
        config.realms.entry("store".into()).or_default().refresh_seconds = Some(60);
    })
    .await;
    let (doctor, store) = (host.doctor("demo").await, host.admin().await);
    host.clock.advance(61);
    let refused = host.put("/api/auth/refresh").bearer_auth(&store).answer().await;
    refused.assert_unauthenticated();
    let refreshed = host.post("/api/auth/refresh").bearer_auth(&doctor).answer().await;
    assert_eq!(refreshed.json()["expires_in"], 120);
    host.clock.advance(120);
    let token = refreshed.json()["access_token"].as_str().expect("a token").to_owned();
    host.post("/api/auth/me").bearer_auth(&token).answer().await.assert_unauthenticated();
    assert_eq!(host.me(&store).await.code(), 20001);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consoles_sign_ins_last_as_long_as_the_operator_says() {
    let host = TestHost::with(|config| {
        let console = config.realms.entry("console".into()).or_default();
        (console.idle_seconds, console.lifetime_seconds) = (Some(100), Some(250));
    })
    .await;
    let admin = host.console_admin().await;
    let list = async |token: &str| {
        host.get("/list/user").header("authorization", token).answer().await.json()["message"]
            .clone()
    };
    host.clock.advance(100);
    assert_eq!(list(&admin).await, "登录凭证过期，请重新登录");
    let admin = host.console_admin().await;
    for _ in 0..2 {
        host.clock.advance(99);
        assert_eq!(list(&admin).await, "success");
    }
    host.clock.advance(52);
    assert_eq!(list(&admin).await, "登录凭证过期，请重新登录");
}
