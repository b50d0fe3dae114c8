//! Rules for inputs. What a broken rule is called is each realm's own business.

use email_address::{EmailAddress, Options};
use unicode_ident::is_xid_continue;
use wharf_kit::{Input, Value, text};

/// What an input must be. Except for `Required`, a rule holds for an input that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Sent, and not empty.
    Required,
    /// Text, not a number, an array or an object.
    Text,
    /// Text or a number, not an array or an object.
    Plain,
    /// A whole number, or text of one.
    Integer,
    /// A number within these bounds; of what is no number, the count of its characters.
    Between(i64, i64),
    /// At least so many characters.
    Min(usize),
    /// At most so many characters.
    Max(usize),
    /// So many characters, from and to.
    Length(usize, usize),
    /// Letters, marks and numbers of any script, dashes and underscores.
    AlphaDash,
    /// ASCII letters and digits.
    Alphanumeric,
    /// ASCII letters and digits, dashes and underscores.
    Word,
    /// Chinese characters, ASCII letters and digits, dashes and underscores.
    ChineseWord,
    /// ASCII digits.
    Digits,
    /// An e-mail address (RFC 5321, section 4.1.2).
    Email,
    /// A mobile number of mainland China.
    Phone,
    /// A mobile number that no virtual operator gives out.
    RealPhone,
    /// The same as the input named with `_confirmation` appended.
    Confirmed,
    /// The same as another input.
    Same(&'static str),
}

/// An input and its rules, in the order in which they are tried.
pub struct Field {
    /// The input's name.
    pub name: &'static str,
    /// What messages call it, where that is not its name.
    pub label: Option<&'static str>,
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

    /// The rules that the input breaks, in their order.
    pub fn broken<'a>(&'a self, input: &'a Input) -> impl Iterator<Item = Rule> + 'a {
        self.rules.iter().copied().filter(|rule| !rule.holds(input, self.name))
    }
}

impl Rule {
    /// Whether an input keeps it.
    pub fn holds(self, input: &Input, name: &str) -> bool {
        let value = input.value(name);
        if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
            return self != Rule::Required;
        }
        match self {
            Rule::Required => true,
            Rule::Text => value.is_string(),
            Rule::Plain => matches!(value, Value::String(_) | Value::Number(_)),
            Rule::Integer => text(value).is_some_and(|text| text.parse::<i64>().is_ok()),
            Rule::Between(least, most) => (least..=most).contains(&amount(value)),
            Rule::Min(least) => size(value) >= least,
            Rule::Max(most) => size(value) <= most,
            Rule::Length(least, most) => (least..=most).contains(&size(value)),
            Rule::AlphaDash => all(value, is_alpha_dash),
            Rule::Alphanumeric => all(value, |c| c.is_ascii_alphanumeric()),
            Rule::Word => all(value, is_word),
            Rule::ChineseWord => all(value, |c| is_word(c) || is_chinese(c)),
            Rule::Digits => all(value, |c| c.is_ascii_digit()),
            Rule::Email => value.as_str().is_some_and(is_email),
            Rule::Phone => text(value).is_some_and(|text| is_phone(&text)),
            Rule::RealPhone => text(value).is_some_and(|text| !is_virtual(&text)),
            Rule::Confirmed => input.value(&format!("{name}_confirmation")) == value,
            Rule::Same(other) => input.value(other) == value,
        }
    }
}

/// The characters of a text, or the members of an array or object.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        other => text(other).map_or(0, |text| text.chars().count()),
    }
}

/// A number, or the size of what is none. Fractions count as more than what they begin with.
fn amount(value: &Value) -> i64 {
    let number = text(value).and_then(|text| text.parse::<f64>().ok());
    #[expect(clippy::cast_possible_truncation, reason = "a float that is too large saturates")]
    number.map_or_else(
        || i64::try_from(size(value)).unwrap_or(i64::MAX),
        |number| number.ceil() as i64,
    )
}

/// Whether it is text or a number of such characters alone.
fn all(value: &Value, allowed: impl Fn(char) -> bool) -> bool {
    matches!(value, Value::String(_) | Value::Number(_))
        && text(value).is_some_and(|text| text.chars().all(allowed))
}

/// What Unicode lets a name go on with (UAX #31) is letters, marks and numbers but for these: punctuation
/// that joins, invisible joiners, and signs that were letters once.
const NO_LETTERS: [char; 17] = [
    '\u{B7}', '\u{387}', '\u{200C}', '\u{200D}', '\u{203F}', '\u{2040}', '\u{2054}', '\u{2118}',
    '\u{212E}', '\u{30FB}', '\u{FE33}', '\u{FE34}', '\u{FE4D}', '\u{FE4E}', '\u{FE4F}', '\u{FF3F}',
    '\u{FF65}',
];

/// Told by two small tables: one of all categories would make every instance copy 50 KiB more.
fn is_alpha_dash(c: char) -> bool {
    let is_named = is_xid_continue(c) && !NO_LETTERS.contains(&c);
    matches!(c, '_' | '-') || c.is_alphanumeric() || is_named
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// The block CJK Unified Ideographs up to its end in Unicode 4.1, as the original system has it.
fn is_chinese(c: char) -> bool {
    ('\u{4E00}'..='\u{9FA5}').contains(&c)
}

/// The bare address, without a name before it.
fn is_email(text: &str) -> bool {
    let options = Options::default().without_display_text();
    EmailAddress::parse_with_options(text, options).is_ok()
}

fn is_phone(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.len() == 11 && matches!(text.as_bytes(), [b'1', b'3'..=b'9', ..])
}

/// Prefixes that virtual operators give out.
fn is_virtual(text: &str) -> bool {
    ["162", "165", "167", "170", "171"].iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use wharf_kit::json;

    use super::*;

    #[test]
    fn letters_of_every_script_pass_and_punctuation_does_not() {
        for good in ["abc_-1", "密码密码", "e\u{301}tude", "हिन्दी", "ไทยเดิม", "Ⅷ½"]
        {
            assert!(all(&Value::from(good), is_alpha_dash), "{good}");
        }
        for bad in ["a b", "a@b", "a.b", "🙂", "a\u{200D}b", "a·b", "a‿b"] {
            assert!(!all(&Value::from(bad), is_alpha_dash), "{bad}");
        }
    }

    #[test]
    fn phones_have_eleven_digits_and_a_real_operator() {
        assert!(is_phone("13812345678") && is_phone("19912345678") && is_phone("16212345678"));
        for bad in ["12812345678", "1381234567", "138123456789", "+1381234567", "1381234567a"] {
            assert!(!is_phone(bad), "{bad}");
        }
        assert!(is_virtual("17012345678") && is_virtual("16512345678"));
        assert!(!is_virtual("17212345678") && !is_virtual("13812345678"));
    }

    #[test]
    fn addresses_are_bare() {
        for good in ["me@example.com", "me@example.comciw", "first.last+tag@sub.example.cn"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["me", "@example.com", "me@", "Me <me@example.com>", "a b@example.com"] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn amounts_are_numbers_or_counts() {
        assert_eq!(amount(&json!(2)), 2);
        assert_eq!(amount(&json!("24")), 24);
        assert_eq!(amount(&json!("abc")), 3);
        assert_eq!(amount(&json!(2.5)), 3);
        assert_eq!(amount(&json!(1e300)), i64::MAX);
    }

    #[test]
    fn fields_tell_every_broken_rule_in_order() {
        let input = Input::of("a=ab", "", b"");
        let field = field("a", &[Rule::Required, Rule::Min(3), Rule::Max(1), Rule::Word]);
        assert_eq!(field.broken(&input).collect::<Vec<_>>(), [Rule::Min(3), Rule::Max(1)]);
    }
}
