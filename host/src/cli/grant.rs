//! `wharf grant`: what a tenant's components may import.

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json};
use crate::admin::api::{GrantChange, Shown};

#[derive(Args)]
#[command(after_help = "Examples:
  wharf grant acme
  wharf grant acme database cache
  wharf grant acme http:api.example.com
  wharf grant acme cache --revoke")]
pub(super) struct Grant {
    /// The tenant
    tenant: String,
    /// Interfaces, or http:<host name> for calls to a host; without any, those that it has are listed
    grants: Vec<String>,
    /// Take them away instead
    #[arg(long, requires = "grants")]
    revoke: bool,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Grant {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let host = self.remote.host()?;
        let tenant = if self.grants.is_empty() {
            let shown: Shown = host.get(&["tenants", &self.tenant]).await?;
            shown.tenant
        } else {
            let (add, remove) =
                if self.revoke { (Vec::new(), self.grants) } else { (self.grants, Vec::new()) };
            let change = GrantChange { add, remove };
            host.send(Method::POST, &["tenants", &self.tenant, "grants"], &change).await?
        };
        if self.listing.json {
            return print_json(&tenant.grants);
        }
        println!("tenant {} may import {}", tenant.name, tenant.grants.join(", "));
        Ok(())
    }
}
