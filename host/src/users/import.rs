//! Users moved in, a batch of lines at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;

use super::line::{Line, Lines, Refusal, Zone, text};
use super::realms::{Absent, Realm, Table};
use crate::database::{Database, Failure, Transaction, Value};

/// Rows of one statement. The 20 columns that a realm has at most make 400 parameters, far below the
/// 32,766 that SQLite takes and the 65,535 of PostgreSQL. More rows are slower: for each parameter
/// SQLite's driver asks for its name, which SQLite looks up among all of the statement.
const ROWS: usize = 20;

/// The columns of `users` that no two users of a realm share.
const KEYS: [&str; 3] = ["username", "email", "phone"];

/// What an import is told.
pub struct Options {
    /// The zone of dates that do not say theirs.
    pub zone: Zone,
    /// Whether columns that the realm does not have are passed over.
    pub ignore_unknown: bool,
    /// Lines that are read, and whose users are made in one transaction.
    pub batch: usize,
    /// What time it is, in unix seconds.
    pub now: i64,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Batch {
    /// Users that were made.
    pub added: u64,
    /// Users who were there already and were left as they are.
    pub there: u64,
    /// Lines that were not taken, in their order.
    pub refused: Vec<Refusal>,
    /// Bytes of the file up to its end.
    pub bytes: u64,
}

/// A file on its way into a realm.
pub struct Import {
    database: Database,
    realm: &'static Realm,
    lines: Lines,
    batch: usize,
    now: i64,
    /// The newest user's id before the first line. Whoever has a higher one came with this file.
    newest_before: i64,
    /// The last line of the last batch that is in.
    in_up_to: u64,
}

impl Import {
    /// Reads the file's header.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub async fn begin(
        database: Database,
        realm: &'static Realm,
        file: Box<dyn Read>,
        options: Options,
    ) -> Result<Self, String> {
        let Options { zone, ignore_unknown, batch, now } = options;
        let lines = Lines::open(realm, file, ignore_unknown, zone, now)?;
        let newest = database.query("SELECT COALESCE(MAX(id), 0) FROM users", Vec::new()).await;
        let newest = newest.map_err(|failure| format!("cannot read the users: {failure}"))?;
        let newest_before = newest.rows.first().map_or(0, |row| id(row));
        Ok(Import { database, realm, lines, batch, now, newest_before, in_up_to: 0 })
    }

    /// Takes the next lines; `None` after the last.
    ///
    /// # Errors
    /// A sentence that says up to which line everything is in. Nothing of this batch is.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>, String> {
        let (lines, mut refused) = self.read().map_err(|error| self.stopped(&error))?;
        let numbers = (lines.last().map(|line| line.number), refused.last().map(|line| line.line));
        let Some(last) = numbers.0.max(numbers.1) else { return Ok(None) };
        let written = self.write(&lines).await;
        let mut batch = written.map_err(|failure| self.stopped(&failure.to_string()))?;
        batch.refused.append(&mut refused);
        batch.refused.sort_by_key(|refusal| refusal.line);
        batch.bytes = self.lines.bytes();
        self.in_up_to = last;
        Ok(Some(batch))
    }

    /// The lines of a batch, and those that are refused at sight.
    fn read(&mut self) -> Result<(Vec<Line>, Vec<Refusal>), String> {
        let (mut lines, mut refused) = (Vec::new(), Vec::new());
        while lines.len() + refused.len() < self.batch
            && let Some(line) = self.lines.next()?
        {
            match line {
                Ok(line) => lines.push(line),
                Err(refusal) => refused.push(refusal),
            }
        }
        Ok((lines, refused))
    }

    fn stopped(&self, error: &str) -> String {
        let far = match self.in_up_to {
            0 => "nothing is in yet".to_owned(),
            line => format!("everything up to line {line} is in"),
        };
        format!("the import stopped: {error}; {far}, and running it again continues after that")
    }

    async fn write(&self, lines: &[Line]) -> Result<Batch, Failure> {
        let mut batch = Batch::default();
        if lines.is_empty() {
            return Ok(batch);
        }
        let mut transaction = self.database.begin().await?;
        for rows in lines.chunks(ROWS) {
            self.write_rows(&mut transaction, rows.iter().collect(), &mut batch).await?;
        }
        transaction.commit().await?;
        Ok(batch)
    }

    /// Makes the users of some lines. Whoever could not be made is judged, and tried again if what
    /// stood in the way is gone: a user of the same rows who was taken back.
    async fn write_rows(
        &self,
        transaction: &mut Transaction,
        mut waiting: Vec<&Line>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        while !waiting.is_empty() {
            let (made, left) = self.insert_users(transaction, waiting).await?;
            let stuck = made.is_empty();
            self.insert_sides(transaction, made, batch).await?;
            waiting = self.judge(transaction, left, batch).await?;
            if stuck && !waiting.is_empty() {
                return Err(Failure::Failed(format!(
                    "line {} is refused by the database without a reason",
                    waiting[0].number
                )));
            }
        }
        Ok(())
    }

    /// Inserts into `users` all in whose way nobody is; answers with the lines whose users were made,
    /// with their ids, and with those left.
    async fn insert_users<'a>(
        &self,
        transaction: &mut Transaction,
        lines: Vec<&'a Line>,
    ) -> Result<(Vec<(&'a Line, i64)>, Vec<&'a Line>), Failure> {
        let columns: Vec<_> = self.realm.columns_of(Table::Users).collect();
        let names: Vec<&str> = columns.iter().map(|(_, column)| column.sql).collect();
        let mut parameters = Vec::with_capacity(lines.len() * columns.len());
        for line in &lines {
            parameters.extend(columns.iter().map(|(place, _)| line.values[*place].clone()));
        }
        let sql = format!(
            "INSERT INTO users (realm, {}) VALUES {} ON CONFLICT DO NOTHING RETURNING id, {}",
            names.join(", "),
            rows(&format!("'{}', ", self.realm.name), lines.len(), columns.len()),
            KEYS.join(", ")
        );
        let found = transaction.query(&sql, parameters).await?;
        // All that is unique, since two lines may share a username of which the second was taken.
        let mut ids: BTreeMap<_, _> = found.rows.iter().map(|row| (keys(row), id(row))).collect();
        let (mut made, mut left) = (Vec::new(), Vec::new());
        for line in lines {
            match ids.remove(&self.keys(line)) {
                Some(id) => made.push((line, id)),
                None => left.push(line),
            }
        }
        Ok((made, left))
    }

    /// Inserts into the table beside `users`. Whoever is refused there is taken back.
    async fn insert_sides(
        &self,
        transaction: &mut Transaction,
        made: Vec<(&Line, i64)>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        if made.is_empty() {
            return Ok(());
        }
        let side = &self.realm.side;
        let columns: Vec<_> = self.realm.columns_of(Table::Side).collect();
        let constants: String =
            side.also.iter().map(|(_, value)| self.constant(value) + ", ").collect();
        let mut names: Vec<&str> = side.also.iter().map(|(column, _)| *column).collect();
        names.push("user_id");
        names.extend(columns.iter().map(|(_, column)| column.sql));
        let mut parameters = Vec::with_capacity(made.len() * (columns.len() + 1));
        for (line, id) in &made {
            parameters.push(Value::Integer(*id));
            parameters.extend(columns.iter().map(|(place, _)| line.values[*place].clone()));
        }
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {} ON CONFLICT DO NOTHING",
            side.table,
            names.join(", "),
            rows(&constants, made.len(), columns.len() + 1)
        );
        let placed = transaction.execute(&sql, parameters).await?;
        batch.added += placed;
        if placed < made.len() as u64 {
            let sql = format!(
                "SELECT user_id FROM {} WHERE user_id IN {}",
                side.table,
                rows("", 1, made.len())
            );
            let ids = made.iter().map(|(_, id)| Value::Integer(*id)).collect();
            let placed = transaction.query(&sql, ids).await?;
            let placed: BTreeSet<i64> = placed.rows.iter().map(|row| id(row)).collect();
            let refused: Vec<_> = made.into_iter().filter(|(_, id)| !placed.contains(id)).collect();
            self.take_back(transaction, refused, batch).await?;
        }
        Ok(())
    }

    /// What stands in the statement itself, the same for every row.
    fn constant(&self, value: &Absent) -> String {
        match value {
            Absent::Number(number) => number.to_string(),
            Absent::Now => self.now.to_string(),
            Absent::Null | Absent::Refused | Absent::As(_) => "NULL".to_owned(),
        }
    }

    /// Deletes users again whose row beside `users` has a value that somebody else has, and says who.
    async fn take_back(
        &self,
        transaction: &mut Transaction,
        refused: Vec<(&Line, i64)>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let sql = format!("DELETE FROM users WHERE id IN {}", rows("", 1, refused.len()));
        let ids = refused.iter().map(|(_, id)| Value::Integer(*id)).collect();
        transaction.execute(&sql, ids).await?;
        let (side, unique) = (self.realm.side.table, self.realm.side.unique.unwrap_or("user_id"));
        let taken: Vec<&str> =
            refused.iter().map(|(line, _)| line.text(self.realm, Table::Side, unique)).collect();
        let sql = format!(
            "SELECT user_id, {unique} FROM {side} WHERE {unique} IN {}",
            rows("", 1, taken.len())
        );
        let found = transaction.query(&sql, texts(&taken)).await?;
        let holders: BTreeMap<&str, i64> =
            found.rows.iter().map(|row| (text(&row[1]), id(row))).collect();
        for ((line, _), value) in refused.iter().zip(&taken) {
            batch.refused.push(self.taken(line, unique, holders.get(value).copied().unwrap_or(0)));
        }
        Ok(())
    }

    /// Says for each line whose user could not be made who is in the way, and counts those who are
    /// there already. Answers with those of whom nobody is in the way any more.
    async fn judge<'a>(
        &self,
        transaction: &mut Transaction,
        mut left: Vec<&'a Line>,
        batch: &mut Batch,
    ) -> Result<Vec<&'a Line>, Failure> {
        for (place, column) in KEYS.into_iter().enumerate() {
            let wanted = left.iter().map(|line| self.keys(line)[place]);
            let wanted: Vec<&str> = wanted.filter(|value| !value.is_empty()).collect();
            if wanted.is_empty() {
                continue;
            }
            let sql = format!(
                "SELECT id, {} FROM users WHERE realm = '{}' AND {column} IN {}",
                KEYS.join(", "),
                self.realm.name,
                rows("", 1, wanted.len())
            );
            let found = transaction.query(&sql, texts(&wanted)).await?;
            let holders: BTreeMap<&str, &Vec<Value>> =
                found.rows.iter().map(|row| (keys(row)[place], row)).collect();
            left.retain(|line| {
                let Some(holder) = holders.get(self.keys(line)[place]) else { return true };
                if id(holder) <= self.newest_before && keys(holder) == self.keys(line) {
                    batch.there += 1;
                } else {
                    batch.refused.push(self.taken(line, self.name(column), id(holder)));
                }
                false
            });
        }
        Ok(left)
    }

    fn taken(&self, line: &Line, column: &str, holder: i64) -> Refusal {
        // Whoever signed up since the import began is taken for one of the file's: rare, and refused as well.
        let whom = if holder > self.newest_before {
            "an earlier line of the file"
        } else {
            "a user who is there already"
        };
        Refusal { line: line.number, reason: format!("{column} is taken by {whom}") }
    }

    /// What a column of `users` is called in files.
    fn name(&self, column: &'static str) -> &'static str {
        self.realm
            .place(Table::Users, column)
            .map_or(column, |place| self.realm.columns[place].name)
    }

    fn keys<'a>(&self, line: &'a Line) -> [&'a str; 3] {
        KEYS.map(|column| line.text(self.realm, Table::Users, column))
    }
}

/// `($1, $2), ($3, $4)`: the places of so many rows of so many values, each row after some constants.
fn rows(constants: &str, rows: usize, columns: usize) -> String {
    let mut sql = String::with_capacity(rows * (columns * 6 + constants.len()));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(constants);
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * columns + column + 1);
        }
        sql.push(')');
    }
    sql
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| Value::Text((*value).to_owned())).collect()
}

/// The first column of a row.
fn id(row: &[Value]) -> i64 {
    if let Some(Value::Integer(id)) = row.first() { *id } else { 0 }
}

/// What stands in the [`KEYS`] of a row of theirs, after its id.
fn keys(row: &[Value]) -> [&str; 3] {
    [text(&row[1]), text(&row[2]), text(&row[3])]
}
