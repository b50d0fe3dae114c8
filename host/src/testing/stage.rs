//! The host that the requests of one file are asked of.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::Map;
use tempfile::TempDir;

use super::Setting;
use super::record;
use super::script::{Step, User};
use crate::admin;
use crate::clock::Clock;
use crate::config::{Config, Testing};
use crate::host::Host;
use crate::identity::Subject;
use crate::response;

/// The time at which each file begins, in unix seconds: 2025-01-01T00:00:00Z.
const START: i64 = 1_735_689_600;

/// The password of the first admins, where the built-in groups are tested.
const ADMIN_PASSWORD: &str = "admin-password";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// A host on a fresh database, with the time standing still.
pub(super) struct Stage {
    host: Host,
    clock: Clock,
    client: reqwest::Client,
    /// Removed with the stage.
    _data: TempDir,
}

/// An answer.
pub(super) struct Seen {
    /// As it is recorded.
    pub(super) answer: String,
    /// What it has cost.
    pub(super) fuel: Option<u64>,
}

impl Stage {
    /// Starts a host with the components of a setting.
    pub(super) async fn set(setting: &Setting, tests: &Path) -> Result<Self, String> {
        let data = tempfile::tempdir()
            .map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let settings = tests.join("wharf.toml");
        let mut config =
            if settings.exists() { Config::read(&settings)? } else { Config::default() };
        config.listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        config.data = data.path().join("data");
        config.cache = Some(setting.cache.clone());
        config.components = setting.components.clone();
        config.program = setting.program.clone();
        config.admin = admin::Config { listen: None, ..config.admin };
        config.admin_password = Some(ADMIN_PASSWORD.to_owned());
        config.captcha_reveal = true;
        config.throttle.enabled.get_or_insert(false);
        config.compile = config.compile.for_whoever_built_it();
        config.testing = Some(Testing { seed: setting.seed });
        let clock = Clock::manual(START);
        let host = Host::start(config, clock.clone()).await?;
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("cannot make a client: {error}"))?;
        Ok(Stage { host, clock, client, _data: data })
    }

    /// Where it is reached.
    pub(super) fn origin(&self) -> String {
        self.host.origin()
    }

    /// Moves its clock.
    pub(super) fn advance(&self, seconds: i64) {
        self.clock.advance(seconds);
    }

    /// Sends a request.
    pub(super) async fn ask(&self, step: &Step) -> Result<Seen, String> {
        self.advance(step.advance);
        let failed = |error: reqwest::Error| format!("{}: {}", step.name, error.without_url());
        let method = reqwest::Method::from_bytes(step.method.as_bytes())
            .map_err(|_| format!("{}: {} is no method", step.name, step.method))?;
        let url = format!("{}{}", self.host.origin(), step.target);
        let mut request = self.client.request(method, url).body(step.body.clone());
        if let Some(user) = &step.user {
            request = request.bearer_auth(self.token(user).await?);
        }
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = answer.bytes().await.map_err(failed)?;
        let fuel = headers.get(response::FUEL).and_then(|fuel| fuel.to_str().ok()?.parse().ok());
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        // The port is another each time.
        let answer = record::shown(status, headers, &body).replace(&self.host.origin(), "{{host}}");
        Ok(Seen { answer, fuel })
    }

    /// A token of a user's.
    pub(super) async fn token(&self, user: &User) -> Result<String, String> {
        let User { realm, id, name, roles } = user.clone();
        let subject = Subject { user: id, realm, name, roles, claims: Map::new() };
        let token = self.host.token_for(subject).await;
        token.map_err(|failure| format!("cannot issue a token: {failure}"))
    }

    /// Stops the host.
    pub(super) async fn clear(self) {
        self.host.shutdown().await;
    }
}
