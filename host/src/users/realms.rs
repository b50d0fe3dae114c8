//! What the files of each realm look like, and which tables their columns go to.

use std::ops::RangeInclusive;

/// A realm whose users can be moved in and out.
#[derive(Debug)]
pub struct Realm {
    /// Its name, as in `users.realm`.
    pub name: &'static str,
    /// The columns of its files, in the order in which they are exported.
    pub(super) columns: &'static [Column],
    /// Columns that files of the original system have and that mean nothing here.
    pub(super) ignored: &'static [&'static str],
    /// Where a user of this realm has a row besides the one in `users`.
    pub(super) side: Side,
}

/// The table beside `users`, which refers to it with `user_id`.
#[derive(Debug)]
pub(super) struct Side {
    pub table: &'static str,
    /// Columns that are not in the files, and what they begin with.
    pub also: &'static [(&'static str, Absent)],
    /// The column, if any, that no two users of the realm share.
    pub unique: Option<&'static str>,
}

/// A column of a file.
#[derive(Debug)]
pub(super) struct Column {
    /// What it is called in files.
    pub name: &'static str,
    /// What else it may be called in files that are imported.
    pub alias: Option<&'static str>,
    /// The table that it goes to, and what it is called there.
    pub table: Table,
    pub sql: &'static str,
    pub kind: Kind,
    pub absent: Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Users,
    Side,
}

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Kind {
    /// Text of at most 255 characters.
    Text,
    /// A password hash that the host knows.
    Hash,
    Number(RangeInclusive<i64>),
    OneOf(&'static [i64]),
    /// Unix seconds, or `YYYY-MM-DD HH:MM:SS` in the zone of the file.
    Date,
}

/// What stands for a value that is empty, or for a column that is not there.
#[derive(Debug)]
pub(super) enum Absent {
    /// Nothing: the line is refused.
    Refused,
    Null,
    Number(i64),
    Now,
    /// What the line has in another column.
    As(&'static str),
}

use Absent::{As, Now, Null, Refused};
use Kind::{Date, Hash, Number, OneOf, Text};

/// Every realm whose users can be moved.
pub static REALMS: [Realm; 3] = [
    Realm {
        name: "store",
        columns: &[
            users("name", Text, Refused),
            users("username", Text, Refused),
            users("email", Text, Null),
            users("email_verified_at", Date, Null),
            users("phone", Text, Null),
            users("invitation_code", Text, Null),
            users("status", Number(-1..=1), Absent::Number(1)),
            users("avatar", Text, Null),
            users("password", Hash, Refused),
            users("created_at", Date, Now),
            users("updated_at", Date, Now),
        ],
        ignored: &["id", "remember_token"],
        // Every user of the store has a profile; a registration begins it with these, too.
        side: Side {
            table: "user_profiles",
            also: &[("sex", Absent::Number(1)), ("created_at", Now), ("updated_at", Now)],
            unique: None,
        },
    },
    Realm {
        name: "clinic",
        columns: &[
            side("type", Number(0..=3), Absent::Number(0)),
            users("name", Text, As("username")),
            users("username", Text, Refused),
            users("password", Hash, Refused).alias("pwd"),
            users("email", Text, Refused),
            users("status", Number(-1..=1), Absent::Number(1)),
            side("sex", Number(0..=2), Null),
            side("age", Number(0..=150), Null),
            side("head_portrait", Text, Null),
            side("clinic", Text, Null),
            side("mobile", Text, Null),
            side("fix_phone_number", Text, Null).alias("fixphonenumber"),
            side("certificate", Text, Null).alias("certificat"),
            side("certificate_checked", Number(0..=3), Null).alias("certificat_checked"),
            side("wechat", Text, Null),
            side("intro", Text, Null),
            side("school", Text, Null),
            side("major", Text, Null),
            users("created_at", Date, Now),
            users("updated_at", Date, Now),
        ],
        ignored: &["id"],
        side: Side { table: "clinic_users", also: &[], unique: Some("wechat") },
    },
    Realm {
        name: "console",
        columns: &[
            users("username", Text, Refused).named("nickname"),
            users("name", Text, Refused),
            users("phone", Text, Null),
            users("password", Hash, Refused).named("passwd").alias("password"),
            side("position", Text, Refused),
            users("email", Text, Null),
            users("avatar", Text, Null),
            side("level", Number(1..=3), Absent::Number(3)).named("user_level"),
            // -1 waits for approval, 1 is approved.
            users("status", OneOf(&[-1, 1]), Absent::Number(-1)).named("account_status"),
            users("created_at", Date, Now).named("create_time").alias("created_at"),
            users("updated_at", Date, Now),
        ],
        ignored: &["id"],
        side: Side { table: "console_users", also: &[], unique: None },
    },
];

/// A column of `users`.
const fn users(column: &'static str, kind: Kind, absent: Absent) -> Column {
    Column { name: column, alias: None, table: Table::Users, sql: column, kind, absent }
}

/// A column of the table beside it.
const fn side(column: &'static str, kind: Kind, absent: Absent) -> Column {
    Column { name: column, alias: None, table: Table::Side, sql: column, kind, absent }
}

impl Column {
    const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Whether a file may call it so, whatever the case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.alias.is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }
}

impl Realm {
    /// The columns that go to a table, each with its place in the line.
    pub(super) fn columns_of(
        &self,
        table: Table,
    ) -> impl Iterator<Item = (usize, &'static Column)> + use<> {
        self.columns.iter().enumerate().filter(move |(_, column)| column.table == table)
    }

    /// The place in the line of what goes to a column of a table, if the realm has it.
    pub(super) fn place(&self, table: Table, name: &str) -> Option<usize> {
        self.columns_of(table).find(|(_, column)| column.sql == name).map(|(place, _)| place)
    }
}
