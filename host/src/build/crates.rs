//! Crates, which Cargo builds.

use std::path::{Path, PathBuf};

use cargo_metadata::Message;
use cargo_metadata::diagnostic::DiagnosticLevel;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::running::{self, Stream};
use super::sources::{Known, Scope};
use super::toolchain::TARGET;
use super::{Failed, Profile};

/// The linker arguments of every guest, in this one place.
///
/// A stack of 64 KiB instead of 1 MiB lets a fresh instance touch 16 pages less, which makes it
/// three times as quick; it comes first in memory, so that overflowing it traps. A larger heap from
/// the start would spare some requests from growing the memory, and cost all the others more.
const LINKER: [&str; 1] = ["-zstack-size=65536"];

/// The release profile of every guest: small, since each instance copies its data, and one unit.
const RELEASE: [&str; 4] = [
    "profile.release.opt-level=3",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
];

/// What is left of debug information: names of functions, so that backtraces say where a component failed.
const NAMES: [&str; 1] = ["profile.release.strip=\"debuginfo\""];

/// The same, and files and lines.
const LINES: [&str; 2] =
    ["profile.release.debug=\"line-tables-only\"", "profile.release.strip=\"none\""];

/// The profile of `wharf dev`: what is waited for after a save is Cargo, and then the host's compiler.
const DEV: [&str; 7] = [
    // Code without any optimisation takes more stack than there is, and becomes half as much machine code again.
    // More for dependencies would count for what macros are made of as well, and triple the first build.
    "profile.dev.opt-level=1",
    "profile.dev.package.\"*\".debug=false",
    "profile.dev.incremental=true",
    "profile.dev.lto=false",
    "profile.dev.panic=\"abort\"",
    // Files and lines stay, for backtraces.
    "profile.dev.debug=\"line-tables-only\"",
    "profile.dev.strip=\"none\"",
];

/// Where Cargo works, apart from the folder that an outer `cargo run` holds locked. For workspaces elsewhere, in a
/// folder below this one.
pub(super) const FOLDER: &str = "target/components";

/// A crate that makes a component.
pub(super) struct Crate {
    name: String,
    manifest: PathBuf,
}

/// The parts of a manifest that matter here.
#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
    lib: Option<Library>,
    workspace: Option<IgnoredAny>,
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
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, String> {
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
        let package = read.package.filter(|_| is_component);
        Ok(package.map(|package| Crate { name: package.name, manifest }))
    }

    /// The crate's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What Cargo reads when it builds this.
    pub(super) async fn scope(&self, known: &mut Known) -> Scope {
        known.scope(&self.manifest).await
    }

    /// Builds it and says where the component is, and whether there was anything to do.
    pub(super) async fn build(&self, profile: Profile) -> Result<(PathBuf, bool), Failed> {
        let (mut built, mut said, mut failing) = (None, String::new(), false);
        let mut cargo = self.cargo(profile);
        let ended = running::run(&mut cargo, |stream, line| {
            let message = match stream {
                Stream::Output => serde_json::from_str::<Message>(line).ok(),
                Stream::Error => None,
            };
            match message {
                Some(Message::CompilerMessage(message)) => {
                    let rendered = message.message.rendered.unwrap_or_default();
                    anstream::eprint!("{rendered}");
                    if is_error(message.message.level) {
                        running::keep(&mut said, rendered.trim_end_matches('\n'));
                        running::keep(&mut said, "");
                    }
                }
                Some(Message::CompilerArtifact(artifact)) => {
                    let ours = artifact.manifest_path == self.manifest;
                    let mut files = artifact.filenames.into_iter();
                    let component = files.find(|file| ours && file.extension() == Some("wasm"));
                    let component = component.map(|file| (file.into(), !artifact.fresh));
                    built = component.or(built.take());
                }
                Some(_) => {}
                None => {
                    let plain = anstream::adapter::strip_str(line).to_string();
                    // Whoever called says what came of it, and where nothing was to be done, nothing is said.
                    if plain.trim_start().starts_with("Finished ") {
                        return;
                    }
                    anstream::eprintln!("{line}");
                    // What Cargo itself has to say about a failure comes last, over several lines.
                    failing |= plain.starts_with("error");
                    if failing {
                        running::keep(&mut said, line);
                    }
                }
            }
        });
        let status = ended
            .await
            .map_err(|error| format!("cannot run cargo: {error}; install Rust with rustup"))?;
        if !status.success() {
            let message = format!("component {} does not build", self.name);
            return Err(Failed { message, said });
        }
        let missing = || {
            format!(
                "cargo built {} but named no .wasm file; its [lib] must have crate-type = [\"cdylib\"]",
                self.name
            )
        };
        Ok(built.ok_or_else(missing)?)
    }

    fn cargo(&self, profile: Profile) -> Command {
        let mut cargo = Command::from(cargo());
        cargo.args(["build", "--lib", "--target", TARGET, "--target-dir"]);
        cargo.arg(folder(&self.manifest));
        // Colours are taken out again where nobody sees them.
        cargo.args(["--color=always", "--message-format=json-diagnostic-rendered-ansi"]);
        cargo.arg("--manifest-path").arg(&self.manifest);
        if profile != Profile::Dev {
            cargo.arg("--release");
        }
        let (settings, kept) = match profile {
            Profile::Release => (&RELEASE[..], &NAMES[..]),
            Profile::ReleaseWithLines => (&RELEASE[..], &LINES[..]),
            Profile::Dev => (&DEV[..], &[][..]),
        };
        for setting in settings.iter().chain(kept) {
            cargo.args(["--config", setting]);
        }
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags());
        cargo
    }
}

/// Where Cargo works for a crate: one folder for each workspace, since Cargo takes crates of one name in one folder
/// for the same.
fn folder(manifest: &Path) -> PathBuf {
    let is_workspace = |folder: &&Path| {
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        toml::from_str::<Manifest>(&text).is_ok_and(|manifest| manifest.workspace.is_some())
    };
    let own = manifest.parent().unwrap_or(manifest);
    let root = own.ancestors().find(is_workspace).unwrap_or(own);
    if Path::new(".").canonicalize().is_ok_and(|here| here == root) {
        return FOLDER.into();
    }
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let digest = hex::encode(Sha256::digest(root.as_os_str().as_encoded_bytes()));
    Path::new(FOLDER).join(format!("{name}-{}", &digest[..8]))
}

fn is_error(level: DiagnosticLevel) -> bool {
    matches!(level, DiagnosticLevel::Error | DiagnosticLevel::Ice)
}

/// Cargo, as whoever runs this through Cargo has it.
pub fn cargo() -> std::process::Command {
    std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
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
