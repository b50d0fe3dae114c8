//! `wharf import`: users of the original systems move in.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Place, block_on, open_tables, realm_parser};
use crate::clock::Clock;
use crate::users::{self, Options, Realm, Refusal, Zone};

/// Refused lines that are shown; the report has them all.
const SHOWN: u64 = 20;

/// The first line of a report.
const REPORT_HEADER: [&str; 2] = ["line", "reason"];

#[derive(Args)]
#[command(after_help = "Example: wharf import users --realm store users.csv")]
pub(super) struct Import {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Take users in from a CSV file, with the password hashes that they have.
    ///
    /// The first line names the columns, in any order. Empty fields, NULL and \N stand for nothing. argon2, bcrypt and md5 hashes are taken; the latter two are
    /// replaced at the next sign-in. Users who are there already, with the same username, e-mail address and phone, are
    /// left as they are: it is safe to run the same import twice. A host may be running on the same database.
    Users(Box<Users>),
}

/// `wharf import users`
#[derive(Args)]
#[command(
    after_help = "Example: wharf import users --realm store --report refused.csv users.csv\n\nExit codes: 0 all users are in, 1 lines were refused or the import stopped, 2 it was called wrongly."
)]
struct Users {
    /// The realm that the users belong to
    #[arg(long, value_parser = realm_parser())]
    realm: &'static Realm,
    /// The file; `-` for standard input
    file: PathBuf,
    /// Where to write all refused lines, as CSV with the columns line and reason
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Lines that are taken in together or not at all
    #[arg(long, value_name = "LINES", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// The zone of dates like 2019-05-01 12:00:00: a name, or an offset as in +08:00 [default: the realm's]
    #[arg(long)]
    zone: Option<Zone>,
    /// Pass columns over that the realm does not have
    #[arg(long)]
    ignore_unknown: bool,
    #[command(flatten)]
    place: Place,
}

impl Import {
    pub(super) fn run(self) -> Result<(), String> {
        let What::Users(users) = self.what;
        block_on(users.run())
    }
}

impl Users {
    async fn run(self) -> Result<(), String> {
        let (file, bar) = open(&self.file)?;
        let config = self.place.config()?;
        let database = open_tables(&config).await?;
        let of_realm = config.realms.get(self.realm.name).and_then(|realm| realm.zone.as_deref());
        let zone = match self.zone {
            Some(zone) => zone,
            None => of_realm.unwrap_or("UTC").parse()?,
        };
        let options = Options {
            zone,
            ignore_unknown: self.ignore_unknown,
            batch: self.batch as usize,
            now: Clock::system().now(),
        };
        let begun = users::Import::begin(database.clone(), self.realm, file, options).await;
        let mut import =
            begun.map_err(|error| format!("cannot import {}: {error}", self.file.display()))?;
        // Made only now: whoever mixes up the two files must not lose the one with the users.
        let mut refusals = Refusals::new(self.report.as_deref(), &self.file)?;
        let (mut added, mut there) = (0, 0);
        while let Some(batch) = import.next_batch().await? {
            (added, there) = (added + batch.added, there + batch.there);
            bar.suspend(|| refusals.note(&batch.refused))?;
            bar.set_position(batch.bytes);
            bar.set_message(format!(
                "{added} added, {there} there already, {} refused",
                refusals.count
            ));
        }
        bar.finish_and_clear();
        database.close().await;
        println!("{added} added, {there} there already, {} refused", refusals.count);
        refusals.verdict()
    }
}

/// The file, and a bar as long as it; a terminal shows it, nothing else does.
fn open(path: &Path) -> Result<(Box<dyn Read>, ProgressBar), String> {
    if path == Path::new("-") {
        let style = style("{spinner} {bytes} {binary_bytes_per_sec} {msg}");
        return Ok((Box::new(std::io::stdin().lock()), ProgressBar::no_length().with_style(style)));
    }
    let cannot = |error| format!("cannot read {}: {error}", path.display());
    let file = File::open(path).map_err(cannot)?;
    let bytes = file.metadata().map_err(cannot)?.len();
    let style = style("{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}");
    Ok((Box::new(file), ProgressBar::new(bytes).with_style(style)))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a constant template")
}

/// The refused lines: all are counted, the first are shown, and a report has them all.
struct Refusals {
    count: u64,
    report: Option<(PathBuf, csv::Writer<File>)>,
}

impl Refusals {
    fn new(report: Option<&Path>, users: &Path) -> Result<Self, String> {
        let report = report.map(|path| Ok((path.to_owned(), make_report(path, users)?)));
        Ok(Refusals { count: 0, report: report.transpose().map_err(|error: String| error)? })
    }

    fn note(&mut self, refused: &[Refusal]) -> Result<(), String> {
        for Refusal { line, reason } in refused {
            self.count += 1;
            if self.count <= SHOWN {
                eprintln!("line {line}: {reason}");
            }
            if let Some((path, report)) = &mut self.report {
                let written = report.write_record([&line.to_string(), reason]);
                written.map_err(|error| unwritable(path, &error))?;
            }
        }
        if let Some((path, report)) = &mut self.report {
            report.flush().map_err(|error| unwritable(path, &error))?;
        }
        Ok(())
    }

    fn verdict(self) -> Result<(), String> {
        if self.count == 0 {
            return Ok(());
        }
        let lines =
            if self.count == 1 { "1 line was" } else { &format!("{} lines were", self.count) };
        Err(match self.report {
            Some((path, _)) => format!("{lines} refused; {} says why", path.display()),
            None if self.count <= SHOWN => format!("{lines} refused, for the reasons above"),
            None => {
                format!("{lines} refused; run it again with --report FILE to read why for each")
            }
        })
    }
}

/// Makes the report, in place of an older one, but of no other file.
fn make_report(path: &Path, users: &Path) -> Result<csv::Writer<File>, String> {
    let header = REPORT_HEADER.join(",");
    let mut begin = vec![0; header.len()];
    let there = File::open(path).and_then(|mut file| file.read(&mut begin));
    let same = path.canonicalize().ok().zip(users.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same || there.is_ok_and(|length| length > 0 && begin[..length] != *header.as_bytes()) {
        return Err(format!(
            "{} is there and is no report of an import; choose another file with --report",
            path.display()
        ));
    }
    let file = File::create(path).map_err(|error| unwritable(path, &error))?;
    let mut report = csv::Writer::from_writer(file);
    report.write_record(REPORT_HEADER).map_err(|error| unwritable(path, &error))?;
    Ok(report)
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("cannot write the report {}: {error}", path.display())
}
