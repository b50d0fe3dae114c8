//! `wharf-plugin.toml`: what a component asks for, written beside its source and carried by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;

use super::package::Package;
use crate::capabilities::Grant;
use crate::database::{Step, Tables};
use crate::instance::reuse::Reuse;
use crate::written;

/// The manifest's name in the folder of a component's source.
pub const FILE: &str = "wharf-plugin.toml";

/// Characters of a group's name.
const LONGEST_NAME: usize = 63;

/// What a component asks for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// The endpoint group, which is also the component's name.
    pub group: String,
    /// The interfaces that it imports.
    pub grants: Vec<Grant>,
    /// What it does with the rows of each table: `"read"`, `"write"`, or a list of `read`, `insert`, `update`
    /// and `delete`.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub tables: Tables,
    /// The host names that it calls.
    pub outbound: Vec<String>,
    /// The prefix of the paths that a `wasi:http` component answers.
    pub mount: Option<String>,
    /// The groups that see its requests before and its responses after, outermost first.
    pub middleware: Vec<String>,
    /// What one of its calls may take, where that is less than usual.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub limits: toml::Table,
    /// Its settings, by name.
    pub settings: BTreeMap<String, Setting>,
    /// A request that must succeed before a revision of it serves.
    pub smoke: Option<Smoke>,
    /// How long its instances are kept; each answers one request if it is not set.
    pub reuse: Option<Reuse>,
    /// How it is built, where that is not with Cargo.
    pub build: Option<Build>,
    /// The steps that its tables take, which lie beside the manifest.
    #[serde(skip)]
    pub migrations: Vec<Step>,
}

/// What a setting is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Setting {
    /// What its value looks like.
    pub r#type: Type,
    /// Its value where nobody says otherwise.
    pub default: Option<String>,
    /// Whether a component without it cannot serve.
    pub required: bool,
    /// Whether it is shown to nobody.
    pub secret: bool,
    /// One sentence about it.
    pub description: String,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// Any text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An absolute `http` or `https` URL.
    Url,
}

/// A request, and what is expected of its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Smoke {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The path, and the query if there is one.
    pub path: String,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The status; any from 200 to 299 if it is not set.
    #[serde(default)]
    pub status: Option<u16>,
}

fn get() -> String {
    "GET".into()
}

/// How a component is built.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// A command for the shell, run in the manifest's folder.
    pub command: String,
    /// The component that it makes, relative to the folder.
    pub output: PathBuf,
}

impl Manifest {
    /// Where an operator writes a manifest that counts instead of the one that a component carries:
    /// `users.toml` beside `users.wasm`.
    pub fn beside(component: &Path) -> PathBuf {
        component.with_extension("toml")
    }

    /// The manifest of a component: the one beside it, or else the one that it carries; `None` if there
    /// is neither. Also says where it is.
    ///
    /// # Errors
    /// A sentence that names the file, what is wrong in it, and the nearest right key.
    pub fn find(component: &Path, group: &str) -> Result<Option<(Self, PathBuf)>, String> {
        let bytes = std::fs::read(component)
            .map_err(|error| format!("cannot read {}: {error}", component.display()))?;
        let beside = Manifest::beside(component);
        // What is wrong with the component itself is said when it is compiled.
        let (file, package) = match Package::of(&bytes).ok().flatten() {
            _ if beside.exists() => (beside.clone(), Package::read(&beside)?),
            Some(package) => (component.to_owned(), package),
            None => return Ok(None),
        };
        let wrong = |why: String| format!("the manifest {} {why}", file.display());
        let manifest = Manifest::of(package).map_err(wrong)?;
        if manifest.group != group {
            return Err(wrong(format!(
                "is of group {:?}, and the component is called {group:?}; write group = {group:?}",
                manifest.group
            )));
        }
        Ok(Some((manifest, file)))
    }

    /// The manifest of what a component carries.
    ///
    /// # Errors
    /// What is wrong in it, as the end of a sentence.
    pub fn of(package: Package) -> Result<Self, String> {
        let manifest = Manifest::parse(&package.manifest)?;
        Ok(Manifest { migrations: package.migrations, ..manifest })
    }

    /// Reads a manifest's text.
    ///
    /// # Errors
    /// What is wrong in it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Manifest = written::read(text)
            .map_err(|wrong| format!("is not valid at line {}: {}", wrong.line, wrong.why))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// What `settings.get` tells its component: what was set, and else what the manifest says.
    #[must_use]
    pub fn told(&self, set: BTreeMap<String, String>) -> BTreeMap<String, String> {
        let usual =
            |(name, setting): (&String, &Setting)| Some((name.clone(), setting.default.clone()?));
        let mut told: BTreeMap<String, String> = self.settings.iter().filter_map(usual).collect();
        told.extend(set);
        told
    }

    /// Whether its component can serve with what was set.
    ///
    /// # Errors
    /// The setting that is missing or of another type, and a sentence about it.
    pub fn check_settings(&self, set: &BTreeMap<String, String>) -> Result<(), (&str, String)> {
        let group = &self.group;
        for (name, setting) in &self.settings {
            match set.get(name) {
                Some(value) => setting.check(value).map_err(|why| {
                    (&**name, format!("the setting {name} of group {group} {why}"))
                })?,
                None if setting.required && setting.default.is_none() => {
                    let about = &setting.description;
                    return Err((name, format!("group {group} needs the setting {name}: {about}")));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        check_name(&self.group).map_err(|why| format!("has the group {:?}; {why}", self.group))?;
        self.mount.as_deref().map_or(Ok(()), check_mount)?;
        for (name, setting) in &self.settings {
            if let Some(default) = &setting.default {
                setting.check(default).map_err(|why| {
                    format!("has the default {default:?} for the setting {name}, which {why}")
                })?;
            }
        }
        Ok(())
    }
}

/// Refuses what is no beginning of a path.
///
/// # Errors
/// What is wrong with it and what one looks like, as the end of a sentence.
pub fn check_mount(mount: &str) -> Result<(), String> {
    let is_path = mount == "/"
        || (mount.starts_with('/')
            && !mount.ends_with('/')
            && !mount.contains("//")
            && mount.bytes().all(|byte| byte.is_ascii_graphic())
            && !mount.contains(['{', '}', '?', '#', '*']));
    if is_path {
        return Ok(());
    }
    Err(format!(
        "has the mount {mount:?}, which is no beginning of a path; write one such as \"/shop\", or \"/\" for all paths"
    ))
}

impl Setting {
    /// Whether a value is one of its type.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence. The value itself is not repeated.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let fits = match self.r#type {
            Type::Text => true,
            Type::Integer => value.parse::<i64>().is_ok(),
            Type::Boolean => matches!(value, "true" | "false"),
            Type::Url => ["http://", "https://"].iter().any(|scheme| value.starts_with(scheme)),
        };
        let expected = match self.r#type {
            Type::Text => "text",
            Type::Integer => "a whole number",
            Type::Boolean => "true or false",
            Type::Url => "a URL that begins with http:// or https://",
        };
        if fits { Ok(()) } else { Err(format!("is not {expected}")) }
    }
}

/// The JSON Schema (2020-12) of manifests, for editors.
pub fn schema() -> Schema {
    let mut schema = schema_for!(Manifest);
    schema.insert("title".into(), FILE.into());
    schema.insert("required".into(), serde_json::json!(["group"]));
    schema
}

/// Refuses what cannot be a group's name: it is a part of file names, of roles and of commands.
///
/// # Errors
/// What a name is made of.
pub fn check_name(name: &str) -> Result<(), String> {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if first && name.len() <= LONGEST_NAME && name.bytes().all(rest) {
        return Ok(());
    }
    Err(format!(
        "a name has at most {LONGEST_NAME} lower-case letters, digits and dashes, and begins with a letter"
    ))
}
