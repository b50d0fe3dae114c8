//! Lets those call a group who send its key as `x-api-key`.

use subtle::ConstantTimeEq as _;
use wharf_kit::bindings::wharf::plugin::log::Level;
use wharf_kit::middleware::{Action, Changes, Middleware, Request, Response};
use wharf_kit::{answer, json, log, settings};

wharf_kit::wrap!(ApiKey);

/// The header that the key is sent in.
const HEADER: &str = "x-api-key";

/// The check.
pub struct ApiKey;

impl Middleware for ApiKey {
    fn before(request: Request) -> Action {
        let Some(key) = settings::get("key").filter(|key| !key.is_empty()) else {
            // Without a key nobody has the right one.
            log::write(Level::Error, "the setting key is missing, and everybody is turned away");
            return Action::Respond(refused());
        };
        let sent = request.header(HEADER).unwrap_or_default();
        // How long the comparison takes tells nothing of the key but its length.
        if bool::from(sent.ct_eq(key.as_bytes())) {
            // The group need not know it.
            Action::Next(Changes { remove: vec![HEADER.to_owned()], ..Changes::default() })
        } else {
            Action::Respond(refused())
        }
    }

    fn after(response: Response) -> Response {
        response
    }
}

fn refused() -> Response {
    answer::json(401, &json!({ "message": "Send the API key in the header x-api-key." }))
}
