//! How often somebody may call: so many requests a minute, counted by caller and, where people sign
//! in, by account as well, so that nobody locks anybody else out.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use serde::Deserialize;

use crate::clock::Clock;

/// How often routes may be called, in `[throttle]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether requests are counted at all; `wharf serve` does and `wharf dev` does not, unless this says so.
    pub enabled: Option<bool>,
    /// Requests a minute of each user, or of each address where nobody is signed in; 0 for any number.
    pub usual: u32,
    /// Requests a minute of each address for each account on routes that sign people in; 0 for any number.
    pub sign_in: u32,
    /// Callers that are remembered at once. When there are more, addresses are counted without accounts.
    pub callers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: None, usual: 60, sign_in: 10, callers: 100_000 }
    }
}

/// What a group may set for itself, in `[groups.<group>.throttle]`; the rest is as in `[throttle]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// As [`Config::usual`].
    pub usual: Option<u32>,
    /// As [`Config::sign_in`].
    pub sign_in: Option<u32>,
}

/// What a request counts towards.
#[derive(Clone, Copy, Debug)]
pub enum Bucket<'a> {
    /// A signed-in user's requests.
    User {
        /// The user's realm.
        realm: &'a str,
        /// The user's id.
        id: i64,
    },
    /// The requests of an address.
    Address(IpAddr),
    /// Attempts of an address to sign in to an account, which is empty if none was named.
    Account(IpAddr, &'a str),
}

/// What is left after a request that was let through.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Requests a minute.
    pub limit: u32,
    /// Requests that would be let through now.
    pub remaining: u32,
}

/// A request that came too soon.
#[derive(Clone, Copy, Debug)]
pub struct TooOften {
    /// Requests a minute.
    pub limit: u32,
    /// Seconds after which the next one is let through.
    pub wait: u64,
    /// When that is, in unix seconds.
    pub at: i64,
}

/// Counts the requests of callers.
pub struct Throttle {
    usual: Option<Limiter>,
    sign_in: Option<Limiter>,
    hasher: RandomState,
    clock: Clock,
}

struct Limiter {
    counts: RateLimiter<u64, DashMapStateStore<u64>, Time, StateInformationMiddleware>,
    limit: u32,
    most: usize,
    /// When callers were last forgotten, in unix seconds.
    swept: AtomicI64,
}

impl Throttle {
    /// Counts as the settings say; not at all if they say so.
    pub fn new(config: Config, group: GroupConfig, clock: &Clock) -> Arc<Self> {
        let limiter = |limit: u32| {
            let limit = NonZeroU32::new(limit).filter(|_| config.enabled == Some(true))?;
            let counts = RateLimiter::new(
                Quota::per_minute(limit),
                DashMapStateStore::default(),
                Time(clock.clone()),
            );
            Some(Limiter {
                counts,
                limit: limit.get(),
                most: config.callers,
                swept: AtomicI64::new(0),
            })
        };
        Arc::new(Throttle {
            usual: limiter(group.usual.unwrap_or(config.usual)),
            sign_in: limiter(group.sign_in.unwrap_or(config.sign_in)),
            hasher: RandomState::new(),
            clock: clock.clone(),
        })
    }

    /// Counts a request and says whether it may go on; `None` if its kind is not counted.
    pub fn count(&self, bucket: Bucket<'_>) -> Result<Option<Allowance>, TooOften> {
        let limiter = match bucket {
            Bucket::User { .. } | Bucket::Address(_) => &self.usual,
            Bucket::Account(..) => &self.sign_in,
        };
        let Some(limiter) = limiter else {
            return Ok(None);
        };
        let full = limiter.is_full(self.clock.now());
        // Keys are hashes with a secret seed: a caller's counter costs the same however long its name is.
        let key = match bucket {
            Bucket::User { realm, id } => self.hasher.hash_one((realm, id)),
            Bucket::Address(address) => self.hasher.hash_one(network(address)),
            Bucket::Account(address, _) if full => self.hasher.hash_one(network(address)),
            Bucket::Account(address, account) => {
                self.hasher.hash_one((network(address), account.to_lowercase()))
            }
        };
        match limiter.counts.check_key(&key) {
            Ok(state) => Ok(Some(Allowance {
                limit: limiter.limit,
                remaining: state.remaining_burst_capacity(),
            })),
            Err(not_until) => {
                let wait = not_until.wait_time_from(limiter.counts.clock().now());
                let wait = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let at = self.clock.now().saturating_add_unsigned(wait);
                Err(TooOften { limit: limiter.limit, wait, at })
            }
        }
    }
}

impl Limiter {
    /// Whether as many callers are remembered as may. Now and then those who may call again are forgotten.
    fn is_full(&self, now: i64) -> bool {
        if self.counts.len() < self.most {
            return false;
        }
        if self.swept.swap(now, Ordering::Relaxed) != now {
            self.counts.retain_recent();
        }
        self.counts.len() >= self.most
    }
}

/// What is counted as one caller: an IPv4 address, or the network that one household or server gets
/// of IPv6 (RFC 6177).
pub fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
    }
}

/// The host's clock as governor reads it.
#[derive(Clone, Debug)]
struct Time(Clock);

impl governor::clock::Clock for Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Duration::from_secs(self.0.now().unsigned_abs()).into()
    }
}
