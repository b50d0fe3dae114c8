//! The operator's token: made at first start, in a file that nobody else may read. Whoever can read it
//! could as well change the data folder, and needs no other right.
//!
//! A new one is made when the file is removed and the host is started again.

use std::fs::Permissions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::token_file;
use crate::registry::tokens::random;

/// What stands for the operator where a token's id would stand.
pub const ID: &str = "operator";

/// The operator's token of a data folder, made if there is none.
///
/// # Errors
/// A sentence that names the file and the remedy.
pub fn read_or_make(data: &Path) -> Result<String, String> {
    let file = token_file(data);
    if !file.exists() {
        make(&file).map_err(|error| {
            format!("cannot write the operator's token {}: {error}; make the data folder writable or choose another with --data", file.display())
        })?;
    }
    read(data)
}

/// The operator's token of a data folder.
///
/// # Errors
/// A sentence that names the file and the remedy.
pub fn read(data: &Path) -> Result<String, String> {
    let file = token_file(data);
    let text = std::fs::read_to_string(&file).map_err(|error| {
        format!("cannot read the operator's token {}: {error}; name the host's data folder with --data, or give a token with --token or WHARF_TOKEN", file.display())
    })?;
    let token = text.trim();
    if token.strip_prefix("wharf_operator_").is_none_or(|secret| secret.len() < 64) {
        return Err(format!(
            "{} holds no operator's token; remove it and start the host again, which makes a new one",
            file.display()
        ));
    }
    Ok(token.to_owned())
}

/// Written whole or not at all; of two hosts that start at once one is first.
fn make(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary =
        tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    writeln!(temporary, "wharf_{ID}_{}", hex::encode(random::<32>()))?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(file) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}
