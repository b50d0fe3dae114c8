//! `captcha`: pictures that people can read, and what they say, kept for whoever asks for it next. A
//! file per realm.

mod console;
pub mod picture;
mod store;

use wharf_kit::{Response, answer, chance, random, settings};

wharf_kit::export!(store::ENDPOINTS, console::ENDPOINTS);

/// Characters of a code.
const LENGTH: usize = 5;

/// What codes are made of. The documented alphabet has more letters; those that people confuse once
/// they are bent, whatever their case, are left out: 1 I L, 0 O Q, 2 Z, 5 S, 8 B, 9 G q, U V, f r t.
pub const CHARACTERS: &[u8] = b"ACDEFHJKMNPRTWXYacdehkmnpwxy3467";

/// A fresh code.
fn code() -> String {
    chance::draw(CHARACTERS, LENGTH)
}

fn seed() -> u64 {
    random::bytes(8).into_iter().fold(0, |seed, byte| seed << 8 | u64::from(byte))
}

/// Tells the code, for tests; the host sets this on loopback addresses alone.
fn reveal(response: &mut Response, code: &str) {
    if settings::get("reveal").as_deref() == Some("1") {
        response.headers.push(answer::header("x-captcha-code", code));
    }
}
