//! `auth`: signing up, signing in, and the tokens that come of it. A file per realm.

mod clinic;
mod console;
mod realm;
mod store;

use wharf_kit::{Endpoint, Error, Request, Response, answer, json, optional, required};

use crate::realm::Realm;

wharf_kit::export!(SHARED, store::ENDPOINTS, clinic::ENDPOINTS, console::ENDPOINTS, ELSEWHERE);

/// The routes that two realms have at the same path.
const SHARED: &[Endpoint] = &[
    Endpoint::post("/api/auth/register", register)
        .tag("auth")
        .summary("Signs a user up; which realm's is told by what is sent.")
        .parameters(&[
            required("username", "store: at least 6 letters and digits; clinic: 3 to 16 characters."),
            required("password", "store: at least 6 letters, digits, dashes and underscores; clinic: 8 to 20 characters."),
            optional("name", "store, required: the name to be called by."),
            optional("password_confirmation", "store, required: the password again."),
            optional("invitation_code", "store, required: the code of an invitation."),
            optional("captcha_key", "store, required: the key of a captcha."),
            optional("captcha_code", "store, required: what its picture shows."),
            optional("email", "An e-mail address; required for clinic."),
            optional("phone", "store: a phone number."),
            optional("avatar", "store: the address of a picture."),
            optional("sex", "clinic, required: 0 male, 1 female, 2 undisclosed."),
            optional("age", "clinic, required: 0 to 150."),
        ]),
    Endpoint::post("/api/auth/login", login)
        .tag("auth")
        .summary("Signs a user in; which realm's is told by what is sent.")
        .parameters(&[
            optional("username", "store: a username, an e-mail address or a phone number."),
            optional("email", "clinic: the e-mail address."),
            required("password", "The password."),
        ]),
];

/// What no other route has.
const ELSEWHERE: &[Endpoint] = &[
    Endpoint::every("/", not_found).unlimited(),
    Endpoint::every("/{*path}", not_found).unlimited(),
];

fn register(request: &Request) -> Result<Response, Error> {
    match realm::of_register(request.input(), realm::bound(request), request.body().is_empty()) {
        Realm::Store => store::register(request),
        Realm::Clinic => clinic::register(request),
    }
}

fn login(request: &Request) -> Result<Response, Error> {
    match realm::of_login(request.input(), realm::bound(request), request.body().is_empty()) {
        Realm::Store => store::login(request),
        Realm::Clinic => clinic::login(request),
    }
}

/// Each family's clients expect their own words.
fn not_found(request: &Request) -> Result<Response, Error> {
    let path = request.raw_path();
    if path == "/api" || path.starts_with("/api/") {
        return Ok(answer::json(404, &json!({ "message": "" })));
    }
    Ok(wharf_realms::console::not_found(request))
}
