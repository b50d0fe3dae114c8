//! The host's secret keys: made on first start, readable by its user alone.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::str::FromStr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::chance::Chance;

/// A key of fewer bytes would be easier to guess than HMAC-SHA-256 is to break (RFC 7518, section 3.2).
const SHORTEST: usize = 32;

/// The keys. They have no `Debug`, so that no log line can hold them.
pub struct Keys {
    tokens: Vec<u8>,
}

impl Keys {
    /// Reads the keys, from `given` or else from the data folder, where they are made if they are missing.
    ///
    /// # Errors
    /// A sentence that names the file and the remedy.
    pub fn load(data: &Path, given: Option<&Path>, chance: &Chance) -> Result<Self, String> {
        let own = data.join("keys").join("tokens.key");
        let tokens = match given {
            Some(file) => read(file)?,
            None => make(&own, chance).and_then(|()| read(&own))?,
        };
        Ok(Keys { tokens })
    }

    /// A key for another purpose, which tells nothing about the one that signs tokens: its HMAC-SHA-256
    /// (RFC 2104) over the purpose. Hosts that share the key agree on it.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.tokens).expect("HMAC takes any key");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The key that signs access tokens.
    pub fn tokens(&self) -> &[u8] {
        &self.tokens
    }
}

/// 128 bits that no two tokens share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(u128);

impl Id {
    pub(super) fn random(chance: &Chance) -> Self {
        Id(u128::from_be_bytes(random(chance)))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Id {
    type Err = ();

    /// Takes what [`Id`]'s `Display` writes and nothing else: an id has one text.
    fn from_str(text: &str) -> Result<Self, ()> {
        let id = u128::from_str_radix(text, 16).map(Id).map_err(|_| ())?;
        if text == id.to_string() { Ok(id) } else { Err(()) }
    }
}

fn random<const N: usize>(chance: &Chance) -> [u8; N] {
    let mut bytes = [0; N];
    chance.fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let text = std::fs::read(file).map_err(|error| format!("cannot read the signing key {}: {error}; give its file with tokens.key_file, or make it readable", file.display()))?;
    let key = text.trim_ascii().to_vec();
    if key.len() < SHORTEST {
        return Err(format!(
            "the signing key {} is shorter than {SHORTEST} bytes; make one with: openssl rand -hex 32",
            file.display()
        ));
    }
    Ok(key)
}

/// Writes a new key unless there is one.
fn make(file: &Path, chance: &Chance) -> Result<(), String> {
    let unwritable = |error: std::io::Error| {
        format!(
            "cannot write the signing key {}: {error}; make the data folder writable or choose another with --data",
            file.display()
        )
    };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match created {
        Ok(mut file) => file
            .write_all(hex::encode(random::<32>(chance)).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(unwritable),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unwritable(error)),
    }
}
