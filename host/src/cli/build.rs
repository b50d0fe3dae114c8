//! `wharf build`: component crates → components, with what makes instances quick.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use super::block_on;
use crate::build::{self, Place, Profile, Source};
use crate::tenant::manifest::Manifest;

#[derive(Args)]
#[command(after_help = "Examples:
  wharf build
  wharf build coupons --components build
  wharf build --debug coupons")]
pub(super) struct Build {
    /// Folders of components: crates, or others whose wharf-plugin.toml has a [build] section, or folders that hold
    /// several [default: components/, or the current folder if it makes a component]
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
    /// Keep files and lines of the source, as they are called on this machine, for the backtraces of `wharf logs`;
    /// components become several times as large
    #[arg(long)]
    debug: bool,
}

impl Build {
    /// Builds what is in these folders.
    pub(super) fn into(folders: Vec<PathBuf>, components: &Path) -> Self {
        Build { folders, components: components.to_owned(), debug: false }
    }

    pub(super) fn run(self) -> Result<(), String> {
        let sources = sources(&self.folders)?;
        if sources.iter().any(Source::is_crate) {
            build::ensure_target()?;
        }
        let profile = if self.debug { Profile::ReleaseWithLines } else { Profile::Release };
        let count = sources.len();
        for (index, source) in (1..).zip(&sources) {
            let group = source.group();
            eprintln!("[{index}/{count}] building {group}");
            let built = block_on(async {
                tokio::select! {
                    built = source.build(profile) => built.map_err(|failed| failed.in_terminal()),
                    // What builds is not told by the terminal, and stopped with this.
                    _ = tokio::signal::ctrl_c() => Err(format!("building {group} was interrupted")),
                }
            })?;
            let place = build::deliver(&built.component, group, &self.components)?;
            discard(&Manifest::beside(&place))?;
            eprintln!(
                "[{index}/{count}] {group}.wasm, {} KiB",
                built.component.len().div_ceil(1024)
            );
        }
        Ok(())
    }
}

/// Where the named folders are, or else the usual one.
pub(super) fn places(folders: &[PathBuf]) -> Result<Vec<Place>, String> {
    if folders.is_empty() {
        return Ok(vec![Place::usual()?]);
    }
    folders.iter().map(|folder| Place::named(folder)).collect()
}

/// What makes components in these folders.
pub(super) fn sources(folders: &[PathBuf]) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for place in places(folders)? {
        for folder in place.folders()? {
            match (Source::read(&folder)?, &place) {
                (Some(source), _) => sources.push(source),
                // Beside components may lie what they share.
                (None, Place::Parent(_)) => {}
                (None, Place::Component(_)) => return Err(build::not_a_component(&folder)),
            }
        }
    }
    if sources.is_empty() {
        return Err("none of these folders makes a component; a crate that does has [lib] with crate-type = [\"cdylib\"]".into());
    }
    sources.sort_by(|one, other| one.group().cmp(other.group()));
    Ok(sources)
}

/// Removes a manifest that an earlier wharf put beside a component: it would count for more than the one
/// within.
fn discard(file: &Path) -> Result<(), String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(build::unwritable(file, &error)),
        _ => Ok(()),
    }
}
