//! The inputs of a request, merged: a client may send them in the query, as a JSON object, as a form
//! or as multipart, and handlers see one map.
//!
//! A body that cannot be parsed is no input rather than an error, since documented clients send
//! `content-type: application/json` with an empty body. Of a key in both, the body's value counts.
//! U+0000 is taken out of all text: PostgreSQL cannot hold it, and both databases must answer alike.

use futures_util::FutureExt as _;
use futures_util::stream;
use multer::Multipart;
use serde_json::{Map, Value};

use crate::bindings::wharf::plugin::http;

/// Fields of a multipart body that are read; what follows is left out.
const MOST_PARTS: usize = 1000;

/// Levels of arrays and objects in a JSON body. Each takes half a kilobyte of a guest's 64 KiB stack;
/// a body with more counts as one that cannot be parsed.
const DEEPEST: usize = 32;

/// The inputs of a request, in the order in which they came: the body's, then the query's.
#[derive(Debug, Default)]
pub struct Input {
    values: Map<String, Value>,
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
    pub content: Vec<u8>,
}

impl Input {
    /// Merges what a request carries.
    pub(crate) fn parse(request: &http::Request) -> Self {
        let kind = content_type(request);
        let mut input = Input::default();
        if kind.contains("json") && depth(&request.body) <= DEEPEST {
            if let Ok(Value::Object(object)) = serde_json::from_slice(&request.body) {
                input.values = object;
            }
        } else if kind.starts_with("multipart/form-data") {
            input.read_multipart(&kind, &request.body);
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            input.values = pairs(&request.body);
        }
        for (key, value) in pairs(request.query.as_bytes()) {
            input.values.entry(key).or_insert(value);
        }
        input.values =
            input.values.into_iter().map(|(key, value)| (key.replace('\0', ""), value)).collect();
        for (key, value) in &mut input.values {
            let trimmed = !matches!(key.as_str(), "password" | "password_confirmation");
            clean(value, trimmed);
        }
        input
    }

    /// The value of an input; `Value::Null` if it was not sent or is empty.
    pub fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    /// Whether it was sent, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The text of an input; empty if it was not sent or is no text or number.
    pub fn text(&self, name: &str) -> String {
        text(self.value(name)).unwrap_or_default()
    }

    /// The files of a multipart body.
    pub fn files(&self) -> &[File] {
        &self.files
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

    /// Reads what can be read: a part that is not closed ends it.
    fn read_multipart(&mut self, kind: &str, body: &[u8]) {
        let Ok(boundary) = multer::parse_boundary(kind) else {
            return;
        };
        let body = body.to_vec();
        let mut form = Multipart::new(
            stream::once(async { Ok::<_, std::convert::Infallible>(body) }),
            boundary,
        );
        let read = async {
            let mut parts = 0;
            while let Ok(Some(field)) = form.next_field().await {
                parts += 1;
                if parts > MOST_PARTS {
                    break;
                }
                let name = field.name().unwrap_or_default().to_owned();
                let file = field.file_name().map(str::to_owned);
                let Ok(content) = field.bytes().await else {
                    break;
                };
                match file {
                    Some(file) => {
                        self.files.push(File {
                            field: name,
                            name: file,
                            content: content.to_vec(),
                        });
                    }
                    None => insert(&mut self.values, &name, &String::from_utf8_lossy(&content)),
                }
            }
        };
        // The whole body is here, so that there is nothing to wait for.
        read.now_or_never();
    }
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

/// The deepest nesting of brackets outside of strings, without building anything.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn content_type(request: &http::Request) -> String {
    let header = request.headers.iter().find(|(name, _)| name == "content-type");
    header.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).trim().to_owned())
}

fn pairs(form: &[u8]) -> Map<String, Value> {
    let mut values = Map::new();
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
        Value::Object(members) => members.values_mut().for_each(|member| clean(member, trimmed)),
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
    use crate::bindings::wharf::plugin::http::{Caller, Request};

    fn input(query: &str, kind: &str, body: &str) -> Input {
        Input::parse(&Request {
            method: "POST".into(),
            origin: String::new(),
            path: String::new(),
            query: query.into(),
            route: 0,
            path_parameters: Vec::new(),
            headers: vec![("content-type".into(), kind.into())],
            body: body.into(),
            client_address: String::new(),
            request_id: String::new(),
            caller: Caller::Anonymous,
        })
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
        assert_eq!(input.files()[0].content, b"content");
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
