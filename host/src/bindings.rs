//! The WIT package `wharf:plugin`, as Rust types and traits.
#![expect(missing_docs, reason = "the documentation of these items is in wit/")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    imports: { default: async | trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: false },
    with: { "wharf:plugin/database.transaction": crate::capabilities::database::OpenTransaction },
});

/// What a component exports that wraps other groups. Its imports are linked as everybody's.
pub mod wrapping {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wharf:host;
            world wrapping {
                export wharf:plugin/middleware@0.1.0;
            }
        ",
        world: "wharf:host/wrapping",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: false },
        with: { "wharf:plugin/http": crate::bindings::wharf::plugin::http },
    });
}
