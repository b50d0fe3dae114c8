//! A component's answer, or an [`Error`], as HTTP.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::bindings::wharf::plugin::http as wit;
use crate::error::Error;

/// What goes out: bodies are complete, since components hand them over whole.
pub type Answer = Response<Full<Bytes>>;

/// The paths that pages of any origin may call (contract of the API: every `/api` route).
const OPEN_TO_ALL_ORIGINS: &str = "/api/";

/// Turns a component's response into HTTP; what HTTP cannot carry is the component's failure.
pub fn from_guest(response: wit::Response, most_bytes: usize) -> Result<Answer, Error> {
    let wit::Response { status, headers, body } = response;
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| {
            Error::Guest(format!(
                "it answered with status {status}, which is not within 200 to 599"
            ))
        })?;
    let size =
        body.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if size > most_bytes {
        return Err(Error::Guest(format!(
            "it answered with {size} bytes, and may with {most_bytes} (limits.response_bytes)"
        )));
    }
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    for (name, value) in headers {
        let invalid = || {
            Error::Guest(format!(
                "its header {:?} is not valid in HTTP",
                name.escape_debug().to_string()
            ))
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| invalid())?;
        if !belongs_to_connection(&header) {
            answer.headers_mut().append(header, value);
        }
    }
    Ok(answer)
}

/// What the caller may read of an error.
pub fn from_error(error: &Error) -> Answer {
    match error {
        Error::NotFound => json_answer(StatusCode::NOT_FOUND, &json!({ "message": "" })),
        Error::MethodNotAllowed { method, allowed } => {
            let allowed = allowed.join(", ");
            let message = format!(
                "The {method} method is not supported for this route. Supported methods: {allowed}."
            );
            let mut answer =
                json_answer(StatusCode::METHOD_NOT_ALLOWED, &json!({ "message": message }));
            insert(answer.headers_mut(), header::ALLOW, &allowed);
            answer
        }
        Error::Unauthenticated => {
            json_answer(StatusCode::UNAUTHORIZED, &json!({ "message": "Unauthenticated." }))
        }
        Error::BodyTooLarge => {
            json_answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "message": "Payload Too Large" }))
        }
        Error::BodyIncomplete => {
            json_answer(StatusCode::BAD_REQUEST, &json!({ "message": "Bad Request" }))
        }
        Error::Overloaded => {
            let mut answer = json_answer(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({ "message": "Service Unavailable" }),
            );
            insert(answer.headers_mut(), header::RETRY_AFTER, "1");
            answer
        }
        Error::Guest(_) => {
            json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "Server Error" }))
        }
    }
}

/// An answer with a JSON body.
pub fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The answer to OPTIONS on a path that is known: its methods, or what a browser's preflight asks
/// for (the Fetch standard, section 3.3).
pub fn options(path: &str, allowed: &[&str], asked: &HeaderMap) -> Answer {
    let mut answer = Response::new(Full::default());
    let headers = answer.headers_mut();
    match asked.get(header::ACCESS_CONTROL_REQUEST_METHOD) {
        Some(method)
            if path.starts_with(OPEN_TO_ALL_ORIGINS) && asked.contains_key(header::ORIGIN) =>
        {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("0"));
            *answer.status_mut() = StatusCode::NO_CONTENT;
        }
        _ => insert(headers, header::ALLOW, &allowed.join(", ")),
    }
    answer
}

/// Adds what every answer carries.
pub fn finish(mut answer: Answer, path: &str, request: &str) -> Answer {
    let headers = answer.headers_mut();
    insert(headers, HeaderName::from_static("x-request-id"), request);
    if path.starts_with(OPEN_TO_ALL_ORIGINS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    answer
}

/// Headers of the connection (RFC 9110, section 7.6.1) and those that the host writes itself.
fn belongs_to_connection(name: &HeaderName) -> bool {
    const OURS: [&str; 11] = [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    ];
    OURS.contains(&name.as_str())
}

/// Sets a header to text that the host made; text that HTTP cannot carry is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
