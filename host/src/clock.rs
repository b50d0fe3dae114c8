//! The time, from one place, so that tests can move it.

pub mod zones;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in unix seconds. Clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The seconds of a manual clock; `None` reads the operating system's.
    manual: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Clock { manual: None }
    }

    /// A clock that stands still at `now`, in unix seconds, until it is advanced.
    pub fn manual(now: i64) -> Self {
        Clock { manual: Some(Arc::new(AtomicI64::new(now))) }
    }

    /// Moves a manual clock by `seconds`; the operating system's clock is left alone.
    pub fn advance(&self, seconds: i64) {
        if let Some(now) = &self.manual {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z; 0 on a machine whose clock stands before that.
    pub fn now(&self) -> i64 {
        match &self.manual {
            Some(now) => now.load(Ordering::SeqCst),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_secs().cast_signed()),
        }
    }

    /// Milliseconds since the same moment. A manual clock knows none between its seconds.
    pub fn milliseconds(&self) -> i64 {
        match &self.manual {
            Some(_) => self.now().saturating_mul(1_000),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok())
                .unwrap_or(0),
        }
    }
}

/// A time in unix milliseconds as people and programs read it: `2023-11-14T22:13:20.123Z` (RFC 3339).
pub fn rfc3339_milliseconds(at: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(at);
    time.map_or_else(|_| at.to_string(), |time| format!("{time:.3}"))
}

/// A time in unix seconds as people and programs read it: `2023-11-14T22:13:20Z` (RFC 3339).
pub fn rfc3339(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}
