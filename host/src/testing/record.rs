//! `NAME.answers`: what the requests of `NAME.http` were answered when they were recorded.
//!
//! A section for each request: `### ` and its name, the status, the headers, an empty line, and the body. JSON
//! is printed over several lines, so that a difference shows in the line that it is in.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use similar::TextDiff;

/// The files' extension.
pub const EXTENSION: &str = "answers";

/// What begins a section, here as in a script.
pub const MARK: &str = "###";

/// Headers that are another time's, or the host's own matter.
const LEFT_OUT: [&str; 7] = [
    "connection",
    "content-length",
    "date",
    "transfer-encoding",
    "x-request-id",
    "x-wharf-fuel",
    "x-wharf-revision",
];

/// The recorded answers of one file, in their order.
#[derive(Debug, Default)]
pub struct Record(Vec<(String, String)>);

impl Record {
    /// Reads a file of a folder of tests; empty if there is none.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let file = place(folder, name);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        let mut answers: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(MARK) {
                answers.push((name.trim().to_owned(), String::new()));
            } else if let Some((_, answer)) = answers.last_mut() {
                answer.push_str(line.strip_prefix('\\').unwrap_or(line));
                answer.push('\n');
            }
        }
        for (_, answer) in &mut answers {
            answer.truncate(answer.trim_end().len());
        }
        Ok(Record(answers))
    }

    /// What a request was answered.
    pub fn of(&self, request: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == request);
        found.map(|(_, answer)| answer.as_str())
    }

    /// Records what a request is answered.
    pub fn set(&mut self, request: &str, answer: String) {
        match self.0.iter_mut().find(|(name, _)| name == request) {
            Some((_, recorded)) => *recorded = answer,
            None => self.0.push((request.to_owned(), answer)),
        }
    }

    /// Forgets all requests but these, and takes their order.
    pub fn keep<'a>(&mut self, requests: impl Iterator<Item = &'a str>) {
        let mut recorded = std::mem::take(&mut self.0);
        for request in requests {
            if let Some(at) = recorded.iter().position(|(name, _)| name == request) {
                self.0.push(recorded.swap_remove(at));
            }
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), String> {
        let file = place(folder, name);
        let mut text = String::new();
        for (name, answer) in &self.0 {
            let _ = writeln!(text, "{MARK} {name}");
            for line in answer.lines() {
                // What would begin a section is told from one that does.
                let escape =
                    if line.starts_with(MARK) || line.starts_with('\\') { "\\" } else { "" };
                let _ = writeln!(text, "{escape}{line}");
            }
            text.push('\n');
        }
        std::fs::write(&file, text)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))
    }
}

fn place(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_added_extension(EXTENSION)
}

/// An answer as it is recorded. Headers are sorted; the body is shown if it is text.
pub fn shown<'a>(
    status: u16,
    headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    body: &[u8],
) -> String {
    let mut headers: Vec<String> = headers
        .filter(|(name, _)| !LEFT_OUT.contains(name))
        .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
        .collect();
    headers.sort();
    let mut shown = format!("{status}\n");
    for header in headers {
        let _ = writeln!(shown, "{header}");
    }
    let body = text_of(body);
    if !body.is_empty() {
        let _ = write!(shown, "\n{body}");
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// A body in lines: JSON printed over several, other text as it is, of bytes their number and digest.
fn text_of(body: &[u8]) -> String {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body)
        && let Ok(pretty) = serde_json::to_string_pretty(&json)
    {
        return pretty;
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.contains('\0') => text.replace("\r\n", "\n"),
        _ => {
            let digest = hex::encode(Sha256::digest(body));
            format!("<{} bytes with the SHA-256 {digest}>", body.len())
        }
    }
}

/// What differs between what was recorded and what is seen, as `diff -u` prints it.
pub fn difference(recorded: &str, seen: &str) -> String {
    let difference = TextDiff::from_lines(recorded, seen);
    difference.unified_diff().context_radius(3).missing_newline_hint(false).to_string()
}
