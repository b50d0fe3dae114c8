//! What a step says, read into a tree and written anew.
//!
//! The author's text never reaches a database. A parser reads it, this room walks over the tree and
//! writes down what it knows: tables, indexes, further columns and rows of literals, with names in quotes
//! and literals escaped here. What it does not know is refused and never left out, so that a step means what its
//! author wrote or does not run.

use std::ops::ControlFlow;

use sqlparser::ast::{self, Ident, ObjectName, ObjectNamePart};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::{ALL_KEYWORDS, Keyword};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::Engine;
use super::writing::{Writer, plain};

/// Whether a word means something of its own in SQL, so that tables are better called something else.
pub fn is_keyword(word: &str) -> bool {
    ALL_KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

/// How deep parentheses lie in each other, and operators in the tree: the parser and whoever walks over its
/// tree call themselves that often.
const MOST_NESTED: usize = 20;

/// Operators of one statement. A chain of them is as deep a tree as it is long.
const MOST_OPERATORS: usize = 100;

/// One statement of a step.
#[derive(Debug)]
pub(super) struct Statement {
    /// The line that it begins at.
    pub(super) line: usize,
    /// What is sent.
    pub(super) sql: String,
    /// What it does to a table.
    pub(super) does: Does,
    /// The table.
    pub(super) table: String,
    /// The tables whose rows its rows refer to.
    pub(super) refers: Vec<String>,
}

/// What a statement does to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Makes it.
    Make,
    /// Makes it if it is not there.
    MakeUnlessThere,
    /// Adds a column, an index or rows.
    Add,
    /// Adds an index that refuses rows.
    AddUnique,
}

/// Reads a step for an engine.
///
/// # Errors
/// A sentence that begins with the line of what is refused, and says what to do instead.
pub(super) fn read(sql: &str, engine: Engine) -> Result<Vec<Statement>, String> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens =
        tokens.map_err(|error| format!("line {}: {}", error.location.line, error.message))?;
    check(&tokens)?;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(MOST_NESTED + MOST_OPERATORS)
        .with_tokens_with_locations(tokens);
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        let first = parser.peek_token();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        let line = line(&first);
        let at = |why: String| format!("line {line}: {why}");
        let statement =
            parser.parse_statement().map_err(|error| at(unreadable(&error.to_string())))?;
        if !matches!(parser.peek_token().token, Token::SemiColon | Token::EOF) {
            return Err(at(unreadable(&format!("{} comes too early", parser.peek_token().token))));
        }
        statements.push(written(&statement, line, engine).map_err(at)?);
    }
}

fn unreadable(why: &str) -> String {
    let why = why.trim_start_matches("sql parser error: ");
    format!("this is no statement of a migration ({why}); {FORMS}")
}

/// What a step may consist of.
const FORMS: &str = "a step consists of CREATE TABLE, CREATE INDEX, ALTER TABLE … ADD COLUMN and INSERT INTO … VALUES";

fn line(token: &TokenWithSpan) -> usize {
    usize::try_from(token.span.start.line).unwrap_or_default()
}

/// Refuses what no migration is made of before the parser meets it, and trees that would be too deep.
fn check(tokens: &[TokenWithSpan]) -> Result<(), String> {
    let (mut nested, mut operators, mut begins) = (0_usize, 0, true);
    for (index, token) in tokens.iter().enumerate() {
        let at = |why: String| Err(format!("line {}: {why}", line(token)));
        match &token.token {
            Token::Whitespace(_) | Token::EOF => continue,
            Token::SemiColon => {
                (nested, operators, begins) = (0, 0, true);
                continue;
            }
            _ if begins => {
                begins = false;
                if let ControlFlow::Break(why) = begin(tokens, index) {
                    return at(why);
                }
            }
            Token::LParen => nested += 1,
            Token::RParen => nested = nested.saturating_sub(1),
            Token::Word(word) if word.quote_style.is_none() && is_operator(word.keyword) => {
                operators += 1;
            }
            Token::Word(word) if matches!(word.quote_style, None | Some('"')) => {}
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => {
                operators += 1;
            }
            Token::Number(_, false)
            | Token::SingleQuotedString(_)
            | Token::Comma
            | Token::Minus => {}
            Token::Period => {
                return at("names stand alone, without a schema or a table before them".to_owned());
            }
            other => {
                return at(format!(
                    "{other} has no place in a migration; values are plain numbers and text in single quotes"
                ));
            }
        }
        if nested > MOST_NESTED || operators > MOST_OPERATORS {
            return at(format!(
                "a statement has at most {MOST_OPERATORS} operators, in parentheses of at most {MOST_NESTED} levels; split it"
            ));
        }
    }
    Ok(())
}

/// Words that make a tree deeper, in any dialect.
fn is_operator(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::AND
            | K::AT
            | K::BETWEEN
            | K::COLLATE
            | K::DIV
            | K::GLOB
            | K::ILIKE
            | K::IN
            | K::IS
            | K::LIKE
            | K::MATCH
            | K::MEMBER
            | K::NOT
            | K::NOTNULL
            | K::OPERATOR
            | K::OR
            | K::OVERLAPS
            | K::REGEXP
            | K::RLIKE
            | K::SIMILAR
            | K::XOR
    )
}

/// Refuses a statement by how it begins, with words for what people try.
fn begin(tokens: &[TokenWithSpan], index: usize) -> ControlFlow<String> {
    let mut words = tokens[index..].iter().filter_map(|token| match &token.token {
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => Some(String::new()),
    });
    let (verb, what) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    ControlFlow::Break(match (verb.as_str(), what.as_str()) {
        ("CREATE", "TABLE" | "INDEX" | "UNIQUE") | ("ALTER", "TABLE") | ("INSERT", _) => {
            return ControlFlow::Continue(());
        }
        ("DROP", _) => format!(
            "{verb} {what} takes away what an older revision needs, and rollback must stay possible: leave it where it is and stop using it"
        ),
        ("DELETE" | "TRUNCATE" | "UPDATE" | "REPLACE" | "MERGE", _) => format!(
            "{verb} changes rows that the revision before still uses: let the component do it, when its requests come upon them"
        ),
        ("BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "END" | "SAVEPOINT", _) => {
            format!("{verb} is not needed: each step is a transaction of its own")
        }
        ("CREATE" | "ALTER", _) => {
            format!("{verb} {what} is nothing that a migration may do; {FORMS}")
        }
        _ => format!("{verb} begins no statement of a migration; {FORMS}"),
    })
}

/// The statement that stands for the shape of all that are allowed. Everything that is read of a statement is
/// put into it; if the two are the same then, nothing else was said.
fn shape(sql: &str) -> ast::Statement {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql);
    parsed.ok().and_then(|mut statements| statements.pop()).expect("the statement is valid")
}

fn written(statement: &ast::Statement, line: usize, engine: Engine) -> Result<Statement, String> {
    let mut writer = Writer::new(engine);
    let (does, table) = match statement {
        ast::Statement::CreateTable(table) => (create_table(&mut writer, table)?, &table.name),
        ast::Statement::CreateIndex(index) => {
            (create_index(&mut writer, index)?, &index.table_name)
        }
        ast::Statement::AlterTable(table) => (add_column(&mut writer, table)?, &table.name),
        ast::Statement::Insert(insert) => {
            let ast::TableObject::TableName(name) = &insert.table else {
                return Err(format!("INSERT names a table; {FORMS}"));
            };
            (rows(&mut writer, insert)?, name)
        }
        _ => return Err(format!("this statement is nothing that a migration may do; {FORMS}")),
    };
    let table = plain(alone(table)?)?;
    let (sql, refers) = writer.end();
    Ok(Statement { line, sql, does, table, refers })
}

fn create_table(writer: &mut Writer, table: &ast::CreateTable) -> Result<Does, String> {
    let ast::Statement::CreateTable(mut plain) = shape("CREATE TABLE x (y INT)") else {
        unreachable!("the shape is a table");
    };
    plain.name = table.name.clone();
    plain.if_not_exists = table.if_not_exists;
    plain.columns.clone_from(&table.columns);
    plain.constraints.clone_from(&table.constraints);
    if plain != *table {
        return Err("CREATE TABLE takes columns and constraints alone: no AS SELECT, TEMPORARY, LIKE, INHERITS, or options behind the parenthesis".to_owned());
    }
    if table.columns.is_empty() {
        return Err("CREATE TABLE names at least one column".to_owned());
    }
    writer.table(alone(&table.name)?, table.if_not_exists, &table.columns, &table.constraints)?;
    Ok(if table.if_not_exists { Does::MakeUnlessThere } else { Does::Make })
}

fn create_index(writer: &mut Writer, index: &ast::CreateIndex) -> Result<Does, String> {
    let ast::Statement::CreateIndex(mut plain) = shape("CREATE INDEX x ON y (z)") else {
        unreachable!("the shape is an index");
    };
    plain.name.clone_from(&index.name);
    plain.table_name = index.table_name.clone();
    plain.columns.clone_from(&index.columns);
    plain.unique = index.unique;
    plain.if_not_exists = index.if_not_exists;
    if plain != *index {
        return Err("CREATE INDEX takes a name, a table and columns alone: no WHERE, USING, INCLUDE, WITH or CONCURRENTLY".to_owned());
    }
    let Some(name) = &index.name else {
        return Err("CREATE INDEX gives the index a name".to_owned());
    };
    let (name, table) = (alone(name)?, alone(&index.table_name)?);
    writer.index([name, table], index.unique, index.if_not_exists, &index.columns)?;
    Ok(if index.unique { Does::AddUnique } else { Does::Add })
}

fn add_column(writer: &mut Writer, table: &ast::AlterTable) -> Result<Does, String> {
    let refused = || {
        "ALTER TABLE adds one column, with ADD COLUMN and a name, a type and what is allowed behind it; what it renames, retypes or drops an older revision needs, and rollback must stay possible".to_owned()
    };
    let [
        ast::AlterTableOperation::AddColumn {
            column_keyword: _,
            if_not_exists: false,
            column_def,
            column_position: None,
        },
    ] = table.operations.as_slice()
    else {
        return Err(refused());
    };
    let ast::Statement::AlterTable(mut plain) = shape("ALTER TABLE x ADD COLUMN y INT") else {
        unreachable!("the shape is a table");
    };
    plain.name = table.name.clone();
    plain.operations.clone_from(&table.operations);
    if plain != *table {
        return Err(refused());
    }
    writer.column_of(alone(&table.name)?, column_def)?;
    Ok(Does::Add)
}

fn rows(writer: &mut Writer, insert: &ast::Insert) -> Result<Does, String> {
    let refused = "INSERT names its columns and gives literal values: INSERT INTO table (column, …) VALUES (literal, …), …; no SELECT, ON CONFLICT or RETURNING";
    let ast::Statement::Insert(mut plain) = shape("INSERT INTO x (y) VALUES (1)") else {
        unreachable!("the shape is an INSERT");
    };
    plain.table = insert.table.clone();
    plain.columns.clone_from(&insert.columns);
    let (ast::TableObject::TableName(table), Some(source)) = (&insert.table, &insert.source) else {
        return Err(refused.to_owned());
    };
    let ast::SetExpr::Values(values) = source.body.as_ref() else {
        return Err(refused.to_owned());
    };
    if let Some(source) = &mut plain.source
        && let ast::SetExpr::Values(plain) = source.body.as_mut()
    {
        plain.rows.clone_from(&values.rows);
    }
    if plain != *insert || insert.columns.is_empty() {
        return Err(refused.to_owned());
    }
    let columns = insert.columns.iter().map(alone).collect::<Result<Vec<_>, _>>()?;
    writer.rows(alone(table)?, &columns, values.rows.iter().map(|row| row.content.as_slice()))?;
    Ok(Does::Add)
}

/// A name that no other stands before.
pub(super) fn alone(name: &ObjectName) -> Result<&Ident, String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Ok(name),
        _ => Err(format!(
            "{name} is no name that stands alone; a migration reaches the tenant's own tables, by their names"
        )),
    }
}
