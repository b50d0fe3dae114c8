//! `tokens`: access tokens issued, exchanged and revoked. A guest acts on the token of its request
//! alone, never on one that it names.

use serde_json::Value;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::tokens::{self, Error, Subject, Token};
use crate::identity::{self, Caller, Issuer, Refused};

/// Bytes of a realm's name.
const LONGEST_REALM: usize = 64;

/// What one request may do with tokens.
pub struct Tokens<'a> {
    issuer: &'a Issuer,
    caller: &'a Caller,
}

impl tokens::Host for Tokens<'_> {
    async fn issue(&mut self, subject: Subject) -> wasmtime::Result<Result<Token, Error>> {
        check(&subject.realm)?;
        let issued = self.issuer.issue(identity::Subject {
            user: subject.user_id,
            realm: subject.realm,
            name: subject.name,
            roles: subject.roles,
            claims: subject.claims.into_iter().map(claim).collect(),
        });
        Ok(issued.await.map(token).map_err(|failure| unavailable(&failure)))
    }

    async fn refresh(
        &mut self,
        name: String,
        roles: Vec<String>,
    ) -> wasmtime::Result<Result<Token, Error>> {
        let Caller::Identity(current) = self.caller else {
            return Ok(Err(Error::NoToken));
        };
        let refreshed = self.issuer.refresh(current, name, roles).await;
        Ok(refreshed.map(token).map_err(|refused| match refused {
            Refused::Revoked => Error::Revoked,
            Refused::TooOld => Error::TooOld,
            Refused::Unavailable(failure) => unavailable(&failure),
        }))
    }

    async fn revoke(&mut self) -> wasmtime::Result<Result<(), Error>> {
        let Caller::Identity(current) = self.caller else {
            return Ok(Err(Error::NoToken));
        };
        Ok(self.issuer.revoke(current).await.map_err(|failure| unavailable(&failure)))
    }

    async fn revoke_all_of_user(
        &mut self,
        realm: String,
        user: i64,
    ) -> wasmtime::Result<Result<(), Error>> {
        check(&realm)?;
        let done = self.issuer.revoke_all_of_user(&realm, user).await;
        Ok(done.map_err(|failure| unavailable(&failure)))
    }
}

/// Names of realms are kept for as long as tokens live: a guest must not make them large.
fn check(realm: &str) -> wasmtime::Result<()> {
    if realm.len() > LONGEST_REALM {
        wasmtime::bail!(
            "the name of a realm has {} bytes, and may have {LONGEST_REALM}",
            realm.len()
        );
    }
    Ok(())
}

/// A claim's value is JSON; what is none is text.
fn claim((name, value): (String, String)) -> (String, Value) {
    let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
    (name, value)
}

fn token(token: identity::Token) -> Token {
    Token { text: token.text, id: token.id, expires_in: token.expires_in.unsigned_abs() }
}

fn unavailable(failure: &crate::database::Failure) -> Error {
    if !failure.is_passing() {
        tracing::error!(%failure, "cannot ask for, or record, what tokens have ended");
    }
    Error::Unavailable
}

struct View;

impl HasData for View {
    type Data<'a> = Tokens<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    tokens::add_to_linker::<_, View>(linker, |guest| Tokens {
        issuer: &guest.group.shared.issuer,
        caller: &guest.caller,
    })
}
