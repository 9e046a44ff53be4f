//! Measures recurrent layers of several libraries against each other, in one process and one run.
//!
//! For each shape, every contestant gets the same weights and input, its output is compared with that of this crate,
//! and then all take turns for a number of rounds, so that what disturbs the machine disturbs all of them.
//! Started by `run`, which pins it to one core and sets one thread everywhere.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

mod case;
mod contestants;
mod onnx;

use case::{Case, Cell, What};
use contestants::Contestant;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Largest difference to this crate's output, relative to the largest entry (or to 1).
const TOLERANCE: f32 = 1e-4;
const ROUNDS: usize = 11;
/// A turn lasts at least so long, in as many calls as fit.
const TURN: Duration = Duration::from_millis(15);

/// Batch, steps, hidden; as many inputs as hidden units.
const INFERENCE: [(usize, usize, usize); 7] =
    [(1, 1, 32), (1, 1, 128), (1, 1, 512), (1, 100, 32), (1, 100, 128), (32, 100, 128), (32, 100, 512)];
const TRAINING: [(usize, usize, usize); 3] = [(32, 100, 128), (64, 50, 256), (32, 100, 512)];
/// Input, hidden.
const STREAMING: [(usize, usize); 5] = [(1, 8), (1, 16), (1, 32), (1, 64), (32, 32)];

fn main() -> Result<()> {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let env = |name: &str| std::env::var(name).unwrap_or_default();
    let columns = [env("PEERS_MACHINE"), env("PEERS_CPU"), recurrent::Isa::detect().name().to_owned()];
    let (rustc, commit) = (env("PEERS_RUSTC"), env("PEERS_COMMIT"));

    let mut results = std::fs::File::create(env("PEERS_RESULTS"))?;
    writeln!(
        results,
        "machine,cpu,isa,versions,commit,what,cell,batch,steps,input,hidden,threads,contestant,median_us,min_us,rounds"
    )?;
    let mut contestants = contestants::all()?;
    for case in cases().filter(|case| case.to_string().contains(&filter)) {
        for (contestant, version, times) in measure(&case, &mut contestants)? {
            let median = times[times.len() / 2];
            let [machine, cpu, isa] = &columns;
            let Case { what, cell, batch, steps, input, hidden, .. } = &case;
            println!("{case:<32} {contestant:<12} {:>14.3} us", median * 1e6);
            writeln!(
                results,
                "{machine},{cpu},{isa},{version} / {rustc},{commit},{what},{cell},{batch},{steps},{input},{hidden},1,\
                 {contestant},{:.4},{:.4},{}",
                median * 1e6,
                times[0] * 1e6,
                times.len()
            )?;
        }
        results.flush()?;
    }
    Ok(())
}

fn cases() -> impl Iterator<Item = Case> {
    let cells = [Cell::Lstm, Cell::Gru, Cell::Rnn];
    let inference = cells.into_iter().flat_map(|cell| {
        INFERENCE.map(|(batch, steps, hidden)| Case::new(What::Infer, cell, batch, steps, hidden, hidden))
    });
    let training = cells.into_iter().flat_map(|cell| {
        TRAINING.map(|(batch, steps, hidden)| Case::new(What::Train, cell, batch, steps, hidden, hidden))
    });
    let streaming = [Cell::Lstm, Cell::Gru]
        .into_iter()
        .flat_map(|cell| STREAMING.map(|(input, hidden)| Case::new(What::Step, cell, 1, 1, input, hidden)));
    inference.chain(streaming).chain(training)
}

/// A contestant's name, its version, and the sorted seconds per call of its rounds.
type Row = (&'static str, String, Vec<f64>);

fn measure(case: &Case, contestants: &mut [Box<dyn Contestant>]) -> Result<Vec<Row>> {
    let mut taking_part = Vec::new();
    let mut expected: Option<Vec<f32>> = None;
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
        // As many calls as a turn takes; this is the warm-up, too.
        let mut calls = 1;
        while contestant.run(calls)? < TURN {
            calls *= 2;
        }
        taking_part.push((contestant, calls, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (contestant, calls, times) in &mut taking_part {
            times.push(contestant.run(*calls)?.as_secs_f64() / *calls as f64);
        }
    }
    let rows = taking_part.into_iter().map(|(contestant, _, mut times)| {
        times.sort_by(f64::total_cmp);
        (contestant.name(), contestant.version(), times)
    });
    Ok(rows.collect())
}

/// Infinite where the lengths differ or one is not a number.
fn difference(expected: &[f32], actual: &[f32]) -> f32 {
    if expected.len() != actual.len() || actual.iter().any(|x| !x.is_finite()) {
        return f32::INFINITY;
    }
    let largest = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    expected.iter().zip(actual).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max)
}
