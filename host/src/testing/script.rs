//! `NAME.http`: requests as editors' HTTP clients write them.
//!
//! ```http
//! ### makes a coupon
//! # @as store 7 alice admin
//! POST /api/coupons
//! Content-Type: application/json
//!
//! {"code": "SPRING", "percent": 10}
//! ```
//!
//! `### ` begins a request and names it. Lines with `#` or `//` before it are comments, but for two:
//! `# @as REALM USER-ID [NAME [ROLE…]]` sends a token of that user's, and `# @advance SECONDS` moves the
//! clock first. Scheme and authority of a URL, or `{{host}}` in their place, are for editors: whatever they
//! say, the host under test is asked. A body `< FILE` is the content of a file beside the script.

use std::path::Path;

use serde::Deserialize;

use super::record::MARK;

/// The files' extension.
pub const EXTENSION: &str = "http";

/// The requests of one file, in their order.
#[derive(Debug)]
pub struct Script {
    /// The file's name, without its extension.
    pub name: String,
    /// The requests.
    pub steps: Vec<Step>,
}

/// One request.
#[derive(Debug, Default)]
pub struct Step {
    /// Its name, which no other of the file has.
    pub name: String,
    /// Seconds that the clock is moved by before.
    pub advance: i64,
    /// Whose token is sent.
    pub user: Option<User>,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The realm.
    pub realm: String,
    /// The user's id.
    pub id: i64,
    /// The user's name.
    #[serde(default)]
    pub name: String,
    /// The user's roles.
    #[serde(default)]
    pub roles: Vec<String>,
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// A sentence that names the file and the line, and what is wrong.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let steps = steps(&text, file.parent().unwrap_or(Path::new(".")))
            .map_err(|(line, why)| format!("{}:{line}: {why}", file.display()))?;
        if steps.is_empty() {
            return Err(format!(
                "{} holds no request; write one as: ### NAME, and in the next line: GET /path",
                file.display()
            ));
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Script { name, steps })
    }
}

/// What is wrong, and in which line.
type Wrong = (usize, String);

/// The requests of a text. `folder` holds the files that bodies are read from.
fn steps(text: &str, folder: &Path) -> Result<Vec<Step>, Wrong> {
    let mut sections: Vec<(usize, &str, Vec<&str>)> = vec![(0, "", Vec::new())];
    for (number, line) in (1..).zip(text.lines()) {
        match (line.strip_prefix(MARK), sections.last_mut()) {
            (Some(name), _) => {
                sections.push((number, name.trim_matches(['#', ' ', '\t']), Vec::new()));
            }
            (None, Some((_, _, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    for (number, name, lines) in sections {
        let Some(mut step) = step(number, &lines, folder)? else { continue };
        step.name = match name {
            "" => format!("{} {}", step.method, step.target),
            name => name.to_owned(),
        };
        if steps.iter().any(|other| other.name == step.name) {
            return Err((
                number,
                format!("there is another request named {:?}; name this one otherwise", step.name),
            ));
        }
        steps.push(step);
    }
    Ok(steps)
}

/// The request of a section that begins after a line; `None` if it holds nothing but comments.
fn step(before: usize, lines: &[&str], folder: &Path) -> Result<Option<Step>, Wrong> {
    let mut step = Step::default();
    let mut lines = (before + 1..).zip(lines.iter().copied());
    let head = loop {
        let Some((number, line)) = lines.next() else { return Ok(None) };
        let line = line.trim();
        match line.strip_prefix('#').or_else(|| line.strip_prefix("//")) {
            Some(comment) => direct(&mut step, comment.trim()).map_err(|why| (number, why))?,
            None if line.is_empty() => {}
            None => break (number, line),
        }
    };
    (step.method, step.target) = request_line(head.1).map_err(|why| (head.0, why))?;
    for (number, line) in lines.by_ref() {
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| {
            (
                number,
                format!(
                    "{line:?} is no header; write NAME: VALUE, and an empty line before the body"
                ),
            )
        })?;
        step.headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body: Vec<(usize, &str)> = lines.collect();
    let first = body.iter().find(|(_, line)| !line.trim().is_empty());
    let file = first.and_then(|(number, line)| Some((*number, line.strip_prefix("< ")?)));
    step.body = if let Some((number, file)) = file {
        let file = folder.join(file.trim());
        let read = std::fs::read(&file);
        read.map_err(|error| (number, format!("cannot read {}: {error}", file.display())))?
    } else {
        let lines: Vec<&str> = body.into_iter().map(|(_, line)| line).collect();
        let is_multipart = |(name, value): &(String, String)| {
            name == "content-type" && value.starts_with("multipart/")
        };
        // The lines of a multipart body end as those of a head do (RFC 2046, section 5.1.1).
        let end = if step.headers.iter().any(is_multipart) { "\r\n" } else { "\n" };
        lines.join(end).trim_end().as_bytes().to_vec()
    };
    Ok(Some(step))
}

/// What a comment says that is meant for whoever runs the tests.
fn direct(step: &mut Step, comment: &str) -> Result<(), String> {
    let Some(directive) = comment.strip_prefix('@') else { return Ok(()) };
    let mut words = directive.split_whitespace();
    match words.next() {
        Some("as") => {
            let usage = "write: # @as REALM USER-ID [NAME [ROLE…]]";
            let realm = words.next().ok_or(usage)?.to_owned();
            let id = words.next().and_then(|id| id.parse().ok()).ok_or(usage)?;
            let name = words.next().unwrap_or_default().to_owned();
            step.user = Some(User { realm, id, name, roles: words.map(str::to_owned).collect() });
        }
        Some("advance") => {
            let seconds = words.next().and_then(|seconds| seconds.parse().ok());
            step.advance = seconds.ok_or("write: # @advance SECONDS")?;
        }
        // Editors have directives of their own.
        _ => {}
    }
    Ok(())
}

/// Method and target of a line such as `GET /path`, `GET http://localhost:8080/path HTTP/1.1` or `/path`.
fn request_line(line: &str) -> Result<(String, String), String> {
    let wrong = || format!("{line:?} is no request; write METHOD /path");
    let mut words = line.split_whitespace();
    let first = words.next().ok_or_else(wrong)?;
    let (method, url) = match words.next() {
        Some(url) => (first, url),
        None => ("GET", first),
    };
    let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
    let path = match url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("{{"))
    {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    };
    if !is_method || !path.starts_with('/') {
        return Err(wrong());
    }
    Ok((method.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Step>, Wrong> {
        steps(text, Path::new("."))
    }

    #[test]
    fn requests_are_read_as_editors_write_them() {
        let text = "# about coupons\n\n### makes one\n# @as store 7 alice admin author\n# @advance 60\nPOST http://localhost:8080/api/coupons?a=1 HTTP/1.1\nContent-Type: application/json\n\n{\n  \"a\": 1\n}\n\n\n###\nGET {{host}}/b\n###\n/c\n### comments alone\n// nothing\n";
        let steps = read(text).expect("it is read");
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["makes one", "GET /b", "GET /c"]);
        let first = &steps[0];
        assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/api/coupons?a=1"));
        assert_eq!(first.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(first.body, b"{\n  \"a\": 1\n}");
        assert_eq!(first.advance, 60);
        let user = first.user.as_ref().expect("a user");
        assert_eq!((user.id, user.roles.len()), (7, 2));
    }

    #[test]
    fn the_lines_of_a_multipart_body_end_as_they_must() {
        let steps =
            read("POST /a\nContent-Type: multipart/form-data; boundary=x\n\n--x\n\n--x--\n");
        assert_eq!(steps.expect("it is read")[0].body, b"--x\r\n\r\n--x--");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("### a\nfetch /a", 2),
            ("### a\nGET a", 2),
            ("### a\nGET /a\nno header", 3),
            ("### a\n# @as store\nGET /a", 2),
            ("### a\n# @advance soon\nGET /a", 2),
            ("### a\nGET /a\n### a\nGET /b", 3),
            ("### a\nPOST /a\n\n< no-such-file", 4),
        ] {
            assert_eq!(read(text).expect_err(text).0, line, "{text}");
        }
    }
}
