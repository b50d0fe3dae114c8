//! A tenant: its groups, and the data and rights that they share.

pub mod manifest;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use crate::admission::{Admission, throttle};
use crate::capabilities::database::Transactions;
use crate::capabilities::wasi::Wasi;
use crate::capabilities::{Grant, Group, Guest, Left, Shared};
use crate::database::{Database, Tables};
use crate::identity::Caller;
use crate::instance::Revision;
use manifest::Manifest;

/// What an operator sets for one endpoint group, in `[groups.<group>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// The interfaces that its component may import; those of its manifest if they are not set.
    pub grants: Option<Vec<Grant>>,
    /// The tables that its statements may reach; those of its manifest if they are not set.
    pub tables: Option<Tables>,
    /// What `settings.get` tells it.
    pub settings: BTreeMap<String, String>,
    /// How often its routes may be called, where that is not as for all groups.
    pub throttle: throttle::GroupConfig,
    /// What one of its calls may take, where that is not as in `[limits]`.
    pub limits: toml::Table,
}

/// What a component may import when neither an operator nor a manifest says anything: nothing that
/// reaches anybody's data.
const HARMLESS: [Grant; 4] = [Grant::Log, Grant::Clock, Grant::Random, Grant::Settings];

/// Where a right comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `[groups.<group>]` in the configuration.
    Configuration,
    /// The manifest beside the component.
    Manifest(PathBuf),
    /// Nobody said anything.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Configuration => f.write_str("configuration"),
            Source::Manifest(file) => write!(f, "manifest {}", file.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// What a group may do: what the operator says, else what its component's manifest asks for.
#[derive(Clone, Debug)]
pub struct Access {
    /// The interfaces that it may import, and who says so.
    pub grants: (Vec<Grant>, Source),
    /// The tables that its statements may reach, and who says so.
    pub tables: (Tables, Source),
}

impl Access {
    /// Settles what a group may do.
    ///
    /// # Errors
    /// A sentence that names the manifest and what is wrong in it.
    pub fn of(group: &str, config: &GroupConfig, component: &Path) -> Result<Self, String> {
        let file = Manifest::beside(component);
        let (grants, tables, source) = match Manifest::read(&file, group)? {
            Some(manifest) => (manifest.grants, manifest.tables, Source::Manifest(file)),
            None => (HARMLESS.to_vec(), Tables::default(), Source::Default),
        };
        let grants = match &config.grants {
            Some(grants) => (grants.clone(), Source::Configuration),
            None => (grants, source.clone()),
        };
        let tables = match &config.tables {
            Some(tables) => (tables.clone(), Source::Configuration),
            None => (tables, source),
        };
        Ok(Access { grants, tables })
    }

    /// What an operator does who wants the group to have a grant.
    pub fn remedy(&self, group: &str, grant: Grant) -> String {
        match &self.grants.1 {
            Source::Configuration => format!("add \"{grant}\" to grants in [groups.{group}]"),
            Source::Manifest(file) => format!(
                "add \"{grant}\" to grants in its {} and build it again with wharf build, which writes {}, or list its grants in [groups.{group}]",
                manifest::FILE,
                file.display()
            ),
            Source::Default => format!(
                "write a {} beside its Cargo.toml with group = \"{group}\" and grants = [\"{grant}\"] and build it again with wharf build, or list its grants in [groups.{group}]",
                manifest::FILE
            ),
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
    /// Its data, as each of its groups may reach it.
    pub groups: BTreeMap<String, Database>,
}

impl Tenant {
    /// Connections to its data that are in use: one for each statement that runs and each
    /// transaction that is open.
    pub fn connections_in_use(&self) -> usize {
        let groups = self.groups.values().map(Database::in_use).sum::<usize>();
        groups + self.shared.database.in_use()
    }

    /// Closes all connections to its data, after those in use have been given back.
    pub async fn close(&self) {
        for database in self.groups.values() {
            database.close().await;
        }
        self.shared.database.close().await;
    }
}
