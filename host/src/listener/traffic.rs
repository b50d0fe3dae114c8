//! What goes on in one connection: its requests in flight, and its answers that are not sent yet.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::error::Refusal;

/// Bytes of an answer that HTTP/2 is handed at once: it keeps what the client does not take yet, and
/// asks for no more until the client does.
const PIECE: usize = 16 * 1024;

/// What goes on in one connection. Its stream, its requests and its answers all tell it.
#[derive(Default)]
pub(super) struct Traffic {
    /// Requests whose answers are not sent yet.
    open: AtomicUsize,
    /// Whether a request began or ended, or HTTP/1 moved, since somebody last looked.
    moved: AtomicBool,
    /// Why the last request of the connection is not taken.
    refusal: OnceLock<Refusal>,
    /// Told when the client asks for nothing, and often.
    nonsense: Notify,
    /// When the client must have taken the next piece of each answer, in HTTP/2.
    due: Mutex<BTreeMap<u64, Instant>>,
    answers: AtomicU64,
}

impl Traffic {
    /// Counts a request in until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.moved.store(true, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Notes that the connection is in use.
    pub(super) fn moved(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Notes that a request is not taken, which is the connection's last.
    pub(super) fn refuse(&self, refusal: Refusal) {
        // The first reason counts; nothing is read after it.
        let _ = self.refusal.set(refusal);
    }

    /// Why the connection's last request is not taken, once that is known.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// Notes that the client sends too much that asks for nothing.
    pub(super) fn flooded(&self) {
        self.nonsense.notify_one();
    }

    /// Ends when the client has sent too much that asks for nothing.
    pub(super) async fn flood(&self) {
        self.nonsense.notified().await;
    }

    /// Ends when no request came in the first while, if that is told, or none was in flight for the usual
    /// one; at the latest after half as long again.
    pub(super) async fn idle(&self, first: Option<Duration>, usual: Duration) {
        let mut quiet_halves = 0;
        if let Some(first) = first {
            tokio::time::sleep(first).await;
            quiet_halves = if self.is_quiet() { 2 } else { 0 };
        }
        while quiet_halves < 2 {
            tokio::time::sleep(usual / 2).await;
            quiet_halves = if self.is_quiet() { quiet_halves + 1 } else { 0 };
        }
    }

    fn is_quiet(&self) -> bool {
        let moved = self.moved.swap(false, Ordering::Relaxed);
        !moved && self.open.load(Ordering::Relaxed) == 0
    }

    /// Ends when a client of HTTP/2 has not taken a piece of an answer in time. A window that stays shut
    /// is nothing that the socket could tell.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            let earliest = self.due().values().min().copied();
            match earliest {
                Some(due) if due <= Instant::now() => return,
                Some(due) => tokio::time::sleep_until(due).await,
                None => tokio::time::sleep(patience / 2).await,
            }
        }
    }

    fn due(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight, until its answer is sent.
pub(super) struct Open(Arc<Traffic>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.moved.store(true, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer on its way out.
pub(super) struct Outgoing<B> {
    body: B,
    /// What the body has given and was not handed on.
    rest: Bytes,
    /// In HTTP/2, the place in the list of answers that have to be taken in time.
    taken: Option<Taken>,
    _open: Open,
}

impl<B> Outgoing<B> {
    /// A body that goes out as it is: what the client does not take, its socket does not either.
    pub(super) fn by_socket(body: B, open: Open) -> Self {
        Outgoing { body, rest: Bytes::new(), taken: None, _open: open }
    }

    /// A body that goes out in pieces, each of which the client must take in time.
    pub(super) fn in_pieces(body: B, open: Open, patience: Duration) -> Self {
        let traffic = Arc::clone(&open.0);
        let number = traffic.answers.fetch_add(1, Ordering::Relaxed);
        traffic.due().insert(number, Instant::now() + patience);
        let taken = Taken { traffic, number, patience };
        Outgoing { body, rest: Bytes::new(), taken: Some(taken), _open: open }
    }
}

/// An answer that a client of HTTP/2 has to take piece by piece.
struct Taken {
    traffic: Arc<Traffic>,
    number: u64,
    patience: Duration,
}

impl Taken {
    fn another_piece(&self) {
        self.traffic.due().insert(self.number, Instant::now() + self.patience);
    }

    fn all(&self) {
        self.traffic.due().remove(&self.number);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.all();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Outgoing<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let me = self.get_mut();
        let Some(taken) = &me.taken else { return Pin::new(&mut me.body).poll_frame(cx) };
        if me.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut me.body).poll_frame(cx) else {
                // A client that asks for more has taken what there was: whoever makes the body is late.
                taken.all();
                return Poll::Pending;
            };
            match frame.transpose()? {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => me.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
            }
        }
        taken.another_piece();
        let piece = me.rest.split_to(me.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
