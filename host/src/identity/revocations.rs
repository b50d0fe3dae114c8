//! What tokens were ended before their time: in the database so that it survives a restart and reaches
//! other hosts, and in memory so that no request waits for it.
//!
//! The tokens of one sign-in are a family, of which the newest counts: exchanging a token makes another
//! one the newest, and a family can be ended as a whole. All tokens of a user are ended by moving the user
//! to a new generation: tokens carry the generation that they were issued in.
//!
//! Memory is bounded. Where the database knows more than memory may hold, tokens that memory knows
//! nothing of are looked up: that is slower, and forgets nothing.

mod memory;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::keys::Id;
use crate::clock::Clock;
use crate::database::{Database, Failure, Notice, Notices, Rows, Value};
use memory::Memory;

pub(super) use memory::{Family, Standing};

/// The channel on which PostgreSQL tells what other hosts have ended: see `migrations/postgres/host`.
const CHANNEL: &str = "wharf_tokens";

/// How often expired entries are removed, in seconds.
const SWEEP: i64 = 600;

/// How long to wait before what was missed is read again.
const RETRY: Duration = Duration::from_millis(500);

/// A token, as far as it matters for whether it has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) id: Id,
    pub(super) family: Id,
    pub(super) realm: &'a str,
    pub(super) user: i64,
    pub(super) generation: i64,
}

/// What has been ended.
pub(super) struct Revocations {
    database: Database,
    clock: Clock,
    memory: RwLock<Memory>,
}

impl Revocations {
    /// Reads what the database remembers; keeps at most so many entries of it in memory.
    pub(super) async fn load(
        database: Database,
        most: usize,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let memory = RwLock::new(Memory::new(most, clock.now()));
        let revocations = Revocations { database, clock, memory };
        revocations.sweep_database().await?;
        revocations.read_all().await?;
        Ok(revocations)
    }

    /// What other hosts tell; `None` where there can be none.
    pub(super) fn notices(&self) -> Option<Notices> {
        self.database.notices(CHANNEL)
    }

    /// Learns what other hosts end, for ever.
    pub(super) async fn follow(self: Arc<Self>, mut notices: Notices) {
        loop {
            match notices.next().await {
                Notice::Told(text) => self.hear(&text),
                Notice::Joined => {
                    while let Err(failure) = self.read_all().await {
                        tracing::warn!(%failure, "cannot read what tokens other hosts have ended; trying again");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
            self.sweep_now_and_then().await;
        }
    }

    /// Whether a token has been ended.
    pub(super) async fn standing(&self, token: Asked<'_>) -> Result<Standing, Failure> {
        let known = self.read().standing(token);
        match known {
            Some(standing) => Ok(standing),
            None => self.look_up(token).await,
        }
    }

    /// The generation that a user was last moved to, if that was not long ago. The database is asked, since
    /// another host may have done so a moment ago.
    pub(super) async fn generation(&self, realm: &str, user: i64) -> Result<Option<i64>, Failure> {
        let rows = self
            .database
            .query(
                "SELECT user_id, generation, expires_at, realm FROM user_generations WHERE realm = $1 AND user_id = $2",
                vec![Value::Text(realm.to_owned()), Value::Integer(user)],
            )
            .await?;
        self.remember_users(&rows);
        Ok(rows.rows.first().and_then(|row| user_of(row)).map(|user| user.generation))
    }

    /// Makes `new`, which expires then, the token that counts in place of `old`, and says whether it was
    /// that until now: the database decides between several.
    pub(super) async fn exchange(
        &self,
        family: Id,
        old: Id,
        new: Id,
        expires: i64,
    ) -> Result<bool, Failure> {
        let rows = self
            .database
            .query(
                "INSERT INTO token_families (family_id, current_id, turn, exchanged_at, expires_at) VALUES ($1, $2, 1, $3, $4)
                 ON CONFLICT (family_id) DO UPDATE SET turn = token_families.turn + 1, current_id = excluded.current_id,
                     exchanged_at = excluded.exchanged_at, expires_at = excluded.expires_at
                 WHERE token_families.current_id = $5
                 RETURNING family_id, turn, exchanged_at, expires_at, current_id",
                vec![
                    Value::Text(family.to_string()),
                    Value::Text(new.to_string()),
                    Value::Integer(self.clock.now()),
                    Value::Integer(expires),
                    Value::Text(old.to_string()),
                ],
            )
            .await?;
        self.remember_families(&rows);
        self.sweep_now_and_then().await;
        Ok(!rows.rows.is_empty())
    }

    /// Ends all tokens of a family, the newest of which expires then if it was never exchanged.
    pub(super) async fn end(&self, family: Id, expires: i64) -> Result<(), Failure> {
        let rows = self
            .database
            .query(
                "INSERT INTO token_families (family_id, current_id, turn, exchanged_at, expires_at) VALUES ($1, '', 1, $2, $3)
                 ON CONFLICT (family_id) DO UPDATE SET turn = token_families.turn + 1, current_id = ''
                 RETURNING family_id, turn, exchanged_at, expires_at, current_id",
                vec![
                    Value::Text(family.to_string()),
                    Value::Integer(self.clock.now()),
                    Value::Integer(expires),
                ],
            )
            .await?;
        self.remember_families(&rows);
        self.sweep_now_and_then().await;
        Ok(())
    }

    /// Ends all tokens that a user holds now, which have all expired by themselves at `expires`.
    pub(super) async fn next_generation(
        &self,
        realm: &str,
        user: i64,
        expires: i64,
    ) -> Result<(), Failure> {
        // Later than every token of this second. A row stays until its generation is in the past, so that
        // the next one is later still.
        let rows = self
            .database
            .query(
                "INSERT INTO user_generations (realm, user_id, generation, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (realm, user_id) DO UPDATE SET
                     generation = CASE WHEN user_generations.generation >= excluded.generation
                         THEN user_generations.generation + 1 ELSE excluded.generation END,
                     expires_at = CASE WHEN user_generations.generation >= excluded.expires_at
                         THEN user_generations.generation + 1 ELSE excluded.expires_at END
                 RETURNING user_id, generation, expires_at, realm",
                vec![
                    Value::Text(realm.to_owned()),
                    Value::Integer(user),
                    Value::Integer(self.clock.now().saturating_add(1)),
                    Value::Integer(expires),
                ],
            )
            .await?;
        self.remember_users(&rows);
        self.sweep_now_and_then().await;
        Ok(())
    }

    /// What the database knows of a family.
    pub(super) async fn family(&self, family: Id) -> Result<Option<Family>, Failure> {
        let rows = self
            .database
            .query(
                "SELECT family_id, turn, exchanged_at, expires_at, current_id FROM token_families WHERE family_id = $1",
                vec![Value::Text(family.to_string())],
            )
            .await?;
        self.remember_families(&rows);
        Ok(rows.rows.first().and_then(|row| family_of(row)).map(|(_, family)| family))
    }

    pub(super) async fn close(&self) {
        self.database.close().await;
    }

    /// Asks the database about a token that memory knows too little of.
    async fn look_up(&self, token: Asked<'_>) -> Result<Standing, Failure> {
        let family = self.family(token.family).await?;
        let generation = self.generation(token.realm, token.user).await?;
        Ok(Standing::of(token, family, generation))
    }

    /// Reads all that memory may hold, and notes whether that was all there is.
    async fn read_all(&self) -> Result<(), Failure> {
        let (most, missed) = {
            let memory = self.read();
            (i64::try_from(memory.most()).unwrap_or(i64::MAX).saturating_add(1), memory.missed())
        };
        let families = "SELECT family_id, turn, exchanged_at, expires_at, current_id FROM token_families LIMIT $1";
        let families = self.database.query(families, vec![Value::Integer(most)]).await?;
        let users = "SELECT user_id, generation, expires_at, realm FROM user_generations LIMIT $1";
        let users = self.database.query(users, vec![Value::Integer(most)]).await?;
        self.remember_families(&families);
        self.remember_users(&users);
        // Not before all of it is there, and not if something was missed since the reading began.
        self.write().complete(missed);
        Ok(())
    }

    /// Takes in what another host, or this one, has told.
    fn hear(&self, text: &str) {
        let mut words = text.splitn(6, ' ');
        let kind = words.next();
        let values: Vec<&str> = words.collect();
        match (kind, values.as_slice()) {
            (Some("family"), [id, turn, exchanged, expires, current]) => {
                let number = |text: &str| Value::Integer(text.parse().unwrap_or(0));
                let text = |text: &str| Value::Text(text.to_owned());
                let row =
                    [text(id), number(turn), number(exchanged), number(expires), text(current)];
                if let Some((id, family)) = family_of(&row) {
                    self.write().remember_family(id, family);
                }
            }
            (Some("user"), [user, generation, expires, realm @ ..]) => {
                let number = |text: &str| Value::Integer(text.parse().unwrap_or(0));
                let row = [
                    number(user),
                    number(generation),
                    number(expires),
                    Value::Text(realm.join(" ")),
                ];
                if let Some(user) = user_of(&row) {
                    self.write().remember_user(user.realm, user.id, user.generation, user.expires);
                }
            }
            _ => tracing::warn!(
                notice = text,
                "another host tells what this one does not understand"
            ),
        }
    }

    fn remember_families(&self, rows: &Rows) {
        if rows.rows.is_empty() {
            return;
        }
        let mut memory = self.write();
        for (id, family) in rows.rows.iter().filter_map(|row| family_of(row)) {
            memory.remember_family(id, family);
        }
    }

    fn remember_users(&self, rows: &Rows) {
        if rows.rows.is_empty() {
            return;
        }
        let mut memory = self.write();
        for user in rows.rows.iter().filter_map(|row| user_of(row)) {
            memory.remember_user(user.realm, user.id, user.generation, user.expires);
        }
    }

    /// Forgets what has expired by itself, so that neither store grows without end.
    async fn sweep_now_and_then(&self) {
        let now = self.clock.now();
        if now < self.read().swept() + SWEEP {
            return;
        }
        let is_complete = self.write().sweep(now);
        let mut swept = self.sweep_database().await;
        if swept.is_ok() && !is_complete {
            swept = self.read_all().await;
        }
        if let Err(failure) = swept {
            tracing::warn!(%failure, "cannot forget expired tokens; trying again in {SWEEP} s");
        }
    }

    async fn sweep_database(&self) -> Result<(), Failure> {
        for statement in [
            "DELETE FROM token_families WHERE expires_at <= $1",
            "DELETE FROM user_generations WHERE expires_at <= $1",
        ] {
            self.database.execute(statement, vec![Value::Integer(self.clock.now())]).await?;
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A row of `token_families`.
fn family_of(row: &[Value]) -> Option<(Id, Family)> {
    let [
        Value::Text(id),
        Value::Integer(turn),
        Value::Integer(exchanged),
        Value::Integer(expires),
        Value::Text(current),
    ] = row
    else {
        return None;
    };
    // What is no id, the empty text above all, is nobody's.
    let current = current.parse().ok();
    let family = Family { current, turn: *turn, exchanged: *exchanged, expires: *expires };
    Some((id.parse().ok()?, family))
}

struct User<'a> {
    realm: &'a str,
    id: i64,
    generation: i64,
    expires: i64,
}

/// A row of `user_generations`.
fn user_of(row: &[Value]) -> Option<User<'_>> {
    let [
        Value::Integer(id),
        Value::Integer(generation),
        Value::Integer(expires),
        Value::Text(realm),
    ] = row
    else {
        return None;
    };
    Some(User { realm, id: *id, generation: *generation, expires: *expires })
}
