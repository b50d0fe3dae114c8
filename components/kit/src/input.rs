//! The inputs of a request, merged: a client may send them in the query, as a JSON object, as a form
//! or as multipart, and handlers see one map.
//!
//! A body that cannot be parsed is no input rather than an error, since documented clients send
//! `content-type: application/json` with an empty body. Of a key in both, the body's value counts.
//! U+0000 is taken out of all text: PostgreSQL cannot hold it, and both databases must answer alike.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream;
use multer::Multipart;
use serde_json::{Map, Value};

/// Parts of a multipart body; one with more counts as one that cannot be parsed.
const MOST_PARTS: usize = 1000;

/// Values in a JSON body, and pairs of a query or form; with more it counts as one that cannot be parsed.
/// Each takes a hundred bytes of a guest's memory, which a long list of nothing would fill.
pub(crate) const MOST_VALUES: usize = 10_000;

/// Levels of arrays and objects in a JSON body. Each takes half a kilobyte of a guest's 64 KiB stack;
/// a body with more counts as one that cannot be parsed.
pub(crate) const DEEPEST: usize = 32;

/// The inputs of a request, in the order in which they came: the body's, then the query's.
#[derive(Debug, Default)]
pub struct Input {
    values: Map<String, Value>,
    /// How many of the values came in the body.
    in_body: usize,
    files: Vec<File>,
}

/// A file of a multipart body.
#[derive(Debug)]
pub struct File {
    /// The field that it was sent in.
    pub field: String,
    /// The name that the client gave it. Never a path to write to.
    pub name: String,
    /// Its content.
    pub content: Bytes,
}

impl Input {
    /// The inputs of a query and a body, as a handler gets them: for tests of handlers.
    pub fn of(query: &str, content_type: &str, body: &[u8]) -> Self {
        Input::parse(query, content_type, &Bytes::copy_from_slice(body))
    }

    /// Merges what a request carries.
    pub(crate) fn parse(query: &str, content_type: &str, body: &Bytes) -> Self {
        // The names of media types and of their parameters have no case, but boundaries do (RFC 9110, section 8.3.1).
        let kind = content_type.trim().to_ascii_lowercase();
        let (mut sent, mut files) = (Map::new(), Vec::new());
        if kind.contains("json") && is_bounded(body) {
            if let Ok(Value::Object(object)) = serde_json::from_slice(body) {
                sent = object;
            }
        } else if kind.starts_with("multipart/form-data") {
            (sent, files) = multipart(content_type, body).unwrap_or_default();
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            sent = pairs(body);
        }
        let mut values = Map::new();
        for (key, value) in sent {
            values.insert(without_nul(key), value);
        }
        let in_body = values.len();
        for (key, value) in pairs(query.as_bytes()) {
            values.entry(without_nul(key)).or_insert(value);
        }
        for (key, value) in &mut values {
            let trimmed = !matches!(key.as_str(), "password" | "password_confirmation");
            clean(value, trimmed);
        }
        Input { values, in_body, files }
    }

    /// The value of an input; `Value::Null` if it was not sent or is empty.
    pub fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    /// Whether it was sent, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether it was sent in the body.
    pub fn is_in_body(&self, name: &str) -> bool {
        self.values.keys().take(self.in_body).any(|key| key == name)
    }

    /// The text of an input; empty if it was not sent or is no text or number.
    pub fn text(&self, name: &str) -> String {
        text(self.value(name)).unwrap_or_default()
    }

    /// The files of a multipart body.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file that was sent in a field, of several the last.
    pub fn file(&self, field: &str) -> Option<&File> {
        self.files.iter().rev().find(|file| file.field == field)
    }

    /// All of them.
    pub(crate) fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// All inputs as they may be sent back: without passwords. No input at all is an empty array.
    pub fn echo(&self) -> Value {
        let shown = self.values.iter().filter(|(key, _)| !is_password(key));
        let echo: Map<String, Value> =
            shown.map(|(key, value)| (key.clone(), value.clone())).collect();
        if self.values.is_empty() { Value::Array(Vec::new()) } else { Value::Object(echo) }
    }

    /// The inputs of these names that were sent, in the order of the names.
    pub fn only(&self, names: &[&str]) -> Map<String, Value> {
        names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.values.get(*name)?.clone())))
            .collect()
    }
}

/// The fields and files of a multipart body; `None` if it is broken, whether in part or whole.
fn multipart(content_type: &str, body: &Bytes) -> Option<(Map<String, Value>, Vec<File>)> {
    let boundary = multer::parse_boundary(content_type).ok()?;
    let whole = body.clone();
    let mut form =
        Multipart::new(stream::once(async { Ok::<_, std::convert::Infallible>(whole) }), boundary);
    let read = async {
        let (mut values, mut files) = (Map::new(), Vec::new());
        let mut parts = 0;
        while let Some(mut field) = form.next_field().await.ok()? {
            parts += 1;
            if parts > MOST_PARTS {
                return None;
            }
            // The first piece is all there is, since the whole body is here; it is not copied.
            let mut content = field.chunk().await.ok()?.unwrap_or_default();
            while let Some(more) = field.chunk().await.ok()? {
                content = [content, more].concat().into();
            }
            let field_name = field.name().unwrap_or_default().to_owned();
            match field.file_name() {
                // What a browser sends for a file that nobody chose.
                Some("") if content.is_empty() => {}
                Some(name) => {
                    files.push(File { field: field_name, name: name.to_owned(), content });
                }
                None => insert(&mut values, &field_name, &String::from_utf8_lossy(&content)),
            }
        }
        Some((values, files))
    };
    // The whole body is here, so that there is nothing to wait for.
    read.now_or_never()?
}

fn without_nul(key: String) -> String {
    if key.contains('\0') { key.replace('\0', "") } else { key }
}

/// The text of a string or a number; a boolean's is `1` or empty, as in the original systems.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some(String::new()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether JSON is neither too deep nor made of too many values, told without building anything.
pub(crate) fn is_bounded(json: &[u8]) -> bool {
    let (mut depth, mut deepest, mut values) = (0_usize, 0, 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => (depth, values) = (depth + 1, values + 1),
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted => values += 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest <= DEEPEST && values <= MOST_VALUES
}

fn pairs(form: &[u8]) -> Map<String, Value> {
    let mut values = Map::new();
    if memchr::memchr_iter(b'&', form).count() > MOST_VALUES {
        return values;
    }
    for (key, value) in form_urlencoded::parse(form) {
        insert(&mut values, &key, &value);
    }
    values
}

/// Enters a pair; `key[]` and `key[name]` make an array and an object, one level deep. Of the same
/// key twice, the later counts.
fn insert(values: &mut Map<String, Value>, key: &str, value: &str) {
    let value = Value::String(value.to_owned());
    let bracketed = key.strip_suffix(']').and_then(|key| key.split_once('['));
    match bracketed {
        Some((base, "")) if !base.is_empty() => match values.get_mut(base) {
            Some(Value::Array(items)) => items.push(value),
            _ => {
                values.insert(base.to_owned(), Value::Array(vec![value]));
            }
        },
        Some((base, name)) if !base.is_empty() => match values.get_mut(base) {
            Some(Value::Object(members)) => {
                members.insert(name.to_owned(), value);
            }
            _ => {
                values.insert(
                    base.to_owned(),
                    Value::Object(Map::from_iter([(name.to_owned(), value)])),
                );
            }
        },
        _ => {
            values.insert(key.to_owned(), value);
        }
    }
}

/// Trims text, makes empty text null, and takes U+0000 out, all the way down.
fn clean(value: &mut Value, trimmed: bool) {
    match value {
        Value::String(text) => {
            if text.contains('\0') {
                *text = text.replace('\0', "");
            }
            if trimmed {
                let kept = text.trim_matches([' ', '\t', '\n', '\r', '\x0b']);
                if kept.len() < text.len() {
                    *text = kept.to_owned();
                }
            }
            if text.is_empty() {
                *value = Value::Null;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, trimmed)),
        Value::Object(members) => {
            if members.keys().any(|key| key.contains('\0')) {
                let sent = std::mem::take(members);
                members.extend(sent.into_iter().map(|(key, member)| (without_nul(key), member)));
            }
            members.values_mut().for_each(|member| clean(member, trimmed));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether an input holds a password, under any of the names that the API has for one.
fn is_password(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("password")
        || key.starts_with("newpassword")
        || key.starts_with("oldpassword")
        || key == "passwd"
        || key == "repasswd"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(query: &str, kind: &str, body: &str) -> Input {
        Input::of(query, kind, body.as_bytes())
    }

    #[test]
    fn the_body_comes_first_and_wins_over_the_query() {
        let input = input("a=query&b=2", "application/json", r#"{"c":3,"a":"body"}"#);
        assert_eq!(input.echo().to_string(), r#"{"c":3,"a":"body","b":"2"}"#);
    }

    #[test]
    fn an_empty_or_broken_body_is_no_input() {
        for body in ["", "[object Object]", "{", "[1,2]", "\"text\"", &"[".repeat(10_000)] {
            assert_eq!(input("", "application/json", body).echo(), json!([]), "{body}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested =
            |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(input("", "application/json", &nested(DEEPEST - 1)).has("a"));
        assert!(!input("", "application/json", &nested(DEEPEST)).has("a"));
        assert!(
            input("", "application/json", r#"{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"["}"#)
                .has("a")
        );
    }

    #[test]
    fn bodies_of_very_many_values_are_no_input() {
        let list = |values: usize| format!(r#"{{"a":[{}0]}}"#, "0,".repeat(values));
        assert!(input("", "application/json", &list(MOST_VALUES - 2)).has("a"));
        assert!(!input("", "application/json", &list(MOST_VALUES)).has("a"));
        let form = |pairs: usize| "a[]=1&".repeat(pairs);
        assert!(input("", "application/x-www-form-urlencoded", &form(MOST_VALUES)).has("a"));
        assert!(!input("", "application/x-www-form-urlencoded", &form(MOST_VALUES + 1)).has("a"));
    }

    #[test]
    fn text_is_trimmed_and_empty_text_is_null_but_passwords_keep_their_spaces() {
        let input = input("name=+a+&empty=++&password=+p+", "", "");
        assert_eq!(input.value("name"), "a");
        assert!(input.has("empty") && input.value("empty").is_null());
        assert_eq!(input.value("password"), " p ");
    }

    #[test]
    fn multipart_gives_fields_and_files() {
        let body = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n\
                    --x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"../f.txt\"\r\n\r\ncontent\r\n--x--\r\n";
        let input = input("", "multipart/form-data; boundary=x", body);
        assert_eq!(input.value("a"), "1");
        assert_eq!(input.files()[0].field, "f");
        assert_eq!(&*input.files()[0].content, b"content");
        assert_eq!(input.file("f").expect("the file").name, "../f.txt");
    }

    #[test]
    fn media_types_have_no_case_but_boundaries_do() {
        assert_eq!(input("", "Application/JSON", r#"{"a":1}"#).value("a"), 1);
        assert_eq!(input("", "APPLICATION/x-www-form-urlencoded", "a=1").value("a"), "1");
        let body = "--Xy\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--Xy--\r\n";
        assert_eq!(input("", "Multipart/Form-Data; boundary=Xy", body).value("a"), "1");
        assert!(!input("", "Multipart/Form-Data; boundary=xy", body).has("a"));
    }

    #[test]
    fn a_key_with_nul_does_not_come_before_the_body() {
        let input = input("a%00=query", "application/json", r#"{"a":"body"}"#);
        assert_eq!(input.value("a"), "body");
    }

    #[test]
    fn the_body_is_told_from_the_query() {
        let input = input("a=1&b=2", "application/json", r#"{"b":3,"c":4}"#);
        assert!(input.is_in_body("b") && input.is_in_body("c") && !input.is_in_body("a"));
    }

    #[test]
    fn too_many_parts_are_no_input() {
        let part = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        let body = |parts: usize| format!("{}--x--\r\n", part.repeat(parts));
        assert!(input("", "multipart/form-data; boundary=x", &body(MOST_PARTS)).has("a"));
        assert!(!input("", "multipart/form-data; boundary=x", &body(MOST_PARTS + 1)).has("a"));
    }

    #[test]
    fn an_unclosed_part_or_a_missing_boundary_is_no_input() {
        let body = "--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1";
        assert!(!input("", "multipart/form-data; boundary=x", body).has("a"));
        assert!(!input("", "multipart/form-data", body).has("a"));
    }

    #[test]
    fn brackets_make_arrays_and_objects() {
        let input = input("a[]=1&a[]=2&b[x]=3", "", "");
        assert_eq!(*input.value("a"), json!(["1", "2"]));
        assert_eq!(*input.value("b"), json!({ "x": "3" }));
    }

    #[test]
    fn nul_is_taken_out_and_passwords_are_not_echoed() {
        let input = input("a=x%00y&newPassword=secret&password_confirmation=secret", "", "");
        assert_eq!(input.echo(), json!({ "a": "xy" }));
    }
}
