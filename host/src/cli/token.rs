//! `wharf token`: who may deploy.

use clap::{Args, Subcommand};
use reqwest::Method;

use super::block_on;
use super::remote::{Listing, Remote, print_json, print_table};
use crate::admin::api::{MadeToken, NewToken};
use crate::clock::rfc3339;
use crate::registry::tokens::{DeployToken, Verb};

#[derive(Args)]
#[command(after_help = "Example: wharf token create acme --verb deploy --expires 30d")]
pub(super) struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a token for a tenant; it is printed this once.
    Create(Create),
    /// List the tokens of a tenant.
    List(List),
    /// End a token at once.
    Revoke(Revoke),
}

/// `wharf token create`
#[derive(Args)]
#[command(
    after_help = "Example: WHARF_TOKEN=$(wharf token create acme --verb deploy --verb rollback --expires 30d)"
)]
struct Create {
    /// The tenant that it is for
    tenant: String,
    /// What it allows: deploy, rollback, read, settings or logs [default: all of them]
    #[arg(long, value_name = "VERB")]
    verb: Vec<Verb>,
    /// After how long it expires: a number and s, m, h or d
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = seconds)]
    expires: i64,
    /// What it is called in logs and histories
    #[arg(long, default_value = "deploy")]
    name: String,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

/// `wharf token list`
#[derive(Args)]
#[command(after_help = "Example: wharf token list acme")]
struct List {
    /// The tenant
    tenant: String,
    #[command(flatten)]
    listing: Listing,
    #[command(flatten)]
    remote: Remote,
}

/// `wharf token revoke`
#[derive(Args)]
#[command(after_help = "Example: wharf token revoke 0123456789abcdef")]
struct Revoke {
    /// The token's id, as `wharf token list` shows it
    id: String,
    #[command(flatten)]
    remote: Remote,
}

impl Command {
    pub(super) fn run(self) -> Result<(), String> {
        match self.what {
            What::Create(create) => block_on(create.run()),
            What::List(list) => block_on(list.run()),
            What::Revoke(revoke) => block_on(revoke.run()),
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), String> {
        let verbs = if self.verb.is_empty() { Verb::ALL.to_vec() } else { self.verb };
        let new = NewToken { name: self.name, verbs, expires_seconds: self.expires };
        let host = self.remote.host()?;
        let path = ["tenants", &self.tenant, "tokens"];
        let made: MadeToken = host.send(Method::POST, &path, &new).await?;
        if self.listing.json {
            return print_json(&made);
        }
        // The token alone on standard output, so that a shell can take it.
        println!("{}", made.secret);
        let MadeToken { token, .. } = made;
        eprintln!(
            "token {} may {} {} until {}; it is not shown again",
            token.id,
            names(&token.verbs),
            token.tenant,
            rfc3339(token.expires_at)
        );
        Ok(())
    }
}

impl List {
    async fn run(self) -> Result<(), String> {
        let path = ["tenants", &self.tenant, "tokens"];
        let tokens: Vec<DeployToken> = self.remote.host()?.get(&path).await?;
        if self.listing.json {
            return print_json(&tokens);
        }
        let row = |token: DeployToken| {
            let used = token.used_at.map_or_else(|| "never".to_owned(), rfc3339);
            [token.id, token.name, names(&token.verbs), rfc3339(token.expires_at), used]
        };
        let heads = ["ID", "NAME", "VERBS", "EXPIRES", "LAST USED"];
        print_table(heads, tokens.into_iter().map(row).collect());
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> Result<(), String> {
        self.remote.host()?.delete(&["tokens", &self.id]).await?;
        println!("token {} is over", self.id);
        Ok(())
    }
}

fn names(verbs: &[Verb]) -> String {
    verbs.iter().map(|verb| verb.name()).collect::<Vec<_>>().join(", ")
}

/// Reads a time such as `90d`.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time; write a number and s, m, h or d, such as 90d");
    let unit = match text.chars().last().ok_or_else(wrong)? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}
