//! Clients who ask for much and take little: what the host holds for them ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use wharf::Config;

use crate::support::frames::{self, Connection, INITIAL_WINDOW_SIZE};
use crate::support::socket::{PATIENCE, rest, statuses};
use crate::support::{Ask as _, TestHost, guests};

/// A host whose `/large` answers with 2 MB.
async fn host(change: impl FnOnce(&mut Config)) -> TestHost {
    TestHost::with(|config| {
        config.components = guests::guest("hostile");
        config.captcha_reveal = false;
        config.http.write_seconds = 1;
        change(config);
    })
    .await
}

/// A connection of a client with room for little.
async fn narrow(host: &TestHost) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(host.address()).await.expect("a connection")
}

const LARGE: &str = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_is_cut_off() {
    // The only connection: another is let in when this one is gone.
    let host = host(|config| config.http.connections = 1).await;
    let mut stalled = narrow(&host).await;
    stalled.write_all(LARGE.repeat(10).as_bytes()).await.expect("sent");
    let let_in = async {
        loop {
            let mut stream = TcpStream::connect(host.address()).await.expect("a connection");
            let ask = b"GET /ok HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(ask).await;
            if statuses(&rest(&mut stream).await) == [200] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, let_in).await.expect("the stalled connection is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_an_answer_slowly_gets_all_of_it() {
    let host = host(|config| config.http.idle_seconds = 1).await;
    let mut stream = narrow(&host).await;
    stream.write_all(LARGE.as_bytes()).await.expect("sent");
    let mut piece = vec![0; 32 * 1024];
    let mut taken = 0;
    let mut every = tokio::time::interval(Duration::from_millis(40));
    while taken < 2_000_000 {
        every.tick().await;
        let read = stream.read(&mut piece).await.expect("the connection goes on");
        assert!(read > 0, "it ended after {taken} bytes");
        taken += read;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_stays_shut_ends_the_connection() {
    let host = host(|_| {}).await;
    for (path, window) in [("/ok", 0), ("/large", 0), ("/large", 100)] {
        let settings = [(INITIAL_WINDOW_SIZE, window)];
        let mut connection = Connection::open_with(host.address(), &settings).await;
        connection.send(&frames::get(1, path)).await;
        assert_eq!(connection.status_of(1).await, 200);
        // Pings show that the client is there, and do not help it.
        connection.pinging_until_the_end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_have_so_much_memory_in_all() {
    let host = host(|config| {
        config.http.write_seconds = 60;
        config.http.unsent_bytes = 5_000_000;
    })
    .await;
    let mut connection = Connection::open_with(host.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let mut told = Vec::new();
    for stream in [1, 3, 5] {
        connection.send(&frames::get(stream, "/large")).await;
        told.push(connection.status_of(stream).await);
    }
    assert_eq!(told, [200, 200, 503], "2 MB each");
    let small = host.get("/ok").answer().await;
    assert_eq!(small.status, 200, "small answers go on");
    drop(connection);
    let freed = async {
        while host.get("/large").answer().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the memory is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_opens_by_a_byte_at_a_time_ends_the_connection() {
    let host = host(|_| {}).await;
    let mut connection = Connection::open_with(host.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    connection.send(&frames::get(1, "/large")).await;
    assert_eq!(connection.status_of(1).await, 200);
    let (mut reading, mut writing) = connection.stream.into_split();
    let drip = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while writing.write_all(&frames::window(1, 1)).await.is_ok() {
            every.tick().await;
        }
    };
    let ended = async {
        let mut rest = Vec::new();
        let _ = reading.read_to_end(&mut rest).await;
    };
    let both = async { tokio::join!(drip, ended) };
    tokio::time::timeout(PATIENCE, both).await.expect("the host closes the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_that_is_not_taken_is_not_hidden_by_others_that_are() {
    let host = host(|_| {}).await;
    let mut connection = Connection::open_with(host.address(), &[(INITIAL_WINDOW_SIZE, 0)]).await;
    connection.send(&frames::get(1, "/large")).await;
    assert_eq!(connection.status_of(1).await, 200);
    let (mut reading, mut writing) = connection.stream.into_split();
    let others = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        for stream in (3_u32..).step_by(2) {
            let request = [frames::get(stream, "/ok"), frames::window(stream, 100)].concat();
            if writing.write_all(&request).await.is_err() {
                return;
            }
            every.tick().await;
        }
    };
    let ended = async {
        let mut rest = Vec::new();
        let _ = reading.read_to_end(&mut rest).await;
    };
    let both = async { tokio::join!(others, ended) };
    tokio::time::timeout(PATIENCE, both).await.expect("the host closes the connection");
}
