//! What no HTTP library sends: request lines and headers, byte by byte.

use crate::support::TestHost;
use crate::support::socket::exchange;

/// The status of the first answer; 0 where the connection was closed without one.
fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").map_or(0, |rest| rest[..3].parse().expect("a status"))
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_targets_are_answered_without_a_failure() {
    let host = TestHost::on_sqlite().await;
    for (target, expected) in [
        ("/api/../api/response_code", 404),
        ("//api/response_code", 404),
        ("/api//response_code", 404),
        ("/api/response_code/", 404),
        ("/API/response_code", 404),
        ("/api/response%5Fcode", 404),
        ("/api/response_code?%", 200),
        ("/api/response_code?a?b#c", 200),
        ("/api/response_code;a=b", 404),
        ("http://other.example/api/response_code", 200),
        ("/api/user_info/%c3%28", 405),
        ("/api/user_info/%00", 405),
        ("/api/user_info/..%2f..", 405),
        ("/api/user_info/a%0d%0ax:y", 405),
        ("*", 404),
        ("", 400),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = exchange(host.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
    }
    for line in [
        &b"GET /api/\xff\xfe HTTP/1.1"[..],
        b"GET /api/\0 HTTP/1.1",
        b"GET /api/response code HTTP/1.1",
        b"GET /api/response_code HTTP/9.9",
        b"OPTIONS * HTTP/1.1",
        b"CONNECT other.example:80 HTTP/1.1",
        b"\xff\xff\xff\xff",
    ] {
        let request = [line, b"\r\nhost: a\r\nconnection: close\r\n\r\n"].concat();
        let answer = exchange(host.address(), &request).await;
        assert!(status(&answer) < 500, "{}: {answer}", line.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_headers_are_answered_without_a_failure() {
    let host = TestHost::on_sqlite().await;
    let token = host.admin().await;
    for header in [
        &b"host: a b"[..],
        b"host: user:password@a",
        b"host: [::1",
        b"host: \xff",
        b"host:",
        b"host: a/b?c#d",
        b"x: y",
        b"host: a\r\nhost: b",
        b"host: a\r\ncontent-type: \xff",
        b"host: a\r\ncookie: token=\xff; token",
        b"host: a\r\ncookie: ;;=;token=",
        b"host: a\r\norigin: \xff",
    ] {
        let authorization =
            format!("\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        let request =
            [b"GET /api/user_info HTTP/1.1\r\n", header, authorization.as_bytes()].concat();
        let answer = exchange(host.address(), &request).await;
        assert!(matches!(status(&answer), 200 | 400), "{}: {answer}", header.escape_ascii());
    }
    for value in [&b"Bearer \xff\xfe"[..], b"Bearer", b"Bearer  ", b"bearer\ta.b.c", b"\xff"] {
        let request = [
            b"GET /api/auth/me HTTP/1.1\r\nhost: a\r\nconnection: close\r\nauthorization: ",
            value,
            b"\r\n\r\n",
        ]
        .concat();
        let answer = exchange(host.address(), &request).await;
        assert_eq!(status(&answer), 401, "{}: {answer}", value.escape_ascii());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_has_the_same_limit() {
    let host = TestHost::with(|config| config.http.body_bytes = 1000).await;
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    for (chunks, expected) in [(10, 200), (11, 413), (500, 413)] {
        let request = format!(
            "POST /api/auth/login?username=a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(chunks)
        );
        let answer = exchange(host.address(), request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{chunks} chunks: {answer}");
    }
}
