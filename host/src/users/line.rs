//! One line of a file: its columns found by name, its values checked.
//!
//! No reason repeats a value: a file whose columns are mixed up may have a password anywhere.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Terminator};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::realms::{Absent, Column, Kind, Realm, Table};
use crate::capabilities::passwords;
use crate::clock::zones;
use crate::database::Value;

/// The original systems' limit, and that of the index on PostgreSQL.
const LONGEST_TEXT: usize = 255;

/// What the tools of the original systems' database write for NULL.
const NULLS: [&str; 4] = ["NULL", "\\N", "0000-00-00", "0000-00-00 00:00:00"];

/// Bytes of a line, so that a quote that is never closed does not read the whole file into memory.
const LONGEST_LINE: usize = 1024 * 1024;

/// The end of the year 9999, in unix seconds.
const LATEST: i64 = 253_402_300_799;

/// A line that was read and checked.
pub(super) struct Line {
    pub number: u64,
    /// A value for each of the realm's columns, in their order.
    pub values: Vec<Value>,
}

impl Line {
    /// The text that goes to a column of a table; empty for NULL.
    pub fn text(&self, realm: &Realm, table: Table, column: &str) -> &str {
        realm.place(table, column).map_or("", |place| text(&self.values[place]))
    }
}

/// The text of a value; empty for NULL, which no text of a line is.
pub(super) fn text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { "" }
}

/// Why a line is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The line of the file on which it begins, counted from 1.
    pub line: u64,
    /// What is wrong with which column; never a value.
    pub reason: String,
}

/// The zone of dates that do not say theirs.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl std::str::FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        zones::find(name).map(Zone).ok_or_else(|| {
            "no zone; use a name as in Asia/Shanghai, or an offset as in +08:00".to_owned()
        })
    }
}

/// The lines of a file, one at a time.
pub(super) struct Lines {
    realm: &'static Realm,
    /// Where each of the realm's columns stands, if the file has it.
    places: Vec<Option<usize>>,
    /// How many fields a line has.
    width: usize,
    reader: csv::Reader<Bounded>,
    record: ByteRecord,
    zone: Zone,
    now: i64,
}

impl Lines {
    /// Reads the header.
    pub fn open(
        realm: &'static Realm,
        file: Box<dyn Read>,
        ignore_unknown: bool,
        zone: Zone,
        now: i64,
    ) -> Result<Self, String> {
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            // Left to itself, it counts the lines of files with \r\n wrongly. `next_record` strips the \r.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(Bounded { file, left: LONGEST_LINE, last: b'\n' });
        let mut header = ByteRecord::new();
        let read = next_record(&mut reader, &mut header);
        if read.map_err(|error| format!("cannot read the header: {error}"))?.is_none() {
            return Err(format!("the file is empty; {}", expected(realm)));
        }
        let places = places(realm, &header, ignore_unknown)?;
        let width = header.len();
        Ok(Lines { realm, places, width, reader, record: ByteRecord::new(), zone, now })
    }

    /// The next line, or why it is not taken. An error is no property of a line: nothing can follow.
    pub fn next(&mut self) -> Result<Option<Result<Line, Refusal>>, String> {
        let next = next_record(&mut self.reader, &mut self.record);
        let next = next.map_err(|error| format!("the file cannot be read on: {error}"))?;
        let Some(number) = next else { return Ok(None) };
        let line = self.check().map(|values| Line { number, values });
        Ok(Some(line.map_err(|reason| Refusal { line: number, reason })))
    }

    /// Bytes of the file that were read.
    pub fn bytes(&self) -> u64 {
        self.reader.position().byte()
    }

    fn check(&self) -> Result<Vec<Value>, String> {
        if self.record.len() != self.width {
            return Err(format!(
                "the line has {} fields, the header {}",
                self.record.len(),
                self.width
            ));
        }
        let columns = self.realm.columns.iter().zip(&self.places);
        let values = columns
            .map(|(column, place)| {
                let field = place.map_or(&b""[..], |place| &self.record[place]);
                self.value(column, field).map_err(|reason| format!("{} {reason}", column.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.with_copies(values))
    }

    /// The value of a field, or what is wrong with it.
    fn value(&self, column: &Column, field: &[u8]) -> Result<Value, String> {
        // Sign-in trims what is typed: a name with a space before it could never be used.
        let field = std::str::from_utf8(field).map_err(|_| "is not UTF-8")?.trim();
        if field.is_empty() || NULLS.contains(&field) {
            return match column.absent {
                Absent::Refused => Err("is missing".into()),
                Absent::Null | Absent::As(_) => Ok(Value::Null),
                Absent::Number(number) => Ok(Value::Integer(number)),
                Absent::Now => Ok(Value::Integer(self.now)),
            };
        }
        match &column.kind {
            Kind::Text => checked_text(field),
            Kind::Hash if passwords::is_known(field) => checked_text(field),
            Kind::Hash => Err(
                "is no hash that the host knows: argon2, bcrypt with a cost of at most 14, or md5"
                    .into(),
            ),
            Kind::Number(range) => {
                let number = field.parse().ok().filter(|number| range.contains(number));
                number.map(Value::Integer).ok_or_else(|| {
                    format!("is no number from {} to {}", range.start(), range.end())
                })
            }
            Kind::OneOf(numbers) => {
                let number = field.parse().ok().filter(|number| numbers.contains(number));
                let all = || numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" or ");
                number.map(Value::Integer).ok_or_else(|| format!("is not {}", all()))
            }
            Kind::Date => self.date(field).map(Value::Integer).ok_or_else(|| {
                "is no date: unix seconds, or YYYY-MM-DD HH:MM:SS, up to the year 9999".into()
            }),
        }
    }

    fn date(&self, field: &str) -> Option<i64> {
        let seconds = if let Ok(seconds) = field.parse() {
            seconds
        } else {
            let date = DateTime::strptime("%Y-%m-%d %H:%M:%S", field).ok()?;
            date.to_zoned(self.zone.0.clone()).ok()?.timestamp().as_second()
        };
        // Dates before 1970 are none at which a user of these systems can have signed up.
        (0..=LATEST).contains(&seconds).then_some(seconds)
    }

    /// Fills what is absent and stands in another column as well.
    fn with_copies(&self, mut values: Vec<Value>) -> Vec<Value> {
        for (place, column) in self.realm.columns.iter().enumerate() {
            if let Absent::As(other) = column.absent
                && values[place] == Value::Null
                && let Some(other) = self.realm.columns.iter().position(|any| any.name == other)
            {
                values[place] = values[other].clone();
            }
        }
        values
    }
}

fn checked_text(field: &str) -> Result<Value, String> {
    if field.contains('\0') {
        return Err("holds a NUL character".into());
    }
    if field.len() > LONGEST_TEXT && field.chars().count() > LONGEST_TEXT {
        return Err(format!("is longer than {LONGEST_TEXT} characters"));
    }
    Ok(Value::Text(field.to_owned()))
}

/// Where each of the realm's columns stands. Every name must be known, and every column that a user
/// needs must be there.
fn places(
    realm: &'static Realm,
    header: &ByteRecord,
    ignore_unknown: bool,
) -> Result<Vec<Option<usize>>, String> {
    let mut places = vec![None; realm.columns.len()];
    let mut unknown = Vec::new();
    for (field, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name).unwrap_or_default().trim();
        if let Some(column) = realm.columns.iter().position(|column| column.is_called(name)) {
            if places[column].replace(field).is_some() {
                return Err(format!(
                    "the header has the column {} more than once; keep one",
                    realm.columns[column].name
                ));
            }
        } else if !realm.ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)) {
            unknown.push((field + 1, name));
        }
    }
    // Without a single known name this is no header, and what it holds may be somebody's password.
    if places.iter().all(Option::is_none) {
        return Err(format!("the first line names no column; {}", expected(realm)));
    }
    if let Some((field, name)) = unknown.first().filter(|_| !ignore_unknown) {
        return Err(unknown_column(realm, *field, name));
    }
    let required = |column: &Column| matches!(column.absent, Absent::Refused);
    let missing = realm
        .columns
        .iter()
        .zip(&places)
        .find(|(column, place)| required(column) && place.is_none());
    match missing {
        Some((column, _)) => Err(format!(
            "the header has no column {}, which every user of the realm {} needs",
            column.name, realm.name
        )),
        None => Ok(places),
    }
}

fn expected(realm: &Realm) -> String {
    let names: Vec<&str> = realm.columns.iter().map(|column| column.name).collect();
    format!(
        "a file for the realm {} begins with a line of its columns' names: {}",
        realm.name,
        names.join(",")
    )
}

fn unknown_column(realm: &Realm, field: usize, name: &str) -> String {
    let names = realm.columns.iter().flat_map(|column| [Some(column.name), column.alias]).flatten();
    let lower = name.to_ascii_lowercase();
    let nearest = names
        .map(|known| (strsim::damerau_levenshtein(&lower, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map(|(_, known)| format!("did you mean {known}? Otherwise "))
        .unwrap_or_default();
    // Only what is surely a name is repeated.
    let is_name = name.len() <= 31
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let shown = if is_name { name.to_owned() } else { format!("number {field}") };
    format!(
        "the column {shown} is not one of the realm {}; {nearest}remove it, or pass it over with --ignore-unknown",
        realm.name
    )
}

/// Reads the next record that is no empty line; answers with the line on which it begins.
fn next_record(
    reader: &mut csv::Reader<Bounded>,
    record: &mut ByteRecord,
) -> Result<Option<u64>, csv::Error> {
    loop {
        reader.get_mut().left = LONGEST_LINE;
        if !reader.read_byte_record(record)? {
            return Ok(None);
        }
        // Counted back from its end: empty lines before it are part of what was read.
        let lines = record.as_slice().split(|byte| *byte == b'\n').count() as u64;
        let number = reader.position().line().saturating_sub(lines);
        if let Some(last) = record.iter().next_back().and_then(|last| last.strip_suffix(b"\r")) {
            let last = last.to_owned();
            if last.is_empty() && record.len() == 1 {
                continue;
            }
            record.truncate(record.len() - 1);
            record.push_field(&last);
        }
        return Ok(Some(number));
    }
}

/// A file of which only so much is read until the next line begins, and whose last line is ended.
struct Bounded {
    file: Box<dyn Read>,
    left: usize,
    last: u8,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other(format!(
                "a line is longer than {LONGEST_LINE} bytes; perhaps a quote is not closed"
            )));
        }
        let most = buffer.len().min(self.left);
        let mut read = self.file.read(&mut buffer[..most])?;
        if read == 0 && self.last != b'\n' && !buffer.is_empty() {
            buffer[0] = b'\n';
            read = 1;
        }
        if read > 0 {
            self.last = buffer[read - 1];
        }
        self.left -= read;
        Ok(read)
    }
}
