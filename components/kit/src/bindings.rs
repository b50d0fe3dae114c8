//! The WIT package `wharf:plugin`, as Rust types and functions; its documentation is in `wit/`.
#![allow(missing_docs, clippy::pedantic, unsafe_code, reason = "generated from wit/")]

wit_bindgen::generate!({
    path: "wit",
    world: "plugin",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "wharf_kit::bindings",
});

/// What a component exports that wraps other groups.
pub mod wrapping {
    wit_bindgen::generate!({
        path: "wit",
        world: "wrapping",
        with: {
            "wharf:plugin/blobs@0.1.0": crate::bindings::wharf::plugin::blobs,
            "wharf:plugin/cache@0.1.0": crate::bindings::wharf::plugin::cache,
            "wharf:plugin/clock@0.1.0": crate::bindings::wharf::plugin::clock,
            "wharf:plugin/database@0.1.0": crate::bindings::wharf::plugin::database,
            "wharf:plugin/http@0.1.0": crate::bindings::wharf::plugin::http,
            "wharf:plugin/log@0.1.0": crate::bindings::wharf::plugin::log,
            "wharf:plugin/outbound@0.1.0": crate::bindings::wharf::plugin::outbound,
            "wharf:plugin/passwords@0.1.0": crate::bindings::wharf::plugin::passwords,
            "wharf:plugin/random@0.1.0": crate::bindings::wharf::plugin::random,
            "wharf:plugin/settings@0.1.0": crate::bindings::wharf::plugin::settings,
            "wharf:plugin/throttle@0.1.0": crate::bindings::wharf::plugin::throttle,
            "wharf:plugin/tokens@0.1.0": crate::bindings::wharf::plugin::tokens,
        },
        pub_export_macro: true,
        default_bindings_module: "wharf_kit::bindings::wrapping",
    });
}
