//! Tests of components: requests that are written down, asked of a real host in this process, and answers
//! that were recorded.
//!
//! Each file of requests gets a host of its own, on a fresh database, with a clock that stands still and
//! randomness that is the same each time. So the same component gives the same answers, byte by byte, at the
//! same cost, and whatever differs from the record was changed by somebody.
//!
//! A component's `tests/` holds `NAME.http` (see [`script`]), `NAME.answers` (see [`record`]) and `fuel.toml`
//! (see [`fuel`]); the latter two are written by `wharf test --record`.

pub mod fuel;
pub mod record;
pub mod script;
mod serve;
mod stage;

use std::path::{Path, PathBuf};

use fuel::Baseline;
use record::Record;
use script::{Script, Step};
use stage::Stage;

pub use serve::serve;

/// The folder of a component's tests, beside its manifest.
pub const FOLDER: &str = "tests";

/// What all tests of a run share.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The folder with the components, one `<group>.wasm` each.
    pub components: PathBuf,
    /// The folder for compiled components.
    pub cache: PathBuf,
    /// The wharf program that compiles components in a process of its own.
    pub program: PathBuf,
    /// What the random bytes follow from.
    pub seed: u64,
    /// How much more than before a request may cost, in percent.
    pub growth: u32,
    /// Whether what is seen is recorded, in place of what was.
    pub is_recording: bool,
}

/// The tests of one component.
pub struct Suite {
    folder: PathBuf,
    scripts: Vec<Script>,
}

/// What came of one request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The file, without its folder and extension.
    pub file: String,
    /// The request's name.
    pub name: String,
    /// What it has cost, in units of the engine's fuel; `None` for an answer of the host's own, or a streamed one.
    pub fuel: Option<u64>,
    /// What it cost when it was recorded.
    pub before: Option<u64>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as it was recorded.
    Same,
    /// It was recorded now; there was nothing, or something else.
    Recorded,
    /// Nothing was recorded for it.
    New,
    /// The answer differs: line by line, as `diff -u` prints it.
    Differs(String),
    /// The answer is the same, and costs more than it may.
    Dearer,
}

impl Outcome {
    /// Whether it is what was recorded, or is so by now.
    pub fn is_good(&self) -> bool {
        matches!(self.verdict, Verdict::Same | Verdict::Recorded)
    }
}

impl Suite {
    /// Reads the tests of the component in a folder; those whose file or name holds `filter`.
    ///
    /// # Errors
    /// A sentence that names the file and the line, and what is wrong.
    pub fn read(component: &Path, filter: Option<&str>) -> Result<Self, String> {
        let folder = component.join(FOLDER);
        let mut scripts = Vec::new();
        for file in files(&folder)? {
            let script = Script::read(&file)?;
            let is_wanted = |wanted: &str| {
                script.name.contains(wanted)
                    || script.steps.iter().any(|step| step.name.contains(wanted))
            };
            if filter.is_none_or(is_wanted) {
                scripts.push(script);
            }
        }
        Ok(Suite { folder, scripts })
    }

    /// Whether it has no requests.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Asks everything, and tells what came of each request as it is known.
    ///
    /// # Errors
    /// A sentence that names what hinders: a component that cannot be served, a record that cannot be read.
    pub async fn run(
        &self,
        setting: &Setting,
        tell: &mut dyn FnMut(&Outcome),
    ) -> Result<(), String> {
        let mut baseline = Baseline::read(&self.folder)?;
        for script in &self.scripts {
            let mut record = Record::read(&self.folder, &script.name)?;
            let stage = Stage::set(setting, &self.folder).await?;
            for step in &script.steps {
                let seen = stage.ask(step).await?;
                let outcome = judge(setting, script, step, &seen, (&mut record, &mut baseline));
                tell(&outcome);
            }
            stage.clear().await;
            if setting.is_recording {
                record.keep(script.steps.iter().map(|step| step.name.as_str()));
                baseline.keep(&script.name, script.steps.iter().map(|step| step.name.as_str()));
                record.write(&self.folder, &script.name)?;
            }
        }
        if setting.is_recording { baseline.write(&self.folder) } else { Ok(()) }
    }
}

/// Compares what was seen with what was recorded, and records it where that is asked for.
fn judge(
    setting: &Setting,
    script: &Script,
    step: &Step,
    seen: &stage::Seen,
    (record, baseline): (&mut Record, &mut Baseline),
) -> Outcome {
    let before = baseline.of(&script.name, &step.name);
    let recorded = record.of(&step.name);
    let is_dearer = before
        .zip(seen.fuel)
        .is_some_and(|(before, now)| fuel::growth(before, now) > f64::from(setting.growth));
    let mut verdict = match recorded {
        None => Verdict::New,
        Some(recorded) if recorded != seen.answer => {
            Verdict::Differs(record::difference(recorded, &seen.answer))
        }
        Some(_) if is_dearer => Verdict::Dearer,
        Some(_) => Verdict::Same,
    };
    if setting.is_recording {
        if verdict != Verdict::Same {
            verdict = Verdict::Recorded;
        }
        record.set(&step.name, seen.answer.clone());
        baseline.set(&script.name, &step.name, seen.fuel);
    }
    let (file, name) = (script.name.clone(), step.name.clone());
    Outcome { file, name, fuel: seen.fuel, before, verdict }
}

/// The files of requests in a folder, by name; none if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == script::EXTENSION) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
