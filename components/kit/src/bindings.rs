//! The WIT package `wharf:plugin`, as Rust types and functions; its documentation is in `wit/`.
#![allow(missing_docs, clippy::pedantic, unsafe_code, reason = "generated from wit/")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "wharf_kit::bindings",
});
