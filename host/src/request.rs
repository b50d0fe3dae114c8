//! The corridor: one request's walk from its head to its answer.

mod around;
mod body;
mod inputs;
mod inside;
mod stream;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, Version};
use serde_json::json;

use crate::admission::Permit;
use crate::admission::shares::Share;
use crate::admission::throttle::{Allowance, Bucket, network};
use crate::app::App;
use crate::bindings::exports::wharf::plugin::handler::Throttle;
use crate::bindings::wharf::plugin::http as wit;
use crate::capabilities::{Group, Guest};
use crate::database::Failure;
use crate::error::{Error, Refusal};
use crate::identity::{Caller, Rejection};
use crate::instance::CallFailed;
use crate::listener::{self, Answers, Peer};
use crate::logs::OF_THE_HOST;
use crate::response::{self, Answer};
use crate::router::{Found, Route};
use crate::tenant::broken::Broken;
use crate::tenant::serving::{Chosen, Serving};
use crate::tenant::trial::Trial;
use crate::tenant::{Served, Tenant};

/// Whose request it is, and what that tenant served when it came.
#[derive(Clone)]
struct Place {
    tenant: Arc<Tenant>,
    serving: Arc<Serving>,
}

/// What is known of a request, besides its head, when it has arrived whole from a caller who may send it.
struct Received {
    body: Bytes,
    /// The memory that the body takes until the request is answered.
    #[expect(dead_code, reason = "given back on drop")]
    room: Share,
    sender: Sender,
}

/// Who sends a request.
struct Sender {
    /// The client's address.
    client: IpAddr,
    /// Whether the client speaks TLS, with this host or with a proxy in front.
    is_secure: bool,
    caller: Caller,
    id: Arc<str>,
    /// How many requests of components' it is within.
    depth: usize,
    /// A number of the caller's, if it is known (see [`sticky`]).
    number: Option<u64>,
}

impl Answers for App {
    type Body = response::Body;

    fn http(&self) -> &listener::Config {
        &self.http
    }

    async fn answer(
        self: &Arc<Self>,
        peer: &Peer,
        refusal: Option<Refusal>,
        request: Request<Incoming>,
    ) -> Answer {
        let id = request_id();
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let mut label = None;
        let answered = match refusal {
            Some(refusal) => Err(Error::Refused(refusal)),
            None => respond(self, peer, &head, body, &id, &mut label).await,
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(request = &*id, method = %head.method, path, blame = error.blame().name(), %error, "not answered by a component");
                response::from_error_to(&error, &head)
            }
        };
        tracing::debug!(request = &*id, method = %head.method, path, status = answer.status().as_u16(), "answered");
        response::finish(answer, peer, path, &id, label)
    }
}

/// `label` becomes that of the revision that answers, as soon as it is known.
async fn respond(
    app: &Arc<App>,
    peer: &Peer,
    head: &Parts,
    body: Incoming,
    id: &Arc<str>,
    label: &mut Option<HeaderValue>,
) -> Result<Answer, Error> {
    check_size(app, head)?;
    check_authority(head)?;
    let path = head.uri.path();
    if let Some(answer) = about_the_host(app, &head.method, path).await {
        return answer;
    }
    let place = Place::of(app, head);
    if head.method == Method::OPTIONS
        && let Some(allowed) = place.serving.router().options(path)?
    {
        return Ok(response::options(path, &allowed, &head.headers));
    }
    let client = inputs::client(peer.address.ip(), &head.headers, &app.http);
    let chosen = place.find(head, client)?;
    let route = chosen.found.route;
    let broken = place.broken(route, || wants_last_good(head));
    if broken.is_none() {
        label.clone_from(&route.served.label);
    }
    let proxy = route.served.revision.proxy().filter(|_| broken.is_none());
    let answered = if let Some(proxy) = proxy {
        let streamed = stream::respond(app, peer, &place, (chosen, proxy), head, body, id);
        // Boxed, since its state would be moved about with that of every other request.
        Box::pin(streamed).await
    } else {
        let sender = (client, inputs::is_secure(peer, &head.headers, &app.http), id);
        read_and_call(app, &place, (chosen, broken), head, body, sender).await
    };
    log_refusal(&route.served, id, &answered);
    answered
}

/// Reads the body of a request whose caller may send it, and has the route's group answer.
async fn read_and_call(
    app: &Arc<App>,
    place: &Place,
    (chosen, broken): (Chosen<'_>, Option<Arc<Broken>>),
    head: &Parts,
    body: Incoming,
    (client, is_secure, id): (IpAddr, bool, &Arc<str>),
) -> Result<Answer, Error> {
    let route = chosen.found.route;
    // Where the body holds no token, whoever may not call the route is known before it is read.
    let early = if let Some(broken) = broken {
        Some(Err(Error::Broken(broken)))
    } else if inputs::is_token_in_body(head) {
        None
    } else {
        Some(admit_caller(&place.tenant, route, head, &[]).await)
    };
    let (caller, refused) = match early.transpose() {
        Ok(caller) => (caller, None),
        Err(refused) => (None, Some(refused)),
    };
    let limit = route.body_limit.unwrap_or(app.http.body_bytes);
    let (body, room) = body::read(app, limit, client, head, body, refused).await?;
    let caller = match caller {
        Some(caller) => caller,
        None => admit_caller(&place.tenant, route, head, &body).await?,
    };
    let allowance = count(route, client, &caller)?;
    let id = Arc::clone(id);
    let sender = Sender { client, is_secure, caller, id, depth: 0, number: None };
    let received = Received { body, room, sender };
    let mut answer = if matches!(head.method, Method::GET | Method::HEAD) {
        counted_call(app, place, chosen, head, received).await?
    } else {
        finish_call(app, place.clone(), head.clone(), received).await?
    };
    if let Some(allowance) = allowance {
        response::allow(&mut answer, allowance);
    }
    Ok(answer)
}

impl Place {
    fn of(app: &App, head: &Parts) -> Self {
        let tenant = match authority(head) {
            Some(authority) => app.tenants.of_authority(authority),
            None => app.tenants.default(),
        };
        let serving = tenant.serving.load_full();
        Place { tenant, serving }
    }

    fn find(&self, head: &Parts, client: IpAddr) -> Result<Chosen<'_>, Error> {
        let caller = || sticky(&self.tenant, head, client);
        self.serving.find(head.method.as_str(), head.uri.path(), caller)
    }

    /// What is wrong with the newest sources of the group that answers a route, unless who asks is content with
    /// its last good revision.
    fn broken(&self, route: &Route, is_content: impl FnOnce() -> bool) -> Option<Arc<Broken>> {
        self.serving.broken(route).filter(|_| !is_content()).cloned()
    }
}

/// Whether a client asks for the last good revision of a group whose newest sources do not serve.
fn wants_last_good(head: &Parts) -> bool {
    head.headers.get(response::REVISION).is_some_and(|value| value == "last-good")
}

/// A number of a caller's that stays the same, on every host: of the user where a token in a header says who
/// that is, else of the address.
fn sticky(tenant: &Tenant, head: &Parts, client: IpAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    let token = inputs::token(head, &[]);
    match token.and_then(|token| tenant.shared.issuer.holder(&token)) {
        Some(user) => user.hash(&mut hasher),
        None => network(client).hash(&mut hasher),
    }
    hasher.finish()
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

/// Refuses a request of HTTP/2 that names one tenant's host and means another's: whoever looks at one of the
/// two names alone would be deceived (RFC 9113, section 8.3.1).
fn check_authority(head: &Parts) -> Result<(), Error> {
    let (Some(authority), Some(host)) = (head.uri.authority(), head.headers.get(header::HOST))
    else {
        return Ok(());
    };
    if head.version == Version::HTTP_2
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        let rule = "its authority and its host are not the same";
        return Err(Error::Refused(Refusal::Malformed(rule)));
    }
    Ok(())
}

/// Has the route's group answer, to the end also when the client leaves: what was begun to be changed
/// is not left half done.
async fn finish_call(
    app: &Arc<App>,
    place: Place,
    head: Parts,
    received: Received,
) -> Result<Answer, Error> {
    let app = Arc::clone(app);
    let call = tokio::spawn(async move {
        let chosen = place.find(&head, received.sender.client)?;
        counted_call(&app, &place, chosen, &head, received).await
    });
    let ended = |failed| CallFailed::hosts(format!("its call ended early: {failed}"));
    call.await.unwrap_or_else(|failed| Err(Error::Failed(ended(failed))))
}

/// As [`call`], and counts it towards the trial of a revision, if there is one.
async fn counted_call(
    app: &Arc<App>,
    place: &Place,
    chosen: Chosen<'_>,
    head: &Parts,
    received: Received,
) -> Result<Answer, Error> {
    let Chosen { found, trial } = chosen;
    let Some(trial) = trial else {
        return call(app, place, found, head, received).await;
    };
    let begun = Instant::now();
    let answered = call(app, place, found, head, received).await;
    count_towards(trial, begun, &answered);
    answered
}

/// Counts a call towards the trial of a revision.
fn count_towards(
    (trial, on_trial): (&Arc<Trial>, bool),
    begun: Instant,
    answered: &Result<Answer, Error>,
) {
    let is_error = match answered {
        Ok(answer) => answer.status().is_server_error(),
        Err(error) => matches!(error, Error::Failed(_)),
    };
    trial.count(on_trial, is_error, begun.elapsed());
}

/// Has the route's group answer in a fresh instance.
async fn call(
    app: &Arc<App>,
    place: &Place,
    found: Found<'_>,
    head: &Parts,
    received: Received,
) -> Result<Answer, Error> {
    let Found { route, parameters } = found;
    let served = &*route.served;
    let Received { body, sender, .. } = &received;
    let _places = Places::take(app, &place.tenant, served, sender.depth).await?;
    let guest = |served: &Served| guest(app, place, head, sender, served, body.clone());
    let Sender { client, is_secure, caller, id, .. } = sender;
    let (origin, address) = (origin(app, head, *is_secure), client.to_string());
    let headers = headers(&head.headers);
    let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    // The capabilities keep a copy of the caller that was verified.
    let roles = roles(caller);
    let request = wit::Request {
        method,
        origin: &origin,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        route: route.index,
        path_parameters: &parameters,
        headers: &headers,
        body,
        client_address: &address,
        request_id: id,
        caller: caller_of(caller, &roles),
    };
    let handled = if served.middleware.is_empty() {
        served.revision.handle(guest(served), request).await.map_err(|failed| (served, failed))
    } else {
        Box::pin(around::handle(&place.serving, served, request, guest)).await
    };
    let (failing, answered) = match handled {
        Ok((answered, left)) => {
            let most = served.revision.limits().response_bytes;
            let answer = response::from_guest(answered, left.blob, most, &app.unsent);
            let answer = answer.map(|answer| response::with_attempt(answer, left.attempt));
            (served, answer.map(|answer| response::with_fuel(answer, left.fuel)))
        }
        Err((failing, failed)) => (failing, Err(Error::Failed(failed))),
    };
    log_failure(failing, id, &answered);
    answered
}

/// What an instance can reach that answers a request, or wraps the one that does.
fn guest(
    app: &Arc<App>,
    place: &Place,
    head: &Parts,
    sender: &Sender,
    served: &Served,
    body: Bytes,
) -> Guest {
    let Sender { caller, client, id, .. } = sender;
    let mut guest = served.guest(caller.clone(), *client, Arc::clone(id), body);
    if served.group.calls_self {
        let within = inside::Within::new(app, place, head, sender, served);
        guest.inside = Some(Arc::new(within));
    }
    guest
}

/// Tells the log what went wrong in a component, if it is the reason why there is no answer of its own.
fn log_failure(failing: &Served, id: &Arc<str>, answered: &Result<Answer, Error>) {
    if let Err(Error::Failed(failed)) = answered {
        let Group { origin, shared, .. } = &*failing.group;
        shared.journal.failed(origin, id, "a component failed", failed.as_failed());
    }
}

/// Tells the tenant why a request did not come as far as the component that it was for.
fn log_refusal(served: &Served, id: &Arc<str>, answered: &Result<Answer, Error>) {
    match answered {
        // What is broken is told once, when it breaks.
        Ok(_) | Err(Error::Failed(_) | Error::Broken(_)) => {}
        Err(error) => {
            let Group { origin, shared, .. } = &*served.group;
            let cause = match error {
                Error::Unavailable(_) => Cow::Borrowed(OF_THE_HOST),
                error => Cow::Owned(error.to_string()),
            };
            shared.journal.refused(origin, id, error.blame(), &cause);
        }
    }
}

/// What a request holds while components answer it.
struct Places<'a> {
    _own: Option<[Permit<'a>; 2]>,
    _of_host: Permit<'a>,
}

impl<'a> Places<'a> {
    /// Waits for a place of the group's and one of the tenant's, and for one of the host's for each instance. A
    /// request within another has that one's places; for its instances it does not wait, or requests that
    /// hold places could wait for each other.
    async fn take(
        app: &'a App,
        tenant: &'a Tenant,
        served: &'a Served,
        depth: usize,
    ) -> Result<Self, Error> {
        let instances = u32::try_from(served.middleware.len()).unwrap_or(u32::MAX - 1) + 1;
        if depth > 0 {
            return Ok(Places { _own: None, _of_host: app.admission.admit_now(instances)? });
        }
        let of_group = served.admission.admit().await?;
        let own = [of_group, tenant.admission.admit().await?];
        Ok(Places { _own: Some(own), _of_host: app.admission.admit_all(instances).await? })
    }
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
    let tenant = app.tenants.default();
    let Ok(database) = tenant.shared.data.whole().await else {
        return told(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer");
    };
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
    tenant: &Tenant,
    route: &Route,
    head: &Parts,
    body: &[u8],
) -> Result<Caller, Error> {
    let issuer = &tenant.shared.issuer;
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
    fitting(route, caller)
}

/// Turns those away whom the route is not for.
fn fitting(route: &Route, caller: Caller) -> Result<Caller, Error> {
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

/// Headers that carry secrets of the caller's.
const SECRET: [header::HeaderName; 3] =
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// All headers but those that carry secrets of the caller's.
fn headers(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let kept = headers.iter().filter(|(name, _)| !SECRET.contains(name));
    kept.map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Scheme and authority as the client wrote them; the listener's own address if it wrote none.
fn origin(app: &App, head: &Parts, is_secure: bool) -> String {
    let scheme = if is_secure { "https" } else { "http" };
    let authority =
        authority(head).filter(|text| text.parse::<hyper::http::uri::Authority>().is_ok());
    match authority {
        Some(authority) => format!("{scheme}://{authority}"),
        None => format!("{scheme}://{}", app.address),
    }
}

/// The authority that the client wrote, which is not known to be one.
fn authority(head: &Parts) -> Option<&str> {
    let in_target = head.uri.authority().map(hyper::http::uri::Authority::as_str);
    in_target.or_else(|| head.headers.get(header::HOST)?.to_str().ok())
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
