//! `wharf export`: users move out.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use tempfile::NamedTempFile;

use super::{Place, block_on, open_tables, realm_parser};
use crate::users::{self, Realm};

#[derive(Args)]
#[command(after_help = "Example: wharf export users --realm store users.csv")]
pub(super) struct Export {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Write the users of a realm as CSV, with their password hashes.
    ///
    /// The file has the columns that `wharf import users` takes for the realm, with dates in unix seconds. Nobody but you
    /// may read it. A host may be running on the same database; who changes meanwhile is written as before or after.
    Users(Users),
}

/// `wharf export users`
#[derive(Args)]
#[command(after_help = "Example: wharf export users --realm store users.csv")]
struct Users {
    /// The realm that the users belong to
    #[arg(long, value_parser = realm_parser())]
    realm: &'static Realm,
    /// The file to write; `-` for standard output
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

impl Export {
    pub(super) fn run(self) -> Result<(), String> {
        let What::Users(users) = self.what;
        block_on(users.run())
    }
}

impl Users {
    async fn run(self) -> Result<(), String> {
        let path = self.file.as_path();
        if path == Path::new("-") {
            let config = self.place.config()?;
            let written = write(self.realm, &config, std::io::stdout().lock()).await;
            let (count, _) = written.map_err(|error| format!("the export stopped: {error}"))?;
            eprintln!("{} exported", users_of(count));
            return Ok(());
        }
        let cannot =
            |error: &dyn std::fmt::Display| format!("cannot write {}: {error}", path.display());
        if path.exists() && !self.force {
            return Err(there_already(path));
        }
        // Nobody else may read a temporary file, and half an export never takes the place of a whole one.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| cannot(&error))?;
        let config = self.place.config()?;
        let (count, file) =
            write(self.realm, &config, file).await.map_err(|error| cannot(&error))?;
        file.as_file().sync_all().map_err(|error| cannot(&error))?;
        let kept = if self.force { file.persist(path) } else { file.persist_noclobber(path) };
        kept.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => there_already(path),
            _ => cannot(&error.error),
        })?;
        println!("{} exported to {}", users_of(count), path.display());
        Ok(())
    }
}

fn users_of(count: u64) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}

fn there_already(path: &Path) -> String {
    format!("{} is there already; choose another file, or replace it with --force", path.display())
}

/// Writes all users; answers with their number and the file.
async fn write<W: Write>(
    realm: &'static Realm,
    config: &crate::Config,
    file: W,
) -> Result<(u64, W), String> {
    let database = open_tables(config).await?;
    let mut export = users::Export::new(database.clone(), realm);
    // Only a terminal shows it.
    let bar = ProgressBar::new(export.count().await?);
    let mut writer = csv::Writer::from_writer(file);
    export.header(&mut writer)?;
    let mut count = 0;
    loop {
        let page = export.next_page(&mut writer).await?;
        if page == 0 {
            break;
        }
        count += page;
        bar.set_position(count);
    }
    bar.finish_and_clear();
    database.close().await;
    let file = writer.into_inner().map_err(|error| error.error().to_string())?;
    Ok((count, file))
}
