//! Floods of frames that cost a client little: the connection is ended with GOAWAY, the process takes
//! hardly more memory, and others are answered meanwhile.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::command_line::folder;
use crate::support::frames::*;
use crate::support::guests;
use crate::support::serving::{Serving, serve};
use crate::support::socket::{PATIENCE, exchange, statuses};

/// Frames that are sent, unless the host ends the connection before.
const MANY: usize = 200_000;

/// Bytes by which the process may grow under a flood: far less than what is sent.
const GROWTH: u64 = 16 * 1024 * 1024;

/// The most bytes of memory that a process has had resident since a peak was forgotten.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1024
}

/// Begins a new peak, at what is resident now, which is returned (proc_pid_clear_refs(5)).
fn forget_peak(process: u32) -> u64 {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").expect("the process is ours");
    peak(process)
}

/// Sends a flood of frames, while reading what comes of it. Returns the code of the GOAWAY.
async fn flood(
    address: SocketAddr,
    first: Vec<u8>,
    frames: impl Fn(usize) -> Vec<u8>,
) -> Option<u32> {
    let mut connection = Connection::open(address).await;
    connection.send(&first).await;
    let (mut reading, mut writing) = connection.stream.into_split();
    let sending = async {
        for batch in 0..MANY / 100 {
            let frames: Vec<u8> = (0..100).flat_map(|n| frames(batch * 100 + n)).collect();
            if writing.write_all(&frames).await.is_err() {
                return;
            }
        }
    };
    let ended = async {
        let mut goaway = None;
        let mut head = [0; 9];
        while reading.read_exact(&mut head).await.is_ok() {
            let [a, b, c, kind, ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            if reading.read_exact(&mut payload).await.is_err() {
                break;
            }
            if kind == GOAWAY {
                let code = payload[4..8].try_into().expect("four bytes");
                goaway = Some(u32::from_be_bytes(code));
            }
        }
        goaway
    };
    // Done with the answer to what was sent, whether or not all of it was.
    let both = async {
        tokio::pin!(ended);
        tokio::select! {
            goaway = &mut ended => goaway,
            () = sending => ended.await,
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("the host ends the connection")
}

/// The frames of a flood, by their number.
type Frames = Box<dyn Fn(usize) -> Vec<u8>>;

/// The number of a stream of a client's.
fn odd(n: usize) -> u32 {
    u32::try_from(2 * n + 1).expect("a stream")
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_http_2_are_told_to_go_and_take_no_memory() {
    let folder = folder();
    let serving = Serving::start(serve(folder.path(), &guests::built_in()));
    let address: SocketAddr =
        serving.url.trim_start_matches("http://").parse().expect("an address");
    let block = headers("GET", "/healthz", &[]);
    let begun = frame(HEADERS, 0, 1, &block);
    let body = frame(HEADERS, END_HEADERS, 1, &headers("POST", "/api/auth/login", &[]));
    // The first requests take memory that later ones use again.
    for _ in 0..100 {
        exchange(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    }
    let before = forget_peak(serving.child.id());
    let calm = &[ENHANCE_YOUR_CALM][..];
    let go = &[NO_ERROR][..];
    let reset = |n| [get(odd(n), "/healthz"), frame(RST_STREAM, 0, odd(n), &[0, 0, 0, 8])].concat();
    // Each resets a stream by an error that the host has to tell of.
    let provoke = |n| [post(odd(n), "/", b"", false), window(odd(n), 0)].concat();
    let table = |n: usize| {
        let fields = [("x-a", "y".repeat(4_000)), ("x-b", n.to_string())];
        get_with(odd(n), "/healthz", &fields.map(|(name, value)| (name.to_owned(), value)))
    };
    let floods: Vec<(&str, Vec<u8>, Frames, &[u32])> = vec![
        ("resets", vec![], Box::new(reset), &[ENHANCE_YOUR_CALM, NO_ERROR]),
        (
            "errors that are provoked",
            vec![],
            Box::new(provoke),
            &[ENHANCE_YOUR_CALM, NO_ERROR, PROTOCOL_ERROR],
        ),
        (
            "continuations of nothing",
            begun.clone(),
            Box::new(|_| frame(CONTINUATION, 0, 1, &[])),
            calm,
        ),
        (
            "continuations",
            begun,
            Box::new(|_| frame(CONTINUATION, 0, 1, &literal("x", &"y".repeat(1_000)))),
            calm,
        ),
        (
            "data without data",
            body.clone(),
            Box::new(|_| frame(DATA, 0, 1, &[])),
            &[ENHANCE_YOUR_CALM, NO_ERROR],
        ),
        (
            "data of padding",
            body,
            Box::new(|_| frame(DATA, PADDED, 1, &[1, 0])),
            &[ENHANCE_YOUR_CALM, NO_ERROR, FLOW_CONTROL_ERROR],
        ),
        ("pings", vec![], Box::new(|_| frame(PING, 0, 0, &[0; 8])), go),
        ("settings", vec![], Box::new(|n| settings(&[(INITIAL_WINDOW_SIZE, odd(n % 1_000))])), go),
        ("acknowledgements", vec![], Box::new(|_| frame(PING, ACK, 0, &[0; 8])), go),
        ("priorities", vec![], Box::new(|n| frame(PRIORITY, 0, odd(n), &[0, 0, 0, 0, 1])), go),
        ("windows", vec![], Box::new(|_| window(0, 1)), go),
        ("frames of no known type", vec![], Box::new(|_| frame(0x42, 0, 0, &[0; 100])), go),
        ("tables of fields", vec![], Box::new(table), &[]),
    ];
    for (name, first, frames, codes) in floods {
        if codes.is_empty() {
            // No flood to end: these are requests, and answered. Only their memory counts.
            let mut connection = Connection::open(address).await;
            for n in 0..2_000 {
                connection.send(&frames(n)).await;
                assert_eq!(connection.status_of(odd(n)).await, 200, "{name}");
            }
        } else {
            let goaway = flood(address, first, frames).await;
            assert!(goaway.is_some_and(|code| codes.contains(&code)), "{name}: {goaway:?}");
        }
        let answer =
            exchange(address, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                .await;
        assert_eq!(statuses(&answer), [200], "after {name}");
        let after = peak(serving.child.id());
        assert!(after < before + GROWTH, "{name}: {before} bytes before, {after} after");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_that_never_end_take_little_memory() {
    let folder = folder();
    let mut command = serve(folder.path(), &guests::built_in());
    let settings = folder.path().join("wharf.toml");
    std::fs::write(&settings, "[http]\nbody_bytes = 100000\n").expect("settings");
    command.arg("--config").arg(settings);
    let serving = Serving::start(command);
    let address: SocketAddr =
        serving.url.trim_start_matches("http://").parse().expect("an address");
    let before = forget_peak(serving.child.id());
    let x = "x".repeat(1024 * 1024);
    let post = "POST /api/auth/login HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    let chunk = format!("100000\r\n{x}\r\n");
    for (name, bytes, expected) in [
        ("a target", format!("GET /{}", x.repeat(64)), 414),
        ("a header", format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", x.repeat(64)), 431),
        (
            "lines without an end",
            format!("GET / HTTP/1.1\r\nhost: a\r\n{}", "x: y\r\n".repeat(10_000_000)),
            431,
        ),
        ("empty lines", "\r\n".repeat(30_000_000), 414),
        ("a body", format!("{post}content-length: 67108864\r\n\r\n{}", x.repeat(64)), 413),
        (
            "chunks",
            format!("{post}transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(64)),
            413,
        ),
    ] {
        let answer = exchange(address, bytes.as_bytes()).await;
        // A client that goes on for long after it was refused may lose the answer.
        let statuses = statuses(&answer);
        assert!(statuses.is_empty() || statuses == [expected], "{name}: {answer}");
        let after = peak(serving.child.id());
        assert!(after < before + GROWTH, "{name}: {before} bytes before, {after} after");
    }
}
