//! Settings, read once: defaults, then the file, then flags and environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::capabilities::{cache, passwords};
use crate::database::Limits;
use crate::tenant::{GroupConfig, RealmConfig};
use crate::written::{self, Wrong};
use crate::{
    admin, admission, blobs, clock, compiler, identity, instance, listener, logs, outbound,
    response,
};

/// All settings. `wharf.example.toml` shows each with its default.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on; port 0 lets the operating system choose.
    pub listen: SocketAddr,
    /// The folder for SQLite files and keys.
    pub data: PathBuf,
    /// The folder for compiled components; `cache` in the data folder if it is not set.
    pub cache: Option<PathBuf>,
    /// A `postgres://` URL; SQLite in the data folder if it is not set.
    pub database: Option<String>,
    /// The folder with the components, one `<group>.wasm` each.
    pub components: PathBuf,
    /// A file with the key that signs tokens; made in the data folder if it is not set.
    pub key_file: Option<PathBuf>,
    /// The wharf program that compiles components in a process of its own.
    #[serde(skip, default = "this_program")]
    pub program: PathBuf,
    /// The first admins' password. Comes from the environment alone, since files are shared.
    #[serde(skip)]
    pub admin_password: Option<String>,
    /// Whether captcha answers tell their code: for tests, on loopback addresses alone.
    #[serde(skip)]
    pub captcha_reveal: bool,
    /// Whether `wharf dev` serves: the components of the folder come one by one, and some may be broken.
    #[serde(skip)]
    pub dev: bool,
    /// What makes a host one that tests components; `wharf test` alone sets it.
    #[serde(skip)]
    pub testing: Option<Testing>,
    /// What clients may take.
    pub http: listener::Config,
    /// What answers tell besides what components say.
    pub answers: response::Config,
    /// How TLS is spoken.
    pub tls: listener::tls::Config,
    /// The admin API.
    pub admin: admin::Config,
    /// What compiling a component may take.
    pub compile: compiler::Config,
    /// What one call of a component may take.
    pub limits: instance::Limits,
    /// What instances that are kept may take.
    pub reuse: instance::reuse::Config,
    /// How much is kept of what guests log.
    pub logs: logs::Config,
    /// How many requests may be going on at once.
    pub admission: admission::Config,
    /// How often somebody may call.
    pub throttle: admission::throttle::Config,
    /// What statements may take.
    pub sql: SqlConfig,
    /// How long tokens live.
    pub tokens: identity::Config,
    /// How many passwords are hashed at once.
    pub passwords: passwords::Config,
    /// Where files lie, and how large they may be.
    pub blobs: blobs::Config,
    /// What the cache capability keeps.
    pub cache_capability: cache::Config,
    /// What components' calls to other hosts may take.
    pub outbound: outbound::Config,
    /// The users of each kind, by realm.
    #[serde(deserialize_with = "RealmConfig::read")]
    pub realms: BTreeMap<String, RealmConfig>,
    /// Grants and settings of endpoint groups, by name.
    pub groups: BTreeMap<String, GroupConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("wharf-data"),
            cache: None,
            database: None,
            components: PathBuf::from("target/components/wharf"),
            key_file: None,
            program: this_program(),
            admin_password: None,
            captcha_reveal: false,
            dev: false,
            testing: None,
            http: listener::Config::default(),
            answers: response::Config::default(),
            tls: listener::tls::Config::default(),
            admin: admin::Config::default(),
            compile: compiler::Config::default(),
            limits: instance::Limits::default(),
            reuse: instance::reuse::Config::default(),
            logs: logs::Config::default(),
            admission: admission::Config::default(),
            throttle: admission::throttle::Config::default(),
            sql: SqlConfig::default(),
            tokens: identity::Config::default(),
            passwords: passwords::Config::default(),
            blobs: blobs::Config::default(),
            cache_capability: cache::Config::default(),
            outbound: outbound::Config::default(),
            realms: RealmConfig::built_in(),
            groups: BTreeMap::new(),
        }
    }
}

/// What is different on a host that tests components: each run has the same randomness, and what calls cost
/// is counted.
#[derive(Clone, Copy, Debug)]
pub struct Testing {
    /// What the random bytes follow from.
    pub seed: u64,
}

/// The program of this process, also after its file was replaced by a newer one.
fn this_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("wharf"))
}

/// What statements may take, in `[sql]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlConfig {
    /// Connections that are open at once, for each group and for the host.
    pub connections: u32,
    /// Connections of each group's role on PostgreSQL, over all hosts that share the database.
    pub role_connections: u32,
    /// Connections to PostgreSQL that this host has open for all tenants together, of which each may use half; those
    /// for its own tables are `connections` more, and one to hear other hosts.
    pub server_connections: u32,
    /// Milliseconds that a statement waits for a connection or a lock.
    pub wait_milliseconds: u64,
    /// Milliseconds that a statement runs, waiting included.
    pub statement_milliseconds: u64,
    /// Rows of one result.
    pub rows: usize,
    /// Bytes of one result.
    pub bytes: usize,
    /// Bytes of one statement.
    pub statement_bytes: usize,
    /// Parameters of one statement.
    pub parameters: usize,
    /// Bytes of one value, as a parameter or, on SQLite, on the way to a result.
    pub value_bytes: usize,
    /// Statements of one request.
    pub request_statements: u32,
    /// Milliseconds that all statements of one request take, waiting included.
    pub request_milliseconds: u64,
    /// Milliseconds that a transaction is open.
    pub transaction_milliseconds: u64,
    /// Migrations that a group's components have brought along so far.
    pub migrations: usize,
    /// Bytes of one migration.
    pub migration_bytes: usize,
    /// Statements of one migration.
    pub migration_statements: usize,
    /// Milliseconds that one migration runs.
    pub migration_milliseconds: u64,
}

impl Default for SqlConfig {
    fn default() -> Self {
        SqlConfig {
            connections: 8,
            role_connections: 100,
            server_connections: 80,
            wait_milliseconds: 5_000,
            statement_milliseconds: 10_000,
            rows: 10_000,
            bytes: 8 * 1024 * 1024,
            statement_bytes: 64 * 1024,
            parameters: 1_000,
            value_bytes: 1024 * 1024,
            request_statements: 1_000,
            request_milliseconds: 20_000,
            transaction_milliseconds: 2_000,
            migrations: 100,
            migration_bytes: 64 * 1024,
            migration_statements: 100,
            migration_milliseconds: 10_000,
        }
    }
}

impl SqlConfig {
    /// The same, as the database takes it.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            role_connections: self.role_connections,
            server_connections: self.server_connections,
            wait: Duration::from_millis(self.wait_milliseconds),
            statement: Duration::from_millis(self.statement_milliseconds),
            rows: self.rows,
            bytes: self.bytes,
            statement_bytes: self.statement_bytes,
            parameters: self.parameters,
            value_bytes: self.value_bytes,
            request_statements: self.request_statements,
            request: Duration::from_millis(self.request_milliseconds),
            transaction: Duration::from_millis(self.transaction_milliseconds),
            migrations: self.migrations,
            migration_bytes: self.migration_bytes,
            migration_statements: self.migration_statements,
            migration: Duration::from_millis(self.migration_milliseconds),
            bulk: false,
        }
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names the file, the line and the key.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            format!("cannot read the configuration {}: {error}; correct --config", file.display())
        })?;
        written::read(&text).map_err(|Wrong { line, why }| {
            // The key alone: its value may be a secret.
            let key = text.lines().nth(line - 1).and_then(|line| line.split('=').next());
            format!(
                "the configuration {} is not valid at line {line} ({}): {why}; wharf.example.toml shows every key",
                file.display(),
                key.unwrap_or_default().trim(),
            )
        })
    }

    /// Refuses what must not be combined.
    ///
    /// # Errors
    /// A sentence that names the setting and the remedy.
    pub fn check(&self) -> Result<(), String> {
        if self.captcha_reveal && !self.listen.ip().is_loopback() {
            return Err(format!(
                "WHARF_CAPTCHA_REVEAL tells captchas to everybody and is for tests on loopback addresses alone, not {}; unset it or listen on 127.0.0.1",
                self.listen
            ));
        }
        self.http.check()?;
        self.admin.check()?;
        let SqlConfig { connections, role_connections, server_connections, .. } = self.sql;
        for (name, number) in [
            ("connections", connections),
            ("role_connections", role_connections),
            ("server_connections", server_connections),
        ] {
            if number == 0 {
                return Err(format!(
                    "sql.{name} is 0, and no statement could run; set it to 1 or more"
                ));
            }
        }
        self.limits.check()?;
        self.reuse.check()?;
        self.outbound.check()?;
        if self.admission.concurrency > self.limits.most_calls() {
            return Err(format!(
                "admission.concurrency is {}, and with limits.instances there is memory for {} calls at once; lower one of them",
                self.admission.concurrency,
                self.limits.most_calls()
            ));
        }
        for name in self.groups.keys() {
            self.limits_of(name, &toml::Table::new())?
                .check()
                .map_err(|error| format!("group {name}: {error}"))?;
        }
        for (name, realm) in &self.realms {
            if let Some(host) = realm.hosts.iter().flatten().find(|host| host.contains([':', '/']))
            {
                return Err(format!(
                    "realms.{name}.hosts holds {host:?}; write host names without a scheme or port"
                ));
            }
            let seconds = [realm.lifetime_seconds, realm.refresh_seconds, realm.idle_seconds];
            if seconds.into_iter().flatten().any(|seconds| seconds <= 0) {
                return Err(format!(
                    "a number of seconds in [realms.{name}] is not positive; tokens would be over before they begin"
                ));
            }
            if let Some(zone) =
                realm.zone.as_ref().filter(|zone| clock::zones::find(zone).is_none())
            {
                return Err(format!(
                    "realms.{name}.zone is {zone:?}, which is no time zone; write a name such as \"Asia/Shanghai\" or an offset such as \"+08:00\""
                ));
            }
        }
        Ok(())
    }

    /// Every setting that the file has, in a form that can be printed: without the database's password.
    pub fn shown(&self) -> impl std::fmt::Debug + use<> {
        let places = (
            self.listen,
            self.data.clone(),
            self.cache.clone(),
            self.components.clone(),
            self.key_file.clone(),
        );
        let limits = (
            self.http.clone(),
            self.tls.clone(),
            self.limits,
            self.reuse,
            self.admission,
            self.throttle,
            self.sql,
            self.tokens,
        );
        let compile = (self.compile, self.admin, self.answers, self.logs);
        let capabilities =
            (self.passwords, self.cache_capability, self.blobs.clone(), self.outbound.clone());
        (
            places,
            self.database.is_some(),
            compile,
            limits,
            capabilities,
            self.realms.clone(),
            self.groups.clone(),
        )
    }

    /// How long the tokens of each realm live.
    pub fn lifetimes(&self) -> identity::Lifetimes {
        let lifetime = |realm: &RealmConfig| identity::Config {
            lifetime_seconds: realm.lifetime_seconds.unwrap_or(self.tokens.lifetime_seconds),
            refresh_seconds: realm.refresh_seconds.unwrap_or(self.tokens.refresh_seconds),
            ..self.tokens
        };
        let realms = self.realms.iter().map(|(name, realm)| (name.clone(), lifetime(realm)));
        identity::Lifetimes { usual: self.tokens, realms: realms.collect() }
    }

    /// What one call of a group's component may take: as usual, as its manifest asks, as the operator says.
    ///
    /// # Errors
    /// A sentence that names the section and the key.
    pub fn limits_of(
        &self,
        group: &str,
        manifest: &toml::Table,
    ) -> Result<instance::Limits, String> {
        let own = self.groups.get(group).map(|group| group.limits.clone()).unwrap_or_default();
        let mut limits = toml::Table::try_from(self.limits).map_err(|error| error.to_string())?;
        limits.extend(manifest.clone());
        limits.extend(own);
        limits.try_into::<instance::Limits>().map_err(|error| {
            format!("the section [groups.{group}.limits] is not valid: {}; wharf.example.toml shows every key", written::why(&error))
        })
    }

    /// How much hashing may go on and wait. Unless the operator says otherwise, calls that wait for it take
    /// half of a group's places at most, and leave the others to requests that need no password.
    pub fn passwords(&self) -> passwords::Config {
        let places = self.admission.concurrency.min(self.admission.group_concurrency);
        let queue = self.passwords.queue.unwrap_or(places / 2);
        passwords::Config { queue: Some(queue), ..self.passwords }
    }

    /// Where compiled components are kept.
    pub fn cache(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| self.data.join("cache"))
    }

    /// What the built-in groups are told of the realms, also where another tenant has inherited them.
    pub fn inherited_settings(&self) -> BTreeMap<String, String> {
        self.realms.iter().flat_map(|(name, realm)| realm.settings(name)).collect()
    }

    /// The grants and settings of a group, with those of the realms.
    pub fn group(&self, name: &str) -> GroupConfig {
        let mut group = self.groups.get(name).cloned().unwrap_or_default();
        group.settings.extend(self.inherited_settings());
        if name == "captcha" && self.captcha_reveal {
            group.settings.insert("reveal".into(), "1".into());
        }
        group
    }
}
