//! A tenant: its groups, and the data and rights that they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::capabilities::database::Transactions;
use crate::capabilities::wasi::Wasi;
use crate::capabilities::{Grant, Group, Guest, Shared};
use crate::identity::Caller;
use crate::instance::Revision;

/// What an operator sets for one endpoint group, in `[groups.<group>]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// The interfaces that its component may import.
    pub grants: Vec<Grant>,
    /// What `settings.get` tells it.
    pub settings: BTreeMap<String, String>,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig { grants: Grant::ALL.to_vec(), settings: BTreeMap::new() }
    }
}

/// One endpoint group that is served.
pub struct Served {
    /// Its name and settings.
    pub group: Arc<Group>,
    /// Its component.
    pub revision: Revision,
}

impl Served {
    /// What one request's instance can reach.
    pub fn guest(&self, caller: Caller, request: Arc<str>) -> Guest {
        let limits = self.revision.limits();
        Guest {
            group: Arc::clone(&self.group),
            caller,
            request,
            limits: limits.store(),
            log_bytes: limits.log_bytes,
            transactions: Transactions::default(),
            wasi: Wasi::default(),
        }
    }
}

/// A tenant. Lives as long as the process.
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// What its groups share.
    pub shared: Arc<Shared>,
}
