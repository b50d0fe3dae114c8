//! What can go wrong in a request: one voice for the caller, one for the log.

use std::fmt;
use std::sync::Arc;

use crate::admission::throttle::TooOften;
use crate::instance::CallFailed;
use crate::logs::Blame;
use crate::tenant::broken::Broken;

/// Why a request was not answered by its component.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No route has this path.
    NotFound,
    /// The path has routes, but none for this method.
    MethodNotAllowed {
        /// The method that was tried.
        method: String,
        /// The methods that the path has, in the order of the `Allow` header.
        allowed: Vec<&'static str>,
    },
    /// The route is for users of another realm, or for signed-in ones.
    Unauthenticated,
    /// The body is larger than the route takes.
    BodyTooLarge,
    /// The body did not arrive whole.
    BodyIncomplete,
    /// The request is not one that is taken, whoever it is for.
    Refused(Refusal),
    /// More requests are waiting than may.
    Overloaded,
    /// The caller has called too often.
    TooOften(TooOften),
    /// What decides about the request could not be asked. The text is for the log.
    Unavailable(String),
    /// The component failed: it trapped, ran over a limit or answered what HTTP cannot carry; or the host did on
    /// its way there.
    Failed(CallFailed),
    /// The newest sources of the component do not serve, which developers alone see.
    Broken(Arc<Broken>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound => f.write_str("no route has this path"),
            Error::MethodNotAllowed { method, allowed } => {
                write!(f, "{method} is not one of {}", allowed.join(", "))
            }
            Error::Unauthenticated => f.write_str("no token of this realm"),
            Error::BodyTooLarge => f.write_str("the body is larger than the route takes"),
            Error::BodyIncomplete => f.write_str("the body did not arrive whole"),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Overloaded => f.write_str("more requests are waiting than may"),
            Error::TooOften(TooOften { limit, .. }) => {
                write!(f, "more than {limit} requests a minute")
            }
            Error::Unavailable(cause) => f.write_str(cause),
            Error::Failed(failed) => failed.fmt(f),
            Error::Broken(broken) => f.write_str(&broken.message),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// The component answers what HTTP cannot carry.
    pub fn guests(cause: impl Into<String>) -> Self {
        Error::Failed(CallFailed::guests(cause))
    }

    /// Who is the reason why there is no answer of a component's.
    pub fn blame(&self) -> Blame {
        match self {
            Error::NotFound
            | Error::MethodNotAllowed { .. }
            | Error::Unauthenticated
            | Error::BodyTooLarge
            | Error::BodyIncomplete
            | Error::Refused(_)
            | Error::TooOften(_) => Blame::Client,
            Error::Overloaded | Error::Unavailable(_) => Blame::Host,
            Error::Failed(failed) => failed.blame,
            Error::Broken(_) => Blame::Guest,
        }
    }
}

/// Why a body that is handed on as it arrives ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// It did not arrive in time.
    TooSlow,
    /// It is larger than the route takes.
    TooLarge,
    /// The client broke it off.
    Incomplete,
}

impl From<Interrupted> for Error {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::TooSlow => Error::Refused(Refusal::TooSlow),
            Interrupted::TooLarge => Error::BodyTooLarge,
            Interrupted::Incomplete => Error::BodyIncomplete,
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(*self).fmt(f)
    }
}

impl std::error::Error for Interrupted {}

/// Why a request is not taken, whoever it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is no HTTP, or can be read in two ways. Says which rule it breaks.
    Malformed(&'static str),
    /// Its target is longer than `http.url_bytes`.
    UrlTooLong,
    /// Its head is larger than `http.header_bytes`, or has more headers than `http.headers`.
    HeadTooLarge,
    /// Its head or its body did not arrive in time.
    TooSlow,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed(rule) => write!(f, "the request is malformed: {rule}"),
            Refusal::UrlTooLong => f.write_str("the URL is longer than http.url_bytes"),
            Refusal::HeadTooLarge => {
                f.write_str("the head is larger than http.header_bytes or http.headers")
            }
            Refusal::TooSlow => f.write_str(
                "the request did not arrive in http.header_seconds or http.body_seconds",
            ),
        }
    }
}
