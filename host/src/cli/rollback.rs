//! `wharf rollback`: an earlier revision answers again.

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json};
use crate::admin::api::{self, Online};

#[derive(Args)]
#[command(after_help = "Example: wharf rollback coupons --tenant acme --to 6")]
pub(super) struct Rollback {
    /// The group
    group: String,
    /// The tenant
    #[arg(long, env = "WHARF_TENANT")]
    tenant: String,
    /// The revision's number [default: the one before; where one is tried, its trial ends]
    #[arg(long, value_name = "NUMBER")]
    to: Option<i64>,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Rollback {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let path = ["tenants", &self.tenant, "groups", &self.group, "rollback"];
        let host = self.remote.host()?;
        let body = api::Rollback { to: self.to };
        let online: Online = host.send(Method::POST, &path, &body).await?;
        if self.listing.json {
            return print_json(&online);
        }
        let deployed = online.deployed;
        println!(
            "group {} answers with revision {} ({} ms)",
            deployed.group, deployed.revision, deployed.milliseconds
        );
        Ok(())
    }
}
