//! HTTP/2, frame by frame (RFC 9113), for what no client does.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::socket::{PATIENCE, connect};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames (section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

// Their flags.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 32;

// Settings (section 6.5.2).
pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_FRAME_SIZE: u16 = 5;

// Error codes (section 7).
pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const FLOW_CONTROL_ERROR: u32 = 3;
pub const STREAM_CLOSED: u32 = 5;
pub const FRAME_SIZE_ERROR: u32 = 6;
pub const REFUSED_STREAM: u32 = 7;
pub const COMPRESSION_ERROR: u32 = 9;
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame (section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// A header as a literal that is neither indexed nor compressed (RFC 7541, section 6.2.2).
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    [integer(text.len(), 7), text.as_bytes().to_vec()].concat()
}

/// An integer behind a prefix of so many bits, the bits before it 0 (RFC 7541, section 5.1).
fn integer(value: usize, prefix: u32) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if value < most {
        return vec![u8::try_from(value).expect("a prefix")];
    }
    let mut bytes = vec![u8::try_from(most).expect("a prefix")];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// The head of a request, encoded.
pub fn headers(method: &str, path: &str, more: &[(String, String)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")];
    let pseudo = pseudo.iter().flat_map(|(name, value)| literal(name, value));
    pseudo.chain(more.iter().flat_map(|(name, value)| literal(name, value))).collect()
}

/// A whole request without a body.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    get_with(stream, path, &[])
}

/// The same with more headers, in as many frames as it takes.
pub fn get_with(stream: u32, path: &str, more: &[(String, String)]) -> Vec<u8> {
    let block = headers("GET", path, more);
    let pieces: Vec<&[u8]> = block.chunks(16_384).collect();
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().map(|(n, piece)| {
        let ends = if n == last { END_HEADERS } else { 0 };
        if n == 0 {
            frame(HEADERS, END_STREAM | ends, stream, piece)
        } else {
            frame(CONTINUATION, ends, stream, piece)
        }
    });
    frames.collect::<Vec<_>>().concat()
}

/// A request with a body, which may be only the beginning of one.
pub fn post(stream: u32, path: &str, body: &[u8], is_whole: bool) -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, stream, &headers("POST", path, &[]));
    let ends = if is_whole { END_STREAM } else { 0 };
    [head, frame(DATA, ends, stream, body)].concat()
}

/// Settings.
pub fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    let setting =
        |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &settings.iter().flat_map(setting).collect::<Vec<u8>>())
}

/// More window, of the connection or of a stream.
pub fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// A frame that the host sent.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The last four bytes of what a RST_STREAM holds, or of the fixed part of a GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// The status in a head: its first field, from the static table or with digits of its own, which
    /// may be Huffman-coded (RFC 7541, appendices A and B).
    pub fn status(&self) -> u16 {
        const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        // Before it, the size of the table may change.
        let begin = self.payload.iter().position(|byte| byte & 0xe0 != 0x20).expect("a field");
        let fields = &self.payload[begin..];
        match fields[0] {
            indexed @ 0x88..=0x8e => STATIC[usize::from(indexed - 0x88)],
            0x08 | 0x18 | 0x48 => {
                let (length, is_huffman) = (fields[1] & 0x7f, fields[1] & 0x80 != 0);
                let text = &fields[2..2 + usize::from(length)];
                let digits = if is_huffman { huffman_digits(text) } else { text.to_vec() };
                String::from_utf8(digits).expect("digits").parse().expect("a status")
            }
            other => panic!("no status begins with {other:#x}: {self:?}"),
        }
    }
}

/// Three digits: 0, 1 and 2 have five bits each, the others six.
fn huffman_digits(text: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut at, mut digits) = (0, Vec::new());
    let number = |bits: &[u8]| bits.iter().fold(0, |number, bit| number << 1 | bit);
    while digits.len() < 3 {
        let five = number(&bits[at..at + 5]);
        if five <= 2 {
            digits.push(b'0' + five);
            at += 5;
        } else {
            digits.push(number(&bits[at..at + 6]) - 0b01_1001 + b'3');
            at += 6;
        }
    }
    digits
}

/// How a connection ended.
#[derive(Debug)]
pub struct Ended {
    /// The code of the last GOAWAY, if there was one.
    pub goaway: Option<u32>,
}

/// A connection of HTTP/2.
pub struct Connection<S = TcpStream> {
    pub stream: S,
    /// Frames that came while another was waited for.
    kept: Vec<Frame>,
}

impl Connection {
    /// Connects, and sends nothing yet.
    pub async fn connect(address: SocketAddr) -> Self {
        Connection { stream: connect(address).await, kept: Vec::new() }
    }

    /// Connects, and sends the preface with settings that say little.
    pub async fn open(address: SocketAddr) -> Self {
        Connection::open_with(address, &[]).await
    }

    /// The same with settings of its own.
    pub async fn open_with(address: SocketAddr, own: &[(u16, u32)]) -> Self {
        Connection::over(connect(address).await, own).await
    }

    /// Sends pings until the host has closed the connection.
    pub async fn pinging_until_the_end(mut self) -> Ended {
        let (mut reading, mut writing) = self.stream.into_split();
        let pinging = tokio::spawn(async move {
            let mut every = tokio::time::interval(std::time::Duration::from_millis(50));
            loop {
                every.tick().await;
                if writing.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_err() {
                    return;
                }
            }
        });
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, reading.read_to_end(&mut rest)).await;
        // A reset is an end as well.
        let _ = read.expect("the host closes the connection");
        pinging.abort();
        let mut rest = rest.as_slice();
        while let [a, b, c, kind, flags, id @ ..] = rest
            && let Some((id, after)) = id.split_first_chunk()
        {
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            let payload = after[..length].to_vec();
            let stream = u32::from_be_bytes(*id);
            self.kept.push(Frame { kind: *kind, flags: *flags, stream, payload });
            rest = &after[length..];
        }
        let goaway = self.kept.iter().rfind(|frame| frame.kind == GOAWAY).map(Frame::code);
        Ended { goaway }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins on a stream that is there.
    pub async fn over(stream: S, own: &[(u16, u32)]) -> Self {
        let mut connection = Connection { stream, kept: Vec::new() };
        // Without a table, each answer's head can be read alone.
        let settings = settings(&[&[(HEADER_TABLE_SIZE, 0)], own].concat());
        connection.send(&[PREFACE, &settings].concat()).await;
        connection
    }

    /// Sends bytes; the host may have closed before it has read all.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// The next frame; `None` at the end.
    pub async fn next(&mut self) -> Option<Frame> {
        let next = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind, flags, stream: u32::from_be_bytes(id), payload })
        };
        tokio::time::timeout(PATIENCE, next).await.expect("a frame, or the end")
    }

    /// The next frame that is wanted; those before it are kept for later.
    pub async fn wait_for(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return Some(self.kept.remove(at));
        }
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.kept.push(frame);
        }
    }

    /// The status that a stream is answered with.
    pub async fn status_of(&mut self, stream: u32) -> u16 {
        let head = self.wait_for(|frame| frame.kind == HEADERS && frame.stream == stream).await;
        head.expect("an answer before the end").status()
    }

    /// Reads to the end.
    pub async fn end(&mut self) -> Ended {
        let mut goaway = self.kept.iter().rfind(|frame| frame.kind == GOAWAY).map(Frame::code);
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                goaway = Some(frame.code());
            }
        }
        Ended { goaway }
    }
}
