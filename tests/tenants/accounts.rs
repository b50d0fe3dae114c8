//! Users of two tenants that have the same name, realm and id: what one holds opens nothing at the other.

use reqwest::Method;
use serde_json::json;

use super::{TENANTS, to};
use crate::support::{Ask as _, TestHost, claims, guests, on_both_databases};

const ME: &str = "/api/auth/me";

/// Signs a user of the store up at a tenant with the password `secret-1`.
async fn register(host: &TestHost, tenant: &str, username: &str) {
    let captcha = to(host, tenant, Method::POST, "/api/captchas").answer().await;
    let (key, code) = (captcha.data()["captcha_key"].clone(), captcha.header("x-captcha-code"));
    let inputs = [
        ("name", "A Name"),
        ("username", username),
        ("password", "secret-1"),
        ("password_confirmation", "secret-1"),
        ("invitation_code", "welcome"),
        ("captcha_key", key.as_str().expect("a key")),
        ("captcha_code", code),
    ];
    let answer = to(host, tenant, Method::POST, "/api/auth/register").query(&inputs).answer().await;
    assert_eq!(answer.code(), 20001, "{answer:?}");
}

/// Signs a user in at a tenant; the token.
async fn sign_in(host: &TestHost, tenant: &str, username: &str, password: &str) -> String {
    let inputs = [("username", username), ("password", password)];
    let answer = to(host, tenant, Method::POST, "/api/auth/login").query(&inputs).answer().await;
    answer.data()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

async fn me(host: &TestHost, tenant: &str, token: &str) -> u16 {
    to(host, tenant, Method::GET, ME).bearer_auth(token).answer().await.status.as_u16()
}

on_both_databases! {
    async fn a_token_of_one_is_nobodys_at_the_other(host: TestHost) {
        let mut tokens = Vec::new();
        for tenant in TENANTS {
            host.create(json!({ "name": tenant, "inherits": true })).await;
            // The built-in group once more, which tells what a captcha shows.
            host.set(tenant, "captcha", "reveal", "1").await;
            let captcha = std::fs::read(guests::built_in().join("captcha.wasm")).expect("a component");
            host.deploy(tenant, "captcha", captcha).await.expect("it is deployed");
            register(&host, tenant, "ipsaipsa").await;
            tokens.push(sign_in(&host, tenant, "ipsaipsa", "secret-1").await);
        }
        let (acmes, others) = (&tokens[0], &tokens[1]);
        // The same user by name, realm and id: what tells them apart is the tenant alone.
        assert_eq!(claims(acmes)["sub"], claims(others)["sub"]);
        for (tenant, own, foreign) in [("acme", acmes, others), ("other", others, acmes)] {
            assert_eq!((me(&host, tenant, own).await, me(&host, tenant, foreign).await), (200, 401));
            assert_eq!(me(&host, "default", own).await, 401);
            let refresh = to(&host, tenant, Method::PUT, "/api/auth/refresh").bearer_auth(foreign);
            refresh.answer().await.assert_unauthenticated();
            // A foreign token signs nobody out.
            to(&host, tenant, Method::DELETE, "/api/auth/logout").bearer_auth(foreign).answer().await;
        }
        assert_eq!((me(&host, "acme", acmes).await, me(&host, "other", others).await), (200, 200));
        // A new password ends all tokens of that user, and of no other tenant's.
        let inputs = [("oldPassword", "secret-1"), ("newPassword", "secret-2"), ("newPassword_confirmation", "secret-2")];
        let change = to(&host, "acme", Method::PUT, "/api/user/password/ipsaipsa").query(&inputs).bearer_auth(acmes);
        assert_eq!(change.answer().await.code(), 20001);
        assert_eq!((me(&host, "acme", acmes).await, me(&host, "other", others).await), (401, 200));
        sign_in(&host, "other", "ipsaipsa", "secret-1").await;
        sign_in(&host, "acme", "ipsaipsa", "secret-2").await;
    }
}
