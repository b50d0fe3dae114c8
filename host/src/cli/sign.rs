//! `wharf sign`: a component's signature, in minisign's format.

use std::io::{Cursor, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use minisign::{SecretKey, SecretKeyBox};

use super::remote::read_line;
use crate::files::replace;
use crate::tenant::manifest;
use crate::tenant::package::Package;

#[derive(Args)]
#[command(
    after_help = "What is signed is what `wharf deploy` sends: the component with its manifest in it.

Example: wharf sign coupons.wasm --key acme.key && wharf deploy coupons.wasm --tenant acme"
)]
pub(super) struct Sign {
    /// The component
    file: PathBuf,
    /// The secret key, as `wharf key new` or minisign writes it
    #[arg(long, value_name = "FILE", default_value = "wharf.key")]
    key: PathBuf,
    /// The key is encrypted with a password, from the terminal or the first line of standard input
    #[arg(long)]
    password: bool,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), String> {
        let component = artifact(&self.file)?;
        let key = self.read_key()?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let comment = format!("file:{name}");
        let signed = minisign::sign(None, &key, Cursor::new(component), Some(&comment), None);
        let signed =
            signed.map_err(|error| format!("cannot sign {}: {error}", self.file.display()))?;
        let place = signature_file(&self.file);
        replace(&place, 0o644, signed.into_string().as_bytes())
            .map_err(|error| format!("cannot write {}: {error}", place.display()))?;
        println!("{}", place.display());
        Ok(())
    }

    fn read_key(&self) -> Result<SecretKey, String> {
        let place = self.key.display();
        let text = std::fs::read_to_string(&self.key).map_err(|error| {
            format!("cannot read the key {place}: {error}; make one with: wharf key new")
        })?;
        let unusable = |error: minisign::PError| {
            let remedy = if self.password {
                "is the password right?"
            } else {
                "add --password if it is encrypted"
            };
            format!("the key {place} cannot be used: {error}; {remedy}")
        };
        let boxed = SecretKeyBox::from_string(&text).map_err(unusable)?;
        let key = if self.password {
            boxed.into_secret_key(password()?)
        } else {
            boxed.into_unencrypted_secret_key()
        };
        key.map_err(unusable)
    }
}

/// A password from standard input; `None` on a terminal, where minisign asks for it without showing it.
pub(super) fn password() -> Result<Option<String>, String> {
    if std::io::stdin().is_terminal() { Ok(None) } else { read_line("the password").map(Some) }
}

/// Where the signature of a component lies: `coupons.wasm.minisig` beside `coupons.wasm`.
pub(super) fn signature_file(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

/// A component as it is deployed: with the manifest that lies beside it, unless it carries one.
pub(super) fn artifact(file: &Path) -> Result<Vec<u8>, String> {
    let component = std::fs::read(file).map_err(|error| {
        format!(
            "cannot read the component {}: {error}; build one with: wharf build",
            file.display()
        )
    })?;
    // What is no component at all is told so by the host, which knows more about it.
    if !matches!(Package::of(&component), Ok(None)) {
        return Ok(component);
    }
    let beside = [file.with_extension("toml"), file.with_file_name(manifest::FILE)];
    let Some(manifest) = beside.into_iter().find(|place| place.is_file()) else {
        return Ok(component);
    };
    Package::read(&manifest)?
        .put_into(&component)
        .map_err(|why| format!("{} cannot carry its manifest: {why}", file.display()))
}
