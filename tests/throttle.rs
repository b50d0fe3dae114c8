//! Throttles: who is counted, how much is left, and what whoever comes too often is told.

use reqwest::multipart::Form;
use serde_json::{Value, json};
use wharf::admission::throttle::GroupConfig;

use crate::support::{ADMIN_PASSWORD, Answer, Ask as _, TestHost};

async fn throttled(usual: u32, sign_in: u32) -> TestHost {
    TestHost::with(|config| {
        config.throttle.enabled = Some(true);
        (config.throttle.usual, config.throttle.sign_in) = (usual, sign_in);
    })
    .await
}

/// That a request was let through and so many more would be.
#[track_caller]
fn assert_left(answer: &Answer, limit: &str, remaining: &str) {
    assert_ne!(answer.status, 429, "{answer:?}");
    assert_eq!(
        (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
        (limit, remaining)
    );
}

/// That a request came too soon, by so many seconds.
#[track_caller]
fn assert_too_often(host: &TestHost, answer: &Answer, limit: &str, seconds: i64) {
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (429, r#"{"message":"Too Many Attempts."}"#)
    );
    assert_eq!(
        (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
        (limit, "0")
    );
    assert_eq!(answer.header("retry-after"), seconds.to_string());
    assert_eq!(answer.header("x-ratelimit-reset"), (host.clock.now() + seconds).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_is_counted_by_account_so_that_nobody_locks_anybody_else_out() {
    let host = throttled(1000, 3).await;
    for remaining in ["2", "1", "0"] {
        assert_left(&host.login("victim", "wrong-one").await, "3", remaining);
    }
    assert_too_often(&host, &host.login("victim", "wrong-one").await, "3", 20);
    assert_left(&host.login("admin", ADMIN_PASSWORD).await, "3", "2");
    host.clock.advance(19);
    assert_too_often(&host, &host.login("victim", "wrong-one").await, "3", 1);
    host.clock.advance(1);
    assert_left(&host.login("victim", "wrong-one").await, "3", "0");
    host.clock.advance(60);
    assert_left(&host.login("victim", "wrong-one").await, "3", "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_the_one_that_is_tried_however_it_is_sent() {
    let host = throttled(1000, 1).await;
    let login = |query: &str| host.post(&format!("/api/auth/login{query}"));
    let form = |name: &str| {
        Form::new()
            .text("filler", "x".repeat(5000))
            .text("username", name.to_owned())
            .text("password", "wrong-one")
    };
    let tries = || {
        let json = |user: &str| json!({ "username": user, "password": "wrong-one" });
        [
            login("?password=wrong-one&username=victim"),
            login("?password=wrong-one&username=decoy&username=victim"),
            login("").json(&json("victim")),
            login("").json(&json("  victim\t")),
            login("").json(&json("VICTIM")),
            login("").json(&json("vic\u{0}tim")),
            login("?username=decoy")
                .json(&json!({ "user\u{0}name": "victim", "password": "wrong-one" })),
            login("").form(&[
                ("username", "decoy"),
                ("username", "victim"),
                ("password", "wrong-one"),
            ]),
            login("?username=decoy").multipart(form("victim")),
        ]
    };
    assert_left(&host.login("victim", "wrong-one").await, "1", "0");
    for (number, request) in tries().into_iter().enumerate() {
        assert_eq!(request.answer().await.status, 429, "{number}");
    }
    let clinic = |query: &str, email: &str| {
        let body = json!({ "email": email, "password": "wrong-one" });
        host.post(&format!("/api/auth/login{query}")).json(&body).answer()
    };
    assert_left(&clinic("", "victim@example.com").await, "1", "0");
    assert_eq!(clinic("?username=decoy", "victim@example.com").await.status, 429);
    let console = |body: Value| host.post("/login?nickname=decoy").json(&body).answer();
    let body = json!({ "nickname": "victim", "passwd": "wrong-one", "captcha_id": "a", "captcha_code": "abcde" });
    assert_left(&console(body.clone()).await, "1", "0");
    assert_eq!(console(body).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_up_and_captchas_are_counted_by_address() {
    let host = throttled(1000, 2).await;
    assert_left(&host.post("/api/captchas?username=one").answer().await, "2", "1");
    let doctor = |name: &str| {
        let email = format!("{name}@example.com");
        let body = json!({ "username": name, "password": "12345678", "email": email, "sex": 0, "age": 24 });
        host.post("/api/auth/register").json(&body).answer()
    };
    assert_left(&doctor("first").await, "2", "0");
    assert_too_often(&host, &doctor("second").await, "2", 30);
    assert_too_often(&host, &host.post("/api/captchas?username=two").answer().await, "2", 30);
    let form = TestHost::console_form("nickname", "13800000001");
    assert_too_often(&host, &host.post("/signUp").multipart(form).answer().await, "2", 30);
    assert_eq!(host.blobs(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_cannot_try_many_accounts() {
    let host = throttled(5, 3).await;
    for number in 0..5 {
        assert_left(&host.login(&format!("account-{number}"), "wrong-one").await, "3", "2");
    }
    assert_too_often(&host, &host.login("account-6", "wrong-one").await, "5", 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_says_who_the_client_is() {
    let host = TestHost::with(|config| {
        config.throttle.enabled = Some(true);
        config.throttle.usual = 1;
        config.http.proxies = vec![
            "127.0.0.0/8".parse().expect("a network"),
            "10.0.0.0/8".parse().expect("a network"),
        ];
    })
    .await;
    let ask = |forwarded: &str| host.get("/captcha").header("x-forwarded-for", forwarded).answer();
    for (forwarded, status) in [
        ("203.0.113.1", 200),
        ("203.0.113.1", 429),
        // What a client puts before the proxies' own entries is not believed.
        ("203.0.113.9, 203.0.113.1", 429),
        ("203.0.113.2, 10.1.2.3", 200),
        ("203.0.113.2", 429),
        ("2001:db8::1", 200),
        // A household has a whole network of IPv6.
        ("2001:db8::2", 429),
        ("2001:db8:0:1::1", 200),
        ("nonsense, 203.0.113.2", 429),
        ("nonsense", 200),
        ("other nonsense", 429),
    ] {
        assert_eq!(ask(forwarded).await.status, status, "{forwarded}");
    }
    let direct = throttled(1, 1).await;
    let ask =
        |forwarded: &str| direct.get("/captcha").header("x-forwarded-for", forwarded).answer();
    assert_eq!(ask("203.0.113.1").await.status, 200);
    assert_eq!(ask("203.0.113.2").await.status, 429, "nobody is trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_routes_are_counted_by_user() {
    let host = throttled(6, 100).await;
    let (first, second) = (host.user("firstuser").await, host.user("seconduser").await);
    host.clock.advance(60);
    for remaining in ["5", "4", "3", "2", "1", "0"] {
        assert_left(&host.me(&first).await, "6", remaining);
    }
    // Of whatever group: a user's requests are counted together.
    let addresses = host.get("/api/user_addresses").bearer_auth(&first).answer().await;
    assert_too_often(&host, &addresses, "6", 10);
    assert_left(&host.me(&second).await, "6", "5");
    // Nobody is told by a 401 how often they may call; the explained codes are free.
    for _ in 0..10 {
        let refused = host.get("/api/auth/me").answer().await;
        assert!(refused.status == 401 && !refused.headers.contains_key("x-ratelimit-limit"));
        // A page may show more portraits than anybody may send requests.
        for path in ["/api/response_code", "/api/nothing", "/nothing", "/uploads/20260101/a.png"] {
            let free = host.get(path).answer().await;
            assert!(
                free.status != 429 && !free.headers.contains_key("x-ratelimit-limit"),
                "{path}"
            );
        }
    }
    for remaining in ["5", "4", "3", "2", "1", "0"] {
        assert_left(&host.get("/captcha").answer().await, "6", remaining);
    }
    let refused = host.get("/captcha").header("origin", "https://console.example").answer().await;
    assert_too_often(&host, &refused, "6", 10);
    assert_eq!(refused.header("access-control-allow-origin"), "https://console.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_have_limits_of_its_own() {
    let host = TestHost::with(|config| {
        config.throttle.enabled = Some(true);
        let captcha = config.groups.entry("captcha".into()).or_default();
        captcha.throttle = GroupConfig { usual: Some(0), sign_in: Some(2) };
    })
    .await;
    for _ in 0..100 {
        let free = host.get("/captcha").answer().await;
        assert!(free.status == 200 && !free.headers.contains_key("x-ratelimit-limit"));
    }
    assert_left(&host.post("/api/captchas").answer().await, "2", "1");
    assert_left(&host.post("/api/captchas").answer().await, "2", "0");
    assert_too_often(&host, &host.post("/api/captchas").answer().await, "2", 30);
    let token = host.admin().await;
    assert_left(&host.me(&token).await, "60", "59");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_are_remembered_addresses_are_counted_without_accounts() {
    let host = TestHost::with(|config| {
        config.throttle.enabled = Some(true);
        config.throttle.callers = 5;
    })
    .await;
    for number in 0..5 {
        assert_left(&host.login(&format!("account-{number}"), "wrong-one").await, "10", "9");
    }
    for remaining in ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"] {
        assert_left(
            &host.login(&format!("another-{remaining}"), "wrong-one").await,
            "10",
            remaining,
        );
    }
    assert_eq!(host.login("one-more", "wrong-one").await.status, 429);
    // Those who may call again are forgotten, and there is room for accounts.
    host.clock.advance(61);
    assert_left(&host.login("account-9", "wrong-one").await, "10", "9");
    assert_left(&host.login("account-8", "wrong-one").await, "10", "9");
}
