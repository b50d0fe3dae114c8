//! `wharf logs`: what guests have logged, and why requests failed.

use std::io::Write;

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::paint::{self, ASIDE, in_style};
use super::remote::{Lines, Listing, Remote};
use crate::admin::api::{self, LogLine, Logged};
use crate::clock::rfc3339_milliseconds;
use crate::logs::{Blame, Level};
use crate::plain;
use crate::tenant::DEFAULT;

#[derive(Args)]
#[command(
    after_help = "A line says when it was written, how much it matters, which group and revision it is about and in which request \
it was written: answers carry that id in x-request-id. Where a request failed, it says whose fault that is: guest, \
host or client. A guest's backtrace names files and lines if it was built with `wharf build --debug`.

What is shown is what this host has in its memory (see [logs] in wharf.example.toml). With --json, each line is an \
object of its own.

Examples:
  wharf logs --follow
  wharf logs --tenant acme --group coupons --level error --last 20
  wharf logs --json | jq 'select(.blame == \"guest\") | .backtrace[0]'"
)]
pub(super) struct Logs {
    /// The tenant
    #[arg(long, env = "WHARF_TENANT", default_value = DEFAULT)]
    tenant: String,
    /// Lines about one group alone
    #[arg(long)]
    group: Option<String>,
    /// Lines that matter so much at least: debug, info, warn or error [default: all]
    #[arg(long)]
    level: Option<Level>,
    /// The last lines alone of those that are there already
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
    /// Go on with the lines that come
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Logs {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let Logs { tenant, group, level, last, follow, listing, remote } = self;
        let host = remote.host()?;
        let request = host.request(Method::GET, &["tenants", &tenant, "logs"]);
        let query = api::Logs { group, level, last, follow };
        let mut lines = Lines::of(&host, host.answer(request.query(&query)).await?);
        while let Some(logged) = lines.next::<Logged>().await? {
            print(&logged, listing.json).map_err(|error| format!("cannot print: {error}"))?;
        }
        if !follow {
            return Ok(());
        }
        Err("the host tells no more: it has stopped, the tenant was deleted, or the token has ended; run the command again".to_owned())
    }
}

fn print(logged: &Logged, as_json: bool) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    match logged {
        _ if as_json => writeln!(out, "{}", plain::json(&serde_json::to_string(logged)?)),
        Logged::Line(line) => print_line(&mut out, line),
        Logged::Missed { missed } => {
            writeln!(out, "{}", in_style(ASIDE, format_args!("… {missed} lines were missed")))
        }
    }
}

fn print_line(out: &mut impl Write, line: &LogLine) -> std::io::Result<()> {
    let LogLine { at, level, group, revision, request, blame, message, backtrace, .. } = line;
    let about = format!("{group}@{revision} {request}");
    writeln!(
        out,
        "{} {} {} {}{}",
        in_style(ASIDE, rfc3339_milliseconds(*at)),
        in_style(paint::level(*level), format_args!("{:5}", level.name().to_uppercase())),
        in_style(ASIDE, plain::line(&about)),
        blame.map(|blame| format!("[{}] ", of(blame))).unwrap_or_default(),
        plain::line(message)
    )?;
    for frame in backtrace {
        writeln!(out, "    at {}", plain::line(&frame.to_string()))?;
    }
    out.flush()
}

/// Whose fault it is.
fn of(blame: Blame) -> String {
    format!("blame: {}", blame.name())
}
