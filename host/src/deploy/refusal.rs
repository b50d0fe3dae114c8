//! Why something was not deployed, in words that say what to do next.

use std::fmt;

use crate::database::Failure;
use crate::registry;
use crate::router::Unroutable;

/// Why something was not deployed. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: Kind,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

/// The kinds of reasons, each with a code of its own in the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was sent cannot be read.
    Invalid,
    /// It needs a right that the tenant was not granted.
    NotGranted,
    /// There is no such thing.
    NotFound,
    /// Somebody else was first, or a name or route is taken.
    Conflict,
    /// It is larger than it may be.
    TooLarge,
    /// It can be read, and cannot serve.
    Unfit,
    /// The tenant has used up what it may.
    Quota,
    /// The host cannot do it for the time being.
    Unavailable,
}

impl Refusal {
    pub(super) fn new(kind: Kind, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Refusal { kind, message: message.into(), remedy: remedy.into() }
    }

    pub(super) fn unfit(message: impl Into<String>) -> Self {
        Refusal::new(Kind::Unfit, message, "")
    }

    /// A route that cannot be entered among those of a tenant.
    pub(super) fn unroutable(tenant: &str, group: &str, why: Unroutable) -> Self {
        match why {
            Unroutable::Taken { method, path, groups: [one, other] } => {
                let owner = if one == group { other } else { one };
                Refusal::new(
                    Kind::Conflict,
                    format!("{method} {path} is taken by group {owner} of tenant {tenant}"),
                    format!(
                        "give the route another path, or take that group offline with: wharf remove {owner} --tenant {tenant}"
                    ),
                )
            }
            Unroutable::Invalid(why) => Refusal::unfit(why),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        tracing::error!(%failure, "cannot read or write what is deployed");
        Refusal::new(Kind::Unavailable, "the host's database does not answer", "try again")
    }
}

impl From<registry::Error> for Refusal {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Failed(failure) => failure.into(),
            registry::Error::Refused(refused) => {
                let kind = match refused.kind {
                    registry::Kind::Missing => Kind::NotFound,
                    registry::Kind::Taken | registry::Kind::Changed => Kind::Conflict,
                    registry::Kind::Quota => Kind::Quota,
                    registry::Kind::Unfit => Kind::Invalid,
                };
                Refusal::new(kind, refused.message, refused.remedy)
            }
        }
    }
}
