//! Who calls: access tokens made, verified and ended.
//!
//! Tokens are JWTs (RFC 7519) signed with HS256. Their audience is a realm, so that a token of one
//! realm means nothing in another. No guest ever sees a key.

mod keys;
mod revocations;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::database::{Database, Failure};
use crate::tenant;
use keys::Id;
use revocations::{Asked, Revocations, Standing};

pub use keys::Keys;

/// How long tokens live.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds from a token's issue to its expiry.
    pub lifetime_seconds: i64,
    /// Seconds from the sign-in during which a token can be exchanged for a new one.
    pub refresh_seconds: i64,
    /// Seconds after an exchange in which the old token is merely refused when it is to be exchanged again:
    /// its holder may have sent it twice. Later it has two holders, and all tokens of the sign-in are ended.
    pub reuse_seconds: i64,
    /// Ended sign-ins, and users whose tokens were ended, that are kept in memory; of more, the database
    /// is asked.
    pub remembered: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            lifetime_seconds: 60 * 60,
            refresh_seconds: 14 * 24 * 60 * 60,
            reuse_seconds: 10,
            remembered: 200_000,
        }
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
    id: Id,
    token: String,
    family: Id,
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
    /// The first token of the sign-in, unless it is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    /// What else it says to clients.
    #[serde(flatten, skip_deserializing)]
    more: Map<String, Value>,
}

/// The names that only the host says something under.
const OWN_CLAIMS: [&str; 11] =
    ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "name", "roles", "generation", "family"];

/// What the issuers of all tenants share.
pub struct Issuers {
    lifetimes: Lifetimes,
    revocations: Arc<Revocations>,
    /// Learns what other hosts end; stopped with the issuers.
    following: Option<JoinHandle<()>>,
    clock: Clock,
    chance: Chance,
}

impl Issuers {
    /// Remembers what was ended in the host's database.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(
        lifetimes: Lifetimes,
        database: Database,
        clock: Clock,
        chance: Chance,
    ) -> Result<Self, Failure> {
        let most = lifetimes.usual.remembered;
        let revocations = Arc::new(Revocations::load(database, most, clock.clone()).await?);
        let follow = |notices| tokio::spawn(Arc::clone(&revocations).follow(notices));
        let following = revocations.notices().map(follow);
        Ok(Issuers { lifetimes, revocations, following, clock, chance })
    }

    /// Gives back the connections to the database.
    pub async fn close(&self) {
        if let Some(following) = &self.following {
            following.abort();
        }
        self.revocations.close().await;
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }
}

/// Makes, verifies and ends the tokens of one tenant.
pub struct Issuer {
    lifetimes: Lifetimes,
    tenant: String,
    name: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    revocations: Arc<Revocations>,
    clock: Clock,
    chance: Chance,
}

impl Issuer {
    /// An issuer for `tenant`, who signs with `key`: tokens of one tenant mean nothing to another.
    pub fn new(issuers: &Issuers, tenant: &str, key: &[u8]) -> Self {
        let name = format!("wharf:{tenant}");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims =
            HashSet::from(["exp", "iss", "aud", "sub", "nbf"].map(str::to_owned));
        validation.set_issuer(&[&name]);
        // The realm is compared with the route's, and times with the host's clock, after decoding.
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.leeway = 0;
        Issuer {
            lifetimes: issuers.lifetimes.clone(),
            tenant: tenant.to_owned(),
            name,
            signing: EncodingKey::from_secret(key),
            verifying: DecodingKey::from_secret(key),
            validation,
            revocations: Arc::clone(&issuers.revocations),
            clock: issuers.clock.clone(),
            chance: issuers.chance.clone(),
        }
    }

    /// Says who sent this text as their token.
    ///
    /// # Errors
    /// Only the database can tell, and does not.
    pub async fn verify(&self, text: &str) -> Result<Caller, Failure> {
        let identity = match self.accept(text) {
            Ok(identity) => identity,
            Err(rejection) => return Ok(Caller::Rejected(rejection)),
        };
        let realm = self.scope(&identity.subject.realm);
        let asked = Asked {
            id: identity.id,
            family: identity.family,
            realm: &realm,
            user: identity.subject.user,
            generation: identity.generation,
        };
        Ok(match self.revocations.standing(asked).await? {
            Standing::Good => Caller::Identity(Arc::new(identity)),
            Standing::Ended => Caller::Rejected(Rejection::Revoked),
        })
    }

    /// Whom a token was issued to, by realm and id, whether or not it has ended meanwhile: to tell callers
    /// apart, not to let them in.
    pub fn holder(&self, text: &str) -> Option<(String, i64)> {
        let identity = self.accept(text).ok()?;
        Some((identity.subject.realm, identity.subject.user))
    }

    /// Issues a token to a user who has just signed in.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn issue(&self, subject: Subject) -> Result<Token, Failure> {
        let now = self.clock.now();
        let realm = self.scope(&subject.realm);
        let generation = self.revocations.generation(&realm, subject.user).await?;
        Ok(self.sign(
            subject,
            Id::random(&self.chance),
            None,
            now,
            generation.unwrap_or(0).max(now),
        ))
    }

    /// Exchanges a token for a new one, of a user who has this name and these roles by now, and ends the
    /// old one; of several at once, one succeeds.
    pub async fn refresh(
        &self,
        old: &Identity,
        name: String,
        roles: Vec<String>,
    ) -> Result<Token, Refused> {
        let config = self.lifetimes.of(&old.subject.realm);
        let now = self.clock.now();
        if now >= old.signed_in.saturating_add(config.refresh_seconds) {
            return Err(Refused::TooOld);
        }
        let (new, expires) =
            (Id::random(&self.chance), now.saturating_add(config.lifetime_seconds));
        let exchanged = self.revocations.exchange(old.family, old.id, new, expires).await;
        if !exchanged.map_err(Refused::Unavailable)? {
            self.punish(old).await.map_err(Refused::Unavailable)?;
            return Err(Refused::Revoked);
        }
        let subject = Subject { name, roles, ..old.subject.clone() };
        // The old token's generation, not today's: a revocation of all that came in between holds.
        Ok(self.sign(subject, new, Some(old.family), old.signed_in, old.generation))
    }

    /// Ends all tokens of a sign-in one of whose old tokens was sent to be exchanged again: somebody else
    /// holds it (RFC 9700, section 4.14.2).
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn punish_reuse(&self, text: &str) -> Result<(), Failure> {
        match self.accept(text) {
            Ok(token) => self.punish(&token).await,
            Err(_) => Ok(()),
        }
    }

    /// Ends one token, and whatever it was exchanged for meanwhile.
    pub async fn revoke(&self, token: &Identity) -> Result<(), Failure> {
        self.revocations.end(token.family, token.expires).await
    }

    /// Ends all tokens that a user holds now.
    pub async fn revoke_all_of_user(&self, realm: &str, user: i64) -> Result<(), Failure> {
        let lifetime = self.lifetimes.of(realm).lifetime_seconds;
        let expires = self.clock.now().saturating_add(lifetime);
        self.revocations.next_generation(&self.scope(realm), user, expires).await
    }

    /// A realm's name among those of all tenants. No tenant's name holds a slash: what holds none is a
    /// realm of the default tenant's, and all else begins with its tenant.
    fn scope<'a>(&self, realm: &'a str) -> Cow<'a, str> {
        if self.tenant == tenant::DEFAULT && !realm.contains('/') {
            return Cow::Borrowed(realm);
        }
        Cow::Owned(format!("{}/{realm}", self.tenant))
    }

    async fn punish(&self, token: &Identity) -> Result<(), Failure> {
        let Some(family) = self.revocations.family(token.family).await? else { return Ok(()) };
        let is_old = family.current.is_some_and(|current| current != token.id);
        let grace = self.lifetimes.usual.reuse_seconds;
        if is_old && self.clock.now() >= family.exchanged.saturating_add(grace) {
            let subject = &token.subject;
            tracing::warn!(
                realm = subject.realm,
                user = subject.user,
                "a token that was exchanged before came to be exchanged again; all tokens of its sign-in are ended"
            );
            self.revocations.end(token.family, family.expires).await?;
        }
        Ok(())
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
        let user: i64 = claims.sub.parse().map_err(|_| Rejection::Malformed)?;
        // One spelling for each user, as this issuer writes it: no `+7`, no `007`.
        if user.to_string() != claims.sub {
            return Err(Rejection::Malformed);
        }
        let id = claims.jti.parse().map_err(|()| Rejection::Malformed)?;
        let family = claims.family.as_ref().map_or(Ok(id), |family| family.parse());
        let family = family.map_err(|()| Rejection::Malformed)?;
        // What was revoked is remembered for as long as tokens live by today's settings.
        let most = claims.nbf.saturating_add(self.lifetimes.of(&claims.aud).lifetime_seconds);
        let now = self.clock.now();
        if now < claims.nbf || now >= claims.exp.min(most) {
            return Err(Rejection::Expired);
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
            id,
            token: claims.jti,
            family,
            signed_in: claims.iat,
            expires: claims.exp,
            generation: claims.generation,
        })
    }

    fn sign(
        &self,
        mut subject: Subject,
        id: Id,
        family: Option<Id>,
        signed_in: i64,
        generation: i64,
    ) -> Token {
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
            jti: id.to_string(),
            name: subject.name,
            roles: subject.roles,
            generation,
            family: family.map(|family| family.to_string()),
            more: subject.claims,
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .expect("claims of text and numbers can be written as JSON");
        Token { text, id: claims.jti, expires_in: lifetime }
    }
}
