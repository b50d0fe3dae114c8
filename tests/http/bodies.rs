//! What the bodies of many requests take together, and who may send one at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::TestHost;
use crate::support::socket::{connect, rest, statuses};

const LENGTH: usize = 100_000;

/// What a sign-in is answered whose body holds nothing that makes sense, once the body was taken.
const TAKEN: u16 = 422;

/// Begins a request from one of loopback's addresses, with all of its body but the last byte.
async fn all_but_one(host: &TestHost, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let own = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(own, 0)).expect("an address of loopback");
    let mut stream = socket.connect(host.address()).await.expect("a connection");
    let head = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {LENGTH}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.expect("the host asks for the body");
    stream.write_all(&vec![b'x'; LENGTH - 1]).await.expect("most of the body is sent");
    stream
}

async fn end(mut stream: TcpStream) -> String {
    stream.write_all(b"x").await.expect("the last byte is sent");
    rest(&mut stream).await
}

/// Sends such bodies until one is answered as expected: others are counted, or free again, a moment later.
async fn until(host: &TestHost, last: u8, status: u16) -> String {
    for _ in 0..1_000 {
        let answer = end(all_but_one(host, last).await).await;
        if statuses(&answer) == [status] {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no answer with {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bodies_of_an_address_and_of_all_take_so_much_memory() {
    let host = TestHost::with(|config| {
        config.http.bodies_bytes = 4 * LENGTH;
        config.http.bodies_bytes_per_address = 2 * LENGTH;
    })
    .await;
    let first = [all_but_one(&host, 1).await, all_but_one(&host, 1).await];
    let refused = until(&host, 1, 503).await;
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    // Another address has room of its own, until all have taken what there is.
    assert_eq!(statuses(&end(all_but_one(&host, 2).await).await), [TAKEN]);
    let second = [all_but_one(&host, 2).await, all_but_one(&host, 2).await];
    until(&host, 3, 503).await;
    // A body that was taken is answered, and those that are given up leave room.
    for stream in first {
        assert_eq!(statuses(&end(stream).await), [TAKEN]);
    }
    drop(second);
    until(&host, 2, TAKEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_steadily_may_take_longer_than_one_that_drips() {
    let host = TestHost::with(|config| {
        config.http.body_seconds = 1;
        config.http.body_bytes_per_second = 1_000;
    })
    .await;
    for (piece, expected) in [(1_000, TAKEN), (10, 408)] {
        let stream = connect(host.address()).await;
        let (mut reading, mut writing) = stream.into_split();
        let head = "POST /api/auth/login HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 10000\r\n\r\n";
        writing.write_all(head.as_bytes()).await.expect("the head is sent");
        let sending = async {
            // Three seconds and a half for the whole body at the quicker rate.
            let mut every = tokio::time::interval(Duration::from_millis(350));
            for _ in 0..10_000 / piece {
                every.tick().await;
                if writing.write_all(&vec![b'x'; piece]).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = rest(&mut reading) => assert_eq!(statuses(&answer), [expected], "{answer}"),
            () = sending => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_a_body_that_will_not_be_taken() {
    let host = TestHost::with(|config| config.http.body_bytes = 1_000).await;
    let upload = "POST /api/doctor/certificate/upload HTTP/1.1\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 500";
    let login = "POST /api/auth/login HTTP/1.1\r\ncontent-length: 1001";
    for (head, expected) in [(upload, 401), (login, 413)] {
        let mut stream = connect(host.address()).await;
        let head = format!("{head}\r\nhost: a\r\nexpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        assert_eq!(statuses(&rest(&mut stream).await), [expected]);
        // Whoever does not ask first is told so as well, after all of it.
        let mut stream = connect(host.address()).await;
        let head = head.replace("expect: 100-continue", "connection: close");
        stream.write_all(head.as_bytes()).await.expect("the head is sent");
        stream.write_all(&[b'x'; 1_001]).await.expect("the body is sent");
        assert_eq!(statuses(&rest(&mut stream).await)[0], expected);
    }
}
