//! Calls that components make to other hosts: to names that they were granted, at addresses of the internet.
//!
//! A name is looked up once. All of its addresses are checked, and the connection is made to one of those
//! that were: a name server that answers the next question otherwise gains nothing by it. Every call has a
//! connection of its own, so that what one tenant's server sends never stands in another call's answer.

mod addresses;
mod names;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsConnector;
use url::Host;

pub use names::Names;

/// What calls to other hosts may take, in `[outbound]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Networks that are not of the internet and may be called all the same.
    pub private_networks: Vec<IpNet>,
    /// Names with their addresses, which are not looked up then.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// A PEM file with authorities whose certificates are believed besides those that browsers believe.
    pub authorities: Option<PathBuf>,
    /// Milliseconds for looking a name up, connecting and shaking hands, together.
    pub connect_milliseconds: u64,
    /// Milliseconds from there to the head of the answer.
    pub first_byte_milliseconds: u64,
    /// Milliseconds between two parts of the answer.
    pub between_bytes_milliseconds: u64,
    /// Milliseconds for all of a call.
    pub call_milliseconds: u64,
    /// Bytes of an answer's body.
    pub response_bytes: u64,
    /// Calls that are going on at once.
    pub concurrency: usize,
    /// Calls of one group that are going on at once.
    pub group_concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            private_networks: Vec::new(),
            hosts: BTreeMap::new(),
            authorities: None,
            connect_milliseconds: 5_000,
            first_byte_milliseconds: 20_000,
            between_bytes_milliseconds: 10_000,
            call_milliseconds: 60_000,
            response_bytes: 16 * 1024 * 1024,
            concurrency: 200,
            group_concurrency: 50,
        }
    }
}

impl Config {
    /// Refuses what no call could pass.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn check(&self) -> Result<(), String> {
        let none = [
            ("connect_milliseconds", self.connect_milliseconds == 0),
            ("first_byte_milliseconds", self.first_byte_milliseconds == 0),
            ("between_bytes_milliseconds", self.between_bytes_milliseconds == 0),
            ("call_milliseconds", self.call_milliseconds == 0),
            ("concurrency", self.concurrency == 0),
            ("group_concurrency", self.group_concurrency == 0),
        ];
        let none = none.iter().find(|(_, is_none)| *is_none);
        none.map_or(Ok(()), |(name, _)| {
            Err(format!(
                "outbound.{name} is 0, and no call could be made; set it to 1 or more, and leave out a group's outbound names where it must not call anybody"
            ))
        })
    }
}

/// Bytes of an answer's head at most.
const MOST_HEAD_BYTES: usize = 64 * 1024;

/// What calls all groups' components. Lives as long as the process.
pub struct Client {
    config: Config,
    tls: TlsConnector,
    places: Arc<Semaphore>,
}

/// What a group may call, and how many of its calls are going on. Clones count together.
#[derive(Clone)]
pub struct Outbound {
    client: Arc<Client>,
    names: Names,
    places: Arc<Semaphore>,
}

/// How long a component itself would wait, where that is less than it may.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// From there to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two parts of the answer.
    pub between_bytes: Option<Duration>,
}

/// Why a call was not made, or gave no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failed {
    /// The group was not granted the host name.
    NotGranted,
    /// The host has an address that components do not call.
    AddressProhibited,
    /// The URL names no host that could be called, or holds a user's name.
    Uri,
    /// The method makes something else of the connection.
    Method,
    /// As many calls as may are going on.
    TooMany,
    /// The name has no address.
    Unknown(String),
    /// No connection came about.
    Connect(io::Error),
    /// No connection came about in time.
    ConnectTimeout,
    /// The host's certificate is not its own, or nobody's that is believed.
    Certificate(io::Error),
    /// The host speaks no TLS that can be agreed on.
    Tls(io::Error),
    /// The answer's head did not come in time, or all of it did not.
    ResponseTimeout,
    /// The next part of the answer did not come in time.
    ReadTimeout,
    /// The answer is larger than one may be.
    TooLarge(u64),
    /// The answer is no HTTP, or ended early.
    Protocol(hyper::Error),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::NotGranted => f.write_str("the host name was not granted (outbound)"),
            Failed::AddressProhibited => f.write_str(
                "the host has an address that is not of the internet (outbound.private_networks)",
            ),
            Failed::Uri => f.write_str("the URL names no host that can be called"),
            Failed::Method => f.write_str("the method makes no call"),
            Failed::TooMany => f.write_str(
                "too many calls are going on (outbound.concurrency, outbound.group_concurrency)",
            ),
            Failed::Unknown(why) => write!(f, "the host name has no address: {why}"),
            Failed::Connect(error) => write!(f, "cannot connect: {error}"),
            Failed::ConnectTimeout => {
                f.write_str("no connection in time (outbound.connect_milliseconds)")
            }
            Failed::Certificate(error) | Failed::Tls(error) => write!(f, "no TLS: {error}"),
            Failed::ResponseTimeout => f.write_str(
                "no answer in time (outbound.first_byte_milliseconds, outbound.call_milliseconds)",
            ),
            Failed::ReadTimeout => {
                f.write_str("the answer stands still (outbound.between_bytes_milliseconds)")
            }
            Failed::TooLarge(most) => {
                write!(f, "the answer has more than {most} bytes (outbound.response_bytes)")
            }
            Failed::Protocol(error) => write!(f, "the answer is no HTTP, or not whole: {error}"),
        }
    }
}

impl std::error::Error for Failed {}

impl Client {
    /// Makes what calls.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn new(config: Config) -> Result<Arc<Self>, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        if let Some(file) = &config.authorities {
            add_authorities(&mut roots, file)?;
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let places = places(config.concurrency);
        Ok(Arc::new(Client { config, tls: TlsConnector::from(Arc::new(tls)), places }))
    }

    /// What a group may call that was granted these names.
    pub fn of_group(self: &Arc<Self>, names: Names) -> Outbound {
        let places = places(self.config.group_concurrency);
        Outbound { client: Arc::clone(self), names, places }
    }

    /// All addresses of a host, none of which may be one that components do not call: a name that has such a
    /// one besides others is no name that somebody would honestly have.
    async fn addresses(
        &self,
        host: &Host,
        port: u16,
        places: &Arc<Places>,
    ) -> Result<Vec<SocketAddr>, Failed> {
        let addresses = match host {
            Host::Ipv4(address) => vec![SocketAddr::new((*address).into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new((*address).into(), port)],
            Host::Domain(name) => match self.config.hosts.get(name) {
                Some(known) => known.iter().map(|known| SocketAddr::new(*known, port)).collect(),
                None => look_up(name.clone(), port, Arc::clone(places)).await?,
            },
        };
        if addresses.is_empty() {
            return Err(Failed::Unknown("it has none".into()));
        }
        let opened = &self.config.private_networks;
        if addresses.iter().all(|address| addresses::may_be_called(address.ip(), opened)) {
            Ok(addresses)
        } else {
            Err(Failed::AddressProhibited)
        }
    }

    async fn connect(&self, target: &Target, places: &Arc<Places>) -> Result<Stream, Failed> {
        let addresses = self.addresses(&target.host, target.port, places).await?;
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(Failed::Connect)?;
        // What is written is written whole: waiting for more to send would only delay it.
        let _ = stream.set_nodelay(true);
        if !target.is_secure {
            return Ok(Box::new(stream));
        }
        let name = match &target.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| Failed::Uri)?,
            Host::Ipv4(address) => ServerName::IpAddress(IpAddr::from(*address).into()),
            Host::Ipv6(address) => ServerName::IpAddress(IpAddr::from(*address).into()),
        };
        let stream = self.tls.connect(name, stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match inner {
                Some(rustls::Error::InvalidCertificate(_)) => Failed::Certificate(error),
                _ => Failed::Tls(error),
            }
        })?;
        Ok(Box::new(stream))
    }
}

fn places(number: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)))
}

fn add_authorities(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let wrong = |why: String| format!("outbound.authorities: {} {why}", file.display());
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(format!("is no PEM file that can be read: {error}")))?;
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(wrong("holds no certificate of an authority; write one or more in PEM".into()));
    }
    Ok(())
}

/// Asks the operating system, which cannot be told to stop: what it still works at goes on to count.
async fn look_up(name: String, port: u16, places: Arc<Places>) -> Result<Vec<SocketAddr>, Failed> {
    let asked = tokio::spawn(async move {
        let _places = places;
        tokio::net::lookup_host((name, port)).await.map(Iterator::collect)
    });
    match asked.await {
        Ok(found) => found.map_err(|error| Failed::Unknown(error.to_string())),
        Err(ended) => Err(Failed::Unknown(ended.to_string())),
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection, with TLS or without.
type Stream = Box<dyn Duplex>;

/// A call's places, among all and among those of its group.
struct Places {
    _of_group: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Whom a request is for.
struct Target {
    host: Host,
    port: u16,
    usual_port: u16,
    is_secure: bool,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, Failed> {
        let authority = uri.authority().ok_or(Failed::Uri)?;
        // Whoever reads a user's name as a host's, or the other way round, calls somebody else.
        if authority.as_str().contains('@') {
            return Err(Failed::Uri);
        }
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(Failed::Uri),
        };
        let usual_port = if is_secure { 443 } else { 80 };
        let host = Host::parse(authority.host()).map_err(|_| Failed::Uri)?;
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(']') || !authority.as_str().contains(':') => {
                usual_port
            }
            None => return Err(Failed::Uri),
        };
        Ok(Target { host, port, usual_port, is_secure })
    }

    /// What the `host` header says (RFC 9110, section 7.2).
    fn header(&self) -> Result<HeaderValue, Failed> {
        let text = if self.port == self.usual_port {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        };
        HeaderValue::from_str(&text).map_err(|_| Failed::Uri)
    }
}

impl Outbound {
    /// Sends a request, and gives its answer back as soon as the head is there, with what must be run for
    /// the body to come. Dropping either ends the call.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send<B>(
        self,
        mut request: Request<B>,
        patience: Patience,
    ) -> Result<(Response<Answer>, impl Future<Output = ()> + Send + use<B>), Failed>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let config = &self.client.config;
        let deadline = Instant::now() + Duration::from_millis(config.call_milliseconds);
        let target = Target::of(request.uri())?;
        if !self.names.allow(&target.host, target.port, target.usual_port) {
            return Err(Failed::NotGranted);
        }
        if request.method() == Method::CONNECT {
            return Err(Failed::Method);
        }
        let places = Arc::new(self.places()?);
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|_| Failed::Uri)?;
        request.headers_mut().insert(header::HOST, target.header()?);
        let wait = least(patience.connect, config.connect_milliseconds);
        let connected = tokio::time::timeout(wait, self.client.connect(&target, &places)).await;
        let stream = connected.map_err(|_| Failed::ConnectTimeout)??;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(Failed::Protocol)?;
        let mut connection = Box::pin(async move {
            // How a connection ended is what its answer tells.
            let _ = tokio::time::timeout_at(deadline, connection).await;
            drop(places);
        })
        .fuse();
        let wait = least(patience.first_byte, config.first_byte_milliseconds);
        let wait = tokio::time::timeout_at(deadline.min(Instant::now() + wait), async {
            let answer = sender.send_request(request);
            tokio::pin!(answer);
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = &mut connection => answer.await,
            }
        });
        let answer = wait.await.map_err(|_| Failed::ResponseTimeout)?.map_err(Failed::Protocol)?;
        let between = least(patience.between_bytes, config.between_bytes_milliseconds);
        let answer = answer.map(|body| Answer::new(body, deadline, between, config.response_bytes));
        Ok((answer, connection))
    }

    fn places(&self) -> Result<Places, Failed> {
        let of_group = Arc::clone(&self.places).try_acquire_owned();
        let of_all = Arc::clone(&self.client.places).try_acquire_owned();
        match (of_group, of_all) {
            (Ok(of_group), Ok(of_all)) => Ok(Places { _of_group: of_group, _of_all: of_all }),
            _ => Err(Failed::TooMany),
        }
    }
}

/// What a component asks for, where that is less than it may have.
fn least(asked: Option<Duration>, most_milliseconds: u64) -> Duration {
    let most = Duration::from_millis(most_milliseconds);
    asked.map_or(most, |asked| asked.min(most))
}

/// The body of an answer, as it arrives.
pub struct Answer {
    body: Incoming,
    /// When all of it must be there.
    deadline: Instant,
    /// How long one part may let wait for the next.
    between: Duration,
    /// When the next part must be there; not running while parts come as fast as they are taken.
    due: Option<Pin<Box<Sleep>>>,
    most: u64,
    left: u64,
}

impl Answer {
    fn new(body: Incoming, deadline: Instant, between: Duration, most: u64) -> Self {
        Answer { body, deadline, between, due: None, most, left: most }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let me = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut me.body).poll_frame(cx) {
            me.due = None;
            return Poll::Ready(frame.map(|frame| {
                let frame = frame.map_err(|error| {
                    if Instant::now() >= me.deadline {
                        Failed::ResponseTimeout
                    } else {
                        Failed::Protocol(error)
                    }
                })?;
                let size = frame.data_ref().map_or(0, Bytes::len) as u64;
                me.left = me.left.checked_sub(size).ok_or(Failed::TooLarge(me.most))?;
                Ok(frame)
            }));
        }
        let due = me.due.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(me.deadline.min(Instant::now() + me.between)))
        });
        if due.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let is_over = Instant::now() >= me.deadline;
        let failed = if is_over { Failed::ResponseTimeout } else { Failed::ReadTimeout };
        Poll::Ready(Some(Err(failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
