//! The realm `clinic`: doctors about themselves.

use wharf_kit::Endpoint;
use wharf_kit::prelude::*;
use wharf_realms::clinic::{CLINIC, Doctor, user};

pub(super) const ENDPOINTS: &[Endpoint] = endpoints![me];

/// The caller, who must be a doctor.
#[get("/api/doctor/me", signed_in = CLINIC, tag = "clinic")]
fn me(Doctor(caller): Doctor) -> Json<Value> {
    Json(user(&caller))
}
