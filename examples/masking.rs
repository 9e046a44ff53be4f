//! Compares a padded batch of sequences of different lengths with its rows, each run alone.
//!
//! ```sh
//! cargo run --release --example masking
//! ```
//!
//! The sequences of a batch are padded to the longest one. If a layer gets their `lengths`, it gives each row
//! the same outputs, states and gradients as alone, to the bit. The padding may contain anything (here: NaN),
//! and takes no work. Without `lengths`, a layer reads the padding as input.

mod common;

use std::time::Instant;

use clap::Parser;
use common::pass::pass;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use rand_xoshiro::rand_core::Rng;
use recurrent::train::normal;
use recurrent::{Cell, Gru, Lstm, Recurrent, Rnn, Sequences};

/// Compares a padded batch with its rows alone: bits of outputs, states and gradients, and the time.
///
/// The last line on standard output is `different BITS unmasked ERROR faster TIMES`: how many numbers differ
/// between the masked batch and the rows alone; the error of the last states of an unmasked batch, relative
/// to their norm (LSTM); and how many times faster the masked batch is.
#[derive(Parser)]
struct Options {
    /// Rows of the batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Steps of the longest row
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// Hidden units
    #[arg(long, value_name = "N", default_value_t = 96, value_parser = clap::value_parser!(u16).range(1..=1024))]
    hidden: u16,
    #[command(flatten)]
    common: Common,
}

const INPUT: usize = 16;

/// Row `b` of every step, or of every part of a state: `[.., B, width]` to `[.., width]`.
fn row(of: &[f32], batch: usize, width: usize, b: usize) -> Vec<f32> {
    of.chunks(batch * width).flat_map(|step| &step[b * width..(b + 1) * width]).copied().collect()
}

fn different(a: &[f32], b: &[f32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a.to_bits() != b.to_bits()).count() + a.len().abs_diff(b.len())
}

/// The norm of `a - b`, relative to the norm of `b`.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let square = |v: f64| v * v;
    let off: f64 = a.iter().zip(b).map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    (off / b.iter().map(|&b| square(f64::from(b))).sum::<f64>().max(f64::MIN_POSITIVE)).sqrt()
}

/// A batch. The contents of the padding in `x` must not matter.
struct Batch {
    steps: usize,
    lengths: Vec<usize>,
    x: Vec<f32>,
    dy: Vec<f32>,
}

impl Batch {
    fn new(options: &Options) -> Self {
        let (steps, batch) = (usize::from(options.steps), usize::from(options.batch));
        let mut rng = options.common.rng(0);
        // Most sequences are short, like sentences. The first has full length.
        let part = |random: u32| (f64::from(random) / f64::from(u32::MAX)).powi(2);
        let mut lengths: Vec<usize> =
            (0..batch).map(|_| 1 + (part(rng.next_u32()) * (steps - 1) as f64) as usize).collect();
        lengths[0] = steps;
        let mut x = vec![0.0; steps * batch * INPUT];
        let mut dy = vec![0.0; steps * batch * usize::from(options.hidden)];
        normal(&mut x, 1.0, &mut rng);
        normal(&mut dy, 1.0, &mut rng);
        Batch { steps, lengths, x, dy }
    }

    fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// The input with the padding of every row set to `with`.
    fn padded(&self, with: f32) -> Vec<f32> {
        let mut x = self.x.clone();
        for (t, step) in x.chunks_mut(self.rows() * INPUT).enumerate() {
            for (row, &length) in step.chunks_mut(INPUT).zip(&self.lengths) {
                if t >= length {
                    row.fill(with);
                }
            }
        }
        x
    }
}

/// The results for a cell.
struct Shown {
    different: usize,
    /// The error of the unmasked states, by the number of steps after the end of a row.
    drift: Vec<(f64, f64)>,
    /// The error of the last unmasked states.
    off: f64,
    /// The greatest error of the last state of a masked row.
    masked: f64,
    faster: f64,
}

fn show<C: Cell>(
    name: &str,
    layer: Recurrent<C>,
    batch: &Batch,
    options: &Options,
) -> Result<Shown, Failure> {
    let common = &options.common;
    let (steps, rows, hidden) = (batch.steps, batch.rows(), layer.hidden());
    let mut weights = vec![0.0; layer.weights_len()];
    layer.init(&mut weights, &mut common.rng(1))?;
    let all = Sequences::new(steps, rows);
    let masked = all.lengths(&batch.lengths);
    let [nan, zero] = [f32::NAN, 0.0].map(|with| batch.padded(with));

    let dy = |_: &[f32], _: &[f32]| Ok((batch.dy.clone(), Vec::new()));
    let together = pass(layer, &weights, masked, &nan, dy)?;
    let unmasked = pass(layer, &weights, all, &zero, dy)?;

    // Run each row alone, without padding.
    let mut count = [0; 5];
    let mut sum = vec![0.0; weights.len()];
    let mut drift = vec![Vec::new(); steps];
    let mut masked_error = 0f64;
    for (b, &length) in batch.lengths.iter().enumerate() {
        let own = |of: &[f32], width| row(of, rows, width, b)[..length * width].to_vec();
        let (x, dy) = (own(&batch.x, INPUT), own(&batch.dy, hidden));
        let alone = pass(layer, &weights, Sequences::new(length, 1), &x, |_, _| Ok((dy, Vec::new())))?;
        let padding = |of: &[f32], width| {
            row(of, rows, width, b)[length * width..].iter().filter(|v| **v != 0.0).count()
        };
        count[0] += different(&own(&together.y, hidden), &alone.y) + padding(&together.y, hidden);
        let state = row(&together.state, rows, hidden, b);
        count[1] += different(&state, &alone.state);
        masked_error = masked_error.max(apart(&state, &alone.state));
        count[2] += different(&own(&together.dx, INPUT), &alone.dx) + padding(&together.dx, INPUT);
        count[3] += different(&row(&together.dstate, rows, hidden, b), &alone.dstate);
        sum.iter_mut().zip(&alone.grads).for_each(|(sum, g)| *sum += g);
        let last = &alone.y[(length - 1) * hidden..];
        for (past, h) in row(&unmasked.y, rows, hidden, b).chunks(hidden).skip(length - 1).enumerate() {
            drift[past].push(apart(h, last));
        }
    }
    // In a batch, the sum over rows has another order than one row after the other. So weight gradients are
    // compared with those of the same batch with other padding.
    let other = pass(layer, &weights, masked, &zero, dy)?;
    count[4] = different(&together.grads, &other.grads);

    // Measure in turns and take the minimum, because other programs run at the same time.
    let (mut with, mut without) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..15 {
        for (best, sequences) in [(&mut with, masked), (&mut without, all)] {
            let start = Instant::now();
            pass(layer, &weights, sequences, &zero, dy)?;
            *best = best.min(start.elapsed().as_secs_f64());
        }
    }
    let off = apart(&unmasked.state, &together.state);
    let [y, state, dx, dstate, grads] = count;
    common.say(format_args!(
        "\n{name}\n  masked, padded with NaN: numbers that are not those of the rows alone, to the bit\n    \
        outputs {y}, last states {state}, gradients of inputs {dx}, of initial states {dstate}; with other padding, of weights {grads}\n    \
        gradients of weights against the sum over the rows: {:.1e} off\n  \
        unmasked, padded with 0: last states {off:.2} off, gradients of weights {:.2} off\n  \
        forward and backward: {:.2} ms masked, {:.2} ms unmasked",
        apart(&together.grads, &sum),
        apart(&unmasked.grads, &together.grads),
        with * 1e3,
        without * 1e3,
    ));
    let mean = |v: &Vec<f64>| v.iter().sum::<f64>() / v.len() as f64;
    // Leave out means of fewer than three rows, which would show only those rows.
    let drift = drift
        .iter()
        .enumerate()
        .take(21)
        .filter(|(_, v)| v.len() > 2)
        .map(|(past, v)| (past as f64, mean(v)))
        .collect();
    Ok(Shown { different: count.iter().sum(), drift, off, masked: masked_error, faster: without / with })
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let common = &options.common;
    let batch = Batch::new(&options);
    let (hidden, taken) = (usize::from(options.hidden), batch.lengths.iter().sum::<usize>());
    common.say(format_args!(
        "{} sequences of up to {} steps: {taken} steps and {} of padding",
        batch.rows(),
        batch.steps,
        batch.rows() * batch.steps - taken,
    ));
    let of = [
        ("RNN", show("RNN", Rnn::new(INPUT, hidden), &batch, &options)?),
        ("LSTM", show("LSTM", Lstm::new(INPUT, hidden), &batch, &options)?),
        ("GRU", show("GRU", Gru::new(INPUT, hidden), &batch, &options)?),
    ];
    let mut chart = Chart::new(
        "Error of the last state if the layer reads the padding",
        "steps of padding that the layer reads after the end of a row",
        "relative error of the last state",
    );
    for (name, shown) in &of {
        chart = chart.line(name, shown.drift.iter().copied());
    }
    let masked = of.iter().map(|(_, shown)| shown.masked).fold(0.0, f64::max);
    let most =
        of.iter().flat_map(|(_, shown)| &shown.drift).fold(0.0, |most: f64, (past, _)| most.max(*past));
    chart = chart.dashes("all three, with `lengths`", [(0.0, masked), (most, masked)]);
    common.say("");
    common.plot(1, &[&chart])?;
    let different: usize = of.iter().map(|(_, shown)| shown.different).sum();
    conclude(format_args!("different {different} unmasked {:.2} faster {:.2}", of[1].1.off, of[1].1.faster));
    Ok(())
}
