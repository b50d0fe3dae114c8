//! Folders of sources → components: what `wharf build` and `wharf dev` do alike.

mod crates;
mod running;
mod sources;
mod toolchain;

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::files;
use crate::tenant::manifest::{self, Manifest};
use crate::tenant::package::Package;
use crates::Crate;

pub use crates::cargo;
pub use sources::{Known, Scope, Stamps};
pub use toolchain::{TARGET, ensure_target, has_target};

/// What a component is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// To serve: small and quick, since every request makes a fresh instance of it.
    Release,
    /// The same, and with line numbers: several times as large.
    ReleaseWithLines,
    /// To be built again in a moment: only what has changed, and with line numbers.
    Dev,
}

/// Why a component was not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// One sentence.
    pub message: String,
    /// What the compiler, or another command, has said about it, with the colours of a terminal.
    pub said: String,
}

impl Failed {
    /// The same for whoever reads the terminal, where the compiler's reasons stand already.
    pub fn in_terminal(&self) -> String {
        let Failed { message, said } = self;
        if said.is_empty() { message.clone() } else { format!("{message}; the reasons are above") }
    }
}

impl From<String> for Failed {
    fn from(message: String) -> Self {
        Failed { message, said: String::new() }
    }
}

/// A component that was built.
pub struct Built {
    /// Its bytes, with its manifest and its migrations in them.
    pub component: Vec<u8>,
    /// The files that the compiler says it has read.
    pub read: Vec<PathBuf>,
    /// Whether Cargo has found something to do.
    pub was_compiled: bool,
}

/// A folder that makes a component.
pub struct Source {
    folder: PathBuf,
    group: String,
    how: How,
}

/// How a component is made.
enum How {
    /// By Cargo, of a crate.
    Crate(Crate),
    /// By a command, of anything else.
    Command(manifest::Build),
}

impl Source {
    /// Reads a folder; `None` if it makes no component.
    ///
    /// # Errors
    /// A sentence that names the manifest and what is wrong in it.
    pub fn read(folder: &Path) -> Result<Option<Self>, String> {
        let file = folder.join(manifest::FILE);
        let manifest =
            if file.exists() { Some(Manifest::of(Package::read(&file)?)?) } else { None };
        let (group, build) = manifest.map(|read| (read.group, read.build)).unzip();
        let folder = folder.to_owned();
        if let (Some(group), Some(Some(build))) = (&group, build) {
            let group = group.clone();
            return Ok(Some(Source { folder, group, how: How::Command(build) }));
        }
        let read = Crate::read(&folder)?;
        Ok(read.map(|one| {
            let group = group.unwrap_or_else(|| one.name().to_owned());
            Source { folder, group, how: How::Crate(one) }
        }))
    }

    /// The endpoint group: the one that its manifest names, or else the crate's name.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Where its source lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether Cargo builds it.
    pub fn is_crate(&self) -> bool {
        matches!(self.how, How::Crate(_))
    }

    /// Builds it, and puts the manifest and the migrations that lie beside it into the component. What the
    /// compiler says is printed to standard error as it comes.
    ///
    /// # Errors
    /// Why there is no component.
    pub async fn build(&self, profile: Profile) -> Result<Built, Failed> {
        let (built, was_compiled) = match &self.how {
            How::Crate(one) => one.build(profile).await?,
            How::Command(build) => (self.run(build).await?, false),
        };
        let mut component = std::fs::read(&built).map_err(|error| {
            format!("cannot read component {} at {}: {error}", self.group, built.display())
        })?;
        let manifest = self.folder.join(manifest::FILE);
        if manifest.exists() {
            let packed = Package::read(&manifest)?.put_into(&component);
            component = packed
                .map_err(|why| format!("component {} cannot be packed: {why}", self.group))?;
        }
        Ok(Built { component, read: sources::read_for(&built), was_compiled })
    }

    /// What it is made of.
    pub async fn scope(&self, known: &mut Known) -> Scope {
        match &self.how {
            How::Crate(one) => one.scope(known).await,
            How::Command(build) => Scope::of_command(&self.folder, &build.output),
        }
    }

    async fn run(&self, build: &manifest::Build) -> Result<PathBuf, Failed> {
        let mut said = String::new();
        let mut command = Command::new("sh");
        command.arg("-c").arg(&build.command).current_dir(&self.folder);
        let ended = running::run(&mut command, |_, line| {
            anstream::eprintln!("{line}");
            running::keep(&mut said, line);
        });
        let status = ended.await.map_err(|error| format!("cannot run sh: {error}"))?;
        if status.success() {
            return Ok(self.folder.join(&build.output));
        }
        let message = format!(
            "component {} does not build: {:?} ended with {status}",
            self.group, build.command
        );
        Err(Failed { message, said })
    }
}

/// Where somebody has components.
pub enum Place {
    /// In a folder that makes one.
    Component(PathBuf),
    /// In the folders below one.
    Parent(PathBuf),
}

impl Place {
    /// A folder that was named.
    ///
    /// # Errors
    /// A sentence that names the folder, and what it would need.
    pub fn named(folder: &Path) -> Result<Self, String> {
        let place = folder.canonicalize().ok().filter(|place| place.is_dir());
        let place = place.ok_or_else(|| {
            format!(
                "{} is no folder; name the folder of a component, or of several",
                folder.display()
            )
        })?;
        // What is wrong with one is told when it is built.
        let makes_one = may_make_one(&place) && !matches!(Source::read(&place), Ok(None));
        if makes_one {
            return Ok(Place::Component(place));
        }
        if below(&place)?.is_empty() {
            Err(not_a_component(folder))
        } else {
            Ok(Place::Parent(place))
        }
    }

    /// Where nobody has named a folder: `components`, or else the current folder.
    ///
    /// # Errors
    /// That neither makes a component or holds any, and what to do.
    pub fn usual() -> Result<Self, String> {
        let components = Path::new("components");
        if components.is_dir() {
            return Place::named(components);
        }
        Place::named(Path::new(".")).map_err(|_| {
            "there is no folder components, and the current folder makes no component; run this in the folder of a component or in the root of a repository with components, or name the folders".into()
        })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        match self {
            Place::Component(folder) | Place::Parent(folder) => folder,
        }
    }

    /// The folders that may make components, in the order of their names.
    ///
    /// # Errors
    /// A sentence that names the folder that cannot be read.
    pub fn folders(&self) -> Result<Vec<PathBuf>, String> {
        match self {
            Place::Component(folder) if may_make_one(folder) => Ok(vec![folder.clone()]),
            Place::Component(_) => Ok(Vec::new()),
            Place::Parent(parent) => below(parent),
        }
    }
}

fn below(parent: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("cannot read the folder {}: {error}", parent.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if may_make_one(&folder) {
            folders.push(folder);
        }
    }
    folders.sort();
    Ok(folders)
}

fn may_make_one(folder: &Path) -> bool {
    ["Cargo.toml", manifest::FILE].iter().any(|file| folder.join(file).is_file())
}

/// That a folder makes no component, and what it would need.
pub fn not_a_component(folder: &Path) -> String {
    format!(
        "{} makes no component: its Cargo.toml needs [lib] with crate-type = [\"cdylib\"], or its {} a [build] section",
        folder.display(),
        manifest::FILE
    )
}

/// Writes a component into a folder, in one step, since a host may be reading it. Gives back its file.
///
/// # Errors
/// A sentence that names the folder and the remedy.
pub fn deliver(component: &[u8], group: &str, folder: &Path) -> Result<PathBuf, String> {
    let place = folder.join(format!("{group}.wasm"));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| files::replace(&place, 0o644, component))
        .map_err(|error| unwritable(&place, &error));
    written.map(|()| place)
}

/// That a place for components cannot be written, and what to do.
pub fn unwritable(place: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot write {}: {error}; make it writable or choose another folder with --components",
        place.display()
    )
}
