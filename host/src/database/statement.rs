//! What a component may send: statements that read and write rows, and nothing that reaches further.
//!
//! The database itself keeps groups to their tables. What it cannot be told to refuse is what any
//! session may do: change its own settings, hold advisory locks, sleep, signal the role's other
//! sessions, read the catalogue. All of that takes a function or a catalogue's table. So a statement is
//! read once before it is sent, for what stands in front of each opening parenthesis: a function that
//! is not in [`FUNCTIONS`] is refused, on both databases alike. Nothing has to be put right after
//! a request, since no statement that passes leaves anything but rows behind.
//!
//! The reading is coarse on purpose, and errs towards refusing: it does not tell text in quotes from
//! what is outside of them, so that no disagreement about where quotes end can hide a call. Whatever
//! it takes for a call by mistake belongs in a parameter.

use super::{Failure, Limits, Value};

/// What a statement may begin with.
const VERBS: &[&str] = &["delete", "insert", "select", "update", "values", "with"];

/// Functions that compute from their arguments or from rows, in time and memory that grow with those
/// alone. Sorted.
///
/// Left out besides what reaches further: what makes much from little (`repeat`, `lpad`, `printf`,
/// `zeroblob`, `generate_series`), or, doubled again and again by a recursion, from nothing (`concat`,
/// `string_agg`, and `||` for the same reason), and what SQLite cannot interrupt while it takes the square of its arguments'
/// lengths (`replace`, `trim`, `instr`).
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "cast",
    "ceil",
    "char_length",
    "coalesce",
    "count",
    "date",
    "date_trunc",
    "datetime",
    "dense_rank",
    "encode",
    "extract",
    "first_value",
    "floor",
    "greatest",
    "hex",
    "ifnull",
    "iif",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "max",
    "md5",
    "min",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "random",
    "rank",
    "right",
    "round",
    "row_number",
    "sha256",
    "sign",
    "strftime",
    "substr",
    "substring",
    "sum",
    "total",
    "typeof",
    "unixepoch",
    "upper",
];

/// Words of the language that a parenthesis may follow. Sorted.
const WORDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "char",
    "character",
    "conflict",
    "decimal",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "from",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "lateral",
    "like",
    "limit",
    "materialized",
    "not",
    "numeric",
    "offset",
    "on",
    "or",
    "over",
    "returning",
    "select",
    "set",
    "some",
    "then",
    "timestamp",
    "to",
    "union",
    "using",
    "values",
    "varchar",
    "when",
    "where",
    "with",
];

/// What may follow INTO only where a table is made, which SELECT … INTO does on PostgreSQL.
const MADE: &[&str] = &["global", "local", "table", "temp", "temporary", "unlogged"];

/// How the names of what belongs to the databases themselves, and to the records of migrations, begin.
const CATALOGUES: &[&str] =
    &["information_schema", "pg_", "pragma_", "sqlite_", "_sqlx_", "_wharf_"];

/// Types and words that tell what the catalogue holds, or who asks, without naming a table of it.
const TELLING: &[&str] = &[
    "current_catalog",
    "current_role",
    "current_schema",
    "current_user",
    "oid",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "session_user",
    "system_user",
];

/// Whether a name is one of the databases' own, or of the host's records in them.
pub(super) fn is_of_the_database(name: &str) -> bool {
    let begins =
        |own: &&str| name.get(..own.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(own));
    let is_telling = TELLING.iter().any(|telling| name.eq_ignore_ascii_case(telling));
    is_telling || CATALOGUES.iter().any(begins)
}

/// Refuses what neither database should see, alike for both.
pub(super) fn check(sql: &str, parameters: &[Value], limits: &Limits) -> Result<(), Failure> {
    let denied = |why: String| Err(Failure::Denied(why));
    let Limits { statement_bytes, parameters: most, value_bytes, .. } = *limits;
    if sql.len() > statement_bytes {
        return denied(format!(
            "a statement has at most {statement_bytes} bytes (sql.statement_bytes); values go into parameters"
        ));
    }
    if parameters.len() > most {
        return denied(format!("a statement has at most {most} parameters (sql.parameters)"));
    }
    if parameters.iter().any(|value| value.bytes() - size_of::<Value>() > value_bytes) {
        return Err(Failure::Invalid(format!(
            "a value has at most {value_bytes} bytes (sql.value_bytes)"
        )));
    }
    let nul = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
    if sql.contains('\0') || parameters.iter().any(nul) {
        return Err(Failure::Invalid("text holds U+0000".into()));
    }
    let statement = sql.trim().trim_end_matches(';');
    // SQLite would run what follows as a second statement.
    if statement.contains(';') {
        return denied(
            "one statement a call: a semicolon may only end it, text goes into parameters".into(),
        );
    }
    // SQLite takes a byte-order mark for space, and so it could hide a name from the reading.
    if statement.contains('\u{feff}') {
        return denied("a statement holds no U+FEFF".into());
    }
    if statement.contains("||") {
        return denied(
            "a statement joins no texts with ||: put them together first, or read both".into(),
        );
    }
    if statement.contains("--") || statement.contains("/*") {
        return denied("a statement holds no comments, and text goes into parameters".into());
    }
    Reader::new(statement).read()
}

/// A token of a statement, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// The beginning.
    Nothing,
    /// A name, a word of the language, a number or a parameter.
    Word(&'a str),
    /// Any other character.
    Sign(u8),
}

impl Token<'_> {
    fn is(self, word: &str) -> bool {
        matches!(self, Token::Word(this) if this.eq_ignore_ascii_case(word))
    }
}

struct Reader<'a> {
    statement: &'a str,
    /// The token before the present one, and the one before that.
    before: [Token<'a>; 2],
}

impl<'a> Reader<'a> {
    fn new(statement: &'a str) -> Self {
        Reader { statement, before: [Token::Nothing; 2] }
    }

    fn read(mut self) -> Result<(), Failure> {
        let mut rest = self.statement;
        while let Some(first) = rest.bytes().next() {
            // What PostgreSQL and SQLite take for space between tokens.
            if matches!(first, b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c') {
                rest = &rest[1..];
                continue;
            }
            let length = rest.bytes().take_while(|byte| is_of_word(*byte)).count();
            let token = if length == 0 { Token::Sign(first) } else { Token::Word(&rest[..length]) };
            self.step(token).map_err(Failure::Denied)?;
            rest = &rest[length.max(1)..];
            self.before = [token, self.before[0]];
        }
        if self.before[0] == Token::Nothing {
            return Err(Failure::Denied(verbs()));
        }
        Ok(())
    }

    fn step(&self, token: Token<'a>) -> Result<(), String> {
        match token {
            Token::Word(word) => self.word(word),
            Token::Sign(b'(') => self.parenthesis(),
            // Names and text whose letters are written as numbers.
            Token::Sign(b'"' | b'\'')
                if self.before[0] == Token::Sign(b'&') && self.before[1].is("u") =>
            {
                Err("names and text are written as they are, not as U&…".to_owned())
            }
            Token::Sign(_) if self.before[0] == Token::Nothing => Err(verbs()),
            Token::Sign(_) | Token::Nothing => Ok(()),
        }
    }

    fn word(&self, word: &str) -> Result<(), String> {
        let [before, earlier] = self.before;
        if before == Token::Nothing && !VERBS.iter().any(|verb| word.eq_ignore_ascii_case(verb)) {
            return Err(verbs());
        }
        if is_of_the_database(word) {
            return Err(format!("{word} belongs to the database, and is nothing of a tenant's"));
        }
        let makes_a_table = if before.is("into") {
            MADE.iter().any(|made| word.eq_ignore_ascii_case(made))
        } else {
            // INSERT begins the statement, or what stands in parentheses or behind them; elsewhere it is a name.
            let inserts =
                before.is("insert") && matches!(earlier, Token::Nothing | Token::Sign(b'(' | b')'));
            word.eq_ignore_ascii_case("into") && !inserts
        };
        if makes_a_table {
            return Err("INTO stands after INSERT alone, before a table's name".to_owned());
        }
        Ok(())
    }

    /// What stands before a parenthesis is an operator, a word of the language, a table that rows are
    /// inserted into, a table that WITH names, or else a function.
    fn parenthesis(&self) -> Result<(), String> {
        match self.before {
            [Token::Sign(b'"' | b'\'' | b'`' | b']'), _] => {
                Err("a name in quotes has no parenthesis after it, and text goes into parameters"
                    .to_owned())
            }
            [Token::Nothing, _] => Err(verbs()),
            [Token::Sign(_), _] => Ok(()),
            [Token::Word(_), before]
                if before.is("into") || before.is("recursive") || before.is("with") =>
            {
                Ok(())
            }
            [Token::Word(word), _] => {
                let lower = word.to_ascii_lowercase();
                let known = |list: &[&str]| list.binary_search(&lower.as_str()).is_ok();
                if known(WORDS) || known(FUNCTIONS) {
                    Ok(())
                } else {
                    Err(format!(
                        "the function {word} may not be called; those that may are {}, and text with parentheses goes into parameters",
                        FUNCTIONS.join(", ")
                    ))
                }
            }
        }
    }
}

fn verbs() -> String {
    format!("statements begin with one of {}", VERBS.join(", ").to_ascii_uppercase())
}

/// Bytes beyond ASCII are of names in both databases.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}
