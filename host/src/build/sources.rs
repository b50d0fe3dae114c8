//! What a component is made of, so that a change of it can be told from everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use ignore::{DirEntry, WalkBuilder};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::crates::{FOLDER, cargo};
use super::toolchain::TARGET;
use crate::tenant::manifest;

/// Folders of what tools make or fetch, wherever they are.
const NEVER: [&str; 1] = ["node_modules"];

/// Where a component's sources lie. What git ignores is none of them, nor what is hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Folders, with all that is below them.
    folders: BTreeSet<PathBuf>,
    /// Files elsewhere.
    files: BTreeSet<PathBuf>,
    /// What the build makes within the folders.
    outputs: BTreeSet<PathBuf>,
    /// Whether a file that was written without a change is the same: commands write files among their sources.
    by_content: bool,
}

/// How all sources of a component are at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    files: BTreeMap<PathBuf, Stamp>,
    folders: BTreeSet<PathBuf>,
}

/// How a file is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    /// When it was written last, and its size: enough where the build writes no sources.
    Written(SystemTime, u64),
    /// What it holds.
    Content([u8; 32]),
}

impl Scope {
    /// A folder of which nothing is known but that it is there.
    pub fn of_folder(folder: &Path) -> Self {
        Scope::of_crates(BTreeSet::from([folder.to_owned()]), BTreeSet::new())
    }

    /// The sources of what a command builds in a folder.
    pub(super) fn of_command(folder: &Path, output: &Path) -> Self {
        let outputs = BTreeSet::from([folder.join(output), folder.join("target")]);
        let folders = BTreeSet::from([folder.to_owned()]);
        Scope { folders, outputs, by_content: true, ..Scope::default() }
    }

    fn of_crates(folders: BTreeSet<PathBuf>, files: BTreeSet<PathBuf>) -> Self {
        let outputs = folders.iter().map(|folder| folder.join("target")).collect();
        Scope { folders, files, outputs, by_content: false }
    }

    /// The same with files that were read as well.
    #[must_use]
    pub fn with(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let elsewhere =
            |file: &PathBuf| !self.folders.iter().any(|folder| file.starts_with(folder));
        self.files.extend(files.into_iter().filter(elsewhere));
        self
    }

    /// The same without files and folders that others write.
    #[must_use]
    pub fn without(mut self, outputs: &BTreeSet<PathBuf>) -> Self {
        self.outputs.extend(outputs.iter().cloned());
        self
    }

    /// Looks at all of it.
    pub fn look(&self) -> Stamps {
        let mut stamps = Stamps::default();
        for folder in &self.folders {
            for entry in self.walk(folder) {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                let path = entry.into_path();
                if is_folder {
                    stamps.folders.insert(path);
                } else if let Some(stamp) = self.stamp(&path) {
                    stamps.files.insert(path, stamp);
                }
            }
        }
        for file in &self.files {
            stamps.folders.extend(file.parent().map(Path::to_owned));
            if let Some(stamp) = self.stamp(file) {
                stamps.files.insert(file.clone(), stamp);
            }
        }
        stamps
    }

    /// The file of it that was written last, and when.
    pub fn newest(&self) -> Option<(PathBuf, SystemTime)> {
        let below = self.folders.iter().flat_map(|folder| self.walk(folder));
        let below = below.filter(|entry| entry.file_type().is_some_and(|kind| !kind.is_dir()));
        let files = below.map(DirEntry::into_path).chain(self.files.iter().cloned());
        let written = files.filter_map(|file| {
            let at = std::fs::metadata(&file).and_then(|about| about.modified()).ok()?;
            Some((file, at))
        });
        written.max_by_key(|(_, at)| *at)
    }

    /// What is below a folder, but for what is none of the sources or cannot be read, since it has just gone.
    fn walk(&self, folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
        let outputs = self.outputs.clone();
        let walk = WalkBuilder::new(folder)
            .follow_links(true)
            .require_git(false)
            .filter_entry(move |entry| {
                !outputs.contains(entry.path())
                    && !NEVER.iter().any(|name| entry.file_name() == *name)
            })
            .build();
        walk.flatten()
    }

    /// `None` for a file that is not there.
    fn stamp(&self, file: &Path) -> Option<Stamp> {
        if self.by_content {
            return std::fs::read(file)
                .ok()
                .map(|read| Stamp::Content(Sha256::digest(read).into()));
        }
        let about = std::fs::metadata(file).ok()?;
        Some(Stamp::Written(about.modified().ok()?, about.len()))
    }

    fn holds(&self, file: &Path) -> bool {
        self.files.contains(file) || self.folders.iter().any(|folder| file.starts_with(folder))
    }
}

impl Stamps {
    /// The folders in which something can change, each without those below it.
    pub fn folders(&self) -> &BTreeSet<PathBuf> {
        &self.folders
    }

    /// The files that are not as they were, are there no more, or were not there.
    pub fn changed_since<'a>(&'a self, before: &'a Stamps) -> impl Iterator<Item = &'a Path> {
        let now = self.files.iter().filter(|(file, stamp)| before.files.get(*file) != Some(stamp));
        let gone = before.files.keys().filter(|file| !self.files.contains_key(*file));
        now.map(|(file, _)| file.as_path()).chain(gone.map(PathBuf::as_path))
    }

    /// Whether one of these files says what the sources are.
    pub fn are_manifests<'a>(mut files: impl Iterator<Item = &'a Path>) -> bool {
        let manifests = ["Cargo.toml", "Cargo.lock", manifest::FILE];
        files.any(|file| {
            manifests.iter().any(|name| file.file_name().is_some_and(|own| own == *name))
        })
    }

    /// What to compare with from now on when more has become known of the sources: what was looked at before is
    /// as it was then, and the rest as it is.
    #[must_use]
    pub fn widened(&self, before: &Scope, now: &Scope) -> Stamps {
        let mut widened = now.look();
        widened.files.retain(|file, _| !before.holds(file));
        widened.files.extend(self.files.clone().into_iter().filter(|(file, _)| now.holds(file)));
        widened
    }
}

/// What Cargo says about the crates of a workspace, asked once for all of them.
#[derive(Default)]
pub struct Known(Vec<Metadata>);

impl Known {
    /// The sources of a crate: its folder, those of the crates that it depends on by their paths, and what
    /// decides about versions. Where Cargo does not say, the folder alone.
    pub(super) async fn scope(&mut self, manifest: &Path) -> Scope {
        if let Some(scope) = self.0.iter().find_map(|metadata| scope(metadata, manifest)) {
            return scope;
        }
        match metadata(manifest).await {
            Ok(metadata) => {
                let found = scope(&metadata, manifest);
                self.0.push(metadata);
                found.unwrap_or_default()
            }
            Err(why) => {
                tracing::debug!(manifest = %manifest.display(), why, "cargo metadata does not tell the sources");
                manifest.parent().map(Scope::of_folder).unwrap_or_default()
            }
        }
    }
}

/// What `cargo metadata` says. It downloads nothing: what is missing, the build fetches.
async fn metadata(manifest: &Path) -> Result<Metadata, String> {
    let mut command = Command::from(cargo());
    command.args(["metadata", "--format-version=1", "--offline", "--filter-platform", TARGET]);
    let output = command.arg("--manifest-path").arg(manifest).kill_on_drop(true).output().await;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    MetadataCommand::parse(String::from_utf8_lossy(&output.stdout)).map_err(|why| why.to_string())
}

fn scope(metadata: &Metadata, manifest: &Path) -> Option<Scope> {
    let ours = metadata.packages.iter().find(|package| package.manifest_path == manifest)?;
    let nodes = &metadata.resolve.as_ref()?.nodes;
    let nodes: BTreeMap<&PackageId, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    // Those that come from a registry do not change.
    let own = metadata.packages.iter().filter(|package| package.source.is_none());
    let own: BTreeMap<&PackageId, _> = own.map(|package| (&package.id, package)).collect();
    let (mut folders, mut seen, mut left) = (BTreeSet::new(), BTreeSet::new(), vec![&ours.id]);
    while let Some(id) = left.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(package) = own.get(id) else { continue };
        folders
            .extend(package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()));
        let builds = |kind: DependencyKind| kind != DependencyKind::Development;
        let deps = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let deps = deps.filter(|dep| dep.dep_kinds.iter().any(|dep| builds(dep.kind)));
        left.extend(deps.map(|dep| &dep.pkg));
    }
    let root = metadata.workspace_root.as_std_path();
    let files = BTreeSet::from(["Cargo.toml", "Cargo.lock"].map(|file| root.join(file)));
    Some(Scope::of_crates(folders, BTreeSet::new()).with(files))
}

/// The files that Cargo read for an artifact, by the dep-info that it leaves beside it: those that a macro or
/// `include_str!` names may lie outside of the crate. What the build made itself is not among them.
pub(super) fn read_for(artifact: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(artifact.with_extension("d")).unwrap_or_default();
    let Some((_, files)) = text.split_once(": ") else { return Vec::new() };
    let made = std::path::absolute(FOLDER).unwrap_or_default();
    // Spaces within a path are written with a backslash, as make has it.
    let files = files.lines().next().unwrap_or_default().replace("\\ ", "\0");
    let files = files.split(' ').map(|file| PathBuf::from(file.replace('\0', " ")));
    files.filter(|file| file.is_absolute() && !file.starts_with(&made)).collect()
}
