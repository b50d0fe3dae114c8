//! What must hold for any input that a guest's crates read: run on random bytes by `fuzz/guests`, and on the
//! files of `fuzz/corpus` by `cargo test`.

use memchr::memmem;
use wharf_kit::{Input, Value};
use wharf_realms::media::Kind;

/// The content types that a client may name; the first byte of the bytes chooses.
const KINDS: [&str; 5] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"",
    "text/plain",
];

/// A kind, a query up to the first line break, then a body: merged inputs hold neither U+0000 nor a
/// password that would be sent back, and reading them again gives the same.
pub fn input(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let query = String::from_utf8_lossy(&rest[..end]);
    let body = rest.get(end + 1..).unwrap_or_default();
    let input = Input::of(&query, kind, body);
    let echo = input.echo();
    assert!(!holds_nul(&echo), "U+0000 in {echo}");
    if let Value::Object(members) = &echo {
        let secret =
            |key: &String| key.to_ascii_lowercase().starts_with("password") || key == "passwd";
        assert!(!members.keys().any(secret), "a password in {echo}");
        for (name, value) in members {
            assert_eq!(input.value(name), value);
            assert!(input.has(name));
        }
    }
    assert_eq!(Input::of(&query, kind, body).echo(), echo);
}

/// A multipart body: files are parts of it, there are not too many, and what they are can be told.
pub fn multipart(bytes: &[u8]) {
    let input = Input::of("", "multipart/form-data; boundary=x", bytes);
    assert!(input.files().len() <= 1000);
    for file in input.files() {
        assert!(memmem::find(bytes, &file.content).is_some(), "a file that was not sent");
        if let Ok(kind) = Kind::of(file) {
            let key = format!("a.{}", kind.extension());
            assert_eq!(Kind::of_key(&key).map(Kind::content_type), Some(kind.content_type()));
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains('\0') || holds_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
