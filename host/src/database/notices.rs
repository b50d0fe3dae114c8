//! What other hosts tell through PostgreSQL, by NOTIFY in the transactions that change something.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::postgres::apart;
use super::{Database, Pool};

/// How often a connection on which nothing is told is asked whether it still stands. While it answers,
/// nothing was lost: notices come in order on one connection.
const CHECK: Duration = Duration::from_secs(5);

/// How long to wait before trying again to connect.
const RETRY: Duration = Duration::from_millis(500);

/// What is heard.
#[derive(Debug)]
pub enum Notice {
    /// From here on everything is heard. What was told before may have been missed and has to be read.
    Joined,
    /// What somebody told.
    Told(String),
}

/// A connection that listens to one channel, and is made again when it is lost.
pub struct Notices {
    options: Arc<PgConnectOptions>,
    channel: &'static str,
    listener: Option<PgListener>,
}

impl Database {
    /// What is told on a channel; `None` on SQLite, whose file one host has to itself.
    pub fn notices(&self, channel: &'static str) -> Option<Notices> {
        match &self.pool {
            Pool::Sqlite(_) => None,
            Pool::Postgres(pool) => {
                Some(Notices { options: pool.connect_options(), channel, listener: None })
            }
        }
    }
}

impl Notices {
    /// Waits for the next one; first of all, and after every loss, that is [`Notice::Joined`].
    pub async fn next(&mut self) -> Notice {
        loop {
            let Some(listener) = &mut self.listener else {
                match apart(join(Arc::clone(&self.options), self.channel)).await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        return Notice::Joined;
                    }
                    Err(error) => {
                        tracing::warn!(channel = self.channel, %error, "cannot hear what other hosts tell; trying again");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                }
            };
            match tokio::time::timeout(CHECK, listener.try_recv()).await {
                Ok(Ok(Some(told))) => return Notice::Told(told.payload().to_owned()),
                Err(_) if stands(listener).await => {}
                Ok(Ok(None) | Err(_)) | Err(_) => self.listener = None,
            }
        }
    }
}

/// Connects besides the pool, whose connections guests wait for.
async fn join(
    options: Arc<PgConnectOptions>,
    channel: &'static str,
) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CHECK)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(PgConnectOptions::clone(&options));
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}

async fn stands(listener: &mut PgListener) -> bool {
    let asked = sqlx::query("SELECT 1").execute(listener);
    matches!(tokio::time::timeout(CHECK, asked).await, Ok(Ok(_)))
}
