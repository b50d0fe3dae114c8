//! A component that speaks `wasi:http/proxy` and nothing of this wharf's: it streams, calls out, and breaks off.

#![cfg(target_family = "wasm")]

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

wasip2::http::proxy::export!(Proxy);

struct Proxy;

/// Bytes that `blocking-write-and-flush` takes at once.
const PIECE: usize = 4096;

/// Nanoseconds in which what was written is sent.
const MOMENT: u64 = 50_000_000;

impl wasip2::exports::http::incoming_handler::Guest for Proxy {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/hello" => whole(out, "hello"),
            "/headers" => whole(out, &told(&request)),
            "/echo" => echo(&request, out),
            "/ignore" => whole(out, "not read"),
            "/read" => whole(out, &read(&request)),
            "/big" => big(out, query.parse().unwrap_or(0)),
            "/drip" => drip(out, query.parse().unwrap_or(0)),
            "/trap" => {
                let (_body, stream) = begin(out, 200, &[]);
                write(&stream, b"the first part");
                subscribe_duration(MOMENT).block();
                unreachable!("in the middle of an answer");
            }
            "/trap/before" => unreachable!("before an answer"),
            "/endless" => {
                let (_body, stream) = begin(out, 200, &[]);
                while write(&stream, &[b'x'; PIECE]) {}
            }
            "/spin" => {
                let (_body, stream) = begin(out, 200, &[]);
                write(&stream, b"the first part");
                loop {
                    std::hint::spin_loop();
                }
            }
            "/silent" => subscribe_duration(60_000_000_000).block(),
            "/nothing" => {}
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::LoopDetected)),
            "/unfinished" => {
                let (body, stream) = begin(out, 200, &[]);
                write(&stream, b"the first part");
                subscribe_duration(MOMENT).block();
                drop(stream);
                drop(body);
            }
            "/status" => {
                let (body, stream) = begin(out, query.parse().unwrap_or(500), &[]);
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
            "/hop" => {
                let headers = [("te", "trailers"), ("x-request-id", "mine"), ("x-own", "1")];
                let (body, stream) = begin(out, 200, &headers);
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
            "/call" => whole(out, &call(&Method::Get, query, None)),
            "/impatient" => whole(out, &call(&Method::Get, query, Some(100_000_000))),
            "/connect" => whole(out, &call(&Method::Connect, query, None)),
            "/after" => {
                whole(out, "answered");
                call(&Method::Get, query, None);
            }
            "/forward" => forward(&request, out, query),
            _ => {
                let (body, stream) = begin(out, 404, &[]);
                drop(stream);
                let _ = OutgoingBody::finish(body, None);
            }
        }
    }
}

fn begin(
    out: ResponseOutparam,
    status: u16,
    headers: &[(&str, &str)],
) -> (OutgoingBody, OutputStream) {
    let fields = Fields::new();
    for (name, value) in headers {
        fields.append(name, value.as_bytes()).expect("a header");
    }
    let response = OutgoingResponse::new(fields);
    response.set_status_code(status).expect("a status");
    let body = response.body().expect("a body");
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().expect("a stream");
    (body, stream)
}

/// Writes all, and says whether the client still takes it.
fn write(stream: &OutputStream, bytes: &[u8]) -> bool {
    bytes.chunks(PIECE).all(|piece| stream.blocking_write_and_flush(piece).is_ok())
}

fn whole(out: ResponseOutparam, text: &str) {
    let length = text.len().to_string();
    let headers = [("content-type", "text/plain"), ("content-length", length.as_str())];
    let (body, stream) = begin(out, 200, &headers);
    write(&stream, text.as_bytes());
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// What the component is told of its request, a line each.
fn told(request: &IncomingRequest) -> String {
    let mut lines = vec![
        format!("method: {:?}", request.method()),
        format!("target: {}", request.path_with_query().unwrap_or_default()),
        format!("scheme: {:?}", request.scheme()),
        format!("authority: {}", request.authority().unwrap_or_default()),
    ];
    let headers = request.headers().entries();
    lines.extend(
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))),
    );
    lines.join("\n")
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let incoming = request.consume().expect("a body");
    let from = incoming.stream().expect("a stream");
    let (body, to) = begin(out, 200, &[]);
    while let Ok(piece) = from.blocking_read(64 * 1024) {
        if !write(&to, &piece) {
            return;
        }
    }
    drop(to);
    let _ = OutgoingBody::finish(body, None);
}

/// Reads the whole body, and says how many bytes there were and how it ended.
fn read(request: &IncomingRequest) -> String {
    let incoming = request.consume().expect("a body");
    let from = incoming.stream().expect("a stream");
    let (bytes, ended) = read_all(&from);
    // Whoever cannot read its request does not answer it.
    assert!(ended.is_empty(), "the body ended early: {ended}");
    bytes.len().to_string()
}

fn read_all(from: &InputStream) -> (Vec<u8>, String) {
    let mut all = Vec::new();
    loop {
        match from.blocking_read(64 * 1024) {
            Ok(piece) => all.extend(piece),
            Err(StreamError::Closed) => return (all, String::new()),
            Err(StreamError::LastOperationFailed(error)) => return (all, error.to_debug_string()),
        }
    }
}

fn big(out: ResponseOutparam, size: usize) {
    let (body, stream) = begin(out, 200, &[]);
    let piece = [b'x'; PIECE];
    let mut left = size;
    while left > 0 && write(&stream, &piece[..left.min(PIECE)]) {
        left -= left.min(PIECE);
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// So many parts, a tenth of a second apart.
fn drip(out: ResponseOutparam, parts: usize) {
    let (body, stream) = begin(out, 200, &[]);
    for _ in 0..parts {
        write(&stream, b"drop ");
        subscribe_duration(100_000_000).block();
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// Begins a call to a URL, which may have a body.
fn begin_call(method: &Method, url: &str) -> OutgoingRequest {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let headers = Fields::new();
    headers.append("authorization", b"Bearer of-the-component").expect("a header");
    let request = OutgoingRequest::new(headers);
    request.set_method(method).expect("a method");
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
    request
}

/// Calls a URL, and says what came of it.
fn call(method: &Method, url: &str, first_byte: Option<u64>) -> String {
    let options = RequestOptions::new();
    options.set_first_byte_timeout(first_byte).expect("an option");
    let answer =
        outgoing_handler::handle(begin_call(method, url), Some(options)).and_then(|coming| {
            coming.subscribe().block();
            coming.get().expect("an answer").expect("asked once")
        });
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return format!("{error:?}"),
    };
    let body = answer.consume().expect("a body");
    let stream = body.stream().expect("a stream");
    let (bytes, ended) = read_all(&stream);
    format!("{} {} {ended}", answer.status(), String::from_utf8_lossy(&bytes))
}

/// Hands the request on, and the answer back, each as it arrives.
fn forward(request: &IncomingRequest, out: ResponseOutparam, url: &str) {
    let incoming = request.consume().expect("a body");
    let from = incoming.stream().expect("a stream");
    let onward = begin_call(&Method::Post, url);
    let body = onward.body().expect("a body");
    let to = body.write().expect("a stream");
    let coming = outgoing_handler::handle(onward, None).expect("the call is granted");
    while let Ok(piece) = from.blocking_read(64 * 1024) {
        write(&to, &piece);
    }
    drop(to);
    OutgoingBody::finish(body, None).expect("all is sent");
    coming.subscribe().block();
    let answer = coming.get().expect("an answer").expect("asked once").expect("no failure");
    let back: IncomingBody = answer.consume().expect("a body");
    let from = back.stream().expect("a stream");
    let (body, to) = begin(out, answer.status(), &[]);
    while let Ok(piece) = from.blocking_read(64 * 1024) {
        write(&to, &piece);
    }
    drop(to);
    let _ = OutgoingBody::finish(body, None);
}
