//! A running host: bound, serving, and stopped by whoever started it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::{self, Admin};
use crate::app::{App, Built};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Failure;
use crate::deploy::Deployer;
use crate::identity::Subject;
use crate::listener;
use crate::listener::tls::Tls;
use crate::router::Listed;

/// A host that serves in the background until it is shut down.
pub struct Host {
    app: Arc<App>,
    is_secure: bool,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// Where the admin API listens, and its work.
    admin: Option<(SocketAddr, JoinHandle<()>)>,
    made_up_password: Option<String>,
}

/// What a host has in hand at one moment. All of it is zero a while after nobody asks for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Requests that are in components.
    pub requests: usize,
    /// Requests that wait for a place, the host's or their tenant's.
    pub waiting: usize,
    /// Connections to tenants' databases that statements and transactions hold.
    pub connections: usize,
    /// Instances that wait for another request, where a group has them kept; they go when they are idle.
    pub kept: usize,
}

impl Host {
    /// Binds, puts the parts together, and serves.
    ///
    /// # Errors
    /// A sentence that names what is wrong and the remedy.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, String> {
        config.check()?;
        let tls = Tls::load(&config.tls)?;
        let is_secure = tls.is_some();
        let busy = |error| {
            format!(
                "cannot listen on {}: {error}; stop what listens there or choose another address with --listen",
                config.listen
            )
        };
        let listener = TcpListener::bind(config.listen).await.map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        let for_admin = match config.admin.listen {
            Some(address) => Some(admin::bind(address).await?),
            None => None,
        };
        let Built { app, made_up_password } = App::build(&config, clock.clone(), address).await?;
        let app = Arc::new(app);
        let (stop, stopped) = watch::channel(false);
        let admin = match for_admin {
            Some(listener) => {
                let parts = admin::Parts {
                    config: &config,
                    deployer: Arc::clone(&app.deployer),
                    clock,
                    scheme: scheme(is_secure),
                    port: address.port(),
                    stop: stopped.clone(),
                };
                let admin = Arc::new(Admin::new(parts)?);
                let address = listener.local_addr().map_err(|error| error.to_string())?;
                let tls = Tls::load(&config.tls)?;
                let serving = listener::serve(admin, listener, tls, stopped.clone());
                Some((address, tokio::spawn(serving)))
            }
            None => None,
        };
        let serving = tokio::spawn(listener::serve(Arc::clone(&app), listener, tls, stopped));
        Ok(Host { app, is_secure, stop, serving, admin, made_up_password })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// Where it is reached: `http://` or `https://` and the address.
    pub fn origin(&self) -> String {
        format!("{}://{}", scheme(self.is_secure), self.app.address)
    }

    /// Where its admin API is reached, if it has one.
    pub fn admin_origin(&self) -> Option<String> {
        let (address, _) = self.admin.as_ref()?;
        Some(format!("{}://{address}", scheme(self.is_secure)))
    }

    /// All routes of the default tenant, by path and method.
    pub fn routes(&self) -> Vec<Listed> {
        self.app.tenants.default().serving.load().router().listed().to_vec()
    }

    /// The first admins' password, if this start made it up.
    pub fn made_up_password(&self) -> Option<&str> {
        self.made_up_password.as_deref()
    }

    /// What puts components online, for `wharf dev` and benchmarks: everybody else asks the admin API.
    pub fn deployer(&self) -> &Deployer {
        &self.app.deployer
    }

    /// A token of the default tenant's for somebody who need not be in its tables, for tests of components.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn token_for(&self, subject: Subject) -> Result<String, Failure> {
        let issued = self.app.tenants.default().shared.issuer.issue(subject).await?;
        Ok(issued.text)
    }

    /// What it has in hand.
    pub fn figures(&self) -> Figures {
        let tenants = self.app.tenants.all();
        Figures {
            requests: self.app.admission.in_use(),
            waiting: self.app.admission.waiting()
                + tenants.iter().map(|tenant| tenant.admission.waiting()).sum::<usize>(),
            connections: tenants.iter().map(|tenant| tenant.connections_in_use()).sum(),
            kept: self.app.platform.kept.taken(),
        }
    }

    /// Accepts no more, lets requests in flight finish, and closes the databases.
    pub async fn shutdown(self) {
        // A closed channel says stop as well: then serving has ended by itself.
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        if let Some((_, admin)) = self.admin {
            let _ = admin.await;
        }
        self.app.close().await;
    }
}

fn scheme(is_secure: bool) -> &'static str {
    if is_secure { "https" } else { "http" }
}
