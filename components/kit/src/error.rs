//! Why a handler did not do what was asked: an answer, or a failure that the host's log explains.

use serde_json::json;

use crate::bindings::wharf::plugin::database;
use crate::bindings::wharf::plugin::log::{self, Level};
use crate::{Response, answer, blobs, passwords, throttle, tokens};

/// Why a handler stopped. `?` turns errors of the database and of tokens into it.
#[derive(Debug)]
pub enum Error {
    /// An answer that says so itself, such as a failed validation.
    Answer(Box<Response>),
    /// The caller's token is valid, but its user is gone or disabled.
    Unauthenticated,
    /// There were too many attempts; the host tells when the next may be made.
    TooOften,
    /// What is needed is held by others, full or away; the client is asked to come back.
    Busy,
    /// What should not happen. The text is for the log.
    Internal(String),
}

impl Error {
    /// What the client gets. An internal error is logged here, once.
    pub fn answer(self) -> Response {
        match self {
            Error::Answer(response) => *response,
            Error::Unauthenticated => answer::json(401, &json!({ "message": "Unauthenticated." })),
            Error::TooOften => answer::json(429, &json!({ "message": "Too Many Attempts." })),
            Error::Busy => {
                let mut response = answer::json(503, &json!({ "message": "Service Unavailable" }));
                response.headers.push(answer::header("retry-after", "1"));
                response
            }
            Error::Internal(cause) => {
                log::write(Level::Error, &cause);
                answer::json(500, &json!({ "message": "Server Error" }))
            }
        }
    }
}

impl From<Response> for Error {
    fn from(response: Response) -> Self {
        Error::Answer(Box::new(response))
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        if error.is_passing() {
            return Error::Busy;
        }
        Error::Internal(format!("the database: {error:?}"))
    }
}

impl From<tokens::Error> for Error {
    fn from(error: tokens::Error) -> Self {
        match error {
            tokens::Error::NoToken | tokens::Error::Revoked | tokens::Error::TooOld => {
                Error::Unauthenticated
            }
            tokens::Error::Unavailable => Error::Busy,
        }
    }
}

impl From<passwords::Error> for Error {
    fn from(_: passwords::Error) -> Self {
        Error::Busy
    }
}

impl From<throttle::Error> for Error {
    fn from(_: throttle::Error) -> Self {
        Error::TooOften
    }
}

impl From<blobs::Error> for Error {
    fn from(error: blobs::Error) -> Self {
        match error {
            blobs::Error::Unavailable => Error::Busy,
            blobs::Error::TooLarge => {
                answer::json(413, &json!({ "message": "Payload Too Large" })).into()
            }
            other => Error::Internal(format!("a blob: {other:?}")),
        }
    }
}
