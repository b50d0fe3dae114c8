//! `certificates`: papers that users hand in and get back. A file per realm.

mod clinic;

wharf_kit::component![clinic::download, clinic::upload];
