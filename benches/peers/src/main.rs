//! Compares recurrent layers of several libraries, in one process and one run.
//!
//! For each shape, every contestant gets the same weights and input, and its output is compared with the
//! output of this crate. Then all take turns for a number of rounds, so that disturbances on the machine
//! affect all of them. `run` starts the program twice: pinned to one core with one thread, and to two cores
//! with two threads.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

mod case;
mod contestants;
#[allow(dead_code, reason = "the limits bench uses the rest of it")]
#[path = "../../common/machine.rs"]
mod machine;
mod onnx;
#[path = "../../common/shapes.rs"]
mod shapes;
mod turn;

use case::{Case, cases, difference};
use contestants::Contestant;
use machine::{Core, Effort};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Largest allowed difference from this crate's output, relative to the largest entry (or to 1).
const TOLERANCE: f32 = 1e-4;
const ROUNDS: usize = 11;
/// Minimal duration of a turn, which makes as many calls as needed.
const TURN: Duration = Duration::from_millis(15);
/// The same with several threads. Some of them sleep before the turn. For the first milliseconds a woken
/// thread may share a core with the thread that woke it.
const TURN_OF_THREADS: Duration = Duration::from_millis(60);
/// Pause between the turns of contestants with several threads.
const SETTLE: Duration = Duration::from_millis(20);

/// Arguments: the number of threads, for contestants that support them, and a text that selects cases by
/// name. Results are appended to the file `PEERS_RESULTS`.
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let threads: usize = args.next().ok_or("the number of threads")?.parse()?;
    let filter = args.next().unwrap_or_default();
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let (machine, cpu, isa) = (env("PEERS_MACHINE"), env("PEERS_CPU"), recurrent::Isa::detect().name());
    let (rustc, commit) = (env("PEERS_RUSTC"), env("PEERS_COMMIT"));

    let mut results = std::fs::OpenOptions::new().append(true).create(true).open(env("PEERS_RESULTS"))?;
    if results.metadata()?.len() == 0 {
        writeln!(
            results,
            "machine,cpu,isa,versions,commit,what,cell,batch,steps,input,hidden,threads,contestant,median_us,min_us,rounds,\
             floor_us"
        )?;
    }
    let mut core = Core::new(Effort { sample: Duration::from_millis(5), samples: 15 });
    let mut contestants = contestants::all(threads)?;
    // One row is not enough work for two threads.
    let wanted = |case: &Case| case.to_string().contains(&filter) && (threads == 1 || case.batch > 1);
    for case in cases().filter(wanted) {
        let (compute, stream) = core.floors(case.work());
        for (contestant, version, times) in measure(&case, threads, &mut contestants)? {
            // Each core has its own arithmetic units, but the cores share the bandwidth.
            let floor = (compute / threads as f64).max(stream) * 1e6;
            let median = times[times.len() / 2] * 1e6;
            let Case { what, cell, batch, steps, input, hidden, .. } = &case;
            println!("{case:<32} {threads} {contestant:<12} {median:>14.3} us");
            writeln!(
                results,
                "{machine},{cpu},{isa},{version} / {rustc},{commit},{what},{cell},{batch},{steps},{input},{hidden},{threads},\
                 {contestant},{median:.4},{:.4},{},{floor:.4}",
                times[0] * 1e6,
                times.len()
            )?;
        }
        results.flush()?;
    }
    Ok(())
}

/// A contestant's name, its version, and the sorted seconds per call of all rounds.
type Row = (&'static str, String, Vec<f64>);

fn measure(case: &Case, threads: usize, contestants: &mut [Box<dyn Contestant>]) -> Result<Vec<Row>> {
    let turn = if threads > 1 { TURN_OF_THREADS } else { TURN };
    let mut taking_part = Vec::new();
    let mut expected: Option<Vec<f32>> = None;
    // Threads that wait for work keep a core busy for a while.
    let settle = || {
        if threads > 1 {
            std::thread::sleep(SETTLE);
        }
    };
    for contestant in contestants {
        if !contestant.set_up(case)? {
            continue;
        }
        let output = contestant.output(case)?;
        let expected = expected.get_or_insert_with(|| output.clone());
        let difference = difference(expected, &output);
        if difference > TOLERANCE {
            eprintln!("{case}: {} is left out, its output is off by {difference:e}", contestant.name());
            continue;
        }
        // Find the number of calls of a turn. This is also the warm-up.
        let mut calls = 1;
        while contestant.run(calls)? < turn {
            calls *= 2;
        }
        taking_part.push((contestant, calls, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (contestant, calls, times) in &mut taking_part {
            settle();
            times.push(contestant.run(*calls)?.as_secs_f64() / *calls as f64);
        }
    }
    let rows = taking_part.into_iter().map(|(contestant, _, mut times)| {
        times.sort_by(f64::total_cmp);
        (contestant.name(), contestant.version(), times)
    });
    Ok(rows.collect())
}
