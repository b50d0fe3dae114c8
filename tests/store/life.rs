//! A user's life as a whole, and what must hold all through it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::addresses::ADDRESS;
use super::authorisation::routes;
use super::users::PAGE;
use crate::support::{Ask as _, TestHost, keys, on_both_databases};

on_both_databases! {
    async fn from_a_captcha_to_the_logout(host: TestHost) {
        let inputs = host.registration("ipsaipsa").await;
        assert_eq!(host.post("/api/auth/register").form(&inputs).answer().await.code(), 20001);
        let first = host.sign_in("ipsaipsa", "secret-1").await;
        assert_eq!(host.me(&first).await.data()["username"], "ipsaipsa");
        let refreshed = host.put("/api/auth/refresh").bearer_auth(&first).answer().await;
        let second = refreshed.data()["access_token"].as_str().expect("a token").to_owned();
        host.me(&first).await.assert_unauthenticated();
        assert_eq!(host.me(&second).await.data()["username"], "ipsaipsa");
        let logout = host.delete("/api/auth/logout").bearer_auth(&second).answer().await;
        logout.assert_envelope(Value::Null, 20001, "注销成功");
        host.me(&second).await.assert_unauthenticated();
        let third = host.sign_in("ipsaipsa", "secret-1").await;
        assert_eq!(host.me(&third).await.code(), 20001);
    }

    async fn no_input_at_all_is_an_empty_array_everywhere(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        for (method, path) in [
            (Method::POST, "/api/auth/register"),
            (Method::POST, "/api/auth/login"),
            (Method::PUT, "/api/user/password/ipsaipsa"),
            (Method::POST, "/api/user_addresses"),
            (Method::PUT, "/api/user_addresses/1"),
        ] {
            let answer = host.request(method, path).bearer_auth(&token).answer().await;
            assert_eq!((answer.code(), answer.data()), (10001, json!([])), "{path}");
        }
    }

    async fn a_token_whose_user_is_gone_or_disabled_opens_nothing(host: TestHost) {
        for (username, statement) in [
            ("firstuser", "UPDATE users SET status = -1 WHERE username = 'firstuser' RETURNING id"),
            ("seconduser", "DELETE FROM users WHERE username = 'seconduser' RETURNING id"),
        ] {
            host.register(username).await;
            // A token for each route, since some of them end it.
            let mut calls = Vec::new();
            for (method, path) in routes() {
                calls.push((method, path, host.sign_in(username, "secret-1").await));
            }
            host.sql(statement, Vec::new()).await;
            let mut opened = Vec::new();
            for (method, path, token) in calls {
                let answer = host.request(method.clone(), path).query(&ADDRESS).bearer_auth(&token).answer().await;
                if answer.status != 401 {
                    opened.push(format!("{method} {path}: {} {}", answer.status, answer.body));
                }
            }
            assert!(opened.is_empty(), "{statement}:\n{}", opened.join("\n"));
        }
    }

    async fn a_name_that_fits_no_column_is_a_failure_without_data(host: TestHost) {
        let inputs = host.registration("ipsaipsa").await;
        let mut body: Value = inputs.into_iter().map(|(name, value)| (name, json!(value))).collect();
        body["name"] = json!(["a"]);
        let answer = host.post("/api/auth/register").json(&body).answer().await;
        answer.assert_envelope(Value::Null, 50001, "操作失败");
    }

    async fn addresses_and_profiles_come_in_pages(host: TestHost) {
        let owner = host.user("firstuser").await;
        host.register("seconduser").await;
        let admin = host.admin().await;
        for _ in 0..3 {
            assert_eq!(host.post("/api/user_addresses").query(&ADDRESS).bearer_auth(&owner).answer().await.code(), 20001);
        }
        for (path, token, total) in [("user_addresses", &owner, 3), ("user_addresses", &admin, 3), ("user_profiles", &admin, 2)] {
            let url = format!("{}/api/{path}", host.origin());
            let page = host.get(&format!("/api/{path}?page=2&page_limit=1&x=y")).bearer_auth(token).answer().await;
            assert_eq!(page.code(), 20001);
            let data = page.data();
            assert_eq!(keys(&data), PAGE);
            assert_eq!(data["data"].as_array().map(Vec::len), Some(1));
            let rest: Value = data.as_object().expect("an object").iter().filter(|(key, _)| *key != "data").map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_eq!(rest, json!({
                "current_page": 2, "first_page_url": format!("{url}?page=1"), "from": 2, "last_page": total,
                "last_page_url": format!("{url}?page={total}"),
                "next_page_url": (total > 2).then(|| format!("{url}?page=3")), "path": url, "per_page": 1,
                "prev_page_url": format!("{url}?page=1"), "to": 2, "total": total,
            }), "{path}");
            let beyond = host.get(&format!("/api/{path}?page=9&page_limit=vero")).bearer_auth(token).answer().await.data();
            assert_eq!((&beyond["current_page"], &beyond["per_page"], &beyond["data"]), (&json!(9), &json!(20), &json!([])), "{path}");
        }
    }
}

/// The table of routes for signed-in users is written by hand: this finds what it has forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn no_declared_route_is_left_out_of_the_table() {
    let host = TestHost::on_sqlite().await;
    let served = host.routes();
    let declared = served.iter().filter(|route| route.realm.as_deref() == Some("store"));
    let declared: BTreeSet<String> =
        declared.map(|route| format!("{} {}", route.method, template(&route.path))).collect();
    let tried =
        routes().iter().map(|(method, path)| format!("{method} {}", template(path))).collect();
    assert_eq!(declared, tried);
}

/// A path with its last segment blanked out where that is a parameter.
fn template(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((before, last)) if last.starts_with('{') || ["admin", "1"].contains(&last) => {
            format!("{before}/*")
        }
        _ => path.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captchas_keep_their_code_to_themselves_unless_a_test_asks() {
    let host = TestHost::with(|config| config.captcha_reveal = false).await;
    let answer = host.post("/api/captchas").answer().await;
    assert_eq!((answer.code(), answer.headers.get("x-captcha-code")), (20001, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_answer_has_an_id_and_is_for_all_origins() {
    let host = TestHost::with(|config| config.http.body_bytes = 1000).await;
    let preflight = host
        .request(Method::OPTIONS, "/api/auth/login")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST");
    let requests = [
        (200, host.get("/api/response_code")),
        (200, host.request(Method::HEAD, "/api/response_code")),
        (200, host.request(Method::OPTIONS, "/api/auth/login")),
        (204, preflight),
        (401, host.get("/api/auth/me")),
        (404, host.get("/api/nothing")),
        (405, host.get("/api/auth/login")),
        (413, host.post("/api/auth/login").body("x".repeat(1001))),
    ];
    let mut ids = std::collections::HashSet::new();
    for (status, request) in requests {
        let answer = request.answer().await;
        assert_eq!(answer.status, status);
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_answer_head() {
    let host = TestHost::on_sqlite().await;
    for path in ["/healthz", "/readyz"] {
        let head = host.request(Method::HEAD, path).answer().await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{path}");
    }
}
