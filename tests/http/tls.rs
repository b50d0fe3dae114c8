//! TLS, as clients and attackers speak it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wharf::Config;

use crate::command_line::{assert_refused, folder};
use crate::support::frames::{self, Connection};
use crate::support::guests::wharf;
use crate::support::serving::{Serving, serve};
use crate::support::socket::{PATIENCE, connect, exchange, rest, statuses};
use crate::support::{ADMIN_PASSWORD, TestHost, guests};

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A certificate for `localhost` and its key, in files.
struct Certificate {
    folder: TempDir,
}

impl Certificate {
    fn new() -> Self {
        let certificate = Certificate { folder: folder() };
        certificate.renew();
        certificate
    }

    /// Puts another certificate and key in the place of those that are there, one after the other.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        self.put("key.pem", &made.signing_key.serialize_pem());
        self.put("certificate.pem", &made.cert.pem());
    }

    fn put(&self, name: &str, text: &str) {
        let unfinished = self.folder.path().join("unfinished");
        std::fs::write(&unfinished, text).expect("a file");
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&unfinished, private).expect("a mode");
        std::fs::rename(unfinished, self.folder.path().join(name)).expect("in place");
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// What the file holds now.
    fn current(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path()).expect("a certificate")
    }

    async fn host(&self, change: impl FnOnce(&mut Config)) -> TestHost {
        TestHost::with(|config| {
            config.tls.certificate = Some(self.path());
            config.tls.key = Some(self.key());
            change(config);
        })
        .await
    }
}

/// A client that trusts these certificates, and speaks these versions and protocols.
fn client(
    trusted: &[CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots.add(certificate.clone()).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A session that is taken up again shows no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a name")
}

async fn connect_tls(
    address: SocketAddr,
    client: &TlsConnector,
) -> std::io::Result<TlsStream<TcpStream>> {
    client.connect(localhost(), connect(address).await).await
}

/// Sends a request and reads to the end, over TLS.
async fn ask(address: SocketAddr, client: &TlsConnector) -> std::io::Result<String> {
    let mut stream = connect_tls(address, client).await?;
    stream.write_all(GET).await?;
    Ok(rest(&mut stream).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_and_both_protocols_are_spoken() {
    let certificate = Certificate::new();
    let host = certificate.host(|_| {}).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offered, chosen) in [
            (&[&b"http/1.1"[..]][..], Some(&b"http/1.1"[..])),
            (&[], None),
            (&[b"h2", b"http/1.1"], Some(b"h2")),
            (&[b"http/1.1", b"h2"], Some(b"h2")),
        ] {
            let client = client(&[certificate.current()], &[version], offered);
            let mut stream = connect_tls(host.address(), &client).await.expect("a handshake");
            let (_, session) = stream.get_ref();
            assert_eq!(session.alpn_protocol(), chosen);
            assert_eq!(session.protocol_version(), Some(version.version));
            if chosen == Some(b"h2") {
                let mut connection = Connection::over(stream, &[]).await;
                connection.send(&frames::get(1, "/healthz")).await;
                assert_eq!(connection.status_of(1).await, 200);
            } else {
                stream.write_all(GET).await.expect("sent");
                assert_eq!(statuses(&rest(&mut stream).await), [200]);
            }
        }
    }
    let unknown = client(&[certificate.current()], &[&rustls::version::TLS13], &[b"gopher"]);
    assert!(connect_tls(host.address(), &unknown).await.is_err(), "a protocol that nobody speaks");
    // The rules of HTTP/1 are the same.
    let plain = client(&[certificate.current()], &[&rustls::version::TLS13], &[]);
    let mut stream = connect_tls(host.address(), &plain).await.expect("a handshake");
    stream.write_all(b"GET / HTTP/1.1\nhost: a\n\n").await.expect("sent");
    assert_eq!(statuses(&rest(&mut stream).await), [400]);
}

/// A first message of a client that can do nothing above a version (RFC 5246, section 7.4.1.2).
fn hello(minor_version: u8) -> Vec<u8> {
    let random = [7; 32];
    // ECDHE with AES in GCM mode, and the suites in CBC mode that older clients had.
    let suites = [0xc0, 0x2b, 0xc0, 0x09, 0xc0, 0x13, 0x00, 0x2f];
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &points, &signatures].concat();
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short message");
    let body = [
        &[3, minor_version][..],
        &random,
        &[0],
        &[0, length(&suites)],
        &suites,
        &[1, 0],
        &[0, length(&extensions)],
        &extensions,
    ]
    .concat();
    let message = [&[1, 0, 0, length(&body)][..], &body].concat();
    [&[22, 3, 1, 0, length(&message)][..], &message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_are_refused_with_an_alert() {
    const HANDSHAKE: u8 = 22;
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    let certificate = Certificate::new();
    let host = certificate.host(|_| {}).await;
    // SSL 3.0, TLS 1.0 and TLS 1.1.
    for minor_version in 0..=2 {
        let mut stream = connect(host.address()).await;
        stream.write_all(&hello(minor_version)).await.expect("sent");
        let mut told = Vec::new();
        let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut told)).await;
        let _ = end.expect("the host closes the connection");
        assert!(told.len() == 7 && told[0] == ALERT, "3.{minor_version}: {told:?}");
        assert_eq!(told[5], FATAL, "3.{minor_version}");
    }
    // The same message from a client of TLS 1.2 is answered.
    let mut stream = connect(host.address()).await;
    stream.write_all(&hello(3)).await.expect("sent");
    assert_eq!(stream.read_u8().await.expect("an answer"), HANDSHAKE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_fails_cleanly() {
    let certificate = Certificate::new();
    let host = certificate.host(|_| {}).await;
    let answer = exchange(host.address(), GET).await;
    assert_eq!(statuses(&answer), [400], "{answer}");
    assert!(answer.contains("use https:// to reach it"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).expect("a body");
    assert!(answer.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{answer}");
    for garbage in [
        &b"\0"[..],
        b"\xff\xff\xff\xff",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\0\x05hello",
        b"\x16\x03\x01\0\x04\x01\0\0\0",
        b"\x15\x03\x01\0\x02\x02\0",
    ] {
        let mut stream = connect(host.address()).await;
        let _ = stream.write_all(garbage).await;
        let _ = stream.shutdown().await;
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("HTTP"), "{}: {answer}", garbage.escape_ascii());
    }
    // Another name than the certificate's: the client has the last word.
    let client = client(&[certificate.current()], rustls::ALL_VERSIONS, &[]);
    let other = ServerName::try_from("other.example").expect("a name");
    let refused = client.connect(other, connect(host.address()).await).await;
    assert!(refused.is_err(), "the certificate is not for that name");
    assert_eq!(statuses(&ask(host.address(), &client).await.expect("an answer")), [200]);
}

/// A stream that sends one byte at a time.
struct Drip(TcpStream);

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Drip {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_in_many_pieces_is_understood() {
    let certificate = Certificate::new();
    let host = certificate.host(|_| {}).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = client(&[certificate.current()], &[version], &[]);
        let drip = Drip(connect(host.address()).await);
        let mut stream = client.connect(localhost(), drip).await.expect("a handshake");
        stream.write_all(GET).await.expect("sent");
        stream.flush().await.expect("sent");
        assert_eq!(statuses(&rest(&mut stream).await), [200]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_must_be_done_in_time() {
    let certificate = Certificate::new();
    let host = certificate.host(|config| config.tls.handshake_seconds = 1).await;
    for begun in [&b""[..], &hello(3)[..20]] {
        let answer = exchange(host.address(), begun).await;
        assert!(!answer.contains("HTTP"), "{answer}");
    }
    // After the handshake, the times of HTTP count.
    let host = certificate.host(|config| config.http.header_seconds = 1).await;
    let client = client(&[certificate.current()], rustls::ALL_VERSIONS, &[]);
    let mut stream = connect_tls(host.address(), &client).await.expect("a handshake");
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_keep_to_tls_where_it_is_spoken() {
    const HEADER: &str = "\r\nstrict-transport-security: max-age=600\r\n";
    let certificate = Certificate::new();
    let client = client(&[certificate.current()], rustls::ALL_VERSIONS, &[]);
    let told = certificate.host(|config| config.tls.hsts_seconds = Some(600)).await;
    let answer = ask(told.address(), &client).await.expect("an answer");
    assert!(answer.contains(HEADER), "{answer}");
    for seconds in [None, Some(0)] {
        let host = certificate.host(|config| config.tls.hsts_seconds = seconds).await;
        let answer = ask(host.address(), &client).await.expect("an answer");
        assert!(!answer.contains("strict-transport-security"), "{answer}");
    }
    // Over plain HTTP anybody could have said it (RFC 6797, section 7.2).
    let plain = TestHost::with(|config| config.tls.hsts_seconds = Some(600)).await;
    let answer = exchange(plain.address(), GET).await;
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}

/// The certificate that new connections are shown.
async fn shown(address: SocketAddr, client: &TlsConnector) -> CertificateDer<'static> {
    let stream = connect_tls(address, client).await.expect("a handshake");
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("certificates")[0].clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_under_load_without_a_failure() {
    const CLIENTS: usize = 4;
    let certificate = Certificate::new();
    let old = certificate.current();
    let host = certificate.host(|_| {}).await;
    let address = host.address();
    // The new one has to be trusted before it is served.
    let next = Certificate::new();
    let new = next.current();
    let client = client(&[old.clone(), new.clone()], rustls::ALL_VERSIONS, &[]);
    let mut before = connect_tls(address, &client).await.expect("a handshake");
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (done, answered, client) = (done.clone(), answered.clone(), client.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let answer = ask(address, &client).await.expect("no handshake fails");
                    assert_eq!(statuses(&answer), [200]);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    assert_eq!(shown(address, &client).await, old);
    // A file that is no certificate, and a certificate whose key is not there yet: the old one stays.
    certificate.put("certificate.pem", "no certificate");
    for text in [std::fs::read_to_string(next.path()), std::fs::read_to_string(next.key())] {
        let seen = answered.load(Ordering::Relaxed);
        // Long enough for the host to have looked, whatever the load makes of its clock.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(answered.load(Ordering::Relaxed) > seen, "the load goes on");
        assert_eq!(shown(address, &client).await, old);
        let text = text.expect("a file");
        let name = if text.contains("PRIVATE KEY") { "key.pem" } else { "certificate.pem" };
        certificate.put(name, &text);
    }
    let renewed = async {
        while shown(address, &client).await != new {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the new certificate is served");
    done.store(true, Ordering::Relaxed);
    for client in load {
        client.await.expect("no request fails");
    }
    before.write_all(GET).await.expect("a connection from before goes on");
    assert_eq!(statuses(&rest(&mut before).await), [200]);
}

/// `wharf serve` with these files for TLS.
fn serve_tls(folder: &Path, certificate: &Path, key: &Path) -> std::process::Command {
    let mut command = serve(folder, &guests::guest("hello"));
    command.arg("--tls-certificate").arg(certificate).arg("--tls-key").arg(key);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_tls_and_tells_browsers_for_a_year() {
    let (certificate, folder) = (Certificate::new(), folder());
    let serving = Serving::start(serve_tls(folder.path(), &certificate.path(), &certificate.key()));
    let address = serving.url.strip_prefix("https://").expect("TLS").parse().expect("an address");
    let client = client(&[certificate.current()], rustls::ALL_VERSIONS, &[]);
    let answer = ask(address, &client).await.expect("an answer");
    assert!(answer.contains("\r\nstrict-transport-security: max-age=31536000\r\n"), "{answer}");
    let (code, printed) = serving.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wharf_dev_makes_a_certificate_and_keeps_it() {
    let folder = folder();
    guests::built_in();
    let start = || {
        let mut command = wharf();
        command.args([
            "dev",
            "--tls",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--log",
            "warn",
        ]);
        command.arg("--data").arg(folder.path().join("data"));
        command.arg("--components").arg(folder.path().join("components"));
        command.arg("--cache").arg(guests::cache());
        Serving::start(command)
    };
    let certificate = folder.path().join("data/tls/localhost.pem");
    let key = std::fs::metadata(folder.path().join("data/tls/localhost.key"));
    assert!(key.is_err(), "nothing is there before");
    let mut served = Vec::new();
    for _ in 0..2 {
        let serving = start();
        let address =
            serving.url.strip_prefix("https://").expect("TLS").parse().expect("an address");
        let trusted = CertificateDer::from_pem_file(&certificate).expect("a certificate");
        let client = client(std::slice::from_ref(&trusted), rustls::ALL_VERSIONS, &[]);
        let answer = ask(address, &client).await.expect("a client that trusts it is answered");
        assert_eq!(statuses(&answer), [200]);
        assert!(!answer.contains("strict-transport-security"), "not in development: {answer}");
        served.push(trusted);
        let (_, printed) = serving.stop("TERM");
        assert!(printed.contains(certificate.to_str().expect("a path")), "{printed}");
    }
    assert_eq!(served[0], served[1], "it is kept");
    let key = std::fs::metadata(folder.path().join("data/tls/localhost.key")).expect("a key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
}

#[test]
fn files_that_cannot_be_used_are_refused_with_the_remedy() {
    let (certificate, other, folder) = (Certificate::new(), Certificate::new(), folder());
    let refused = |certificate: &Path, key: &Path, words: &[&str]| {
        assert_refused(&mut serve_tls(folder.path(), certificate, key), words);
    };
    let (path, key) = (certificate.path(), certificate.key());
    refused(&path, &other.key(), &["cannot be used together", "the key there"]);
    refused(&key, &key, &["holds no certificate"]);
    refused(&path, &path, &["holds no private key"]);
    refused(&folder.path().join("missing"), &key, &["cannot read tls.certificate"]);
    refused(&path, &folder.path().join("missing"), &["cannot read tls.key"]);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&key, open).expect("a mode");
    refused(&path, &key, &["open to every user", "chmod 600"]);
    let mut alone = serve(folder.path(), &guests::guest("hello"));
    assert_refused(alone.arg("--tls-certificate").arg(&path), &["tls.key is not"]);
}

#[test]
fn the_admin_api_speaks_tls_where_the_host_does() {
    let (certificate, folder) = (Certificate::new(), folder());
    let mut command = serve(folder.path(), &guests::guest("hello"));
    command.arg("--tls-certificate").arg(certificate.path());
    command.arg("--tls-key").arg(certificate.key());
    let serving = Serving::start(command);
    let port = serving.admin.strip_prefix("https://127.0.0.1:").expect("an address");
    let list = |ca: Option<PathBuf>| {
        let mut command = wharf();
        command.args(["tenant", "list", "--host", &format!("https://localhost:{port}")]);
        command.arg("--data").arg(folder.path().join("data"));
        if let Some(ca) = ca {
            command.arg("--ca").arg(ca);
        }
        command.output().expect("wharf runs")
    };
    let trusted = list(Some(certificate.path()));
    assert!(String::from_utf8_lossy(&trusted.stdout).contains("default"), "{trusted:?}");
    let unknown = list(None);
    assert!(!unknown.status.success(), "a certificate that nobody has vouched for is refused");
}

#[test]
fn plain_http_that_crosses_a_network_is_warned_of() {
    const WARNING: &str = "plain HTTP; set tls.certificate and tls.key";
    let (certificate, folder) = (Certificate::new(), folder());
    let file = folder.path().join("wharf.toml");
    let printed = |listen: &str, settings: &str| {
        std::fs::write(&file, settings).expect("settings");
        let mut command = wharf();
        command.args(["serve", "--log", "warn", "--listen", listen]);
        command.arg("--data").arg(folder.path().join("data")).arg("--config").arg(&file);
        String::from_utf8(command.output().expect("wharf runs").stderr).expect("text")
    };
    // An address that no machine has: the program ends before anybody could reach it.
    let network = "192.0.2.1:8080";
    assert!(printed(network, "").contains(WARNING));
    let proxies = "[http]\nproxies = [\"10.0.0.0/8\"]\n";
    let tls =
        format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", certificate.path(), certificate.key());
    for (listen, settings) in [(network, proxies), (network, &tls)] {
        let printed = printed(listen, settings);
        assert!(!printed.contains("plain HTTP"), "{settings}: {printed}");
        assert!(printed.contains("cannot listen on 192.0.2.1:8080"), "{settings}: {printed}");
    }
    // On loopback nothing crosses a network; without components the program ends as well.
    let nothing = format!("components = {:?}\n", folder.path());
    assert!(!printed("127.0.0.1:0", &nothing).contains("plain HTTP"));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_have_the_scheme_that_the_client_speaks() {
    let certificate = Certificate::new();
    let proxied = TestHost::with(|config| {
        config.http.proxies = vec!["127.0.0.1/32".parse().expect("a network")];
    })
    .await;
    let direct = TestHost::on_sqlite().await;
    for (host, told, scheme) in [
        (&proxied, "x-forwarded-proto: https\r\n", "https"),
        (&proxied, "x-forwarded-proto: http, HTTPS\r\n", "https"),
        (&proxied, "x-forwarded-proto: https\r\nx-forwarded-proto: http\r\n", "http"),
        (&proxied, "x-forwarded-proto: gopher\r\n", "http"),
        (&proxied, "", "http"),
        (&direct, "x-forwarded-proto: https\r\n", "http"),
    ] {
        let answer = exchange(host.address(), &page(&host.admin().await, told)).await;
        // The host name stays the one that the client wrote, whatever the proxy calls it.
        let link = format!(r#""path":"{scheme}://shop.example/api/user_info""#);
        assert!(answer.contains(&link), "{told}: {answer}");
    }
    let secure = certificate.host(|_| {}).await;
    let client = client(&[certificate.current()], rustls::ALL_VERSIONS, &[]);
    let mut token = String::new();
    for is_first in [true, false] {
        let mut stream = connect_tls(secure.address(), &client).await.expect("a handshake");
        let request = if is_first { login().into_bytes() } else { page(&token, "") };
        stream.write_all(&request).await.expect("sent");
        let answer = rest(&mut stream).await;
        assert_eq!(statuses(&answer), [200], "{answer}");
        match answer.split(r#""access_token":""#).nth(1) {
            Some(found) => token = found.split('"').next().expect("a token").to_owned(),
            None => assert!(answer.contains(r#""https://shop.example/api/user_info""#), "{answer}"),
        }
    }
}

/// The first admin's sign-in.
fn login() -> String {
    format!(
        "POST /api/auth/login?username=admin&password={ADMIN_PASSWORD} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    )
}

/// A request for a page of users, with links.
fn page(token: &str, more: &str) -> Vec<u8> {
    format!(
        "GET /api/user_info HTTP/1.1\r\nhost: shop.example\r\nx-forwarded-host: evil.example\r\n{more}authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes()
}
