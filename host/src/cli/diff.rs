//! `wharf diff`: how two revisions of a group differ.

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json};
use crate::admin::api::{Changed, Difference};

#[derive(Args)]
#[command(after_help = "Example: wharf diff coupons 6 7 --tenant acme")]
pub(super) struct Diff {
    /// The group
    group: String,
    /// The number of a revision
    from: i64,
    /// The number of another one
    to: i64,
    /// The tenant
    #[arg(long, env = "WHARF_TENANT")]
    tenant: String,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Diff {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let host = self.remote.host()?;
        let path = ["tenants", &self.tenant, "groups", &self.group, "diff"];
        let request = host.request(Method::GET, &path);
        let pair = [("from", self.from), ("to", self.to)];
        let difference: Difference = host.read(request.query(&pair)).await?;
        if self.listing.json {
            return print_json(&difference);
        }
        let lines = lines(&difference);
        if lines.is_empty() {
            println!("revisions {} and {} are the same", self.from, self.to);
        }
        for line in lines {
            println!("{line}");
        }
        Ok(())
    }
}

/// A line for each difference. Of settings only the names are told.
fn lines(difference: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    if difference.component_differs {
        let [from, to] = difference.bytes;
        lines.push(format!("~ component: {from} → {to} bytes ({:+})", to.saturating_sub(from)));
    }
    let kinds: [(&str, &Changed); 4] = [
        ("route", &difference.routes),
        ("import", &difference.imports),
        ("grant", &difference.grants),
        ("setting", &difference.settings),
    ];
    for (kind, changed) in kinds {
        lines.extend(changed.removed.iter().map(|item| format!("- {kind} {item}")));
        lines.extend(changed.added.iter().map(|item| format!("+ {kind} {item}")));
    }
    lines
        .extend(difference.settings_changed.iter().map(|name| format!("~ setting {name} changed")));
    lines
}
