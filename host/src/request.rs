//! The corridor: one request's walk from its head to its answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::bindings::wharf::plugin::http as wit;
use crate::error::Error;
use crate::identity::{Caller, Rejection};
use crate::response::{self, Answer};
use crate::router::{Found, Route};

/// Answers one request. Whatever happens, there is an answer.
pub async fn answer(app: &App, client: SocketAddr, request: Request<Incoming>) -> Answer {
    let id = request_id();
    let (head, body) = request.into_parts();
    let answered = respond(app, client, &head, body, &id).await;
    let answer = answered.unwrap_or_else(|error| {
        tracing::debug!(request = &*id, method = %head.method, path = head.uri.path(), %error, "not answered by a component");
        response::from_error(&error)
    });
    tracing::debug!(request = &*id, method = %head.method, path = head.uri.path(), status = answer.status().as_u16(), "answered");
    response::finish(answer, head.uri.path(), &id)
}

async fn respond(
    app: &App,
    client: SocketAddr,
    head: &Parts,
    body: Incoming,
    id: &Arc<str>,
) -> Result<Answer, Error> {
    let path = head.uri.path();
    if let Some(answer) = about_the_host(app, &head.method, path).await {
        return answer;
    }
    if head.method == Method::OPTIONS {
        let allowed = app.router.allowed(path).ok_or(Error::NotFound)?;
        return Ok(response::options(path, &allowed, &head.headers));
    }
    let found = app.router.find(head.method.as_str(), path)?;
    let body = read(app, found.route, body).await?;
    let caller = admit_caller(app, found.route, head, &body)?;
    let _permit = app.admission.admit().await?;
    call(app, client, head, body, found, caller, id).await
}

/// Has the route's group answer in a fresh instance.
async fn call(
    app: &App,
    client: SocketAddr,
    head: &Parts,
    body: Bytes,
    found: Found<'_>,
    caller: Caller,
    id: &Arc<str>,
) -> Result<Answer, Error> {
    let Found { route, parameters } = found;
    let revision = &route.served.revision;
    let request = wit::Request {
        method: if head.method == Method::HEAD {
            "GET".to_owned()
        } else {
            head.method.to_string()
        },
        origin: origin(app, head),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        route: route.index,
        path_parameters: parameters,
        headers: headers(&head.headers),
        body: body.into(),
        client_address: client.ip().to_string(),
        request_id: id.to_string(),
        caller: caller_of(&caller),
    };
    let guest = route.served.guest(caller, Arc::clone(id));
    let answered = match revision.handle(guest, &request).await {
        Ok(answered) => response::from_guest(answered, revision.limits().response_bytes),
        Err(failed) => Err(Error::Guest(failed.0)),
    };
    if let Err(error) = &answered {
        let origin = &route.served.group.origin;
        tracing::error!(request = &**id, tenant = %origin.tenant, component = %origin.group, digest = %origin.digest, cause = error.to_string(), "a component failed");
    }
    answered
}

/// `/healthz` and `/readyz`, which no component can claim.
async fn about_the_host(app: &App, method: &Method, path: &str) -> Option<Result<Answer, Error>> {
    if !matches!(path, "/healthz" | "/readyz") {
        return None;
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let (method, allowed) = (method.to_string(), vec!["GET", "HEAD"]);
        return Some(Err(Error::MethodNotAllowed { method, allowed }));
    }
    Some(Ok(if path == "/healthz" { told(StatusCode::OK, "ok") } else { readiness(app).await }))
}

async fn readiness(app: &App) -> Answer {
    match app.tenant.shared.database.ping().await {
        Ok(()) => told(StatusCode::OK, "ready"),
        Err(failure) => {
            tracing::warn!(%failure, "not ready: the database does not answer");
            told(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        }
    }
}

fn told(status: StatusCode, text: &str) -> Answer {
    response::json_answer(status, &json!({ "status": text }))
}

/// Reads the whole body, within the route's limit and in time.
async fn read(app: &App, route: &Route, body: Incoming) -> Result<Bytes, Error> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limit = route.body_limit.unwrap_or(app.http.body_bytes);
    let whole = Limited::new(body, limit).collect();
    let arrived = tokio::time::timeout(Duration::from_secs(app.http.body_seconds), whole).await;
    match arrived {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::BodyTooLarge),
        Ok(Err(_)) | Err(_) => Err(Error::BodyIncomplete),
    }
}

/// Verifies the token, if there is one, and turns those away whom the route is not for.
fn admit_caller(app: &App, route: &Route, head: &Parts, body: &[u8]) -> Result<Caller, Error> {
    let caller = match token(head, body) {
        Some(token) => app.tenant.shared.issuer.verify(&token),
        None => Caller::Anonymous,
    };
    match (&route.realm, caller) {
        (None, caller) => Ok(caller),
        (Some(realm), Caller::Identity(identity)) if identity.subject().realm == *realm => {
            Ok(Caller::Identity(identity))
        }
        (Some(_), Caller::Identity(_) | Caller::Rejected(_) | Caller::Anonymous) => {
            Err(Error::Unauthenticated)
        }
    }
}

/// Looks for a token in the order of the original systems: the header, the query, the body, a cookie.
fn token<'a>(head: &'a Parts, body: &'a [u8]) -> Option<Cow<'a, str>> {
    bearer(&head.headers)
        .map(Cow::Borrowed)
        .or_else(|| form_field(head.uri.query().unwrap_or_default().as_bytes()))
        .or_else(|| body_field(&head.headers, body))
        .or_else(|| cookie(&head.headers).map(Cow::Borrowed))
}

/// `Authorization: Bearer …` (RFC 6750, section 2.1), the scheme in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn form_field(form: &[u8]) -> Option<Cow<'_, str>> {
    form_urlencoded::parse(form)
        .find(|(name, value)| name == "token" && !value.is_empty())
        .map(|(_, value)| value)
}

fn body_field<'a>(headers: &HeaderMap, body: &'a [u8]) -> Option<Cow<'a, str>> {
    #[derive(serde::Deserialize)]
    struct Body {
        token: Option<String>,
    }
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if kind.contains("json") {
        return serde_json::from_slice::<Body>(body).ok()?.token.map(Cow::Owned);
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        return form_field(body);
    }
    None
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|value| value.split(';')).find_map(|pair| pair.trim().strip_prefix("token="))
}

fn caller_of(caller: &Caller) -> wit::Caller {
    match caller {
        Caller::Anonymous => wit::Caller::Anonymous,
        Caller::Identity(identity) => {
            let subject = identity.subject();
            wit::Caller::Identity(wit::Identity {
                user_id: subject.user,
                realm: subject.realm.clone(),
                name: subject.name.clone(),
                roles: subject.roles.clone(),
                token_id: identity.token().to_owned(),
            })
        }
        Caller::Rejected(rejection) => wit::Caller::Rejected(match rejection {
            Rejection::Malformed => wit::Rejection::Malformed,
            Rejection::Expired => wit::Rejection::Expired,
            Rejection::Revoked => wit::Rejection::Revoked,
        }),
    }
}

/// All headers but those that carry secrets of the caller's.
fn headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let secret = |name: &header::HeaderName| {
        *name == header::AUTHORIZATION
            || *name == header::COOKIE
            || *name == header::PROXY_AUTHORIZATION
    };
    let kept = headers.iter().filter(|(name, _)| !secret(name));
    kept.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// Scheme and authority as the client wrote them; the listener's own address if it wrote none.
fn origin(app: &App, head: &Parts) -> String {
    let written = head
        .uri
        .authority()
        .map(hyper::http::uri::Authority::as_str)
        .or_else(|| head.headers.get(header::HOST)?.to_str().ok());
    let authority = written.filter(|text| text.parse::<hyper::http::uri::Authority>().is_ok());
    match authority {
        Some(authority) => format!("http://{authority}"),
        None => format!("http://{}", app.address),
    }
}

/// An id that is unique among the requests of this process and, by chance, of others.
fn request_id() -> Arc<str> {
    static PROCESS: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let process = PROCESS.get_or_init(|| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        u32::from_ne_bytes(bytes)
    });
    format!("{process:08x}{:08x}", COUNT.fetch_add(1, Ordering::Relaxed)).into()
}
