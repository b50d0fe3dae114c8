//! `wharf grant`: what a tenant's components may import.

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::Remote;
use crate::admin::api::GrantChange;
use crate::registry::Tenant;

#[derive(Args)]
#[command(after_help = "Examples:
  wharf grant acme database cache
  wharf grant acme http:api.example.com
  wharf grant acme cache --revoke")]
pub(super) struct Grant {
    /// The tenant
    tenant: String,
    /// Interfaces, or http:<host name> for calls to a host
    #[arg(required = true)]
    grants: Vec<String>,
    /// Take them away instead
    #[arg(long)]
    revoke: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Grant {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let (add, remove) =
            if self.revoke { (Vec::new(), self.grants) } else { (self.grants, Vec::new()) };
        let change = GrantChange { add, remove };
        let host = self.remote.host()?;
        let path = ["tenants", &self.tenant, "grants"];
        let tenant: Tenant = host.send(Method::POST, &path, &change).await?;
        println!("tenant {} may import {}", tenant.name, tenant.grants.join(", "));
        Ok(())
    }
}
