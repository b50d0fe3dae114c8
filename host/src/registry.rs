//! What is known about tenants and what they have deployed, in the host's own database.
//!
//! A revision is immutable and numbered; which of them answers is a pointer. Every change is one
//! transaction, and there is one change at a time over all hosts that share the database. Whoever
//! changes a pointer says which state of it was looked at, and is told if somebody was quicker.

pub mod names;
mod pointers;
mod revisions;
mod rows;
mod seal;
mod settings;
pub mod signature;
mod tenants;
pub mod tokens;

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::clock::Clock;
use crate::database::{Database, Failure, Notices, Rows, Transaction, Value};
use crate::identity::Keys;
pub use revisions::HOUR;
use seal::Seal;

/// The tenant of the built-in API, which is always there.
pub const DEFAULT_TENANT: &str = "default";

/// The channel on which PostgreSQL tells of changes: see `migrations/postgres/host`.
const CHANNEL: &str = "wharf_registry";

/// What is stored about tenants.
pub struct Registry {
    database: Database,
    seal: Seal,
    clock: Clock,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// `[a-z][a-z0-9-]{0,30}`
    pub name: String,
    /// Whether it serves the built-in groups, with users and data of its own.
    pub inherits: bool,
    /// The host names that are its own: exact, or `*.` and a suffix; in lower case.
    pub hosts: Vec<String>,
    /// What its components may import: interfaces (`database`), and host names that they may call
    /// (`http:api.example.com`).
    pub grants: Vec<String>,
    /// How much it may take.
    pub quotas: Quotas,
    /// The minisign public key that its artifacts are signed with, if they have to be.
    pub signer: Option<String>,
    /// When it was created, in unix seconds.
    pub created_at: i64,
}

/// How much a tenant may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Requests that are in its components at once.
    pub concurrency: usize,
    /// Groups that answer.
    pub groups: usize,
    /// Revisions that are kept of each group, besides the active one and a canary; 1 at least.
    pub revisions: usize,
    /// Bytes of the components of all revisions that are kept, each component counted once.
    pub artifact_bytes: usize,
    /// Revisions that are made within an hour.
    pub deploys_per_hour: usize,
    /// Bytes of the names and values of all its settings.
    pub settings_bytes: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            concurrency: 50,
            groups: 20,
            revisions: 10,
            artifact_bytes: 100 * 1024 * 1024,
            deploys_per_hour: 120,
            settings_bytes: 64 * 1024,
        }
    }
}

/// A setting of a group's. Neither `Debug` nor `Serialize` shows a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Setting {
    /// What `settings.get` tells the group; empty where a secret is not shown.
    #[serde(default)]
    pub value: String,
    /// Whether it is stored encrypted and shown to nobody.
    #[serde(default)]
    pub secret: bool,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret { f.write_str("a secret") } else { self.value.fmt(f) }
    }
}

impl Serialize for Setting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Setting", 2)?;
        if self.secret {
            fields.skip_field("value")?;
        } else {
            fields.serialize_field("value", &self.value)?;
        }
        fields.serialize_field("secret", &self.secret)?;
        fields.end()
    }
}

/// Which revisions of a group answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pointer {
    /// The tenant.
    pub tenant: String,
    /// The group.
    pub group: String,
    /// The revision that answers; `None` for a group that was never deployed or was removed.
    pub active: Option<i64>,
    /// The revision that is tried.
    pub canary: Option<Canary>,
    /// Counts up with every change; 0 for a group that was never deployed.
    pub changes: i64,
}

/// A revision that answers some of the requests until it is promoted or rolled back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// The revision's number.
    pub revision: i64,
    /// Its share of the callers.
    pub percent: u8,
    /// What it is held to.
    pub bounds: Bounds,
    /// When it began, in unix seconds.
    pub since: i64,
}

/// What a canary is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Percent of its answers that may be 5xx.
    pub errors_percent: f64,
    /// How many times as long as the active revision's its 99th percentile may be.
    pub p99_factor: f64,
    /// Answers that have to be seen before anything is decided.
    pub requests: u64,
    /// Seconds that it is watched for.
    pub window_seconds: i64,
    /// Whether it is promoted by itself when it kept its bounds for the whole window.
    pub promote: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            errors_percent: 1.0,
            p99_factor: 2.0,
            requests: 100,
            window_seconds: 600,
            promote: false,
        }
    }
}

/// A revision of a group: what was deployed, with what, by whom. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The tenant.
    pub tenant: String,
    /// The group.
    pub group: String,
    /// 1, 2 … within the group.
    pub number: i64,
    /// SHA-256 over component, settings and grants, in hexadecimal: see [`Registry::store`].
    pub digest: String,
    /// SHA-256 of the artifact, in hexadecimal.
    pub component: String,
    /// The artifact's size.
    pub bytes: i64,
    /// Who deployed it: the id and name of a token.
    pub who: String,
    /// Where it was deployed from, as the client says.
    pub source: String,
    /// When, in unix seconds.
    pub created_at: i64,
    /// The settings that it runs with.
    pub settings: BTreeMap<String, Setting>,
    /// The grants of the tenant that it runs with.
    pub grants: Vec<String>,
    /// What it answers: `GET /api/coupons`.
    pub routes: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
}

/// What becomes a revision.
#[derive(Clone, Debug)]
pub struct NewRevision {
    /// The tenant.
    pub tenant: String,
    /// The group.
    pub group: String,
    /// The component's bytes.
    pub artifact: Vec<u8>,
    /// Their SHA-256, in hexadecimal.
    pub component: String,
    /// As [`Revision::settings`].
    pub settings: BTreeMap<String, Setting>,
    /// As [`Revision::grants`].
    pub grants: Vec<String>,
    /// As [`Revision::routes`].
    pub routes: Vec<String>,
    /// As [`Revision::imports`].
    pub imports: Vec<String>,
    /// As [`Revision::who`].
    pub who: String,
    /// As [`Revision::source`].
    pub source: String,
    /// [`Pointer::changes`] of the pointer that was looked at; `None` takes any.
    pub base: Option<i64>,
    /// Makes it a canary with this share, instead of the active revision.
    pub canary: Option<(u8, Bounds)>,
}

/// Something that became of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in unix seconds.
    pub at: i64,
    /// Who did it: the id and name of a token, or the host itself.
    pub who: String,
    /// `deployed`, `rolled back`, `canary began`, `canary rolled back`, `promoted` or `removed`.
    pub what: String,
    /// The revision that was meant before.
    pub from: Option<i64>,
    /// The revision that is meant now.
    pub to: Option<i64>,
    /// Why, where there is more to say.
    pub why: String,
}

/// Why something was not changed.
#[derive(Debug)]
pub enum Error {
    /// The database could not be asked.
    Failed(Failure),
    /// It may not be changed like this.
    Refused(Refused),
}

/// A refusal, in words for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is in the way.
    pub kind: Kind,
    /// What is wrong, as half of a sentence.
    pub message: String,
    /// What to do about it, as the other half.
    pub remedy: String,
}

/// What is in the way of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such tenant, group, revision or token.
    Missing,
    /// A name is somebody else's.
    Taken,
    /// Somebody else has changed it meanwhile.
    Changed,
    /// A quota would be exceeded.
    Quota,
    /// It is not well-formed.
    Unfit,
}

impl Error {
    fn refused(kind: Kind, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Error::Refused(Refused { kind, message: message.into(), remedy: remedy.into() })
    }

    fn no_tenant(name: &str) -> Self {
        let message = format!("there is no tenant {name:?}");
        Error::refused(Kind::Missing, message, "look at `wharf tenant list`")
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::Failed(failure)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(failure) => failure.fmt(f),
            Error::Refused(refused) => write!(f, "{}; {}", refused.message, refused.remedy),
        }
    }
}

impl std::error::Error for Error {}

impl Registry {
    /// The registry in the host's own database, whose secrets are sealed with a key made of the host's.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn open(database: Database, keys: &Keys, clock: Clock) -> Result<Self, Failure> {
        database.ping().await?;
        Ok(Registry { database, seal: Seal::new(keys), clock })
    }

    /// Changes that other hosts make, and this one: the payload is the tenant's name. `None` where there
    /// is no other host.
    pub fn notices(&self) -> Option<Notices> {
        self.database.notices(CHANNEL)
    }

    /// Begins a change. There is one at a time over all hosts.
    async fn begin(&self) -> Result<Change, Failure> {
        let mut transaction = self.database.begin().await?;
        let turn = "UPDATE registry_turns SET turn = turn + 1 WHERE id = 1";
        transaction.execute(turn, Vec::new()).await?;
        Ok(Change(transaction))
    }

    /// Begins a change of a tenant or of what it has, which other hosts are told of.
    async fn begin_of(&self, tenant: &str) -> Result<(Change, Tenant), Error> {
        let mut change = self.begin().await?;
        let touched = change
            .execute(
                "UPDATE tenants SET changes = changes + 1 WHERE name = $1",
                vec![Value::Text(tenant.to_owned())],
            )
            .await?;
        if touched == 0 {
            return Err(Error::no_tenant(tenant));
        }
        let tenant = tenants::read(&mut change, tenant).await?;
        Ok((change, tenant))
    }
}

/// A change that is being made; dropping it undoes it.
struct Change(Transaction);

impl Change {
    async fn query(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Rows, Failure> {
        self.0.query(sql, parameters).await
    }

    async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<u64, Failure> {
        self.0.execute(sql, parameters).await
    }

    async fn commit(self) -> Result<(), Failure> {
        self.0.commit().await
    }
}
