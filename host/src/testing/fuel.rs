//! `fuel.toml`: what each request cost when it was recorded.
//!
//! The engine's fuel counts the instructions that a guest runs, so it is the same on every machine. A table for
//! each file of requests, a line for each request: `"makes a coupon" = 48213`.

use std::collections::BTreeMap;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "fuel.toml";

const HEAD: &str = "# What each request costs, in units of the engine's fuel. Written by `wharf test --record`.\n\n";

/// What requests cost, by file and name.
#[derive(Debug, Default)]
pub struct Baseline(BTreeMap<String, BTreeMap<String, u64>>);

impl Baseline {
    /// Reads the file in a folder of tests; empty if there is none.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Baseline::default());
            }
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        toml::from_str(&text).map(Baseline).map_err(|error| {
            format!(
                "{} is not valid: {}; remove it, and record anew with: wharf test --record",
                file.display(),
                error.message()
            )
        })
    }

    /// What a request cost.
    pub fn of(&self, file: &str, request: &str) -> Option<u64> {
        self.0.get(file)?.get(request).copied()
    }

    /// Records what a request costs, or that it is not counted.
    pub fn set(&mut self, file: &str, request: &str, fuel: Option<u64>) {
        let requests = self.0.entry(file.to_owned()).or_default();
        match fuel {
            Some(fuel) => drop(requests.insert(request.to_owned(), fuel)),
            None => drop(requests.remove(request)),
        }
    }

    /// Forgets all requests of a file but these.
    pub fn keep<'a>(&mut self, file: &str, requests: impl Iterator<Item = &'a str> + Clone) {
        if let Some(recorded) = self.0.get_mut(file) {
            recorded.retain(|name, _| requests.clone().any(|request| request == name));
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write(&self, folder: &Path) -> Result<(), String> {
        let file = folder.join(FILE);
        let text = toml::to_string(&self.0).map_err(|error| error.to_string())?;
        std::fs::write(&file, format!("{HEAD}{text}"))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))
    }
}

/// How much more it costs now, in percent; negative where it is less.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 52 bits")]
pub fn growth(before: u64, now: u64) -> f64 {
    (now as f64 - before as f64) / (before as f64).max(1.0) * 100.0
}
