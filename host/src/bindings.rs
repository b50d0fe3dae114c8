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
