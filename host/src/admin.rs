//! The admin API, on a listener of its own: tenants, tokens, settings, and what is deployed.
//!
//! Whoever asks says so with a token: the host's operator's, which may do everything, or one that was made
//! for a tenant and some verbs. What a call may do is found out once, and handed on as a value without
//! which nothing is changed. Of tenants that a token is not for it learns nothing, not even that they exist.

mod access;
pub mod api;
mod groups;
mod logs;
pub mod operator;
mod places;
mod problem;
mod tenants;
mod tokens;
mod upload;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, Response};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use futures_util::StreamExt as _;
use hyper::body::Incoming;
use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tower_service::Service as _;

use crate::admission::throttle::{self, Throttle};
use crate::clock::Clock;
use crate::deploy::Deployer;
use crate::error::Refusal;
use crate::listener::{self, Answers, Peer};
use places::{Place, Places};
use problem::Problem;

/// The admin API, in `[admin]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on; port 0 lets the operating system choose. `None`, `"off"` in the file, for no
    /// admin API at all.
    #[serde(deserialize_with = "address_or_off")]
    pub listen: Option<SocketAddr>,
    /// Bytes of an uploaded component; `compile.component_bytes` and a MiB for what it carries if it is not set.
    pub upload_bytes: Option<usize>,
    /// Seconds in which an upload must arrive.
    pub upload_seconds: u64,
    /// Requests at once, deploys included until they have ended.
    pub requests: usize,
    /// Of these, the requests at once with the tokens of one tenant; the operator's own are not counted here.
    pub requests_per_tenant: usize,
    /// Wrong tokens a minute of one address (or one /64 network of IPv6), after which it is told to wait; 0 for
    /// any number.
    pub wrong_tokens: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 8081))),
            upload_bytes: None,
            upload_seconds: 60,
            requests: 64,
            requests_per_tenant: 16,
            wrong_tokens: 30,
        }
    }
}

impl Config {
    /// Refuses what no request could pass.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn check(&self) -> Result<(), String> {
        let none = [
            ("upload_bytes", self.upload_bytes == Some(0)),
            ("upload_seconds", self.upload_seconds == 0),
            ("requests", self.requests == 0),
            ("requests_per_tenant", self.requests_per_tenant == 0),
        ];
        match none.iter().find(|(_, is_none)| *is_none) {
            Some((name, _)) => Err(format!(
                "admin.{name} is 0, and nothing could be deployed; set it to 1 or more, or admin.listen to \"off\""
            )),
            None => Ok(()),
        }
    }
}

/// Reads an address, or `off`.
///
/// # Errors
/// Says what may be written.
pub fn parse_listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    let wrong = |_| format!("{text:?} is neither an address such as 127.0.0.1:8081 nor \"off\"");
    text.parse().map(Some).map_err(wrong)
}

fn address_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    parse_listen(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

/// Bytes of a request that is no upload.
const REQUEST_BYTES: usize = 128 * 1024;

/// How long the rest of a body is read and thrown away whose request is refused: a client that is still
/// sending when the connection closes would lose the answer that tells it why.
const LINGER: Duration = Duration::from_secs(1);

/// Addresses whose wrong tokens are counted.
const COUNTED_ADDRESSES: usize = 10_000;

/// What the calls of the admin API share.
struct Core {
    deployer: Arc<Deployer>,
    clock: Clock,
    /// The SHA-256 of the operator's token.
    operator: String,
    wrong_tokens: Arc<Throttle>,
    upload_bytes: usize,
    upload_time: Duration,
    /// Scheme and port at which tenants' host names are served.
    scheme: &'static str,
    port: u16,
    /// Says when the host stops.
    stop: watch::Receiver<bool>,
}

/// What the admin API is put together from.
pub struct Parts<'a> {
    /// All settings of the host.
    pub config: &'a crate::Config,
    /// What changes tenants.
    pub deployer: Arc<Deployer>,
    /// The time.
    pub clock: Clock,
    /// The scheme that the host itself speaks.
    pub scheme: &'static str,
    /// The port that it listens on.
    pub port: u16,
    /// Says when the host stops: answers that would go on for ever end then.
    pub stop: watch::Receiver<bool>,
}

/// The admin API.
pub struct Admin {
    http: listener::Config,
    router: Router,
    places: Arc<Places>,
}

/// What is known of a request besides what it says.
#[derive(Clone)]
struct Asked {
    /// Whom it comes from.
    address: IpAddr,
    place: Arc<Place>,
}

/// Listens for the admin API.
///
/// # Errors
/// A sentence that names the address and the remedy.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!(
            "cannot listen on {address} for the admin API: {error}; stop what listens there, choose another address with --admin, or do without it with --admin off"
        )
    })
}

impl Admin {
    /// Puts the admin API together, and makes the operator's token if there is none.
    ///
    /// # Errors
    /// A sentence that names what is wrong and the remedy.
    pub fn new(parts: Parts<'_>) -> Result<Self, String> {
        let Parts { config, deployer, clock, scheme, port, stop } = parts;
        let operator = operator::read_or_make(&config.data)?;
        let settings = &config.admin;
        let wrong_tokens = throttle::Config {
            enabled: Some(true),
            usual: 0,
            sign_in: settings.wrong_tokens,
            callers: COUNTED_ADDRESSES,
        };
        let usual_bytes = config.compile.component_bytes.saturating_add(1024 * 1024);
        let core = Core {
            operator: crate::registry::tokens::hash(&operator),
            wrong_tokens: Throttle::new(wrong_tokens, throttle::GroupConfig::default(), &clock),
            upload_bytes: settings.upload_bytes.unwrap_or(usual_bytes),
            upload_time: Duration::from_secs(settings.upload_seconds),
            deployer,
            clock,
            scheme,
            port,
            stop,
        };
        Ok(Admin {
            http: config.http.clone(),
            router: router(Arc::new(core)),
            places: Places::new(settings.requests, settings.requests_per_tenant),
        })
    }
}

/// The file in the data folder that holds the operator's token.
pub fn token_file(data: &Path) -> PathBuf {
    data.join("keys").join("operator.token")
}

/// Every call of the admin API.
fn router(core: Arc<Core>) -> Router {
    let group = "/v1/tenants/{tenant}/groups/{group}";
    let at = |path: &str| format!("{group}{path}");
    Router::new()
        .route("/v1/tenants", get(tenants::list).post(tenants::create))
        .route(
            "/v1/tenants/{tenant}",
            get(tenants::show).patch(tenants::change).delete(tenants::remove),
        )
        .route("/v1/tenants/{tenant}/grants", post(tenants::grant))
        .route("/v1/tenants/{tenant}/tokens", get(tokens::list).post(tokens::create))
        .route("/v1/tenants/{tenant}/logs", get(logs::read))
        .route("/v1/tokens/{token}", delete(tokens::revoke))
        .route(
            "/v1/tenants/{tenant}/deploys",
            post(upload::deploy).layer(DefaultBodyLimit::disable()),
        )
        .route(group, get(groups::pointer).delete(groups::remove))
        .route(&at("/settings"), get(groups::settings).patch(groups::set))
        .route(&at("/revisions"), get(groups::revisions))
        .route(&at("/diff"), get(groups::diff))
        .route(&at("/rollback"), post(groups::rollback))
        .route(&at("/promote"), post(groups::promote))
        .fallback(async || Problem::no_such_call())
        .method_not_allowed_fallback(async || Problem::no_such_call())
        .layer(DefaultBodyLimit::max(REQUEST_BYTES))
        .with_state(core)
}

impl Answers for Admin {
    type Body = Body;

    fn http(&self) -> &listener::Config {
        &self.http
    }

    async fn answer(
        self: &Arc<Self>,
        peer: &Peer,
        refusal: Option<Refusal>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        if let Some(refusal) = refusal {
            return Problem::from(refusal).into_response();
        }
        let Some(place) = self.places.take() else {
            return Problem::too_many().into_response();
        };
        let (mut head, body) = request.into_parts();
        let address = peer.address.ip().to_canonical();
        // The place goes with the request, and is free again before the rest of a refused one is read: those
        // who send what nobody takes would hold the places of those who do not.
        head.extensions.insert(Asked { address, place: Arc::new(place) });
        let body = Arc::new(Mutex::new(Body::new(body).into_data_stream()));
        let pieces = futures_util::stream::unfold(Arc::clone(&body), async |body| {
            let piece = body.lock().await.next().await?;
            Some((piece, body))
        });
        let request = Request::from_parts(head, Body::from_stream(pieces));
        // In a task of its own, to its end: a client that goes away leaves nothing half changed.
        let call = tokio::spawn(self.router.clone().call(request));
        let Ok(answer) = call.await.expect("a call does not panic");
        if !answer.status().is_success() {
            let rest =
                async { while body.lock().await.next().await.is_some_and(|it| it.is_ok()) {} };
            // Whether there was more to read is of no matter.
            let _ = tokio::time::timeout(LINGER, rest).await;
        }
        answer
    }
}
