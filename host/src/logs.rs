//! What guests write, and why requests failed: told to the host's own log, and kept for each tenant, so that its
//! developers can look at it and follow it.
//!
//! What is kept is bounded for each tenant and for all of them together; the oldest lines go. Whoever follows
//! reads what is kept, at their own pace: nobody waits for them, and what went before they came to it is counted
//! as missed.

mod kept;
mod reader;

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use crate::capabilities::Origin;
use crate::clock::Clock;
use crate::plain;
use kept::Kept;

pub use reader::{Reader, Told, Wanted};

/// How much is kept, in `[logs]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of a tenant's lines; the oldest go. A quarter of it is for requests that were refused.
    pub bytes: usize,
    /// Lines of a tenant's, shared out alike.
    pub lines: usize,
    /// Bytes of all tenants' lines together: where `bytes` of each would be more, each has an equal part.
    pub total_bytes: usize,
    /// Those who follow the lines of one tenant at once.
    pub followers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { bytes: 1024 * 1024, lines: 10_000, total_bytes: 64 * 1024 * 1024, followers: 8 }
    }
}

/// How much a line matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What should not happen, and did no harm.
    Warn,
    /// What did.
    Error,
}

impl Level {
    /// Every level there is, least first.
    pub const ALL: [Level; 4] = [Level::Debug, Level::Info, Level::Warn, Level::Error];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = Level::ALL.map(Level::name);
        let found = Level::ALL.into_iter().find(|level| level.name() == text);
        found.ok_or_else(|| format!("{text:?} is no level; levels are {}", names.join(", ")))
    }
}

/// Who is the reason why a request failed, and so who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The component: it trapped, ran over a limit or answered what HTTP cannot carry.
    Guest,
    /// The host, or what it rests on.
    Host,
    /// Whoever sent the request.
    Client,
}

impl Blame {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Blame::Guest => "guest",
            Blame::Host => "host",
            Blame::Client => "client",
        }
    }
}

/// A function of a guest's that was being run, and where in its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The function's name.
    pub function: String,
    /// The file, as the compiler wrote it down; `None` in a component without debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (Some(file), None) => write!(f, " ({file})"),
            (None, _) => Ok(()),
        }
    }
}

/// What a tenant is told where the host failed: the reason may name machines and tables that are not the tenant's.
pub const OF_THE_HOST: &str = "the host could not go on; its operator finds the reason in the host's log, by the request's id";

/// Why a request failed.
#[derive(Clone, Copy)]
pub struct Failed<'a> {
    /// Who is the reason.
    pub blame: Blame,
    /// What happened, in words.
    pub cause: &'a str,
    /// What the guest was running, innermost first.
    pub backtrace: &'a [Frame],
}

/// One line that is kept.
pub struct Line {
    /// When it was written, in unix milliseconds.
    pub at: i64,
    /// How much it matters.
    pub level: Level,
    /// Whose code it is about.
    pub origin: Arc<Origin>,
    /// The request that it was written in.
    pub request: Arc<str>,
    /// Who is the reason, if a request failed.
    pub blame: Option<Blame>,
    /// What it says, as it was written.
    pub message: Box<str>,
    /// What the guest was running when it failed, innermost first.
    pub backtrace: Box<[Frame]>,
}

/// What is kept of all tenants.
pub struct Logs {
    config: Config,
    clock: Clock,
    journals: Mutex<Vec<Weak<Journal>>>,
}

/// What is kept of one tenant.
pub struct Journal {
    clock: Clock,
    kept: Mutex<Kept>,
    /// The number of the line that comes next, for those who follow.
    next: watch::Sender<u64>,
    followers: Arc<Semaphore>,
}

impl Logs {
    /// Nothing yet.
    pub fn new(config: Config, clock: Clock) -> Self {
        Logs { config, clock, journals: Mutex::default() }
    }

    /// What is kept of one more tenant, until nobody has it any more. It may leave the others less.
    pub fn journal(&self) -> Arc<Journal> {
        let Config { bytes, lines, total_bytes, followers } = self.config;
        let mut journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|journal| journal.strong_count() > 0);
        let part = bytes.min(total_bytes / (journals.len() + 1));
        if part < bytes {
            for journal in journals.iter().filter_map(Weak::upgrade) {
                journal.kept().shrink(part);
            }
        }
        let journal = Arc::new(Journal {
            clock: self.clock.clone(),
            kept: Mutex::new(Kept::new(part, lines)),
            next: watch::Sender::new(0),
            followers: Arc::new(Semaphore::new(followers.min(Semaphore::MAX_PERMITS))),
        });
        journals.push(Arc::downgrade(&journal));
        journal
    }
}

impl Journal {
    /// Writes down what a guest says in a request.
    pub fn write(&self, origin: &Arc<Origin>, request: &Arc<str>, level: Level, message: &str) {
        let Origin { tenant, group, digest } = &**origin;
        let text = plain::line(message);
        macro_rules! tell {
            ($level:expr) => {
                tracing::event!(target: "wharf::guest", $level, %tenant, %group, %digest, request = &**request, "{text}")
            };
        }
        match level {
            Level::Debug => tell!(tracing::Level::DEBUG),
            Level::Info => tell!(tracing::Level::INFO),
            Level::Warn => tell!(tracing::Level::WARN),
            Level::Error => tell!(tracing::Level::ERROR),
        }
        self.keep(self.line(origin, request, level, message), false);
    }

    /// Writes down why a request failed in a component; `what` is the host's own word for it.
    pub fn failed(&self, origin: &Arc<Origin>, request: &Arc<str>, what: &str, failed: Failed<'_>) {
        let Failed { blame, cause, backtrace } = failed;
        let Origin { tenant, group, digest } = &**origin;
        let frames = (!backtrace.is_empty()).then(|| one_line(backtrace));
        tracing::error!(request = &**request, %tenant, component = %group, %digest, blame = blame.name(), cause, backtrace = frames, "{what}");
        let told = if blame == Blame::Host { OF_THE_HOST } else { cause };
        let line = self.line(origin, request, Level::Error, told);
        self.keep(Line { blame: Some(blame), backtrace: backtrace.into(), ..line }, false);
    }

    /// Writes down for the tenant why a request came no further than the host, whose own log knows it.
    pub fn refused(&self, origin: &Arc<Origin>, request: &Arc<str>, blame: Blame, cause: &str) {
        let level = if blame == Blame::Client { Level::Info } else { Level::Warn };
        let line = self.line(origin, request, level, cause);
        self.keep(Line { blame: Some(blame), ..line }, true);
    }

    fn line(&self, origin: &Arc<Origin>, request: &Arc<str>, level: Level, message: &str) -> Line {
        Line {
            at: self.clock.milliseconds(),
            level,
            origin: Arc::clone(origin),
            request: Arc::clone(request),
            blame: None,
            message: message.into(),
            backtrace: Box::default(),
        }
    }

    fn keep(&self, line: Line, is_refusal: bool) {
        let next = self.kept().push(Arc::new(line), is_refusal);
        // Of two lines that are written at once, the later one may be told first.
        self.next.send_if_modified(|told| {
            let is_news = *told < next;
            *told = next.max(*told);
            is_news
        });
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The functions of a backtrace, innermost first.
pub fn one_line(backtrace: &[Frame]) -> String {
    backtrace.iter().map(ToString::to_string).collect::<Vec<_>>().join(" < ")
}
