//! `{{group}}`: lets those call the groups that it wraps who send its key as `x-api-key`.

use subtle::ConstantTimeEq as _;
use wharf_kit::middleware::{Action, Changes, Middleware, Request, Response};
use wharf_kit::{answer, get, json, settings};

wharf_kit::wrap!(ApiKey);
// What it wraps itself, so that there is something to try. A component that wraps others needs no routes.
wharf_kit::component![hello];

/// The header that the key is sent in.
const HEADER: &str = "x-api-key";

/// The check.
pub struct ApiKey;

impl Middleware for ApiKey {
    /// Sees each request before the group, and hands it on or answers by itself.
    fn before(request: Request) -> Action {
        let key = settings::get("key").unwrap_or_default();
        let sent = request.header(HEADER).unwrap_or_default();
        // How long the comparison takes tells nothing of the key but its length.
        if key.is_empty() || !bool::from(sent.ct_eq(key.as_bytes())) {
            wharf_kit::info!("a caller without the key was turned away");
            let message = json!({ "message": "Send the API key in the header x-api-key." });
            return Action::Respond(answer::json(401, &message));
        }
        // The group need not know it.
        Action::Next(Changes { remove: vec![HEADER.to_owned()], ..Changes::default() })
    }

    /// Sees each answer after the group.
    fn after(response: Response) -> Response {
        response
    }
}

/// Says that whoever asks has the key.
#[get("/{{group}}", tag = "{{group}}")]
fn hello() -> &'static str {
    "You have the key.\n"
}
