//! A running host: bound, serving, and stopped by whoever started it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::{App, Built};
use crate::clock::Clock;
use crate::config::Config;
use crate::listener;
use crate::listener::tls::Tls;
use crate::router::Listed;

/// A host that serves in the background until it is shut down.
pub struct Host {
    app: Arc<App>,
    is_secure: bool,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    made_up_password: Option<String>,
}

/// What a host has in hand at one moment. All of it is zero when nobody asks for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Requests that are in components.
    pub requests: usize,
    /// Requests that wait for a place of the tenant's.
    pub waiting: usize,
    /// Connections to the tenant's database that statements and transactions hold.
    pub connections: usize,
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
        let Built { app, made_up_password } = App::build(&config, clock, address).await?;
        let app = Arc::new(app);
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(listener::serve(Arc::clone(&app), listener, tls, stopped));
        Ok(Host { app, is_secure, stop, serving, made_up_password })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// Where it is reached: `http://` or `https://` and the address.
    pub fn origin(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.app.address)
    }

    /// All routes that it serves, by path and method.
    pub fn routes(&self) -> &[Listed] {
        self.app.router.listed()
    }

    /// The first admins' password, if this start made it up.
    pub fn made_up_password(&self) -> Option<&str> {
        self.made_up_password.as_deref()
    }

    /// What it has in hand.
    pub fn figures(&self) -> Figures {
        Figures {
            requests: self.app.admission.in_use(),
            waiting: self.app.admission.waiting(),
            connections: self.app.tenant.connections_in_use(),
        }
    }

    /// Accepts no more, lets requests in flight finish, and closes the databases.
    pub async fn shutdown(self) {
        // A closed channel says stop as well: then serving has ended by itself.
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        self.app.tenant.close().await;
        self.app.tenant.shared.issuer.close().await;
    }
}
