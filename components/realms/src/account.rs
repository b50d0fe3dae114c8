//! What users and their sign-ins have in common in all realms.

use wharf_kit::database::{self, Row};
use wharf_kit::passwords::{self, Verdict};
use wharf_kit::{Error, params, throttle};

/// Counts an attempt to sign in as a user of a realm; too many are refused.
pub fn attempt(realm: &str, name: &str) -> Result<(), Error> {
    Ok(throttle::attempt(Some(&format!("{realm}:{name}")))?)
}

/// The id of the user of a realm who has a value in one of the columns that no two of them share.
pub fn find(realm: &str, column: &'static str, value: &str) -> Result<Option<i64>, Error> {
    let sql = format!("SELECT id FROM users WHERE realm = $1 AND {column} = $2");
    Ok(database::query_one(&sql, params![realm, value])?.map(|row| row.integer("id")))
}

/// A user whose password has been verified.
pub struct Verified {
    /// The user's id.
    pub id: i64,
    hash: String,
    upgraded: Option<String>,
}

/// Compares a password with that of a user who was found, if one was: a row with `id` and `password`.
///
/// Without a user the same work is done for nothing, so that time does not tell who exists.
pub fn verify(user: Option<&Row>, password: &str) -> Result<Option<Verified>, Error> {
    let hash = user.map(|user| user.text("password").to_owned());
    let upgraded = match passwords::verify(password, hash.as_deref())? {
        Verdict::Mismatch => return Ok(None),
        Verdict::Matches => None,
        Verdict::Upgraded(upgraded) => Some(upgraded),
    };
    let known = user.zip(hash);
    Ok(known.map(|(user, hash)| Verified { id: user.integer("id"), hash, upgraded }))
}

impl Verified {
    /// Whether the password is still the user's, and stores its hash anew if it was of an older kind.
    ///
    /// To be asked after a token was issued: a change of the password that comes later ends that token,
    /// and one that came in between is seen here.
    pub fn still_holds(&self) -> Result<bool, Error> {
        let Some(upgraded) = &self.upgraded else {
            let sql = "SELECT id FROM users WHERE id = $1 AND password = $2";
            return Ok(database::query_one(sql, params![self.id, &self.hash])?.is_some());
        };
        let sql = "UPDATE users SET password = $1 WHERE id = $2 AND password = $3";
        Ok(database::execute(sql, params![upgraded, self.id, &self.hash])? > 0)
    }
}
