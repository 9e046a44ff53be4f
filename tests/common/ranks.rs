//! Ranks that are threads of this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use recurrent::trainer::Communicator;
use recurrent::{Error, Result};

/// A rank in a thread, with a channel to each of the others.
pub struct Thread {
    pub rank: usize,
    to: Vec<Sender<Vec<f32>>>,
    from: Vec<Receiver<Vec<f32>>>,
    /// The number of elements that it sent.
    pub sent: usize,
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn exchange(&mut self, partner: usize, send: &[f32], receive: &mut [f32]) -> Result<()> {
        self.sent += send.len();
        self.to[partner].send(send.to_vec()).ok();
        let gone = |_| Error::Communication { what: "a thread has ended" };
        let received = self.from[partner].recv().map_err(gone)?;
        assert_eq!(received.len(), receive.len(), "both know the lengths");
        receive.copy_from_slice(&received);
        Ok(())
    }
}

fn threads(size: usize) -> Vec<Thread> {
    let thread = |rank| Thread { rank, to: Vec::new(), from: Vec::new(), sent: 0 };
    let mut threads: Vec<_> = (0..size).map(thread).collect();
    for a in 0..size {
        for b in 0..size {
            let (to, from) = channel();
            threads[a].to.push(to);
            threads[b].from.push(from);
        }
    }
    threads
}

/// Calls `run` on every rank, and returns the results.
pub fn on<T: Send>(size: usize, run: impl Fn(Thread) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = threads(size).into_iter().map(|rank| scope.spawn(move || run(rank))).collect();
        running.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
