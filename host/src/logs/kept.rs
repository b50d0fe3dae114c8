//! The lines of one tenant, the newest of them. Those about requests that were refused lie apart, in a quarter of
//! the room: who sends bad requests by the thousand drives out nothing that a guest wrote.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::{Frame, Line};

/// The part of the room that is for requests that were refused: one of so many.
const REFUSED: usize = 4;

pub(super) struct Kept {
    /// The number of the line that comes next; the first has 0.
    next: u64,
    usual: Ring,
    refused: Ring,
}

/// Lines with their numbers, oldest first.
struct Ring {
    lines: VecDeque<(u64, Arc<Line>)>,
    bytes: usize,
    most_lines: usize,
    most_bytes: usize,
}

/// Some of the lines, in their order.
pub(super) struct Part {
    pub(super) lines: Vec<Arc<Line>>,
    /// Lines with numbers in between that are not kept any more.
    pub(super) missed: u64,
    /// The number to go on from.
    pub(super) next: u64,
}

impl Kept {
    pub(super) fn new(bytes: usize, lines: usize) -> Self {
        let ring = |bytes, lines| Ring {
            lines: VecDeque::new(),
            bytes: 0,
            most_lines: lines,
            most_bytes: bytes,
        };
        let (refused, lines_of_refused) = (bytes / REFUSED, lines / REFUSED);
        Kept {
            next: 0,
            usual: ring(bytes - refused, lines - lines_of_refused),
            refused: ring(refused, lines_of_refused),
        }
    }

    /// Leaves no more room than this; room that was given up does not come back.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let refused = bytes / REFUSED;
        for (ring, most) in [(&mut self.usual, bytes - refused), (&mut self.refused, refused)] {
            ring.most_bytes = ring.most_bytes.min(most);
            ring.make_room(0);
        }
    }

    /// Keeps a line in place of the oldest, if there is room for it at all, and answers with the number of the
    /// next one.
    pub(super) fn push(&mut self, line: Arc<Line>, is_refusal: bool) -> u64 {
        let ring = if is_refusal { &mut self.refused } else { &mut self.usual };
        let size = size(&line);
        ring.make_room(size);
        if ring.bytes + size <= ring.most_bytes && ring.lines.len() < ring.most_lines {
            ring.bytes += size;
            ring.lines.push_back((self.next, line));
        }
        self.next += 1;
        self.next
    }

    /// The number of the line that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number from which on so many lines are kept that are wanted.
    pub(super) fn last(&self, count: usize, is_wanted: impl Fn(&Line) -> bool) -> u64 {
        let mut wanted: Vec<u64> = [&self.usual, &self.refused]
            .into_iter()
            .flat_map(|ring| {
                ring.lines.iter().rev().filter(|(_, line)| is_wanted(line)).take(count)
            })
            .map(|(number, _)| *number)
            .collect();
        wanted.sort_unstable();
        let first = wanted.len().saturating_sub(count);
        wanted.get(first).copied().unwrap_or(self.next)
    }

    /// The lines of these numbers: so many at most, and no more than a few of a great size.
    pub(super) fn part(&self, numbers: Range<u64>, most_lines: usize, most_bytes: usize) -> Part {
        let Range { start, end } = numbers;
        let mut usual = self.usual.from(start).peekable();
        let mut refused = self.refused.from(start).peekable();
        let (mut lines, mut bytes, mut next) = (Vec::new(), 0, end);
        loop {
            let source = match (usual.peek(), refused.peek()) {
                (Some((one, _)), Some((other, _))) if other < one => &mut refused,
                (None, Some(_)) => &mut refused,
                _ => &mut usual,
            };
            let Some((number, line)) = source.peek().filter(|(number, _)| *number < end) else {
                break;
            };
            let size = size(line);
            if lines.len() == most_lines || (bytes > 0 && bytes + size > most_bytes) {
                next = *number;
                break;
            }
            bytes += size;
            lines.push(Arc::clone(line));
            source.next();
        }
        let missed = (next - start).saturating_sub(lines.len() as u64);
        Part { lines, missed, next }
    }
}

impl Ring {
    fn make_room(&mut self, size: usize) {
        while self.bytes + size > self.most_bytes || self.lines.len() >= self.most_lines {
            let Some((_, oldest)) = self.lines.pop_front() else { return };
            self.bytes -= self::size(&oldest);
        }
    }

    fn from(&self, first: u64) -> impl Iterator<Item = &(u64, Arc<Line>)> {
        let begin = self.lines.partition_point(|(number, _)| *number < first);
        self.lines.range(begin..)
    }
}

/// The memory that a line takes, without what it shares with others.
fn size(line: &Line) -> usize {
    let names = line.backtrace.iter().map(|frame| {
        frame.function.len() + frame.file.as_ref().map_or(0, String::len) + size_of::<Frame>()
    });
    size_of::<Line>() + line.message.len() + names.sum::<usize>()
}
