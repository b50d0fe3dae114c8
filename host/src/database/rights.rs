//! What may be done with the rows of which tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Something that may be done with the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// SELECT, and reading columns in conditions and in RETURNING.
    Read,
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
}

impl Right {
    /// Every right that there is.
    pub const ALL: [Right; 4] = [Right::Read, Right::Insert, Right::Update, Right::Delete];

    /// The right's name in manifests and settings.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Insert => "insert",
            Right::Update => "update",
            Right::Delete => "delete",
        }
    }
}

/// The rights to one table: `"read"`, `"write"` for all of them, or a list: `["read", "insert"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// Whether a right is among them.
    pub fn has(&self, right: Right) -> bool {
        self.0.contains(&right)
    }

    /// The rights, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Right> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Right::name).collect();
        f.write_str(&names.join(", "))
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        let words = match Written::deserialize(file)? {
            Written::One(word) => vec![word],
            Written::Several(words) => words,
        };
        let mut rights = BTreeSet::new();
        for word in words {
            if word == "write" {
                rights.extend(Right::ALL);
                continue;
            }
            let right = Right::ALL.into_iter().find(|right| right.name() == word);
            rights.insert(right.ok_or_else(|| {
                D::Error::custom(format!(
                    "{word:?} is no right to a table; write \"read\", \"write\", or a list of read, insert, update and delete"
                ))
            })?);
        }
        Ok(Rights(rights))
    }
}

/// The tables that somebody may reach, by name, each with the rights to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Tables(BTreeMap<String, Rights>);

impl Tables {
    /// Whether a right to a table is among them.
    pub fn allow(&self, table: &str, right: Right) -> bool {
        self.0.get(table).is_some_and(|rights| rights.has(right))
    }

    /// Whether there is a right to change any table.
    pub fn may_write(&self) -> bool {
        let writes = |rights: &Rights| {
            [Right::Insert, Right::Update, Right::Delete].iter().any(|right| rights.has(*right))
        };
        self.0.values().any(writes)
    }

    /// The tables by name, each with the rights to it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rights)> {
        self.0.iter().map(|(table, rights)| (table.as_str(), rights))
    }

    /// Why a group is refused a right to a table, and what an operator can do about it.
    pub(super) fn refusal(&self, group: &str, table: &str, right: Right) -> String {
        let held = match self.0.get(table) {
            Some(rights) => format!("; it has {rights}"),
            None => String::new(),
        };
        format!(
            "group {group} has no right to {} table {table}{held}: grant it with {table} in its manifest's [tables] or in [groups.{group}.tables]",
            right.name()
        )
    }
}
