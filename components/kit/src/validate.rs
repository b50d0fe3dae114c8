//! Rules for inputs, with the messages of the original systems. Only the first rule that fails of
//! the first field that fails is told.

use serde_json::Value;

use crate::Input;
use crate::input::text;

/// What an input must be. Except for `Required`, a rule holds for an input that is missing.
pub enum Rule {
    /// Sent, and not empty.
    Required,
    /// Text, not a number, an array or an object.
    Text,
    /// At least so many characters.
    Min(usize),
    /// Letters, marks and digits of any script, dashes and underscores.
    AlphaDash,
    /// ASCII letters and digits.
    Alphanumeric,
    /// The same as the input named with `_confirmation` appended.
    Confirmed,
    /// The same as another input.
    Same(&'static str),
}

/// An input and its rules, in the order in which they are tried.
pub struct Field {
    name: &'static str,
    label: Option<&'static str>,
    rules: &'static [Rule],
}

/// An input and its rules.
pub const fn field(name: &'static str, rules: &'static [Rule]) -> Field {
    Field { name, label: None, rules }
}

impl Field {
    /// What the messages call it, where that is not its name.
    #[must_use]
    pub const fn label(self, label: &'static str) -> Self {
        Field { label: Some(label), ..self }
    }
}

/// The message of the first rule that fails.
pub fn first_failure(input: &Input, fields: &[Field]) -> Option<String> {
    fields.iter().find_map(|field| {
        let label = field.label.map_or_else(|| words(field.name), str::to_owned);
        field.rules.iter().find_map(|rule| rule.failure(input, field.name, &label))
    })
}

impl Rule {
    fn failure(&self, input: &Input, name: &str, label: &str) -> Option<String> {
        let value = input.value(name);
        if is_empty(value) {
            return matches!(self, Rule::Required)
                .then(|| format!("The {label} field is required."));
        }
        match self {
            Rule::Required => None,
            Rule::Text => (!value.is_string()).then(|| format!("The {label} must be a string.")),
            Rule::Min(least) => {
                let length = size(value);
                (length < *least)
                    .then(|| format!("The {label} must be at least {least} characters."))
            }
            Rule::AlphaDash => (!all(value, is_alpha_dash)).then(|| {
                format!("The {label} may only contain letters, numbers, dashes and underscores.")
            }),
            Rule::Alphanumeric => (!all(value, |c| c.is_ascii_alphanumeric()))
                .then(|| format!("The {label} format is invalid.")),
            Rule::Confirmed => {
                let same = input.value(&format!("{name}_confirmation")) == value;
                (!same).then(|| format!("The {label} confirmation does not match."))
            }
            Rule::Same(other) => (input.value(other) != value)
                .then(|| format!("The {label} and {} must match.", words(other))),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// The characters of a text, or the members of an array or object.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        other => text(other).map_or(0, |text| text.chars().count()),
    }
}

/// Whether it is text or a number of such characters alone.
fn all(value: &Value, allowed: impl Fn(char) -> bool) -> bool {
    matches!(value, Value::String(_) | Value::Number(_))
        && text(value).is_some_and(|text| text.chars().all(allowed))
}

/// A letter, a mark or a digit of any script, a dash or an underscore.
fn is_alpha_dash(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-') || is_mark(c)
}

/// Combining marks, which follow the letter that they belong to: Unicode's blocks of them.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x0483..=0x0489 | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE00..=0xFE0F | 0xFE20..=0xFE2F)
}

/// `old_password` and `oldPassword` → `old password`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            words.push(' ');
        }
        if c != '_' {
            words.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        assert_eq!(words("password_confirmation"), "password confirmation");
        assert_eq!(words("newPassword_confirmation"), "new password confirmation");
    }

    #[test]
    fn letters_of_every_script_pass_and_punctuation_does_not() {
        for good in ["abc_-1", "密码密码", "e\u{301}tude"] {
            assert!(all(&Value::from(good), is_alpha_dash), "{good}");
        }
        for bad in ["a b", "a@b", "a.b", "🙂"] {
            assert!(!all(&Value::from(bad), is_alpha_dash), "{bad}");
        }
    }
}
