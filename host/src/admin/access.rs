//! Who calls, and what they may do.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use subtle::ConstantTimeEq as _;

use super::problem::Problem;
use super::{Asked, Core, operator};
use crate::admission::throttle::Bucket;
use crate::registry::names;
use crate::registry::tokens::{DeployToken, Verb, hash};

/// Whoever has shown a token.
pub(super) enum Holder {
    /// The host's operator.
    Operator,
    /// Somebody who works for one tenant.
    Token(DeployToken),
}

/// The right to do something; only [`Holder`] gives one.
pub(super) struct Mandate {
    /// The tenant that it is for.
    pub(super) tenant: String,
    /// Who has it, for the log and the history.
    pub(super) who: String,
}

impl Holder {
    /// Who it is, for the log and the history: a token's name has no line breaks.
    fn who(&self) -> String {
        match self {
            Holder::Operator => operator::ID.to_owned(),
            Holder::Token(token) => format!("{} (token {})", token.name, token.id),
        }
    }

    /// The right to do something with a tenant that is there.
    pub(super) async fn may(
        &self,
        core: &Core,
        verb: Verb,
        tenant: &str,
    ) -> Result<Mandate, Problem> {
        match self {
            Holder::Token(token) if token.tenant != tenant => {
                return Err(Problem::no_tenant(tenant));
            }
            Holder::Token(token) if !token.verbs.contains(&verb) => {
                return Err(Problem::lacks(verb, tenant, &token.verbs));
            }
            _ => {}
        }
        self.mandate(core, tenant).await
    }

    /// The right to do what the operator alone may do with a tenant that is there; `what` begins a sentence.
    pub(super) async fn operates(
        &self,
        core: &Core,
        what: &str,
        tenant: &str,
    ) -> Result<Mandate, Problem> {
        match self {
            Holder::Token(token) if token.tenant != tenant => Err(Problem::no_tenant(tenant)),
            Holder::Token(_) => Err(Problem::operators(what)),
            Holder::Operator => self.mandate(core, tenant).await,
        }
    }

    /// The right to do what the operator alone may do, and what is about no tenant that is there.
    pub(super) fn is_operator(&self, what: &str, tenant: &str) -> Result<Mandate, Problem> {
        match self {
            Holder::Token(_) => Err(Problem::operators(what)),
            Holder::Operator => Ok(Mandate { tenant: tenant.to_owned(), who: self.who() }),
        }
    }

    /// Whether its token is still valid, for whoever is told something for a long time.
    pub(super) async fn still_holds(&self, core: &Core) -> bool {
        match self {
            Holder::Operator => true,
            Holder::Token(token) => {
                // Where that cannot be found out, nothing is told.
                core.deployer.registry().is_valid(&token.id).await.unwrap_or(false)
            }
        }
    }

    async fn mandate(&self, core: &Core, tenant: &str) -> Result<Mandate, Problem> {
        if core.deployer.registry().tenant(tenant).await?.is_none() {
            return Err(Problem::no_tenant(tenant));
        }
        Ok(Mandate { tenant: tenant.to_owned(), who: self.who() })
    }
}

impl Mandate {
    /// Writes down what was done with it. What comes from outside is escaped, so that nobody writes lines of
    /// their own.
    pub(super) fn audit(&self, what: &str, group: &str, revision: Option<i64>) {
        let (who, tenant) = (&self.who, &self.tenant);
        tracing::info!(what, ?who, ?tenant, ?group, revision, "changed by the admin API");
    }
}

/// Refuses what is no group's name, before it is looked up or logged.
pub(super) fn check_group(group: &str) -> Result<(), Problem> {
    Ok(names::group(group)?)
}

impl FromRequestParts<Arc<Core>> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, core: &Arc<Core>) -> Result<Self, Problem> {
        let shown = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        if let Some(token) = token {
            if bool::from(hash(token).as_bytes().ct_eq(core.operator.as_bytes())) {
                return Ok(Holder::Operator);
            }
            if let Some(token) = core.deployer.registry().verify_token(token).await? {
                let asked = head.extensions.get::<Asked>();
                if asked.is_some_and(|asked| !asked.place.is_within(&token.tenant)) {
                    return Err(Problem::too_many_of(&token.tenant));
                }
                return Ok(Holder::Token(token));
            }
        }
        // Right tokens are let in however often wrong ones came from the same address: those who share it
        // lock nobody out, and 256 bits are not found by trying.
        match head.extensions.get::<Asked>() {
            Some(Asked { address, .. }) => {
                match core.wrong_tokens.count(Bucket::Account(*address, "")) {
                    Ok(_) => Err(Problem::unauthorized()),
                    Err(often) => {
                        tracing::warn!(%address, "wrong tokens for the admin API, too often");
                        Err(Problem::too_often(often.wait))
                    }
                }
            }
            None => Err(Problem::unauthorized()),
        }
    }
}
