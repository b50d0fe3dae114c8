//! The parts, put together: what all tenants share, the default tenant, and those that were made.

mod first_start;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::admission::Admission;
use crate::admission::shares::Shares;
use crate::capabilities::Shared;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Share;
use crate::deploy::Deployer;
use crate::listener;
use crate::platform::{self, Docked, Platform};
use crate::registry::Registry;
use crate::response::Unsent;
use crate::tenant::serving::Serving;
use crate::tenant::{Access, DEFAULT, Tenant};
use crate::tenants::Tenants;

/// Everything that a request may need. Lives as long as the process serves.
pub struct App {
    /// Whose request it is.
    pub tenants: Arc<Tenants>,
    /// What changes them.
    pub deployer: Arc<Deployer>,
    /// What all of them share.
    pub platform: Arc<Platform>,
    /// How much may be going on at once, of all tenants together.
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
        let platform = Arc::new(Platform::open(config, clock).await?);
        // While `wharf dev` works, components come one by one, and the folder may hold none yet.
        let accesses = if config.dev { BTreeMap::new() } else { platform::access(config)? };
        let shared = platform.shared(DEFAULT, 0, true);
        let shares = shares(&shared, &accesses).await?;
        let folder = platform.folder(accesses).await?;
        let default = default_tenant(&platform, shared, shares, &folder).await?;
        // Last, since a password that was made up must not be lost to a later error.
        let made_up_password =
            first_start::admins(&default, config.admin_password.as_deref()).await?;
        let registry =
            Registry::open(platform.host.clone(), &platform.keys, platform.clock.clone());
        let unread = |failure| format!("cannot read what tenants have deployed: {failure}");
        let registry = Arc::new(registry.await.map_err(unread)?);
        let tenants = Arc::new(Tenants::new(default));
        let deployer = Deployer::new(Arc::clone(&platform), registry, Arc::clone(&tenants), folder);
        let deployer = Arc::new(deployer);
        deployer.start().await.map_err(unread)?;
        let app = App {
            tenants,
            deployer,
            admission: Admission::of(config.limits.most_calls(), config.admission),
            platform,
            http: config.http.clone(),
            unsent: Unsent::new(config.http.unsent_bytes),
            bodies: Shares::new(config.http.bodies_bytes, config.http.bodies_bytes_per_address),
            address,
        };
        Ok(Built { app, made_up_password })
    }

    /// Closes all connections to databases, after those in use have been given back.
    pub async fn close(&self) {
        self.deployer.stop();
        for tenant in self.tenants.all() {
            tenant.close().await;
        }
        self.platform.close().await;
    }
}

/// The default tenant's data, as far as each of its groups may reach it: open, so that what is wrong with it
/// is known before the host serves.
async fn shares(
    shared: &Shared,
    accesses: &BTreeMap<String, Access>,
) -> Result<BTreeMap<String, Arc<Share>>, String> {
    shared.data.whole().await?;
    let mut shares = BTreeMap::new();
    for (group, access) in accesses {
        if let Some(share) = platform::share(shared, group, access, None) {
            share.migrate(&access.manifest.migrations).await?;
            share.open().await?;
            shares.insert(group.clone(), share);
        }
    }
    Ok(shares)
}

/// The tenant that the components folder belongs to.
async fn default_tenant(
    platform: &Platform,
    shared: Arc<Shared>,
    mut shares: BTreeMap<String, Arc<Share>>,
    folder: &BTreeMap<String, Docked>,
) -> Result<Arc<Tenant>, String> {
    let config = &platform.config;
    let usual = platform.throttle();
    let mut groups = BTreeMap::new();
    for (group, docked) in folder {
        let database = shares.remove(group);
        let loaded = platform.load_own(docked, group, &shared, &usual, database).await;
        let loaded = loaded.map_err(|why| format!("component {group} {why}"))?;
        tracing::info!(component = %group, digest = %loaded.served.group.origin.digest, routes = loaded.routes.len(), "loaded");
        groups.insert(group.clone(), loaded);
    }
    let serving = Serving::new(groups)
        .map_err(|error| format!("{error}; remove one of them from the components folder"))?;
    serving.check().map_err(|error| error.to_string())?;
    Ok(Arc::new(Tenant {
        name: DEFAULT.to_owned(),
        hosts: Vec::new(),
        record: None,
        shared,
        throttle: usual,
        admission: Admission::of_tenant(config.admission),
        serving: ArcSwap::from_pointee(serving),
    }))
}
