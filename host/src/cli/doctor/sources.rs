//! Components against the crates that they are built from: whether `wharf build` has work to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde::Deserialize;
use wasmparser::{KnownCustom, Parser, Payload};

/// What Cargo says about crates (The Cargo Book, `cargo metadata`).
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

/// Crates and the crates by path that they depend on, as Cargo tells of one workspace after the other.
#[derive(Default)]
pub(super) struct Crates(BTreeMap<PathBuf, Vec<PathBuf>>);

impl Crates {
    /// The file that was changed last of those that a component is built from, and when.
    ///
    /// # Errors
    /// Cargo knows no such crate, and why.
    pub(super) fn newest(
        &mut self,
        folder: &Path,
    ) -> Result<Option<(PathBuf, SystemTime)>, String> {
        let mut newest = None;
        for folder in self.closure(folder)? {
            newest_below(&folder, &mut newest);
        }
        Ok(newest)
    }

    /// A crate's folder, and those of all that it depends on by path. A folder that is no crate stands for itself.
    fn closure(&mut self, folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
        let folder = folder.canonicalize();
        let mut open = vec![folder.map_err(|error| format!("its folder cannot be read: {error}"))?];
        let mut known = BTreeSet::new();
        while let Some(folder) = open.pop() {
            if !known.insert(folder.clone()) || !folder.join("Cargo.toml").is_file() {
                continue;
            }
            if !self.0.contains_key(&folder) {
                self.ask(&folder)?;
            }
            open.extend(self.0.get(&folder).into_iter().flatten().cloned());
        }
        Ok(known)
    }

    fn ask(&mut self, folder: &Path) -> Result<(), String> {
        let mut cargo = crate::build::cargo();
        cargo.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]);
        let output = cargo.arg("--manifest-path").arg(folder.join("Cargo.toml")).output();
        let output = output.map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo does not read its crate: {}", reason.trim()));
        }
        let metadata: Metadata = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("cargo says what cannot be read: {error}"))?;
        for Package { manifest_path, dependencies } in metadata.packages {
            let Some(folder) = manifest_path.parent() else { continue };
            let by_path = dependencies.into_iter().filter_map(|dependency| dependency.path);
            self.0.insert(folder.to_owned(), by_path.collect());
        }
        Ok(())
    }
}

/// Looks at all files below a folder, but for what Cargo and npm put there and what is hidden.
fn newest_below(folder: &Path, newest: &mut Option<(PathBuf, SystemTime)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || matches!(&*name, "target" | "node_modules") {
            continue;
        }
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => newest_below(&entry.path(), newest),
            Ok(metadata) => {
                let Ok(at) = metadata.modified() else { continue };
                if newest.as_ref().is_none_or(|(_, newest)| *newest < at) {
                    *newest = Some((entry.path(), at));
                }
            }
            // Whoever removes files meanwhile builds again in any case.
            Err(_) => {}
        }
    }
}

/// The version of rustc that a component says it was built by (WebAssembly tool conventions, the producers
/// section); `None` if it was written in another language.
pub(super) fn compiler_of(component: &[u8]) -> Option<String> {
    let sections = Parser::new(0).parse_all(component).filter_map(Result::ok);
    let producers = sections.filter_map(|payload| match payload {
        Payload::CustomSection(section) => match section.as_known() {
            KnownCustom::Producers(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    });
    let mut fields = producers.flatten().filter_map(Result::ok);
    fields.find_map(|field| {
        let mut values = field.values.into_iter().filter_map(Result::ok);
        values.find(|value| value.name == "rustc").map(|value| value.version.to_owned())
    })
}

/// The version of the rustc that is called here.
pub(super) fn compiler_here() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.trim().strip_prefix("rustc ")?.to_owned())
}
