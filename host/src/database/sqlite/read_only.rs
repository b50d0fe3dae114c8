//! Connections that SQLite opened for reading alone, since it was not let write to the file at that time
//! (<https://sqlite.org/c3ref/db_readonly.html>). They stay so; once the file can be written to, they
//! must be gone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libsqlite3_sys as ffi;
use sqlx::SqliteConnection;

/// When connections for reading alone were opened, from the first to the last of them: those opened in
/// between are used once.
pub(super) struct Period {
    began: Instant,
    /// In milliseconds since `began`; above `last` while there was none.
    first: AtomicU64,
    last: AtomicU64,
}

impl Default for Period {
    fn default() -> Self {
        Period { began: Instant::now(), first: AtomicU64::new(u64::MAX), last: AtomicU64::new(0) }
    }
}

impl Period {
    /// Takes a connection that was opened just now into account.
    pub(super) async fn note(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut locked = connection.lock_handle().await?;
        let database = locked.as_raw_handle().as_ptr();
        // SAFETY: the handle is locked and open, and the name is a C string of the program's own.
        #[expect(unsafe_code, reason = "sqlx has no way to ask whether a database is read-only")]
        let read_only = unsafe { ffi::sqlite3_db_readonly(database, c"main".as_ptr()) };
        if read_only == 1 {
            self.first.fetch_min(self.now(Duration::ZERO), Ordering::Relaxed);
            self.last.fetch_max(self.now(Duration::ZERO), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether a connection of this age was opened within the period.
    pub(super) fn covers(&self, age: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        // Nearly always there is none, and no clock is asked.
        if last == 0 {
            return false;
        }
        // An age is counted from a moment after the connection was noted.
        let opened = self.now(age);
        opened.saturating_add(TOLERANCE) >= self.first.load(Ordering::Relaxed)
            && opened <= last.saturating_add(TOLERANCE)
    }

    fn now(&self, age: Duration) -> u64 {
        let since = self.began.elapsed().saturating_sub(age).as_millis();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

/// Milliseconds by which two readings of the same moment may differ.
const TOLERANCE: u64 = 1_000;
