//! What is sent of a statement that was read: names in quotes, types that both engines take for the same, and
//! literals escaped for the engine.
//!
//! Nothing is printed by the parser's own printer, which takes a quote behind a backslash for an escaped one.

use std::fmt::Write as _;

use sqlparser::ast::{
    BinaryOperator, CheckConstraint, ColumnDef, ColumnOption, DataType, ExactNumberInfo, Expr,
    ForeignKeyConstraint, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GeneratedAs, Ident, IndexColumn, NullsDistinctOption, OrderByExpr,
    OrderByOptions, OrderBySort, PrimaryKeyConstraint, ReferentialAction, TableConstraint,
    UnaryOperator, UniqueConstraint, Value, ValueWithSpan,
};

use super::super::statement;
use super::Engine;
use super::reading::alone;

/// The longest name, in bytes, that PostgreSQL keeps (`NAMEDATALEN` less one).
const LONGEST_NAME: usize = 63;

/// Columns of one table, and of one constraint or index.
const MOST_COLUMNS: usize = 200;

/// Writes one statement.
pub(super) struct Writer {
    engine: Engine,
    sql: String,
    /// The tables that it has referred to.
    refers: Vec<String>,
    /// The columns that a condition may name.
    columns: Vec<String>,
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    /// Zero or one on both engines: SQLite has no other.
    Boolean,
    Float,
    Text,
    Bytes,
}

impl Writer {
    pub(super) fn new(engine: Engine) -> Self {
        Writer { engine, sql: String::new(), refers: Vec::new(), columns: Vec::new() }
    }

    /// The statement, and the tables that it refers to.
    pub(super) fn end(self) -> (String, Vec<String>) {
        (self.sql, self.refers)
    }

    /// CREATE TABLE
    pub(super) fn table(
        &mut self,
        name: &Ident,
        if_not_exists: bool,
        columns: &[ColumnDef],
        constraints: &[TableConstraint],
    ) -> Result<(), String> {
        few(columns.len(), "a table")?;
        self.columns =
            columns.iter().map(|column| plain(&column.name)).collect::<Result<_, _>>()?;
        self.words(if if_not_exists { "CREATE TABLE IF NOT EXISTS" } else { "CREATE TABLE" });
        self.quoted(name)?;
        self.words(" (");
        for (index, column) in columns.iter().enumerate() {
            self.comma(index);
            self.column(column)?;
        }
        for constraint in constraints {
            self.comma(1);
            self.constraint(constraint)?;
        }
        self.words(")");
        if self.engine == Engine::Sqlite {
            self.words(" STRICT");
        }
        Ok(())
    }

    /// CREATE INDEX, by its own name and its table's.
    pub(super) fn index(
        &mut self,
        [name, table]: [&Ident; 2],
        unique: bool,
        if_not_exists: bool,
        columns: &[IndexColumn],
    ) -> Result<(), String> {
        self.words(if unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
        if if_not_exists {
            self.words("IF NOT EXISTS ");
        }
        self.quoted(name)?;
        self.words(" ON ");
        self.quoted(table)?;
        self.index_columns(columns)
    }

    /// ALTER TABLE … ADD COLUMN: what rows that are there, and an older revision's INSERT, can do without.
    pub(super) fn column_of(&mut self, table: &Ident, column: &ColumnDef) -> Result<(), String> {
        let has = |wanted: fn(&ColumnOption) -> bool| {
            column.options.iter().any(|option| wanted(&option.option))
        };
        let defaults =
            has(|option| matches!(option, ColumnOption::Default(value) if !is_null(value)));
        if has(|option| matches!(option, ColumnOption::NotNull)) && !defaults {
            return Err("a column that is added to a table has rows already, and an older revision does not set it: let it be null, or give it a DEFAULT".to_owned());
        }
        if defaults && has(|option| matches!(option, ColumnOption::ForeignKey(_))) {
            return Err("a column that is added to a table and refers to another has no DEFAULT: SQLite does not take it".to_owned());
        }
        let narrows = |option: &ColumnOption| {
            matches!(
                option,
                ColumnOption::PrimaryKey(_)
                    | ColumnOption::Unique(_)
                    | ColumnOption::Check(_)
                    | ColumnOption::Generated { .. }
            )
        };
        if has(narrows) {
            return Err("a column that is added to a table takes NULL, NOT NULL, DEFAULT and REFERENCES; PRIMARY KEY, UNIQUE, CHECK and GENERATED could refuse rows that are there or that an older revision writes".to_owned());
        }
        self.words("ALTER TABLE ");
        self.quoted(table)?;
        self.words(" ADD COLUMN ");
        self.column(column)
    }

    /// INSERT INTO … VALUES
    pub(super) fn rows<'a>(
        &mut self,
        table: &Ident,
        columns: &[&Ident],
        rows: impl Iterator<Item = &'a [Expr]>,
    ) -> Result<(), String> {
        self.words("INSERT INTO ");
        self.quoted(table)?;
        self.names(columns.iter().copied())?;
        self.words(" VALUES ");
        for (index, row) in rows.enumerate() {
            self.comma(index);
            if row.len() != columns.len() {
                return Err(format!(
                    "row {} has {} values, and {} columns are named",
                    index + 1,
                    row.len(),
                    columns.len()
                ));
            }
            self.words("(");
            for (index, value) in row.iter().enumerate() {
                self.comma(index);
                self.literal(value, "a value")?;
            }
            self.words(")");
        }
        Ok(())
    }

    fn column(&mut self, column: &ColumnDef) -> Result<(), String> {
        let kind = kind(&column.data_type)?;
        self.quoted(&column.name)?;
        let identity = column
            .options
            .iter()
            .any(|option| matches!(option.option, ColumnOption::Generated { .. }));
        if identity {
            return self.identity(column, kind);
        }
        self.words(match (self.engine, kind) {
            // INTEGER PRIMARY KEY would number rows by itself, which PostgreSQL does not do unasked.
            (Engine::Sqlite, Kind::Integer | Kind::Boolean) => " INT",
            (Engine::Postgres, Kind::Integer) => " BIGINT",
            (Engine::Postgres, Kind::Boolean) => " SMALLINT",
            (Engine::Sqlite, Kind::Float) => " REAL",
            (Engine::Postgres, Kind::Float) => " DOUBLE PRECISION",
            (_, Kind::Text) => " TEXT",
            (Engine::Sqlite, Kind::Bytes) => " BLOB",
            (Engine::Postgres, Kind::Bytes) => " BYTEA",
        });
        for option in &column.options {
            self.constraint_name(option.name.as_ref())?;
            self.option(&option.option)?;
        }
        if kind == Kind::Boolean {
            self.words(" CHECK (");
            self.quoted(&column.name)?;
            self.words(" IN (0, 1))");
        }
        Ok(())
    }

    /// A column that the database numbers. SQLite does so for a primary key alone.
    fn identity(&mut self, column: &ColumnDef, kind: Kind) -> Result<(), String> {
        let refused = "a column is numbered by: id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY; no other form is the same on both databases";
        let (mut always, mut key) = (None, false);
        for option in &column.options {
            match &option.option {
                ColumnOption::Generated {
                    generated_as: generated @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                    sequence_options,
                    generation_expr: None,
                    generation_expr_mode: None,
                    generated_keyword: true,
                } if sequence_options.as_ref().is_some_and(Vec::is_empty) => {
                    always = Some(*generated == GeneratedAs::Always);
                }
                ColumnOption::PrimaryKey(primary) if is_plain_key(primary) => key = true,
                ColumnOption::NotNull => {}
                _ => return Err(refused.to_owned()),
            }
        }
        let (Some(always), true, Kind::Integer) = (always, key, kind) else {
            return Err(refused.to_owned());
        };
        self.words(match (self.engine, always) {
            (Engine::Sqlite, _) => " INTEGER PRIMARY KEY AUTOINCREMENT",
            (Engine::Postgres, true) => " BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            (Engine::Postgres, false) => " BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        });
        Ok(())
    }

    fn option(&mut self, option: &ColumnOption) -> Result<(), String> {
        match option {
            ColumnOption::Null => self.words(" NULL"),
            ColumnOption::NotNull => self.words(" NOT NULL"),
            ColumnOption::Default(value) => {
                self.words(" DEFAULT ");
                self.literal(value, "a DEFAULT")?;
            }
            ColumnOption::PrimaryKey(key) if is_plain_key(key) && key.columns.is_empty() => {
                self.words(" PRIMARY KEY");
            }
            ColumnOption::Unique(key) if is_plain_unique(key) && key.columns.is_empty() => {
                self.words(" UNIQUE");
            }
            ColumnOption::ForeignKey(key) if key.columns.is_empty() => self.references(key)?,
            ColumnOption::Check(check) => self.check(check)?,
            other => {
                return Err(format!(
                    "a column takes NULL, NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, REFERENCES and CHECK, and this one has {}",
                    first_words(&other.to_string())
                ));
            }
        }
        Ok(())
    }

    fn constraint(&mut self, constraint: &TableConstraint) -> Result<(), String> {
        match constraint {
            TableConstraint::PrimaryKey(key) if is_plain_key(key) => {
                self.constraint_name(key.name.as_ref())?;
                self.words(" PRIMARY KEY");
                self.index_columns(&key.columns)
            }
            TableConstraint::Unique(key) if is_plain_unique(key) => {
                self.constraint_name(key.name.as_ref())?;
                self.words(" UNIQUE");
                self.index_columns(&key.columns)
            }
            TableConstraint::ForeignKey(key) => {
                self.constraint_name(key.name.as_ref())?;
                self.words(" FOREIGN KEY");
                self.names(key.columns.iter())?;
                self.references(key)
            }
            TableConstraint::Check(check) => {
                self.constraint_name(check.name.as_ref())?;
                self.check(check)
            }
            other => Err(format!(
                "a table takes PRIMARY KEY, UNIQUE, FOREIGN KEY and CHECK, and this one has {}",
                first_words(&other.to_string())
            )),
        }
    }

    fn constraint_name(&mut self, name: Option<&Ident>) -> Result<(), String> {
        if let Some(name) = name {
            self.words(" CONSTRAINT ");
            self.quoted(name)?;
        }
        Ok(())
    }

    fn references(&mut self, key: &ForeignKeyConstraint) -> Result<(), String> {
        let ForeignKeyConstraint {
            name: _,
            index_name: None,
            columns: _,
            foreign_table,
            referred_columns,
            on_delete,
            on_update,
            match_kind: None,
            characteristics: None,
        } = key
        else {
            return Err(
                "REFERENCES takes a table, its columns, ON DELETE and ON UPDATE alone".to_owned()
            );
        };
        if referred_columns.is_empty() {
            return Err(
                "REFERENCES names the columns that it refers to: REFERENCES table (column)"
                    .to_owned(),
            );
        }
        let table = alone(foreign_table)?;
        self.words(" REFERENCES ");
        self.quoted(table)?;
        self.names(referred_columns.iter())?;
        for (event, action) in [(" ON DELETE", on_delete), (" ON UPDATE", on_update)] {
            let Some(action) = action else { continue };
            self.words(event);
            self.words(match action {
                ReferentialAction::Restrict => " RESTRICT",
                ReferentialAction::Cascade => " CASCADE",
                ReferentialAction::SetNull => " SET NULL",
                ReferentialAction::NoAction => " NO ACTION",
                ReferentialAction::SetDefault => " SET DEFAULT",
            });
        }
        self.refers.push(plain(table)?);
        Ok(())
    }

    fn check(&mut self, check: &CheckConstraint) -> Result<(), String> {
        let CheckConstraint { name: _, expr, no_inherit: false, enforced: None } = check else {
            return Err("CHECK takes a condition in parentheses alone".to_owned());
        };
        self.words(" CHECK (");
        self.condition(expr)?;
        self.words(")");
        Ok(())
    }

    fn condition(&mut self, condition: &Expr) -> Result<(), String> {
        match condition {
            Expr::Identifier(column) => {
                let name = plain(column)?;
                if !self.columns.contains(&name) {
                    return Err(format!("CHECK names {name}, which is no column of the table"));
                }
                self.quoted(column)
            }
            Expr::Nested(inner) => self.around("(", inner, ")"),
            Expr::IsNull(inner) => self.around("", inner, " IS NULL"),
            Expr::IsNotNull(inner) => self.around("", inner, " IS NOT NULL"),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.around("NOT ", expr, ""),
            Expr::BinaryOp { left, op, right } => {
                let sign = comparison(op).ok_or_else(conditions)?;
                self.condition(left)?;
                self.around(sign, right, "")
            }
            Expr::Between { expr, negated, low, high } => {
                self.condition(expr)?;
                self.around(if *negated { " NOT BETWEEN " } else { " BETWEEN " }, low, " AND ")?;
                self.condition(high)
            }
            Expr::InList { expr, list, negated } => {
                self.around("", expr, if *negated { " NOT IN (" } else { " IN (" })?;
                for (index, value) in list.iter().enumerate() {
                    self.comma(index);
                    self.literal(value, "a value of IN")?;
                }
                self.words(")");
                Ok(())
            }
            Expr::Function(function) => self.around("length(", length(function)?, ")"),
            Expr::Value(_) | Expr::UnaryOp { op: UnaryOperator::Minus, .. } => {
                self.literal(condition, "a value of CHECK")
            }
            _ => Err(conditions()),
        }
    }

    fn around(&mut self, before: &str, condition: &Expr, after: &str) -> Result<(), String> {
        self.words(before);
        self.condition(condition)?;
        self.words(after);
        Ok(())
    }

    fn literal(&mut self, value: &Expr, what: &str) -> Result<(), String> {
        let refused = || {
            format!(
                "{what} is a number, text in single quotes, TRUE, FALSE or NULL, without a computation or a function"
            )
        };
        let (sign, value) = match value {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => ("-", expr.as_ref()),
            value => ("", value),
        };
        let Expr::Value(ValueWithSpan { value, .. }) = value else { return Err(refused()) };
        let is_number = matches!(value, Value::Number(..));
        if !sign.is_empty() && !is_number {
            return Err(refused());
        }
        match value {
            Value::Number(digits, false) => {
                self.words(sign);
                self.words(digits);
            }
            Value::SingleQuotedString(text) => self.text(text),
            Value::Boolean(value) => self.words(if *value { "1" } else { "0" }),
            Value::Null => self.words("NULL"),
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// Text that ends where it should whatever the server takes a backslash for.
    fn text(&mut self, text: &str) {
        let doubled = text.replace('\'', "''");
        let _ = if self.engine == Engine::Postgres && text.contains('\\') {
            write!(self.sql, "E'{}'", doubled.replace('\\', "\\\\"))
        } else {
            write!(self.sql, "'{doubled}'")
        };
    }

    fn index_columns(&mut self, columns: &[IndexColumn]) -> Result<(), String> {
        few(columns.len(), "an index")?;
        self.words(" (");
        for (index, column) in columns.iter().enumerate() {
            self.comma(index);
            let IndexColumn {
                column: OrderByExpr { expr: Expr::Identifier(name), options, with_fill: None },
                operator_class: None,
            } = column
            else {
                return Err(
                    "an index is over columns, not over what is computed from them".to_owned()
                );
            };
            let order = match options {
                OrderByOptions { sort: None, nulls_first: None } => "",
                OrderByOptions { sort: Some(OrderBySort::Asc), nulls_first: None } => " ASC",
                OrderByOptions { sort: Some(OrderBySort::Desc), nulls_first: None } => " DESC",
                _ => return Err("a column of an index takes ASC or DESC alone".to_owned()),
            };
            self.quoted(name)?;
            self.words(order);
        }
        self.words(")");
        Ok(())
    }

    fn names<'a>(&mut self, names: impl ExactSizeIterator<Item = &'a Ident>) -> Result<(), String> {
        few(names.len(), "a statement")?;
        self.words(" (");
        for (index, name) in names.enumerate() {
            self.comma(index);
            self.quoted(name)?;
        }
        self.words(")");
        Ok(())
    }

    fn comma(&mut self, index: usize) {
        self.words(if index == 0 { "" } else { ", " });
    }

    fn words(&mut self, words: &str) {
        self.sql.push_str(words);
    }

    fn quoted(&mut self, name: &Ident) -> Result<(), String> {
        let name = plain(name)?;
        // SQLite takes a name in double quotes that it does not know for text.
        let quote = if self.engine == Engine::Sqlite { '`' } else { '"' };
        if !self.sql.is_empty() && !self.sql.ends_with([' ', '(']) {
            self.sql.push(' ');
        }
        let _ = write!(self.sql, "{quote}{name}{quote}");
        Ok(())
    }
}

/// A name that both engines take for the same.
pub(super) fn plain(name: &Ident) -> Result<String, String> {
    let text = match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some('"') => name.value.clone(),
        Some(_) => {
            return Err(format!("{name} is no name: names stand plain or in double quotes"));
        }
    };
    let is_plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if !is_plain
        || text.len() > LONGEST_NAME
        || !text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
    {
        return Err(format!(
            "{:?} is no name of a migration: small letters, digits and underscores, {LONGEST_NAME} at most",
            name.value
        ));
    }
    if statement::is_of_the_database(&text) {
        return Err(format!("{text} belongs to the database, and is nothing of a tenant's"));
    }
    Ok(text)
}

fn few(columns: usize, what: &str) -> Result<(), String> {
    if columns > MOST_COLUMNS {
        return Err(format!(
            "{what} has at most {MOST_COLUMNS} columns, and this one names {columns}"
        ));
    }
    Ok(())
}

fn kind(written: &DataType) -> Result<Kind, String> {
    match written {
        DataType::Int(None) | DataType::Integer(None) | DataType::BigInt(None) => Ok(Kind::Integer),
        DataType::Boolean | DataType::Bool => Ok(Kind::Boolean),
        DataType::Real | DataType::DoublePrecision | DataType::Double(ExactNumberInfo::None) => {
            Ok(Kind::Float)
        }
        DataType::Text => Ok(Kind::Text),
        DataType::Blob(None) | DataType::Bytea => Ok(Kind::Bytes),
        DataType::Varchar(_) | DataType::Char(_) | DataType::CharacterVarying(_) => Err(format!(
            "the type {written} means other things to the two databases; write TEXT, and CHECK (length(column) <= …) if it must be short"
        )),
        DataType::Date | DataType::Datetime(_) | DataType::Timestamp(..) | DataType::Time(..) => {
            Err(format!(
                "the type {written} is not known to both databases; write BIGINT and store seconds since 1970"
            ))
        }
        other => Err(format!(
            "the type {} is not known to both databases; those that are: INTEGER, BIGINT, BOOLEAN, DOUBLE PRECISION, TEXT and BLOB",
            first_words(&other.to_string())
        )),
    }
}

fn is_plain_key(key: &PrimaryKeyConstraint) -> bool {
    let PrimaryKeyConstraint {
        name: _,
        index_name,
        index_type,
        columns: _,
        include,
        index_options,
        characteristics,
    } = key;
    index_name.is_none()
        && index_type.is_none()
        && include.is_empty()
        && index_options.is_empty()
        && characteristics.is_none()
}

fn is_plain_unique(key: &UniqueConstraint) -> bool {
    let UniqueConstraint {
        name: _,
        index_name,
        index_type_display,
        index_type,
        columns: _,
        include,
        index_options,
        characteristics,
        nulls_distinct,
    } = key;
    index_name.is_none()
        && index_type_display.to_string().is_empty()
        && index_type.is_none()
        && include.is_empty()
        && index_options.is_empty()
        && characteristics.is_none()
        && *nulls_distinct == NullsDistinctOption::None
}

fn comparison(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::And => " AND ",
        BinaryOperator::Or => " OR ",
        BinaryOperator::Eq => " = ",
        BinaryOperator::NotEq => " <> ",
        BinaryOperator::Lt => " < ",
        BinaryOperator::LtEq => " <= ",
        BinaryOperator::Gt => " > ",
        BinaryOperator::GtEq => " >= ",
        _ => return None,
    })
}

fn conditions() -> String {
    "CHECK compares columns and literals with =, <>, <, <=, >, >=, BETWEEN, IN and IS NULL, joined by AND, OR and NOT, and calls no function but length".to_owned()
}

/// The argument of `length`.
fn length(function: &Function) -> Result<&Expr, String> {
    let Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        within_group,
        filter: None,
        null_treatment: None,
        over: None,
    } = function
    else {
        return Err(conditions());
    };
    let FunctionArgumentList { duplicate_treatment: None, args, clauses } = list else {
        return Err(conditions());
    };
    match (alone(name)?, args.as_slice()) {
        (name, [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))])
            if name.quote_style.is_none()
                && name.value.eq_ignore_ascii_case("length")
                && within_group.is_empty()
                && clauses.is_empty() =>
        {
            Ok(argument)
        }
        _ => Err(conditions()),
    }
}

fn is_null(value: &Expr) -> bool {
    matches!(value, Expr::Value(ValueWithSpan { value: Value::Null, .. }))
}

/// The beginning of something that an author wrote, for a message.
fn first_words(text: &str) -> String {
    text.chars().take(40).collect()
}
