//! `users`: who there is, for admins and for themselves. A file per realm.

mod clinic;
mod console;
mod store;

wharf_kit::export!(store::ENDPOINTS, clinic::ENDPOINTS, console::ENDPOINTS);
