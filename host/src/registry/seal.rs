//! Secrets as they are stored: AES-256-GCM (NIST SP 800-38D) with random nonces, under a key that only
//! hosts have. What a secret is for is authenticated with it, so that one moved to another tenant's row
//! does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::database::Failure;
use crate::identity::Keys;

/// Seals and opens secrets.
pub(super) struct Seal {
    key: RandomizedNonceKey,
    /// What marks secrets are made with.
    marks: [u8; 32],
}

/// What a secret is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) tenant: &'a str,
    pub(super) group: &'a str,
    pub(super) name: &'a str,
}

impl Place<'_> {
    /// The same bytes for no other place: names hold no NUL.
    fn bytes(&self) -> Vec<u8> {
        [self.tenant, self.group, self.name].join("\0").into_bytes()
    }
}

impl Seal {
    pub(super) fn new(keys: &Keys) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &keys.derive("secrets of tenants"));
        Seal {
            key: key.expect("the key has 32 bytes"),
            marks: keys.derive("marks of tenants' secrets"),
        }
    }

    /// The nonce, and the secret under it.
    pub(super) fn seal(&self, place: Place<'_>, secret: &str) -> Result<Vec<u8>, Failure> {
        let mut text = secret.as_bytes().to_vec();
        let sealed = self.key.seal_in_place_append_tag(Aad::from(place.bytes()), &mut text);
        let nonce =
            sealed.map_err(|_| Failure::Failed("a secret cannot be encrypted".to_owned()))?;
        Ok([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The secret.
    ///
    /// # Errors
    /// It was not sealed with this key, or not for this place.
    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<String, Failure> {
        let opened = || {
            let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = text.to_vec();
            let text = self.key.open_in_place(nonce, Aad::from(place.bytes()), &mut text).ok()?;
            String::from_utf8(text.to_vec()).ok()
        };
        opened().ok_or_else(|| {
            let Place { tenant, group, name } = place;
            Failure::Failed(format!(
                "the secret {name} of tenant {tenant}'s group {group} does not open with this host's key; start it with the key that it was set with (key_file), or set it anew with `wharf setting`"
            ))
        })
    }

    /// What stands for a secret where it must be told from others: its HMAC-SHA-256 (RFC 2104) with the
    /// place, in hexadecimal, of which nobody without the key can tell the secret.
    pub(super) fn mark(&self, place: Place<'_>, secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.marks).expect("HMAC takes any key");
        mac.update(&place.bytes());
        mac.update(b"\0");
        mac.update(secret.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}
