//! `wharf test`: components against the answers that were recorded of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anstyle::Style;
use clap::Args;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::build::Build;
use super::paint::{WELL, WRONG};
use crate::config::Config;
use crate::testing::{self, Outcome, Setting, Suite, Verdict, fuel};

/// Where compiled components are kept between runs.
const CACHE: &str = "target/components/tested";

#[derive(Args)]
#[command(
    after_help = "Each DIR holds tests/*.http: requests as editors' HTTP clients write them, of which

  ### makes a coupon
  # @as store 7 alice
  POST /api/coupons
  Content-Type: application/json

  {\"code\": \"SPRING\", \"percent\": 10}

is one. Each file is asked of a fresh host, with the groups of all DIRs, an empty database, a clock that stands \
still, and the same randomness every time. Answers are compared with tests/*.answers, and what they cost with \
tests/fuel.toml.

Examples:
  wharf test                     the component in this folder
  wharf test --record coupons    take over what is answered now; look at it with git diff
  wharf test coupons auth        a group together with another that it needs"
)]
pub(super) struct Test {
    /// Folders of components, with their tests
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// Record what is answered, and what it costs, in place of what was recorded
    #[arg(long)]
    record: bool,
    /// Ask only files that hold this in their name or in a request's
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How much more fuel than recorded a request may cost, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5)]
    growth: u32,
    /// What all randomness follows from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Print a JSON object for each request, a line each
    #[arg(long)]
    json: bool,
    /// Ask nothing: serve one fresh host to tests in another language, such as those of wharf_kit::harness, and
    /// take commands from standard input until it ends
    #[arg(long, conflicts_with_all = ["record", "filter", "growth", "json"])]
    serve: bool,
}

impl Test {
    pub(super) fn run(self) -> Result<(), String> {
        if self.serve {
            return self.serve();
        }
        let suites: Vec<Suite> = self
            .folders
            .iter()
            .map(|folder| Suite::read(folder, self.filter.as_deref()))
            .collect::<Result<_, _>>()?;
        if suites.iter().all(Suite::is_empty) {
            return Err(self.nothing());
        }
        let components = self.build()?;
        let setting = self.setting(components.path());
        let mut tally = Tally { file: None, is_json: self.json, asked: 0, good: 0 };
        runtime()?.block_on(async {
            for suite in &suites {
                suite.run(&setting, &mut |outcome| tally.tell(outcome)).await?;
            }
            Ok::<_, String>(())
        })?;
        tally.end()
    }

    /// The components of all folders, in one that is removed with the value.
    fn build(&self) -> Result<TempDir, String> {
        let components = tempfile::tempdir()
            .map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        Build::into(self.folders.clone(), components.path()).run()?;
        Ok(components)
    }

    fn setting(&self, components: &Path) -> Setting {
        Setting {
            components: components.to_owned(),
            cache: PathBuf::from(CACHE),
            program: Config::default().program,
            seed: self.seed,
            growth: self.growth,
            is_recording: self.record,
        }
    }

    fn serve(&self) -> Result<(), String> {
        let components = self.build()?;
        let setting = self.setting(components.path());
        let tests = self.folders[0].join(testing::FOLDER);
        runtime()?.block_on(testing::serve(&setting, &tests))
    }

    fn nothing(&self) -> String {
        let folders: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.join(testing::FOLDER).display().to_string())
            .collect();
        match &self.filter {
            Some(filter) => format!(
                "no request in {} has {filter:?} in its name or its file's",
                folders.join(", ")
            ),
            None => format!(
                "there is no .http file in {}; write one with a request such as: GET /path (see wharf test --help)",
                folders.join(", ")
            ),
        }
    }
}

fn runtime() -> Result<Runtime, String> {
    Runtime::new().map_err(|error| format!("cannot start the runtime: {error}"))
}

/// Prints what comes of requests, and counts it.
struct Tally {
    file: Option<String>,
    is_json: bool,
    asked: usize,
    good: usize,
}

impl Tally {
    fn tell(&mut self, outcome: &Outcome) {
        self.asked += 1;
        self.good += usize::from(outcome.is_good());
        let printed = if self.is_json { print_json(outcome) } else { self.print(outcome) };
        // Whoever closes the pipe has seen enough.
        let _ = printed;
    }

    fn print(&mut self, outcome: &Outcome) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.file.as_ref() != Some(&outcome.file) {
            writeln!(out, "{}.http", outcome.file)?;
            self.file = Some(outcome.file.clone());
        }
        let style = if outcome.is_good() { WELL } else { WRONG };
        let Outcome { name, .. } = outcome;
        writeln!(
            out,
            "  {style}{:<8}{style:#} {name:<44} {}",
            word(&outcome.verdict),
            cost(outcome)
        )?;
        if let Verdict::Differs(difference) = &outcome.verdict {
            for line in difference.lines() {
                let style = match line.as_bytes().first() {
                    Some(b'+') => WELL,
                    Some(b'-') => WRONG,
                    _ => Style::new(),
                };
                writeln!(out, "    {style}{line}{style:#}")?;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), String> {
        let Tally { asked, good, .. } = self;
        if good < asked {
            return Err(format!(
                "{} of {asked} requests are not as recorded; mend the component, or take over what it does now with: wharf test --record",
                asked - good
            ));
        }
        if !self.is_json {
            let requests = if asked == 1 { "request" } else { "requests" };
            println!("{asked} {requests}, all as recorded");
        }
        Ok(())
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "ok",
        Verdict::Recorded => "recorded",
        Verdict::New => "new",
        Verdict::Differs(_) => "differs",
        Verdict::Dearer => "dearer",
    }
}

/// What a request has cost, and by how much that is more or less than before.
fn cost(outcome: &Outcome) -> String {
    match (outcome.fuel, outcome.before) {
        (None, _) => String::new(),
        (Some(fuel), Some(before)) if fuel != before => {
            format!("{fuel} fuel ({:+.1} %)", fuel::growth(before, fuel))
        }
        (Some(fuel), _) => format!("{fuel} fuel"),
    }
}

fn print_json(outcome: &Outcome) -> std::io::Result<()> {
    let mut line = json!({
        "file": outcome.file,
        "request": outcome.name,
        "verdict": word(&outcome.verdict),
        "fuel": outcome.fuel,
        "fuel_recorded": outcome.before,
    });
    if let Verdict::Differs(difference) = &outcome.verdict {
        line["difference"] = json!(difference);
    }
    writeln!(std::io::stdout().lock(), "{line}")
}
