//! `wharf doctor`: looks at what a host needs before it serves, and says how to mend what is wrong.

mod compiler;
mod surroundings;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::build::sources;
use super::paint::{ADVICE, ASIDE, WELL, WRONG, in_style};
use super::remote::{Listing, print_json};
use super::{Settings, block_on};
use crate::build::{self, Known, Place, Scope, TARGET};
use crate::capabilities::Grant;
use crate::compiler::Compiler;
use crate::config::Config;
use crate::database::{Database, Standing};
use crate::instance::{self, Engine, Revision};
use crate::plain;
use crate::platform;
use crate::tenant::{Access, DEFAULT};

#[derive(Args)]
#[command(
    after_help = "Components are compared with their sources: those in the folder components/ or else in the current folder, and those in the folders that are named.

Examples:
  wharf doctor
  wharf doctor coupons --config /etc/wharf.toml
  wharf doctor --json | jq '.findings[] | select(.state != \"well\")'

Exit codes: 0 all is well, 1 something is wrong, 2 it was called wrongly."
)]
pub(super) struct Doctor {
    /// Folders that components are built from
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    listing: Listing,
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
            let there = report.database(&config).await;
            report.clock(&config, there);
            report.addresses(&config).await;
            report.toolchain();
            report.sources(&config, &self.folders).await;
            Ok(())
        })?;
        if self.listing.json {
            print_json(&report)?;
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
        // In it and nowhere else: the place of a file says nothing about that of another.
        match tempfile::tempfile_in(&config.data) {
            Ok(_) => self.note(about, State::Well, "can be written to"),
            Err(error) => self.note(about, State::Wrong, format!("cannot be written to ({error}): give it to the user that the host runs as, with: chown -R USER {}", config.data.display())),
        }
        let keys = ["keys/tokens.key", "keys/operator.token"].map(|key| config.data.join(key));
        let secret = keys.into_iter().map(|key| (key, 0o600));
        for (place, most) in secret.chain([(config.data.clone(), 0o700)]) {
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

    /// Asks the database, and answers with the time there if it is another machine's.
    async fn database(&mut self, config: &Config) -> Option<i64> {
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
            Ok(Some(standing)) => {
                self.roles(&standing);
                return Some(standing.now);
            }
            Err(error) => self.note("database", State::Wrong, error),
        }
        None
    }

    /// PostgreSQL's roles.
    fn roles(&mut self, standing: &Standing) {
        let Standing { user, makes_roles, public_makes_temporary, missing, too_mighty, .. } =
            standing;
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
        let oldest = env!("CARGO_PKG_RUST_VERSION");
        let (state, text) = match (build::has_target(), compiler::here()) {
            (Err(error), _) => (State::Advice, format!("{error}; only wharf build needs it")),
            (Ok(_), Some(here)) if is_older(&here, oldest) => (
                State::Advice,
                format!(
                    "is Rust {here}, and wharf build needs {oldest} or later; run: rustup update"
                ),
            ),
            (Ok(false), _) => (
                State::Advice,
                format!(
                    "has no target {TARGET}, which wharf build needs; run: rustup target add {TARGET}"
                ),
            ),
            (Ok(true), here) => {
                let here = here.unwrap_or_default();
                (State::Well, format!("is Rust {here}, with the target {TARGET}"))
            }
        };
        self.note("toolchain", state, text);
    }

    /// Whether components are what their sources say, by this toolchain.
    async fn sources(&mut self, config: &Config, named: &[PathBuf]) {
        let found = if Place::usual().is_ok() { sources(&[]) } else { Ok(Vec::new()) };
        let mut folders = found.unwrap_or_else(|error| {
            self.note("sources", State::Advice, error);
            Vec::new()
        });
        // A host may well serve others than those whose crates happen to be here.
        folders.retain(|source| platform::component_file(config, source.group()).exists());
        for folder in named {
            match sources(std::slice::from_ref(folder)) {
                Ok(found) => folders.extend(found),
                Err(error) => self.note(folder.display().to_string(), State::Wrong, error),
            }
        }
        let here = compiler::here();
        let mut known = Known::default();
        for source in folders {
            let file = platform::component_file(config, source.group());
            let scope = source.scope(&mut known).await;
            let (state, text) = match compared(&scope, &file, here.as_deref()) {
                Ok(()) => (State::Well, "is what its sources say".to_owned()),
                Err(why) => {
                    let remedy = format!("run: wharf build {}", source.folder().display());
                    (State::Advice, format!("{why}; {remedy}"))
                }
            };
            self.note(format!("component {}", source.group()), state, text);
        }
    }

    fn print(&self) {
        for group in &self.groups {
            let digest = group.digest.as_deref().unwrap_or("");
            let digest = in_style(ASIDE, &digest[..digest.len().min(12)]);
            anstream::println!("group {} {digest}", group.group);
            println!("  grants ({}): {}", group.grants_from, group.grants.join(", "));
            let tables = group.tables.iter().map(|(table, rights)| format!("{table} ({rights})"));
            println!("  tables ({}): {}", group.tables_from, tables.collect::<Vec<_>>().join(", "));
        }
        for Finding { about, state, text } in &self.findings {
            let state = match state {
                State::Well => in_style(WELL, "well  "),
                State::Advice => in_style(ADVICE, "advice"),
                State::Wrong => in_style(WRONG, "wrong "),
            };
            anstream::println!("{state} {}", plain::line(&format!("{about}: {text}")));
        }
    }
}

/// Looks whether a component was built of its sources as they are now, by the compiler that is here.
///
/// # Errors
/// In words, why it was not.
fn compared(scope: &Scope, file: &Path, here: Option<&str>) -> Result<(), String> {
    let missing = |error| format!("{} is not there ({error})", file.display());
    let built = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    let built = built.map_err(missing)?;
    if let Some((newest, _)) = scope.newest().filter(|(_, at)| *at > built) {
        return Err(format!("is older than {}", newest.display()));
    }
    let by = compiler::of(&std::fs::read(file).map_err(missing)?);
    match (by, here) {
        (Some(by), Some(here)) if by != here => {
            Err(format!("was built by rustc {by}, and here is {here}"))
        }
        _ => Ok(()),
    }
}

/// Whether a version of Rust, as `rustc --version` tells it, comes before another one.
fn is_older(here: &str, oldest: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        let plain = version.split([' ', '-']).next().unwrap_or_default();
        plain.split('.').filter_map(|number| number.parse().ok()).collect()
    };
    numbers(here) < numbers(oldest)
}

/// A file's permissions, if it is there.
fn mode(file: &Path) -> Option<u32> {
    Some(std::fs::metadata(file).ok()?.permissions().mode() & 0o777)
}
