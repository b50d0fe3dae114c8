//! What tokens were ended before their time: in the database so that it survives a restart, and in
//! memory so that no request waits for it.
//!
//! A single token is ended by its id. All tokens of a user are ended by moving the user to a new
//! generation: tokens carry the generation that they were issued in, so that a sign-in in the very
//! second of a password change is told from the tokens before it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::database::{Database, Failure, Value};

/// What has been ended.
pub(super) struct Revocations {
    database: Database,
    memory: RwLock<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Token id → when it expires by itself.
    ended: HashMap<String, i64>,
    /// (realm, user) → generation. Users who are not here are in generation 0.
    generations: HashMap<(String, i64), i64>,
    /// When `ended` was last cleared of tokens that have expired, in unix seconds.
    swept: i64,
}

/// How often expired entries are removed, in seconds.
const SWEEP: i64 = 600;

impl Revocations {
    /// Reads what the database remembers.
    pub(super) async fn load(database: Database, now: i64) -> Result<Self, Failure> {
        sweep(&database, now).await?;
        let mut memory = Memory { swept: now, ..Memory::default() };
        let ended =
            database.query("SELECT token_id, expires_at FROM revoked_tokens", Vec::new()).await?;
        for row in ended.rows {
            if let [Value::Text(id), Value::Integer(expires)] = row.as_slice() {
                memory.ended.insert(id.clone(), *expires);
            }
        }
        let generations = database
            .query("SELECT realm, user_id, generation FROM user_generations", Vec::new())
            .await?;
        for row in generations.rows {
            if let [Value::Text(realm), Value::Integer(user), Value::Integer(generation)] =
                row.as_slice()
            {
                memory.generations.insert((realm.clone(), *user), *generation);
            }
        }
        Ok(Revocations { database, memory: RwLock::new(memory) })
    }

    /// Whether a token has been ended.
    pub(super) fn is_ended(&self, token: &str) -> bool {
        self.read().ended.contains_key(token)
    }

    /// The generation that a user's tokens are issued in.
    pub(super) fn generation(&self, realm: &str, user: i64) -> i64 {
        let memory = self.read();
        // The usual host has ended nobody's tokens, and then need not make a key.
        if memory.generations.is_empty() {
            return 0;
        }
        memory.generations.get(&(realm.to_owned(), user)).copied().unwrap_or(0)
    }

    /// Ends a token and says whether this call did: the database decides between several.
    pub(super) async fn end(&self, token: &str, expires: i64, now: i64) -> Result<bool, Failure> {
        let added = self
            .database
            .execute(
                "INSERT INTO revoked_tokens (token_id, expires_at) VALUES ($1, $2) ON CONFLICT (token_id) DO NOTHING",
                vec![Value::Text(token.to_owned()), Value::Integer(expires)],
            )
            .await?;
        self.write().ended.insert(token.to_owned(), expires);
        self.sweep_now_and_then(now).await;
        Ok(added == 1)
    }

    /// Ends all tokens that a user holds now.
    pub(super) async fn next_generation(&self, realm: &str, user: i64) -> Result<(), Failure> {
        let rows = self
            .database
            .query(
                "INSERT INTO user_generations (realm, user_id, generation) VALUES ($1, $2, 1)
                 ON CONFLICT (realm, user_id) DO UPDATE SET generation = user_generations.generation + 1
                 RETURNING generation",
                vec![Value::Text(realm.to_owned()), Value::Integer(user)],
            )
            .await?;
        let Some([Value::Integer(generation)]) = rows.rows.first().map(Vec::as_slice) else {
            return Err(Failure::Failed("the new generation did not come back".into()));
        };
        let mut memory = self.write();
        let known = memory.generations.entry((realm.to_owned(), user)).or_default();
        // Of two at once, the later answer may come back first.
        *known = (*known).max(*generation);
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.database.close().await;
    }

    /// Forgets tokens that have expired by themselves, so that neither store grows without end.
    async fn sweep_now_and_then(&self, now: i64) {
        {
            let mut memory = self.write();
            if now < memory.swept + SWEEP {
                return;
            }
            memory.swept = now;
            memory.ended.retain(|_, expires| *expires > now);
        }
        if let Err(failure) = sweep(&self.database, now).await {
            tracing::warn!(%failure, "cannot forget expired tokens; trying again in {SWEEP} s");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(database: &Database, now: i64) -> Result<(), Failure> {
    let statement = "DELETE FROM revoked_tokens WHERE expires_at <= $1";
    database.execute(statement, vec![Value::Integer(now)]).await.map(drop)
}
