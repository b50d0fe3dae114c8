//! What names may look like: those of tenants, groups and settings, host names and grants.

use super::{Error, Kind};
use crate::capabilities::Grant;
use crate::outbound::Names;

/// Refuses what is no tenant's name.
pub(super) fn tenant(name: &str) -> Result<(), Error> {
    if is_name(name, 31) {
        return Ok(());
    }
    Err(unfit(
        format!("{name:?} is no name for a tenant"),
        "begin with a letter and use up to 31 small letters, digits and dashes",
    ))
}

/// Refuses what is no group's name.
pub fn group(name: &str) -> Result<(), Error> {
    if is_name(name, 63) {
        return Ok(());
    }
    Err(unfit(
        format!("{name:?} is no name for a group"),
        "begin with a letter and use up to 63 small letters, digits and dashes",
    ))
}

/// Refuses what is no setting's name.
pub(super) fn setting(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(unfit(
        format!("{name:?} is no name for a setting"),
        "use up to 64 letters, digits, dots, dashes and underscores",
    ))
}

/// Refuses what is no host name (RFC 1123, section 2.1), nor `*.` and one.
pub(super) fn host(name: &str) -> Result<(), Error> {
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= 253 && labels.split('.').all(label) {
        return Ok(());
    }
    Err(unfit(
        format!("{name:?} is no host name"),
        "write one such as shop.example.com or *.example.com, in small letters and without scheme and port",
    ))
}

/// Refuses what nobody can be granted.
pub(super) fn grant(name: &str) -> Result<(), Error> {
    if let Some(outbound) = name.strip_prefix("http:") {
        let is_written_as_compared = !outbound.contains(|c: char| c.is_ascii_uppercase());
        if is_written_as_compared && Names::parse([outbound]).is_ok() {
            return Ok(());
        }
        return Err(unfit(
            format!("{name:?} is no grant, for {outbound:?} is no host name in small letters"),
            "write one such as http:api.example.com, http:*.example.com or http:api.example.com:8443",
        ));
    }
    if Grant::ALL.iter().any(|grant| grant.to_string() == name) {
        return Ok(());
    }
    let known: Vec<String> = Grant::ALL.iter().map(ToString::to_string).collect();
    Err(unfit(
        format!("{name:?} is no grant"),
        format!("grants are {}, and http:<host name> for calls to a host", known.join(", ")),
    ))
}

/// Whether some host name is meant by both.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let covers = |pattern: &str, name: &str| match pattern.strip_prefix('*') {
        // Of two patterns the longer one lies within the other if it ends like it.
        Some(suffix) => name.strip_prefix('*').unwrap_or(name).ends_with(suffix),
        None => pattern == name,
    };
    covers(one, other) || covers(other, one)
}

fn is_name(name: &str, most: usize) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= most
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(fits)
}

fn unfit(message: String, remedy: impl Into<String>) -> Error {
    Error::refused(Kind::Unfit, message, remedy)
}
