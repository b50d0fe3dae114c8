//! A request that has begun when the signal comes is answered, however long its body takes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::folder;
use crate::support::guests;
use crate::support::serving::{Serving, serve};

#[test]
fn a_request_in_flight_is_answered_after_the_signal() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let mut serving = Serving::start(serve(folder.path(), &guests::built_in()));
        let address: SocketAddr =
            serving.url.trim_start_matches("http://").parse().expect("an address");
        let mut client = TcpStream::connect(address).expect("a connection");
        client.set_read_timeout(Some(Duration::from_mins(1))).expect("a time-out");
        let body = r#"{"username":"nobody-at-all","password":"wrong-password"}"#;
        let head = format!(
            "POST /api/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).expect("the head is sent");
        let mut answer = BufReader::new(client.try_clone().expect("a second handle"));
        let mut line = String::new();
        answer.read_line(&mut line).expect("a line");
        // The host asks for the body: from here on the request is in flight, without any guess at time.
        assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
        serving.signal(signal);
        wait_until_nobody_listens(address);
        client.write_all(body.as_bytes()).expect("the connection is kept");
        let mut rest = String::new();
        answer.read_to_string(&mut rest).expect("the answer, then the end");
        assert!(rest.trim_start().starts_with("HTTP/1.1 200 OK"), "{rest}");
        assert!(rest.contains("用户名或密码有误"), "{rest}");
        let code = serving.child.wait().expect("it ends").code();
        assert_eq!(code, Some(0), "{}", serving.rest());
    }
}

#[test]
fn a_request_that_does_not_end_is_cut_off() {
    let folder = folder();
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "http.drain_seconds = 1\n").expect("a file");
    let mut command = serve(folder.path(), &guests::guest("hostile"));
    command.env("WHARF_CONFIG", settings);
    let serving = Serving::start(command);
    let address = serving.url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).expect("a connection");
    let upload =
        "POST /statement HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    client.write_all(upload.as_bytes()).expect("the head is sent");
    let mut begun = [0; 12];
    client.read_exact(&mut begun).expect("the request is in flight");
    let (code, printed) = serving.stop("TERM");
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("were cut off (http.drain_seconds)"), "{printed}");
}

/// Connections are refused once the host has begun to drain.
fn wait_until_nobody_listens(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "the host stops listening");
        std::thread::yield_now();
    }
}
