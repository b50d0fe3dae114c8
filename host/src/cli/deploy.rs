//! `wharf deploy`: a component goes online.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Body, Method, Response};
use sha2::{Digest as _, Sha256};

use super::block_on;
use super::remote::{Host, Lines, Listing, Remote, print_json};
use super::sign::{artifact, signature_file};
use crate::admin::api::{self, Online, Progress, SIGNATURE};
use crate::deploy::Step;
use crate::registry::Pointer;
use crate::tenant::manifest::Manifest;
use crate::tenant::package::Package;

#[derive(Args)]
#[command(
    after_help = "A manifest beside the component (<name>.toml or wharf-plugin.toml) is put into it, with the migrations \
beside that, unless it carries one already. FILE.wasm.minisig is sent along if it is there.

Examples:
  wharf deploy coupons.wasm --tenant acme
  wharf deploy coupons.wasm --tenant acme --percent 5 --errors-percent 0.5 --window-seconds 300 --promote"
)]
pub(super) struct Deploy {
    /// The component
    file: PathBuf,
    /// The tenant
    #[arg(long, env = "WHARF_TENANT")]
    tenant: String,
    /// The group, where the component's manifest does not say it
    #[arg(long)]
    group: Option<String>,
    #[command(flatten)]
    canary: Canary,
    /// The component's signature [default: FILE.minisig, if it is there]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct Canary {
    /// Try it on this percentage of the callers, and roll it back by itself if it does worse than it may
    #[arg(long, value_name = "NUMBER")]
    percent: Option<u8>,
    /// Percent of its answers that may be 5xx [default: 1]
    #[arg(long, value_name = "NUMBER", requires = "percent")]
    errors_percent: Option<f64>,
    /// How many times as long as the active revision's its 99th percentile may be [default: 2]
    #[arg(long, value_name = "NUMBER", requires = "percent")]
    p99_factor: Option<f64>,
    /// Answers that have to be seen before anything is decided [default: 100]
    #[arg(long, value_name = "NUMBER", requires = "percent")]
    requests: Option<u64>,
    /// Seconds that it is watched for [default: 600]
    #[arg(long, value_name = "SECONDS", requires = "percent")]
    window_seconds: Option<i64>,
    /// Promote it by itself if it has kept its bounds
    #[arg(long, requires = "percent")]
    promote: bool,
}

impl Deploy {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let component = artifact(&self.file)?;
        let signature = signature(&self.file, self.signature.as_deref())?;
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let Canary { percent, errors_percent, p99_factor, requests, window_seconds, promote } =
            self.canary;
        let host = self.remote.host()?;
        let base = base(&host, &self.tenant, self.group.as_deref(), &component).await?;
        let query = api::Deploy {
            group: self.group,
            base,
            percent,
            errors_percent,
            p99_factor,
            requests,
            window_seconds,
            promote: promote.then_some(true),
            file: name,
        };
        let bar = bar(component.len());
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&component)));
        let mut request = host
            .request(Method::POST, &["tenants", &self.tenant, "deploys"])
            .query(&query)
            .header("content-digest", digest)
            .header("content-length", component.len());
        if let Some(signature) = signature {
            request = request.header(SIGNATURE, STANDARD.encode(signature));
        }
        let answer = host.answer(request.body(body(component, &bar))).await;
        let done = match answer {
            Ok(answer) => follow(&host, answer, &bar).await,
            Err(error) => Err(error),
        };
        bar.finish_and_clear();
        let online = done?;
        if self.listing.json {
            return print_json(&online);
        }
        print(&online);
        Ok(())
    }
}

/// How often the group was changed until now, so that the host can tell whether somebody else changes it before
/// this deploy is through. `None` where it is not known here which group it is: the host says what is wrong.
async fn base(
    host: &Host,
    tenant: &str,
    named: Option<&str>,
    component: &[u8],
) -> Result<Option<i64>, String> {
    let of_manifest = || Some(Manifest::of(Package::of(component).ok()??).ok()?.group);
    let Some(group) = named.map(str::to_owned).or_else(of_manifest) else { return Ok(None) };
    let pointer: Pointer = host.get(&["tenants", tenant, "groups", &group]).await?;
    Ok(Some(pointer.changes))
}

/// A bar on a terminal, nothing elsewhere.
fn bar(bytes: usize) -> ProgressBar {
    let style = "{msg:12} {wide_bar} {bytes} of {total_bytes}";
    let bar = ProgressBar::new(bytes as u64).with_message("uploading");
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The bytes, in pieces that the bar counts when they are taken.
fn body(bytes: Vec<u8>, bar: &ProgressBar) -> Body {
    const PIECE: usize = 64 * 1024;
    let bytes = bytes::Bytes::from(bytes);
    let bar = bar.clone();
    let pieces = (0..bytes.len()).step_by(PIECE).map(move |at| {
        let piece = bytes.slice(at..bytes.len().min(at + PIECE));
        bar.inc(piece.len() as u64);
        Ok::<_, std::convert::Infallible>(piece)
    });
    Body::wrap_stream(futures_util::stream::iter(pieces))
}

/// Reads the answer's lines as they come.
async fn follow(host: &Host, answer: Response, bar: &ProgressBar) -> Result<Online, String> {
    let is_terminal = std::io::stderr().is_terminal();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let mut lines = Lines::of(host, answer);
    while let Some(line) = lines.next().await? {
        match line {
            Progress::Deployed(online) => return Ok(online),
            Progress::Error(problem) => return Err(problem.to_string()),
            Progress::Step(step) if is_terminal => bar.set_message(name(step)),
            Progress::Step(step) => eprintln!("{}", name(step)),
        }
    }
    Err("the host went away before it said what became of the deploy; look at: wharf revisions"
        .to_owned())
}

fn name(step: Step) -> String {
    let name = serde_json::to_value(step).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

fn print(online: &Online) {
    let Online { deployed, urls } = online;
    let share = deployed.percent.map(|percent| format!(" for {percent} % of the callers"));
    println!(
        "group {} of tenant {} is online as revision {}{} ({} ms)",
        deployed.group,
        deployed.tenant,
        deployed.revision,
        share.unwrap_or_default(),
        deployed.milliseconds
    );
    for url in urls {
        println!("  {url}");
    }
    for route in &deployed.routes {
        println!("  {route}");
    }
}

/// The text of a signature, if there is one.
fn signature(file: &Path, named: Option<&Path>) -> Result<Option<String>, String> {
    let usual = signature_file(file);
    let place = match named {
        Some(named) => named,
        None if usual.exists() => &usual,
        None => return Ok(None),
    };
    let text = std::fs::read_to_string(place).map_err(|error| {
        format!("cannot read the signature {}: {error}; make one with: wharf sign", place.display())
    })?;
    Ok(Some(text))
}
