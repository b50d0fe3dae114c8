//! `captcha`: pictures that people can read, and what they say, kept for whoever asks for it next.

pub mod picture;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_kit::store::{date, done};
use wharf_kit::{
    Endpoint, Error, Request, Response, captcha, clock, json, optional, random, settings,
};

use crate::picture::Size;

wharf_kit::export!(ENDPOINTS);

const ENDPOINTS: &[Endpoint] = &[Endpoint::post("/api/captchas", create)
    .tag("general")
    .summary("Draws a captcha.")
    .parameters(&[optional("username", "Who wants to sign up; ignored.")])];

/// Seconds for which a captcha can be answered.
const LIFETIME: u32 = 180;

/// Characters of a code.
const LENGTH: usize = 5;

/// What codes are made of. The documented alphabet has more letters; those that people confuse once
/// they are bent, whatever their case, are left out: 1 I L, 0 O Q, 2 Z, 5 S, 8 B, 9 G q, U V, f r t.
const CHARACTERS: &[u8] = b"ACDEFHJKMNPRTWXYacdehkmnpwxy3467";

/// What keys are made of.
const LETTERS_AND_DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

fn create(_: &Request) -> Result<Response, Error> {
    let code = choose(CHARACTERS, LENGTH);
    let key = format!("captcha-{}", choose(LETTERS_AND_DIGITS, 15));
    captcha::keep(&key, &code, LIFETIME);
    let picture = picture::jpeg(&code, seed(), Size { width: 150, height: 40 });
    let mut response = done(json!({
        "captcha_key": key,
        "expired_at": date(clock::now() + i64::from(LIFETIME)),
        "captcha_image_content": format!("data:image/jpeg;base64,{}", STANDARD.encode(picture)),
    }));
    // For tests; the host sets it on loopback addresses alone.
    if settings::get("reveal").as_deref() == Some("1") {
        response.headers.push(("x-captcha-code".to_owned(), code.into_bytes()));
    }
    Ok(response)
}

/// Draws characters evenly: random bytes that would favour the first ones are thrown away.
fn choose(characters: &[u8], length: usize) -> String {
    let most = 256 / characters.len() * characters.len();
    let mut chosen = String::new();
    while chosen.len() < length {
        let even = random::bytes(32).into_iter().map(usize::from).filter(|byte| *byte < most);
        chosen.extend(
            even.take(length - chosen.len())
                .map(|byte| char::from(characters[byte % characters.len()])),
        );
    }
    chosen
}

fn seed() -> u64 {
    random::bytes(8).into_iter().fold(0, |seed, byte| seed << 8 | u64::from(byte))
}
