//! Bodies that are on their way for as long as it takes, in both directions at once.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::host;
use crate::support::socket::{PATIENCE, connect, exchange, rest};
use crate::support::{Ask as _, TestHost};

/// Sends a request over HTTP/2, on a connection of its own.
async fn over_http2<B>(host: &TestHost, path: &str, body: B) -> Response<Incoming>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TokioIo::new(connect(host.address()).await);
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::post(format!("{}{path}", host.origin())).body(body).expect("a request");
    let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    answer.expect("an answer in time").expect("an answer")
}

/// A body that is sent piece by piece.
type Pieces = UnboundedSender<Result<Frame<Bytes>, Infallible>>;

fn pieces() -> (Pieces, impl Body<Data = Bytes, Error = Infallible> + Send + Unpin) {
    let (sender, receiver) = unbounded_channel();
    let frames = unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    (sender, StreamBody::new(Box::pin(frames)))
}

/// Reads until these bytes have come.
async fn read_until(stream: &mut TcpStream, words: &str) {
    let mut read = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&read).contains(words) {
            assert!(stream.read_buf(&mut read).await.expect("bytes") > 0, "it ended: {read:?}");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the bytes come");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_part_of_an_answer_comes_before_the_last_of_the_request_is_sent() {
    let host = host(|_| {}).await;
    let mut stream = connect(host.address()).await;
    let head = "POST /proxy/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    for part in ["first part", "second part"] {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        stream.write_all(chunk.as_bytes()).await.expect("a part is sent");
        read_until(&mut stream, part).await;
    }
    stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.expect("the end is sent");
    let answer = rest(&mut stream).await;
    assert!(answer.contains("last") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_streams_both_ways_as_well() {
    let host = host(|_| {}).await;
    let (sender, body) = pieces();
    let part = |text: &'static str| Ok(Frame::data(Bytes::from(text)));
    sender.send(part("first")).expect("a part is sent");
    let mut answer = over_http2(&host, "/proxy/echo", body).await.into_body();
    for next in ["second", "last"] {
        let frame = tokio::time::timeout(PATIENCE, answer.frame()).await.expect("a part in time");
        let data = frame.expect("a part").expect("no reset").into_data().expect("data");
        assert!(!data.is_empty());
        sender.send(part(next)).expect("a part is sent");
    }
    drop(sender);
    let rest = answer.collect().await.expect("a clean end").to_bytes();
    assert!(rest.ends_with(b"last"), "{rest:?}");
}

/// The host and the component hold a few pieces of it at a time.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_larger_than_the_memory_that_they_pass() {
    const SIZE: usize = 24 * 1024 * 1024;
    let host = host(|config| config.limits.memory_bytes = 4 * 1024 * 1024).await;
    let got = host.get(&format!("/proxy/big?{SIZE}")).send().await.expect("an answer");
    assert_eq!(got.bytes().await.expect("a body").len(), SIZE);
    let (sender, body) = pieces();
    let piece = Bytes::from(vec![b'y'; 64 * 1024]);
    for _ in 0..SIZE / piece.len() {
        sender.send(Ok(Frame::data(piece.clone()))).expect("a part is sent");
    }
    drop(sender);
    let mut answer = over_http2(&host, "/proxy/echo", body).await.into_body();
    let mut echoed = 0;
    while let Some(frame) = answer.frame().await {
        let data = frame.expect("no reset").into_data().expect("data");
        assert!(data.iter().all(|byte| *byte == b'y'));
        echoed += data.len();
    }
    assert_eq!(echoed, SIZE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_does_not_end_as_a_whole_one() {
    let host = host(|_| {}).await;
    for path in ["/proxy/trap", "/proxy/unfinished"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = exchange(host.address(), request.as_bytes()).await;
        assert!(answer.contains("the first part"), "{path}: {answer}");
        assert!(!answer.contains("\r\n0\r\n"), "{path}: {answer}");
        let body = over_http2(&host, path, Full::default()).await.into_body();
        let ended = body.collect().await;
        assert!(ended.is_err(), "{path}: {ended:?}");
        assert_eq!(host.get("/proxy/hello").answer().await.status, 200);
    }
    let answer = over_http2(&host, "/proxy/spin", Full::default()).await;
    assert_eq!(answer.status(), 200);
    let ended = answer.into_body().collect().await;
    let reset = format!("{:?}", ended.expect_err("it broke off"));
    assert!(reset.contains("INTERNAL_ERROR"), "{reset}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_component() {
    let host = host(|config| {
        config.limits.stream_response_bytes = 1 << 40;
        config.limits.host_calls = 1 << 40;
    })
    .await;
    let mut stream = connect(host.address()).await;
    stream.write_all(b"GET /proxy/endless HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    read_until(&mut stream, "xxxx").await;
    assert_eq!(host.in_components(), 1);
    drop(stream);
    let mut body = over_http2(&host, "/proxy/endless", Full::default()).await.into_body();
    body.frame().await.expect("a part").expect("no reset");
    drop(body);
    let gone = async {
        while host.in_components() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_goes_on_when_its_answer_is_sent() {
    let (address, mut asked) =
        super::outbound::upstream("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let host = host(|config| super::outbound::open(config, &[&address.to_string()])).await;
    let answer = host.get(&format!("/proxy/after?http://{address}/told")).answer().await;
    assert_eq!(answer.body, "answered");
    let told = tokio::time::timeout(PATIENCE, asked.recv()).await.expect("it calls");
    assert!(told.expect("a request").starts_with("GET /told HTTP/1.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_does_not_cost_the_answer() {
    let host = host(|_| {}).await;
    let mut stream = connect(host.address()).await;
    let length = 2 * 1024 * 1024;
    let head = format!(
        "POST /proxy/ignore HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    let (mut reading, mut writing) = stream.into_split();
    let sending = async {
        let _ = writing.write_all(&vec![b'x'; length]).await;
    };
    let (answer, ()) = tokio::join!(rest(&mut reading), sending);
    assert!(answer.ends_with("not read"), "{answer}");
}
