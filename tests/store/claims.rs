//! Tokens that are signed with the right key, and say what no library would write.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use crate::support::TestHost;

#[tokio::test(flavor = "multi_thread")]
async fn claims_must_be_what_the_host_writes() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
    let claims = String::from_utf8(claims).expect("text");
    let key = std::fs::read_to_string(host.folder().join("data/keys/tokens.key")).expect("the key");
    let signed = |claims: &str| {
        let message = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims));
        let key = EncodingKey::from_secret(key.as_bytes());
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("signed");
        format!("{message}.{signature}")
    };
    // As they stand they are accepted: what is refused below is refused for its claims.
    assert_eq!(host.me(&signed(&claims)).await.code(), 20001);
    let instead = |name: &str, value: &str| {
        let begin = claims.find(&format!("\"{name}\":")).expect("the claim");
        let end = claims[begin..].find([',', '}']).expect("its end") + begin;
        format!("{}\"{name}\":{value}{}", &claims[..begin], &claims[end..])
    };
    let mut refused: Vec<String> = [
        ("exp", "1e400"),
        ("exp", "99999999999999999999"),
        ("exp", "1700003600.5"),
        ("exp", "true"),
        ("exp", "[1700003600]"),
        ("nbf", "-9223372036854775808"),
        ("iat", "9223372036854775807"),
        ("sub", "1"),
        ("sub", "\" 1\""),
        ("sub", "\"1\\u0000\""),
        ("sub", "\"9223372036854775808\""),
        ("aud", "\"store\\u0000\""),
        ("aud", "\"Store\""),
        ("aud", "{}"),
        ("jti", "null"),
    ]
    .map(|(name, value)| signed(&instead(name, value)))
    .to_vec();
    refused.extend(["", "{}", "[]", "null", "{", "\u{feff}"].map(signed));
    refused.extend([
        format!("{token}="),
        format!("{token}.{}", parts[2]),
        format!("{} .{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], STANDARD.encode(&claims), parts[2]),
        format!("{token},{token}"),
        format!("Bearer {token}"),
    ]);
    for token in refused {
        let answer = host.me(&token).await;
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
    }
}
