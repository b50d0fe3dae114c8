//! Who may do what: every route that is not for everybody, tried by those whom it is not for.

use reqwest::Method;
use serde_json::Value;

use crate::support::{Ask as _, TestHost, on_both_databases};

/// Every route for signed-in users.
pub(super) fn routes() -> Vec<(Method, &'static str)> {
    vec![
        (Method::DELETE, "/api/auth/logout"),
        (Method::PUT, "/api/auth/refresh"),
        (Method::GET, "/api/auth/me"),
        (Method::GET, "/api/user_info"),
        (Method::PUT, "/api/user_info/admin"),
        (Method::DELETE, "/api/user_info/admin"),
        (Method::PUT, "/api/user/password/admin"),
        (Method::GET, "/api/user_addresses"),
        (Method::POST, "/api/user_addresses"),
        (Method::PUT, "/api/user_addresses/1"),
        (Method::DELETE, "/api/user_addresses/1"),
        (Method::GET, "/api/user_profiles"),
        (Method::PUT, "/api/user_profiles/1"),
        (Method::DELETE, "/api/user_profiles/1"),
    ]
}

on_both_databases! {
    async fn users_may_not_touch_others(host: TestHost) {
        host.register("firstuser").await;
        let other = host.user("seconduser").await;
        let inputs = [("oldPassword", "secret-1"), ("newPassword", "secret-2"), ("newPassword_confirmation", "secret-2"), ("name", "x")];
        for target in ["firstuser", "admin", "nobody-at-all", "1", "firstuser%20"] {
            for (method, path) in [(Method::PUT, "user_info"), (Method::DELETE, "user_info"), (Method::PUT, "user/password")] {
                let answer = host.request(method, &format!("/api/{path}/{target}")).query(&inputs).bearer_auth(&other).answer().await;
                answer.assert_envelope(Value::Null, 40003, "权限不足");
            }
        }
        assert_eq!(host.login("firstuser", "secret-1").await.code(), 20001);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_gets_in() {
    let host = TestHost::on_sqlite().await;
    for (method, path) in routes() {
        let bare = host.request(method.clone(), path).answer().await;
        bare.assert_unauthenticated();
        assert_eq!(bare.header("content-type"), "application/json");
        host.request(method.clone(), path)
            .bearer_auth("garbage")
            .answer()
            .await
            .assert_unauthenticated();
        host.request(method.clone(), path)
            .header("authorization", "Basic YTpi")
            .answer()
            .await
            .assert_unauthenticated();
        host.request(method, path)
            .header("accept", "text/html")
            .answer()
            .await
            .assert_unauthenticated();
    }
}
