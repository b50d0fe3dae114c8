//! The threads that hash, and the queue in front of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Busy;

type Work = Box<dyn FnOnce() + Send>;

/// How much less of a processor a hash gets than a request that wants it as well: nine in ten of the
/// time goes to the latter (`sched(7)`, the nice value).
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Threads that end when this is dropped.
pub(super) struct Threads {
    work: Sender<Work>,
    /// One for each thread, so that what is sent to them waits here and not in the channel.
    free: Arc<Semaphore>,
    /// Places in the queue.
    queue: Semaphore,
    wait: Duration,
}

impl Threads {
    /// Starts so many threads.
    pub(super) fn start(count: usize, queue: usize, wait: Duration) -> std::io::Result<Self> {
        let (work, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..count {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new()
                .name("passwords".into())
                .spawn(move || work_until_closed(&waiting))?;
        }
        let (free, queue) = (Arc::new(Semaphore::new(count)), Semaphore::new(queue));
        Ok(Threads { work, free, queue, wait })
    }

    /// Has a thread do the work, after those who came earlier.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let thread = self.thread().await?;
        let (done, outcome) = oneshot::channel();
        let work = move || {
            // The thread counts as taken until the work is done, also when nobody waits for it any more.
            let outcome = work();
            drop(thread);
            let _ = done.send(outcome);
        };
        self.work.send(Box::new(work)).map_err(|_| Busy)?;
        outcome.await.map_err(|_| Busy)
    }

    async fn thread(&self) -> Result<OwnedSemaphorePermit, Busy> {
        if let Ok(thread) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(thread);
        }
        let _place = self.queue.try_acquire().map_err(|_| Busy)?;
        let freed = tokio::time::timeout(self.wait, Arc::clone(&self.free).acquire_owned()).await;
        freed.map_err(|_| Busy)?.map_err(|_| Busy)
    }
}

fn work_until_closed(waiting: &Mutex<Receiver<Work>>) {
    // Without the right to lower its own priority, a thread works at the usual one.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
    loop {
        let work = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            tracing::error!("hashing a password panicked; the thread goes on");
        }
    }
}
