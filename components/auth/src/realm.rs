//! Which realm a request is for, where two have the same method and path: told by what it carries.

use wharf_kit::{Input, Request, settings};
use wharf_realms::clinic::CLINIC;
use wharf_realms::store::STORE;

/// The realms that share routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Realm {
    /// Usernames, the envelope.
    Store,
    /// E-mail addresses, no envelope.
    Clinic,
}

/// The realm that the operator has bound the request's host name to.
pub(crate) fn bound(request: &Request) -> Option<Realm> {
    let host = request.host();
    let is_bound = |realm: &str| {
        let hosts = settings::get(&format!("{realm}.hosts")).unwrap_or_default();
        hosts.split_whitespace().any(|bound| bound.eq_ignore_ascii_case(&host))
    };
    [(STORE, Realm::Store), (CLINIC, Realm::Clinic)]
        .into_iter()
        .find(|(name, _)| is_bound(name))
        .map(|(_, realm)| realm)
}

/// Who signs in. A key counts if it was sent, be it empty.
pub(crate) fn of_login(input: &Input, bound: Option<Realm>, no_body: bool) -> Realm {
    let told = || {
        let clinic = match (input.has("username"), input.has("email")) {
            (true, true) => input.is_in_body("email"),
            (false, false) => !no_body,
            (_, email) => email,
        };
        if clinic { Realm::Clinic } else { Realm::Store }
    };
    bound.unwrap_or_else(told)
}

/// What the store alone asks for when somebody signs up.
const STORES: [&str; 5] =
    ["name", "password_confirmation", "invitation_code", "captcha_key", "captcha_code"];

/// What the clinic asks for and the store does not need.
const CLINICS: [&str; 3] = ["email", "sex", "age"];

/// Who signs up. A key counts if it was sent, be it empty.
pub(crate) fn of_register(input: &Input, bound: Option<Realm>, no_body: bool) -> Realm {
    let told = || {
        if STORES.iter().any(|name| input.has(name)) {
            Realm::Store
        } else if CLINICS.iter().any(|name| input.has(name)) || !no_body {
            Realm::Clinic
        } else {
            Realm::Store
        }
    };
    bound.unwrap_or_else(told)
}

#[cfg(test)]
mod tests {
    use super::Realm::{Clinic, Store};
    use super::*;

    /// An input from a query and a JSON body, and whether there is no body.
    fn sent(query: &str, body: &str) -> (Input, bool) {
        (Input::of(query, "application/json", body.as_bytes()), body.is_empty())
    }

    #[test]
    fn a_sign_in_is_told_by_its_keys() {
        for (query, body, realm) in [
            ("username=a&password=b", "", Store),
            ("", r#"{"username":"a","password":"b"}"#, Store),
            ("username=", "", Store),
            ("", r#"{"email":"a@b.c","password":"b"}"#, Clinic),
            ("email=a@b.c", "", Clinic),
            ("email=", "", Clinic),
            ("username=a", r#"{"email":"a@b.c"}"#, Clinic),
            ("", r#"{"email":"a@b.c","username":"a"}"#, Clinic),
            ("username=a&email=a@b.c", "", Store),
            ("email=a@b.c", r#"{"username":"a"}"#, Store),
            ("", r#"{"password":"b"}"#, Clinic),
            ("", "[object Object]", Clinic),
            ("password=b", "", Store),
            ("", "", Store),
        ] {
            let (input, no_body) = sent(query, body);
            assert_eq!(of_login(&input, None, no_body), realm, "{query} {body}");
            assert_eq!(of_login(&input, Some(Store), no_body), Store);
            assert_eq!(of_login(&input, Some(Clinic), no_body), Clinic);
        }
    }

    #[test]
    fn a_sign_up_is_told_by_its_keys() {
        for (query, body, realm) in [
            ("name=a&email=b&sex=0", "", Store),
            ("password_confirmation=", "", Store),
            ("invitation_code=a", r#"{"sex":0}"#, Store),
            ("captcha_key=a", "", Store),
            ("", r#"{"captcha_code":"a","age":3}"#, Store),
            ("email=a", "", Clinic),
            ("sex=0", "", Clinic),
            ("", r#"{"age":24}"#, Clinic),
            ("", r#"{"username":"a","password":"b"}"#, Clinic),
            ("username=a", "[object Object]", Clinic),
            ("username=a&password=b", "", Store),
            ("", "", Store),
        ] {
            let (input, no_body) = sent(query, body);
            assert_eq!(of_register(&input, None, no_body), realm, "{query} {body}");
            assert_eq!(of_register(&input, Some(Store), no_body), Store);
            assert_eq!(of_register(&input, Some(Clinic), no_body), Clinic);
        }
    }
}
