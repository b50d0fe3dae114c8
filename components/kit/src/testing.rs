//! Requests for the kit's own tests, and what is said to them.

use crate::bindings::wharf::plugin::http;
use crate::{Caller, Error, Request, Value};

fn plain() -> http::Request {
    http::Request {
        method: "POST".into(),
        origin: "http://localhost".into(),
        path: "/".into(),
        query: String::new(),
        route: 0,
        path_parameters: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        client_address: "127.0.0.1".into(),
        request_id: "1".into(),
        caller: Caller::Anonymous,
    }
}

/// A request with a body of a type.
pub(crate) fn sent(kind: &str, body: impl AsRef<[u8]>) -> Request {
    let headers = vec![("content-type".to_owned(), kind.as_bytes().to_vec())];
    Request::new(http::Request { headers, body: body.as_ref().to_vec(), ..plain() })
}

/// A request with a query.
pub(crate) fn asked(query: &str) -> Request {
    Request::new(http::Request { query: query.to_owned(), ..plain() })
}

/// A request of somebody's.
pub(crate) fn called_by(caller: Caller) -> Request {
    Request::new(http::Request { caller, ..plain() })
}

/// A request whose path has these parameters.
pub(crate) fn at(parameters: &[(&str, &str)]) -> Request {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let path_parameters = parameters.iter().map(own).collect();
    Request::new(http::Request { path_parameters, ..plain() })
}

/// Status and body of a refusal.
pub(crate) fn body(refusal: Error) -> (u16, Value) {
    let answer = refusal.answer();
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

/// Status and message of a refusal.
#[track_caller]
pub(crate) fn said(refusal: Option<Error>) -> (u16, String) {
    let (status, body) = body(refusal.expect("it is refused"));
    (status, body["message"].as_str().expect("a message").to_owned())
}
