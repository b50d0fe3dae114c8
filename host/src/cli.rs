//! The command line: one file per command.

mod build;
mod compile;
mod completions;
mod deploy;
mod dev;
mod diff;
mod doctor;
mod export;
mod grant;
mod import;
mod key;
mod local_certificate;
mod logs;
mod new;
mod paint;
mod promote;
mod remote;
mod remove;
mod revisions;
mod rollback;
mod schema;
mod serve;
mod setting;
mod sign;
mod tenant;
mod test;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use paint::{WRONG, in_style};

use crate::admin;
use crate::compiler;
use crate::config::Config;
use crate::database::{Database, Limits};
use crate::platform;
use crate::users::{REALMS, Realm};

/// A WebAssembly-component plugin host.
#[derive(Parser)]
#[command(
    name = "wharf",
    version,
    about,
    after_help = "Examples:
  wharf dev                                     builds the components in components/ and serves them
  wharf deploy coupons.wasm --tenant acme       puts a component online
  wharf logs --follow                           shows what components log, and why requests failed
  wharf doctor                                  says what is wrong, and how to mend it
  wharf help deploy                             tells all about a command

Exit codes:
  0  It is done.
  1  It was refused, or failed: one sentence on standard error says why, and what to do.
  2  It was called wrongly: a command, flag or value is none, and the nearest one is named.

Colours are for terminals; NO_COLOR=1 does without."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the folder of a new component, which builds, passes its test and serves at once.
    New(new::New),
    /// Serve the components of a folder.
    Serve(serve::Serve),
    /// Build component crates for wasm32-wasip2.
    Build(build::Build),
    /// Build the components, then serve them with settings for development.
    Dev(dev::Dev),
    /// Ask components what their tests say, and compare the answers with those that were recorded.
    Test(test::Test),
    /// Look at what a host needs, and say how to mend what is wrong.
    ///
    /// Shows each group with its component's digest, its grants and its tables, and where they come from;
    /// compares imports with grants; looks at the data folder, the database and its roles, and the
    /// toolchain. Neither data nor roles are changed.
    Doctor(doctor::Doctor),
    /// Print the JSON Schema of wharf-plugin.toml, for editors.
    Schema(schema::Schema),
    /// Take data of the original systems in.
    Import(import::Import),
    /// Write data to a file that an import takes again.
    Export(export::Export),
    /// Make, show, change and delete tenants.
    Tenant(tenant::Command),
    /// Grant interfaces and host names to a tenant, or take them away.
    Grant(grant::Grant),
    /// Show and change the settings and secrets of a tenant's group.
    Setting(setting::Setting),
    /// Make, list and revoke the tokens that deploy.
    Token(token::Command),
    /// Put a component online, in place of what its group was before.
    Deploy(deploy::Deploy),
    /// Show what was deployed of a group, and what became of it.
    Revisions(revisions::Revisions),
    /// Show how two revisions of a group differ.
    Diff(diff::Diff),
    /// Have an earlier revision answer again, or end the trial of a new one.
    Rollback(rollback::Rollback),
    /// Have the revision that is tried answer all callers.
    Promote(promote::Promote),
    /// Take a group offline; its revisions stay.
    Remove(remove::Remove),
    /// Make a key to sign components with.
    Key(key::Command),
    /// Sign a component.
    Sign(sign::Sign),
    /// Show what components have logged, and why requests failed.
    Logs(logs::Logs),
    /// Print what a shell completes commands and flags with.
    Completions(completions::Completions),
    #[command(name = compiler::COMMAND, hide = true)]
    Compile(compile::Compile),
}

/// The settings that have flags; all others stand in the configuration file.
#[derive(Args)]
struct Settings {
    /// Address to listen on; port 0 lets the operating system choose [default: 127.0.0.1:8080]
    #[arg(long, env = "WHARF_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Address of the admin API, or `off`; port 0 lets the operating system choose [default: 127.0.0.1:8081]
    #[arg(long, env = "WHARF_ADMIN", value_name = "ADDRESS", value_parser = admin_parser)]
    admin: Option<Listen>,
    #[command(flatten)]
    place: Place,
    /// Folder with the components, one <group>.wasm each [default: target/components/wharf]
    #[arg(long, env = "WHARF_COMPONENTS", value_name = "FOLDER")]
    components: Option<PathBuf>,
    /// Folder for compiled components [default: cache in the data folder]
    #[arg(long, env = "WHARF_CACHE", value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// PEM file with the certificate to speak TLS with, and those that it was issued with [default: none, plain HTTP]
    #[arg(long, env = "WHARF_TLS_CERTIFICATE", value_name = "FILE")]
    tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, env = "WHARF_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

/// An address, or `None` for `off`.
#[derive(Clone, Copy)]
struct Listen(Option<SocketAddr>);

fn admin_parser(text: &str) -> Result<Listen, String> {
    admin::parse_listen(text).map(Listen)
}

impl Settings {
    /// Defaults, then the file, then flags and environment.
    fn config(self) -> Result<Config, String> {
        let mut config = self.place.config()?;
        if let Some(listen) = self.listen {
            config.listen = listen;
        }
        if let Some(Listen(admin)) = self.admin {
            config.admin.listen = admin;
        }
        if let Some(components) = self.components {
            config.components = components;
        }
        config.cache = self.cache.or(config.cache);
        config.tls.certificate = self.tls_certificate.or(config.tls.certificate);
        config.tls.key = self.tls_key.or(config.tls.key);
        config.admin_password = std::env::var("WHARF_ADMIN_PASSWORD").ok();
        config.captcha_reveal =
            std::env::var("WHARF_CAPTCHA_REVEAL").is_ok_and(|value| value == "1");
        Ok(config)
    }
}

/// Where the data lies: all that a command needs which does not serve.
#[derive(Args)]
struct Place {
    /// Folder for SQLite files, keys and caches [default: wharf-data]
    #[arg(long, env = "WHARF_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// URL of a PostgreSQL database, `postgres://…` [default: SQLite in the data folder]
    #[arg(long, env = "WHARF_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Configuration file; see wharf.example.toml [default: wharf.toml, if it exists]
    #[arg(long, env = "WHARF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// Defaults, then the file, then flags and environment.
    fn config(self) -> Result<Config, String> {
        let usual = PathBuf::from("wharf.toml");
        let mut config = match &self.config {
            Some(file) => Config::read(file)?,
            None if usual.exists() => Config::read(&usual)?,
            None => Config::default(),
        };
        if let Some(data) = self.data {
            config.data = data;
        }
        config.database = self.database.or(config.database);
        Ok(config)
    }
}

/// A realm by its name.
fn realm_parser() -> impl TypedValueParser<Value = &'static Realm> {
    let names = PossibleValuesParser::new(REALMS.iter().map(|realm| realm.name));
    names.try_map(|name| REALMS.iter().find(|realm| realm.name == name).ok_or("no realm"))
}

/// A realm's tables, for work on many rows at once.
async fn open_tables(config: &Config) -> Result<Database, String> {
    let usual = config.sql.limits();
    // The limits are those of guests. A host that runs on the same database may hold the lock for a while.
    let limits = Limits {
        connections: 1,
        wait: usual.wait.max(Duration::from_mins(1)),
        statement: usual.statement.max(Duration::from_mins(5)),
        rows: usize::MAX,
        bytes: usize::MAX,
        bulk: true,
        ..usual
    };
    platform::open_data(config, limits).await
}

/// Runs a command's work to its end.
fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start the runtime: {error}"))?.block_on(work)
}

impl Command {
    /// Whether it is a host, or a part of one, for as long as it runs.
    fn serves(&self) -> bool {
        matches!(self, Command::Serve(_) | Command::Dev(_) | Command::Test(_) | Command::Compile(_))
    }
}

/// All commands and flags, for whoever looks through them.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    // Whoever reads the beginning alone (`| head`) ends the command; a host goes on when a reader leaves.
    if !command.serves() {
        sigpipe::reset();
    }
    let done = match command {
        Command::New(new) => new.run(),
        Command::Serve(serve) => serve.run(),
        Command::Build(build) => build.run(),
        Command::Dev(dev) => dev.run(),
        Command::Test(test) => test.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Schema(schema) => schema.run(),
        Command::Import(import) => import.run(),
        Command::Export(export) => export.run(),
        Command::Tenant(tenant) => tenant.run(),
        Command::Grant(grant) => grant.run(),
        Command::Setting(setting) => setting.run(),
        Command::Token(token) => token.run(),
        Command::Deploy(deploy) => deploy.run(),
        Command::Revisions(revisions) => revisions.run(),
        Command::Diff(diff) => diff.run(),
        Command::Rollback(rollback) => rollback.run(),
        Command::Promote(promote) => promote.run(),
        Command::Remove(remove) => remove.run(),
        Command::Key(key) => key.run(),
        Command::Sign(sign) => sign.run(),
        Command::Logs(logs) => logs.run(),
        Command::Completions(completions) => completions.run(),
        Command::Compile(compile) => compile.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What libraries say may run over many lines; here it is one sentence.
            let error = error.split_whitespace().collect::<Vec<_>>().join(" ");
            anstream::eprintln!("{} {error}", in_style(WRONG, "error:"));
            ExitCode::FAILURE
        }
    }
}
