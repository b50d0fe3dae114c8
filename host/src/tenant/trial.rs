//! A revision on trial (a canary): a share of the callers, always the same ones, is served by it until it is
//! taken over or taken back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::serving::Loaded;
use crate::registry::{Bounds, Canary};
use hdrhistogram::Histogram;

/// What a 99th percentile may be longer by in any case: few calls of a quick route say little.
pub const GRACE: Duration = Duration::from_millis(20);

/// Times are counted up to this many microseconds.
const LONGEST: u64 = 60_000_000;

/// A revision on trial.
pub struct Trial {
    /// The group.
    pub group: String,
    /// The revision.
    pub loaded: Loaded,
    /// Its share of the callers, what it is held to, and when it began.
    canary: Canary,
    /// Set as soon as it is known to be over, so that it gets no more callers.
    over: AtomicBool,
    seen: Mutex<[Seen; 2]>,
}

/// What was seen of the calls of one revision.
#[derive(Clone)]
pub struct Seen {
    /// Calls.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    times: Histogram<u64>,
}

impl Seen {
    fn nothing() -> Self {
        let times = Histogram::new_with_max(LONGEST, 2).expect("bounds that are constants");
        Seen { requests: 0, errors: 0, times }
    }

    fn add(&mut self, is_error: bool, time: Duration) {
        self.requests += 1;
        self.errors += u64::from(is_error);
        self.times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST));
    }

    /// Percent of the calls that failed.
    #[expect(clippy::cast_precision_loss, reason = "calls are counted, not weighed")]
    pub fn errors_percent(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { 100.0 * self.errors as f64 / self.requests as f64 }
    }

    /// The time that 99 of 100 calls took at most.
    pub fn p99(&self) -> Duration {
        Duration::from_micros(self.times.value_at_quantile(0.99))
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (errors, p99) = (self.errors_percent(), self.p99().as_secs_f64() * 1e3);
        write!(f, "{} requests, {errors:.1} % errors, p99 {p99:.1} ms", self.requests)
    }
}

/// What is to become of a revision on trial, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It left its bounds.
    TakeBack(String),
    /// It stayed within them.
    TakeOver(String),
}

impl Trial {
    /// A trial that begins now.
    pub fn new(group: &str, loaded: Loaded, canary: &Canary) -> Self {
        let seen = Mutex::new([Seen::nothing(), Seen::nothing()]);
        let (group, canary, over) = (group.to_owned(), canary.clone(), AtomicBool::new(false));
        Trial { group, loaded, canary, over, seen }
    }

    /// Whether it is the trial of a group that a pointer names.
    pub fn is_of(&self, group: &str, canary: &Canary) -> bool {
        self.group == group && self.canary == *canary
    }

    /// Whether it serves a caller.
    pub fn takes(&self, caller: u64) -> bool {
        caller % 100 < u64::from(self.canary.percent) && !self.over.load(Ordering::Relaxed)
    }

    /// Counts a call, of the revision on trial or of the one that serves.
    pub fn count(&self, on_trial: bool, is_error: bool, time: Duration) {
        self.seen()[usize::from(on_trial)].add(is_error, time);
    }

    /// What was seen so far: of the revision that serves, and of the one on trial.
    pub fn seen(&self) -> std::sync::MutexGuard<'_, [Seen; 2]> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to become of it at a time in unix seconds; `None` until that is known. A trial that is to be
    /// taken back gets no more callers.
    pub fn verdict(&self, now: i64) -> Option<Verdict> {
        let seen = self.seen();
        let [usual, tried] = &*seen;
        let enough = tried.requests >= self.canary.bounds.requests.max(1);
        if enough && let Some(why) = self.out_of_bounds(usual, tried) {
            self.over.store(true, Ordering::Relaxed);
            return Some(Verdict::TakeBack(why));
        }
        let is_over = now >= self.canary.since.saturating_add(self.canary.bounds.window_seconds);
        (is_over && enough && self.canary.bounds.promote)
            .then(|| Verdict::TakeOver(format!("within its bounds: {tried}; before: {usual}")))
    }

    fn out_of_bounds(&self, usual: &Seen, tried: &Seen) -> Option<String> {
        let Bounds { errors_percent, p99_factor, .. } = self.canary.bounds;
        if tried.errors_percent() > usual.errors_percent() + errors_percent {
            return Some(format!("too many errors: {tried}; before: {usual}"));
        }
        // Without calls of the one that serves there is nothing to compare with.
        let most = usual.p99().mul_f64(p99_factor) + GRACE;
        (usual.requests >= self.canary.bounds.requests && tried.p99() > most)
            .then(|| format!("too slow: {tried}; before: {usual}"))
    }
}
