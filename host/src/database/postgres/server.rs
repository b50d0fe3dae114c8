//! How many connections a host's tenants have open at a PostgreSQL server: it keeps a process for each, and has so
//! many, however many tenants there are. Who needs one more than that has the one closed that was idle for longest;
//! no tenant has more than half of them in use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::failure;
use crate::database::{Failure, Limits};

/// How soon it is looked again whether something is idle.
const RETRY: Duration = Duration::from_millis(1);

/// What a host's tenants share of a server. Clones are the same.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    most: u32,
    wait: Duration,
    /// One for each connection that may be in use.
    places: Arc<Semaphore>,
    all: Mutex<Vec<Weak<Connections>>>,
    /// Counts what is lent, so that it is known what was used last.
    lent: AtomicU64,
}

/// The connections of one role, or of a schema's owner.
pub(super) struct Connections {
    pub(super) pool: PgPool,
    /// One for each that may be in use: nobody waits for them with a place of the server's.
    places: Arc<Semaphore>,
    /// The same, of all that reach the same data.
    data_places: Arc<Semaphore>,
    /// When one was lent last, by the count of all.
    used: AtomicU64,
}

/// A connection in use, and its places.
#[derive(Debug)]
pub(in crate::database) struct Lent {
    pub(in crate::database) connection: PoolConnection<Postgres>,
    _places: [OwnedSemaphorePermit; 3],
}

impl Server {
    /// A server at which so many connections may be open, one of which is waited for so long.
    pub fn new(most: u32, wait: Duration) -> Self {
        Server(Arc::new(Shared {
            most,
            wait,
            places: places(most),
            all: Mutex::default(),
            lent: AtomicU64::new(0),
        }))
    }

    /// A server for data that shares it with nobody's: all connections of a pool are half of its own.
    pub(in crate::database) fn of_one(limits: &Limits) -> Self {
        Server::new(limits.connections.saturating_mul(2), limits.wait)
    }

    /// Counts the connections of a pool among those that may be open; `beside` are others to the same data.
    pub(super) fn count(&self, pool: PgPool, beside: Option<&Connections>) -> Arc<Connections> {
        let connections = Arc::new(Connections {
            places: places(pool.options().get_max_connections()),
            data_places: beside.map_or_else(
                || places((self.0.most / 2).max(1)),
                |beside| Arc::clone(&beside.data_places),
            ),
            used: AtomicU64::new(self.0.lent.fetch_add(1, Ordering::Relaxed)),
            pool,
        });
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&connections));
        connections
    }

    /// Lends a connection.
    pub(super) async fn lend(&self, connections: &Connections) -> Result<Lent, Failure> {
        let waiting = async {
            let Connections { places, data_places, .. } = connections;
            [place(places).await, place(data_places).await, place(&self.0.places).await]
        };
        let waited = tokio::time::timeout(self.0.wait, waiting).await;
        let places = waited.map_err(|_| Failure::Busy)?;
        connections.used.store(self.0.lent.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        self.make_room(Some(connections)).await;
        let acquired = connections.pool.acquire();
        let is_idle = connections.pool.num_idle() > 0;
        let connection = if is_idle { acquired.await } else { apart(acquired).await };
        let connection = connection.map_err(|error| failure(&error))?;
        Ok(Lent { connection, _places: places })
    }

    /// Closes what was idle for longest, until one more may be open, or whom it is for needs none.
    pub(super) async fn make_room(&self, own: Option<&Connections>) {
        let closing = async {
            while own.is_none_or(|own| own.pool.num_idle() == 0) && self.is_full() {
                let lacks_one = own.is_none_or(Connections::lack_one);
                let idle = if lacks_one { self.longest_idle() } else { None };
                match idle.and_then(|connections| connections.pool.try_acquire()) {
                    Some(connection) => drop(connection.close().await),
                    // What is given back is a moment on its way.
                    None => tokio::time::sleep(RETRY).await,
                }
            }
        };
        let _ = tokio::time::timeout(self.0.wait, closing).await;
    }

    fn is_full(&self) -> bool {
        let open: u32 = self.all().iter().map(|connections| connections.pool.size()).sum();
        open >= self.0.most
    }

    fn longest_idle(&self) -> Option<Arc<Connections>> {
        let idle = self.all().into_iter().filter(|connections| connections.pool.num_idle() > 0);
        idle.min_by_key(|connections| connections.used.load(Ordering::Relaxed))
    }

    fn all(&self) -> Vec<Arc<Connections>> {
        let all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Connections {
    /// Whether they are fewer than those who have a place to use one.
    fn lack_one(&self) -> bool {
        let most = self.pool.options().get_max_connections() as usize;
        (self.pool.size() as usize) < most.saturating_sub(self.places.available_permits())
    }
}

/// Does what connects on a thread of its own, as long as somebody waits for it. To sign in by password (SCRAM), sqlx
/// lets everybody else go first eight hundred times: with a hundred other tasks ready to run, that took 1.5 seconds
/// in place of 29 milliseconds, and more than a server has to answer before it is taken to be away.
pub(in crate::database) async fn apart<T: Send + 'static>(
    connecting: impl Future<Output = T> + Send + 'static,
) -> T {
    let (_waiting, left) = oneshot::channel::<()>();
    let unless_left = async move {
        tokio::select! {
            done = connecting => Some(done),
            _ = left => None,
        }
    };
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(unless_left)).await;
    done.expect("connecting does not panic").expect("somebody waits")
}

fn places(most: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)))
}

async fn place(places: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(places).acquire_owned().await.expect("places are never closed")
}
