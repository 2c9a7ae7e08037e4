//! The threads that read, each with a connection of its own.
//!
//! SQLite blocks its caller, so reading happens here and never on the runtime. A reader sees the
//! last commit; it never waits for the writer, and the writer never waits for it.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::{Error, Result, file, index};

/// How many threads read. A slow search takes one; the log must still be readable.
const READERS: usize = 3;
/// How many of them a slow read may have.
const SLOW: usize = READERS - 1;
/// How many reads may wait before their callers wait outside.
const WAITING: usize = 256;
/// How many of SQLite's steps pass between looks at whether anybody still wants the answer.
const STEPS: i32 = 2_000;

/// A connection that can only read.
pub(super) struct Reader {
    pub(super) db: Connection,
    pub(super) dir: PathBuf,
    pub(super) index: Arc<index::Shared>,
    /// Whether the caller of the read at hand has left.
    abandoned: Arc<AtomicBool>,
}

impl Reader {
    /// Ends a long read of which SQLite sees only single steps, once nobody waits for it.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.abandoned.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Runs `work` on one state of the database, whatever is committed meanwhile.
    pub(super) fn snapshot<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let transaction = self.db.unchecked_transaction()?;
        let outcome = work(self);
        transaction.finish()?;
        outcome
    }
}

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closing: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    room: Arc<Semaphore>,
    slow: Semaphore,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pool.
pub(super) struct Readers {
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// Set when the caller no longer waits.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    pub(super) fn start(dir: &Path, index: &Arc<index::Shared>) -> Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            room: Arc::new(Semaphore::new(WAITING)),
            slow: Semaphore::new(SLOW),
        });
        let threads = (0..READERS)
            .map(|n| {
                let mut reader = Reader {
                    db: file::open_reader(dir)?,
                    dir: dir.to_owned(),
                    index: Arc::clone(index),
                    abandoned: Arc::default(),
                };
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("store-reader-{n}"))
                    .spawn(move || run(&shared, &mut reader))
                    .map_err(|error| Error::Io(error.to_string()))
            })
            .collect::<Result<_>>()?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// How many more slow reads could begin now.
    #[cfg(test)]
    pub(super) fn slow_left(&self) -> usize {
        self.shared.slow.available_permits()
    }

    /// Reads what may take long, so that there is always a thread for what does not.
    pub(super) async fn read_slowly<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T> + Send + 'static,
    {
        let _turn = self.shared.slow.acquire().await.map_err(|_| Error::Closed)?;
        self.read(work).await
    }

    /// Reads. A caller that stops waiting stops the reading too.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T> + Send + 'static,
    {
        let room =
            Arc::clone(&self.shared.room).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let abandon = Abandon(Arc::clone(&abandoned));
        let job = move |reader: &mut Reader| {
            let _room = room;
            if reply.is_closed() {
                return;
            }
            reader.abandoned = Arc::clone(&abandoned);
            let stop = move || abandoned.load(Ordering::Relaxed);
            let outcome = reader
                .db
                .progress_handler(STEPS, Some(stop))
                .map_err(Error::from)
                .and_then(|()| work(reader));
            let _ = reply.send(outcome);
        };
        {
            let mut queue = self.shared.lock();
            if queue.closing {
                return Err(Error::Closed);
            }
            queue.jobs.push_back(Box::new(job));
        }
        self.shared.wake.notify_one();
        let outcome = answer.await.map_err(|_| Error::Closed)?;
        drop(abandon);
        outcome
    }

    /// Lets the readers finish what they are at, and end.
    pub(super) fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closing = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.room.close();
        self.shared.slow.close();
        self.shared.wake.notify_all();
    }

    /// Waits until they have ended. Blocks.
    pub(super) fn join(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, reader: &mut Reader) {
    loop {
        let mut queue = shared.lock();
        let job = loop {
            if let Some(job) = queue.jobs.pop_front() {
                break job;
            }
            if queue.closing {
                return;
            }
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        // A reader changes nothing, so that one read gone wrong need not end the others.
        if std::panic::catch_unwind(AssertUnwindSafe(|| job(reader))).is_err() {
            tracing::error!("a read panicked");
        }
    }
}
