//! `wharf revisions`: what was deployed of a group, and what became of it.

use clap::Args;

use super::block_on;
use super::remote::{Listing, Remote, print_json, print_table};
use crate::admin::api;
use crate::clock::rfc3339;
use crate::registry::Pointer;

/// Events that are printed.
const EVENTS: usize = 20;

#[derive(Args)]
#[command(after_help = "Example: wharf revisions coupons --tenant acme")]
pub(super) struct Revisions {
    /// The group
    group: String,
    /// The tenant
    #[arg(long, env = "WHARF_TENANT")]
    tenant: String,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Revisions {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let path = ["tenants", &self.tenant, "groups", &self.group, "revisions"];
        let found: api::Revisions = self.remote.host()?.get(&path).await?;
        if self.listing.json {
            return print_json(&found);
        }
        let api::Revisions { pointer, revisions, history } = found;
        let row = |revision: crate::registry::Revision| {
            [
                revision.number.to_string(),
                standing(&pointer, revision.number),
                rfc3339(revision.created_at),
                revision.digest.chars().take(12).collect(),
                revision.bytes.to_string(),
                revision.who,
                revision.source,
            ]
        };
        let heads = ["REVISION", "", "DEPLOYED", "DIGEST", "BYTES", "BY", "FROM"];
        print_table(heads, revisions.into_iter().map(row).collect());
        println!();
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        let rows = history.into_iter().take(EVENTS).map(|event| {
            let (from, to) = (number(event.from), number(event.to));
            let moved = match (from, to) {
                (Some(from), Some(to)) => format!("{from} → {to}"),
                (from, to) => from.or(to).unwrap_or_default(),
            };
            [rfc3339(event.at), event.what, moved, event.who, event.why]
        });
        print_table(["WHEN", "WHAT", "REVISION", "BY", "WHY"], rows.collect());
        Ok(())
    }
}

fn standing(pointer: &Pointer, number: i64) -> String {
    match &pointer.canary {
        _ if pointer.active == Some(number) => "active".to_owned(),
        Some(canary) if canary.revision == number => format!("canary {} %", canary.percent),
        _ => String::new(),
    }
}
