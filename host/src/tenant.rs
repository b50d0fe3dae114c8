//! A tenant: its groups, and the data and rights that they share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::admission::{Admission, throttle};
use crate::capabilities::database::Transactions;
use crate::capabilities::wasi::Wasi;
use crate::capabilities::{Grant, Group, Guest, Left, Shared};
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
    /// How often its routes may be called, where that is not as for all groups.
    pub throttle: throttle::GroupConfig,
    /// What one of its calls may take, where that is not as in `[limits]`.
    pub limits: toml::Table,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            grants: Grant::ALL.to_vec(),
            settings: BTreeMap::new(),
            throttle: throttle::GroupConfig::default(),
            limits: toml::Table::new(),
        }
    }
}

/// What an operator sets for the users of one kind, in `[realms.<realm>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RealmConfig {
    /// Host names whose requests are for this realm where the realms' routes are the same.
    pub hosts: Option<Vec<String>>,
    /// The time zone that dates are printed in.
    pub zone: Option<String>,
    /// Whether signing up takes an invitation code that is known.
    pub invitations: Option<Invitations>,
    /// Seconds from a token's issue to its expiry.
    pub lifetime_seconds: Option<i64>,
    /// Seconds from the sign-in during which a token can be exchanged for a new one.
    pub refresh_seconds: Option<i64>,
    /// Seconds without a request after which a sign-in is over, where tokens are not exchanged.
    pub idle_seconds: Option<i64>,
}

/// What invitation codes are for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Invitations {
    /// Any code will do; the uses of known ones are counted.
    Optional,
    /// The code must be known and not used up.
    Required,
}

impl RealmConfig {
    /// The built-in API's realms, as they are unless the operator says otherwise.
    pub fn built_in() -> BTreeMap<String, Self> {
        const SHANGHAI: &str = "Asia/Shanghai";
        let realm = |hosts: &[&str]| RealmConfig {
            hosts: Some(hosts.iter().map(|host| (*host).to_owned()).collect()),
            zone: Some(SHANGHAI.to_owned()),
            ..RealmConfig::default()
        };
        let store = RealmConfig {
            invitations: Some(Invitations::Optional),
            ..realm(&["store.wutang.com"])
        };
        // The console's sign-ins last as long as they are used, at most for a year.
        let console = RealmConfig {
            lifetime_seconds: Some(365 * 24 * 60 * 60),
            idle_seconds: Some(7 * 24 * 60 * 60),
            ..realm(&[])
        };
        [("store", store), ("clinic", realm(&[])), ("console", console)]
            .map(|(name, realm)| (name.to_owned(), realm))
            .into()
    }

    /// Reads the sections of a file, each over what its realm has otherwise.
    pub fn read<'de, D: Deserializer<'de>>(file: D) -> Result<BTreeMap<String, Self>, D::Error> {
        let mut realms = RealmConfig::built_in();
        for (name, said) in BTreeMap::<String, RealmConfig>::deserialize(file)? {
            let realm = realms.entry(name).or_default();
            *realm = RealmConfig {
                hosts: said.hosts.or(realm.hosts.take()),
                zone: said.zone.or(realm.zone.take()),
                invitations: said.invitations.or(realm.invitations),
                lifetime_seconds: said.lifetime_seconds.or(realm.lifetime_seconds),
                refresh_seconds: said.refresh_seconds.or(realm.refresh_seconds),
                idle_seconds: said.idle_seconds.or(realm.idle_seconds),
            };
        }
        Ok(realms)
    }

    /// What `settings.get` tells every group of the realm, as `<realm>.<name>`.
    pub fn settings(&self, realm: &str) -> Vec<(String, String)> {
        let invitations = self.invitations.map(|invitations| match invitations {
            Invitations::Optional => "optional".to_owned(),
            Invitations::Required => "required".to_owned(),
        });
        let settings = [
            ("hosts", self.hosts.as_ref().map(|hosts| hosts.join(" "))),
            ("zone", self.zone.clone()),
            ("invitations", invitations),
            ("idle_seconds", self.idle_seconds.map(|seconds| seconds.to_string())),
        ];
        let named =
            |(name, value): (&str, Option<String>)| Some((format!("{realm}.{name}"), value?));
        settings.into_iter().filter_map(named).collect()
    }
}

/// One endpoint group that is served.
pub struct Served {
    /// Its name and settings.
    pub group: Arc<Group>,
    /// Its component.
    pub revision: Revision,
    /// How many of its requests may be going on at once.
    pub admission: Admission,
}

impl Served {
    /// What one request's instance can reach.
    pub fn guest(&self, caller: Caller, address: IpAddr, request: Arc<str>, body: Bytes) -> Guest {
        let limits = self.revision.limits();
        Guest {
            group: Arc::clone(&self.group),
            caller,
            request,
            body,
            address,
            left: Left::default(),
            allocations: limits.allocations(),
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
