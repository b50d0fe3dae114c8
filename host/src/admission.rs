//! How much may be going on at once, and how often somebody may call: a [`Permit`] per call, freed on drop.

pub mod shares;
pub mod throttle;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::error::Error;

/// How many requests a tenant may have.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Requests that are in components at once.
    pub concurrency: usize,
    /// Requests of one group that are in its component at once.
    pub group_concurrency: usize,
    /// Requests that wait for one of those places; more are answered 503.
    pub queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { concurrency: 200, group_concurrency: 150, queue: 2_000 }
    }
}

/// Lets requests in, of a tenant or of one of its groups.
pub struct Admission {
    places: Arc<Semaphore>,
    concurrency: usize,
    waiting: AtomicUsize,
    queue: usize,
}

/// The right to call a component.
pub struct Permit<'a> {
    _place: SemaphorePermit<'a>,
}

/// The right to call a component that streams its answer.
pub struct StreamPermit {
    _place: OwnedSemaphorePermit,
}

impl Admission {
    /// What lets so many requests in.
    pub fn of(places: usize, config: Config) -> Self {
        Admission::new(places, config.queue)
    }

    /// What lets the default tenant's requests in.
    pub fn of_tenant(config: Config) -> Self {
        Admission::new(config.concurrency, config.queue)
    }

    /// What lets a group's requests in, so that it leaves places to the tenant's other groups.
    pub fn of_group(config: Config) -> Self {
        Admission::new(config.group_concurrency, config.queue)
    }

    fn new(places: usize, queue: usize) -> Self {
        let concurrency = places.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(concurrency));
        Admission { places, concurrency, waiting: AtomicUsize::new(0), queue }
    }

    /// Waits for a place, unless too many wait already.
    pub async fn admit(&self) -> Result<Permit<'_>, Error> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(Permit { _place: place });
        }
        let _waiting = Waiting::enter(self)?;
        let place = self.places.acquire().await;
        place.map(|place| Permit { _place: place }).map_err(|_| Error::Overloaded)
    }

    /// The same for several places, which are had at once or not at all.
    pub async fn admit_all(&self, places: u32) -> Result<Permit<'_>, Error> {
        if let Ok(place) = self.places.try_acquire_many(places) {
            return Ok(Permit { _place: place });
        }
        let _waiting = Waiting::enter(self)?;
        let place = self.places.acquire_many(places).await;
        place.map(|place| Permit { _place: place }).map_err(|_| Error::Overloaded)
    }

    /// The same for whoever holds places already and must not wait for others who do.
    pub fn admit_now(&self, places: u32) -> Result<Permit<'_>, Error> {
        let place = self.places.try_acquire_many(places);
        place.map(|place| Permit { _place: place }).map_err(|_| Error::Overloaded)
    }

    /// As [`admit`](Self::admit), for an answer that goes on when the request's walk has ended.
    pub async fn admit_stream(&self) -> Result<StreamPermit, Error> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(StreamPermit { _place: place });
        }
        let _waiting = Waiting::enter(self)?;
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map(|place| StreamPermit { _place: place }).map_err(|_| Error::Overloaded)
    }

    /// As [`admit_now`](Self::admit_now), for such an answer.
    pub fn admit_stream_now(&self) -> Result<StreamPermit, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map(|place| StreamPermit { _place: place }).map_err(|_| Error::Overloaded)
    }

    /// Requests that are in components at this moment.
    pub fn in_use(&self) -> usize {
        self.concurrency - self.places.available_permits()
    }

    /// Requests that wait for a place at this moment.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Counts a request that waits, also when it is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(admission: &'a Admission) -> Result<Self, Error> {
        let before = admission.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&admission.waiting);
        if before < admission.queue { Ok(waiting) } else { Err(Error::Overloaded) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
