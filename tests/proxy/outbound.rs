//! Calls to other hosts: to names that were granted, at addresses of the internet, within limits.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use wharf::Config;

use super::host;
use crate::support::socket::statuses;
use crate::support::{Ask as _, TestHost};

/// A server that answers every request with these bytes, keeps the connection, and tells of the requests.
pub async fn upstream(answer: &'static str) -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, asked) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let request = head(&mut stream).await;
                let _ = sender.send(request);
                let _ = stream.write_all(answer.as_bytes()).await;
                // Until the caller closes.
                let _ = stream.read_u8().await;
            });
        }
    });
    (address, asked)
}

async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("\r\n\r\n") {
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Grants these names, and opens the addresses of this machine.
pub fn open(config: &mut Config, names: &[&str]) {
    grant(config, names);
    config.outbound.private_networks = vec!["127.0.0.0/8".parse().expect("a network")];
}

fn grant(config: &mut Config, names: &[&str]) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    config.groups.entry("proxy".into()).or_default().outbound = Some(names);
}

fn hosts(entries: &[(&str, &[&str])]) -> BTreeMap<String, Vec<IpAddr>> {
    let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("one")).collect();
    entries.iter().map(|(name, texts)| ((*name).to_owned(), addresses(texts))).collect()
}

/// Settings of one case.
type Change = fn(&mut Config);

async fn call(host: &TestHost, url: &str) -> String {
    let answer = host.get(&format!("/proxy/call?{url}")).answer().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_whose_name_was_not_granted() {
    let (address, mut asked) = upstream(OK).await;
    let port = address.port();
    let host = host(|config| {
        open(
            config,
            &[
                &format!("api.example.com:{port}"),
                &format!("*.example.org:{port}"),
                &format!("bücher.example:{port}"),
                "usual.example",
            ],
        );
        let names = [
            "api.example.com",
            "example.com",
            "example.org",
            "a.example.org",
            "a.b.example.org",
            "badexample.org",
            "xn--bcher-kva.example",
            "usual.example",
        ];
        config.outbound.hosts = hosts(&names.map(|name| (name, &["127.0.0.1"][..])));
    })
    .await;
    let granted = [
        "api.example.com",
        "API.Example.COM",
        "a.example.org",
        "a.b.example.org",
        "xn--bcher-kva.example",
    ];
    for name in granted {
        assert_eq!(call(&host, &format!("http://{name}:{port}/path")).await, "200 ok ", "{name}");
        let request = asked.try_recv().expect("it was asked");
        assert!(request.starts_with("GET /path HTTP/1.1\r\n"), "{request}");
        let named = format!("\r\nhost: {}:{port}\r\n", name.to_lowercase());
        assert!(request.contains(&named), "{request}");
        assert!(request.contains("\r\nauthorization: Bearer of-the-component\r\n"), "{request}");
    }
    let others = [
        format!("http://example.com:{port}/"),
        format!("http://example.org:{port}/"),
        format!("http://badexample.org:{port}/"),
        format!("http://api.example.com.evil.example:{port}/"),
        format!("http://usual.example:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        "http://api.example.com/".to_owned(),
        "https://api.example.com/".to_owned(),
    ];
    for url in others {
        assert_eq!(call(&host, &url).await, "ErrorCode::HttpRequestDenied", "{url}");
    }
    let user = format!("http://api.example.com:{port}@evil.example/");
    assert_eq!(call(&host, &user).await, "ErrorCode::HttpRequestUriInvalid");
    let tunnel = host.get(&format!("/proxy/connect?http://api.example.com:{port}/")).answer().await;
    assert_eq!(tunnel.body, "ErrorCode::HttpRequestMethodInvalid");
    assert!(asked.try_recv().is_err(), "nobody else was called");
    // Without a port the usual ones are granted, where nobody listens here.
    let refused = call(&host, "http://usual.example/").await;
    assert!(!refused.contains("Denied") && refused.starts_with("ErrorCode::"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_at_an_address_that_is_not_of_the_internet() {
    const NOT_PUBLIC: [&str; 30] = [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
    ];
    let (address, mut asked) = upstream(OK).await;
    let port = address.port();
    let names: Vec<String> = (0..NOT_PUBLIC.len()).map(|n| format!("n{n}.example")).collect();
    let literals =
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "017700000001"];
    let host = host(|config| {
        let granted: Vec<String> = literals
            .iter()
            .map(|host| format!("{host}:{port}"))
            .chain(names.iter().map(|name| format!("{name}:{port}")))
            .collect();
        grant(config, &granted.iter().map(String::as_str).collect::<Vec<_>>());
        let entries: Vec<(&str, [&str; 1])> = names
            .iter()
            .zip(NOT_PUBLIC)
            .map(|(name, address)| (name.as_str(), [address]))
            .collect();
        let entries: Vec<(&str, &[&str])> =
            entries.iter().map(|(name, addresses)| (*name, addresses.as_slice())).collect();
        config.outbound.hosts = hosts(&entries);
    })
    .await;
    for name in names.iter().map(String::as_str).chain(literals) {
        let told = call(&host, &format!("http://{name}:{port}/")).await;
        assert_eq!(told, "ErrorCode::DestinationIpProhibited", "{name}");
    }
    assert!(asked.try_recv().is_err(), "nobody was called");
}

/// Of a name with several addresses, one that is prohibited is enough: the next question to its name server
/// might be answered with that one alone. There is no next question either.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_bound_anew_gains_nothing() {
    let (address, mut asked) = upstream(OK).await;
    let port = address.port();
    let settings = |opened: bool| {
        move |config: &mut Config| {
            grant(config, &[&format!("rebound.example:{port}")]);
            config.outbound.hosts = hosts(&[("rebound.example", &["127.0.0.1", "127.1.0.1"])]);
            let network = if opened { "127.0.0.0/8" } else { "127.0.0.0/16" };
            config.outbound.private_networks = vec![network.parse().expect("a network")];
        }
    };
    let url = format!("http://rebound.example:{port}/");
    let strict = host(settings(false)).await;
    assert_eq!(call(&strict, &url).await, "ErrorCode::DestinationIpProhibited");
    assert!(asked.try_recv().is_err(), "nobody was called");
    // The operator has opened all of its addresses.
    assert_eq!(call(&host(settings(true)).await, &url).await, "200 ok ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_in_time_or_is_too_large_is_an_error() {
    const PART: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let late = "ErrorCode::HttpResponseTimeout";
    let cases: [(&str, Change, &str, &str); 5] = [
        ("", |config| config.outbound.first_byte_milliseconds = 200, "call", late),
        // The component itself would wait less long than it may.
        ("", |_| {}, "impatient", late),
        (
            PART,
            |config| config.outbound.between_bytes_milliseconds = 200,
            "call",
            "200 part connection read timeout",
        ),
        (
            PART,
            |config| config.outbound.call_milliseconds = 300,
            "call",
            "200 part HTTP response timeout",
        ),
        (
            PART,
            |config| config.outbound.response_bytes = 3,
            "call",
            "200  HTTP response body size exceeds limit: 3 bytes",
        ),
    ];
    for (answer, change, path, expected) in cases {
        let (address, _asked) = upstream(answer).await;
        let host = host(|config| {
            open(config, &[&address.to_string()]);
            change(config);
        })
        .await;
        let told = host.get(&format!("/proxy/{path}?http://{address}/")).answer().await.body;
        assert_eq!(told, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_no_connection_is_given_up() {
    // A name server that does not answer, and a listener that is full, both let wait; this one refuses.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = listener.local_addr().expect("an address");
    drop(listener);
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("an address");
    let host = host(|config| {
        open(config, &[&closed.to_string(), &address.to_string()]);
        config.outbound.connect_milliseconds = 200;
    })
    .await;
    assert_eq!(call(&host, &format!("http://{closed}/")).await, "ErrorCode::ConnectionRefused");
    // It never shakes hands.
    let told = call(&host, &format!("https://{address}/")).await;
    assert_eq!(told, "ErrorCode::ConnectionTimeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_going_on_have_a_number() {
    for of_group in [true, false] {
        let (address, mut asked) = upstream("").await;
        let host = host(|config| {
            open(config, &[&address.to_string()]);
            config.outbound.first_byte_milliseconds = 1_000;
            let most = if of_group {
                &mut config.outbound.group_concurrency
            } else {
                &mut config.outbound.concurrency
            };
            *most = 1;
        })
        .await;
        let url = format!("http://{address}/");
        let second = async {
            asked.recv().await.expect("the first one calls");
            call(&host, &url).await
        };
        let (first, second) = tokio::join!(call(&host, &url), second);
        assert_eq!(first, "ErrorCode::HttpResponseTimeout");
        assert_eq!(second, "ErrorCode::ConnectionLimitReached");
        // Its place is free again.
        assert_eq!(call(&host, &url).await, "ErrorCode::HttpResponseTimeout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_host_with_a_certificate_of_its_own_is_called_over_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).expect("made");
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).expect("a mode");
    let upstream = host(|config| {
        config.tls.certificate = Some(certificate.clone());
        config.tls.key = Some(key);
    })
    .await;
    let port = upstream.address().port();
    let names = ["secure.example", "other.example"];
    let settings = |authorities| {
        move |config: &mut Config| {
            open(
                config,
                &names.map(|name| format!("{name}:{port}")).each_ref().map(String::as_str),
            );
            config.outbound.hosts = hosts(&names.map(|name| (name, &["127.0.0.1"][..])));
            config.outbound.authorities = authorities;
        }
    };
    let (strict, trusting) =
        (host(settings(None)).await, host(settings(Some(certificate.clone()))).await);
    let url = |name: &str| format!("https://{name}:{port}/proxy/hello");
    assert_eq!(call(&trusting, &url("secure.example")).await, "200 hello ");
    assert_eq!(call(&trusting, &url("other.example")).await, "ErrorCode::TlsCertificateError");
    assert_eq!(call(&strict, &url("secure.example")).await, "ErrorCode::TlsCertificateError");
    // A host that speaks no TLS.
    let plain = host(|_| {}).await.address();
    let asking = host(|config| open(config, &[&plain.to_string()])).await;
    let told = call(&asking, &format!("https://{plain}/")).await;
    assert!(told.starts_with("ErrorCode::"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_the_components_business() {
    let (address, mut asked) = upstream(
        "HTTP/1.1 302 Found\r\nlocation: http://evil.example/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let host = host(|config| open(config, &[&address.to_string()])).await;
    assert_eq!(call(&host, &format!("http://{address}/")).await, "302  ");
    assert!(asked.try_recv().is_ok() && asked.try_recv().is_err());
}

/// A component hands its request on to another and the answer back, each as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn calls_stream_both_ways() {
    let echo = host(|_| {}).await;
    let address = echo.address();
    let host = host(|config| open(config, &[&address.to_string()])).await;
    let path = format!("/proxy/forward?http://{address}/proxy/echo");
    let body = "0123456789".repeat(300_000);
    let answer = host.post(&path).body(body.clone()).answer().await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, body.len()));
    assert!(answer.body == body);
    // Whoever may not call anybody is refused before anything is sent.
    let denied = super::host(|_| {}).await;
    let request = format!(
        "GET /proxy/call?http://{address}/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    );
    let told = crate::support::socket::exchange(denied.address(), request.as_bytes()).await;
    assert!(statuses(&told) == [200] && told.contains("HttpRequestDenied"), "{told}");
}
