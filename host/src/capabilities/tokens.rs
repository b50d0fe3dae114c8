//! `tokens`: access tokens issued, exchanged and revoked. A guest acts on the token of its request
//! alone, never on one that it names.

use serde_json::Value;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::tokens::{self, Error, Subject, Token};
use crate::identity::{self, Caller, Issuer, Refused};

/// What one request may do with tokens.
pub struct Tokens<'a> {
    issuer: &'a Issuer,
    caller: &'a Caller,
}

impl tokens::Host for Tokens<'_> {
    async fn issue(&mut self, subject: Subject) -> wasmtime::Result<Token> {
        Ok(token(self.issuer.issue(identity::Subject {
            user: subject.user_id,
            realm: subject.realm,
            name: subject.name,
            roles: subject.roles,
            claims: subject.claims.into_iter().map(claim).collect(),
        })))
    }

    async fn refresh(&mut self) -> wasmtime::Result<Result<Token, Error>> {
        let Caller::Identity(current) = self.caller else {
            return Ok(Err(Error::NoToken));
        };
        Ok(self.issuer.refresh(current).await.map(token).map_err(|refused| match refused {
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
        let done = self.issuer.revoke_all_of_user(&realm, user).await;
        Ok(done.map_err(|failure| unavailable(&failure)))
    }
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
        tracing::error!(%failure, "cannot record that a token was revoked");
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
