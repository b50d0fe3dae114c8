//! What a call that streams may take.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::host;
use crate::support::Ask as _;
use crate::support::socket::{connect, exchange, rest, statuses};

async fn raw(host: &crate::support::TestHost, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    exchange(host.address(), request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_takes_no_longer_than_it_may() {
    let host = host(|config| {
        config.limits.stream_milliseconds = 500;
        config.limits.call_milliseconds = 400;
    })
    .await;
    let answer = raw(&host, "/proxy/drip?100").await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    let drops = answer.matches("drop ").count();
    assert!((1..100).contains(&drops) && !answer.contains("\r\n0\r\n"), "{answer}");
    // Its head must be there before that.
    assert_eq!(host.get("/proxy/silent").answer().await.status, 500);
    assert_eq!(host.get("/proxy/hello").answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_no_larger_than_it_may_be() {
    const MOST: usize = 100_000;
    let host = host(|config| config.limits.stream_response_bytes = MOST).await;
    let answer = raw(&host, "/proxy/endless").await;
    assert_eq!(statuses(&answer), [200]);
    let sent = answer.matches('x').count();
    assert!(sent <= MOST && sent > MOST / 2 && !answer.contains("\r\n0\r\n"), "{sent}");
    assert_eq!(host.get("/proxy/big?90000").answer().await.body.len(), 90_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_streams_computes_no_longer_than_others() {
    let host = host(|config| config.limits.compute_milliseconds = 300).await;
    let answer = raw(&host, "/proxy/spin").await;
    assert!(answer.contains("the first part") && !answer.contains("\r\n0\r\n"), "{answer}");
    let calls = super::host(|config| config.limits.host_calls = 1_000).await;
    let answer = raw(&calls, "/proxy/endless").await;
    assert!(statuses(&answer) == [200] && !answer.contains("\r\n0\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_no_larger_than_it_may_be_and_comes_in_time() {
    let host = host(|config| {
        config.limits.stream_request_bytes = 10_000;
        config.http.body_seconds = 1;
        config.http.body_bytes_per_second = 1_000_000;
    })
    .await;
    let post = |body: Vec<u8>| host.post("/proxy/read").body(body).answer();
    assert_eq!(post(vec![b'x'; 10_000]).await.body, "10000");
    assert_eq!(post(vec![b'x'; 10_001]).await.status, 413);
    let chunked = "POST /proxy/read HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let large = format!("{chunked}2711\r\n{}\r\n0\r\n\r\n", "x".repeat(10_001));
    assert_eq!(statuses(&exchange(host.address(), large.as_bytes()).await), [413]);
    let mut stream = connect(host.address()).await;
    stream
        .write_all(format!("{chunked}1\r\nx\r\n").as_bytes())
        .await
        .expect("the beginning is sent");
    assert_eq!(statuses(&rest(&mut stream).await), [408]);
    // What is broken off is not read as a whole.
    let mut stream = connect(host.address()).await;
    stream.write_all(format!("{chunked}1\r\nx\r\nno chunk\r\n").as_bytes()).await.expect("sent");
    assert_eq!(statuses(&rest(&mut stream).await), [400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_holds_its_place_until_it_ends() {
    let host = host(|config| {
        config.admission.group_concurrency = 1;
        config.admission.queue = 0;
        config.limits.stream_response_bytes = 1 << 40;
    })
    .await;
    let mut stream = connect(host.address()).await;
    stream.write_all(b"GET /proxy/drip?100 HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
    while host.in_components() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let refused = host.get("/proxy/hello").answer().await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    drop(stream);
    while host.in_components() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(host.get("/proxy/hello").answer().await.status, 200);
}
