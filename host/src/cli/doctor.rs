//! `wharf doctor`: looks at what a host needs before it serves, and says how to mend what is wrong.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::{Settings, block_on};
use crate::build::{self, TARGET};
use crate::capabilities::Grant;
use crate::compiler::Compiler;
use crate::config::Config;
use crate::database::{Database, Standing};
use crate::instance::{self, Engine, Revision};
use crate::platform;
use crate::tenant::{Access, DEFAULT};

#[derive(Args)]
#[command(after_help = "Exit codes: 0 all is well, 1 something is wrong, 2 it was called wrongly.")]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: Settings,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// What was found. Its names are those of the JSON.
#[derive(Default, Serialize)]
struct Report {
    groups: Vec<GroupReport>,
    findings: Vec<Finding>,
}

/// What a group may do, and who says so.
#[derive(Serialize)]
struct GroupReport {
    group: String,
    /// The SHA-256 of the component, in hexadecimal; `None` if it cannot be loaded.
    digest: Option<String>,
    grants: Vec<&'static str>,
    grants_from: String,
    /// The rights to each table.
    tables: BTreeMap<String, String>,
    tables_from: String,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    about: String,
    state: State,
    /// What is there and, unless all is well, what to do.
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is as it should be.
    Well,
    /// It works, and could be better.
    Advice,
    /// A host would not start, or not be safe.
    Wrong,
}

impl Doctor {
    pub(super) fn run(self) -> Result<(), String> {
        let config = self.settings.config()?;
        let mut report = Report::default();
        report.settings(&config);
        report.data_folder(&config);
        block_on(async {
            report.groups(&config).await;
            report.database(&config).await;
            Ok(())
        })?;
        report.toolchain();
        if self.json {
            let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
            println!("{json}");
        } else {
            report.print();
        }
        let wrong = report.findings.iter().filter(|finding| finding.state == State::Wrong).count();
        if wrong == 0 {
            return Ok(());
        }
        Err(format!(
            "{wrong} of {} findings are wrong; each says how to mend it",
            report.findings.len()
        ))
    }
}

impl Report {
    fn note(&mut self, about: impl Into<String>, state: State, text: impl Into<String>) {
        self.findings.push(Finding { about: about.into(), state, text: text.into() });
    }

    fn settings(&mut self, config: &Config) {
        match config.check() {
            Ok(()) => self.note("settings", State::Well, "can be combined"),
            Err(error) => self.note("settings", State::Wrong, error),
        }
    }

    /// Password hashes and keys lie in it.
    fn data_folder(&mut self, config: &Config) {
        let about = format!("data folder {}", config.data.display());
        if !config.data.exists() {
            return self.note(about, State::Well, "is made at the first start");
        }
        for (place, most) in
            [(config.data.clone(), 0o700), (config.data.join("keys/tokens.key"), 0o600)]
        {
            match mode(&place) {
                Some(mode) if mode & !most == 0 => {
                    self.note(place.display().to_string(), State::Well, "is the host's alone");
                }
                Some(mode) => self.note(
                    place.display().to_string(),
                    State::Wrong,
                    format!("has mode {mode:03o}, so that others may look at password hashes or keys; run: chmod {most:03o} {}", place.display()),
                ),
                None => {}
            }
        }
    }

    /// What each component may do, and whether that is what it needs.
    async fn groups(&mut self, config: &Config) {
        let accesses = match platform::access(config) {
            Ok(accesses) => accesses,
            Err(error) => return self.note("components", State::Wrong, error),
        };
        // A folder that is not there yet must be made by the host, for itself alone.
        let elsewhere = tempfile::tempdir().ok().filter(|_| !config.data.exists());
        let cache =
            elsewhere.as_ref().map_or_else(|| config.cache(), |folder| folder.path().into());
        let compiler = Compiler::new(Engine::shared(), &cache, &config.program, config.compile);
        let compiler = match compiler {
            Ok(compiler) => compiler,
            Err(error) => return self.note("compiled components", State::Wrong, error),
        };
        for (name, access) in &accesses {
            let digest = self.component(config, &compiler, name, access).await;
            let tables = access.tables.0.iter();
            self.groups.push(GroupReport {
                group: name.clone(),
                digest,
                grants: access.grants.0.iter().map(|grant| grant.name()).collect(),
                grants_from: access.grants.1.to_string(),
                tables: tables
                    .map(|(table, rights)| (table.to_owned(), rights.to_string()))
                    .collect(),
                tables_from: access.tables.1.to_string(),
            });
        }
    }

    /// Compares what a component imports with what its group may; answers with its digest.
    async fn component(
        &mut self,
        config: &Config,
        compiler: &Compiler,
        name: &str,
        access: &Access,
    ) -> Option<String> {
        let about = format!("component {name}");
        let file = platform::component_file(config, name);
        let loaded = match std::fs::read(&file) {
            Ok(bytes) => compiler.load(&bytes).await,
            Err(error) => {
                Err(format!("{} cannot be read: {error}; make it readable", file.display()))
            }
        };
        let artifact = match loaded {
            Ok(artifact) => artifact,
            Err(error) => {
                self.note(about, State::Wrong, error);
                return None;
            }
        };
        let engine = Engine::shared();
        let linked = config
            .limits_of(name, &access.manifest.limits)
            .and_then(|limits| Revision::link(&engine, &artifact, access, name, limits));
        match linked {
            Ok(_) => self.note(&about, State::Well, "has been granted all that it imports"),
            Err(error) => self.note(&about, State::Wrong, error),
        }
        let imported = instance::imported(&engine, &artifact).unwrap_or_default();
        let granted = access.grants.0.iter();
        let unused: Vec<&str> =
            granted.filter(|grant| !imported.contains(grant)).map(|grant| grant.name()).collect();
        if !unused.is_empty() && access.grants.1 != crate::tenant::Source::Default {
            self.note(
                &about,
                State::Advice,
                format!("does not import {}; take that out of its grants", unused.join(", ")),
            );
        }
        if access.tables.0.iter().next().is_some() && !access.grants.0.contains(&Grant::Database) {
            self.note(
                &about,
                State::Advice,
                "has been granted tables and not \"database\"; take out the one or add the other",
            );
        }
        Some(artifact.digest.clone())
    }

    async fn database(&mut self, config: &Config) {
        let groups = platform::access(config).unwrap_or_default();
        let with_data =
            groups.iter().filter(|(_, access)| access.grants.0.contains(&Grant::Database));
        let groups: Vec<String> = with_data.map(|(name, _)| name.clone()).collect();
        let location = platform::data_location(config, DEFAULT);
        match Database::standing(&location, &config.sql.limits(), &groups).await {
            Ok(None) => self.note(
                "database",
                State::Well,
                "is a file that answers, or is made at the first start",
            ),
            Ok(Some(standing)) => self.roles(&standing),
            Err(error) => self.note("database", State::Wrong, error),
        }
    }

    /// PostgreSQL's roles.
    fn roles(&mut self, standing: &Standing) {
        let Standing { user, makes_roles, public_makes_temporary, missing, too_mighty } = standing;
        self.note("database", State::Well, format!("answers the user {user}"));
        if *makes_roles {
            self.note("database user", State::Well, "may make the groups' roles");
        } else {
            self.note("database user", State::Wrong, format!("{user} may not make the groups' roles; as a superuser, run: ALTER ROLE \"{user}\" CREATEROLE"));
        }
        if !missing.is_empty() {
            self.note(
                "database roles",
                State::Well,
                format!("those of {} are made at the next start", missing.join(", ")),
            );
        }
        for role in too_mighty {
            self.note("database roles", State::Wrong, format!("{role} has more than its tables, which somebody else gave it; as a superuser, run: DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\", and start the host anew"));
        }
        if *public_makes_temporary {
            self.note("database", State::Advice, "lets every role make temporary tables; statements of components cannot ask for one, and as its owner you can rule it out: REVOKE TEMPORARY ON DATABASE … FROM PUBLIC");
        }
    }

    /// What `wharf build` needs and a host that serves does not.
    fn toolchain(&mut self) {
        let missing = match build::has_target() {
            Ok(true) => {
                return self.note("toolchain", State::Well, format!("has the target {TARGET}"));
            }
            Ok(false) => format!(
                "has no target {TARGET}, which wharf build needs; run: rustup target add {TARGET}"
            ),
            Err(error) => format!("{error}; only wharf build needs it"),
        };
        self.note("toolchain", State::Advice, missing);
    }

    fn print(&self) {
        for group in &self.groups {
            let digest = group.digest.as_deref().unwrap_or("");
            println!("group {} {}", group.group, &digest[..digest.len().min(12)]);
            println!("  grants ({}): {}", group.grants_from, group.grants.join(", "));
            let tables = group.tables.iter().map(|(table, rights)| format!("{table} ({rights})"));
            println!("  tables ({}): {}", group.tables_from, tables.collect::<Vec<_>>().join(", "));
        }
        for Finding { about, state, text } in &self.findings {
            let state = match state {
                State::Well => "well  ",
                State::Advice => "advice",
                State::Wrong => "wrong ",
            };
            println!("{state} {about}: {text}");
        }
    }
}

/// A file's permissions, if it is there.
fn mode(file: &Path) -> Option<u32> {
    Some(std::fs::metadata(file).ok()?.permissions().mode() & 0o777)
}
