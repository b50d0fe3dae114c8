//! Why a handler did not do what was asked: an answer, or a failure that the host's log explains.

use serde_json::{Map, Value, json};

use crate::bindings::wharf::plugin::database;
use crate::bindings::wharf::plugin::log::{self, Level};
use crate::{Response, answer, blobs, passwords, throttle, tokens};

/// Why a handler stopped. `?` turns errors of the host's interfaces and of JSON into it.
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

/// What a handler returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal in plain words: a status, and JSON with a `message` for people.
    pub fn status(status: u16, message: &str) -> Self {
        answer::json(status, &json!({ "message": message })).into()
    }

    /// 400: what was sent cannot be read.
    pub fn bad_request(message: &str) -> Self {
        Error::status(400, message)
    }

    /// 403: the caller may not do this.
    pub fn forbidden(message: &str) -> Self {
        Error::status(403, message)
    }

    /// 404: there is no such thing.
    pub fn not_found(message: &str) -> Self {
        Error::status(404, message)
    }

    /// 409: it does not fit what is there already.
    pub fn conflict(message: &str) -> Self {
        Error::status(409, message)
    }

    /// 422: inputs break rules, told by input: `{"message": …, "fields": {NAME: [RULE, …]}}`.
    ///
    /// [`Valid`](crate::Valid) refuses like this what breaks a rule that its type knows; this is for rules that need a
    /// look at something else, such as a name that somebody has already.
    pub fn invalid<Field, Rule>(fields: impl IntoIterator<Item = (Field, Rule)>) -> Self
    where
        Field: Into<String>,
        Rule: Into<String>,
    {
        let mut told = Map::new();
        for (field, rule) in fields {
            if let Value::Array(rules) = told.entry(field).or_insert_with(|| json!([])) {
                rules.push(Value::String(rule.into()));
            }
        }
        let body = json!({ "message": "what was sent is not valid", "fields": told });
        answer::json(422, &body).into()
    }

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
        Error::Internal(match error {
            database::Error::Failed(why) => format!("the database: {why}"),
            other => format!("the database: {other:?}"),
        })
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Internal(format!("JSON: {error}"))
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
