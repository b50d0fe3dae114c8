//! The realm `store`: small JPEGs, three minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_kit::chance::{self, LETTERS_AND_DIGITS};
use wharf_kit::{Endpoint, Error, Request, Response, clock, json, optional, throttle};
use wharf_realms::captcha;
use wharf_realms::store::{STORE, date, done};

use crate::picture::{self, Size};
use crate::{code, reveal, seed};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::post("/api/captchas", create)
    .tag("general")
    .summary("Draws a captcha.")
    .parameters(&[optional("username", "Who wants to sign up; ignored.")])];

/// Seconds for which a captcha can be answered.
const LIFETIME: u32 = 180;

fn create(_: &Request) -> Result<Response, Error> {
    throttle::attempt(None)?;
    let code = code();
    let key = format!("captcha-{}", chance::draw(LETTERS_AND_DIGITS, 15));
    captcha::keep(STORE, &key, &code, LIFETIME);
    let picture = picture::jpeg(&code, seed(), Size { width: 150, height: 40 });
    let mut response = done(json!({
        "captcha_key": key,
        "expired_at": date(clock::now() + i64::from(LIFETIME)),
        "captcha_image_content": format!("data:image/jpeg;base64,{}", STANDARD.encode(picture)),
    }));
    reveal(&mut response, &code);
    Ok(response)
}
