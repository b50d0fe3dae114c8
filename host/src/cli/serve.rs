//! `wharf serve`: serve until SIGTERM or Ctrl-C, then drain.

use clap::{Args, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{Settings, paint};
use crate::clock::Clock;
use crate::config::Config;
use crate::host::{Figures, Host};
use crate::listener;

#[derive(Args)]
#[command(after_help = "Examples:
  wharf serve
  wharf serve --listen 0.0.0.0:443 --tls-certificate chain.pem --tls-key key.pem --data /var/lib/wharf
  WHARF_DATABASE_URL=postgres://wharf@db/wharf wharf serve --log-format json")]
pub(super) struct Serve {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    logging: Logging,
}

/// How the log is written, to standard error.
#[derive(Args)]
pub(super) struct Logging {
    /// What is logged: error, warn, info, debug or trace, also per module as in `wharf::guest=debug`
    /// [default: info; for `wharf dev` also the debug lines of wharf itself]
    #[arg(long, env = "WHARF_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How a log line looks
    #[arg(long, env = "WHARF_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// One readable line
    Text,
    /// One JSON object per line
    Json,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), String> {
        self.logging.start("info")?;
        let mut config = self.settings.config()?;
        config.throttle.enabled.get_or_insert(true);
        config.tls.hsts_seconds.get_or_insert(listener::YEAR);
        let is_plain = config.tls.certificate.is_none() && config.http.proxies.is_empty();
        if is_plain && !config.listen.ip().is_loopback() {
            tracing::warn!(
                address = %config.listen,
                "tokens and passwords cross the network in plain HTTP; set tls.certificate and tls.key, or name the proxy that speaks TLS in http.proxies"
            );
        }
        let reachable = config.admin.listen.filter(|address| !address.ip().is_loopback());
        if let Some(address) = reachable.filter(|_| config.tls.certificate.is_none()) {
            tracing::warn!(
                %address,
                "tokens of the admin API cross the network in plain HTTP; set tls.certificate and tls.key, or let admin.listen be a loopback address that a tunnel leads to"
            );
        }
        serve(config)
    }
}

impl Logging {
    /// Starts logging, at `usual` unless something else is asked for.
    pub(super) fn start(&self, usual: &str) -> Result<(), String> {
        let wanted = self.log.as_deref().unwrap_or(usual);
        let mut filter = EnvFilter::try_new(wanted)
            .map_err(|error| format!("--log {wanted} is not valid: {error}; try --log info"))?;
        // What these say below a warning may hold headers and statements, and with them secrets.
        if filter.max_level_hint().is_none_or(|most| most >= LevelFilter::WARN) {
            for quiet in ["h2=warn", "hyper=warn", "sqlx=warn"] {
                filter = filter.add_directive(quiet.parse().expect("a constant directive"));
            }
        }
        let logging =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => logging.with_ansi(paint::is_coloured(&std::io::stderr())).init(),
            LogFormat::Json => logging.json().init(),
        }
        Ok(())
    }
}

/// Descriptors that are left for databases, files and children when connections have all others.
const RESERVE: usize = 256;

/// Takes as many descriptors as the system lets this process have, and no more connections than go with them.
fn fit_descriptors(config: &mut Config) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let Some(most) = getrlimit(Resource::Nofile).current else { return };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let connections = most.saturating_sub(RESERVE).max(most / 2);
    if config.http.connections > connections {
        tracing::warn!(
            most,
            connections,
            "this process may open too few files for http.connections; raise the limit (ulimit -n, LimitNOFILE), or lower the setting"
        );
        config.http.connections = connections;
    }
}

/// Serves until a signal says stop.
fn serve(config: Config) -> Result<(), String> {
    run(config, async |serving| {
        serving.announce();
        std::future::pending::<()>().await;
    })
}

/// A host that serves, for whoever works beside it.
pub(super) struct Serving<'a> {
    pub(super) host: &'a Host,
}

impl Serving<'_> {
    /// Prints where it is reached.
    pub(super) fn announce(&self) {
        let host = self.host;
        if let Some(admin) = host.admin_origin() {
            println!("admin on {admin}");
        }
        println!("listening on {}", host.origin());
    }
}

/// Serves until a signal says stop, and does something else beside that, which ends with it.
pub(super) fn run(mut config: Config, beside: impl AsyncFnOnce(Serving<'_>)) -> Result<(), String> {
    fit_descriptors(&mut config);
    // Tests have the host die in the middle of a deploy; a release is built without the points.
    let _failpoints = fail::FailScenario::setup();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        // Caught from the beginning: whoever reads the address may send a signal at once.
        let mut stop =
            Stop::listen().map_err(|error| format!("cannot wait for signals: {error}"))?;
        let host = Host::start(config, Clock::system()).await?;
        // At once: whatever comes next may fail.
        if let Some(password) = host.made_up_password() {
            println!(
                "first start: sign in as admin, of the store or the console, with the password {password} (shown this once)"
            );
        }
        tokio::select! {
            () = beside(Serving { host: &host }) => {}
            () = stop.wait(&host) => {}
        }
        println!("stopping: requests in flight may finish");
        host.shutdown().await;
        Ok(())
    })
}

/// SIGTERM and Ctrl-C, which stop the host, and SIGUSR1, which asks what it has in hand.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    asked: Signal,
}

#[derive(PartialEq, Eq)]
enum Signalled {
    Stop,
    Asked,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            asked: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits until the host is to stop, and tells the log what it has in hand as often as that is asked.
    async fn wait(&mut self, host: &Host) {
        while self.or_asked().await == Signalled::Asked {
            let Figures { requests, waiting, connections, kept } = host.figures();
            tracing::info!(requests, waiting, connections, kept, "in hand (SIGUSR1)");
        }
    }

    async fn or_asked(&mut self) -> Signalled {
        tokio::select! {
            _ = self.terminate.recv() => Signalled::Stop,
            _ = self.interrupt.recv() => Signalled::Stop,
            _ = self.asked.recv() => Signalled::Asked,
        }
    }
}
