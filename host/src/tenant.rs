//! A tenant: its groups, and the data and rights that they share.

pub mod broken;
pub mod manifest;
pub mod package;
pub mod serving;
pub mod trial;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderValue;
use serde::{Deserialize, Deserializer};

use crate::admission::throttle::Throttle;
use crate::admission::{Admission, throttle};
use crate::capabilities::database::Transactions;
use crate::capabilities::outbound::Http;
use crate::capabilities::wasi::Wasi;
use crate::capabilities::{Grant, Group, Guest, Left, Shared};
use crate::database::{Database, Share, Tables};
use crate::identity::Caller;
use crate::instance::Revision;
use crate::instance::reuse::Reuse;
use crate::registry;
use manifest::Manifest;
use serving::Serving;

/// The tenant that the components folder belongs to, and all requests for host names that no other has.
pub const DEFAULT: &str = "default";

/// What an operator sets for one endpoint group, in `[groups.<group>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// The interfaces that its component may import; those of its manifest if they are not set.
    pub grants: Option<Vec<Grant>>,
    /// The tables that its statements may reach; those of its manifest if they are not set.
    pub tables: Option<Tables>,
    /// The hosts that its component calls, of which `self` is the tenant's own groups; those of its manifest if
    /// they are not set.
    pub outbound: Option<Vec<String>>,
    /// Where the paths begin that it answers, if it is a `wasi:http` component; as its manifest says if it
    /// is not set.
    pub mount: Option<String>,
    /// The groups that wrap it, outermost first; those of its manifest if they are not set.
    pub middleware: Option<Vec<String>>,
    /// What `settings.get` tells it.
    pub settings: BTreeMap<String, String>,
    /// How often its routes may be called, where that is not as for all groups.
    pub throttle: throttle::GroupConfig,
    /// What one of its calls may take, where that is not as in `[limits]`.
    pub limits: toml::Table,
    /// How long its instances are kept; as its manifest says if it is not set.
    pub reuse: Option<Reuse>,
}

/// What a component may import when neither an operator nor a manifest says anything: nothing that
/// reaches anybody's data.
const HARMLESS: [Grant; 4] = [Grant::Log, Grant::Clock, Grant::Random, Grant::Settings];

/// Where a right comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `[groups.<group>]` in the configuration.
    Configuration,
    /// The manifest, in the component or beside it.
    Manifest(PathBuf),
    /// What the host's operator has granted this tenant.
    Tenant(String),
    /// Nobody said anything.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Configuration => f.write_str("configuration"),
            Source::Manifest(file) => write!(f, "manifest {}", file.display()),
            Source::Tenant(tenant) => write!(f, "tenant {tenant}"),
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
    /// What else its manifest says, or an operator instead of it; nothing where nobody says anything.
    pub manifest: Manifest,
}

impl Access {
    /// Settles what a group may do.
    ///
    /// # Errors
    /// A sentence that names the manifest and what is wrong in it.
    pub fn of(group: &str, config: &GroupConfig, component: &Path) -> Result<Self, String> {
        let (mut manifest, source) = match Manifest::find(component, group)? {
            Some((manifest, file)) => (manifest, Source::Manifest(file)),
            None => {
                (Manifest { grants: HARMLESS.to_vec(), ..Manifest::default() }, Source::Default)
            }
        };
        let grants = settled(config.grants.as_ref(), manifest.grants.clone(), &source);
        let tables = settled(config.tables.as_ref(), manifest.tables.clone(), &source);
        if let Some(outbound) = &config.outbound {
            manifest.outbound.clone_from(outbound);
        }
        manifest.mount = config.mount.clone().or(manifest.mount);
        manifest.reuse = config.reuse.or(manifest.reuse);
        if let Some(middleware) = &config.middleware {
            manifest.middleware.clone_from(middleware);
        }
        Ok(Access { grants, tables, manifest })
    }

    /// Where can be said what its manifest says.
    pub fn place(&self, group: &str) -> String {
        let own = format!("its {}", manifest::FILE);
        match &self.grants.1 {
            Source::Tenant(_) => own,
            Source::Configuration | Source::Manifest(_) | Source::Default => {
                format!("{own} or in [groups.{group}]")
            }
        }
    }

    /// What an operator does who wants the group to have a grant.
    pub fn remedy(&self, group: &str, grant: Grant) -> String {
        match &self.grants.1 {
            Source::Configuration => format!("add \"{grant}\" to grants in [groups.{group}]"),
            Source::Manifest(file) => format!(
                "add \"{grant}\" to grants in its {} and build it again with wharf build, which puts it into {}, or list its grants in [groups.{group}]",
                manifest::FILE,
                file.display()
            ),
            Source::Tenant(tenant) => {
                format!("ask the host's operator to run: wharf grant {tenant} {grant}")
            }
            Source::Default => format!(
                "write a {} beside its Cargo.toml with group = \"{group}\" and grants = [\"{grant}\"] and build it again with wharf build, or list its grants in [groups.{group}]",
                manifest::FILE
            ),
        }
    }
}

/// What the operator says, else what was asked for.
fn settled<T: Clone>(said: Option<&T>, asked: T, source: &Source) -> (T, Source) {
    match said {
        Some(said) => (said.clone(), Source::Configuration),
        None => (asked, source.clone()),
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
    pub revision: Arc<Revision>,
    /// How many of its requests may be going on at once.
    pub admission: Admission,
    /// The groups that see its requests before and its answers after it, outermost first.
    pub middleware: Vec<String>,
    /// What `x-wharf-revision` says on its answers; `None` where they do not carry it.
    pub label: Option<HeaderValue>,
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
            inside: None,
            left: Left::default(),
            allocations: limits.allocations(),
            log_bytes: limits.log_bytes,
            transactions: Transactions::default(),
            wasi: Wasi::default(),
            http: Http::default(),
        }
    }
}

/// A tenant, as it is until its host names or rights change.
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// Its host names, in lower case: exact ones, and `*.` with a suffix.
    pub hosts: Vec<String>,
    /// What is stored about it; `None` for the default tenant before it was read.
    pub record: Option<registry::Tenant>,
    /// What its groups share.
    pub shared: Arc<Shared>,
    /// How often its groups' routes may be called, where they do not say otherwise.
    pub throttle: Arc<Throttle>,
    /// How much may be going on at once.
    pub admission: Admission,
    /// Who answers what.
    pub serving: ArcSwap<Serving>,
}

impl Tenant {
    /// Connections to its data that are in use: one for each statement that runs and each
    /// transaction that is open.
    pub fn connections_in_use(&self) -> usize {
        let groups = self.shares().iter().map(|share| share.in_use()).sum::<usize>();
        groups + self.shared.data.opened().map_or(0, Database::in_use)
    }

    /// Whether it was deleted, and what is stored now was made after that.
    pub fn is_older_than(&self, stored: &registry::Tenant) -> bool {
        self.record.as_ref().is_some_and(|record| record.created_at != stored.created_at)
    }

    /// Closes all connections to its data, after those in use have been given back.
    pub async fn close(&self) {
        for share in self.shares() {
            share.close().await;
        }
        if let Some(database) = self.shared.data.opened() {
            database.close().await;
        }
    }

    /// Its data, as its groups reach it.
    fn shares(&self) -> Vec<Arc<Share>> {
        let serving = self.serving.load();
        let tried = serving.trials().map(|trial| &trial.loaded);
        let groups = serving.groups().values().chain(tried);
        groups.filter_map(|group| group.served.group.database.clone()).collect()
    }
}
