//! Accounts and tokens under attack, in all realms.

mod authorisation;
mod families;
mod flood;
mod forged;
mod nodes;
mod odd_input;
mod same_work;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

use crate::support::{TestHost, claims};

/// A token's claims, changed.
fn altered(token: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = claims(token);
    change(&mut claims);
    claims
}

/// Claims signed with the host's own key, so that what they say is what is judged.
fn signed(host: &TestHost, claims: &Value) -> String {
    let key = EncodingKey::from_secret(host.key().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("a token")
}
