//! A tenant: its groups, and the data and rights that they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::capabilities::cache::{Cache, Entries};
use crate::capabilities::log::Log;
use crate::capabilities::passwords::{Hasher, Passwords};
use crate::capabilities::random::Random;
use crate::capabilities::settings::Settings;
use crate::capabilities::tokens::Tokens;
use crate::capabilities::wasi::Wasi;
use crate::capabilities::{self, Grant, Guest};
use crate::clock::Clock;
use crate::database::Database;
use crate::identity::{Caller, Issuer};
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

/// One endpoint group: a component and its settings.
pub struct Group {
    /// The component.
    pub revision: Revision,
    /// What `settings.get` tells it.
    pub settings: Arc<BTreeMap<String, String>>,
}

/// What all groups of a tenant share. Lives as long as the process.
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its data.
    pub database: Database,
    /// Its cache.
    pub cache: Arc<Entries>,
    /// Its access tokens.
    pub issuer: Arc<Issuer>,
    /// The process's password hasher.
    pub hasher: Arc<Hasher>,
    /// The process's clock.
    pub clock: Clock,
}

impl Tenant {
    /// What one request's instance of `revision` can reach.
    pub fn guest(
        &self,
        revision: &Revision,
        settings: &Arc<BTreeMap<String, String>>,
        caller: Caller,
        request: Arc<str>,
    ) -> Guest {
        let limits = revision.limits();
        Guest {
            limits: limits.store(),
            database: capabilities::database::Database::new(self.database.clone()),
            passwords: Passwords { hasher: Arc::clone(&self.hasher) },
            tokens: Tokens { issuer: Arc::clone(&self.issuer), caller },
            cache: Cache { entries: Arc::clone(&self.cache) },
            log: Log {
                origin: Arc::clone(revision.origin()),
                request,
                remaining: limits.log_bytes,
            },
            clock: self.clock.clone(),
            random: Random,
            settings: Settings { values: Arc::clone(settings) },
            wasi: Wasi::new(self.clock.clone(), limits.log_bytes),
        }
    }
}
