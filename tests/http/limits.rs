//! How large a request may be, and in what time it must arrive.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::frames::{self, Connection};
use crate::support::socket::{connect, exchange, rest, statuses};
use crate::support::{Ask as _, TestHost, guests};

#[tokio::test(flavor = "multi_thread")]
async fn a_head_must_arrive_in_time() {
    let host = TestHost::with(|config| config.http.header_seconds = 1).await;
    let head = "GET /healthz HTTP/1.1\r\nhost: a\r\n";
    for (bytes, expected) in [
        (format!("{head}x-slow: "), &[408][..]),
        // As well where requests went before it: each has a time of its own.
        (format!("{head}\r\n{head}"), &[200, 408]),
        // A head that keeps coming is no quicker for that.
        ("G".to_owned(), &[408]),
    ] {
        let answers = exchange(host.address(), bytes.as_bytes()).await;
        assert_eq!(statuses(&answers), expected, "{bytes}: {answers}");
        assert!(answers.contains("\r\nx-request-id: "), "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_drips_is_ended_all_the_same() {
    let host = TestHost::with(|config| config.http.header_seconds = 1).await;
    let mut stream = connect(host.address()).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n").await.expect("sent");
    let (mut reading, mut writing) = stream.split();
    let mut answer = [0; 12];
    let drip = async {
        let mut every = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            every.tick().await;
            // Each byte is one more of the same header.
            if writing.write_all(b"x").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        answered = reading.read_exact(&mut answer) => assert!(answered.is_ok(), "{answered:?}"),
        () = drip => {}
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let host = TestHost::with(|config| config.http.header_seconds = 1).await;
    // Nothing at all; the beginning of HTTP/2; its whole preface with empty settings, and no request.
    for bytes in [&b""[..], b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let answer = exchange(host.address(), bytes).await;
        assert!(answer.is_empty() || !answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_between_requests_is_closed_when_it_is_idle() {
    let host = TestHost::with(|config| config.http.idle_seconds = 1).await;
    let answers = exchange(host.address(), b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(statuses(&answers), [200], "{answers}");
    // HTTP/2 says goodbye, although the client goes on sending pings.
    let mut connection = Connection::open(host.address()).await;
    connection.send(&frames::get(1, "/healthz")).await;
    assert_eq!(connection.status_of(1).await, 200);
    let ended = connection.pinging_until_the_end().await;
    assert_eq!(ended.goaway, Some(frames::NO_ERROR), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_takes_longer_than_a_connection_may_be_idle_is_answered() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hostile");
        config.captcha_reveal = false;
        config.http.idle_seconds = 1;
        config.limits.compute_milliseconds = 2_500;
    })
    .await;
    let answers = exchange(host.address(), b"GET /loop HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(statuses(&answers), [500], "{answers}");
    let mut connection = Connection::open(host.address()).await;
    connection.send(&frames::get(1, "/loop")).await;
    assert_eq!(connection.status_of(1).await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_arrive_in_time_and_whole() {
    let host = TestHost::with(|config| config.http.body_seconds = 1).await;
    let post = "POST /api/auth/login HTTP/1.1\r\nhost: a\r\n";
    for body in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let answers = exchange(host.address(), format!("{post}{body}").as_bytes()).await;
        assert_eq!(statuses(&answers), [408], "{answers}");
    }
    let mut connection = Connection::open(host.address()).await;
    connection.send(&frames::post(1, "/api/auth/login", &[], false)).await;
    assert_eq!(connection.status_of(1).await, 408);
    // In HTTP/2 the others on the connection go on.
    connection.send(&frames::get(3, "/healthz")).await;
    assert_eq!(connection.status_of(3).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_size() {
    let host = TestHost::with(|config| {
        config.http.header_bytes = 10_000;
        config.http.url_bytes = 20_000;
    })
    .await;
    let head = |bytes: usize| {
        let head = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-long: ";
        format!("{head}{}\r\n\r\n", "x".repeat(bytes - head.len() - 4))
    };
    let endless = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: {}", "x".repeat(20_000));
    let folder = format!("GET /{}", "x".repeat(20_000));
    for (head, status) in [(head(10_000), 200), (head(10_001), 431), (endless, 431), (folder, 431)]
    {
        let answers = exchange(host.address(), head.as_bytes()).await;
        assert_eq!(statuses(&answers), [status], "{} bytes: {answers}", head.len());
        assert!(answers.contains("\r\nx-request-id: "), "{answers}");
    }
    // A name and its value count 32 bytes more in HTTP/2 (RFC 9113, section 6.5.2).
    let long = |bytes: usize| [("x-long".to_owned(), "x".repeat(bytes))];
    let mut connection = Connection::open(host.address()).await;
    connection.send(&frames::get_with(1, "/healthz", &long(9_000))).await;
    assert_eq!(connection.status_of(1).await, 200);
    connection.send(&frames::get_with(3, "/healthz", &long(10_001))).await;
    assert_eq!(connection.status_of(3).await, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_so_many_headers() {
    let host = TestHost::with(|config| config.http.headers = 20).await;
    let headers = |count: usize| (0..count).map(|n| (format!("x-{n}"), "y".to_owned()));
    for (more, status) in [(18, 200), (19, 431), (500, 431)] {
        let lines: Vec<_> =
            headers(more).map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        let head = format!("GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n");
        let answers = exchange(host.address(), head.as_bytes()).await;
        assert_eq!(statuses(&answers), [status], "{more}: {answers}");
    }
    let mut connection = Connection::open(host.address()).await;
    for (stream, more, status) in [(1, 20, 200), (3, 21, 431)] {
        let headers: Vec<_> = headers(more).collect();
        connection.send(&frames::get_with(stream, "/healthz", &headers)).await;
        assert_eq!(connection.status_of(stream).await, status, "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_has_a_length() {
    let host = TestHost::with(|config| config.http.url_bytes = 1_000).await;
    let target = |bytes: usize| format!("/healthz?{}", "x".repeat(bytes - "/healthz?".len()));
    for (bytes, end, status) in [
        (1_000, " HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
        (1_001, " HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        // It is not waited for the end of what is too long already.
        (2_000, "", 414),
    ] {
        let request = format!("GET {}{end}", target(bytes));
        let answers = exchange(host.address(), request.as_bytes()).await;
        assert_eq!(statuses(&answers), [status], "{bytes}: {answers}");
    }
    let mut connection = Connection::open(host.address()).await;
    for (stream, bytes, status) in [(1, 1_000, 200), (3, 1_001, 414)] {
        connection.send(&frames::get(stream, &target(bytes))).await;
        assert_eq!(connection.status_of(stream).await, status, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_a_size_and_no_component_is_called_for_one_that_is_larger() {
    let host = TestHost::with(|config| {
        config.components = guests::guest("hostile");
        config.captcha_reveal = false;
        config.http.body_bytes = 1_000;
    })
    .await;
    let get = "GET /count HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let chunks = format!("64\r\n{}\r\n", "x".repeat(100)).repeat(11);
    for body in [
        format!("content-length: 1001\r\n\r\n{}", "x".repeat(1_001)),
        format!("transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
    ] {
        let answers = exchange(host.address(), format!("{get}{body}").as_bytes()).await;
        assert_eq!(statuses(&answers), [413], "{answers}");
    }
    let mut connection = Connection::open(host.address()).await;
    for (stream, length) in [(1, &[("content-length".to_owned(), "1001".to_owned())][..]), (3, &[])]
    {
        let head = frames::headers("POST", "/statement", length);
        let head = frames::frame(frames::HEADERS, frames::END_HEADERS, stream, &head);
        let body = frames::frame(frames::DATA, frames::END_STREAM, stream, &[b'x'; 1_001]);
        connection.send(&[head, body].concat()).await;
        assert_eq!(connection.status_of(stream).await, 413);
    }
    assert_eq!(host.get("/count").answer().await.json(), json!(1), "the first call that was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_in_the_midst_of_a_body_is_told_so() {
    let host = TestHost::on_sqlite().await;
    for body in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let mut stream = connect(host.address()).await;
        let request = format!("POST /api/auth/login HTTP/1.1\r\nhost: a\r\n{body}");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.shutdown().await.expect("no more is sent");
        let answers = rest(&mut stream).await;
        assert_eq!(statuses(&answers), [400], "{answers}");
    }
}
