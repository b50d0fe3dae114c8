//! The parts, put together: databases brought up to date, components loaded, routes entered.

mod first_start;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::admission::Admission;
use crate::admission::shares::Shares;
use crate::admission::throttle::{self, Throttle};
use crate::bindings::exports::wharf::plugin::handler::Route;
use crate::blobs::Blobs;
use crate::capabilities::cache::Entries;
use crate::capabilities::passwords::Hasher;
use crate::capabilities::{Grant, Group, Origin, Shared};
use crate::clock::Clock;
use crate::compiler::Compiler;
use crate::config::Config;
use crate::database::{Database, Limits, Location, Migrations};
use crate::identity::{Caller, Issuer, Keys};
use crate::instance::{Engine, Revision, Turns};
use crate::listener;
use crate::response::Unsent;
use crate::router::Router;
use crate::tenant::{Access, Served, Tenant};

/// The tenant that the built-in API belongs to.
const DEFAULT_TENANT: &str = "default";

/// Everything that a request may need. Lives as long as the process serves.
pub struct App {
    /// Who answers what.
    pub router: Router,
    /// Whose API this is.
    pub tenant: Tenant,
    /// How much may be going on at once.
    pub admission: Admission,
    /// What clients may take.
    pub http: listener::Config,
    /// The memory that answers may take until they are sent.
    pub unsent: Unsent,
    /// The memory that bodies take of requests that are not answered yet.
    pub bodies: Arc<Shares>,
    /// The address that is listened on.
    pub address: SocketAddr,
}

/// An app, and what its first start has to tell.
pub struct Built {
    /// The app.
    pub app: App,
    /// The password of the first admins, if this start made it up.
    pub made_up_password: Option<String>,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// A sentence that names what is wrong and the remedy.
    pub async fn build(
        config: &Config,
        clock: Clock,
        address: SocketAddr,
    ) -> Result<Built, String> {
        let (mut tenant, keys) = tenant(config, clock).await?;
        let access = access(config)?;
        let with_data =
            access.iter().filter(|(_, access)| access.grants.0.contains(&Grant::Database));
        let tables = with_data.map(|(name, access)| (name.clone(), access.tables.0.clone()));
        tenant.groups = tenant
            .shared
            .database
            .for_groups(&tables.collect(), &keys.derive("passwords of database roles"))
            .await?;
        let router = load_groups(config, &tenant, &access).await?;
        // Last, since a password that was made up must not be lost to a later error.
        let made_up_password =
            first_start::admins(&tenant, config.admin_password.as_deref()).await?;
        let app = App {
            router,
            tenant,
            admission: Admission::of_tenant(config.admission),
            http: config.http.clone(),
            unsent: Unsent::new(config.http.unsent_bytes),
            bodies: Shares::new(config.http.bodies_bytes, config.http.bodies_bytes_per_address),
            address,
        };
        Ok(Built { app, made_up_password })
    }
}

/// Opens what the groups of the default tenant share.
async fn tenant(config: &Config, clock: Clock) -> Result<(Tenant, Keys), String> {
    make_data_folder(&config.data)?;
    let keys = Keys::load(&config.data, config.key_file.as_deref())?;
    // The host reads its own tables whole at start; guests' results are bounded.
    let unbounded = Limits { rows: usize::MAX, bytes: usize::MAX, ..config.sql.limits() };
    let host = Database::open(
        &location(config, &config.data.join("host.db"), "wharf"),
        unbounded,
        &Migrations::host(),
    )
    .await?;
    let database = open_data(config, config.sql.limits()).await?;
    let issuer = Issuer::open(DEFAULT_TENANT, config.lifetimes(), &keys, host, clock.clone())
        .await
        .map_err(|failure| format!("cannot read which tokens were revoked: {failure}"))?;
    let files = config.data.join("tenants").join(DEFAULT_TENANT).join("blobs");
    let blobs = Blobs::open(&config.blobs, &files, DEFAULT_TENANT).await?;
    let shared = Shared {
        database,
        blobs,
        cache: Entries::new(config.cache_capability, clock.clone()),
        issuer,
        hasher: Hasher::new(config.passwords())?,
        clock,
    };
    let name = DEFAULT_TENANT.to_owned();
    Ok((Tenant { name, shared: Arc::new(shared), groups: BTreeMap::new() }, keys))
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
    Database::open(&data_location(config), limits, &Migrations::api()).await
}

/// Where the default tenant's tables lie.
pub fn data_location(config: &Config) -> Location {
    let file = config.data.join("tenants").join(format!("{DEFAULT_TENANT}.db"));
    location(config, &file, &format!("tenant_{DEFAULT_TENANT}"))
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

/// Compiles and links every component of the folder, and enters its routes.
async fn load_groups(
    config: &Config,
    tenant: &Tenant,
    access: &BTreeMap<String, Access>,
) -> Result<Router, String> {
    let engine = Engine::shared();
    let compiler = Compiler::new(engine.clone(), &config.cache(), &config.program, config.compile)?;
    let usual = throttle::GroupConfig::default();
    let throttle = Throttle::new(config.throttle, usual, &tenant.shared.clock);
    let mut groups = Vec::new();
    for (name, access) in access {
        let loaded = load_group(&engine, &compiler, config, tenant, (name, access), &throttle);
        let (served, routes) = loaded.await.map_err(|error| {
            let file = component_file(config, name);
            format!("component {name} ({}) {error}", file.display())
        })?;
        tracing::info!(component = %name, digest = %served.group.origin.digest, routes = routes.len(), "loaded");
        groups.push((served, routes));
    }
    Router::new(groups)
}

async fn load_group(
    engine: &Engine,
    compiler: &Compiler,
    config: &Config,
    tenant: &Tenant,
    (name, access): (&str, &Access),
    throttle: &Arc<Throttle>,
) -> Result<(Arc<Served>, Vec<Route>), String> {
    let settings = config.group(name);
    // Groups that set nothing of their own count a caller's requests together.
    let throttle = match settings.throttle {
        throttle::GroupConfig { usual: None, sign_in: None } => Arc::clone(throttle),
        own => Throttle::new(config.throttle, own, &tenant.shared.clock),
    };
    let bytes = std::fs::read(component_file(config, name))
        .map_err(|error| format!("cannot be read: {error}"))?;
    let artifact =
        compiler.load(&bytes).await.map_err(|error| format!("cannot be loaded: {error}"))?;
    let origin = Origin {
        tenant: tenant.name.clone(),
        group: name.to_owned(),
        digest: artifact.digest[..12].to_owned(),
    };
    let limits = config.limits_of(name)?;
    let revision = Revision::link(engine, &artifact, access, name, limits)?;
    let group = Arc::new(Group {
        origin,
        settings: settings.settings,
        throttle,
        turns: Turns::default(),
        database: tenant.groups.get(name).cloned(),
        shared: Arc::clone(&tenant.shared),
    });
    let admission = Admission::of_group(config.admission);
    let served = Served { group, revision, admission };
    let nobody = Ipv6Addr::UNSPECIFIED.into();
    let guest = served.guest(Caller::Anonymous, nobody, "deploy".into(), Bytes::new());
    let routes = served
        .revision
        .routes(guest)
        .await
        .map_err(|failed| format!("failed when it was asked for its routes: {}", failed.0))?;
    Ok((Arc::new(served), routes))
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
