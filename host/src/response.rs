//! A component's answer, or an [`Error`], as HTTP.

mod broken;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::admission::throttle::{Allowance, TooOften};
use crate::bindings::wharf::plugin::http as wit;
use crate::blobs::{Failure, Reading};
use crate::error::{Error, Refusal};
use crate::instance::CallFailed;
use crate::instance::proxy::Content;
use crate::listener::Peer;

/// What answers tell besides what components say, in `[answers]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether answers of components say which revision has made them (`x-wharf-revision`). If it is not set,
    /// `wharf dev` does and `wharf serve` does not.
    pub revision: Option<bool>,
}

/// What goes out. Components hand bodies over whole, but for blobs, which are sent as they are read, and
/// what `wasi:http` components stream.
pub type Answer = Response<Body>;

/// The body of an [`Answer`].
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, BrokenOff>>;

/// Why the body of an answer ends before its end.
#[derive(Debug)]
pub enum BrokenOff {
    /// A file could not be read.
    Blob(Failure),
    /// A component could not go on.
    Component(CallFailed),
}

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BrokenOff::Blob(failure) => failure.fmt(f),
            BrokenOff::Component(failed) => failed.fmt(f),
        }
    }
}

impl std::error::Error for BrokenOff {}

/// Bytes of a body from which on it counts: there are too few connections for smaller ones to matter.
const COUNTED: usize = 16 * 1024;

/// The memory that answers may take until their clients have taken them. Without it, clients who ask for
/// much and take little could have the host keep it all.
pub struct Unsent {
    kilobytes: Arc<Semaphore>,
}

impl Unsent {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        let kilobytes = (bytes / 1024).min(Semaphore::MAX_PERMITS);
        Unsent { kilobytes: Arc::new(Semaphore::new(kilobytes)) }
    }

    /// Counts a body until the last part of it is sent or given up; there may be no room for it.
    fn hold(&self, body: Vec<u8>) -> Result<Bytes, Error> {
        /// A body, and the room that it takes.
        struct Held(
            Vec<u8>,
            #[expect(dead_code, reason = "given back on drop")] OwnedSemaphorePermit,
        );

        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        if body.len() < COUNTED {
            return Ok(Bytes::from(body));
        }
        let size = u32::try_from(body.len() / 1024).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.kilobytes).try_acquire_many_owned(size);
        room.map(|room| Bytes::from_owner(Held(body, room))).map_err(|_| Error::Overloaded)
    }
}

/// The paths that pages of any origin may call (contract of the API: every `/api` route).
const OPEN_TO_ALL_ORIGINS: &str = "/api/";

/// Turns a component's response into HTTP; what HTTP cannot carry is the component's failure.
pub fn from_guest(
    response: wit::Response,
    blob: Option<Reading>,
    most_bytes: usize,
    unsent: &Unsent,
) -> Result<Answer, Error> {
    let wit::Response { status, headers, body } = response;
    let status =
        StatusCode::from_u16(status).ok().filter(|status| is_final(*status)).ok_or_else(|| {
            Error::guests(format!(
                "it answered with status {status}, which is not within 200 to 599"
            ))
        })?;
    let size =
        body.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if size > most_bytes {
        return Err(Error::guests(format!(
            "it answered with {size} bytes, and may with {most_bytes} (limits.response_bytes)"
        )));
    }
    let size = blob.as_ref().map(|blob| blob.size);
    let body = match blob {
        None => Either::Left(Full::new(unsent.hold(body)?)),
        Some(blob) => {
            let content = blob.content.map_ok(Frame::data).map_err(BrokenOff::Blob);
            Either::Right(StreamBody::new(content).boxed_unsync())
        }
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if let Some(size) = size {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    }
    for (name, value) in headers {
        let invalid = || {
            Error::guests(format!(
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

/// Whether nothing follows a status but the answer's own head and body.
fn is_final(status: StatusCode) -> bool {
    (200..600).contains(&status.as_u16())
}

/// Turns the answer of a `wasi:http` component into one of this host's.
pub fn from_proxy(
    answer: Response<Content>,
    asked: &Method,
    unsent: &Unsent,
) -> Result<Answer, Error> {
    let (mut head, content) = answer.into_parts();
    if !is_final(head.status) {
        return Err(Error::guests(format!(
            "it answered with status {}, which is not within 200 to 599",
            head.status.as_u16()
        )));
    }
    // A length that the component wrote is held to, and nothing else could tell it where the body is
    // streamed or left out.
    let is_measured = matches!(content, Content::Whole(_)) && *asked != Method::HEAD;
    let length = head.headers.get(header::CONTENT_LENGTH).filter(|_| !is_measured).cloned();
    let ours: Vec<HeaderName> =
        head.headers.keys().filter(|name| belongs_to_connection(name)).cloned().collect();
    for name in ours {
        head.headers.remove(name);
    }
    if let Some(length) = length {
        head.headers.insert(header::CONTENT_LENGTH, length);
    }
    let body = match content {
        Content::Whole(body) => Either::Left(Full::new(unsent.hold(body.into())?)),
        Content::Streamed(body) => Either::Right(body.map_err(BrokenOff::Component).boxed_unsync()),
    };
    Ok(Response::from_parts(head, body))
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
        Error::Refused(refusal) => refused(*refusal),
        Error::Overloaded | Error::Unavailable(_) => {
            let mut answer = json_answer(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({ "message": "Service Unavailable" }),
            );
            insert(answer.headers_mut(), header::RETRY_AFTER, "1");
            answer
        }
        Error::TooOften(too_often) => {
            let body = json!({ "message": "Too Many Attempts." });
            with_attempt(json_answer(StatusCode::TOO_MANY_REQUESTS, &body), Some(Err(*too_often)))
        }
        Error::Failed(_) => {
            json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "Server Error" }))
        }
        Error::Broken(broken) => broken::answer(broken),
    }
}

/// The same for whoever sent this request: a browser shows a developer what is wrong as a page.
pub fn from_error_to(error: &Error, asked: &Parts) -> Answer {
    let answer = match error {
        Error::Broken(broken) if broken::is_for_people(&asked.headers) => {
            broken::page(broken, &asked.method)
        }
        error => from_error(error),
    };
    readable(answer, &asked.headers)
}

fn refused(refusal: Refusal) -> Answer {
    let (status, message) = match refusal {
        Refusal::Malformed(rule) => (StatusCode::BAD_REQUEST, format!("Bad Request: {rule}")),
        Refusal::UrlTooLong => (StatusCode::URI_TOO_LONG, "URI Too Long".into()),
        Refusal::HeadTooLarge => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large".into())
        }
        Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "Request Timeout".into()),
    };
    let mut answer = json_answer(status, &json!({ "message": message }));
    // What the request said of its page is not known for certain, and nothing here is secret.
    let any = HeaderValue::from_static("*");
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    answer
}

/// What a call has cost, in units of the engine's fuel, on hosts that test components.
pub const FUEL: HeaderName = HeaderName::from_static("x-wharf-fuel");

const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Tells the caller how often they may call, unless the answer tells of a narrower limit.
pub fn allow(answer: &mut Answer, allowance: Allowance) {
    if answer.headers().contains_key(RATE_LIMIT) {
        return;
    }
    insert(answer.headers_mut(), RATE_LIMIT, &allowance.limit.to_string());
    insert(answer.headers_mut(), RATE_REMAINING, &allowance.remaining.to_string());
}

/// Tells the caller what came of an attempt that was counted by account.
pub fn with_attempt(mut answer: Answer, attempt: Option<Result<Allowance, TooOften>>) -> Answer {
    match attempt {
        None => {}
        Some(Ok(allowance)) => allow(&mut answer, allowance),
        Some(Err(TooOften { limit, wait, at })) => {
            allow(&mut answer, Allowance { limit, remaining: 0 });
            insert(answer.headers_mut(), header::RETRY_AFTER, &wait.to_string());
            insert(answer.headers_mut(), RATE_RESET, &at.to_string());
        }
    }
    answer
}

/// Says which revision answers, and, of a request, whether the last good one is to.
pub const REVISION: HeaderName = HeaderName::from_static("x-wharf-revision");

/// Tells what a call has cost, where that is counted.
pub fn with_fuel(mut answer: Answer, fuel: Option<u64>) -> Answer {
    if let Some(fuel) = fuel {
        insert(answer.headers_mut(), FUEL, &fuel.to_string());
    }
    answer
}

/// Lets pages of any origin read an answer of the host's own, in which nothing is secret.
fn readable(mut answer: Answer, asked: &HeaderMap) -> Answer {
    if let Some(origin) = asked.get(header::ORIGIN) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    answer
}

/// An answer with a JSON body.
pub fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(body.to_string()))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The answer to OPTIONS on a path that is known: its methods, or what a browser's preflight asks
/// for (the Fetch standard, section 3.3).
pub fn options(path: &str, allowed: &[&str], asked: &HeaderMap) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
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

/// Adds what every answer carries, and the label of the revision that was asked for it.
pub fn finish(
    mut answer: Answer,
    peer: &Peer,
    path: &str,
    request: &str,
    label: Option<HeaderValue>,
) -> Answer {
    let headers = answer.headers_mut();
    if let Some(label) = label {
        headers.insert(REVISION, label);
    }
    insert(headers, HeaderName::from_static("x-request-id"), request);
    if let Some(strict) = &peer.strict_transport {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, strict.clone());
    }
    if path.starts_with(OPEN_TO_ALL_ORIGINS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    answer
}

/// Headers of the connection (RFC 9110, section 7.6.1) and those that the host writes itself.
pub fn belongs_to_connection(name: &HeaderName) -> bool {
    const OURS: [&str; 12] = [
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
        "x-wharf-revision",
    ];
    OURS.contains(&name.as_str())
}

/// Sets a header to text that the host made; text that HTTP cannot carry is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
