//! Where captchas wait for their answer: one group draws them, another takes them.

use wharf_kit::cache;

/// Keeps the code of a realm's captcha, for so many seconds.
pub fn keep(realm: &str, key: &str, code: &str, seconds: u32) {
    cache::set(&entry(realm, key), code.to_lowercase().as_bytes(), seconds);
}

/// Takes the code of a realm's captcha, which is gone afterwards, whatever comes of it.
pub fn take(realm: &str, key: &str) -> Option<String> {
    cache::take(&entry(realm, key)).and_then(|code| String::from_utf8(code).ok())
}

/// Whether somebody read the captcha right; case does not count.
pub fn matches(code: &str, typed: &str) -> bool {
    typed.to_lowercase() == code
}

/// A prefix of its own, since clients choose what they send as a key.
fn entry(realm: &str, key: &str) -> String {
    format!("captcha:{realm}:{key}")
}
