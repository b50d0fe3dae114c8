//! What all tenants of a host share, and how a component becomes a group of a tenant's that serves.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::Ipv6Addr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::admission::Admission;
use crate::admission::throttle::{self, Throttle};
use crate::blobs::Storage;
use crate::capabilities::cache::Entries;
use crate::capabilities::calls::SELF;
use crate::capabilities::passwords::Hasher;
use crate::capabilities::{Grant, Group, Origin, Shared};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::compiler::{Artifact, Compiler, Lines};
use crate::config::Config;
use crate::database::{Data, Database, Limits, Location, Migrations, Server, Share};
use crate::identity::{Caller, Issuer, Issuers, Keys};
use crate::instance::reuse::Room;
use crate::instance::{self, Engine, Revision, Turns};
use crate::logs::Logs;
use crate::outbound::{self, Names};
use crate::tenant::serving::Loaded;
use crate::tenant::{Access, DEFAULT, Served, Tenant};

/// What all tenants of a host share. Lives as long as the process.
pub struct Platform {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The randomness.
    pub chance: Chance,
    /// What runs components.
    pub engine: Engine,
    /// What makes them runnable.
    pub compiler: Compiler,
    /// The host's own tables.
    pub host: Database,
    /// The host's secrets.
    pub keys: Keys,
    /// The room for instances that answer several requests.
    pub kept: Room,
    logs: Logs,
    issuers: Issuers,
    hasher: Arc<Hasher>,
    storage: Storage,
    /// The connections of all tenants.
    server: Server,
    outbound: Arc<outbound::Client>,
}

/// A component that is linked, for whichever tenants serve it.
#[derive(Clone)]
pub struct Docked {
    /// What it may do.
    pub access: Arc<Access>,
    /// The component.
    pub revision: Arc<Revision>,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub digest: String,
    /// Where in its source each of its instructions comes from.
    pub lines: Lines,
}

/// What of a tenant's a group is made for.
pub struct Berth<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// What its groups share.
    pub shared: &'a Arc<Shared>,
    /// How often its routes may be called, where the group says nothing.
    pub throttle: &'a Arc<Throttle>,
    /// The group's name.
    pub group: &'a str,
    /// What `settings.get` tells it.
    pub settings: BTreeMap<String, String>,
    /// The tenant's data, as far as the group may reach it.
    pub database: Option<Arc<Share>>,
}

impl Docked {
    /// Whether its digest begins so, as that of what serves is told.
    pub fn is(&self, digest: &str) -> bool {
        self.digest.starts_with(digest)
    }
}

impl Platform {
    /// Opens what all tenants share.
    ///
    /// # Errors
    /// A sentence that names what is wrong and the remedy.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, String> {
        make_data_folder(&config.data)?;
        let chance =
            config.testing.map_or_else(Chance::system, |testing| Chance::seeded(testing.seed));
        let keys = Keys::load(&config.data, config.key_file.as_deref(), &chance)?;
        // The host reads its own tables whole at start, and stores components of many megabytes; the limits of
        // guests are narrower.
        let usual = config.sql.limits();
        let wide = Duration::from_mins(1);
        let unbounded = Limits {
            rows: usize::MAX,
            bytes: usize::MAX,
            statement: usual.statement.max(wide),
            transaction: usual.transaction.max(wide),
            ..usual
        };
        let place = location(config, &config.data.join("host.db"), "wharf");
        let host = Database::open(&place, unbounded, &Migrations::host()).await?;
        let issuers =
            Issuers::open(config.lifetimes(), host.clone(), clock.clone(), chance.clone())
                .await
                .map_err(|failure| format!("cannot read which tokens were revoked: {failure}"))?;
        let engine = if config.testing.is_some() { Engine::counting() } else { Engine::shared() };
        let compiler =
            Compiler::new(engine.clone(), &config.cache(), &config.program, config.compile)?;
        Ok(Platform {
            engine,
            compiler,
            host,
            keys,
            issuers,
            kept: Room::new(config.reuse),
            logs: Logs::new(config.logs, clock.clone()),
            hasher: Hasher::new(config.passwords())?,
            storage: Storage::open(&config.blobs, &config.data.join("tenants")).await?,
            server: Server::new(usual.server_connections, usual.wait),
            outbound: outbound::Client::new(config.outbound.clone())?,
            config: config.clone(),
            clock,
            chance,
        })
    }

    /// What the groups of a tenant share. `created` is when the tenant was made: of a later tenant of the
    /// same name, nothing that was signed for the earlier one is accepted.
    pub fn shared(&self, tenant: &str, created: i64, is_api: bool) -> Arc<Shared> {
        let roles = if tenant == DEFAULT {
            "passwords of database roles".to_owned()
        } else {
            format!("passwords of database roles of tenant {tenant}")
        };
        let place = data_location(&self.config, tenant);
        let limits = self.config.sql.limits();
        Arc::new(Shared {
            data: Data::new(&self.server, place, limits, is_api, self.keys.derive(&roles)),
            blobs: self.storage.of(tenant),
            cache: Entries::new(self.config.cache_capability, self.clock.clone()),
            issuer: self.issuer(tenant, created),
            hasher: Arc::clone(&self.hasher),
            journal: self.logs.journal(),
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            costs: self.engine.costs(),
        })
    }

    fn issuer(&self, tenant: &str, created: i64) -> Issuer {
        if tenant == DEFAULT {
            return Issuer::new(&self.issuers, tenant, self.keys.tokens());
        }
        let key = self.keys.derive(&format!("tokens of tenant {tenant} of {created}"));
        Issuer::new(&self.issuers, tenant, &key)
    }

    /// What counts how often a tenant's routes are called.
    pub fn throttle(&self) -> Arc<Throttle> {
        Throttle::new(self.config.throttle, throttle::GroupConfig::default(), &self.clock)
    }

    /// Links a component.
    ///
    /// # Errors
    /// In words, why it cannot serve the group, as the end of a sentence.
    pub fn dock(
        &self,
        group: &str,
        artifact: &Artifact,
        access: Arc<Access>,
        limits: instance::Limits,
    ) -> Result<Docked, String> {
        let revision = Revision::link(&self.engine, artifact, &access, group, limits)?;
        let (digest, lines) = (artifact.digest.clone(), artifact.lines.clone());
        Ok(Docked { access, revision: Arc::new(revision), digest, lines })
    }

    /// Makes a group of a component, ready to serve.
    ///
    /// # Errors
    /// In words, what its component does when it is asked for its routes.
    pub async fn load(&self, docked: &Docked, berth: Berth<'_>) -> Result<Loaded, String> {
        let Berth { tenant, shared, throttle, group, settings, database } = berth;
        let origin = Arc::new(Origin {
            tenant: tenant.to_owned(),
            group: group.to_owned(),
            digest: docked.digest[..12].to_owned(),
        });
        let called = &docked.access.manifest.outbound;
        let names = Names::parse(called.iter().filter(|host| *host != SELF));
        let names = names.map_err(|why| format!("cannot call whom it wants to: {why}"))?;
        let group = Arc::new(Group {
            origin,
            lines: docked.lines.clone(),
            settings,
            calls_self: called.iter().any(|host| host == SELF),
            outbound: self.outbound.of_group(names),
            throttle: Arc::clone(throttle),
            turns: Turns::default(),
            database,
            shared: Arc::clone(shared),
        });
        let label = self.config.answers.revision.unwrap_or(false).then(|| group.origin.label());
        let label = label.and_then(|label| HeaderValue::from_str(&label).ok());
        let admission = Admission::of_group(self.config.admission);
        let middleware = docked.access.manifest.middleware.clone();
        // Instances that are kept remember: each group of each tenant has its own.
        let revision = match docked.access.manifest.reuse {
            Some(reuse) => Arc::new(docked.revision.reusing(reuse, self.kept.clone())),
            None => Arc::clone(&docked.revision),
        };
        let served = Served { group, revision, admission, middleware, label };
        let nobody = Ipv6Addr::UNSPECIFIED.into();
        let guest = served.guest(Caller::Anonymous, nobody, "deploy".into(), Bytes::new());
        let routes = served.revision.routes(guest).await;
        let routes = routes
            .map_err(|failed| format!("failed when it was asked for its routes: {failed}"))?;
        Ok(Loaded { served: Arc::new(served), routes: routes.into(), revision: None })
    }

    /// Makes a group of the default tenant's of a component of the folder. `usual` counts the requests for all
    /// groups that set nothing of their own.
    ///
    /// # Errors
    /// In words, what its component does when it is asked for its routes.
    pub async fn load_own(
        &self,
        docked: &Docked,
        group: &str,
        shared: &Arc<Shared>,
        usual: &Arc<Throttle>,
        database: Option<Arc<Share>>,
    ) -> Result<Loaded, String> {
        let own = self.config.group(group);
        let throttle = match own.throttle {
            throttle::GroupConfig { usual: None, sign_in: None } => Arc::clone(usual),
            own => Throttle::new(self.config.throttle, own, &self.clock),
        };
        let settings = docked.access.manifest.told(own.settings);
        let throttle = &throttle;
        let berth = Berth { tenant: DEFAULT, shared, throttle, group, settings, database };
        self.load(docked, berth).await
    }

    /// Loads and links components of the folder, which may do so much, by the names of their groups.
    ///
    /// # Errors
    /// A sentence that names the component, what is wrong with it, and the remedy.
    pub async fn folder(
        &self,
        accesses: BTreeMap<String, Access>,
    ) -> Result<BTreeMap<String, Docked>, String> {
        let mut docked = BTreeMap::new();
        for (group, access) in accesses {
            let file = component_file(&self.config, &group);
            let wrong = |why: String| format!("component {group} ({}) {why}", file.display());
            let bytes =
                std::fs::read(&file).map_err(|why| wrong(format!("cannot be read: {why}")))?;
            let loaded = self.compiler.load(&bytes).await;
            let artifact = loaded.map_err(|why| wrong(format!("cannot be loaded: {why}")))?;
            let limits = self.config.limits_of(&group, &access.manifest.limits)?;
            let one = self.dock(&group, &artifact, Arc::new(access), limits).map_err(wrong)?;
            docked.insert(group, one);
        }
        Ok(docked)
    }

    /// Removes the data of a tenant that is closed: its tables, and its files.
    ///
    /// # Errors
    /// A sentence that names what is left, and what hinders.
    pub async fn remove_data(&self, tenant: &Tenant) -> Result<(), String> {
        let groups: Vec<String> = tenant.serving.load().groups().keys().cloned().collect();
        tenant.shared.data.remove(&groups).await?;
        let removed = self.storage.remove(&tenant.name).await;
        removed.map_err(|why| format!("its files cannot be removed: {why}"))
    }

    /// Gives back the host's own connections to the database.
    pub async fn close(&self) {
        self.issuers.close().await;
        self.host.close().await;
    }
}

/// A tenant's data, as far as a group may reach it that may do so much; `None` without [`Grant::Database`].
/// `before` is the share of the revision that serves until now: it is kept if it reaches the same tables, so
/// that its connections stay open.
pub fn share(
    shared: &Shared,
    group: &str,
    access: &Access,
    before: Option<&Arc<Share>>,
) -> Option<Arc<Share>> {
    let Access { grants, tables, .. } = access;
    if !grants.0.contains(&Grant::Database) {
        return None;
    }
    let share = Share::new(&shared.data, group, &tables.0, before.map(|before| &**before));
    let before = before.filter(|before| before.is_like(&share));
    Some(before.map_or_else(|| Arc::new(share), Arc::clone))
}

/// What each component of the folder may do, by its name.
///
/// # Errors
/// A sentence that names what is wrong and the remedy.
pub fn access(config: &Config) -> Result<BTreeMap<String, Access>, String> {
    let files = component_files(&config.components)?;
    if let Some(group) = config.groups.keys().find(|group| !files.contains_key(*group)) {
        return Err(format!(
            "the configuration has a section [groups.{group}], but there is no component {group}.wasm in {}; remove the section or build the component",
            config.components.display()
        ));
    }
    let access = |(name, file): (String, PathBuf)| {
        let access = Access::of(&name, &config.group(&name), &file)?;
        Ok((name, access))
    };
    files.into_iter().map(access).collect()
}

/// Opens the default tenant's tables, also for commands that work on them without serving.
///
/// # Errors
/// A sentence that names what is wrong and the remedy.
pub async fn open_data(config: &Config, limits: Limits) -> Result<Database, String> {
    make_data_folder(&config.data)?;
    Database::open(&data_location(config, DEFAULT), limits, &Migrations::api()).await
}

/// Where a tenant's tables lie.
pub fn data_location(config: &Config, tenant: &str) -> Location {
    let file = config.data.join("tenants").join(format!("{tenant}.db"));
    location(config, &file, &format!("tenant_{}", tenant.replace('-', "_")))
}

/// Password hashes and keys lie in it: nobody but the host's user may look.
fn make_data_folder(data: &Path) -> Result<(), String> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| format!("cannot write to the data folder {}: {error}; make it writable or choose another with --data", data.display()))
}

fn location(config: &Config, file: &Path, schema: &str) -> Location {
    match &config.database {
        Some(url) => Location::Postgres { url: url.clone(), schema: schema.to_owned() },
        None => Location::Sqlite(file.to_owned()),
    }
}

/// The file of a component.
pub fn component_file(config: &Config, name: &str) -> PathBuf {
    config.components.join(format!("{name}.wasm"))
}

/// The components of a folder by name, in the order of their names.
fn component_files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let remedy = "build the components with: wharf build";
    let entries = std::fs::read_dir(folder).map_err(|error| {
        format!("cannot read the components folder {}: {error}; {remedy}", folder.display())
    })?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry
            .map_err(|error| {
                format!("cannot read the components folder {}: {error}", folder.display())
            })?
            .path();
        if path.extension().is_some_and(|extension| extension == "wasm")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            files.insert(name.to_owned(), path);
        }
    }
    if files.is_empty() {
        return Err(format!(
            "the components folder {} holds no .wasm file; {remedy}",
            folder.display()
        ));
    }
    Ok(files)
}
