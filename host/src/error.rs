//! What can go wrong in a request: one voice for the caller, one for the log.

use std::fmt;

use crate::admission::throttle::TooOften;

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
    /// The body did not arrive whole, or not in time.
    BodyIncomplete,
    /// More requests are waiting than may.
    Overloaded,
    /// The caller has called too often.
    TooOften(TooOften),
    /// The component failed: it trapped, ran over a limit or answered what HTTP cannot carry.
    Guest(String),
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
            Error::Overloaded => f.write_str("more requests are waiting than may"),
            Error::TooOften(TooOften { limit, .. }) => {
                write!(f, "more than {limit} requests a minute")
            }
            Error::Guest(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for Error {}
