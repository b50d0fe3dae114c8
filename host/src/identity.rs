//! Who calls: access tokens made, verified and ended.
//!
//! Tokens are JWTs (RFC 7519) signed with HS256. Their audience is a realm, so that a token of one
//! realm means nothing in another. No guest ever sees a key.

mod keys;
mod revocations;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::database::{Database, Failure};
use revocations::Revocations;

pub use keys::Keys;

/// How long tokens live.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds from a token's issue to its expiry.
    pub lifetime_seconds: i64,
    /// Seconds from the sign-in during which a token can be exchanged for a new one.
    pub refresh_seconds: i64,
}

impl Default for Config {
    fn default() -> Self {
        Config { lifetime_seconds: 60 * 60, refresh_seconds: 14 * 24 * 60 * 60 }
    }
}

/// How long tokens live, by realm.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// In realms that have none of their own.
    pub usual: Config,
    /// In these realms.
    pub realms: BTreeMap<String, Config>,
}

impl Lifetimes {
    fn of(&self, realm: &str) -> Config {
        self.realms.get(realm).copied().unwrap_or(self.usual)
    }
}

/// Longer texts are no tokens of ours and are not looked at.
const LONGEST_TOKEN: usize = 4096;

/// Who a token is for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The user's id within the realm.
    pub user: i64,
    /// The realm, the token's audience.
    pub realm: String,
    /// The user's name.
    pub name: String,
    /// The user's roles.
    pub roles: Vec<String>,
    /// What else a new token says to clients; a verified one is not asked for it.
    pub claims: Map<String, Value>,
}

/// A user whose token has been verified; only [`Issuer::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Identity {
    subject: Subject,
    token: String,
    signed_in: i64,
    expires: i64,
    generation: i64,
}

impl Identity {
    /// Who it is.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The token's id.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// No token was sent.
    Anonymous,
    /// A valid token was sent.
    Identity(Arc<Identity>),
    /// A token was sent and is refused.
    Rejected(Rejection),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// Not a token of this host.
    Malformed,
    /// Its lifetime is over or has not begun.
    Expired,
    /// It was ended early.
    Revoked,
}

/// A fresh token.
#[derive(Debug)]
pub struct Token {
    /// The signed text.
    pub text: String,
    /// Its id.
    pub id: String,
    /// Its lifetime in seconds.
    pub expires_in: i64,
}

/// Why no token was made.
#[derive(Debug)]
pub enum Refused {
    /// The old one was revoked meanwhile.
    Revoked,
    /// The sign-in is too long ago.
    TooOld,
    /// It could not be recorded.
    Unavailable(Failure),
}

/// What a token says, by the registered names of RFC 7519 where there is one.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// When the user signed in; refreshed tokens keep it.
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    name: String,
    roles: Vec<String>,
    /// The user's generation at the time of issue: see [`Revocations`].
    generation: i64,
    /// What else it says to clients.
    #[serde(flatten, skip_deserializing)]
    more: Map<String, Value>,
}

/// The names that only the host says something under.
const OWN_CLAIMS: [&str; 10] =
    ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "name", "roles", "generation"];

/// Makes, verifies and ends the tokens of one tenant.
pub struct Issuer {
    lifetimes: Lifetimes,
    name: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    revocations: Revocations,
    clock: Clock,
}

impl Issuer {
    /// An issuer for `tenant`, which remembers what it ended in the host's database.
    pub async fn open(
        tenant: &str,
        lifetimes: Lifetimes,
        keys: &Keys,
        database: Database,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let name = format!("wharf:{tenant}");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims =
            HashSet::from(["exp", "iss", "aud", "sub", "nbf"].map(str::to_owned));
        validation.set_issuer(&[&name]);
        // The realm is compared with the route's, and times with the host's clock, after decoding.
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.leeway = 0;
        Ok(Issuer {
            lifetimes,
            name,
            signing: EncodingKey::from_secret(keys.tokens()),
            verifying: DecodingKey::from_secret(keys.tokens()),
            validation,
            revocations: Revocations::load(database, clock.now()).await?,
            clock,
        })
    }

    /// Says who sent this text as their token.
    pub fn verify(&self, text: &str) -> Caller {
        self.accept(text).map(Arc::new).map_or_else(Caller::Rejected, Caller::Identity)
    }

    /// Issues a token to a user who has just signed in.
    pub fn issue(&self, subject: Subject) -> Token {
        let generation = self.revocations.generation(&subject.realm, subject.user);
        self.sign(subject, self.clock.now(), generation)
    }

    /// Exchanges a token for a new one and ends the old one; of several at once, one succeeds.
    pub async fn refresh(&self, old: &Identity) -> Result<Token, Refused> {
        let refreshable = self.lifetimes.of(&old.subject.realm).refresh_seconds;
        if self.clock.now() >= old.signed_in.saturating_add(refreshable) {
            return Err(Refused::TooOld);
        }
        if !self.end(old).await.map_err(Refused::Unavailable)? {
            return Err(Refused::Revoked);
        }
        // The old token's generation, not today's: a revocation of all that came in between holds.
        Ok(self.sign(old.subject.clone(), old.signed_in, old.generation))
    }

    /// Ends one token.
    pub async fn revoke(&self, token: &Identity) -> Result<(), Failure> {
        self.end(token).await.map(drop)
    }

    /// Ends all tokens that a user holds now.
    pub async fn revoke_all_of_user(&self, realm: &str, user: i64) -> Result<(), Failure> {
        self.revocations.next_generation(realm, user).await
    }

    /// Gives back its connections to the database.
    pub async fn close(&self) {
        self.revocations.close().await;
    }

    async fn end(&self, token: &Identity) -> Result<bool, Failure> {
        self.revocations.end(&token.token, token.expires, self.clock.now()).await
    }

    fn accept(&self, text: &str) -> Result<Identity, Rejection> {
        if text.len() > LONGEST_TOKEN {
            return Err(Rejection::Malformed);
        }
        let decoded = jsonwebtoken::decode::<Claims>(text, &self.verifying, &self.validation);
        let claims = decoded.map_err(|_| Rejection::Malformed)?.claims;
        if claims.iat < 0 || claims.iat > claims.nbf || claims.nbf >= claims.exp {
            return Err(Rejection::Malformed);
        }
        let user = claims.sub.parse().map_err(|_| Rejection::Malformed)?;
        let now = self.clock.now();
        if now < claims.nbf || now >= claims.exp {
            return Err(Rejection::Expired);
        }
        if self.revocations.is_ended(&claims.jti)
            || claims.generation < self.revocations.generation(&claims.aud, user)
        {
            return Err(Rejection::Revoked);
        }
        let subject = Subject {
            user,
            realm: claims.aud,
            name: claims.name,
            roles: claims.roles,
            claims: Map::new(),
        };
        Ok(Identity {
            subject,
            token: claims.jti,
            signed_in: claims.iat,
            expires: claims.exp,
            generation: claims.generation,
        })
    }

    fn sign(&self, mut subject: Subject, signed_in: i64, generation: i64) -> Token {
        let now = self.clock.now();
        let lifetime = self.lifetimes.of(&subject.realm).lifetime_seconds;
        subject.claims.retain(|name, _| !OWN_CLAIMS.contains(&name.as_str()));
        let claims = Claims {
            iss: self.name.clone(),
            aud: subject.realm,
            sub: subject.user.to_string(),
            iat: signed_in,
            nbf: now,
            exp: now.saturating_add(lifetime),
            jti: keys::random_id(),
            name: subject.name,
            roles: subject.roles,
            generation,
            more: subject.claims,
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .expect("claims of text and numbers can be written as JSON");
        Token { text, id: claims.jti, expires_in: lifetime }
    }
}
