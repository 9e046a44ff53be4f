//! Trains a character model on one machine or many, over MPI.
//!
//! ```sh
//! cargo build --release
//! mpirun -n 4 target/release/cluster --corpus FILE --checkpoint FILE
//! ```
//!
//! The parts: `cli` options, `corpus` text and streams, `ranks` exchanges, `train` updates and checkpoints,
//! `checkpoint` file format, `watch` watchdog.

mod checkpoint;
mod cli;
mod corpus;
mod ranks;
mod train;
mod watch;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use mpi::Threading;

use cli::Options;
use corpus::{FNV, fnv1a};
use ranks::Ranks;
use watch::Doing;

/// An error message in one line, on the one rank that prints it.
#[derive(Debug)]
pub struct Failure(Option<String>);

impl Failure {
    pub fn new(message: impl Display) -> Self {
        Failure(Some(message.to_string()))
    }

    /// For an error that another rank prints.
    pub fn told() -> Self {
        Failure(None)
    }
}

/// The version of the messages that ranks exchange at the start.
const PROTOCOL: u64 = 1;

fn main() -> ExitCode {
    let Some((universe, threading)) = mpi::initialize_with_threading(Threading::Multiple) else {
        eprintln!("error: MPI cannot be initialised: start the program by `mpirun -n N cluster ...`");
        return ExitCode::FAILURE;
    };
    let options = Options::from_command_line();
    let patience = options.as_ref().ok().and_then(|o| o.as_ref().ok()).map_or(120, |o| o.patience);
    let abort = threading == Threading::Multiple;
    let mut ranks = Ranks::new(universe.world(), Duration::from_secs(patience), abort);
    let done = run(&mut ranks, options);
    // Here, too, ranks wait for each other.
    ranks.doing(Doing::Waiting("the end of all ranks"));
    if let Err(Failure(message)) = &done {
        if let Some(message) = message {
            eprintln!("error: {message}");
        }
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(ranks: &mut Ranks, options: Result<Result<Options, String>, String>) -> Result<(), Failure> {
    let options = match ranks.agree(options)? {
        Ok(options) => options,
        Err(help) => {
            if ranks.rank == 0 {
                print!("{help}");
            }
            return Ok(());
        }
    };
    ranks.agree(alike(ranks, &options))?;
    train::train(ranks, &options)
}

/// Checks that all ranks run the same program with the same settings.
fn alike(ranks: &Ranks, options: &Options) -> Result<(), String> {
    let program = std::env::current_exe().and_then(std::fs::read).map(|bytes| fnv1a(FNV, &bytes));
    let program = program.map_err(|e| format!("the program cannot read itself: {e}"));
    let settings = options.settings.to_numbers();
    let run = [options.updates, options.every, options.checkpoint.is_some().into()];
    let own = [&[PROTOCOL, *program.as_ref().unwrap_or(&0)], &settings[..], &run].concat();
    let all = ranks.gather(&own);
    program?;
    // Compare with rank 0; each rank that differs reports it.
    let first = &all[..own.len()];
    if own[..2] != first[..2] {
        return Err("this is another program than that of rank 0: install the same file for all ranks".into());
    }
    if let Some(what) = options.settings.differs(&std::array::from_fn(|i| first[2 + i])) {
        return Err(format!("rank 0 was started with {what}: all ranks need the same settings"));
    }
    if own != first {
        return Err("rank 0 has another --updates, --every or --checkpoint".into());
    }
    Ok(())
}
