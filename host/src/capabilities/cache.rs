//! `cache`: what may be lost, bounded, with a time to live for every entry.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::ops::compute::Op;
use moka::sync::Cache as Moka;
use serde::Deserialize;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::cache;
use crate::clock::Clock;

/// How much a tenant may keep.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of keys and values that a tenant keeps at most; what was used least goes first.
    pub bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { bytes: 32 * 1024 * 1024 }
    }
}

/// What an entry costs besides its key and value: the maps' own bookkeeping, roughly.
const OVERHEAD: usize = 128;

/// The entries of one tenant. A cache takes a hundred kilobytes before anything is in it, so that there is
/// none until something is.
pub struct Entries {
    kept: OnceLock<Moka<String, Entry>>,
    config: Config,
    clock: Clock,
}

#[derive(Clone)]
struct Entry {
    value: Arc<[u8]>,
    /// By the host's clock, which decides; moka's own timer only clears up behind it.
    expires: i64,
    remaining: Duration,
}

struct Remaining;

impl Expiry<String, Entry> for Remaining {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.remaining)
    }

    fn expire_after_update(
        &self,
        _: &String,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.remaining)
    }
}

impl Entries {
    /// No entries yet.
    pub fn new(config: Config, clock: Clock) -> Self {
        Entries { kept: OnceLock::new(), config, clock }
    }

    fn entries(&self) -> &Moka<String, Entry> {
        let weigh = |key: &String, entry: &Entry| {
            u32::try_from(key.len() + entry.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        self.kept.get_or_init(|| {
            Moka::builder()
                .weigher(weigh)
                .max_capacity(self.config.bytes)
                .expire_after(Remaining)
                .build()
        })
    }

    fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries()
            .get(key)
            .filter(|entry| self.is_alive(entry))
            .map(|entry| entry.value.to_vec())
    }

    fn set(&self, key: String, value: Vec<u8>, seconds: u32) {
        self.entries().insert(key, self.entry(value, seconds));
    }

    fn take(&self, key: &str) -> Option<Vec<u8>> {
        self.entries()
            .remove(key)
            .filter(|entry| self.is_alive(entry))
            .map(|entry| entry.value.to_vec())
    }

    fn increment(&self, key: String, seconds: u32) -> u64 {
        let mut count = 0;
        self.entries().entry(key).and_compute_with(|old| {
            let old = old.map(moka::Entry::into_value).filter(|entry| self.is_alive(entry));
            let before = old
                .as_ref()
                .and_then(|entry| <[u8; 8]>::try_from(&*entry.value).ok())
                .map_or(0, u64::from_be_bytes);
            count = before.saturating_add(1);
            let value: Arc<[u8]> = Arc::from(count.to_be_bytes());
            Op::Put(match old {
                // A counter keeps the end that it was born with.
                Some(entry) => Entry { value, remaining: self.until(entry.expires), ..entry },
                None => Entry { value, ..self.entry(Vec::new(), seconds) },
            })
        });
        count
    }

    fn entry(&self, value: Vec<u8>, seconds: u32) -> Entry {
        Entry {
            value: value.into(),
            expires: self.clock.now().saturating_add(seconds.into()),
            remaining: Duration::from_secs(seconds.into()),
        }
    }

    fn until(&self, expires: i64) -> Duration {
        Duration::from_secs(u64::try_from(expires - self.clock.now()).unwrap_or(0))
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        self.clock.now() < entry.expires
    }
}

/// What one request may do with the cache.
pub struct Cache<'a>(&'a Entries);

impl cache::Host for Cache<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.0.get(&key))
    }

    async fn set(&mut self, key: String, value: Vec<u8>, seconds: u32) -> wasmtime::Result<()> {
        self.0.set(key, value, seconds);
        Ok(())
    }

    async fn take(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.0.take(&key))
    }

    async fn increment(&mut self, key: String, seconds: u32) -> wasmtime::Result<u64> {
        Ok(self.0.increment(key, seconds))
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Cache<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    cache::add_to_linker::<_, View>(linker, |guest| Cache(&guest.group.shared.cache))
}
