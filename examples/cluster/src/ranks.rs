//! The ranks, over MPI: exchanges for the trainer, and a common decision on whether to continue.

use std::time::{Duration, Instant};

use mpi::datatype::Equivalence;
use mpi::point_to_point::send_receive_into;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::{CommunicatorCollectives, Root};
use recurrent::Result as Updated;
use recurrent::trainer::Communicator;

use crate::Failure;
use crate::watch::{Doing, Watch};

/// Length in bytes of a message from each rank to all others.
const MESSAGE: usize = 512;
/// The largest number of elements in one MPI message; MPI's counts are `i32`.
const CHUNK: usize = 1 << 28;

pub struct Ranks {
    world: SimpleCommunicator,
    pub rank: usize,
    pub size: usize,
    watch: Watch,
    /// Time spent in exchanges, including waiting for the other rank.
    pub exchanged: Duration,
}

impl Ranks {
    /// `abort` says whether MPI allows calls from several threads, so that the watchdog may call it.
    pub fn new(world: SimpleCommunicator, patience: Duration, abort: bool) -> Self {
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let host = mpi::environment::processor_name().unwrap_or_default();
        let hosts = texts(&world, &host);
        Ranks {
            world,
            rank,
            size,
            watch: Watch::start(rank, hosts, patience, abort),
            exchanged: Duration::ZERO,
        }
    }

    pub fn doing(&self, doing: Doing) {
        self.watch.set(doing);
    }

    pub fn at_update(&self, update: u64) {
        self.watch.update(update);
    }

    /// If one rank has an error, all ranks return an error, and rank 0 prints it. All ranks must call this.
    pub fn agree<T>(&self, own: Result<T, String>) -> Result<T, Failure> {
        self.doing(Doing::Waiting("all ranks"));
        let errors = texts(&self.world, own.as_ref().err().map_or("", |e| e));
        self.doing(Doing::Work);
        let Some(first) = errors.iter().position(|e| !e.is_empty()) else {
            return own.map_err(Failure::new);
        };
        if self.rank > 0 {
            return Err(Failure::told());
        }
        let all = errors.iter().all(|e| *e == errors[first]);
        let who = if all { String::new() } else { format!("rank {first}: ") };
        Err(Failure::new(format!("{who}{}", errors[first])))
    }

    /// Collects `own` of every rank, on all ranks.
    pub fn gather(&self, own: &[u64]) -> Vec<u64> {
        self.doing(Doing::Waiting("all ranks"));
        let mut all = vec![0; own.len() * self.size];
        self.world.all_gather_into(own, &mut all[..]);
        self.doing(Doing::Work);
        all
    }

    /// Sends bytes of rank 0 to all others.
    pub fn broadcast(&self, bytes: &mut Vec<u8>) {
        self.doing(Doing::Waiting("all ranks"));
        let root = self.world.process_at_rank(0);
        let mut len = bytes.len() as u64;
        root.broadcast_into(&mut len);
        bytes.resize(len as usize, 0);
        bytes.chunks_mut(CHUNK).for_each(|chunk| root.broadcast_into(chunk));
        self.doing(Doing::Work);
    }
}

/// Collects a text from every rank.
fn texts(world: &SimpleCommunicator, own: &str) -> Vec<String> {
    let mut sent = [0; MESSAGE];
    let len = own.len().min(MESSAGE);
    sent[..len].copy_from_slice(&own.as_bytes()[..len]);
    let mut all = vec![0; MESSAGE * world.size() as usize];
    world.all_gather_into(&sent[..], &mut all[..]);
    let text = |of: &[u8]| String::from_utf8_lossy(of).trim_end_matches('\0').to_string();
    all.chunks(MESSAGE).map(text).collect()
}

/// Part `i` of a buffer; empty past its end.
fn chunk<T: Equivalence>(of: &[T], i: usize) -> &[T] {
    &of[(i * CHUNK).min(of.len())..((i + 1) * CHUNK).min(of.len())]
}

impl Communicator for Ranks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// MPI ends the program if the other rank is gone; the watchdog ends it if no answer comes.
    fn exchange(&mut self, partner: usize, send: &[f32], receive: &mut [f32]) -> Updated<()> {
        let started = Instant::now();
        self.doing(Doing::Exchange(partner));
        let process = self.world.process_at_rank(partner as i32);
        for i in 0..send.len().max(receive.len()).div_ceil(CHUNK) {
            let to = receive.len().min(i * CHUNK)..receive.len().min((i + 1) * CHUNK);
            send_receive_into(chunk(send, i), &process, &mut receive[to], &process);
        }
        self.doing(Doing::Work);
        self.exchanged += started.elapsed();
        Ok(())
    }
}
