//! What people write in TOML (settings, manifests): where it is wrong, and what was meant most likely.

use serde::de::DeserializeOwned;

/// How like each other two names are, from 0 to 1, for one to be taken for the other with a typo.
const LIKE: f64 = 0.8;

/// What is wrong in a text.
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What was expected there, in toml's and serde's words; of names that mean nothing, the nearest that does.
    pub why: String,
}

/// Reads a text.
///
/// # Errors
/// The first thing that is wrong in it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().map_or("", |span| &text[..span.start]);
        Wrong { line: before.matches('\n').count() + 1, why: why(&error) }
    })
}

/// What an error says, of names that mean nothing with the nearest that does in place of all of them.
pub fn why(error: &toml::de::Error) -> String {
    let said = error.message();
    let mut names = said.split('`').skip(1).step_by(2);
    match (names.next(), said.split_once(", expected ")) {
        (Some(written), Some((unknown, _))) if said.starts_with("unknown ") => nearest(
            written, names,
        )
        .map_or_else(|| said.to_owned(), |meant| format!("{unknown}; the nearest is `{meant}`")),
        _ => said.to_owned(),
    }
}

/// The name that somebody who wrote another one most likely meant.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &'a str| (strsim::jaro_winkler(name, other), other);
    let like = names.into_iter().map(likeness).filter(|(likeness, _)| *likeness >= LIKE);
    like.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}
