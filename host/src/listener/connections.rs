//! How many connections are open: in all, and of each address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Config;
use crate::admission::throttle::network;

/// The connections that are open.
pub(super) struct Connections {
    config: Config,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    of_address: HashMap<u128, usize>,
}

/// An open connection's place, free again when it is dropped.
pub(super) struct Admitted {
    connections: Arc<Connections>,
    /// What it is counted as, besides as one of all.
    network: Option<u128>,
}

impl Connections {
    /// None yet, and as many at most as the settings say.
    pub(super) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Connections { config: config.clone(), open: Mutex::default() })
    }

    /// Counts a connection in, unless there are as many as may be.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Admitted> {
        let client = client.to_canonical();
        // Behind a proxy stand many clients.
        let network = (!self.config.is_proxy(client)).then(|| network(client));
        let mut open = self.open();
        if open.all >= self.config.connections {
            return None;
        }
        if let Some(network) = network {
            let of_address = open.of_address.entry(network).or_default();
            if *of_address >= self.config.connections_per_address {
                return None;
            }
            *of_address += 1;
        }
        open.all += 1;
        Some(Admitted { connections: Arc::clone(self), network })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all -= 1;
        if let Some(network) = self.network
            && let Entry::Occupied(mut of_address) = open.of_address.entry(network)
        {
            *of_address.get_mut() -= 1;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
    }
}
