//! How tokens live and end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{Ask as _, TestHost, on_both_databases};

on_both_databases! {
    async fn logout_ends_the_token_and_no_other(host: TestHost) {
        let first = host.user("ipsaipsa").await;
        let second = host.sign_in("ipsaipsa", "secret-1").await;
        let answer = host.delete("/api/auth/logout").bearer_auth(&first).answer().await;
        answer.assert_envelope(Value::Null, 20001, "注销成功");
        host.me(&first).await.assert_unauthenticated();
        host.delete("/api/auth/logout").bearer_auth(&first).answer().await.assert_unauthenticated();
        assert_eq!(host.me(&second).await.code(), 20001);
    }

    async fn refresh_exchanges_the_token(host: TestHost) {
        let old = host.user("ipsaipsa").await;
        let answer = host.put("/api/auth/refresh").bearer_auth(&old).answer().await;
        assert_eq!((&answer.data()["token_type"], &answer.data()["expires_in"]), (&json!("Bearer"), &json!(60)));
        let new = answer.data()["access_token"].as_str().expect("a token").to_owned();
        host.me(&old).await.assert_unauthenticated();
        host.put("/api/auth/refresh").bearer_auth(&old).answer().await.assert_unauthenticated();
        assert_eq!(host.me(&new).await.data()["username"], "ipsaipsa");
    }

    async fn of_twenty_refreshes_at_once_one_succeeds(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let attempts = (0..20).map(|_| host.put("/api/auth/refresh").bearer_auth(&token).answer());
        let answers = futures_util::future::join_all(attempts).await;
        let succeeded = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(succeeded, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.status == 401), "{answers:?}");
    }

    async fn a_token_expires_after_an_hour(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        host.clock.advance(3599);
        assert_eq!(host.me(&token).await.code(), 20001);
        host.clock.advance(1);
        host.me(&token).await.assert_unauthenticated();
        host.put("/api/auth/refresh").bearer_auth(&token).answer().await.assert_unauthenticated();
    }

    async fn refreshing_ends_two_weeks_after_the_sign_in(host: TestHost) {
        let mut token = host.user("ipsaipsa").await;
        let step = 3500;
        for _ in 0..(14 * 24 * 3600 / step) {
            host.clock.advance(step);
            let answer = host.put("/api/auth/refresh").bearer_auth(&token).answer().await;
            let fresh = answer.data();
            fresh["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).clone_into(&mut token);
        }
        host.clock.advance(step);
        assert_eq!(host.me(&token).await.code(), 20001);
        host.put("/api/auth/refresh").bearer_auth(&token).answer().await.assert_unauthenticated();
    }

    async fn what_ended_stays_ended_after_a_restart(host: TestHost) {
        let logged_out = host.user("firstuser").await;
        host.delete("/api/auth/logout").bearer_auth(&logged_out).answer().await;
        let refreshed = host.sign_in("firstuser", "secret-1").await;
        host.put("/api/auth/refresh").bearer_auth(&refreshed).answer().await;
        let changed = host.user("seconduser").await;
        let inputs = [("oldPassword", "secret-1"), ("newPassword", "secret-2"), ("newPassword_confirmation", "secret-2")];
        assert_eq!(host.put("/api/user/password/seconduser").query(&inputs).bearer_auth(&changed).answer().await.code(), 20001);
        let alive = host.sign_in("seconduser", "secret-2").await;
        host.restart().await;
        for ended in [&logged_out, &refreshed, &changed] {
            host.me(ended).await.assert_unauthenticated();
        }
        assert_eq!(host.me(&alive).await.code(), 20001);
        // Expired tokens are forgotten at a start, and still refused.
        host.clock.advance(4000);
        host.restart().await;
        host.me(&logged_out).await.assert_unauthenticated();
    }

    async fn a_token_may_come_in_many_ways(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let me = || host.get("/api/auth/me");
        for header in ["Bearer", "bearer", "BEARER"] {
            assert_eq!(me().header("authorization", format!("{header} {token}")).answer().await.code(), 20001);
        }
        assert_eq!(me().query(&[("token", &token)]).answer().await.code(), 20001);
        assert_eq!(me().json(&json!({ "token": token })).answer().await.code(), 20001);
        assert_eq!(me().form(&[("token", &token)]).answer().await.code(), 20001);
        assert_eq!(me().header("cookie", format!("a=b; token={token}")).answer().await.code(), 20001);
        // The header comes first, whatever the rest says.
        me().query(&[("token", &token)]).bearer_auth("no-token").answer().await.assert_unauthenticated();
    }

    async fn forged_tokens_are_refused(host: TestHost) {
        let token = host.user("ipsaipsa").await;
        let (head, rest) = token.split_once('.').expect("three parts");
        let (claims, signature) = rest.split_once('.').expect("three parts");
        let altered = |change: &dyn Fn(&mut Value)| {
            let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
            change(&mut claims);
            claims
        };
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let resigned = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &altered(&|_| {}), &EncodingKey::from_secret(b"guessed")).expect("a token");
        let mut forged = vec![
            String::new(),
            ".".into(),
            "..".into(),
            "a.b.c".into(),
            head.to_owned(),
            format!("{head}.{claims}"),
            format!("{head}.{claims}."),
            format!("{head}.{claims}.{}", "A".repeat(signature.len())),
            format!("{}.{claims}.", encode(&json!({ "alg": "none", "typ": "JWT" }))),
            format!("{}.{claims}.{signature}", encode(&json!({ "alg": "None" }))),
            format!("{}.{claims}.{signature}", encode(&json!({ "alg": "HS512", "typ": "JWT" }))),
            format!("{}.{claims}.{signature}", encode(&json!({ "alg": "HS256", "kid": "../../dev/null", "jku": "http://127.0.0.1/" }))),
            format!("{head}.{}.{signature}", encode(&altered(&|claims| claims["sub"] = json!("1")))),
            resigned,
            "x".repeat(40_000),
        ];
        // Signed with the right key, so that what is said is what is judged.
        let key = std::fs::read_to_string(host.folder().join("data/keys/tokens.key")).expect("the key");
        let signed = |claims: &Value| jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key.as_bytes())).expect("a token");
        assert_eq!(host.me(&signed(&altered(&|claims| claims["jti"] = json!("0123456789abcdef0123456789abcdef")))).await.code(), 20001);
        for (claim, value) in [
            ("exp", json!("9999999999")), ("exp", json!(-1)), ("exp", json!(1e40)), ("exp", Value::Null),
            ("nbf", json!(9_999_999_999_i64)), ("iat", json!(-5)), ("iat", Value::Null), ("sub", json!("one")),
            ("sub", Value::Null), ("aud", json!("clinic")), ("aud", Value::Null), ("iss", json!("wharf:other")), ("iss", Value::Null),
        ] {
            let claims = altered(&|claims| {
                if value.is_null() {
                    claims.as_object_mut().expect("an object").shift_remove(claim);
                } else {
                    claims[claim] = value.clone();
                }
            });
            forged.push(signed(&claims));
        }
        for token in forged {
            let answer = host.get("/api/auth/me").header("authorization", format!("Bearer {token}")).answer().await;
            assert_eq!(answer.status, 401, "{token}");
        }
    }
}

/// A header of a megabyte is refused before anybody looks for a token in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_megabyte_is_refused() {
    let host = TestHost::on_sqlite().await;
    let answer = host.get("/api/auth/me").bearer_auth("x".repeat(1 << 20)).send().await;
    // The host may also have closed the connection while the header was still being sent.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), 431);
    }
    let in_body =
        host.get("/api/auth/me").json(&json!({ "token": "x".repeat(1_000_000) })).answer().await;
    in_body.assert_unauthenticated();
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_are_settings() {
    let host = TestHost::with(|config| {
        config.tokens.lifetime_seconds = 120;
        config.tokens.refresh_seconds = 100;
    })
    .await;
    let answer = host.login("admin", crate::support::ADMIN_PASSWORD).await;
    assert_eq!(answer.data()["expires_in"], 2);
    let token = answer.data()["access_token"].as_str().expect("a token").to_owned();
    host.clock.advance(100);
    host.put("/api/auth/refresh").bearer_auth(&token).answer().await.assert_unauthenticated();
    assert_eq!(host.me(&token).await.code(), 20001);
    host.clock.advance(20);
    host.me(&token).await.assert_unauthenticated();
}
