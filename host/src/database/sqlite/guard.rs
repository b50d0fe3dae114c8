//! What statements may do, whatever they look like, and for how long.
//!
//! SQLite asks for every step of a statement when it is prepared
//! (<https://sqlite.org/c3ref/set_authorizer.html>): rows are read and written, of the tables that the
//! connection is for. No other file is attached, no setting of the connection is read or changed, no
//! schema is touched, and neither are SQLite's own tables and the records of migrations. While a
//! statement runs it meets its deadline in SQLite itself (<https://sqlite.org/c3ref/progress_handler.html>),
//! so that it ends whoever has stopped waiting for it.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libsqlite3_sys as ffi;
use sqlx::SqliteConnection;

use super::super::Limits;
use super::super::rights::Right;
use super::schema::Access;

/// Tables that only the host and SQLite itself write.
const OWN_TABLES: [&str; 3] = ["sqlite_", "_sqlx_", "_wharf_"];

/// Functions that reach beyond the database.
const OUTSIDE: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// Instructions of SQLite's machine between two looks at the clock: well below a millisecond.
pub(super) const INSTRUCTIONS: c_int = 1_000;

/// The name by which a connection knows its watch.
const NAME: &CStr = c"wharf";

/// What watches over one connection and ends with it. SQLite calls back from within calls on the
/// connection, of which there is one at a time: sqlx keeps a thread, and a lock, for each.
struct Watch {
    access: Arc<Access>,
    statement: Duration,
    /// When the present statement began.
    begun: Cell<Option<Instant>>,
    /// Why the last statement was refused.
    refused: RefCell<Option<String>>,
}

/// Watches over a connection for the rest of its life.
pub(super) async fn watch(
    connection: &mut SqliteConnection,
    access: Arc<Access>,
    limits: Limits,
) -> Result<(), sqlx::Error> {
    let bounded = access.is_of_group();
    let watch = Watch {
        access,
        statement: limits.statement,
        begun: Cell::new(None),
        refused: RefCell::new(None),
    };
    let mut locked = connection.lock_handle().await?;
    let database = locked.as_raw_handle().as_ptr();
    let watch: *mut c_void = Box::into_raw(Box::new(watch)).cast();
    // SAFETY: the handle is locked and open. The connection owns the watch from the first call on and
    // frees it when it is closed, after which it calls back no more; the callbacks do not unwind.
    #[expect(unsafe_code, reason = "sqlx has no way to set an authorizer")]
    let set = unsafe {
        let kept = ffi::sqlite3_set_clientdata(database, NAME.as_ptr(), watch, Some(free));
        if kept == ffi::SQLITE_OK {
            ffi::sqlite3_progress_handler(database, INSTRUCTIONS, Some(progress), watch);
            ffi::sqlite3_trace_v2(database, ffi::SQLITE_TRACE_STMT as c_uint, Some(begin), watch);
            for (which, most) in caps(&limits).into_iter().filter(|_| bounded) {
                ffi::sqlite3_limit(database, which, most);
            }
            ffi::sqlite3_set_authorizer(database, Some(authorize), watch)
        } else {
            kept
        }
    };
    if set == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(sqlx::Error::Protocol("the connection takes no authorizer".into()))
    }
}

/// Why the connection refused its last statement, if the watch did.
pub(super) async fn refusal(connection: &mut SqliteConnection) -> Option<String> {
    let mut locked = connection.lock_handle().await.ok()?;
    let database = locked.as_raw_handle().as_ptr();
    // SAFETY: the handle is locked and open, and what bears this name is a watch.
    #[expect(unsafe_code, reason = "sqlx keeps nothing with a connection")]
    let watch =
        unsafe { ffi::sqlite3_get_clientdata(database, NAME.as_ptr()).cast::<Watch>().as_ref() };
    watch?.refused.take()
}

/// What a component's statement may be made of (<https://sqlite.org/limits.html>): its memory is a few
/// values at most.
fn caps(limits: &Limits) -> [(c_int, c_int); 10] {
    let most = |bytes: usize| c_int::try_from(bytes).unwrap_or(c_int::MAX);
    [
        (ffi::SQLITE_LIMIT_LENGTH, most(limits.value_bytes)),
        (ffi::SQLITE_LIMIT_SQL_LENGTH, most(limits.statement_bytes)),
        (ffi::SQLITE_LIMIT_VARIABLE_NUMBER, most(limits.parameters)),
        (ffi::SQLITE_LIMIT_COLUMN, 500),
        (ffi::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (ffi::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (ffi::SQLITE_LIMIT_VDBE_OP, 100_000),
        // A pattern is compared at each place of a value, without a look at the clock.
        (ffi::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500),
        (ffi::SQLITE_LIMIT_TRIGGER_DEPTH, 20),
        (ffi::SQLITE_LIMIT_ATTACHED, 0),
    ]
}

extern "C" fn free(watch: *mut c_void) {
    // SAFETY: SQLite hands back once what it was given, which came from a box.
    #[expect(unsafe_code, reason = "SQLite owns the watch")]
    let watch = unsafe { Box::from_raw(watch.cast::<Watch>()) };
    drop(watch);
}

/// Notes when a statement begins. Programs within it, such as those of foreign keys, come as comments.
extern "C" fn begin(_: c_uint, watch: *mut c_void, _: *mut c_void, sql: *mut c_void) -> c_int {
    if !text(sql.cast_const().cast()).starts_with("--") {
        let watch = of(watch);
        watch.begun.set(Some(Instant::now()));
        // A statement that was refused, and that nobody has asked about, is not this one.
        watch.refused.take();
    }
    0
}

/// Interrupts a statement whose time is over.
extern "C" fn progress(watch: *mut c_void) -> c_int {
    let watch = of(watch);
    c_int::from(watch.begun.get().is_some_and(|begun| begun.elapsed() > watch.statement))
}

extern "C" fn authorize(
    watch: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    // Which view or trigger asks is of no matter: a component could name a table of WITH like one.
    _: *const c_char,
) -> c_int {
    let (first, second, watch) = (text(first), text(second), of(watch));
    let own = || {
        let table = first.to_ascii_lowercase();
        OWN_TABLES.iter().any(|own| table.starts_with(own))
    };
    let allowed = match action {
        ffi::SQLITE_SELECT
        | ffi::SQLITE_RECURSIVE
        | ffi::SQLITE_TRANSACTION
        | ffi::SQLITE_SAVEPOINT => Ok(()),
        ffi::SQLITE_READ => watch.access.check(Right::Read, first, second),
        ffi::SQLITE_INSERT if !own() => watch.access.check(Right::Insert, first, second),
        ffi::SQLITE_UPDATE if !own() => watch.access.check(Right::Update, first, second),
        ffi::SQLITE_DELETE if !own() => watch.access.check(Right::Delete, first, second),
        ffi::SQLITE_FUNCTION if !OUTSIDE.iter().any(|name| second.eq_ignore_ascii_case(name)) => {
            Ok(())
        }
        _ => Err("statements read and write rows of tables, and this one does more".to_owned()),
    };
    match allowed {
        Ok(()) => ffi::SQLITE_OK,
        Err(why) => {
            // The first reason is the statement's own; SQLite may go on and ask for more.
            watch.refused.borrow_mut().get_or_insert(why);
            ffi::SQLITE_DENY
        }
    }
}

fn of<'a>(watch: *mut c_void) -> &'a Watch {
    // SAFETY: SQLite hands on what it was given, which lives as long as the connection that calls.
    #[expect(unsafe_code, reason = "SQLite hands the watch over as a pointer")]
    unsafe {
        &*watch.cast::<Watch>()
    }
}

/// An argument's text; none for NULL.
fn text<'a>(argument: *const c_char) -> &'a str {
    if argument.is_null() {
        return "";
    }
    // SAFETY: SQLite's arguments are NUL-terminated, and outlive the call that they are read in.
    #[expect(unsafe_code, reason = "SQLite hands C strings over")]
    let text = unsafe { CStr::from_ptr(argument) };
    // Statements arrive as UTF-8, and so do names in them.
    text.to_str().unwrap_or_default()
}
