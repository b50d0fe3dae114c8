//! The realm `store`: small JPEGs, three minutes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_kit::chance::{self, LETTERS_AND_DIGITS};
use wharf_kit::prelude::*;
use wharf_kit::{Endpoint, optional, throttle};
use wharf_realms::captcha;
use wharf_realms::store::{Done, STORE, date};

use crate::picture::{self, Size};
use crate::{code, reveal, seed};

pub(super) const ENDPOINTS: &[Endpoint] = endpoints![create];

/// Seconds for which a captcha can be answered.
const LIFETIME: u32 = 180;

/// Draws a captcha.
#[post("/api/captchas", tag = "general", parameters = &[optional("username", "Who wants to sign up; ignored.")])]
fn create() -> Result<Response> {
    throttle::attempt(None)?;
    let code = code();
    let key = format!("captcha-{}", chance::draw(LETTERS_AND_DIGITS, 15));
    captcha::keep(STORE, &key, &code, LIFETIME);
    let picture = picture::jpeg(&code, seed(), Size { width: 150, height: 40 });
    let drawn = json!({
        "captcha_key": key,
        "expired_at": date(clock::now() + i64::from(LIFETIME)),
        "captcha_image_content": format!("data:image/jpeg;base64,{}", STANDARD.encode(picture)),
    });
    let mut response = Done(drawn).into_response()?;
    reveal(&mut response, &code);
    Ok(response)
}
