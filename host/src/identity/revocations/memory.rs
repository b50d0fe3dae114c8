//! What of the revocations is in memory, which is bounded.

use std::collections::HashMap;

use super::Asked;
use crate::identity::keys::Id;

/// The tokens of one sign-in.
#[derive(Clone, Copy, Debug)]
pub(in crate::identity) struct Family {
    /// The token that counts; `None` when all have ended.
    pub(in crate::identity) current: Option<Id>,
    /// How often it has changed: of two versions, the later one is right.
    pub(super) turn: i64,
    /// When it was last exchanged, in unix seconds.
    pub(in crate::identity) exchanged: i64,
    /// When all its tokens have expired by themselves.
    pub(in crate::identity) expires: i64,
}

/// Whether a token has been ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::identity) enum Standing {
    /// It counts.
    Good,
    /// It does not any more.
    Ended,
}

impl Standing {
    pub(super) fn of(token: Asked<'_>, family: Option<Family>, generation: Option<i64>) -> Self {
        let exchanged = family.is_some_and(|family| family.current != Some(token.id));
        let outlived = generation.is_some_and(|generation| token.generation < generation);
        if exchanged || outlived { Standing::Ended } else { Standing::Good }
    }
}

struct Generation {
    number: i64,
    expires: i64,
}

/// What is remembered of what has been ended.
pub(super) struct Memory {
    families: HashMap<Id, Family>,
    /// Realm → user → generation.
    users: HashMap<String, HashMap<i64, Generation>>,
    /// Entries of both.
    entries: usize,
    /// Entries that there may be.
    most: usize,
    /// How many could not be remembered since the process started.
    missed: u64,
    /// Whether everything that has been ended is remembered.
    is_complete: bool,
    /// When expired entries were last removed, in unix seconds.
    swept: i64,
}

impl Memory {
    pub(super) fn new(most: usize, now: i64) -> Self {
        Memory {
            families: HashMap::new(),
            users: HashMap::new(),
            entries: 0,
            most,
            missed: 0,
            is_complete: false,
            swept: now,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    pub(super) fn swept(&self) -> i64 {
        self.swept
    }

    /// Whether a token has been ended; `None` if only the database can tell.
    pub(super) fn standing(&self, token: Asked<'_>) -> Option<Standing> {
        let family = self.families.get(&token.family).copied();
        let standing = Standing::of(token, family, self.generation(token.realm, token.user));
        (self.is_complete || standing == Standing::Ended).then_some(standing)
    }

    pub(super) fn generation(&self, realm: &str, user: i64) -> Option<i64> {
        Some(self.users.get(realm)?.get(&user)?.number)
    }

    /// Counts as complete from here on, unless more has been missed than this.
    pub(super) fn complete(&mut self, missed: u64) {
        self.is_complete = self.missed == missed;
    }

    pub(super) fn remember_family(&mut self, id: Id, family: Family) {
        match self.families.get_mut(&id) {
            Some(known) if known.turn < family.turn => *known = family,
            Some(_) => {}
            None => {
                if self.has_room() {
                    self.families.insert(id, family);
                }
            }
        }
    }

    pub(super) fn remember_user(&mut self, realm: &str, user: i64, number: i64, expires: i64) {
        if let Some(known) = self.users.get_mut(realm).and_then(|users| users.get_mut(&user)) {
            // Of two at once, the later answer may come back first.
            if known.number < number {
                *known = Generation { number, expires };
            }
        } else if self.has_room() {
            let users = self.users.entry(realm.to_owned()).or_default();
            users.insert(user, Generation { number, expires });
        }
    }

    /// Removes what has expired; says whether everything that has been ended is remembered.
    pub(super) fn sweep(&mut self, now: i64) -> bool {
        self.swept = now;
        self.families.retain(|_, family| family.expires > now);
        for users in self.users.values_mut() {
            users.retain(|_, generation| generation.expires > now);
        }
        self.users.retain(|_, users| !users.is_empty());
        self.entries = self.families.len() + self.users.values().map(HashMap::len).sum::<usize>();
        self.is_complete
    }

    /// Takes a place for one more entry, or notes that it is missed.
    fn has_room(&mut self) -> bool {
        let room = self.entries < self.most;
        if room {
            self.entries += 1;
        } else {
            self.missed += 1;
            self.is_complete = false;
        }
        room
    }
}
