//! Deploy tokens: what lets somebody change one tenant, and nothing else.
//!
//! A token is `wharf_<id>_<secret>` with 64 and 256 random bits in hexadecimal. Only its SHA-256 is
//! stored: nobody can guess 256 bits, so a hash that takes long would protect nothing more.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::rows::{integer, json, of_json, text, unreadable};
use super::{Error, Kind, Registry};
use crate::database::{Failure, Value};

/// How precisely it is known when a token was last used, in seconds: not every use is written.
const USED: i64 = 60;

/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 64;

const COLUMNS: &str =
    "SELECT id, tenant, name, verbs, created_at, expires_at, used_at, hash FROM deploy_tokens";

/// What somebody may do with a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Make revisions, also canaries, and remove groups.
    Deploy,
    /// Choose among revisions: roll back, promote, end a canary.
    Rollback,
    /// Look at groups, revisions and names of settings.
    Read,
    /// Change settings and secrets.
    Settings,
    /// Read what guests log, and why requests failed.
    Logs,
}

impl Verb {
    /// Every verb there is.
    pub const ALL: [Verb; 5] =
        [Verb::Deploy, Verb::Rollback, Verb::Read, Verb::Settings, Verb::Logs];

    /// Its name, as commands take it.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Deploy => "deploy",
            Verb::Rollback => "rollback",
            Verb::Read => "read",
            Verb::Settings => "settings",
            Verb::Logs => "logs",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Verb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Verb::ALL.into_iter().find(|verb| verb.name() == text).ok_or_else(|| {
            format!("{text:?} is no verb; verbs are {}", Verb::ALL.map(Verb::name).join(", "))
        })
    }
}

/// A deploy token, as far as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployToken {
    /// What it is known by.
    pub id: String,
    /// The tenant that it is for.
    pub tenant: String,
    /// What whoever made it calls it.
    pub name: String,
    /// What it allows.
    pub verbs: Vec<Verb>,
    /// When it was made, in unix seconds.
    pub created_at: i64,
    /// When it ends, in unix seconds.
    pub expires_at: i64,
    /// When it was last used, give or take a minute.
    pub used_at: Option<i64>,
}

impl Registry {
    /// Makes a token; it is shown this once.
    ///
    /// # Errors
    /// There is no such tenant, or the token would allow nothing.
    pub async fn create_token(
        &self,
        (tenant, name): (&str, &str),
        verbs: &[Verb],
        expires_at: i64,
    ) -> Result<(DeployToken, String), Error> {
        let created_at = self.clock.now();
        check(name, verbs, expires_at > created_at)?;
        let (mut change, _) = self.begin_of(tenant).await?;
        let (id, secret) = (hex::encode(random::<8>()), hex::encode(random::<32>()));
        let written = format!("wharf_{id}_{secret}");
        let mut verbs = verbs.to_vec();
        verbs.sort_unstable();
        verbs.dedup();
        let sql = "INSERT INTO deploy_tokens (id, hash, tenant, name, verbs, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = vec![
            text(&id),
            text(&hash(&written)),
            text(tenant),
            text(name),
            json(&verbs),
            Value::Integer(created_at),
            Value::Integer(expires_at),
        ];
        change.execute(sql, values).await?;
        change.commit().await?;
        let (tenant, name) = (tenant.to_owned(), name.to_owned());
        let token = DeployToken { id, tenant, name, verbs, created_at, expires_at, used_at: None };
        Ok((token, written))
    }

    /// The tokens of a tenant, oldest first, also those that have expired.
    pub async fn tokens(&self, tenant: &str) -> Result<Vec<DeployToken>, Failure> {
        let sql = format!("{COLUMNS} WHERE tenant = $1 ORDER BY created_at, id");
        let rows = self.database.query(&sql, vec![text(tenant)]).await?;
        rows.rows.iter().map(|row| Ok(of_row(row)?.0)).collect()
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// There is no such token.
    pub async fn revoke_token(&self, id: &str) -> Result<DeployToken, Error> {
        let mut change = self.begin().await?;
        let rows = format!("{COLUMNS} WHERE id = $1");
        let rows = change.query(&rows, vec![text(id)]).await?;
        let Some(row) = rows.rows.first() else {
            return Err(Error::refused(
                Kind::Missing,
                format!("there is no token {id:?}"),
                "look at `wharf token list <tenant>`",
            ));
        };
        let (token, _) = of_row(row)?;
        change.execute("DELETE FROM deploy_tokens WHERE id = $1", vec![text(id)]).await?;
        change.commit().await?;
        Ok(token)
    }

    /// Whether a token that was verified before has neither expired nor been revoked since.
    pub async fn is_valid(&self, id: &str) -> Result<bool, Failure> {
        let sql = format!("{COLUMNS} WHERE id = $1");
        let rows = self.database.query(&sql, vec![text(id)]).await?;
        let Some(row) = rows.rows.first() else { return Ok(false) };
        Ok(of_row(row)?.0.expires_at > self.clock.now())
    }

    /// The token that a text is; `None` if it is none, has expired or was revoked.
    pub async fn verify_token(&self, written: &str) -> Result<Option<DeployToken>, Failure> {
        let mut parts = written.splitn(3, '_');
        let (Some("wharf"), Some(id), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(None);
        };
        let sql = format!("{COLUMNS} WHERE id = $1");
        let rows = self.database.query(&sql, vec![text(id)]).await?;
        let Some(row) = rows.rows.first() else { return Ok(None) };
        let (token, known) = of_row(row)?;
        let is_it = bool::from(known.as_bytes().ct_eq(hash(written).as_bytes()));
        let now = self.clock.now();
        if !is_it || token.expires_at <= now {
            return Ok(None);
        }
        let sql = "UPDATE deploy_tokens SET used_at = $1 WHERE id = $2 AND (used_at IS NULL OR used_at <= $3)";
        let values = vec![Value::Integer(now), text(id), Value::Integer(now - USED)];
        if token.used_at.is_none_or(|used| used <= now - USED)
            && let Err(failure) = self.database.execute(sql, values).await
        {
            // A database that takes no writes is no reason to refuse whoever wants to read.
            tracing::warn!(token = %token.id, %failure, "cannot note that a deploy token was used");
        }
        Ok(Some(token))
    }
}

/// The SHA-256 of a token in hexadecimal.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

fn check(name: &str, verbs: &[Verb], is_valid_for_some_time: bool) -> Result<(), Error> {
    let unfit = |message: String, remedy: &str| Err(Error::refused(Kind::Unfit, message, remedy));
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        let message = format!("{name:?} is no name for a token");
        return unfit(message, "use up to 64 bytes of text on one line");
    }
    if verbs.is_empty() {
        return unfit("a token without verbs allows nothing".to_owned(), "name one or more");
    }
    if !is_valid_for_some_time {
        return unfit("the token would have expired already".to_owned(), "let it end later");
    }
    Ok(())
}

/// A token, and its hash.
fn of_row(row: &[Value]) -> Result<(DeployToken, &str), Failure> {
    let [
        Value::Text(id),
        Value::Text(tenant),
        Value::Text(name),
        Value::Text(verbs),
        Value::Integer(created_at),
        Value::Integer(expires_at),
        used_at,
        Value::Text(hash),
    ] = row
    else {
        return Err(unreadable("deploy_tokens"));
    };
    let token = DeployToken {
        id: id.clone(),
        tenant: tenant.clone(),
        name: name.clone(),
        verbs: of_json(verbs)?,
        created_at: *created_at,
        expires_at: *expires_at,
        used_at: integer(used_at),
    };
    Ok((token, hash))
}
