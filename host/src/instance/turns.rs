//! Whose turn it is to compute.
//!
//! Guests run on the threads that answer all requests, and most are done in microseconds. One that goes on
//! for longer is made to take turns: it computes for a moment at a time, and of all such guests so few at
//! once that a thread is left for everybody else. However many of them a group has, the groups take their
//! turns alike. What counts is the time that the guest has really computed; while it waits for the database
//! it uses none.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::UpdateDeadline;

/// How often the engine looks at the time.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Ticks for which a guest computes without being looked at; most calls never see the end of them.
pub(super) const UNSEEN: u64 = 2;

/// Those that compute now, of all groups.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(places()));

/// The guests that take turns and may compute at once: one less than there are processors.
fn places() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.saturating_sub(1).max(1)
}

/// The turns of one group's guests. Of each group so many wait for a place as there are places, and so no
/// group waits behind all guests of another.
#[derive(Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Turns(Arc::new(Semaphore::new(places())))
    }
}

thread_local! {
    /// The call that this thread is polling.
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

struct Turn {
    /// When it would have begun if it had computed ever since.
    since: Instant,
    /// Its place among those that take turns, given back when it waits for anything.
    place: Option<Place>,
}

/// A group's turn, and the place in which it is taken.
type Place = (OwnedSemaphorePermit, SemaphorePermit<'static>);

/// A call whose computing is counted.
pub(super) struct Counted<F> {
    call: F,
    computed: Duration,
}

impl<F> Counted<F> {
    pub(super) fn new(call: F) -> Self {
        Counted { call, computed: Duration::ZERO }
    }
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let now = Instant::now();
        let since = now.checked_sub(self.computed).unwrap_or(now);
        // A call within another's, whose time is that one's as well.
        let outer = TURN.replace(Some(Turn { since, place: None }));
        let polled = Pin::new(&mut self.call).poll(context);
        TURN.set(outer);
        if polled.is_pending() {
            self.computed = since.elapsed();
        }
        polled
    }
}

impl Turns {
    /// Says how a guest of the group that was interrupted goes on.
    ///
    /// # Errors
    /// When it has computed for `most`.
    pub(super) fn next(&self, most: Duration) -> wasmtime::Result<UpdateDeadline> {
        let computed = TURN.with_borrow_mut(|turn| {
            let turn = turn.as_mut()?;
            turn.place = None;
            Some(turn.since.elapsed())
        });
        let computed = computed.unwrap_or_default();
        if computed >= most {
            wasmtime::bail!(
                "the guest computed for {} ms and may for {} ms (limits.compute_milliseconds)",
                computed.as_millis(),
                most.as_millis()
            );
        }
        // It has waited rather than computed.
        if computed < TICK {
            return Ok(UpdateDeadline::Continue(1));
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(self.clone().turn())))
    }

    /// Lets everything else go first, and waits for a place.
    async fn turn(self) {
        tokio::task::yield_now().await;
        let (Ok(own), Ok(place)) = (self.0.acquire_owned().await, PLACES.acquire().await) else {
            return;
        };
        TURN.with_borrow_mut(|turn| {
            if let Some(turn) = turn {
                turn.place = Some((own, place));
            }
        });
    }
}
