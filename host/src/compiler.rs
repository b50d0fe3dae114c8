//! Bytes of a component → machine code, kept on disk so that it is compiled once.
//!
//! The bytes are a stranger's, and compiling can take hours and all memory: it is done by a [`child`] of
//! this process, under limits of the operating system's. Loading machine code means trusting it, so every
//! stored artifact carries an HMAC made with a key that this host wrote; one that was changed is compiled
//! anew.

mod child;
mod lines;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::instance::Engine;

pub use child::{Bounds, COMMAND, compile};
pub use lines::Lines;

/// What compiling one component may take, in `[compile]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bytes of a component.
    pub component_bytes: usize,
    /// Bytes of the machine code that it becomes.
    pub artifact_bytes: usize,
    /// Seconds of processor time, of all threads together.
    pub processor_seconds: u64,
    /// Bytes of address space.
    pub memory_bytes: u64,
    /// Seconds until it must be done.
    pub seconds: u64,
    /// Components of tenants' that are compiled at once.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            component_bytes: 10 * 1024 * 1024,
            artifact_bytes: 128 * 1024 * 1024,
            processor_seconds: 10,
            memory_bytes: 2 * 1024 * 1024 * 1024,
            seconds: 60,
            concurrency: 1,
        }
    }
}

impl Config {
    /// The same with room for components with an interpreter in them (JavaScript, Python): for hosts that serve only
    /// what whoever started them has built.
    #[must_use]
    pub fn for_whoever_built_it(self) -> Self {
        Config {
            component_bytes: self.component_bytes.max(64 << 20),
            artifact_bytes: self.artifact_bytes.max(512 << 20),
            processor_seconds: self.processor_seconds.max(300),
            memory_bytes: self.memory_bytes.max(8 << 30),
            seconds: self.seconds.max(300),
            ..self
        }
    }
}

/// Bytes of the HMAC-SHA-256 in front of each artifact.
const TAG: usize = 32;

/// Compiles components and keeps the results.
pub struct Compiler {
    engine: Engine,
    folder: PathBuf,
    key: Vec<u8>,
    config: Config,
    /// The wharf program, which the child runs.
    program: PathBuf,
}

/// A component that can be linked.
pub struct Artifact {
    /// The machine code.
    pub component: Component,
    /// The SHA-256 of the component's bytes, in hexadecimal.
    pub digest: String,
    /// Where in its source each of its instructions comes from, if it says so.
    pub lines: Lines,
}

impl Compiler {
    /// A compiler that keeps its results in `folder` and has `program`, a wharf, do the work.
    ///
    /// # Errors
    /// A sentence that names the folder and the remedy.
    pub fn new(
        engine: Engine,
        folder: &Path,
        program: &Path,
        config: Config,
    ) -> Result<Self, String> {
        let unwritable = |error: std::io::Error| {
            format!(
                "cannot write to the cache {}: {error}; make it writable or choose another with --cache",
                folder.display()
            )
        };
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let key = key(&folder.join("artifacts.key")).map_err(unwritable)?;
        let (folder, program) = (folder.to_owned(), program.to_owned());
        Ok(Compiler { engine, folder, key, config, program })
    }

    /// Loads what was compiled from these bytes before, or compiles them. Takes seconds in the latter case.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub async fn load(&self, bytes: &[u8]) -> Result<Artifact, String> {
        let most = self.config.component_bytes;
        if bytes.len() > most {
            return Err(format!(
                "it has {} bytes and may have {most} (compile.component_bytes); leave out what it does not need, or debug information",
                bytes.len()
            ));
        }
        if is_core_module(bytes) {
            return Err("it is a core module, not a component; build it for wasm32-wasip2, for instance with: wharf build".into());
        }
        let digest = hex::encode(Sha256::digest(bytes));
        let file = self.folder.join(format!("{digest}-{}.cwasm", self.engine.compatibility()));
        let (component, lines) = match self.read(&file, &digest) {
            Some(compiled) => compiled,
            None => self.compile(bytes, &file, &digest).await?,
        };
        Ok(Artifact { component, digest, lines })
    }

    async fn compile(
        &self,
        bytes: &[u8],
        file: &Path,
        digest: &str,
    ) -> Result<(Component, Lines), String> {
        let started = std::time::Instant::now();
        let costs = self.engine.costs();
        let made = child::run(&self.program, self.config, costs, bytes).await?;
        tracing::debug!(digest, milliseconds = started.elapsed().as_millis(), "compiled");
        if let Err(error) = self.write(file, digest, &made) {
            tracing::warn!(file = %file.display(), %error, "cannot keep the compiled component; it will be compiled again next time");
        }
        let (code, lines) = child::apart(&made).ok_or("the compiler broke off")?;
        // SAFETY: a child of this process, running this very program, has just made these bytes.
        #[expect(unsafe_code, reason = "loading machine code is what compiling is for")]
        let component = unsafe { Component::deserialize(self.engine.wasmtime(), code) };
        let component =
            component.map_err(|error| format!("was compiled by another wharf: {error:#}"))?;
        Ok((component, lines))
    }

    fn read(&self, file: &Path, digest: &str) -> Option<(Component, Lines)> {
        let stored = std::fs::read(file).ok()?;
        let (tag, made) = stored.split_at_checked(TAG)?;
        if self.mac(digest, made).verify_slice(tag).is_err() {
            tracing::warn!(file = %file.display(), "a stored artifact was changed; compiling it anew");
            return None;
        }
        let (code, lines) = child::apart(made)?;
        // SAFETY: the tag proves that these are bytes which `serialize` gave this host, with this key.
        #[expect(unsafe_code, reason = "loading machine code is what a cache of it is for")]
        let component = unsafe { Component::deserialize(self.engine.wasmtime(), code) };
        Some((component.ok()?, lines))
    }

    /// Replaces the file in one step, so that a reader finds the old, the new, or none.
    fn write(&self, file: &Path, digest: &str, made: &[u8]) -> std::io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder)?;
        temporary.write_all(&self.mac(digest, made).finalize().into_bytes())?;
        temporary.write_all(made)?;
        temporary.persist(file)?;
        Ok(())
    }

    fn mac(&self, digest: &str, made: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(digest.as_bytes());
        mac.update(self.engine.compatibility().as_bytes());
        mac.update(made);
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
    temporary.as_file().sync_all()?;
    // Of two hosts that start at once on one cache, the first one's key stands; what is no key does not.
    match temporary.persist_noclobber(file) {
        Ok(_) => Ok(key),
        Err(lost) => {
            let stands = std::fs::read(file)?;
            if stands.len() == TAG {
                return Ok(stands);
            }
            lost.file.persist(file)?;
            Ok(key)
        }
    }
}

/// Whether these bytes are a core module: the same magic number as a component's, layer 0.
fn is_core_module(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x01\0\0\0")
}
