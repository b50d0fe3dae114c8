//! `wharf tenant`: who has a place on the host.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json, print_table};
use crate::admin::api::{NewTenant, Shown, TenantChange};
use crate::clock::rfc3339;
use crate::registry::Tenant;

#[derive(Args)]
#[command(after_help = "Example: wharf tenant create acme && wharf token create acme")]
pub(super) struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a tenant, with data of its own and nobody else's.
    Create(Create),
    /// List all tenants.
    List(List),
    /// Show a tenant and its groups.
    Show(Show),
    /// Change a tenant; what is not named stays as it is.
    Set(Set),
    /// Delete a tenant with its revisions, settings and tokens.
    Delete(Delete),
}

/// `wharf tenant create`
#[derive(Args)]
#[command(
    after_help = "Example: wharf tenant create acme --host-name shop.acme.example --grant database --quota groups=5"
)]
struct Create {
    /// Small letters, digits and dashes, beginning with a letter
    name: String,
    /// Serve the built-in groups, with users and data of its own
    #[arg(long)]
    inherit: bool,
    /// A host name of its own, such as shop.example.com or *.example.com [default: <name>.localhost]
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,
    /// An interface that it may import, or http:<host name> for calls to a host
    #[arg(long, value_name = "GRANT")]
    grant: Vec<String>,
    #[command(flatten)]
    quotas: Quotas,
    /// The minisign public key that its components have to be signed with
    #[arg(long, value_name = "KEY")]
    signer: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
struct Quotas {
    /// A quota: concurrency, groups, revisions, artifact_bytes, deploys_per_hour or settings_bytes
    #[arg(long, value_name = "QUOTA=NUMBER", value_parser = quota)]
    quota: Vec<(String, usize)>,
}

impl Quotas {
    fn map(self) -> BTreeMap<String, usize> {
        self.quota.into_iter().collect()
    }
}

/// `wharf tenant list`
#[derive(Args)]
#[command(after_help = "Example: wharf tenant list --json")]
struct List {
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

/// `wharf tenant show`
#[derive(Args)]
#[command(after_help = "Example: wharf tenant show acme")]
struct Show {
    /// The tenant
    name: String,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

/// `wharf tenant set`
#[derive(Args)]
#[command(after_help = "Example: wharf tenant set acme --quota artifact_bytes=209715200")]
struct Set {
    /// The tenant
    name: String,
    /// Whether it serves the built-in groups
    #[arg(long, value_name = "BOOL")]
    inherit: Option<bool>,
    /// Its host names, in place of those that it has
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,
    /// Its grants, in place of those that it has; see also `wharf grant`
    #[arg(long, value_name = "GRANT")]
    grant: Vec<String>,
    #[command(flatten)]
    quotas: Quotas,
    /// The minisign public key that its components have to be signed with; empty for none
    #[arg(long, value_name = "KEY")]
    signer: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// `wharf tenant delete`
#[derive(Args)]
#[command(after_help = "Example: wharf tenant delete acme --yes")]
struct Delete {
    /// The tenant
    name: String,
    /// Really delete it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self) -> Result<(), String> {
        match self.what {
            What::Create(create) => block_on(create.run()),
            What::List(list) => block_on(list.run()),
            What::Show(show) => block_on(show.run()),
            What::Set(set) => block_on(set.run()),
            What::Delete(delete) => block_on(delete.run()),
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), String> {
        let new = NewTenant {
            name: self.name,
            inherits: self.inherit,
            hosts: self.host_name,
            grants: self.grant,
            quotas: self.quotas.map(),
            signer: self.signer,
        };
        let host = self.remote.host()?;
        let tenant: Tenant = host.send(Method::POST, &["tenants"], &new).await?;
        println!("tenant {} answers at {}", tenant.name, tenant.hosts.join(", "));
        println!("next: wharf token create {}", tenant.name);
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), String> {
        let tenants: Vec<Tenant> = self.remote.host()?.get(&["tenants"]).await?;
        if self.listing.json {
            return print_json(&tenants);
        }
        let row = |tenant: Tenant| [tenant.name, tenant.hosts.join(", "), tenant.grants.join(", ")];
        print_table(["TENANT", "HOST NAMES", "GRANTS"], tenants.into_iter().map(row).collect());
        Ok(())
    }
}

impl Show {
    async fn run(self) -> Result<(), String> {
        let shown: Shown = self.remote.host()?.get(&["tenants", &self.name]).await?;
        if self.listing.json {
            return print_json(&shown);
        }
        let Shown { tenant, groups } = shown;
        println!("tenant      {}", tenant.name);
        println!("created     {}", rfc3339(tenant.created_at));
        println!("host names  {}", tenant.hosts.join(", "));
        println!("grants      {}", tenant.grants.join(", "));
        println!("built-in    {}", if tenant.inherits { "inherited" } else { "none" });
        println!("signer      {}", tenant.signer.as_deref().unwrap_or("none"));
        let quotas = serde_json::to_value(tenant.quotas).unwrap_or_default();
        for (name, value) in quotas.as_object().into_iter().flatten() {
            println!("quota       {name} = {value}");
        }
        if groups.is_empty() {
            println!("no groups; deploy one with: wharf deploy FILE.wasm --tenant {}", tenant.name);
            return Ok(());
        }
        let rows = groups.into_iter().map(|pointer| {
            let active = pointer.active.map(|number| number.to_string()).unwrap_or_default();
            let canary = pointer.canary.map(|it| format!("{} ({} %)", it.revision, it.percent));
            [pointer.group, active, canary.unwrap_or_default()]
        });
        print_table(["GROUP", "REVISION", "CANARY"], rows.collect());
        Ok(())
    }
}

impl Set {
    async fn run(self) -> Result<(), String> {
        let unless_empty = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
        let change = TenantChange {
            inherits: self.inherit,
            hosts: unless_empty(self.host_name),
            grants: unless_empty(self.grant),
            quotas: self.quotas.map(),
            signer: self.signer,
        };
        let host = self.remote.host()?;
        let tenant: Tenant = host.send(Method::PATCH, &["tenants", &self.name], &change).await?;
        println!("tenant {} changed", tenant.name);
        Ok(())
    }
}

impl Delete {
    async fn run(self) -> Result<(), String> {
        if !self.yes {
            return Err(format!(
                "deleting tenant {0} ends its tokens and forgets its revisions and settings; say so with: wharf tenant delete {0} --yes",
                self.name
            ));
        }
        self.remote.host()?.delete(&["tenants", &self.name]).await?;
        println!("tenant {} deleted", self.name);
        Ok(())
    }
}

fn quota(text: &str) -> Result<(String, usize), String> {
    let (name, number) = text.split_once('=').ok_or("write <quota>=<number>")?;
    let number = number.parse().map_err(|_| format!("{number:?} is no number"))?;
    Ok((name.to_owned(), number))
}
