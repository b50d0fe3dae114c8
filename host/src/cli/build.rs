//! `wharf build`: component crates → components, with what makes instances quick.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde::Deserialize;

use crate::tenant::{manifest, package};

/// The target of every component.
pub(super) const TARGET: &str = "wasm32-wasip2";

/// The linker arguments of every guest, in this one place.
///
/// A stack of 64 KiB instead of 1 MiB lets a fresh instance touch 16 pages less, which makes it
/// three times as quick; it comes first in memory, so that overflowing it traps. A larger heap from
/// the start would spare some requests from growing the memory, and cost all the others more.
const LINKER: [&str; 1] = ["-zstack-size=65536"];

/// The release profile of every guest: small, since each instance copies its data, and one unit.
const PROFILE: [&str; 5] = [
    "profile.release.opt-level=3",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    // Names of functions stay, for backtraces.
    "profile.release.strip=\"debuginfo\"",
];

/// Where Cargo works, apart from the folder that an outer `cargo run` holds locked.
const FOLDER: &str = "target/components";

#[derive(Args)]
pub(super) struct Build {
    /// Folders of components: crates, or others whose wharf-plugin.toml has a [build] section
    /// [default: every crate in components/ that makes a component]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Folder that the components are written to
    #[arg(
        long,
        env = "WHARF_COMPONENTS",
        value_name = "FOLDER",
        default_value = "target/components/wharf"
    )]
    components: PathBuf,
}

impl Build {
    /// Builds every crate in `components/`.
    pub(super) fn all_into(components: &Path) -> Self {
        Build { folders: Vec::new(), components: components.to_owned() }
    }

    pub(super) fn run(self) -> Result<(), String> {
        let sources: Vec<Source> = if self.folders.is_empty() {
            all_crates(Path::new("components"))?
        } else {
            self.folders
                .iter()
                .map(|folder| Source::read(folder)?.ok_or_else(|| not_a_component(folder)))
                .collect::<Result<_, _>>()?
        };
        std::fs::create_dir_all(&self.components)
            .map_err(|error| unwritable(&self.components, &error))?;
        for (index, one) in sources.iter().enumerate() {
            println!("[{}/{}] building {}", index + 1, sources.len(), one.name());
            let built = one.build()?;
            let place = self.components.join(format!("{}.wasm", one.name()));
            let component = one.pack(read(&built)?)?;
            let size = deliver(&component, &place)?;
            discard(&manifest::Manifest::beside(&place))?;
            println!(
                "[{}/{}] {}.wasm, {} KiB",
                index + 1,
                sources.len(),
                one.name(),
                size.div_ceil(1024)
            );
        }
        Ok(())
    }
}

/// A folder that makes a component.
enum Source {
    /// A crate, which Cargo builds, and the group that its `wharf-plugin.toml` names, if it has one.
    Crate(Crate, Option<String>),
    /// Anything else, which a command builds.
    Other(Other),
}

/// Something that a command builds.
struct Other {
    group: String,
    folder: PathBuf,
    build: manifest::Build,
}

impl Source {
    /// Reads a folder; `None` if it makes no component.
    fn read(folder: &Path) -> Result<Option<Self>, String> {
        let file = folder.join(manifest::FILE);
        let manifest = if file.exists() {
            Some(manifest::Manifest::of(package::Package::read(&file)?)?)
        } else {
            None
        };
        let (group, build) = manifest.map(|read| (read.group, read.build)).unzip();
        if let (Some(group), Some(Some(build))) = (&group, build) {
            let (group, folder) = (group.clone(), folder.to_owned());
            return Ok(Some(Source::Other(Other { group, folder, build })));
        }
        Ok(Crate::read(folder)?.map(|one| Source::Crate(one, group)))
    }

    /// The group, or else the crate's name.
    fn name(&self) -> &str {
        match self {
            Source::Crate(one, group) => group.as_ref().unwrap_or(&one.name),
            Source::Other(other) => &other.group,
        }
    }

    /// Where its `wharf-plugin.toml` lies, if it has one.
    fn manifest(&self) -> PathBuf {
        match self {
            Source::Crate(one, _) => one.manifest.with_file_name(manifest::FILE),
            Source::Other(other) => other.folder.join(manifest::FILE),
        }
    }

    /// Builds it and says where the component is.
    fn build(&self) -> Result<PathBuf, String> {
        match self {
            Source::Crate(one, _) => {
                ensure_target()?;
                one.build()
            }
            Source::Other(other) => other.build(),
        }
    }

    /// Puts the manifest and migrations, if it has any, into the component.
    fn pack(&self, component: Vec<u8>) -> Result<Vec<u8>, String> {
        let source = self.manifest();
        if !source.exists() {
            return Ok(component);
        }
        let packed = package::Package::read(&source)?.put_into(&component);
        packed.map_err(|why| format!("component {} cannot be packed: {why}", self.name()))
    }
}

impl Other {
    fn build(&self) -> Result<PathBuf, String> {
        let Other { group, folder, build } = self;
        let status = Command::new("sh").arg("-c").arg(&build.command).current_dir(folder).status();
        let status = status.map_err(|error| format!("cannot run sh: {error}"))?;
        if !status.success() {
            return Err(format!(
                "component {group} does not build: {:?} ended with {status}; its reasons are above",
                build.command
            ));
        }
        Ok(folder.join(&build.output))
    }
}

/// A crate that makes a component.
struct Crate {
    name: String,
    manifest: PathBuf,
}

/// The parts of a manifest that matter here.
#[derive(Deserialize)]
struct Manifest {
    package: Package,
    lib: Option<Library>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Library {
    #[serde(default)]
    crate_type: Vec<String>,
}

impl Crate {
    /// Reads a folder's manifest; `None` if the crate makes no component.
    fn read(folder: &Path) -> Result<Option<Self>, String> {
        let manifest = folder.join("Cargo.toml");
        let manifest = manifest.canonicalize().map_err(|error| {
            format!(
                "cannot read {}: {error}; name the folder of a component crate",
                manifest.display()
            )
        })?;
        let text = std::fs::read_to_string(&manifest)
            .map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
        let read: Manifest = toml::from_str(&text)
            .map_err(|error| format!("{} is not valid: {}", manifest.display(), error.message()))?;
        let is_component =
            read.lib.is_some_and(|lib| lib.crate_type.iter().any(|kind| kind == "cdylib"));
        Ok(is_component.then_some(Crate { name: read.package.name, manifest }))
    }

    /// Builds it and says where the component is. Cargo reports to standard error as it goes.
    fn build(&self) -> Result<PathBuf, String> {
        let mut cargo = cargo();
        cargo.args([
            "build",
            "--release",
            "--lib",
            "--target",
            TARGET,
            "--target-dir",
            FOLDER,
            "--message-format=json-render-diagnostics",
        ]);
        cargo.arg("--manifest-path").arg(&self.manifest);
        for setting in PROFILE {
            cargo.args(["--config", setting]);
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags());
        let output = cargo
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run cargo: {error}; install Rust with rustup"))?;
        if !output.status.success() {
            return Err(format!(
                "component {} does not build; the compiler's reasons are above",
                self.name
            ));
        }
        let built =
            String::from_utf8_lossy(&output.stdout).lines().find_map(|line| self.artifact(line));
        built.ok_or_else(|| format!("cargo built {} but named no .wasm file; its [lib] must have crate-type = [\"cdylib\"]", self.name))
    }

    /// The component, if this line of Cargo's messages is about it.
    fn artifact(&self, line: &str) -> Option<PathBuf> {
        let message: Message = serde_json::from_str(line).ok()?;
        let ours = message.reason == "compiler-artifact" && message.manifest_path? == self.manifest;
        let mut files = message.filenames?.into_iter();
        files.find(|file| ours && file.extension().is_some_and(|extension| extension == "wasm"))
    }
}

/// A line of `cargo build --message-format=json` (The Cargo Book, External Tools).
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    filenames: Option<Vec<PathBuf>>,
}

/// The component crates in the folders below `parent`, by name.
fn all_crates(parent: &Path) -> Result<Vec<Source>, String> {
    let unreadable = |error| {
        format!(
            "cannot read the folder {}: {error}; run this in the root of the repository, or name the folders of component crates",
            parent.display()
        )
    };
    let mut crates = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if folder.join("Cargo.toml").is_file() {
            crates.extend(Source::read(&folder)?);
        }
    }
    crates.sort_by(|a: &Source, b| a.name().cmp(b.name()));
    if crates.is_empty() {
        return Err(format!("the folder {} holds no component crate", parent.display()));
    }
    Ok(crates)
}

fn not_a_component(folder: &Path) -> String {
    format!(
        "{} makes no component: its Cargo.toml needs [lib] with crate-type = [\"cdylib\"], or its wharf-plugin.toml a [build] section",
        folder.display()
    )
}

fn unwritable(place: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot write {}: {error}; make it writable or choose another folder with --components",
        place.display()
    )
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// Replaces a file in one step, since a host may be reading it. Returns its size in bytes.
fn deliver(bytes: &[u8], place: &Path) -> Result<usize, String> {
    super::replace(place, 0o644, bytes).map_err(|error| unwritable(place, &error))?;
    Ok(bytes.len())
}

/// Removes a manifest that an earlier wharf put beside a component: it would count for more than the one
/// within.
fn discard(file: &Path) -> Result<(), String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(file, &error)),
        _ => Ok(()),
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The user's own flags, then the guests' linker arguments, in Cargo's encoding.
fn rustflags() -> String {
    let own = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let plain = std::env::var("RUSTFLAGS").unwrap_or_default();
        plain.split_whitespace().collect::<Vec<_>>().join("\u{1f}")
    });
    let linker = LINKER.map(|argument| format!("-Clink-arg={argument}"));
    let flags = own.split('\u{1f}').filter(|flag| !flag.is_empty()).map(str::to_owned);
    flags.chain(linker).collect::<Vec<_>>().join("\u{1f}")
}

/// Adds the target through rustup unless the toolchain has it.
fn ensure_target() -> Result<(), String> {
    if has_target()? {
        return Ok(());
    }
    println!("adding the target {TARGET} through rustup");
    let added = Command::new("rustup").args(["target", "add", TARGET]).status();
    if added.is_ok_and(|status| status.success()) && has_target()? {
        return Ok(());
    }
    Err(format!(
        "the Rust toolchain has no target {TARGET}, and rustup could not add it; try it by hand: rustup target add {TARGET}"
    ))
}

pub(super) fn has_target() -> Result<bool, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run rustc: {error}; install Rust with rustup"))?;
    Ok(output.status.success()
        && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}
