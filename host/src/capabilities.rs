//! What a component may be handed: one room per WIT interface, none of which knows another.
//!
//! A [`Guest`] lives as long as one request. Each room borrows from it what its interface needs; the
//! linker of a component offers only what its group has been granted, so that imports are rights.

pub mod blobs;
pub mod cache;
pub mod calls;
pub mod clock;
pub mod database;
pub mod log;
pub mod outbound;
pub mod passwords;
pub mod random;
pub mod settings;
pub mod throttle;
pub mod tokens;
pub mod wasi;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::Linker;

use crate::admission::throttle::{Allowance, Throttle, TooOften};
use crate::blobs::{Blobs, Reading};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::compiler::Lines;
use crate::database::{Data, Share};
use crate::identity::{Caller, Issuer};
use crate::instance::{Allocations, Costs, Turns};
use crate::logs::Journal;
use crate::outbound::Outbound;
use cache::Entries;
use calls::Inside;
use passwords::Hasher;

/// Whose code runs; named in every log line about it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The tenant.
    pub tenant: String,
    /// The endpoint group, which is the component's name.
    pub group: String,
    /// The first 12 hexadecimal digits of the SHA-256 of the component's bytes.
    pub digest: String,
}

impl Origin {
    /// The group and the digest, as `x-wharf-revision` names a revision.
    pub fn label(&self) -> String {
        format!("{}@{}", self.group, self.digest)
    }
}

/// What all requests of a tenant share. Lives as long as the process.
pub struct Shared {
    /// Its data.
    pub data: Arc<Data>,
    /// Its access tokens.
    pub issuer: Issuer,
    /// The hasher of its passwords.
    pub hasher: Arc<Hasher>,
    /// Its cache.
    pub cache: Entries,
    /// Its files.
    pub blobs: Blobs,
    /// What its guests have logged, and why requests failed.
    pub journal: Arc<Journal>,
    /// The process's clock.
    pub clock: Clock,
    /// The process's randomness.
    pub chance: Chance,
    /// Whether it is counted what calls cost.
    pub costs: Costs,
}

/// What all requests of an endpoint group share. Lives as long as the group is served.
pub struct Group {
    /// Whose code it is.
    pub origin: Arc<Origin>,
    /// Where in its source each of its component's instructions comes from, as far as that is known.
    pub lines: Lines,
    /// What `settings.get` tells it.
    pub settings: BTreeMap<String, String>,
    /// Whether its component may send requests to the tenant's own groups.
    pub calls_self: bool,
    /// How often its routes may be called.
    pub throttle: Arc<Throttle>,
    /// When those of its calls compute that take long.
    pub turns: Turns,
    /// The tenant's data, as far as this group may reach it; `None` without [`Grant::Database`].
    pub database: Option<Arc<Share>>,
    /// Which other hosts it may call.
    pub outbound: Outbound,
    /// What it shares with the tenant's other groups.
    pub shared: Arc<Shared>,
}

/// The data of a store: what one request's instance can reach. It counts one reference to what
/// others use as well, so that threads seldom wait for each other's.
pub struct Guest {
    /// The group's, and the tenant's behind it.
    pub group: Arc<Group>,
    /// Who sent the request.
    pub caller: Caller,
    /// The request's id.
    pub request: Arc<str>,
    /// The request's body, of which `blobs.keep` stores parts.
    pub body: Bytes,
    /// The client's address.
    pub address: IpAddr,
    /// What answers its requests to the tenant's own groups, if it may send any.
    pub inside: Option<Arc<dyn Inside>>,
    /// What its calls have left for the response.
    pub left: Left,
    /// What the instance itself has asked for.
    pub allocations: Allocations,
    /// Bytes that may still be logged.
    pub log_bytes: usize,
    /// `wharf:plugin/database`: what is open.
    pub transactions: database::Transactions,
    /// `wasi:*`: what is open.
    pub wasi: wasi::Wasi,
    /// `wasi:http`: what is open.
    pub http: outbound::Http,
}

/// What a guest's calls have left for the host to make of the response.
#[derive(Default)]
pub struct Left {
    /// What `throttle.attempt` last said.
    pub attempt: Option<Result<Allowance, TooOften>>,
    /// What `blobs.respond` has made the response's body.
    pub blob: Option<Reading>,
    /// What the call has cost, in units of wasmtime's fuel, where that is counted.
    pub fuel: Option<u64>,
}

/// A right to import one interface.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// `wharf:plugin/database`
    Database,
    /// `wharf:plugin/passwords`
    Passwords,
    /// `wharf:plugin/tokens`
    Tokens,
    /// `wharf:plugin/cache`
    Cache,
    /// `wharf:plugin/blobs`
    Blobs,
    /// `wharf:plugin/throttle`
    Throttle,
    /// `wharf:plugin/outbound`
    Outbound,
    /// `wharf:plugin/log`
    Log,
    /// `wharf:plugin/clock`
    Clock,
    /// `wharf:plugin/random`
    Random,
    /// `wharf:plugin/settings`
    Settings,
}

impl Grant {
    /// Every grant there is.
    pub const ALL: [Grant; 11] = [
        Grant::Database,
        Grant::Passwords,
        Grant::Tokens,
        Grant::Cache,
        Grant::Blobs,
        Grant::Throttle,
        Grant::Outbound,
        Grant::Log,
        Grant::Clock,
        Grant::Random,
        Grant::Settings,
    ];

    /// The grant's name, which is its interface's.
    pub fn name(self) -> &'static str {
        match self {
            Grant::Database => "database",
            Grant::Passwords => "passwords",
            Grant::Tokens => "tokens",
            Grant::Cache => "cache",
            Grant::Blobs => "blobs",
            Grant::Throttle => "throttle",
            Grant::Outbound => "outbound",
            Grant::Log => "log",
            Grant::Clock => "clock",
            Grant::Random => "random",
            Grant::Settings => "settings",
        }
    }

    fn link(self, linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        match self {
            Grant::Database => database::link(linker),
            Grant::Passwords => passwords::link(linker),
            Grant::Tokens => tokens::link(linker),
            Grant::Cache => cache::link(linker),
            Grant::Blobs => blobs::link(linker),
            Grant::Throttle => throttle::link(linker),
            Grant::Outbound => calls::link(linker),
            Grant::Log => log::link(linker),
            Grant::Clock => clock::link(linker),
            Grant::Random => random::link(linker),
            Grant::Settings => settings::link(linker),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Offers the granted interfaces, WASI with nothing behind it, and `wasi:http` with what may be called.
pub fn link(linker: &mut Linker<Guest>, grants: &[Grant]) -> wasmtime::Result<()> {
    wasi::link(linker)?;
    outbound::link(linker)?;
    grants.iter().try_for_each(|grant| grant.link(linker))
}
