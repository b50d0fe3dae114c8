//! `wharf promote`: the revision that is tried answers all callers.

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json};
use crate::admin::api::Online;

#[derive(Args)]
#[command(after_help = "Example: wharf promote coupons --tenant acme")]
pub(super) struct Promote {
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

impl Promote {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let path = ["tenants", &self.tenant, "groups", &self.group, "promote"];
        let host = self.remote.host()?;
        let online: Online = host.read(host.request(Method::POST, &path)).await?;
        if self.listing.json {
            return print_json(&online);
        }
        let deployed = online.deployed;
        println!("group {} answers with revision {}", deployed.group, deployed.revision);
        Ok(())
    }
}
