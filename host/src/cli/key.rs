//! `wharf key`: keys that components are signed with, in minisign's format.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use minisign::KeyPair;

use super::sign::password;

#[derive(Args)]
#[command(after_help = "Example: wharf key new --out acme.key")]
pub(super) struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key, and print the public one.
    New(New),
}

/// `wharf key new`
#[derive(Args)]
#[command(
    after_help = "The secret key goes into the file, and the public one beside it, with .pub at the end; minisign takes both.

Example: wharf key new --out acme.key && wharf tenant set acme --signer <public key>"
)]
struct New {
    /// The file for the secret key
    #[arg(long, value_name = "FILE", default_value = "wharf.key")]
    out: PathBuf,
    /// Encrypt the secret key with a password, from the terminal or the first line of standard input
    #[arg(long)]
    password: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<(), String> {
        let What::New(new) = self.what;
        new.run()
    }
}

impl New {
    fn run(self) -> Result<(), String> {
        let public = public_file(&self.out);
        let unmade = |error: minisign::PError| format!("cannot make a key: {error}");
        let pair = if self.password {
            KeyPair::generate_encrypted_keypair(password()?)
        } else {
            KeyPair::generate_unencrypted_keypair()
        };
        let pair = pair.map_err(unmade)?;
        let secret = pair.sk.to_box(None).map_err(unmade)?.into_string();
        write(&self.out, 0o600, &secret)?;
        write(&public, 0o644, &pair.pk.to_box().map_err(unmade)?.into_string())?;
        eprintln!("wrote {} (keep it secret) and {}", self.out.display(), public.display());
        // The key alone on standard output, so that a shell can take it.
        println!("{}", pair.pk.to_base64());
        Ok(())
    }
}

fn public_file(secret: &Path) -> PathBuf {
    let mut name = secret.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Writes a new file: a key that is in use is not lost to another one.
fn write(file: &Path, mode: u32, text: &str) -> Result<(), String> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        format!("cannot write {}: {error}; choose another file with --out", file.display())
    })
}
