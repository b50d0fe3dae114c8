//! TLS 1.2 and 1.3, with a certificate that is read again when its files change.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::header::HeaderValue;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How TLS is spoken, in `[tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A PEM file with the certificate, followed by those that it was issued with; plain HTTP if it is not set.
    pub certificate: Option<PathBuf>,
    /// A PEM file with the certificate's private key.
    pub key: Option<PathBuf>,
    /// Seconds in which a handshake must be done.
    pub handshake_seconds: u64,
    /// Seconds for which browsers are told to speak nothing but TLS with this host name; 0 tells them nothing.
    /// `wharf serve` says a year and `wharf dev` nothing, unless this says so.
    pub hsts_seconds: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Config { certificate: None, key: None, handshake_seconds: 10, hsts_seconds: None }
    }
}

/// How often the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes of a certificate's file or a key's at most.
const MOST_BYTES: u64 = 1024 * 1024;

/// The type of the record that a TLS connection begins with (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// The server's side of TLS.
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: Files,
    /// As the files were when they were first read.
    known: State,
    handshake: Duration,
    strict_transport: Option<HeaderValue>,
}

impl Tls {
    /// Reads the certificate and its key; `None` where plain HTTP is spoken.
    ///
    /// # Errors
    /// A sentence that names the file and the remedy.
    pub fn load(config: &Config) -> Result<Option<Self>, String> {
        let files = match (&config.certificate, &config.key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => {
                Files { certificate: certificate.clone(), key: key.clone() }
            }
            (Some(_), None) => {
                return Err("tls.certificate is set and tls.key is not; set both or neither".into());
            }
            (None, Some(_)) => {
                return Err("tls.key is set and tls.certificate is not; set both or neither".into());
            }
        };
        if config.handshake_seconds == 0 {
            return Err(
                "tls.handshake_seconds is 0, and nobody could shake hands; set it to 1 or more"
                    .into(),
            );
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Looked at before they are read: what changes from here on is seen.
        let known = files.state();
        let current = Arc::new(Current {
            certified: RwLock::new(files.read(&provider)?),
            provider: Arc::clone(&provider),
        });
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let strict_transport = config
            .hsts_seconds
            .filter(|&seconds| seconds > 0)
            .and_then(|seconds| HeaderValue::from_str(&format!("max-age={seconds}")).ok());
        Ok(Some(Tls {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            current,
            files,
            known,
            handshake: Duration::from_secs(config.handshake_seconds),
            strict_transport,
        }))
    }

    /// What browsers are told to keep to TLS with (RFC 6797, section 6.1).
    pub(super) fn strict_transport(&self) -> Option<HeaderValue> {
        self.strict_transport.clone()
    }

    /// Agrees on TLS with a client, in time.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let agreed = async {
            let mut first = [0];
            let read = stream.peek(&mut first).await.map_err(|error| error.to_string())?;
            if read == 1 && first[0] != HANDSHAKE {
                return Err(turn_to_https(stream, first[0]).await);
            }
            self.acceptor.accept(stream).await.map_err(|error| error.to_string())
        };
        tokio::time::timeout(self.handshake, agreed)
            .await
            .unwrap_or_else(|_| Err("it took too long (tls.handshake_seconds)".into()))
    }

    /// Reads the certificate again whenever one of its files has changed. A pair that cannot be used is
    /// logged, and the one before stays.
    pub(super) async fn reload_when_changed(&self) {
        let mut known = self.known;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.files.state();
            if now == known {
                continue;
            }
            known = now;
            match self.files.read(&self.current.provider) {
                Ok(certified) => {
                    let mut current =
                        self.current.certified.write().unwrap_or_else(PoisonError::into_inner);
                    *current = certified;
                    drop(current);
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
                }
                Err(error) => {
                    tracing::warn!(error, "the certificate that was served before stays");
                }
            }
        }
    }
}

/// Tells a client that speaks plain HTTP what this port speaks. Returns what the log is told.
async fn turn_to_https(mut stream: TcpStream, first: u8) -> String {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 67\r\n\
        connection: close\r\n\r\n{\"message\":\"This port speaks TLS alone: use https:// to reach it.\"}";
    if first.is_ascii_uppercase() {
        // Read first: a connection that is closed with bytes unread takes the answer back.
        let mut request = [0; 8192];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.shutdown().await;
    }
    "the client does not speak TLS".into()
}

/// The certificate that is served now.
struct Current {
    certified: RwLock<Arc<CertifiedKey>>,
    provider: Arc<CryptoProvider>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // There is one certificate, whichever name the client asks for.
        Some(Arc::clone(&self.certified.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

/// What changes when somebody writes to one of the two files, or puts another in its place.
type State = [Option<(u64, u64, i64, i64)>; 2];

/// Where the certificate and its key lie.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn state(&self) -> State {
        let state = |file: &Path| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
        };
        [state(&self.certificate), state(&self.key)]
    }

    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, String> {
        let (file, remedy) = (self.certificate.display(), "put a certificate in PEM there");
        let (text, _) = read(&self.certificate)
            .map_err(|error| format!("cannot read tls.certificate {file}: {error}; {remedy}"))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain
            .map_err(|error| format!("tls.certificate {file} is no PEM: {error}; {remedy}"))?;
        if chain.is_empty() {
            return Err(format!("tls.certificate {file} holds no certificate; {remedy}"));
        }
        let key = self.read_key()?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            format!(
                "tls.certificate {file} and tls.key {} cannot be used together: {error}; put the key there that the certificate was made for",
                self.key.display()
            )
        })?;
        Ok(Arc::new(certified))
    }

    fn read_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let (file, remedy) = (self.key.display(), "put the certificate's private key in PEM there");
        let (text, metadata) = read(&self.key)
            .map_err(|error| format!("cannot read tls.key {file}: {error}; {remedy}"))?;
        if metadata.mode() & 0o007 != 0 {
            return Err(format!(
                "tls.key {file} is open to every user of this machine; close it with: chmod 600 {file}"
            ));
        }
        // What is wrong with a key is not told: the words could hold a part of it.
        PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| format!("tls.key {file} holds no private key in PEM; {remedy}"))
    }
}

/// Reads a file that is not too large for what it should hold.
fn read(file: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok((text, metadata))
}
