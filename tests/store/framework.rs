//! What holds for every path: 404, 405, HEAD, OPTIONS, CORS, limits, health.

use reqwest::Method;
use serde_json::json;

use crate::support::{Ask as _, TestHost};

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_not_found() {
    let host = TestHost::on_sqlite().await;
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/user_info/a/b",
        "/api/auth/me/",
        "/api/../api/auth/me/x",
        "/",
        "/nothing",
        "/user/57/x",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS, Method::HEAD] {
            let answer = host.request(method.clone(), path).answer().await;
            let body = match &method {
                &Method::HEAD => String::new(),
                _ if path.starts_with("/api") => r#"{"message":""}"#.to_owned(),
                _ => format!(
                    r#"{{"status":false,"data":[],"message":"请求地址不存在","cmd":"{}"}}"#,
                    &path[1..]
                ),
            };
            assert_eq!((answer.status.as_u16(), answer.body), (404, body), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_method_is_not_allowed() {
    let host = TestHost::on_sqlite().await;
    for (method, path, allowed) in [
        ("PUT", "/api/auth/me", "GET, HEAD, POST"),
        ("GET", "/api/auth/login", "POST"),
        ("HEAD", "/api/auth/login", "POST"),
        ("PATCH", "/api/user_addresses", "GET, HEAD, POST"),
        ("GET", "/api/user_info/admin", "PUT, DELETE"),
        ("PATCH", "/api/auth/logout", "POST, DELETE"),
        ("GET", "/login", "POST, OPTIONS"),
        ("TRACE", "/api/auth/refresh", "POST, PUT"),
        ("BREW", "/api/user_profiles", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ] {
        let answer = host.request(method.parse().expect("a method"), path).answer().await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, allowed),
            "{method} {path}"
        );
        if method != "HEAD" {
            let message = format!(
                "The {method} method is not supported for this route. Supported methods: {allowed}."
            );
            assert_eq!(answer.json(), json!({ "message": message }));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn get_routes_answer_head_without_a_body() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    for path in [
        "/api/response_code",
        "/api/auth/me",
        "/api/user_info",
        "/api/user_addresses",
        "/api/user_profiles",
    ] {
        let get = host.get(path).bearer_auth(&token).answer().await;
        let head = host.request(Method::HEAD, path).bearer_auth(&token).answer().await;
        assert_eq!((head.status.as_u16(), head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_and_preflights_are_answered() {
    let host = TestHost::on_sqlite().await;
    let options = host.request(Method::OPTIONS, "/api/user_addresses").answer().await;
    assert_eq!((options.status.as_u16(), options.header("allow")), (200, "GET, HEAD, POST"));
    let preflight = host
        .request(Method::OPTIONS, "/api/user_info/admin")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "authorization, content-type")
        .answer()
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert_eq!(preflight.header("access-control-allow-methods"), "PUT");
    assert_eq!(preflight.header("access-control-allow-headers"), "authorization, content-type");
    assert_eq!(preflight.header("access-control-max-age"), "0");
    assert!(preflight.headers.get("access-control-allow-credentials").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_api_is_for_all_origins_and_has_an_id() {
    let host = TestHost::on_sqlite().await;
    let mut ids = std::collections::HashSet::new();
    for path in ["/api/response_code", "/api/auth/me", "/api/nothing", "/api/auth/login"] {
        let answer = host.get(path).header("origin", "https://shop.example").answer().await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "ids are not repeated");
    }
    let outside = host.get("/healthz").answer().await;
    assert!(outside.headers.get("access-control-allow-origin").is_none());
    assert!(ids.insert(outside.header("x-request-id").to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_told() {
    let host = TestHost::on_sqlite().await;
    assert_eq!(host.get("/healthz").answer().await.json(), json!({ "status": "ok" }));
    assert_eq!(host.get("/readyz").answer().await.json(), json!({ "status": "ready" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_a_limit() {
    let host = TestHost::with(|config| config.http.body_bytes = 1000).await;
    let body = |bytes: usize| {
        host.post("/api/auth/login?username=a")
            .header("content-type", "text/plain")
            .body("x".repeat(bytes))
    };
    assert_eq!(body(1000).answer().await.code(), 10001);
    assert_eq!(body(1001).answer().await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken() {
    let host = TestHost::on_sqlite().await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let answers =
        (0..50).map(|_| client.get(format!("{}/api/response_code", host.origin())).answer());
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.code(), 20001);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_of_the_host_that_the_client_named() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    let named = host
        .get("/api/user_info")
        .bearer_auth(&token)
        .header("host", "store.wutang.com")
        .answer()
        .await
        .data();
    assert_eq!(named["path"], "http://store.wutang.com/api/user_info");
}
