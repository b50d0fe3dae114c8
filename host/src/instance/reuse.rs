//! Instances that answer several requests, one after the other.
//!
//! Most components never need it: a fresh instance costs microseconds. One that carries an interpreter copies
//! megabytes into each, and may ask in its manifest for instances that are kept. The price is that what the
//! guest has in its own memory lives on into the next request of the same group. What the host holds for a
//! request ends with it, and nothing that went wrong is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use wasmtime::Store;

use super::limits::MOST_KEPT;
use crate::admission::shares::{Share, Shares};
use crate::bindings::Plugin;
use crate::capabilities::Guest;
use crate::capabilities::database::Transactions;
use crate::identity::Caller;

/// How long the instances of one group are kept, in `[reuse]` of its manifest or `[groups.<group>.reuse]`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reuse {
    /// Requests that one instance answers; with 1 none is kept.
    pub max_uses: u32,
    /// Seconds without a request after which an instance goes.
    pub idle_seconds: u64,
}

impl Default for Reuse {
    fn default() -> Self {
        Reuse { max_uses: 100, idle_seconds: 10 }
    }
}

/// What all instances that are kept may take together, in `[reuse]` of the configuration.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Instances that wait for a request; at most 128.
    pub instances: usize,
    /// Bytes of their linear memory.
    pub bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { instances: 32, bytes: 256 * 1024 * 1024 }
    }
}

impl Config {
    /// Refuses what there is no memory for.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn check(&self) -> Result<(), String> {
        if self.instances > MOST_KEPT {
            return Err(format!(
                "reuse.instances is {}, and no more than {MOST_KEPT} can be kept; set it to that or less",
                self.instances
            ));
        }
        Ok(())
    }
}

/// The room for instances that are kept, of all groups of a host.
#[derive(Clone)]
pub struct Room {
    instances: Arc<Shares>,
    bytes: Arc<Shares>,
}

impl Room {
    /// So much room as is configured.
    pub fn new(config: Config) -> Self {
        Room {
            instances: Shares::new(config.instances, config.instances),
            bytes: Shares::new(config.bytes, config.bytes),
        }
    }

    /// Instances that are kept now.
    pub fn taken(&self) -> usize {
        self.instances.in_use()
    }

    /// Room for one more with so much memory, if there is as much left.
    fn take(&self, bytes: usize) -> Option<[Share; 2]> {
        let mut shares = [self.instances.of(None), self.bytes.of(None)];
        (shares[0].take(1) && shares[1].take(bytes)).then_some(shares)
    }
}

/// The instances of one revision that are kept.
pub(super) struct Kept {
    line: Arc<Mutex<Line>>,
    reuse: Reuse,
    room: Room,
}

/// Those that wait for a request.
#[derive(Default)]
struct Line {
    /// The one that waits longest comes first.
    waiting: Vec<Waiting>,
    /// Whether a task looks after those that wait for too long.
    is_watched: bool,
}

struct Waiting {
    instance: Instance,
    since: Instant,
    _room: [Share; 2],
}

/// An instance with its store.
pub(super) struct Instance {
    pub(super) store: Store<Guest>,
    /// `None` until it is instantiated, which counts towards the time of its first call.
    pub(super) plugin: Option<Plugin>,
    /// Requests that it has answered.
    uses: u32,
}

impl Instance {
    /// One that is yet to be instantiated.
    pub(super) fn new(store: Store<Guest>) -> Self {
        Instance { store, plugin: None, uses: 0 }
    }

    /// Gives it another request's state. WASI's goes on: the guest's runtime holds handles of it, such as that
    /// of standard output.
    pub(super) fn serve(&mut self, mut guest: Guest) {
        let before = self.store.data_mut();
        guest.wasi = std::mem::take(&mut before.wasi);
        guest.allocations.go_on_from(&before.allocations);
        *before = guest;
    }

    /// Whether nothing of its last request is left with the host that its next one could meet.
    fn is_clean(&self) -> bool {
        let guest = self.store.data();
        guest.allocations.refused().is_none()
            && guest.transactions.are_closed()
            && guest.wasi.has_room()
    }

    /// Lets go of what the host holds for its last request.
    fn rest(&mut self) {
        let guest = self.store.data_mut();
        guest.caller = Caller::Anonymous;
        guest.body = Bytes::new();
        guest.transactions = Transactions::default();
    }
}

impl Kept {
    /// None yet; nothing at all where an instance answers one request.
    pub(super) fn new(reuse: Reuse, room: Room) -> Option<Self> {
        (reuse.max_uses > 1).then(|| Kept { line: Arc::default(), reuse, room })
    }

    /// The instance that was used last: so the others get old and go when there is little to do.
    pub(super) fn take(&self) -> Option<Instance> {
        lock(&self.line).waiting.pop().map(|waiting| waiting.instance)
    }

    /// Keeps an instance that has answered, if it may answer again and there is room.
    pub(super) fn give_back(&self, mut instance: Instance) {
        instance.uses += 1;
        if instance.uses >= self.reuse.max_uses || !instance.is_clean() {
            return;
        }
        instance.rest();
        let Some(room) = self.room.take(instance.store.data().allocations.memory()) else {
            return;
        };
        let mut line = lock(&self.line);
        line.waiting.push(Waiting { instance, since: Instant::now(), _room: room });
        if !line.is_watched {
            line.is_watched = true;
            let idle = Duration::from_secs(self.reuse.idle_seconds);
            tokio::spawn(clear_up(Arc::downgrade(&self.line), idle));
        }
    }
}

/// Drops instances that have waited for too long, until none waits.
async fn clear_up(line: Weak<Mutex<Line>>, idle: Duration) {
    let mut next = Instant::now() + idle;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(line) = line.upgrade() else { return };
        let mut line = lock(&line);
        let now = Instant::now();
        let young = line.waiting.partition_point(|one| one.since + idle <= now);
        let old: Vec<Waiting> = line.waiting.drain(..young).collect();
        match line.waiting.first() {
            Some(first) => next = first.since + idle,
            None => line.is_watched = false,
        }
        let is_done = !line.is_watched;
        // Others may go on while their memory is given back.
        drop(line);
        drop(old);
        if is_done {
            return;
        }
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}
