//! A connection's bytes on their way to hyper and back: followed, refused, and timed.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Config;
use super::frames::Frames;
use super::framing::{Followed, Framing, HeadLimits};
use super::traffic::Traffic;
use crate::error::Refusal;

/// What every connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The method of the request that stands in for one that is refused. A client that sends it itself is
/// told that the route has no such method.
pub(super) const REFUSED: &str = "REFUSED";

/// What hyper is handed in place of a request that is refused. So it is answered in its turn, like any
/// other, and the connection closed after it.
const STAND_IN: &[u8] = b"REFUSED / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// How long, and for how many bytes, the rest of what was refused is read and thrown away: a client that
/// is still sending when the connection closes would lose the answer that tells it why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// A connection that speaks HTTP.
pub(super) struct Stream<S> {
    io: S,
    traffic: Arc<Traffic>,
    protocol: Protocol,
    /// What was read and not handed on yet, of which the first `ready` bytes may be.
    buffer: BytesMut,
    ready: usize,
    /// Until when the head that has begun must have ended.
    head: Option<Pin<Box<Sleep>>>,
    head_time: Duration,
    /// Until when the client must have taken something.
    write: Option<Pin<Box<Sleep>>>,
    write_time: Duration,
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

enum Protocol {
    Http1(Framing),
    Http2(Frames),
    /// After a request that was refused, or a flood: nothing more is read.
    Refused,
    /// HTTP/1 in a body that is broken: it ends here.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Reads until it is known what is spoken; `None` if that does not happen in time, or at all.
    pub(super) async fn open(mut io: S, config: &Config, traffic: Arc<Traffic>) -> Option<Self> {
        let head_time = Duration::from_secs(config.header_seconds);
        let mut head = Box::pin(tokio::time::sleep(head_time));
        let mut buffer = BytesMut::new();
        while buffer.len() < PREFACE.len() && PREFACE.starts_with(&buffer) {
            tokio::select! {
                biased;
                read = io.read_buf(&mut buffer) => if !read.is_ok_and(|read| read > 0) { return None },
                () = &mut head => return None,
            }
        }
        let mut stream = Stream {
            io,
            traffic,
            protocol: Protocol::Broken,
            buffer,
            ready: 0,
            head: Some(head),
            head_time,
            write: None,
            write_time: Duration::from_secs(config.write_seconds),
            linger: None,
        };
        if stream.buffer.starts_with(PREFACE) {
            let mut frames = Frames::new(config.http2_control_frames);
            if !frames.follow(&stream.buffer[PREFACE.len()..]) {
                return None;
            }
            stream.protocol = Protocol::Http2(frames);
            stream.ready = stream.buffer.len();
            stream.head = None;
        } else {
            stream.protocol = Protocol::Http1(Framing::new(HeadLimits {
                bytes: config.header_bytes,
                url_bytes: config.url_bytes,
                headers: config.headers,
            }));
            stream.follow_buffer();
        }
        Some(stream)
    }

    /// Whether HTTP/2 is spoken.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.protocol, Protocol::Http2(_))
    }

    /// Follows what lies in the buffer, from the beginning of a head.
    fn follow_buffer(&mut self) {
        let Protocol::Http1(framing) = &mut self.protocol else { return };
        let (whole, followed) = framing.follow(&self.buffer);
        self.ready = whole;
        self.settle(followed);
    }

    /// Draws the consequences for what lies in the buffer behind what is ready.
    fn settle(&mut self, followed: Followed) {
        match followed {
            Followed::Whole => self.head = None,
            Followed::Head => {
                self.traffic.moved();
                let time = self.head_time;
                self.head.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            }
            Followed::Refused(refusal) => self.refuse(refusal),
            Followed::Broken => {
                self.head = None;
                self.protocol = Protocol::Broken;
                self.buffer.truncate(self.ready);
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.traffic.refuse(refusal);
        self.head = None;
        self.protocol = Protocol::Refused;
        self.buffer.truncate(self.ready);
        self.buffer.extend_from_slice(STAND_IN);
        self.ready = self.buffer.len();
    }

    /// Reads more of a head that has not ended.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut piece = ReadBuf::uninit(&mut space);
        if Pin::new(&mut self.io).poll_read(cx, &mut piece)?.is_pending() {
            let Some(head) = &mut self.head else { return Poll::Pending };
            ready!(head.as_mut().poll(cx));
            self.refuse(Refusal::TooSlow);
            return Poll::Ready(Ok(self.ready));
        }
        let read = piece.filled().len();
        self.buffer.extend_from_slice(piece.filled());
        self.follow_buffer();
        Poll::Ready(Ok(read))
    }

    /// Reads into what hyper provides, and takes back what it is not to see.
    fn poll_through(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, out))?;
        let new = &out.filled()[before..];
        match &mut self.protocol {
            Protocol::Http1(framing) => {
                let (whole, followed) = framing.follow(new);
                if followed != Followed::Whole {
                    self.buffer.extend_from_slice(&new[whole..]);
                    out.set_filled(before + whole);
                }
                self.settle(followed);
            }
            Protocol::Http2(frames) => {
                if !frames.follow(new) {
                    self.traffic.flooded();
                    self.protocol = Protocol::Refused;
                }
            }
            Protocol::Refused | Protocol::Broken => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Ends a write that waits too long for the client.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.write = None;
            return done;
        }
        let time = self.write_time;
        let write = self.write.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(write.as_mut().poll(cx));
        let told = "the client did not take its answer (http.write_seconds)";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, told)))
    }

    fn wrote(&mut self, done: &Poll<io::Result<usize>>) {
        let Poll::Ready(Ok(bytes)) = done else { return };
        match &mut self.protocol {
            Protocol::Http2(frames) => frames.wrote(*bytes),
            Protocol::Http1(_) | Protocol::Refused | Protocol::Broken => self.traffic.moved(),
        }
    }

    /// Reads and throws away what a client still sends that was refused.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (end, left) =
            self.linger.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES));
        while *left > 0 && end.as_mut().poll(cx).is_pending() {
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut piece = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece));
            match (read, piece.filled().len()) {
                (Ok(()), 1..) => *left = left.saturating_sub(piece.filled().len()),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        loop {
            if me.ready > 0 {
                let handed = me.ready.min(out.remaining());
                out.put_slice(&me.buffer[..handed]);
                me.buffer.advance(handed);
                me.ready -= handed;
                return Poll::Ready(Ok(()));
            }
            match me.protocol {
                // Hyper would take the end for the client's leaving, and not answer what is in flight.
                Protocol::Refused => return Poll::Pending,
                Protocol::Broken => return Poll::Ready(Ok(())),
                Protocol::Http1(_) | Protocol::Http2(_) => {}
            }
            if me.buffer.is_empty() {
                let before = out.filled().len();
                ready!(me.poll_through(cx, out))?;
                // Nothing came: the client has ended. Nothing that hyper may see yet: there is more to do.
                if out.filled().len() > before || (me.buffer.is_empty() && !me.is_over()) {
                    return Poll::Ready(Ok(()));
                }
            } else if ready!(me.poll_head(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S> Stream<S> {
    fn is_over(&self) -> bool {
        matches!(self.protocol, Protocol::Refused | Protocol::Broken)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.io).poll_write(cx, bytes);
        me.wrote(&done);
        me.in_time(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.io).poll_write_vectored(cx, pieces);
        me.wrote(&done);
        me.in_time(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let done = Pin::new(&mut me.io).poll_flush(cx);
        me.in_time(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.linger.is_none() {
            let done = Pin::new(&mut me.io).poll_shutdown(cx);
            ready!(me.in_time(cx, done))?;
        }
        if me.is_over() {
            ready!(me.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}
