//! `wharf setting`: what a tenant's group is told by `settings.get`.

use std::collections::BTreeMap;

use clap::Args;
use reqwest::Method;

use super::block_on;
use super::remote::{Host, Listing, Remote, print_json, print_table, read_line};
use crate::admin::api::{NewSetting, SettingsChange, SettingsChanged};
use crate::registry;

#[derive(Args)]
#[command(after_help = "A change makes a new revision of the group, if it was deployed before.

Examples:
  wharf setting acme coupons
  wharf setting acme coupons most_uses=3
  wharf setting acme coupons --secret api_key < key.txt
  wharf setting acme coupons --unset most_uses")]
pub(super) struct Setting {
    /// The tenant
    tenant: String,
    /// The group
    group: String,
    /// Settings that everybody may see who may look at the tenant
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// A setting that is stored encrypted and shown to nobody; its value is the first line of standard input
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// Take a setting away
    #[arg(long, value_name = "NAME")]
    unset: Vec<String>,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

impl Setting {
    pub(super) fn run(self) -> Result<(), String> {
        block_on(self.ask())
    }

    async fn ask(self) -> Result<(), String> {
        let plain = |(name, value)| (name, NewSetting { value, secret: false });
        let mut set: BTreeMap<String, NewSetting> = self.set.into_iter().map(plain).collect();
        if let Some(name) = self.secret {
            let value = read_line(&format!("the value of {name}"))?;
            set.insert(name, NewSetting { value, secret: true });
        }
        let host = self.remote.host()?;
        let path = ["tenants", &self.tenant, "groups", &self.group, "settings"];
        if set.is_empty() && self.unset.is_empty() {
            return list(&host, &path, &self.listing).await;
        }
        let change = SettingsChange { set, unset: self.unset };
        let changed: SettingsChanged = host.send(Method::PATCH, &path, &change).await?;
        match changed.deployed {
            Some(deployed) => println!(
                "group {} runs with them as revision {}",
                deployed.group, deployed.revision
            ),
            None => println!("stored for when group {} is deployed", self.group),
        }
        Ok(())
    }
}

async fn list(host: &Host, path: &[&str], listing: &Listing) -> Result<(), String> {
    let settings: BTreeMap<String, registry::Setting> = host.get(path).await?;
    if listing.json {
        return print_json(&settings);
    }
    let rows = settings.into_iter().map(|(name, setting)| {
        let value = if setting.secret { "(secret)".to_owned() } else { setting.value };
        [name, value]
    });
    print_table(["SETTING", "VALUE"], rows.collect());
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write <name>=<value>")?;
    Ok((name.to_owned(), value.to_owned()))
}
