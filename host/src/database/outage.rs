//! Whether a database can be used, found out once and not by every request.
//!
//! A statement that fails, or waits for longer than [`PATIENCE`], raises a doubt. One task then looks
//! at the database over a connection of its own. While it finds nothing that answers, statements fail
//! at once instead of waiting in turn; they go on as soon as it finds the database again.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::Failure;

/// How long a statement runs before somebody looks whether the database is there at all.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);

/// How long the database may take to answer whoever looks. One that takes longer to let somebody in is
/// of no use to requests either.
const ANSWER: Duration = Duration::from_secs(2);

/// Pauses between two looks: short, so that requests succeed again well within two seconds.
const PAUSE: Duration = Duration::from_millis(200);

/// What a look at a database found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It answers.
    Usable,
    /// It can be read, but somebody else holds the lock that writing takes.
    Locked,
    /// It does not answer.
    Away,
}

impl State {
    /// In the order of the numbers that stand for them.
    const ALL: [State; 3] = [State::Usable, State::Locked, State::Away];
}

/// Looks at the database over a new connection.
pub(super) type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = State> + Send>> + Send + Sync>;

/// What is known of one database; shared by all that send it statements.
pub(super) struct Outage {
    /// The database's name in log lines.
    name: String,
    probe: Probe,
    state: AtomicU8,
    /// Whether somebody looks already.
    looking: AtomicBool,
    /// Tells those who wait that the database is away.
    declared: Notify,
    /// Whether the last write failed for want of room or of the right to write.
    unwritable: AtomicBool,
    /// How many writes went well: a lock that changes hands is not one that somebody keeps.
    writes: AtomicU64,
}

impl Outage {
    pub(super) fn new(name: String, probe: Probe) -> Arc<Self> {
        Arc::new(Outage {
            name,
            probe,
            state: AtomicU8::default(),
            looking: AtomicBool::default(),
            declared: Notify::new(),
            unwritable: AtomicBool::default(),
            writes: AtomicU64::default(),
        })
    }

    /// Fails at once where it is known that the statement would; `locking` if it would wait for the
    /// lock that writing takes.
    pub(super) fn check(&self, locking: bool) -> Result<(), Failure> {
        match self.state() {
            State::Away => Err(Failure::Away("it does not answer".into())),
            State::Locked if locking => Err(Failure::Busy),
            State::Usable | State::Locked => Ok(()),
        }
    }

    /// Whether it can be read but not written to, as far as is known.
    pub(super) fn is_read_only(&self) -> bool {
        self.state() == State::Locked || self.unwritable.load(Ordering::Relaxed)
    }

    /// Waits until the database is found to be away.
    pub(super) async fn until_away(&self) -> Failure {
        let declared = self.declared.notified();
        let mut declared = std::pin::pin!(declared);
        // From here on a declaration is not missed, whichever thread makes it.
        declared.as_mut().enable();
        if self.state() != State::Away {
            declared.await;
        }
        Failure::Away("it does not answer".into())
    }

    /// Learns from what became of a statement.
    pub(super) fn learn<T>(self: &Arc<Self>, done: &Result<T, Failure>) {
        match done {
            Err(Failure::Away(_) | Failure::Busy) => self.doubt(),
            Err(Failure::Unwritable(cause)) => {
                if !self.unwritable.swap(true, Ordering::Relaxed) {
                    tracing::error!(database = %self.name, cause, "cannot be written to; writes are answered 503 until it can, reads go on");
                }
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Learns that something was written.
    pub(super) fn written(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
        if self.state() == State::Locked {
            self.found(State::Usable);
        }
        if self.unwritable.load(Ordering::Relaxed) && self.unwritable.swap(false, Ordering::Relaxed)
        {
            tracing::info!(database = %self.name, "can be written to again");
        }
    }

    /// Has somebody look, unless somebody does.
    pub(super) fn doubt(self: &Arc<Self>) {
        if !self.looking.swap(true, Ordering::AcqRel) {
            tokio::spawn(look(Arc::downgrade(self)));
        }
    }

    fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    fn found(&self, state: State) {
        let before = State::ALL[usize::from(self.state.swap(state as u8, Ordering::AcqRel))];
        let database = &self.name;
        match state {
            _ if state == before => {}
            State::Usable => tracing::info!(%database, "answers again"),
            State::Locked => {
                tracing::error!(%database, "is locked, by another process or a transaction that takes long; writes are answered 503 until it is not, reads go on");
            }
            State::Away => {
                tracing::error!(%database, "does not answer; requests that need it are answered 503 until it does");
                self.declared.notify_waiters();
            }
        }
    }
}

/// Looks until the database can be used, or nobody uses it any more.
async fn look(outage: Weak<Outage>) {
    while let Some(outage) = outage.upgrade() {
        let before = outage.writes.load(Ordering::Relaxed);
        let looked = tokio::time::timeout(ANSWER, (outage.probe)()).await;
        let state = match looked.unwrap_or(State::Away) {
            State::Locked if outage.writes.load(Ordering::Relaxed) != before => State::Usable,
            state => state,
        };
        outage.found(state);
        if state == State::Usable {
            outage.looking.store(false, Ordering::Release);
            return;
        }
        drop(outage);
        tokio::time::sleep(PAUSE).await;
    }
}

impl std::fmt::Debug for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Outage");
        shown.field("name", &self.name).field("state", &self.state()).finish_non_exhaustive()
    }
}
