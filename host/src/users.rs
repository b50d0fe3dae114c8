//! Users moved in and out: the tables of the built-in API as CSV.
//!
//! Operators of the original systems bring their users along with the password hashes they have;
//! `realms` holds what the files of each realm look like, and a further realm is one more entry
//! there. `line` reads and checks one line at a time, [`Import`] writes them in batches that are
//! in whole or not at all, and [`Export`] writes a file that an import takes again.

mod export;
mod import;
mod line;
mod realms;

pub use export::Export;
pub use import::{Batch, Import, Options};
pub use line::{Refusal, Zone};
pub use realms::{REALMS, Realm};
