//! `wharf remove`: a group goes offline.

use clap::Args;

use super::block_on;
use super::remote::Remote;

#[derive(Args)]
#[command(after_help = "Example: wharf remove coupons --tenant acme --yes")]
pub(super) struct Remove {
    /// The group
    group: String,
    /// The tenant
    #[arg(long, env = "WHARF_TENANT")]
    tenant: String,
    /// Really remove it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Remove {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let Remove { group, tenant, yes, remote } = self;
        if !yes {
            return Err(format!(
                "removing group {group} takes its routes offline at once; say so with: wharf remove {group} --tenant {tenant} --yes"
            ));
        }
        let path = ["tenants", &tenant, "groups", &group];
        remote.host()?.delete(&path).await?;
        println!("group {group} of tenant {tenant} is offline; its revisions are kept");
        Ok(())
    }
}
