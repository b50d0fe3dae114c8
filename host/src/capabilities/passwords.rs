//! `passwords`: hashing on threads of its own, in bounded memory, behind a bounded queue.
//!
//! argon2id with 19 MiB, 2 passes and 1 lane, as OWASP's cheat sheet on password storage advises.
//! bcrypt and md5 hashes of older systems are verified and handed back upgraded.
//!
//! A flood of sign-ins is as many megabytes as there are threads, and takes no processor from other
//! requests: the threads run at a low priority. Calls that wait for one of them still hold their place of
//! the admission, so that the queue is shorter than that: whoever finds it full is turned away at once.

mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest as _, Md5};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::passwords::{self, Error, Verdict};
use threads::Threads;

/// How much hashing may go on at once, and wait.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Passwords hashed at once, each on a thread of its own; each takes 19 MiB while it is, and up to 256 MiB
    /// where a stored hash of another system asks for that.
    pub concurrency: usize,
    /// Passwords that wait for a thread; more are refused. Half of a group's places if it is not set.
    pub queue: Option<usize>,
    /// Milliseconds that a password waits for a thread before it is given up.
    pub wait_milliseconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            concurrency: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            queue: None,
            wait_milliseconds: 5_000,
        }
    }
}

/// A bcrypt hash of a higher cost would occupy a thread for seconds; such hashes are not accepted.
const HIGHEST_BCRYPT_COST: u32 = 14;

/// The highest cost that a sign-in that fails takes the time of: bcrypt's usual one is 10 or 12.
const DECOY_COST: u32 = 12;

/// KiB and passes of an argon2 hash that comes from elsewhere: four times the memory of PHP's default, and
/// four times its passes.
const HIGHEST_ARGON2_MEMORY: u32 = 256 * 1024;
const HIGHEST_ARGON2_PASSES: u32 = 16;

/// Hashes and compares passwords. One per process.
pub struct Hasher {
    argon2: Argon2<'static>,
    /// What is verified for users who do not exist, so that they take as long as those who do.
    decoy: String,
    /// The highest cost of the bcrypt hashes that were met; 0 where there are none.
    bcrypt_cost: AtomicU32,
    threads: Threads,
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

/// More passwords are waiting than may, or this one has waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Hasher {
    /// A hasher that works on so many passwords at once as the setting says.
    ///
    /// # Errors
    /// A sentence, if the system gives it no threads.
    pub fn new(config: Config) -> Result<Arc<Self>, String> {
        let params =
            Params::new(19 * 1024, 2, 1, None).expect("the parameters are within argon2's bounds");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let decoy = hash(&argon2, "a password that nobody has");
        let queue = config.queue.unwrap_or(0);
        let wait = Duration::from_millis(config.wait_milliseconds);
        let threads = Threads::start(config.concurrency.max(1), queue, wait)
            .map_err(|error| format!("cannot start the threads that hash passwords: {error}; lower passwords.concurrency or raise the limit of threads"))?;
        Ok(Arc::new(Hasher { argon2, decoy, bcrypt_cost: AtomicU32::new(0), threads }))
    }

    /// Hashes a password into a PHC string.
    pub async fn hash(self: &Arc<Self>, password: String) -> Result<String, Busy> {
        let hasher = Arc::clone(self);
        self.threads.run(move || hash(&hasher.argon2, &password)).await
    }

    /// Compares a password with a stored hash; without one, it does the same work for nothing.
    pub async fn verify(
        self: &Arc<Self>,
        password: String,
        stored: Option<String>,
    ) -> Result<Comparison, Busy> {
        let hasher = Arc::clone(self);
        self.threads.run(move || hasher.compare(&password, stored.as_deref())).await
    }

    /// Whatever is stored, a mismatch takes the time of one argon2 hash of ours and, where the host has
    /// met bcrypt hashes, of one of those: it does not tell whose password was tried.
    fn compare(&self, password: &str, stored: Option<&str>) -> Comparison {
        // A hash of unbearable cost is one that nobody has.
        let stored = stored.filter(|stored| is_known(stored));
        let cost = stored.and_then(bcrypt_cost).unwrap_or(0);
        // What any component may have asked for must not make all sign-ins that fail take seconds.
        let highest = self.bcrypt_cost.fetch_max(cost.min(DECOY_COST), Ordering::Relaxed);
        let compared = match stored {
            Some(stored) if cost > 0 => {
                self.upgrade(password, bcrypt::verify(password, stored).unwrap_or(false))
            }
            Some(stored) if is_md5(stored) => self.upgrade(password, compare_md5(password, stored)),
            Some(stored) => self.compare_argon2(password, stored),
            None => {
                self.compare_argon2(password, &self.decoy);
                Comparison::Mismatch
            }
        };
        if compared == Comparison::Mismatch && cost < highest {
            let _ = bcrypt::hash_with_salt(password, highest, [0; 16]);
        }
        compared
    }

    /// An old hash is quicker to compare: hashing anew makes a match, and a mismatch, take its time.
    fn upgrade(&self, password: &str, matches: bool) -> Comparison {
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
    bcrypt_cost(stored).is_some() || is_md5(stored)
}

/// The cost of `$2y$10$` and 53 characters of salt and hash, if it is one that the host takes.
fn bcrypt_cost(stored: &str) -> Option<u32> {
    let [b'$', b'2', b'a' | b'b' | b'y', b'$', tens, ones, b'$', rest @ ..] = stored.as_bytes()
    else {
        return None;
    };
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    if !tens.is_ascii_digit() || !ones.is_ascii_digit() || rest.len() != 53 {
        return None;
    }
    let cost = u32::from((tens - b'0') * 10 + (ones - b'0'));
    ((4..=HIGHEST_BCRYPT_COST).contains(&cost) && rest.iter().all(base64)).then_some(cost)
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
    async fn hash(&mut self, password: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.0.hash(password).await.map_err(|Busy| Error::Busy))
    }

    async fn verify(
        &mut self,
        password: String,
        hash: Option<String>,
    ) -> wasmtime::Result<Result<Verdict, Error>> {
        let compared = self.0.verify(password, hash).await;
        Ok(compared.map_err(|Busy| Error::Busy).map(|compared| match compared {
            Comparison::Mismatch => Verdict::Mismatch,
            Comparison::Match => Verdict::Matches,
            Comparison::Upgrade(hash) => Verdict::Upgraded(hash),
        }))
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Passwords<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    passwords::add_to_linker::<_, View>(linker, |guest| Passwords(&guest.group.shared.hasher))
}
