//! A watchdog: a rank that waits too long ends all ranks, because the answer may never come.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mpi::topology::{Communicator, SimpleCommunicator};

/// What this rank is doing.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<State>>);

struct State {
    since: Instant,
    doing: Doing,
    update: u64,
}

#[derive(Clone, Copy)]
pub enum Doing {
    /// Its own work: data, gradients. There is no limit, because the ranks that wait for it have one.
    Work,
    /// An exchange with another rank.
    Exchange(usize),
    /// A step in which all ranks take part, or a file.
    Waiting(&'static str),
}

impl Watch {
    /// Starts to watch this rank. `hosts` are the host names of all ranks.
    pub fn start(rank: usize, hosts: Vec<String>, patience: Duration, abort: bool) -> Self {
        let watch =
            Watch(Arc::new(Mutex::new(State { since: Instant::now(), doing: Doing::Work, update: 0 })));
        let watched = watch.clone();
        // Rank 0 has the shorter limit, so that it prints the message before the others end.
        let limit = patience + Duration::from_millis(500) * u32::from(rank > 0);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(100));
                let what = watched.with(|now| match now.doing {
                    _ if now.since.elapsed() < limit => None,
                    Doing::Work => None,
                    Doing::Exchange(of) => {
                        Some(format!("for rank {of} on {}, after update {}", hosts[of], now.update))
                    }
                    Doing::Waiting(what) => Some(format!("for {what}, after update {}", now.update)),
                });
                if let Some(what) = what {
                    let seconds = patience.as_secs();
                    eprintln!(
                        "error: rank {rank} on {} has waited {seconds} s {what}: it hangs, or the network is cut; all ranks end, and the same command goes on from the checkpoint (--patience sets the time)",
                        hosts[rank]
                    );
                    end(abort);
                }
            }
        });
        watch
    }

    pub fn set(&self, doing: Doing) {
        self.with(|now| (now.since, now.doing) = (Instant::now(), doing));
    }

    pub fn update(&self, update: u64) {
        self.with(|now| now.update = update);
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends all ranks. If MPI hangs, too, it still ends this one.
fn end(abort: bool) -> ! {
    if abort {
        thread::spawn(|| SimpleCommunicator::world().abort(1));
        thread::sleep(Duration::from_secs(5));
    }
    std::process::abort()
}
