//! The realm `console`: larger PNGs, one minute.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_kit::{Endpoint, Error, Request, Response, chance, json};
use wharf_realms::captcha;
use wharf_realms::console::{self, CONSOLE, done};

use crate::picture::{self, Size};
use crate::{code, reveal, seed};

pub(super) const ENDPOINTS: &[Endpoint] =
    &[console::get("/captcha", create).summary("Draws a captcha."), console::open("/captcha")];

/// Seconds for which a captcha can be answered.
const LIFETIME: u32 = 60;

fn create(request: &Request) -> Result<Response, Error> {
    console::token(request)?;
    let code = code();
    let key = chance::draw(b"0123456789abcdef", 30) + &chance::draw(b"0123456789", 2);
    captcha::keep(CONSOLE, &key, &code, LIFETIME);
    let picture = picture::png(&code, seed(), Size { width: 250, height: 62 });
    let data = json!({
        "id": key,
        "captcha_id": key,
        "picture": format!("data:image/png;base64,{}", STANDARD.encode(picture)),
    });
    let mut response = done(request, data, "success");
    reveal(&mut response, &code);
    Ok(response)
}
