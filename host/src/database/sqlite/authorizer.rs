//! What statements may do, whatever they look like: SQLite asks for every step of one when it is
//! prepared (<https://sqlite.org/c3ref/set_authorizer.html>).
//!
//! Rows are read and written. No other file is attached, no setting of the connection is read or
//! changed, no schema is touched, and neither are SQLite's own tables and the record of migrations.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use libsqlite3_sys as ffi;
use sqlx::SqliteConnection;

/// Tables that only the host and SQLite itself write.
const OWN_TABLES: [&[u8]; 2] = [b"sqlite_", b"_sqlx_"];

/// Functions that reach beyond the database.
const OUTSIDE: [&str; 2] = ["load_extension", "fts3_tokenizer"];

/// Holds a connection to rows for the rest of its life.
pub(super) async fn restrict(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut locked = connection.lock_handle().await?;
    let database = locked.as_raw_handle().as_ptr();
    // SAFETY: the handle is locked and open, the callback keeps no state and does not unwind.
    #[expect(unsafe_code, reason = "sqlx has no way to set an authorizer")]
    let set = unsafe { ffi::sqlite3_set_authorizer(database, Some(authorize), null_mut()) };
    if set == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(sqlx::Error::Protocol("the connection takes no authorizer".into()))
    }
}

extern "C" fn authorize(
    _: *mut c_void,
    action: c_int,
    first: *const c_char,
    second: *const c_char,
    _: *const c_char,
    _: *const c_char,
) -> c_int {
    let allowed = match action {
        ffi::SQLITE_SELECT
        | ffi::SQLITE_READ
        | ffi::SQLITE_RECURSIVE
        | ffi::SQLITE_TRANSACTION
        | ffi::SQLITE_SAVEPOINT => true,
        ffi::SQLITE_INSERT | ffi::SQLITE_UPDATE | ffi::SQLITE_DELETE => {
            !OWN_TABLES.iter().any(|own| text(first).to_ascii_lowercase().starts_with(own))
        }
        ffi::SQLITE_FUNCTION => {
            !OUTSIDE.iter().any(|name| text(second).eq_ignore_ascii_case(name.as_bytes()))
        }
        _ => false,
    };
    if allowed { ffi::SQLITE_OK } else { ffi::SQLITE_DENY }
}

/// An argument's bytes; none for NULL.
fn text<'a>(argument: *const c_char) -> &'a [u8] {
    if argument.is_null() {
        return &[];
    }
    // SAFETY: SQLite's arguments are NUL-terminated, and outlive the call that they are read in.
    #[expect(unsafe_code, reason = "SQLite hands C strings over")]
    let text = unsafe { CStr::from_ptr(argument) };
    text.to_bytes()
}
