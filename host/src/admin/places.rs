//! Places among the requests at once: those of all, and those of each tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests are answered at once.
pub(super) struct Places {
    all: Arc<Semaphore>,
    most_of_tenant: usize,
    /// Of tenants that have a request here: those of others are forgotten.
    tenants: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A place, held until the last of a request's work is done.
pub(super) struct Place {
    places: Arc<Places>,
    _of_all: OwnedSemaphorePermit,
    /// Taken when it is known whose request it is.
    of_tenant: OnceLock<OwnedSemaphorePermit>,
}

impl Places {
    /// So many for all, and so many of these for each tenant.
    pub(super) fn new(all: usize, most_of_tenant: usize) -> Arc<Self> {
        Arc::new(Places {
            all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            most_of_tenant: most_of_tenant.min(Semaphore::MAX_PERMITS),
            tenants: Mutex::default(),
        })
    }

    /// A place, if one is left.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place { places: Arc::clone(self), _of_all: of_all, of_tenant: OnceLock::new() })
    }

    fn of_tenant(&self, tenant: &str) -> Option<OwnedSemaphorePermit> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit holds its semaphore: where there is none, nothing would be lost.
        tenants.retain(|_, places| Arc::strong_count(places) > 1);
        let places = tenants
            .entry(tenant.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(self.most_of_tenant)));
        Arc::clone(places).try_acquire_owned().ok()
    }
}

impl Place {
    /// Counts the request as one of a tenant's; `false` if that tenant has as many as it may.
    pub(super) fn is_within(&self, tenant: &str) -> bool {
        let Some(permit) = self.places.of_tenant(tenant) else { return false };
        // Whoever calls this twice gives the second one back.
        let _ = self.of_tenant.set(permit);
        true
    }
}
