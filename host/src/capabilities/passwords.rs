//! `passwords`: hashing on threads of its own, in bounded memory.
//!
//! argon2id with 19 MiB, 2 passes and 1 lane, as OWASP's cheat sheet on password storage advises.
//! bcrypt and md5 hashes of older systems are verified and handed back upgraded.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::passwords::{self, Verdict};

/// How much hashing may go on at once.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passwords hashed at once; each takes 19 MiB while it is.
    pub concurrency: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            concurrency: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        }
    }
}

/// A bcrypt hash of a higher cost would occupy a thread for seconds; such hashes are not accepted.
const HIGHEST_BCRYPT_COST: u32 = 14;

/// KiB and passes of an argon2 hash that comes from elsewhere: four times the memory of PHP's default, and
/// four times its passes.
const HIGHEST_ARGON2_MEMORY: u32 = 256 * 1024;
const HIGHEST_ARGON2_PASSES: u32 = 16;

/// Hashes and compares passwords. One per process.
pub struct Hasher {
    argon2: Argon2<'static>,
    /// What is verified for users who do not exist, so that they take as long as those who do.
    decoy: String,
    slots: Arc<Semaphore>,
}

/// The outcome of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Another password.
    Mismatch,
    /// The password.
    Match,
    /// The password, but in an old hash: store this one instead.
    Upgrade(String),
}

impl Hasher {
    /// A hasher that works on so many passwords at once as the setting says.
    pub fn new(config: Config) -> Arc<Self> {
        let params =
            Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, "a password that nobody has");
        Arc::new(Hasher {
            argon2,
            decoy,
            slots: Arc::new(Semaphore::new(config.concurrency.max(1))),
        })
    }

    /// Hashes a password into a PHC string.
    pub async fn hash(self: &Arc<Self>, password: String) -> String {
        self.run(move |hasher| hash(&hasher.argon2, &password)).await
    }

    /// Compares a password with a stored hash; without one, it does the same work for nothing.
    pub async fn verify(self: &Arc<Self>, password: String, stored: Option<String>) -> Comparison {
        self.run(move |hasher| hasher.compare(&password, stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Hasher) -> T + Send + 'static,
    ) -> T {
        let slot =
            Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let hasher = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            // The slot moves to the thread: a request that is given up frees it only when the work is done.
            let _slot = slot;
            work(&hasher)
        });
        done.await.expect("hashing does not panic")
    }

    fn compare(&self, password: &str, stored: Option<&str>) -> Comparison {
        let matches = match stored {
            Some(stored) if stored.starts_with("$argon2") => {
                return self.compare_argon2(password, stored);
            }
            Some(stored) if stored.starts_with("$2") => compare_bcrypt(password, stored),
            Some(stored) if is_md5(stored) => compare_md5(password, stored),
            _ => {
                self.compare_argon2(password, &self.decoy);
                return Comparison::Mismatch;
            }
        };
        // An old hash is quicker to compare: hashing anew makes a match, and a mismatch, take its time.
        let upgraded = hash(&self.argon2, password);
        if matches { Comparison::Upgrade(upgraded) } else { Comparison::Mismatch }
    }

    fn compare_argon2(&self, password: &str, stored: &str) -> Comparison {
        let Ok(parsed) = PasswordHash::new(stored) else {
            return Comparison::Mismatch;
        };
        match self.argon2.verify_password(password.as_bytes(), &parsed) {
            Ok(()) => Comparison::Match,
            Err(_) => Comparison::Mismatch,
        }
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> String {
    let hashed = argon2.hash_password(password.as_bytes());
    hashed.expect("argon2 hashes text of any length up to 4 GiB").to_string()
}

/// Whether a stored hash is one that [`Hasher::verify`] can compare with, at a cost that a host can bear.
pub fn is_known(stored: &str) -> bool {
    if stored.starts_with("$argon2") {
        let parsed = PasswordHash::new(stored).ok();
        let costs = parsed.and_then(|parsed| Params::try_from(&parsed).ok());
        return costs.is_some_and(|costs| {
            costs.m_cost() <= HIGHEST_ARGON2_MEMORY && costs.t_cost() <= HIGHEST_ARGON2_PASSES
        });
    }
    is_bcrypt(stored) || is_md5(stored)
}

/// `$2y$10$` and 53 characters of salt and hash.
fn is_bcrypt(stored: &str) -> bool {
    let [b'$', b'2', b'a' | b'b' | b'y', b'$', tens, ones, b'$', rest @ ..] = stored.as_bytes()
    else {
        return false;
    };
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    digits
        && (4..=HIGHEST_BCRYPT_COST).contains(&u32::from((tens - b'0') * 10 + (ones - b'0')))
        && rest.len() == 53
        && rest.iter().all(base64)
}

fn compare_bcrypt(password: &str, stored: &str) -> bool {
    let cost = stored.split('$').nth(2).and_then(|cost| cost.parse().ok());
    cost.is_some_and(|cost: u32| cost <= HIGHEST_BCRYPT_COST)
        && bcrypt::verify(password, stored).unwrap_or(false)
}

fn is_md5(stored: &str) -> bool {
    stored.len() == 32 && stored.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn compare_md5(password: &str, stored: &str) -> bool {
    let computed = hex::encode(Md5::digest(password));
    computed.as_bytes().ct_eq(stored.to_ascii_lowercase().as_bytes()).into()
}

/// What one request may do with passwords.
pub struct Passwords<'a>(&'a Arc<Hasher>);

impl passwords::Host for Passwords<'_> {
    async fn hash(&mut self, password: String) -> wasmtime::Result<String> {
        Ok(self.0.hash(password).await)
    }

    async fn verify(
        &mut self,
        password: String,
        hash: Option<String>,
    ) -> wasmtime::Result<Verdict> {
        Ok(match self.0.verify(password, hash).await {
            Comparison::Mismatch => Verdict::Mismatch,
            Comparison::Match => Verdict::Matches,
            Comparison::Upgrade(hash) => Verdict::Upgraded(hash),
        })
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Passwords<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    passwords::add_to_linker::<_, View>(linker, |guest| Passwords(&guest.group.shared.hasher))
}
