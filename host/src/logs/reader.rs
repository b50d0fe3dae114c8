//! Whoever reads the lines of a tenant, as fast as they can.

use std::sync::{Arc, Weak};

use tokio::sync::{OwnedSemaphorePermit, watch};

use super::kept::Part;
use super::{Journal, Level, Line};

/// Lines that are taken at once, and their bytes.
const LINES: usize = 64;
const BYTES: usize = 64 * 1024;

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those of one group.
    pub group: Option<String>,
    /// Those that matter so much at least.
    pub level: Option<Level>,
    /// The last so many of those that are there already; all of them if it is not said.
    pub last: Option<usize>,
}

impl Wanted {
    fn takes(&self, line: &Line) -> bool {
        self.group.as_ref().is_none_or(|group| *group == line.origin.group)
            && self.level.is_none_or(|level| level <= line.level)
    }
}

/// What a reader is told.
pub enum Told {
    /// A line.
    Line(Arc<Line>),
    /// So many lines of the tenant's, wanted or not, went before they could be read.
    Missed(u64),
}

/// Somebody who reads.
pub struct Reader {
    /// The tenant may be deleted meanwhile.
    journal: Weak<Journal>,
    wanted: Wanted,
    /// The number of the line that is read next.
    next: u64,
    /// The number of the first line that was not there when reading began.
    live: u64,
    /// What comes later is read as well.
    follows: Option<Follows>,
}

struct Follows {
    news: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Journal {
    /// Somebody who reads what is kept, and goes on if they are to follow; `None` if as many follow as may.
    pub fn read(self: &Arc<Self>, wanted: Wanted, follow: bool) -> Option<Reader> {
        let follows = if follow {
            let place = Arc::clone(&self.followers).try_acquire_owned().ok()?;
            Some(Follows { news: self.next.subscribe(), _place: place })
        } else {
            None
        };
        let kept = self.kept();
        let next = wanted.last.map_or(0, |last| kept.last(last, |line| wanted.takes(line)));
        let live = kept.next();
        Some(Reader { journal: Arc::downgrade(self), wanted, next, live, follows })
    }
}

impl Reader {
    /// What there is to tell, waiting for it where somebody follows; `None` when that was all.
    pub async fn next(&mut self) -> Option<Vec<Told>> {
        loop {
            let told = self.take()?;
            if !told.is_empty() {
                return Some(told);
            }
            let (Some(Follows { news, .. }), read) = (&mut self.follows, self.next) else {
                return None;
            };
            news.wait_for(|next| *next > read).await.ok()?;
        }
    }

    /// What is there now, in part.
    fn take(&mut self) -> Option<Vec<Told>> {
        let journal = self.journal.upgrade()?;
        let kept = || journal.kept();
        let mut told = Vec::new();
        while told.is_empty() {
            let was_there = self.next < self.live;
            let end = match &self.follows {
                Some(_) if !was_there => kept().next(),
                _ => self.live,
            };
            if self.next >= end {
                break;
            }
            let Part { lines, missed, next } = kept().part(self.next..end, LINES, BYTES);
            self.next = next;
            // What went before reading began was not missed.
            if missed > 0 && !was_there {
                told.push(Told::Missed(missed));
            }
            let wanted = lines.into_iter().filter(|line| self.wanted.takes(line));
            told.extend(wanted.map(Told::Line));
        }
        Some(told)
    }
}
