//! Which compiler a component was built by, and which is here.

use std::process::Command;

use wasmparser::{KnownCustom, Parser, Payload};

/// The version of rustc that a component says it was built by (WebAssembly tool conventions, the producers
/// section); `None` if it was written in another language.
pub(super) fn of(component: &[u8]) -> Option<String> {
    let sections = Parser::new(0).parse_all(component).filter_map(Result::ok);
    let producers = sections.filter_map(|payload| match payload {
        Payload::CustomSection(section) => match section.as_known() {
            KnownCustom::Producers(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    });
    let mut fields = producers.flatten().filter_map(Result::ok);
    fields.find_map(|field| {
        let mut values = field.values.into_iter().filter_map(Result::ok);
        values.find(|value| value.name == "rustc").map(|value| value.version.to_owned())
    })
}

/// The version of the rustc that is called here.
pub(super) fn here() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.trim().strip_prefix("rustc ")?.to_owned())
}
