//! HTTP/2 by the letter of RFC 9113: what a client may not send, frame by frame, and what is made of it.
//! The sections are named as in h2spec, whose cases these follow.

use crate::support::TestHost;
use crate::support::frames::*;

/// What must come of it.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The whole connection is ended with one of these codes.
    ConnectionError(&'static [u32]),
    /// The stream is reset with one of these codes, or the connection ended with it.
    StreamError(&'static [u32]),
    /// The stream is answered.
    Answered(u32, u16),
    /// A ping is acknowledged that was sent behind it: nothing was wrong.
    Ignored,
}
use Expected::{Answered, ConnectionError, Ignored, StreamError};

const PROTOCOL: Expected = ConnectionError(&[PROTOCOL_ERROR]);
// H2 tells some sizes and windows that are wrong by the code for everything else that is.
const SIZE: Expected = ConnectionError(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]);
const FLOW: Expected = ConnectionError(&[FLOW_CONTROL_ERROR, PROTOCOL_ERROR]);
const MALFORMED: Expected = StreamError(&[PROTOCOL_ERROR]);
// H2 forgets streams that have ended, and takes what still comes for them as for none.
const ENDED: Expected = StreamError(&[STREAM_CLOSED, PROTOCOL_ERROR]);
/// A route that takes a body, and answers 200 whatever is in it.
const LOGIN: &str = "/api/auth/login?username=a";
const WHOLE: u8 = END_STREAM | END_HEADERS;

/// The payload of a ping whose acknowledgement shows that nothing was wrong.
const MARK: &[u8; 8] = b"the mark";

async fn check(host: &TestHost, name: &str, frames: &[Vec<u8>], expected: Expected) {
    let mut connection = Connection::open(host.address()).await;
    connection.send(&frames.concat()).await;
    match expected {
        Ignored => {
            connection.send(&frame(PING, 0, 0, MARK)).await;
            let pong =
                connection.wait_for(|frame| frame.kind == PING && frame.payload == MARK).await;
            assert_eq!(pong.map(|pong| pong.flags), Some(ACK), "{name}");
        }
        Answered(stream, status) => {
            assert_eq!(connection.status_of(stream).await, status, "{name}");
        }
        ConnectionError(codes) => {
            let ended = connection.end().await;
            assert!(ended.goaway.is_some_and(|code| codes.contains(&code)), "{name}: {ended:?}");
        }
        StreamError(codes) => {
            let told = connection.wait_for(|frame| matches!(frame.kind, RST_STREAM | GOAWAY)).await;
            let code = told.as_ref().map(Frame::code);
            assert!(code.is_some_and(|code| codes.contains(&code)), "{name}: {told:?}");
        }
    }
}

async fn check_all(cases: Vec<(&str, Vec<Vec<u8>>, Expected)>) {
    let host = TestHost::on_sqlite().await;
    for (name, frames, expected) in cases {
        check(&host, name, &frames, expected).await;
        // Whatever one connection is told, others go on.
        let mut other = Connection::open(host.address()).await;
        other.send(&get(1, "/healthz")).await;
        assert_eq!(other.status_of(1).await, 200, "after {name}");
    }
}

fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

/// The frame of a request with these fields and no body.
fn request(of: &[(&str, &str)]) -> Vec<Vec<u8>> {
    vec![frame(HEADERS, WHOLE, 1, &fields(of))]
}

/// The same with fields behind those that every request has.
fn request_with(more: &[(&str, &str)]) -> Vec<Vec<u8>> {
    let owned: Vec<_> =
        more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    vec![get_with(1, "/healthz", &owned)]
}

/// The head of a request whose body has not begun.
fn begun(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &headers("POST", LOGIN, &[]))
}

fn begun_with_length(stream: u32, length: &str) -> Vec<u8> {
    let length = [("content-length".to_owned(), length.to_owned())];
    frame(HEADERS, END_HEADERS, stream, &headers("POST", LOGIN, &length))
}

fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_and_their_sizes() {
    let block = headers("GET", "/healthz", &[]);
    check_all(vec![
        ("4.1 a frame of an unknown type", vec![frame(0x16, 0xff, 0, &[0; 8])], Ignored),
        ("4.1 flags that have no meaning", vec![frame(PING, 0x16, 0, &[0; 8])], Ignored),
        ("4.1 the reserved bit", vec![frame(PING, 0, 1 << 31, &[0; 8])], Ignored),
        (
            "4.2 data of the largest size",
            vec![begun(1), data(1, END_STREAM, &[b'x'; 16_384])],
            Answered(1, 200),
        ),
        ("4.2 data that are too large", vec![begun(1), data(1, END_STREAM, &[b'x'; 16_385])], SIZE),
        ("4.2 a head that is too large", vec![frame(HEADERS, WHOLE, 1, &[0; 16_385])], SIZE),
        ("4.2 a ping that is far too large", vec![frame(PING, 0, 0, &[0; 20_000])], SIZE),
        (
            "4.3 a head that cannot be decoded",
            vec![frame(HEADERS, WHOLE, 1, &[0xff; 16])],
            ConnectionError(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        (
            "4.3 an index that is none",
            vec![frame(HEADERS, WHOLE, 1, &[0xbf])],
            ConnectionError(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        (
            "4.3 a table that is larger than allowed",
            vec![frame(HEADERS, WHOLE, 1, &[&[0x3f, 0xe2, 0x3f], &block[..]].concat())],
            ConnectionError(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        (
            "4.3 a head with another frame within",
            vec![
                frame(HEADERS, END_STREAM, 1, &block[..5]),
                frame(PING, 0, 0, &[0; 8]),
                frame(CONTINUATION, END_HEADERS, 1, &block[5..]),
            ],
            PROTOCOL,
        ),
        (
            "4.3 a head with an unknown frame within",
            vec![
                frame(HEADERS, END_STREAM, 1, &block[..5]),
                frame(0x16, 0, 0, &[]),
                frame(CONTINUATION, END_HEADERS, 1, &block[5..]),
            ],
            PROTOCOL,
        ),
        (
            "4.3 a head with another head within",
            vec![frame(HEADERS, END_STREAM, 1, &block), frame(HEADERS, WHOLE, 3, &block)],
            PROTOCOL,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_their_states() {
    check_all(vec![
        ("5.1 data on an idle stream", vec![data(1, END_STREAM, b"x")], PROTOCOL),
        ("5.1 a reset of an idle stream", vec![frame(RST_STREAM, 0, 1, &[0; 4])], PROTOCOL),
        ("5.1 window for an idle stream", vec![window(1, 100)], PROTOCOL),
        ("5.1 a continuation of nothing", vec![frame(CONTINUATION, END_HEADERS, 1, &[])], PROTOCOL),
        ("5.1 data after the end", vec![get(1, "/api/auth/me"), data(1, END_STREAM, b"x")], ENDED),
        ("5.1 a head after the end", vec![get(1, "/api/auth/me"), get(1, "/healthz")], ENDED),
        (
            "5.1 data after a reset",
            vec![begun(1), frame(RST_STREAM, 0, 1, &[0; 4]), data(1, END_STREAM, b"x")],
            ENDED,
        ),
        (
            "5.1 a head after a reset",
            vec![begun(1), frame(RST_STREAM, 0, 1, &[0; 4]), get(1, "/healthz")],
            ENDED,
        ),
        ("5.1 window after the end", vec![get(1, "/healthz"), window(1, 100)], Answered(1, 200)),
        (
            "5.1 a priority of an idle stream",
            vec![frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 1])],
            Ignored,
        ),
        ("5.1.1 an even stream", vec![get(2, "/healthz")], PROTOCOL),
        (
            "5.1.1 a stream before the last",
            vec![get(5, "/healthz"), get(3, "/healthz")],
            ConnectionError(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        ("5.1.1 streams that are passed over", vec![get(9, "/healthz")], Answered(9, 200)),
        (
            "5.1.2 more streams than may be",
            (0..101).map(|n| begun(1 + 2 * n)).collect(),
            StreamError(&[REFUSED_STREAM]),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_heads_priorities_and_resets() {
    let block = headers("GET", "/healthz", &[]);
    let padded = [&[3][..], &block, &[0; 3]].concat();
    let with_priority = [&[0, 0, 0, 0, 16][..], &block].concat();
    check_all(vec![
        ("6.1 data on no stream", vec![data(0, 0, b"x")], PROTOCOL),
        (
            "6.1 padding",
            vec![begun(1), data(1, END_STREAM | PADDED, b"\x02xyz\0\0")],
            Answered(1, 200),
        ),
        (
            "6.1 nothing but padding",
            vec![begun(1), data(1, END_STREAM | PADDED, b"\x02\0\0")],
            Answered(1, 200),
        ),
        (
            "6.1 more padding than data",
            vec![begun(1), data(1, END_STREAM | PADDED, b"\x05xyz")],
            PROTOCOL,
        ),
        (
            "6.1 no room for the length of the padding",
            vec![begun(1), data(1, END_STREAM | PADDED, b"")],
            ConnectionError(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        ("6.2 a head on no stream", vec![frame(HEADERS, WHOLE, 0, &block)], PROTOCOL),
        ("6.2 a padded head", vec![frame(HEADERS, WHOLE | PADDED, 1, &padded)], Answered(1, 200)),
        (
            "6.2 more padding than head",
            vec![frame(HEADERS, WHOLE | PADDED, 1, &[200, 0x82])],
            PROTOCOL,
        ),
        (
            "6.2 a head with a priority",
            vec![frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &with_priority)],
            Answered(1, 200),
        ),
        (
            "6.2 a stream that depends on itself",
            vec![frame(
                HEADERS,
                WHOLE | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 1, 16][..], &block].concat(),
            )],
            MALFORMED,
        ),
        ("6.3 a priority of no stream", vec![frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1])], PROTOCOL),
        (
            "6.3 a priority of another size",
            vec![frame(PRIORITY, 0, 1, &[0; 4])],
            StreamError(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
        ),
        ("6.4 a reset of no stream", vec![frame(RST_STREAM, 0, 0, &[0; 4])], PROTOCOL),
        ("6.4 a reset of another size", vec![begun(1), frame(RST_STREAM, 0, 1, &[0; 3])], SIZE),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_pushes_pings_and_farewells() {
    check_all(vec![
        (
            "6.5 an acknowledgement that says something",
            vec![frame(SETTINGS, ACK, 0, &[0; 6])],
            SIZE,
        ),
        ("6.5 settings of a stream", vec![frame(SETTINGS, 0, 1, &[])], PROTOCOL),
        ("6.5 settings of another size", vec![frame(SETTINGS, 0, 0, &[0; 3])], SIZE),
        ("6.5.2 a push that is neither on nor off", vec![settings(&[(ENABLE_PUSH, 2)])], PROTOCOL),
        (
            "6.5.2 a window that is too large",
            vec![settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)])],
            FLOW,
        ),
        ("6.5.2 frames that are too small", vec![settings(&[(MAX_FRAME_SIZE, 16_383)])], PROTOCOL),
        ("6.5.2 frames that are too large", vec![settings(&[(MAX_FRAME_SIZE, 1 << 24)])], PROTOCOL),
        ("6.5.2 a setting that nobody knows", vec![settings(&[(0xff, 1)])], Ignored),
        (
            "6.6 a push from a client",
            vec![frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[&[0, 0, 0, 2][..], &headers("GET", "/", &[])].concat(),
            )],
            PROTOCOL,
        ),
        ("6.7 a ping", vec![frame(PING, 0, 0, &[0; 8])], Ignored),
        ("6.7 an acknowledgement of no ping", vec![frame(PING, ACK, 0, &[0; 8])], Ignored),
        ("6.7 a ping of a stream", vec![frame(PING, 0, 1, &[0; 8])], PROTOCOL),
        ("6.7 a ping of another size", vec![frame(PING, 0, 0, &[0; 6])], SIZE),
        ("6.8 a farewell of a stream", vec![frame(GOAWAY, 0, 1, &[0; 8])], PROTOCOL),
        (
            "6.8 a farewell with a request in flight",
            vec![get(1, "/healthz"), frame(GOAWAY, 0, 0, &[0; 8])],
            Answered(1, 200),
        ),
    ])
    .await;
    let host = TestHost::on_sqlite().await;
    let mut connection = Connection::open(host.address()).await;
    let is_ack = |frame: &Frame| frame.kind == SETTINGS && frame.flags & ACK == ACK;
    assert!(connection.wait_for(is_ack).await.is_some(), "6.5.3 settings are acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows() {
    const MOST: u32 = (1 << 31) - 1;
    check_all(vec![
        ("6.9 no more window for the connection", vec![window(0, 0)], PROTOCOL),
        ("6.9 no more window for a stream", vec![begun(1), window(1, 0)], MALFORMED),
        ("6.9 a window update of another size", vec![frame(WINDOW_UPDATE, 0, 0, &[0; 3])], SIZE),
        (
            "6.9.1 more window than can be, for the connection",
            vec![window(0, MOST), window(0, MOST)],
            FLOW,
        ),
        (
            "6.9.1 more window than can be, for a stream",
            vec![begun(1), window(1, MOST), window(1, MOST)],
            StreamError(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.2 settings that make a window too large",
            vec![begun(1), window(1, MOST - 65_535), settings(&[(INITIAL_WINDOW_SIZE, 65_536)])],
            FLOW,
        ),
    ])
    .await;
    let host = TestHost::on_sqlite().await;
    let mut connection = Connection::open_with(host.address(), &[(INITIAL_WINDOW_SIZE, 1)]).await;
    connection.send(&get(1, "/healthz")).await;
    let is_data = |frame: &Frame| frame.kind == DATA;
    let first = connection.wait_for(is_data).await.expect("a byte");
    assert_eq!((first.payload.len(), first.flags), (1, 0), "6.9.1 no more than the window");
    // 6.9.2: the window of a stream that is open shrinks below nothing, and has to be filled first.
    connection.send(&[settings(&[(INITIAL_WINDOW_SIZE, 0)]), window(1, 2)].concat()).await;
    let second = connection.wait_for(is_data).await.expect("one more byte");
    assert_eq!(second.payload.len(), 1);
    connection.send(&window(1, 1_000)).await;
    let rest = connection.wait_for(is_data).await.expect("the rest");
    assert_eq!(rest.flags & END_STREAM, END_STREAM);
    let whole = [first.payload, second.payload, rest.payload].concat();
    assert_eq!(whole, br#"{"status":"ok"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn continuations() {
    let block = headers("GET", "/healthz", &[]);
    let head = |flags, bytes: &[u8]| frame(HEADERS, END_STREAM | flags, 1, bytes);
    let more = |stream, flags, bytes: &[u8]| frame(CONTINUATION, flags, stream, bytes);
    check_all(vec![
        (
            "6.10 a head in four frames",
            vec![
                head(0, &block[..1]),
                more(1, 0, &block[1..9]),
                more(1, 0, &[]),
                more(1, END_HEADERS, &block[9..]),
            ],
            Answered(1, 200),
        ),
        (
            "6.10 a continuation on no stream",
            vec![head(0, &block), more(0, END_HEADERS, &[])],
            PROTOCOL,
        ),
        (
            "6.10 a continuation on another stream",
            vec![head(0, &block), more(3, END_HEADERS, &[])],
            PROTOCOL,
        ),
        (
            "6.10 a continuation after the end",
            vec![head(END_HEADERS, &block), more(1, END_HEADERS, &[])],
            PROTOCOL,
        ),
        (
            "6.10 a continuation after data",
            vec![begun(1), data(1, 0, b"x"), more(1, END_HEADERS, &[])],
            PROTOCOL,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_their_bodies() {
    let trailers = |flags, of: &[(&str, &str)]| frame(HEADERS, END_HEADERS | flags, 1, &fields(of));
    check_all(vec![
        (
            "8.1 trailers",
            vec![begun(1), data(1, 0, b"a=b"), trailers(END_STREAM, &[("x", "y")])],
            Answered(1, 200),
        ),
        (
            "8.1 trailers that are not the end",
            vec![begun(1), data(1, 0, b"a=b"), trailers(0, &[("x", "y")])],
            MALFORMED,
        ),
        (
            "8.1 pseudo-fields among the trailers, which nobody reads",
            vec![begun(1), data(1, 0, b"a=b"), trailers(END_STREAM, &[(":method", "GET")])],
            Answered(1, 200),
        ),
        (
            "8.1.1 less data than was said",
            vec![begun_with_length(1, "4"), data(1, END_STREAM, b"a=b")],
            MALFORMED,
        ),
        (
            "8.1.1 more data than was said",
            vec![begun_with_length(1, "2"), data(1, END_STREAM, b"a=b")],
            MALFORMED,
        ),
        (
            "8.1.1 more data than was said, in two frames",
            vec![begun_with_length(1, "2"), data(1, 0, b"a="), data(1, END_STREAM, b"b")],
            MALFORMED,
        ),
        (
            "8.1.1 no data where some were said",
            vec![frame(
                HEADERS,
                WHOLE,
                1,
                &headers("POST", LOGIN, &[("content-length".to_owned(), "1".to_owned())]),
            )],
            MALFORMED,
        ),
        (
            "8.1.1 two lengths",
            request_with(&[("content-length", "0"), ("content-length", "1")]),
            MALFORMED,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_the_fields_that_they_may_not_have() {
    let pseudo =
        [(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "a")];
    let without = |name: &str| {
        let rest: Vec<_> = pseudo.iter().copied().filter(|(other, _)| *other != name).collect();
        request(&rest)
    };
    check_all(vec![
        ("8.2 a name in capitals", request_with(&[("X-Y", "z")]), MALFORMED),
        ("8.2.1 a name with a space", request_with(&[("x y", "z")]), MALFORMED),
        ("8.2.1 a value with LF", request_with(&[("x", "y\nz: w")]), MALFORMED),
        ("8.2.1 a value with CR", request_with(&[("x", "y\rz")]), MALFORMED),
        ("8.2.1 a value with NUL", request_with(&[("x", "y\0z")]), MALFORMED),
        ("8.2.2 connection", request_with(&[("connection", "keep-alive")]), MALFORMED),
        ("8.2.2 transfer-encoding", request_with(&[("transfer-encoding", "chunked")]), MALFORMED),
        ("8.2.2 upgrade", request_with(&[("upgrade", "h2c")]), MALFORMED),
        ("8.2.2 keep-alive", request_with(&[("keep-alive", "1")]), MALFORMED),
        ("8.2.2 proxy-connection", request_with(&[("proxy-connection", "close")]), MALFORMED),
        (
            "8.2.2 te with anything but trailers",
            request_with(&[("te", "trailers, deflate")]),
            MALFORMED,
        ),
        ("8.2.2 te with trailers", request_with(&[("te", "trailers")]), Answered(1, 200)),
        ("8.3 an unknown pseudo-field", request_with(&[(":x", "y")]), MALFORMED),
        ("8.3 a pseudo-field of answers", request_with(&[(":status", "200")]), MALFORMED),
        (
            "8.3 a pseudo-field behind others",
            request(&[(":method", "GET"), ("x", "y"), (":scheme", "http"), (":path", "/healthz")]),
            MALFORMED,
        ),
        ("8.3.1 no method", without(":method"), MALFORMED),
        ("8.3.1 no scheme", without(":scheme"), MALFORMED),
        ("8.3.1 no path", without(":path"), MALFORMED),
        (
            "8.3.1 an empty path",
            request(&[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")]),
            MALFORMED,
        ),
        ("8.3.1 two methods", request_with(&[(":method", "GET")]), MALFORMED),
        ("8.3.1 two paths", request_with(&[(":path", "/healthz")]), MALFORMED),
        (
            "8.3.1 a path that is none",
            request(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "a b"),
                (":authority", "a"),
            ]),
            MALFORMED,
        ),
        (
            "8.3.1 a host in place of an authority",
            request(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/healthz"),
                ("host", "a"),
            ]),
            Answered(1, 200),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_that_is_none_is_no_http() {
    use crate::support::socket::{exchange, statuses};
    let host = TestHost::on_sqlite().await;
    for preface in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\nhost: a\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n",
    ] {
        let answers = exchange(host.address(), preface).await;
        assert_eq!(statuses(&answers), [400], "{}: {answers}", preface.escape_ascii());
    }
    // 3.4: the first frame of a client holds its settings.
    let mut connection = Connection::connect(host.address()).await;
    connection.send(&[PREFACE, &get(1, "/healthz")].concat()).await;
    assert!(connection.next().await.is_none(), "closed without an answer");
}
