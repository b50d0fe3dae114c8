//! What travels between the admin API and its clients, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::deploy::{Deployed, Step};
use crate::logs::{Blame, Frame, Level, Line};
use crate::plain;
use crate::registry::tokens::{DeployToken, Verb};
use crate::registry::{Event, Pointer, Revision, Tenant};

/// The header with an artifact's signature: the text of a `.minisig` file in base64.
pub const SIGNATURE: &str = "x-wharf-signature";

/// A refusal: the body of every answer that is no success.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// Why.
    pub error: Problem,
}

/// Why something was refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// One word for programs.
    pub code: String,
    /// What is wrong, as half of a sentence.
    pub message: String,
    /// What to do about it, as the other half; may be empty.
    #[serde(default)]
    pub remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&plain::text(&self.message))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", plain::text(&self.remedy)) }
    }
}

/// A tenant that is to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewTenant {
    /// Its name.
    pub name: String,
    /// Whether it serves the built-in groups, with all grants that these need.
    pub inherits: bool,
    /// Its host names; `<name>.localhost` if there are none.
    pub hosts: Vec<String>,
    /// Its grants, besides those that reach nobody's data.
    pub grants: Vec<String>,
    /// Its quotas, where they are not as usual.
    pub quotas: BTreeMap<String, usize>,
    /// The public key that its artifacts have to be signed with.
    pub signer: Option<String>,
}

/// What is to change about a tenant; what is not named stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantChange {
    /// Whether it serves the built-in groups.
    pub inherits: Option<bool>,
    /// All its host names.
    pub hosts: Option<Vec<String>>,
    /// All its grants.
    pub grants: Option<Vec<String>>,
    /// Some of its quotas.
    pub quotas: BTreeMap<String, usize>,
    /// The public key that its artifacts have to be signed with; empty for none.
    pub signer: Option<String>,
}

/// Grants that are to be added and taken away.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrantChange {
    /// These are granted.
    pub add: Vec<String>,
    /// These are not any more.
    pub remove: Vec<String>,
}

/// A tenant, and what it has deployed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The tenant.
    pub tenant: Tenant,
    /// Its groups that answer.
    pub groups: Vec<Pointer>,
}

/// A token that is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub verbs: Vec<Verb>,
    /// Seconds until it expires.
    pub expires_seconds: i64,
}

/// A token that was made.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeToken {
    /// What is known of it.
    pub token: DeployToken,
    /// The token itself, shown this once.
    pub secret: String,
}

/// A setting that is to be. Unlike one that is, it travels whole.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSetting {
    /// Its value.
    pub value: String,
    /// Whether nobody is to be shown it.
    #[serde(default)]
    pub secret: bool,
}

/// Settings that are to change.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// These are set.
    pub set: BTreeMap<String, NewSetting>,
    /// These are taken away.
    pub unset: Vec<String>,
}

/// What changed settings have led to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettingsChanged {
    /// The revision that runs with them, if the group was deployed before.
    pub deployed: Option<Deployed>,
}

/// How a component is deployed: the query of an upload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deploy {
    /// The group, where the component does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The state of the group that the sender looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<i64>,
    /// Tries it on this share of the callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// As `Bounds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors_percent: Option<f64>,
    /// As `Bounds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_factor: Option<f64>,
    /// As `Bounds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// As `Bounds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<i64>,
    /// As `Bounds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote: Option<bool>,
    /// The name of the file, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A line of the answer to an upload: steps, and at last what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// This is being done.
    Step(Step),
    /// It is online.
    Deployed(Online),
    /// It is not, and nothing has changed.
    Error(Problem),
}

/// What is online now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Online {
    /// What became of it.
    #[serde(flatten)]
    pub deployed: Deployed,
    /// Where its tenant is reached.
    pub urls: Vec<String>,
}

/// Which revision is to answer.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rollback {
    /// Its number; the one before if it is not said.
    pub to: Option<i64>,
}

/// The revisions of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revisions {
    /// Which of them answer.
    pub pointer: Pointer,
    /// Those that are kept, newest first.
    pub revisions: Vec<Revision>,
    /// What became of the group, newest first.
    pub history: Vec<Event>,
}

/// How two revisions differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Whether the component is another.
    pub component_differs: bool,
    /// The sizes of the two components.
    pub bytes: [i64; 2],
    /// Routes that only one of them has.
    pub routes: Changed,
    /// Imports that only one of them has.
    pub imports: Changed,
    /// Grants that only one of them has.
    pub grants: Changed,
    /// Settings that only one of them has.
    pub settings: Changed,
    /// Settings that both have, with other values.
    pub settings_changed: Vec<String>,
}

/// What the second of two has and the first has not, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Only the second has these.
    pub added: Vec<String>,
    /// Only the first has these.
    pub removed: Vec<String>,
}

impl Changed {
    /// Compares two lists; in which order they are is of no matter.
    pub fn between<'a>(
        one: impl IntoIterator<Item = &'a String>,
        other: impl IntoIterator<Item = &'a String>,
    ) -> Self {
        let (mut removed, mut added): (Vec<String>, Vec<String>) =
            (one.into_iter().cloned().collect(), other.into_iter().cloned().collect());
        let before = removed.clone();
        removed.retain(|item| !added.contains(item));
        added.retain(|item| !before.contains(item));
        Changed { added, removed }
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Which lines of a tenant's log are wanted: the query of a call for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// Those of one group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Those that matter so much at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The last so many of those that are there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// Those that come as well.
    pub follow: bool,
}

/// A line of the answer to a call for a log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Logged {
    /// A line of the log.
    Line(LogLine),
    /// Whoever follows reads too slowly, or there was too much.
    Missed {
        /// So many lines of the tenant's are gone.
        missed: u64,
    },
}

/// A line of a tenant's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, in unix milliseconds.
    pub at: i64,
    /// How much it matters.
    pub level: Level,
    /// The tenant.
    pub tenant: String,
    /// The group whose code it is about.
    pub group: String,
    /// The first 12 hexadecimal digits of the SHA-256 of its component.
    pub revision: String,
    /// The id of the request, which its answer told.
    pub request: String,
    /// Who is the reason, if the request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<Blame>,
    /// What it says.
    pub message: String,
    /// What the guest was running when it failed, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backtrace: Vec<Frame>,
}

impl LogLine {
    /// A line as it is kept.
    pub fn of(line: &Line) -> Self {
        let Line { at, level, origin, request, blame, message, backtrace } = line;
        LogLine {
            at: *at,
            level: *level,
            tenant: origin.tenant.clone(),
            group: origin.group.clone(),
            revision: origin.digest.clone(),
            request: request.to_string(),
            blame: *blame,
            message: message.to_string(),
            backtrace: backtrace.to_vec(),
        }
    }
}
