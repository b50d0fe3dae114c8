//! The corridor: one request's walk from its head to its answer.

mod body;
mod inputs;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use crate::admission::shares::Share;
use crate::admission::throttle::{Allowance, Bucket};
use crate::app::App;
use crate::bindings::exports::wharf::plugin::handler::Throttle;
use crate::bindings::wharf::plugin::http as wit;
use crate::database::Failure;
use crate::error::{Error, Refusal};
use crate::identity::{Caller, Rejection};
use crate::listener::Peer;
use crate::response::{self, Answer};
use crate::router::{Found, Route};

/// What is known of a request, besides its head, when it has arrived whole from a caller who may send it.
struct Received {
    body: Bytes,
    /// The memory that the body takes until the request is answered.
    room: Share,
    /// The client's address.
    client: IpAddr,
    /// Whether the client speaks TLS, with this host or with a proxy in front.
    is_secure: bool,
    caller: Caller,
    id: Arc<str>,
}

/// Answers one request, or says why the listener refused it. Whatever happens, there is an answer.
pub async fn answer(
    app: &Arc<App>,
    peer: &Peer,
    refusal: Option<Refusal>,
    request: Request<Incoming>,
) -> Answer {
    let id = request_id();
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let answered = match refusal {
        Some(refusal) => Err(Error::Refused(refusal)),
        None => respond(app, peer, &head, body, &id).await,
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(request = &*id, method = %head.method, path, %error, "not answered by a component");
            response::readable(response::from_error(&error), &head.headers)
        }
    };
    tracing::debug!(request = &*id, method = %head.method, path, status = answer.status().as_u16(), "answered");
    response::finish(answer, peer, path, &id)
}

async fn respond(
    app: &Arc<App>,
    peer: &Peer,
    head: &Parts,
    body: Incoming,
    id: &Arc<str>,
) -> Result<Answer, Error> {
    check_size(app, head)?;
    let path = head.uri.path();
    if let Some(answer) = about_the_host(app, &head.method, path).await {
        return answer;
    }
    if head.method == Method::OPTIONS
        && let Some(allowed) = app.router.options(path)?
    {
        return Ok(response::options(path, &allowed, &head.headers));
    }
    let found = app.router.find(head.method.as_str(), path)?;
    let client = inputs::client(peer.address.ip(), &head.headers, &app.http);
    // Where the body holds no token, whoever may not call the route is known before it is read.
    let early = if inputs::is_token_in_body(head) {
        None
    } else {
        Some(admit_caller(app, found.route, head, &[]).await)
    };
    let (caller, refused) = match early.transpose() {
        Ok(caller) => (caller, None),
        Err(refused) => (None, Some(refused)),
    };
    let limit = found.route.body_limit.unwrap_or(app.http.body_bytes);
    let (body, room) = body::read(app, limit, client, head, body, refused).await?;
    let caller = match caller {
        Some(caller) => caller,
        None => admit_caller(app, found.route, head, &body).await?,
    };
    let allowance = count(found.route, client, &caller)?;
    let is_secure = inputs::is_secure(peer, &head.headers, &app.http);
    let received = Received { body, room, client, is_secure, caller, id: Arc::clone(id) };
    let mut answer = if matches!(head.method, Method::GET | Method::HEAD) {
        call(app, found, head, received).await?
    } else {
        finish_call(app, head.clone(), received).await?
    };
    if let Some(allowance) = allowance {
        response::allow(&mut answer, allowance);
    }
    Ok(answer)
}

/// Refuses what is larger than any request may be. In HTTP/1 the listener has seen to it.
fn check_size(app: &App, head: &Parts) -> Result<(), Error> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > app.http.url_bytes {
        return Err(Error::Refused(Refusal::UrlTooLong));
    }
    if head.headers.len() > app.http.headers {
        return Err(Error::Refused(Refusal::HeadTooLarge));
    }
    Ok(())
}

/// Has the route's group answer, to the end also when the client leaves: what was begun to be changed
/// is not left half done.
async fn finish_call(app: &Arc<App>, head: Parts, received: Received) -> Result<Answer, Error> {
    let app = Arc::clone(app);
    let call = tokio::spawn(async move {
        let found = app.router.find(head.method.as_str(), head.uri.path())?;
        call(&app, found, &head, received).await
    });
    call.await.unwrap_or_else(|failed| Err(Error::Guest(format!("its call ended early: {failed}"))))
}

/// Has the route's group answer in a fresh instance.
async fn call(
    app: &App,
    found: Found<'_>,
    head: &Parts,
    received: Received,
) -> Result<Answer, Error> {
    let Found { route, parameters } = found;
    let _place_of_group = route.served.admission.admit().await?;
    let _place_of_tenant = app.admission.admit().await?;
    let Received { body, room: _room, client, is_secure, caller, id } = received;
    let (origin, address) = (origin(app, head, is_secure), client.to_string());
    let headers = headers(&head.headers);
    let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    // The guest is shown a copy, since the capabilities keep the caller that was verified.
    let shown = caller.clone();
    let roles = roles(&shown);
    let request = wit::Request {
        method,
        origin: &origin,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        route: route.index,
        path_parameters: &parameters,
        headers: &headers,
        body: &body,
        client_address: &address,
        request_id: &id,
        caller: caller_of(&shown, &roles),
    };
    let revision = &route.served.revision;
    let guest = route.served.guest(caller, client, Arc::clone(&id), body.clone());
    let answered = match revision.handle(guest, request).await {
        Ok((answered, left)) => {
            let most = revision.limits().response_bytes;
            let answer = response::from_guest(answered, left.blob, most, &app.unsent);
            answer.map(|answer| response::with_attempt(answer, left.attempt))
        }
        Err(failed) => Err(Error::Guest(failed.0)),
    };
    if let Err(error @ Error::Guest(_)) = &answered {
        let origin = &route.served.group.origin;
        tracing::error!(request = &*id, tenant = %origin.tenant, component = %origin.group, digest = %origin.digest, cause = error.to_string(), "a component failed");
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
    let database = &app.tenant.shared.database;
    match database.ping().await {
        // Whoever sends requests here goes on to: reads are answered, and nobody else could write either.
        Ok(()) if database.is_read_only() => told(StatusCode::OK, "reads only"),
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

/// Counts the request towards what its caller may send in a minute.
fn count(route: &Route, client: IpAddr, caller: &Caller) -> Result<Option<Allowance>, Error> {
    let bucket = match (route.throttle, caller) {
        (Throttle::Unlimited, _) => return Ok(None),
        (Throttle::Usual, Caller::Identity(identity)) => {
            let subject = identity.subject();
            Bucket::User { realm: &subject.realm, id: subject.user }
        }
        (Throttle::Usual, Caller::Anonymous | Caller::Rejected(_)) => Bucket::Address(client),
    };
    route.served.group.throttle.count(bucket).map_err(Error::TooOften)
}

/// Verifies the token, if there is one, and turns those away whom the route is not for.
async fn admit_caller(
    app: &App,
    route: &Route,
    head: &Parts,
    body: &[u8],
) -> Result<Caller, Error> {
    let issuer = &app.tenant.shared.issuer;
    let unavailable = |failure: Failure| {
        tracing::error!(%failure, "cannot ask which tokens have ended");
        Error::Unavailable(failure.to_string())
    };
    let caller = match inputs::token(head, body) {
        None => Caller::Anonymous,
        Some(token) => match issuer.verify(&token).await.map_err(unavailable)? {
            Caller::Rejected(Rejection::Revoked) if route.exchanges => {
                issuer.punish_reuse(&token).await.map_err(unavailable)?;
                Caller::Rejected(Rejection::Revoked)
            }
            caller => caller,
        },
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

fn roles(caller: &Caller) -> Vec<&str> {
    match caller {
        Caller::Identity(identity) => identity.subject().roles.iter().map(String::as_str).collect(),
        Caller::Anonymous | Caller::Rejected(_) => Vec::new(),
    }
}

fn caller_of<'a>(caller: &'a Caller, roles: &'a [&'a str]) -> wit::Caller<'a> {
    match caller {
        Caller::Anonymous => wit::Caller::Anonymous,
        Caller::Identity(identity) => {
            let subject = identity.subject();
            wit::Caller::Identity(wit::Identity {
                user_id: subject.user,
                realm: &subject.realm,
                name: &subject.name,
                roles,
                token_id: identity.token(),
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
fn headers(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let secret = |name: &header::HeaderName| {
        *name == header::AUTHORIZATION
            || *name == header::COOKIE
            || *name == header::PROXY_AUTHORIZATION
    };
    let kept = headers.iter().filter(|(name, _)| !secret(name));
    kept.map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Scheme and authority as the client wrote them; the listener's own address if it wrote none.
fn origin(app: &App, head: &Parts, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    let written = head
        .uri
        .authority()
        .map(hyper::http::uri::Authority::as_str)
        .or_else(|| head.headers.get(header::HOST)?.to_str().ok());
    let authority = written.filter(|text| text.parse::<hyper::http::uri::Authority>().is_ok());
    match authority {
        Some(authority) => format!("{scheme}://{authority}"),
        None => format!("{scheme}://{}", app.address),
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
