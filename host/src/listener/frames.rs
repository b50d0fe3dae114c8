//! The frames of HTTP/2 that ask for nothing, counted.
//!
//! H2 itself answers floods of resets, continuations and small data with GOAWAY. Pings, settings,
//! priorities, window updates and unknown frames cost it no memory, but a client could send nothing
//! else for ever; so could one that resets whatever it asks for.

/// A frame begins with its length, type, flags and stream (RFC 9113, section 4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

/// The place in a stream of frames, and how many too many of them asked for nothing.
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of the current frame's head that are known.
    known: usize,
    /// Whether the first frame was one of settings, as it must be, and h2 does not ask for (section 3.4).
    begun: Option<bool>,
    /// Bytes of its payload that are still to come.
    payload: usize,
    idle: u32,
    most: u32,
    /// Bytes that were written since a frame was last forgiven for them.
    written: usize,
}

impl Frames {
    /// The frames after a connection's preface, of which so many may ask for nothing.
    pub(super) fn new(most: u32) -> Self {
        Frames { head: [0; HEAD], known: 0, begun: None, payload: 0, idle: 0, most, written: 0 }
    }

    /// Follows bytes. False once they are no HTTP/2, or too many frames asked for nothing: each request makes up for one of
    /// them, as do a frame of data and a kilobyte that the client has taken.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = bytes.len().min(HEAD - self.known);
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEAD {
                self.known = 0;
                self.count();
            }
        }
        self.idle <= self.most && self.begun != Some(false)
    }

    /// Forgives frames for what was written: window updates are the answer to it.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let forgiven = self.written / 1024;
        self.written %= 1024;
        self.idle = self.idle.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
    }

    fn count(&mut self) {
        let [a, b, c, kind, ..] = self.head;
        self.payload = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.begun.get_or_insert(kind == SETTINGS);
        match kind {
            HEADERS => self.idle = self.idle.saturating_sub(1),
            DATA if self.payload > 0 => self.idle = self.idle.saturating_sub(1),
            // H2 bounds how many of these a head is made of.
            CONTINUATION => {}
            // A reset takes the request back that made up for a frame.
            RST_STREAM => self.idle += 2,
            _ => self.idle += 1,
        }
    }
}
