//! Limits of a connection that only bytes on a socket can hit.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::TestHost;

/// Sends these bytes and returns what comes back until the host closes the connection.
async fn exchange(host: &TestHost, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.address()).await.expect("a connection");
    stream.write_all(bytes).await.expect("the bytes are sent");
    let mut answer = Vec::new();
    // A host that never closes fails the test instead of hanging it.
    let closed =
        tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut answer)).await;
    closed.expect("the host closes the connection").expect("it closes in order");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_must_arrive_in_time() {
    let host = TestHost::with(|config| config.http.header_seconds = 1).await;
    let answer = exchange(&host, b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert!(!answer.contains("200 OK"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let host = TestHost::with(|config| config.http.header_seconds = 1).await;
    // Nothing at all; the beginning of HTTP/2; its whole preface with empty settings, and no request.
    for bytes in [&b""[..], b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        exchange(&host, bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_arrive_in_time() {
    let host = TestHost::with(|config| config.http.body_seconds = 1).await;
    let answer = exchange(
        &host,
        b"POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_size() {
    let host = TestHost::with(|config| config.http.header_bytes = 8192).await;
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-long: {}\r\n\r\n",
        "x".repeat(7000)
    );
    assert!(exchange(&host, head.as_bytes()).await.starts_with("HTTP/1.1 200 OK"));
    // No end of the head within the limit: nothing of it is left unread, so that the answer arrives.
    let endless = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: {}", "x".repeat(8192 - 40));
    assert_eq!(endless.len(), 8192);
    assert!(
        exchange(&host, endless.as_bytes()).await.starts_with("HTTP/1.1 431 "),
        "too large a head"
    );
}
