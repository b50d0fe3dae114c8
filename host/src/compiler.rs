//! Bytes of a component → machine code, kept on disk so that it is compiled once.
//!
//! Loading machine code means trusting it, so every stored artifact carries an HMAC made with a key
//! that this host wrote; one that was changed is compiled anew.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::instance::Engine;

/// Bytes of the HMAC-SHA-256 in front of each artifact.
const TAG: usize = 32;

/// Compiles components and keeps the results.
pub struct Compiler {
    engine: Engine,
    folder: PathBuf,
    key: Vec<u8>,
}

/// A component that can be linked.
pub struct Artifact {
    /// The machine code.
    pub component: Component,
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub digest: String,
}

impl Compiler {
    /// A compiler that keeps its results in `folder`.
    ///
    /// # Errors
    /// A sentence that names the folder and the remedy.
    pub fn new(engine: Engine, folder: &Path) -> Result<Self, String> {
        let unwritable = |error: std::io::Error| {
            format!(
                "cannot write to the cache {}: {error}; make it writable or choose another with --cache",
                folder.display()
            )
        };
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let key = key(&folder.join("artifacts.key")).map_err(unwritable)?;
        Ok(Compiler { engine, folder: folder.to_owned(), key })
    }

    /// Loads what was compiled from these bytes before, or compiles them. Takes seconds in the latter case.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn load(&self, bytes: &[u8]) -> Result<Artifact, String> {
        if is_core_module(bytes) {
            return Err("it is a core module, not a component; build it for wasm32-wasip2, for instance with: wharf build".into());
        }
        let digest = hex::encode(Sha256::digest(bytes));
        let file = self.folder.join(format!("{digest}-{}.cwasm", self.engine.compatibility()));
        let component = match self.read(&file, &digest) {
            Some(component) => component,
            None => self.compile(bytes, &file, &digest)?,
        };
        Ok(Artifact { component, digest })
    }

    fn compile(&self, bytes: &[u8], file: &Path, digest: &str) -> Result<Component, String> {
        let started = std::time::Instant::now();
        let component = Component::from_binary(self.engine.wasmtime(), bytes)
            .map_err(|error| format!("it is not a valid component: {error:#}"))?;
        tracing::debug!(digest, milliseconds = started.elapsed().as_millis(), "compiled");
        let stored = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| self.write(file, digest, &code).map_err(|error| error.to_string()));
        if let Err(error) = stored {
            tracing::warn!(file = %file.display(), error, "cannot keep the compiled component; it will be compiled again next time");
        }
        Ok(component)
    }

    fn read(&self, file: &Path, digest: &str) -> Option<Component> {
        let stored = std::fs::read(file).ok()?;
        let (tag, code) = stored.split_at_checked(TAG)?;
        if self.mac(digest, code).verify_slice(tag).is_err() {
            tracing::warn!(file = %file.display(), "a stored artifact was changed; compiling it anew");
            return None;
        }
        // SAFETY: the tag proves that these are bytes which `serialize` gave this host, with this key.
        #[expect(unsafe_code, reason = "loading machine code is what a cache of it is for")]
        let component = unsafe { Component::deserialize(self.engine.wasmtime(), code) };
        component.ok()
    }

    /// Replaces the file in one step, so that a reader finds the old, the new, or none.
    fn write(&self, file: &Path, digest: &str, code: &[u8]) -> std::io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(&self.mac(digest, code).finalize().into_bytes())?;
        temporary.write_all(code)?;
        temporary.persist(file)?;
        Ok(())
    }

    fn mac(&self, digest: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(digest.as_bytes());
        mac.update(self.engine.compatibility().as_bytes());
        mac.update(code);
        mac
    }
}

/// Reads the key that authenticates artifacts, or makes one that the host's user alone can read.
fn key(file: &Path) -> std::io::Result<Vec<u8>> {
    if let Ok(key) = std::fs::read(file)
        && key.len() == TAG
    {
        return Ok(key);
    }
    let mut key = vec![0; TAG];
    getrandom::fill(&mut key).map_err(std::io::Error::other)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut temporary = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)?;
    temporary.write_all(&key)?;
    // Of two hosts that start at once on one cache, the first one's key stands.
    match temporary.persist_noclobber(file) {
        Ok(_) => Ok(key),
        Err(_) => std::fs::read(file),
    }
}

/// Whether these bytes are a core module: the same magic number as a component's, layer 0.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
