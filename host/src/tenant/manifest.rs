//! `wharf-plugin.toml`: what a component asks for, written beside its source and delivered beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capabilities::Grant;
use crate::database::{Tables, nearest};

/// The manifest's name in the folder of a component's source.
pub const FILE: &str = "wharf-plugin.toml";

/// The keys that a manifest may have.
const KEYS: [&str; 3] = ["group", "grants", "tables"];

/// What a component asks for. An operator may say otherwise in `[groups.<group>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// The endpoint group, which is also the component's name.
    pub group: String,
    /// The interfaces that it imports.
    pub grants: Vec<Grant>,
    /// What it does with the rows of each table.
    pub tables: Tables,
}

impl Manifest {
    /// Where the manifest of a component lies once it is built: `users.toml` beside `users.wasm`.
    pub fn beside(component: &Path) -> PathBuf {
        component.with_extension("toml")
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// A sentence that names the file, what is wrong in it, and the nearest right key.
    pub fn read(file: &Path, group: &str) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(format!("cannot read the manifest {}: {error}", file.display()));
            }
        };
        let wrong = |why: String| format!("the manifest {} {why}", file.display());
        let manifest = Manifest::parse(&text).map_err(wrong)?;
        if manifest.group != group {
            return Err(wrong(format!(
                "is of group {:?}, and the component is called {group:?}; write group = {group:?}",
                manifest.group
            )));
        }
        Ok(Some(manifest))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let invalid = |error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count());
            format!("is not valid at line {}: {}", line + 1, error.message())
        };
        let keys: BTreeMap<String, toml::Value> = toml::from_str(text).map_err(invalid)?;
        if let Some(key) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let nearest = nearest(key, KEYS).unwrap_or(KEYS[0]);
            return Err(format!("has the key {key:?}, which means nothing; {nearest:?} does"));
        }
        toml::from_str(text).map_err(invalid)
    }
}
