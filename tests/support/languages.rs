//! The same small group in several languages (`tests/guests/coupons`), built once for each state of its source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{guests, tools};

/// A language that the group is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    Rust,
    JavaScript,
    Python,
    C,
}

impl Language {
    /// The name of its folder.
    pub fn folder(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::JavaScript => "js",
            Language::Python => "python",
            Language::C => "c",
        }
    }

    /// Where the group's source in this language lies.
    pub fn source(self) -> PathBuf {
        guests::root().join("tests/guests/coupons").join(self.folder())
    }

    /// The component; `None`, loudly, where it is not built yet and its toolchain is missing.
    pub fn component(self) -> Option<PathBuf> {
        static BUILT: Mutex<BTreeMap<Language, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        built.entry(self).or_insert_with(|| self.build()).clone()
    }

    fn build(self) -> Option<PathBuf> {
        // Cargo knows by itself what has changed.
        if self == Language::Rust {
            return Some(guests::guest("coupons/rust").join("coupons.wasm"));
        }
        let place =
            guests::root().join(format!("target/guests/{}-{}.wasm", self.folder(), self.hash()));
        if place.is_file() {
            return Some(place);
        }
        if !self.tool().is_file() {
            tools::skip(&format!("{} (.ci/languages installs it)", self.tool().display()));
            return None;
        }
        let manifest = std::fs::read_to_string(self.source().join("wharf-plugin.toml"));
        let manifest: toml::Table =
            manifest.expect("a manifest").parse().expect("the manifest is TOML");
        let text = |key: &str| manifest["build"][key].as_str().expect("text").to_owned();
        let built = Command::new("sh")
            .args(["-c", &text("command")])
            .current_dir(self.source())
            .env("PATH", self.path())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{self:?}: {said}");
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("the folder is writable");
        // Beside its place first, so that nobody finds half of it.
        let half = place.with_extension("half");
        std::fs::copy(self.source().join(text("output")), &half).expect("the component was built");
        std::fs::rename(&half, &place).expect("the folder is writable");
        Some(place)
    }

    /// The program without which it is not built.
    fn tool(self) -> PathBuf {
        let tools = guests::root().join("target/languages");
        match self {
            Language::Rust => guests::program(),
            Language::JavaScript => tools.join("js/node_modules/.bin/componentize-js"),
            Language::Python => tools.join("python/bin/componentize-py"),
            Language::C => tools.join("c/bin/wit-bindgen"),
        }
    }

    /// Where programs are looked for: first among those that `.ci/languages` has installed.
    fn path(self) -> OsString {
        let tools = self.tool().parent().expect("a folder").to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(tools).chain(std::env::split_paths(&path));
        std::env::join_paths(folders).expect("paths without colons")
    }

    /// Changes with everything that the component is made of.
    fn hash(self) -> String {
        let root = guests::root();
        let mut files = Vec::new();
        let wits = [root.join("wit"), root.join("tests/guests/coupons/wit")];
        for folder in wits.iter().chain([&self.source()]) {
            files.extend(files_of(folder));
        }
        files.push(root.join(".ci/languages"));
        files.sort();
        let mut hash = Sha256::new();
        for file in files {
            hash.update(
                file.strip_prefix(&root).expect("a path below").as_os_str().as_encoded_bytes(),
            );
            hash.update(std::fs::read(&file).expect("a file"));
        }
        hex::encode(hash.finalize())[..16].to_owned()
    }
}

/// The files that lie in a folder itself: what is built and installed lies in folders of its own.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
}
