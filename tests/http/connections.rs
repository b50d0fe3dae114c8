//! How many connections are open at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::TestHost;
use crate::support::socket::{rest, statuses};

/// A connection from one of the addresses that loopback has.
async fn from(host: &TestHost, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(own, 0)).expect("an address of loopback");
    socket.connect(host.address()).await.expect("a connection")
}

/// Asks, and leaves the connection open.
async fn is_served(stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).await.unwrap_or(0);
    answer[..read].starts_with(b"HTTP/1.1 200")
}

/// Waits for a place to be free again, as the host learns of a connection's end a little later.
async fn is_served_in_the_end(host: &TestHost, last: u8) -> bool {
    for _ in 0..1_000 {
        if is_served(&mut from(host, last).await).await {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_others_have_theirs() {
    let host = TestHost::with(|config| config.http.connections_per_address = 3).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = from(&host, 1).await;
        assert!(is_served(&mut stream).await);
        open.push(stream);
    }
    let answer = rest(&mut from(&host, 1).await).await;
    assert_eq!(statuses(&answer), [503], "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    let body = answer.split("\r\n\r\n").nth(1).expect("a body");
    assert!(answer.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{answer}");
    assert!(is_served(&mut from(&host, 2).await).await, "another address");
    for stream in &mut open {
        assert!(is_served(stream).await, "those that are open go on");
    }
    drop(open.pop());
    assert!(is_served_in_the_end(&host, 1).await, "a place that is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_so_many_connections_in_all() {
    let host = TestHost::with(|config| config.http.connections = 4).await;
    let mut open = Vec::new();
    for last in 1..=4 {
        let mut stream = from(&host, last).await;
        assert!(is_served(&mut stream).await);
        open.push(stream);
    }
    let answer = rest(&mut from(&host, 5).await).await;
    assert_eq!(statuses(&answer), [503], "{answer}");
    drop(open);
    assert!(is_served_in_the_end(&host, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_has_as_many_connections_as_there_are() {
    let host = TestHost::with(|config| {
        config.http.connections_per_address = 2;
        config.http.proxies = vec!["127.0.0.9/32".parse().expect("a network")];
    })
    .await;
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut stream = from(&host, 9).await;
        assert!(is_served(&mut stream).await);
        open.push(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_leaves_nothing_behind() {
    let host = TestHost::with(|config| config.http.connections_per_address = 5).await;
    for _ in 0..500 {
        drop(from(&host, 1).await);
    }
    assert!(is_served_in_the_end(&host, 1).await);
}
