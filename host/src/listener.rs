//! Bind, accept, speak HTTP/1.1 or HTTP/2 over TCP or TLS, and drain.
//!
//! A connection is counted in ([`Shares`]), shakes hands where TLS is spoken ([`tls`]), and is read
//! through a [`stream`] that refuses what could be read in two ways ([`framing`]) and what asks for
//! nothing ([`frames`]) before hyper sees it. Its [`traffic`] says when it has been idle for too long.

mod frames;
mod framing;
mod stream;
pub mod tls;
mod traffic;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use ipnet::IpNet;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;

use self::stream::Stream;
use self::tls::Tls;
use self::traffic::{Outgoing, Traffic};
use crate::admission::shares::Shares;
use crate::error::Refusal;

/// What clients may take, in `[http]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds in which a request's head must arrive.
    pub header_seconds: u64,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Headers of a request, at most 256.
    pub headers: usize,
    /// Bytes of a request's path and query.
    pub url_bytes: usize,
    /// Seconds in which a request's body must arrive, besides those that it takes at the slowest rate.
    pub body_seconds: u64,
    /// Bytes a second that a body may come at, at the slowest.
    pub body_bytes_per_second: u64,
    /// Bytes of a request's body, where a route does not say otherwise.
    pub body_bytes: usize,
    /// Bytes of the bodies of all requests that are not answered yet.
    pub bodies_bytes: usize,
    /// The same of the requests of one address, or of one /64 network of IPv6.
    pub bodies_bytes_per_address: usize,
    /// Seconds in which a client must take something of its answer.
    pub write_seconds: u64,
    /// Bytes of answers that clients have not taken yet, in all; small answers do not count.
    pub unsent_bytes: usize,
    /// Seconds after which a connection without a request is closed.
    pub idle_seconds: u64,
    /// Connections that are open at once.
    pub connections: usize,
    /// Connections of one address that are open at once, or of one /64 network of IPv6.
    pub connections_per_address: usize,
    /// Requests that one connection of HTTP/2 may have in flight.
    pub http2_streams: u32,
    /// Frames of HTTP/2 that ask for nothing, beyond those that requests and data make up for.
    pub http2_control_frames: u32,
    /// Networks of the proxies in front, whose `x-forwarded-for` and `x-forwarded-proto` are believed.
    pub proxies: Vec<IpNet>,
    /// Seconds that requests in flight get to finish when the host stops.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            header_seconds: 10,
            header_bytes: 64 * 1024,
            headers: 100,
            url_bytes: 8 * 1024,
            body_seconds: 30,
            body_bytes_per_second: 16 * 1024,
            body_bytes: 1024 * 1024,
            bodies_bytes: 256 * 1024 * 1024,
            bodies_bytes_per_address: 64 * 1024 * 1024,
            write_seconds: 30,
            unsent_bytes: 256 * 1024 * 1024,
            idle_seconds: 60,
            connections: 4_096,
            connections_per_address: 256,
            http2_streams: 100,
            http2_control_frames: 1_000,
            proxies: Vec::new(),
            drain_seconds: 30,
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
            ("header_seconds", self.header_seconds == 0),
            ("header_bytes", self.header_bytes == 0),
            ("body_bytes_per_second", self.body_bytes_per_second == 0),
            ("headers", self.headers == 0),
            ("url_bytes", self.url_bytes == 0),
            ("body_seconds", self.body_seconds == 0),
            ("write_seconds", self.write_seconds == 0),
            ("idle_seconds", self.idle_seconds == 0),
            ("connections", self.connections == 0),
            ("connections_per_address", self.connections_per_address == 0),
            ("http2_streams", self.http2_streams == 0),
        ];
        if let Some((name, _)) = none.iter().find(|(_, is_none)| *is_none) {
            return Err(format!(
                "http.{name} is 0, and no request could be answered; set it to 1 or more"
            ));
        }
        let times = [
            ("header_seconds", self.header_seconds),
            ("body_seconds", self.body_seconds),
            ("write_seconds", self.write_seconds),
            ("idle_seconds", self.idle_seconds),
            ("drain_seconds", self.drain_seconds),
        ];
        if let Some((name, _)) = times.iter().find(|(_, seconds)| *seconds > YEAR) {
            return Err(format!(
                "http.{name} is more than a year; write the seconds that somebody would wait"
            ));
        }
        if self.headers > framing::MOST_HEADERS {
            return Err(format!(
                "http.headers is {}, and may be {} at most",
                self.headers,
                framing::MOST_HEADERS
            ));
        }
        if self.url_bytes > MOST_URL_BYTES {
            return Err(format!(
                "http.url_bytes is {}, and may be {MOST_URL_BYTES} at most",
                self.url_bytes
            ));
        }
        Ok(())
    }

    /// Whether a proxy that is trusted has this address.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }
}

/// A year, in seconds: longer than anybody waits.
pub const YEAR: u64 = 365 * 24 * 60 * 60;

/// Bytes of a URL that hyper takes at most.
const MOST_URL_BYTES: usize = 65_534;

/// Bytes that hyper buffers of HTTP/1 at least.
const LEAST_BUFFER: usize = 8_192;

/// Headers that hyper takes of HTTP/1 unless it is told otherwise.
const USUAL_HEADERS: usize = 100;

/// How often the log says that no connection can be accepted.
const COMPLAINT: Duration = Duration::from_secs(10);

/// How long a client of HTTP/2 that was told to go gets to go.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who sends requests, and over what.
#[derive(Clone)]
pub struct Peer {
    /// Its address, which may be a proxy's.
    pub address: SocketAddr,
    /// Whether it speaks TLS with this host.
    pub is_secure: bool,
    /// What its browser is told about that (RFC 6797).
    pub strict_transport: Option<HeaderValue>,
}

/// Whoever answers the requests of a listener.
pub trait Answers: Send + Sync + 'static {
    /// The body of an answer.
    type Body: hyper::body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin;

    /// What clients may take.
    fn http(&self) -> &Config;

    /// Answers one request, or says why the listener refused it. Whatever happens, there is an answer.
    fn answer(
        self: &Arc<Self>,
        peer: &Peer,
        refusal: Option<Refusal>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What all connections share.
struct Listener<A> {
    app: Arc<A>,
    connections: Arc<Shares>,
    tls: Option<Tls>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

/// Accepts connections until `stop` changes, then lets those that are open finish.
pub async fn serve<A: Answers>(
    app: Arc<A>,
    listener: TcpListener,
    tls: Option<Tls>,
    mut stop: watch::Receiver<bool>,
) {
    let config = app.http();
    let shared = Arc::new(Listener {
        connections: Shares::new(config.connections, config.connections_per_address),
        http1: http1(config),
        http2: http2(config),
        tls,
        app: Arc::clone(&app),
    });
    let (open, mut all_closed) = mpsc::channel::<Infallible>(1);
    let reload = async {
        match &shared.tls {
            Some(tls) => tls.reload_when_changed().await,
            None => std::future::pending().await,
        }
    };
    let mut reload = pin!(reload);
    let mut complained: Option<Instant> = None;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => {
                    let (shared, stop, open) = (Arc::clone(&shared), stop.clone(), open.clone());
                    shared.accepted(stream, client, stop, open);
                }
                // Out of descriptors, or the client is gone already: accepting at once again would spin.
                Err(error) => {
                    if complained.is_none_or(|last| last.elapsed() > COMPLAINT) {
                        tracing::warn!(%error, "cannot accept connections; raise the limit of open files, or lower http.connections");
                        complained = Some(Instant::now());
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut reload => {}
            _ = stop.changed() => break,
        }
    }
    drop((listener, open));
    // Nothing is ever sent: the channel ends with the last connection.
    let drained =
        tokio::time::timeout(Duration::from_secs(config.drain_seconds), all_closed.recv());
    if drained.await.is_err() {
        tracing::warn!(
            seconds = config.drain_seconds,
            "requests in flight were cut off (http.drain_seconds)"
        );
    }
}

fn http1(config: &Config) -> http1::Builder {
    let mut server = http1::Builder::new();
    server.max_buf_size(config.header_bytes.max(LEAST_BUFFER));
    // Hyper's own number costs it nothing; any other is a table that it fills for every request.
    if config.headers > USUAL_HEADERS {
        server.max_headers(config.headers);
    }
    server
}

fn http2(config: &Config) -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(config.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(config.http2_streams)
        .keep_alive_interval(Duration::from_secs(30));
    server
}

impl<A: Answers> Listener<A> {
    /// Counts a connection in and speaks with it, in a task of its own.
    fn accepted(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        stop: watch::Receiver<bool>,
        open: mpsc::Sender<Infallible>,
    ) {
        let address = client.ip().to_canonical();
        // Behind a proxy stand many clients.
        let mut place =
            self.connections.of((!self.app.http().is_proxy(address)).then_some(address));
        if !place.take(1) {
            tracing::debug!(%client, "a connection too many (http.connections, http.connections_per_address)");
            self.turn_away(&stream);
            return;
        }
        // Answers are written whole: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let (_place, _open) = (place, open);
            let mut peer = Peer { address: client, is_secure: false, strict_transport: None };
            match &self.tls {
                None => self.speak(stream, peer, stop).await,
                Some(tls) => match agreed(tls, stream, stop.clone()).await {
                    Ok(stream) => {
                        peer.is_secure = true;
                        peer.strict_transport = tls.strict_transport();
                        self.speak(stream, peer, stop).await;
                    }
                    Err(error) => tracing::debug!(%client, error, "no TLS was agreed on"),
                },
            }
        });
    }

    /// Tells a client that there are too many, where that takes no waiting.
    fn turn_away(&self, stream: &TcpStream) {
        const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
            content-length: 33\r\nretry-after: 1\r\nconnection: close\r\n\r\n{\"message\":\"Service Unavailable\"}";
        if self.tls.is_none() {
            // A new connection has room for this; a client that is gone already misses nothing.
            let _ = stream.try_write(ANSWER);
        }
    }

    /// Finds out which HTTP is spoken, and speaks it to the end.
    async fn speak<S>(&self, io: S, peer: Peer, stop: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let client = peer.address;
        let config = self.app.http();
        let traffic = Arc::new(Traffic::default());
        let mut stop_early = stop.clone();
        let opened = tokio::select! {
            opened = Stream::open(io, config, Arc::clone(&traffic)) => opened,
            _ = stop_early.changed() => None,
        };
        let Some(stream) = opened else {
            tracing::debug!(%client, "a connection asked for nothing (http.header_seconds)");
            return;
        };
        // Many clients' answers share a proxy's connection; it has times of its own for each of them.
        let is_proxy = config.is_proxy(client.ip().to_canonical());
        let patience = Duration::from_secs(if is_proxy { YEAR } else { config.write_seconds });
        let in_pieces = stream.is_http2().then_some(patience);
        let (app, told) = (Arc::clone(&self.app), Arc::clone(&traffic));
        let service = service_fn(move |request: Request<Incoming>| {
            let open = told.begin();
            // A client that sends the stand-in itself is told what was about to be told anyway.
            let refusal = told.refusal().filter(|_| request.method().as_str() == stream::REFUSED);
            let (app, peer) = (Arc::clone(&app), peer.clone());
            async move {
                let answer = app.answer(&peer, refusal, request).await;
                Ok::<_, Infallible>(outgoing(answer, open, in_pieces))
            }
        });
        let ended = if in_pieces.is_some() {
            let connection = self.http2.serve_connection(TokioIo::new(stream), service);
            converse(connection, &traffic, config, stop, in_pieces).await
        } else {
            let connection = self.http1.serve_connection(TokioIo::new(stream), service);
            converse(connection, &traffic, config, stop, in_pieces).await
        };
        if let Err(reason) = ended {
            tracing::debug!(%client, reason, "a connection broke");
        }
    }
}

/// Shakes hands, unless the host stops.
async fn agreed(
    tls: &Tls,
    stream: TcpStream,
    mut stop: watch::Receiver<bool>,
) -> Result<TlsStream<TcpStream>, String> {
    tokio::select! {
        agreed = tls.shake_hands(stream) => agreed,
        _ = stop.changed() => Err("the host stops".into()),
    }
}

/// An answer that is counted as in flight until it is sent.
fn outgoing<B>(
    answer: Response<B>,
    open: traffic::Open,
    in_pieces: Option<Duration>,
) -> Response<Outgoing<B>> {
    answer.map(|body| match in_pieces {
        Some(patience) => Outgoing::in_pieces(body, open, patience),
        None => Outgoing::by_socket(body, open),
    })
}

/// Serves a connection until it ends, is idle for too long, does not take its answers, asks for too much
/// nothing, or the host stops.
async fn converse<C>(
    connection: C,
    traffic: &Traffic,
    config: &Config,
    mut stop: watch::Receiver<bool>,
    patience: Option<Duration>,
) -> Result<(), String>
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    // A head of HTTP/1 has a time of its own; the preface of HTTP/2 asks for nothing yet.
    let first = patience.map(|_| Duration::from_secs(config.header_seconds));
    let idle = traffic.idle(first, Duration::from_secs(config.idle_seconds));
    let stalled = async {
        match patience {
            Some(patience) => traffic.stalled(patience).await,
            None => std::future::pending().await,
        }
    };
    let has_to_go = async {
        tokio::select! {
            () = idle => {}
            () = traffic.flood() => {}
        }
    };
    let (mut connection, mut stalled, mut has_to_go) =
        (pin!(connection), pin!(stalled), pin!(has_to_go));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            done = connection.as_mut() => return done.map_err(|error| error.to_string()),
            () = &mut stalled => {
                return Err("its answers were not taken (http.write_seconds)".into());
            }
            () = &mut has_to_go => {
                connection.as_mut().graceful_shutdown();
                let gone = tokio::time::timeout(FAREWELL, connection).await;
                return gone.map_or(Ok(()), |done| done.map_err(|error| error.to_string()));
            }
            _ = stop.changed(), if !is_stopping => {
                connection.as_mut().graceful_shutdown();
                is_stopping = true;
            }
        }
    }
}
