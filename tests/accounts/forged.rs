//! Tokens that nobody was given, and tokens that are over, in every place where a token may stand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{altered, signed};
use crate::support::{ADMIN_PASSWORD, Ask as _, TestHost, claims};

/// A request for oneself, with the token in each place that the host looks into.
fn places(host: &TestHost, token: &str) -> [(&'static str, RequestBuilder); 6] {
    let me = || host.get("/api/auth/me");
    [
        ("header", me().header("authorization", format!("Bearer {token}"))),
        ("query", me().query(&[("token", token)])),
        ("json", me().json(&json!({ "token": token }))),
        ("form", me().form(&[("token", token)])),
        ("cookie", me().header("cookie", format!("a=b; token={token}"))),
        ("odd scheme", me().header("authorization", format!("bEaReR  {token}"))),
    ]
}

async fn assert_refused(host: &TestHost, what: &str, token: &str) {
    for (place, request) in places(host, token) {
        let answer = request.answer().await;
        assert_eq!(answer.status, 401, "{what} in the {place}: {token}: {answer:?}");
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Any head with any claims, signed with HMAC-SHA-256.
fn with_head(head: &Value, claims: &Value, key: &[u8]) -> String {
    let message = format!("{}.{}", encode(head), encode(claims));
    let key = EncodingKey::from_secret(key);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("signed");
    format!("{message}.{signature}")
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_refused_wherever_they_stand() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    let (said, key) = (claims(&token), host.key());
    let parts: Vec<&str> = token.split('.').collect();
    for (place, request) in places(&host, &token) {
        assert_eq!(request.answer().await.status, 200, "the real one in the {place}");
    }
    let mut forged: Vec<(String, String)> = Vec::new();
    for name in
        ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "RS256", "ES256", "PS256", "EdDSA"]
    {
        let head = json!({ "alg": name, "typ": "JWT" });
        forged.push((format!("{name:?} unsigned"), format!("{}.{}.", encode(&head), parts[1])));
        forged.push((
            format!("{name:?} with the real signature"),
            format!("{}.{}.{}", encode(&head), parts[1], parts[2]),
        ));
        forged.push((
            format!("{name:?} signed with the key"),
            with_head(&head, &said, key.as_bytes()),
        ));
    }
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let key = EncodingKey::from_secret(key.as_bytes());
        let token = jsonwebtoken::encode(&Header::new(algorithm), &said, &key).expect("a token");
        forged.push((format!("{algorithm:?} with the right key"), token));
    }
    // Keys of the attacker's, handed along in every way that RFC 7515 has for it.
    let own = "an attacker's key of thirty-two bytes";
    let jwk = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(own) });
    for (name, value) in [
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' UNION SELECT 'x' --")),
        ("jku", json!("http://127.0.0.1:1/keys.json")),
        ("x5u", json!("http://127.0.0.1:1/certificate.pem")),
        ("x5c", json!(["AAAA"])),
        ("jwk", jwk),
    ] {
        for key in [own, ""] {
            let head = json!({ "alg": "HS256", "typ": "JWT", name: value });
            forged.push((format!("{name} {value}"), with_head(&head, &said, key.as_bytes())));
        }
    }
    for (what, token) in [
        ("no signature", format!("{}.{}", parts[0], parts[1])),
        ("no claims", format!("{}..{}", parts[0], parts[2])),
        ("no head", format!(".{}.{}", parts[1], parts[2])),
        ("five parts", format!("{token}.a.b")),
        ("turned round", format!("{}.{}.{}", parts[2], parts[1], parts[0])),
        (
            "other claims",
            format!(
                "{}.{}.{}",
                parts[0],
                encode(&altered(&token, |claims| claims["sub"] = json!("2"))),
                parts[2]
            ),
        ),
        ("a bit of the signature", flipped(&token)),
        ("a key that is empty", with_head(&json!({ "alg": "HS256" }), &said, b"")),
        // As long as fits into a URL; more is refused before anybody looks at it.
        ("as long as a URL", "x".repeat(7_000)),
    ] {
        forged.push((what.to_owned(), token));
    }
    for (what, token) in forged {
        assert_refused(&host, &what, &token).await;
    }
}

/// The token with one bit of its signature changed.
fn flipped(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    signature[0] ^= 1;
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_no_host_writes_are_refused_wherever_they_stand() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    let said = claims(&token);
    let text = said.to_string();
    let raw = |claims: &str| {
        let message = format!(
            "{}.{}",
            encode(&json!({ "alg": "HS256", "typ": "JWT" })),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let key = EncodingKey::from_secret(host.key().as_bytes());
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("signed");
        format!("{message}.{signature}")
    };
    // Of two values for one name, which one counts is anybody's guess: neither does.
    for doubled in ["exp", "sub", "aud", "iss", "nbf", "jti", "generation"] {
        let claims = format!("{{\"{doubled}\":{},{}", said[doubled], &text[1..]);
        assert_refused(&host, &format!("{doubled} twice"), &raw(&claims)).await;
    }
    for (name, value) in [
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(1e40)),
        ("exp", Value::Null),
        ("nbf", json!(9_999_999_999_i64)),
        ("iat", json!(-5)),
        ("sub", json!("-1x")),
        ("sub", json!(1)),
        ("aud", json!("clinic")),
        ("aud", json!(["store", "clinic"])),
        ("iss", json!("wharf:other-tenant")),
        ("iss", json!("")),
        ("jti", json!("another")),
        ("jti", json!("")),
        ("family", json!("x")),
        ("family", json!(7)),
        ("generation", json!("1")),
        ("generation", Value::Null),
    ] {
        let token = signed(&host, &altered(&token, |claims| claims[name] = value.clone()));
        assert_refused(&host, &format!("{name} {value}"), &token).await;
    }
    for name in ["exp", "nbf", "iat", "sub", "aud", "iss", "jti", "name", "roles", "generation"] {
        let without = altered(&token, |claims| {
            claims.as_object_mut().expect("an object").shift_remove(name);
        });
        assert_refused(&host, &format!("without {name}"), &signed(&host, &without)).await;
    }
    assert_refused(&host, "1e400", &raw(&text.replace(&said["exp"].to_string(), "1e400"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_over_are_refused_wherever_they_stand() {
    let host = TestHost::on_sqlite().await;
    let signed_out = host.user("firstuser").await;
    host.delete("/api/auth/logout").bearer_auth(&signed_out).answer().await;
    let exchanged = host.sign_in("firstuser", "secret-1").await;
    host.put("/api/auth/refresh").bearer_auth(&exchanged).answer().await;
    let changed = host.sign_in("admin", ADMIN_PASSWORD).await;
    let change = [
        ("oldPassword", ADMIN_PASSWORD),
        ("newPassword", "secret-2"),
        ("newPassword_confirmation", "secret-2"),
    ];
    host.put("/api/user/password/admin").query(&change).bearer_auth(&changed).answer().await;
    let deleted = host.user("seconduser").await;
    host.delete("/api/user_info/seconduser").bearer_auth(&deleted).answer().await;
    let (doctor, console) = (host.doctor("demo").await, host.console_admin().await);
    for (what, token) in [
        ("signed out", signed_out),
        ("exchanged", exchanged),
        ("a changed password", changed),
        ("a deleted user", deleted),
        ("the clinic's", doctor),
        ("the console's", console),
    ] {
        assert_refused(&host, what, &token).await;
    }
}
