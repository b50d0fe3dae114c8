//! HTTP/1 framing, followed strictly: where a request ends must not be a matter of opinion.
//!
//! Hyper forgives what older clients send: lines that end in LF alone, a length beside chunks, a length
//! said twice. A proxy in front that reads such a request otherwise would let a second one be smuggled
//! in behind it (RFC 9112, section 11.2). So every byte is followed here before hyper sees it, heads with
//! the very parser that hyper uses, and whatever could be read in two ways is refused.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use crate::error::Refusal;

/// Headers that a head may have at most, whatever the settings say: the parser's table lies on the stack.
pub(super) const MOST_HEADERS: usize = 256;

/// Bytes of a body's chunk extensions, and of its trailers, as many as hyper takes.
const MOST_EXTRAS: usize = 16 * 1024;

/// What a head may hold.
#[derive(Clone, Copy)]
pub(super) struct HeadLimits {
    /// Bytes of a head.
    pub bytes: usize,
    /// Bytes of its target.
    pub url_bytes: usize,
    /// Headers in it, at most [`MOST_HEADERS`].
    pub headers: usize,
}

/// The place in a stream of requests, and what comes next.
pub(super) struct Framing {
    limits: HeadLimits,
    place: Place,
}

enum Place {
    /// In a head.
    Head(Lines),
    /// In a body of a known length: the bytes that are left.
    Length(u64),
    /// In a body of chunks, with the bytes that its extensions and trailers have taken.
    Chunks { at: Chunk, extras: usize },
}

/// The lines of a head that has not ended.
#[derive(Clone, Copy, Default)]
struct Lines {
    /// Bytes that were looked at.
    scanned: usize,
    /// Where the current line begins.
    current: usize,
    /// Whether there was a line with something in it.
    begun: bool,
}

/// The place in a body of chunks (RFC 9112, section 7.1).
#[derive(Clone, Copy)]
enum Chunk {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data(u64),
    DataCr,
    DataLf,
    /// At the beginning of a line, or within one.
    Trailer {
        begun: bool,
    },
    TrailerLf {
        begun: bool,
    },
}

/// What bytes are, up to a place in them.
#[derive(Debug, PartialEq)]
pub(super) enum Followed {
    /// All belong to requests that are in order.
    Whole,
    /// Those behind belong to a head that has not ended.
    Head,
    /// Those behind are a head that is refused.
    Refused(Refusal),
    /// Those behind break the body that they are in.
    Broken,
}

impl Framing {
    /// The beginning of a connection.
    pub(super) fn new(limits: HeadLimits) -> Self {
        Framing { limits, place: Place::Head(Lines::default()) }
    }

    /// Follows bytes that begin where the last ones ended or, if they ended within a head, at that head's
    /// beginning. Returns how many of them may be handed on, and what the rest is.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> (usize, Followed) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.place {
                Place::Head(lines) => match lines.end_of_head(rest) {
                    Ok(Some(end)) if end > self.limits.bytes => {
                        return (at, Followed::Refused(Refusal::HeadTooLarge));
                    }
                    Ok(Some(end)) => match body_of(&rest[..end], self.limits) {
                        Ok(place) => {
                            self.place = place;
                            at += end;
                        }
                        Err(refusal) => return (at, Followed::Refused(refusal)),
                    },
                    Ok(None) => {
                        let in_first_line = !lines.begun;
                        let refusal = self.too_much(rest, in_first_line);
                        return (at, refusal.map_or(Followed::Head, Followed::Refused));
                    }
                    Err(refusal) => return (at, Followed::Refused(refusal)),
                },
                Place::Length(left) => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    at += taken;
                    *left -= taken as u64;
                    if *left == 0 {
                        self.place = Place::Head(Lines::default());
                    }
                }
                Place::Chunks { at: chunk, extras } => match follow_chunks(rest, chunk, extras) {
                    Some((taken, ended)) => {
                        at += taken;
                        if ended {
                            self.place = Place::Head(Lines::default());
                        }
                    }
                    None => return (at, Followed::Broken),
                },
            }
        }
        (at, Followed::Whole)
    }

    /// Why a head that has not ended cannot be one that is taken.
    fn too_much(&self, head: &[u8], in_first_line: bool) -> Option<Refusal> {
        // The method and the spaces around the target are short; the exact length is measured later.
        const AROUND: usize = 64;
        if !matches!(head[0], b'\r' | b'!'..=b'~') {
            return Some(Refusal::Malformed("this is no HTTP"));
        }
        if in_first_line && head.len() > self.limits.url_bytes + AROUND {
            return Some(Refusal::UrlTooLong);
        }
        (head.len() >= self.limits.bytes).then_some(Refusal::HeadTooLarge)
    }
}

impl Lines {
    /// Looks for the empty line that ends a head. Lines end in CR LF; empty ones in front are passed over
    /// (RFC 9112, section 2.2).
    fn end_of_head(&mut self, head: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', &head[self.scanned..]) {
            let lf = self.scanned + found;
            if lf == self.current || head[lf - 1] != b'\r' {
                return Err(Refusal::Malformed("a line ends in LF without CR"));
            }
            let is_empty = lf == self.current + 1;
            if is_empty && self.begun {
                return Ok(Some(lf + 1));
            }
            *self = Lines { scanned: lf + 1, current: lf + 1, begun: !is_empty };
        }
        self.scanned = head.len();
        Ok(None)
    }
}

/// What follows a whole head, unless it can be read in two ways.
fn body_of(head: &[u8], limits: HeadLimits) -> Result<Place, Refusal> {
    let mut table: [MaybeUninit<Header<'_>>; MOST_HEADERS] = [const { MaybeUninit::uninit() }; _];
    let mut request = Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut table[..limits.headers.min(MOST_HEADERS)]) {
        Ok(Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refusal::Malformed("the head ends before its lines do")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(error) => return Err(Refusal::Malformed(in_words(error))),
    }
    if request.path.is_some_and(|target| target.len() > limits.url_bytes) {
        return Err(Refusal::UrlTooLong);
    }
    let is_http_11 = request.version == Some(1);
    let (mut length, mut chunked, mut host) = (None, false, false);
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let said = decimal(header.value)
                .ok_or(Refusal::Malformed("content-length is no number of bytes"))?;
            if length.replace(said).is_some() {
                return Err(Refusal::Malformed("content-length is said twice"));
            }
        } else if is("transfer-encoding") {
            if chunked || !is_http_11 || !header.value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Malformed("transfer-encoding is not just chunked"));
            }
            chunked = true;
        } else if is("host") {
            if host || !header.value.iter().all(|&byte| may_be_in_host(byte)) {
                return Err(Refusal::Malformed("host is said twice, or is none"));
            }
            host = true;
        }
    }
    if is_http_11 && !host {
        return Err(Refusal::Malformed("host is missing"));
    }
    match (length, chunked) {
        (Some(_), true) => {
            Err(Refusal::Malformed("content-length and transfer-encoding contradict each other"))
        }
        (None, true) => Ok(Place::Chunks { at: Chunk::Size { size: 0, digits: 0 }, extras: 0 }),
        (None | Some(0), false) => Ok(Place::Head(Lines::default())),
        (Some(length), false) => Ok(Place::Length(length)),
    }
}

fn in_words(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "the name of a header is none",
        httparse::Error::HeaderValue => "the value of a header holds what it may not",
        httparse::Error::NewLine => "a line ends where none may",
        httparse::Error::Token => "the request line is none",
        httparse::Error::Version => "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken",
        httparse::Error::Status | httparse::Error::TooManyHeaders => "the head is none",
    }
}

/// Digits alone: no sign, no list, no space.
fn decimal(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    // Hyper keeps the two highest lengths for itself.
    let number = std::str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()?;
    (number < u64::MAX - 1).then_some(number)
}

/// What a host and port can be made of (RFC 3986, section 3.2).
fn may_be_in_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}

/// Follows a body of chunks: how many of the bytes are in it, and whether it has ended; `None` if it is broken.
fn follow_chunks(bytes: &[u8], chunk: &mut Chunk, extras: &mut usize) -> Option<(usize, bool)> {
    let mut at = 0;
    while at < bytes.len() {
        if let Chunk::Data(left) = chunk {
            let taken = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
            at += taken;
            *left -= taken as u64;
            if *left == 0 {
                *chunk = Chunk::DataCr;
            }
            continue;
        }
        let byte = bytes[at];
        at += 1;
        if matches!((&*chunk, byte), (Chunk::TrailerLf { begun: false }, b'\n')) {
            return Some((at, true));
        }
        if matches!(chunk, Chunk::Extension { .. } | Chunk::Trailer { .. }) {
            *extras += 1;
            if *extras > MOST_EXTRAS {
                return None;
            }
        }
        *chunk = chunk.after(byte)?;
    }
    Some((at, false))
}

impl Chunk {
    /// The place after one byte that is not data; `None` if it may not be there.
    fn after(self, byte: u8) -> Option<Chunk> {
        Some(match (self, byte) {
            (Chunk::Size { size, digits: 1.. } | Chunk::Extension { size }, b'\r') => {
                Chunk::SizeLf { size }
            }
            (Chunk::Size { size, digits: 1.. }, b';')
            | (Chunk::Extension { size }, b'\t' | b' '..=b'~') => Chunk::Extension { size },
            // Sixteen digits are what 64 bits can hold.
            (Chunk::Size { size, digits: digits @ ..16 }, digit) => {
                let digit = char::from(digit).to_digit(16)?;
                Chunk::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Chunk::SizeLf { size: 0 } | Chunk::TrailerLf { begun: true }, b'\n') => {
                Chunk::Trailer { begun: false }
            }
            (Chunk::SizeLf { size }, b'\n') => Chunk::Data(size),
            (Chunk::DataCr, b'\r') => Chunk::DataLf,
            (Chunk::DataLf, b'\n') => Chunk::Size { size: 0, digits: 0 },
            (Chunk::Trailer { begun }, b'\r') => Chunk::TrailerLf { begun },
            (Chunk::Trailer { begun: false }, b' ' | b'\t') => return None,
            (Chunk::Trailer { .. }, byte) if byte != b'\n' && byte != 0 => {
                Chunk::Trailer { begun: true }
            }
            _ => return None,
        })
    }
}
