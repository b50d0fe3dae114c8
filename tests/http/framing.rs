//! Requests that could be read in two ways (RFC 9112): one answer, the connection closed, and nothing that
//! stands behind them answered.

use tokio::io::AsyncWriteExt as _;

use crate::support::TestHost;
use crate::support::socket::{connect, exchange, rest, statuses, trickle};

/// What an attacker hides behind a request.
const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nhost: hidden\r\n\r\n";

/// Heads that are refused, each with a rest that is a request of its own if the head is misread.
const REFUSED_HEADS: &[(&str, &str)] = &[
    (
        "length, then chunks",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks, then length",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 3\r\n\r\nabc",
    ),
    (
        "the same length twice",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
    ),
    ("a list of lengths", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 3\r\n\r\nabc"),
    ("a length with a sign", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc"),
    ("a negative length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -3\r\n\r\nabc"),
    ("a length in hexadecimal", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x3\r\n\r\nabc"),
    ("a length in two words", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0 3\r\n\r\nabc"),
    ("an empty length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\nabc"),
    (
        "a length beyond 64 bits",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551619\r\n\r\nabc",
    ),
    (
        "the highest length",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551615\r\n\r\nabc",
    ),
    ("identity", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n"),
    (
        "chunked twice in a line",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice in two lines",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked, then identity",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding before chunked",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "almost chunked",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked in quotes",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked behind a vertical tab",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    ("an empty coding", "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n"),
    (
        "chunks in HTTP/1.0",
        "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("LF at the end of the request line", "GET / HTTP/1.1\nhost: a\r\n\r\n"),
    ("LF at the end of a header", "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n"),
    ("LF at the end of the head", "GET / HTTP/1.1\r\nhost: a\r\n\n"),
    ("LF alone", "GET / HTTP/1.1\nhost: a\n\n"),
    ("LF in front", "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("CR in a value", "GET / HTTP/1.1\r\nhost: a\r\nx: y\rz\r\n\r\n"),
    ("CR CR LF", "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\r\n\r\n"),
    ("a folded header", "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n"),
    ("a folded length", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n 3\r\n\r\nabc"),
    ("a folded first header", "GET / HTTP/1.1\r\n host: a\r\n\r\n"),
    ("a space before the colon", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length : 3\r\n\r\nabc"),
    (
        "a tab before the colon",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("a header without a colon", "GET / HTTP/1.1\r\nhost: a\r\nx\r\n\r\n"),
    ("a header without a name", "GET / HTTP/1.1\r\nhost: a\r\n: y\r\n\r\n"),
    ("NUL in a value", "GET / HTTP/1.1\r\nhost: a\r\nx: y\0z\r\n\r\n"),
    ("NUL in a name", "GET / HTTP/1.1\r\nhost: a\r\nx\0: y\r\n\r\n"),
    ("a control character in a value", "GET / HTTP/1.1\r\nhost: a\r\nx: y\x01z\r\n\r\n"),
    ("no host", "GET / HTTP/1.1\r\nx: y\r\n\r\n"),
    ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
    ("the same host twice", "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n"),
    ("a host with a path", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
    ("a host with a user", "GET / HTTP/1.1\r\nhost: a@b\r\n\r\n"),
    ("no version", "GET /\r\nhost: a\r\n\r\n"),
    ("a version that is none", "GET / HTTP/1.2.3\r\nhost: a\r\n\r\n"),
    ("HTTP/2 in the clothes of HTTP/1", "GET / HTTP/2.0\r\nhost: a\r\n\r\n"),
    ("a space in the target", "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n"),
    ("no HTTP", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_answered() {
    let host = TestHost::on_sqlite().await;
    for (name, head) in REFUSED_HEADS {
        let bytes = format!("{head}{HIDDEN}");
        // The same whichever way the network cuts it.
        for answers in [
            exchange(host.address(), bytes.as_bytes()).await,
            trickle(host.address(), bytes.as_bytes()).await,
        ] {
            assert_eq!(statuses(&answers), [400], "{name}: {answers}");
            let has_id = answers.contains("\r\nx-request-id: ");
            assert!(has_id && answers.contains("\r\nconnection: close\r\n"), "{name}: {answers}");
            assert!(answers.contains(r#"{"message":"Bad Request: "#), "{name}: {answers}");
        }
    }
}

/// Bodies that break off in the midst of their chunks, and a request behind them.
const BROKEN_BODIES: &[(&str, &str)] = &[
    ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ("no number", "x\r\nabc\r\n0\r\n\r\n"),
    ("a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
    ("a size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("a size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("a size of seventeen digits", "00000000000000003\r\nabc\r\n0\r\n\r\n"),
    ("a space before the size", " 3\r\nabc\r\n0\r\n\r\n"),
    ("a space behind the size", "3 \r\nabc\r\n0\r\n\r\n"),
    ("LF behind the size", "3\nabc\r\n0\r\n\r\n"),
    ("CR alone behind the size", "3\rabc\r\n0\r\n\r\n"),
    ("LF in an extension", "3;a\nabc\r\n0\r\n\r\n"),
    ("LF behind the data", "3\r\nabc\n0\r\n\r\n"),
    ("nothing behind the data", "3\r\nabc0\r\n\r\n"),
    ("more data than was said", "3\r\nabcd\r\n0\r\n\r\n"),
    ("LF behind the last chunk", "3\r\nabc\r\n0\n\r\n"),
    ("LF behind a trailer", "3\r\nabc\r\n0\r\nx: y\n\r\n"),
    ("LF at the end", "3\r\nabc\r\n0\r\n\n"),
    ("a folded trailer", "3\r\nabc\r\n0\r\n x: y\r\n\r\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_chunks_are_broken_is_refused_and_nothing_behind_it_is_answered() {
    let host = TestHost::on_sqlite().await;
    let head =
        "POST /api/auth/login?username=a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = [
        ("long extensions", format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(20_000))),
        ("long trailers", format!("0\r\nx: {}\r\n\r\n", "x".repeat(20_000))),
        ("many trailers", format!("0\r\n{}\r\n", "x: y\r\n".repeat(200))),
    ];
    let long = long.iter().map(|(name, body)| (*name, body.as_str()));
    for (name, body) in BROKEN_BODIES.iter().copied().chain(long) {
        let bytes = format!("{head}{body}{HIDDEN}");
        let answers = exchange(host.address(), bytes.as_bytes()).await;
        assert_eq!(statuses(&answers), [400], "{name}: {answers}");
        if bytes.len() < 1000 {
            let answers = trickle(host.address(), bytes.as_bytes()).await;
            assert_eq!(statuses(&answers), [400], "{name}: {answers}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_order_is_answered() {
    let host = TestHost::on_sqlite().await;
    let last = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let post = "POST /api/auth/login?username=a HTTP/1.1\r\nhost: a\r\n";
    for (name, first, status) in [
        ("an empty line in front", "\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), 200),
        (
            "an absolute target and another host",
            "GET http://b/healthz HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            200,
        ),
        ("no space behind the colon", "GET /healthz HTTP/1.1\r\nHOST:a\r\n\r\n".to_owned(), 200),
        ("spaces around a value", "GET /healthz HTTP/1.1\r\nhost: \t a \t\r\n\r\n".to_owned(), 200),
        ("an empty host", "GET /healthz HTTP/1.1\r\nhost:\r\n\r\n".to_owned(), 200),
        ("a host of IPv6", "GET /healthz HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n".to_owned(), 200),
        (
            "HTTP/1.0 that stays",
            "GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n".to_owned(),
            200,
        ),
        ("a length with zeros", format!("{post}content-length: 003\r\n\r\na=b"), 200),
        ("no body", format!("{post}content-length: 0\r\n\r\n"), 200),
        (
            "chunks",
            format!("{post}transfer-encoding: Chunked\r\n\r\n1\r\na\r\n2\r\n=b\r\n0\r\n\r\n"),
            200,
        ),
        (
            "an extension",
            format!("{post}transfer-encoding: chunked\r\n\r\n3;a=\"b c\"\r\na=b\r\n0;d\r\n\r\n"),
            200,
        ),
        (
            "a long size",
            format!(
                "{post}transfer-encoding: chunked\r\n\r\n00000000000000a\r\n0123456789\r\n0\r\n\r\n"
            ),
            200,
        ),
        (
            "trailers, which nobody reads",
            format!(
                "{post}transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 9\r\nhost: b\r\n\r\n"
            ),
            200,
        ),
        (
            "a request for an upgrade",
            "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
                .to_owned(),
            200,
        ),
    ] {
        let bytes = format!("{first}{last}");
        for answers in [
            exchange(host.address(), bytes.as_bytes()).await,
            trickle(host.address(), bytes.as_bytes()).await,
        ] {
            assert_eq!(statuses(&answers), [status, 200], "{name}: {answers}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_before_a_refused_one_are_answered_in_their_order() {
    let host = TestHost::on_sqlite().await;
    let good = "GET /readyz HTTP/1.1\r\nhost: a\r\n\r\nPOST /api/auth/login?username=a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\na=b";
    let bad = "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n";
    let answers = exchange(host.address(), format!("{good}{bad}{HIDDEN}").as_bytes()).await;
    assert_eq!(statuses(&answers), [200, 200, 400], "{answers}");
    // A client that sends the request that stands in for a refused one learns nothing by it.
    let stand_in = "REFUSED / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
    let answers = exchange(host.address(), stand_in.as_bytes()).await;
    assert_eq!(statuses(&answers), [404], "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_still_sends_after_being_refused_is_told_why() {
    let host = TestHost::on_sqlite().await;
    let mut stream = connect(host.address()).await;
    stream.write_all(b"GET / HTTP/1.1\nhost: a\n\n").await.expect("sent");
    // What is under way when the host has decided must not turn the answer into a reset.
    stream.write_all(&vec![b'x'; 300_000]).await.expect("sent");
    stream.shutdown().await.expect("no more is sent");
    let answers = rest(&mut stream).await;
    assert_eq!(statuses(&answers), [400], "{answers}");
    assert!(answers.contains("a line ends in LF without CR"), "{answers}");
}
