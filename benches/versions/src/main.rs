//! Compares two versions of this crate: every case of `benches/peers`, in one process, in turns.
//!
//! Each version uses the adapter of its own checkout, `benches/peers/src/contestants/ours.rs`, so the
//! measuring code stays the same when the API changes. Started by `run`.

use std::error::Error;
use std::time::Duration;

#[path = "../../peers/src/case.rs"]
#[allow(dead_code, reason = "other libraries use the rest of it")]
mod case;
#[path = "../../common/machine.rs"]
#[allow(dead_code, reason = "the limits bench uses it")]
mod machine;
#[path = "../target/new.rs"]
#[allow(dead_code, reason = "all cases run on one thread")]
mod new;
#[path = "../target/old.rs"]
#[allow(dead_code, reason = "all cases run on one thread")]
mod old;
#[path = "../../common/shapes.rs"]
mod shapes;
#[path = "../../peers/src/turn.rs"]
#[allow(dead_code, reason = "names and versions are of no interest here")]
mod turn;

use case::{Case, cases, difference};
// The adapters import these names from here.
use turn::{Contestant, sample, time};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Minimal duration of a turn, which makes as many calls as needed.
const TURN: Duration = Duration::from_millis(10);
/// The buffers are allocated again after this number of rounds, because their addresses change the time of
/// small cases by some per cent.
const SITTING: usize = 5;
/// How much slower a case may be, and how much if it takes less than a tenth of a microsecond.
const SLOWER: f64 = 1.02;
const SLOWER_SMALL: f64 = 1.05;
const SMALL: f64 = 0.1e-6;

/// Arguments: the number of rounds, and a text that selects cases by name.
fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let rounds: usize = args.next().ok_or("the number of rounds")?.parse()?;
    let filter = args.next().unwrap_or_default();
    println!("| case | old, us | new, us | new / old | |");
    println!("|---|---|---|---|---|");
    let mut slower = 0;
    let (mut measured, mut logarithms) = (0, 0.0);
    for case in cases().filter(|case| case.to_string().contains(&filter)) {
        let Compared { old, new, ratio, difference } = compare(&case, rounds)?;
        let limit = if old < SMALL { SLOWER_SMALL } else { SLOWER };
        let mut remarks = Vec::new();
        if ratio > limit {
            remarks.push("SLOWER".to_owned());
            slower += 1;
        }
        if difference > 0.0 {
            remarks.push(format!("results differ by {difference:e}"));
        }
        println!("| {case} | {:.4} | {:.4} | {ratio:.3} | {} |", old * 1e6, new * 1e6, remarks.join(", "));
        (measured, logarithms) = (measured + 1, logarithms + ratio.ln());
    }
    if measured == 0 {
        return Err("no case has such a name".into());
    }
    let mean = (logarithms / f64::from(measured)).exp();
    println!("\n{measured} cases, {rounds} rounds, geometric mean {mean:.3}, {slower} slower than they may be");
    if slower > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Median seconds per call, the median of the ratios of the rounds, and the largest difference of the
/// results.
struct Compared {
    old: f64,
    new: f64,
    ratio: f64,
    difference: f32,
}

fn compare(case: &Case, rounds: usize) -> Result<Compared> {
    let (mut times, mut ratios) = ([const { Vec::new() }; 2], Vec::new());
    let mut apart = 0.0_f32;
    while ratios.len() < rounds {
        let mut versions: [Box<dyn Contestant>; 2] =
            [Box::new(old::Ours::default()), Box::new(new::Ours::default())];
        let (mut calls, mut outputs) = (1, [Vec::new(), Vec::new()]);
        for i in order(ratios.len() / SITTING) {
            let version = &mut versions[i];
            if !version.set_up(case)? {
                return Err("an adapter refuses the case".into());
            }
            outputs[i] = version.output(case)?;
            // Also warms up. Both versions make the same number of calls.
            while version.run(calls)? < TURN {
                calls *= 2;
            }
        }
        apart = apart.max(difference(&outputs[0], &outputs[1]));
        for round in 0..SITTING.min(rounds - ratios.len()) {
            let mut round_times = [0.0; 2];
            for i in order(round) {
                round_times[i] = versions[i].run(calls)?.as_secs_f64() / calls as f64;
                times[i].push(round_times[i]);
            }
            ratios.push(round_times[1] / round_times[0]);
        }
    }
    let [old, new] = times.map(median);
    Ok(Compared { old, new, ratio: median(ratios), difference: apart })
}

/// The two versions swap places in every other round.
fn order(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
