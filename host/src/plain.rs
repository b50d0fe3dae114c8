//! Text of strangers, written so that no terminal and no reader of lines obeys what stands in it.
//!
//! Control characters are written as in a program's text: those of ASCII, those of Latin-1 (some terminals take
//! U+009B for the beginning of a command), and those that turn the direction of a line or end one (Unicode
//! Standard Annex 9). All else stays as it is, whatever language it is in.

use std::fmt::{self, Write as _};

/// Text whose lines stay lines.
pub fn text(text: &str) -> String {
    Plain { text, keeps_lines: true }.to_string()
}

/// Text that becomes one line. It is written without a copy.
pub fn line(text: &str) -> impl fmt::Display {
    Plain { text, keeps_lines: false }
}

/// A JSON document (RFC 8259), in which such characters can stand within strings alone.
pub fn json(document: &str) -> String {
    let mut plain = String::with_capacity(document.len());
    for c in document.chars() {
        match u16::try_from(u32::from(c)) {
            Ok(unit) if is_command(c) && c != '\n' => {
                let _ = write!(plain, "\\u{unit:04x}");
            }
            _ => plain.push(c),
        }
    }
    plain
}

struct Plain<'a> {
    text: &'a str,
    keeps_lines: bool,
}

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_written = |c: char| is_command(c) && !(self.keeps_lines && c == '\n');
        let mut rest = self.text;
        while let Some(at) = rest.find(is_written) {
            let (before, from) = rest.split_at(at);
            f.write_str(before)?;
            let mut characters = from.chars();
            if let Some(c) = characters.next() {
                write!(f, "{}", c.escape_default())?;
            }
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

/// Whether a terminal or a reader of lines could take a character for more than text.
fn is_command(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || c.is_control()
}
