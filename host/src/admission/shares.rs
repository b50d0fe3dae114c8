//! What all may take of something together, and each address of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::throttle::network;

/// Something of which there is so much: connections, or bytes of memory.
pub struct Shares {
    most: usize,
    most_of_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_address: HashMap<u128, usize>,
}

/// What one connection or request has taken of it, given back when it is dropped.
pub struct Share {
    shares: Arc<Shares>,
    /// What it is counted as, besides as a part of all.
    network: Option<u128>,
    amount: usize,
}

impl Shares {
    /// So much in all, and for each address.
    pub fn new(most: usize, most_of_address: usize) -> Arc<Self> {
        Arc::new(Shares { most, most_of_address, taken: Mutex::default() })
    }

    /// The share of an address, which is nothing yet; without one it counts in all alone.
    pub fn of(self: &Arc<Self>, address: Option<IpAddr>) -> Share {
        Share { shares: Arc::clone(self), network: address.map(network), amount: 0 }
    }

    /// What is taken now.
    pub fn in_use(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more, and says whether there was as much left.
    pub fn take(&mut self, more: usize) -> bool {
        let mut taken = self.shares.taken();
        if taken.all + more > self.shares.most {
            return false;
        }
        if let Some(network) = self.network {
            let before = taken.of_address.get(&network).copied().unwrap_or(0);
            if before + more > self.shares.most_of_address {
                return false;
            }
            taken.of_address.insert(network, before + more);
        }
        taken.all += more;
        self.amount += more;
        true
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        let amount = std::mem::take(&mut self.amount);
        if amount == 0 {
            return;
        }
        let mut taken = self.shares.taken();
        taken.all -= amount;
        if let Some(network) = self.network
            && let Entry::Occupied(mut of_address) = taken.of_address.entry(network)
        {
            *of_address.get_mut() -= amount;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}
