//! The realm `clinic`: doctors about themselves.

use wharf_kit::{Endpoint, Error, Request, Response, answer};
use wharf_realms::clinic::{CLINIC, doctor, user};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/doctor/me", me)
    .signed_in(CLINIC)
    .tag("clinic")
    .summary("The caller, who must be a doctor.")];

fn me(request: &Request) -> Result<Response, Error> {
    Ok(answer::json(200, &user(&doctor(request)?)))
}
