//! What a hidden state can keep: the adding problem. LSTM and GRU learn it, a simple RNN does not.
//!
//! ```sh
//! cargo run --release --example memory
//! ```
//!
//! The input is a sequence of random numbers, two of which are marked. The answer at the end is the sum of
//! these two (Hochreiter and Schmidhuber 1997; the form of Le et al. 2015, arXiv:1504.00941). Always
//! answering 1 gives a mean squared error of 1/6. To do better, a network has to carry the first number over
//! many steps that do not matter.

mod common;

use clap::Parser;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use recurrent::prelude::*;
use recurrent::train::uniform;

/// Trains a simple RNN, an LSTM and a GRU on the adding problem, with the same number of updates.
///
/// Each cell trains on the same sequences with each of the same learning rates, and its best result counts.
/// The recurrent weights of the RNN start orthogonal, and the forget gate of the LSTM starts open, as is
/// usual for long memory. The last line on standard output is `rnn ERROR lstm ERROR gru ERROR`: the mean
/// squared errors on new sequences. Always answering 1 gives 0.167.
#[derive(Parser)]
struct Options {
    /// Steps of a sequence
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(2..=1000))]
    steps: u16,
    /// Updates for each cell and learning rate
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    #[command(flatten)]
    common: Common,
}

const BATCH: usize = 32;
const HIDDEN: usize = 32;
/// Each point of the plot is the mean of this number of updates.
const POINT: usize = 25;
const RATES: [f32; 3] = [3e-3, 1e-2, 3e-2];

/// A layer, and a dense layer that turns the last hidden state into a number.
fn model(cell: Layer) -> Model<3> {
    Model::new([cell, Layer::Pool(Pool::Last), Layer::dense(HIDDEN, 1)])
}

/// Sequences `[T, B, 2]` of a number from 0 to 1 and a mark, and the sums of the marked numbers. One mark is
/// in the first half, one in the second.
fn draw(steps: usize, batch: usize, rng: &mut Xoshiro256PlusPlus) -> (Vec<f32>, Vec<f32>) {
    let mut numbers = vec![0.0; steps * batch];
    uniform(&mut numbers, 0.5, rng);
    let mut x: Vec<f32> = numbers.iter().flat_map(|number| [number + 0.5, 0.0]).collect();
    let half = steps / 2;
    let sums = (0..batch).map(|b| {
        [0..half, half..steps].map(|part| {
            let t = part.start + rng.next_u64() as usize % part.len();
            x[(t * batch + b) * 2 + 1] = 1.0;
            x[(t * batch + b) * 2]
        })
    });
    let sums = sums.map(|two| two.iter().sum()).collect();
    (x, sums)
}

/// The result of a training.
struct Trained {
    losses: Vec<f64>,
    error: f32,
    rate: f32,
}

fn train(
    options: &Options,
    cell: Layer,
    rate: f32,
    bar: &indicatif::ProgressBar,
) -> Result<Trained, Failure> {
    let steps = usize::from(options.steps);
    let sequences = Sequences::new(steps, BATCH);
    let schedule = Cosine::new(rate, u64::from(options.iters)).warmup(u64::from(options.iters) / 20);
    let mut rng = options.common.rng(0);
    let mut trainer = Trainer::new(&model(cell), Adam::new(rate), &mut rng)?.rate(schedule).clip(1.0);
    // The usual start for long memory: orthogonal recurrent weights, which keep lengths, and an open forget
    // gate.
    let (rnn, lstm) = (Rnn::new(2, HIDDEN), Lstm::new(2, HIDDEN));
    match cell {
        Layer::Rnn(_) => rnn.init_orthogonal(&mut trainer.weights_mut()[..rnn.weights_len()], &mut rng)?,
        Layer::Lstm(_) => lstm.forget_bias(&mut trainer.weights_mut()[..lstm.weights_len()], 1.0)?,
        _ => {}
    }
    let mut rng = options.common.rng(1);
    let mut losses = Vec::new();
    for _ in 0..options.iters {
        let (x, sums) = draw(steps, BATCH, &mut rng);
        let loss = Loss::MeanSquaredError { targets: &sums };
        losses.push(trainer.update(Batch { sequences, x: (&x).into(), loss }, &mut rng)?.loss.into());
        bar.inc(1);
    }
    let (x, sums) = draw(steps, 1000, &mut options.common.rng(2));
    let (sequences, loss) = (Sequences::new(steps, 1000), Loss::MeanSquaredError { targets: &sums });
    let error = trainer.evaluate(Batch { sequences, x: (&x).into(), loss })?;
    Ok(Trained { losses, error, rate })
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let common = &options.common;
    common.say(format_args!(
        "the sum of two marked ones of {} numbers; {} updates of {BATCH} sequences",
        options.steps, options.iters
    ));
    let cells =
        [("RNN", Layer::rnn(2, HIDDEN)), ("LSTM", Layer::lstm(2, HIDDEN)), ("GRU", Layer::gru(2, HIDDEN))];
    let bar = common.progress(cells.len() * RATES.len() * options.iters as usize)?;
    let mut chart =
        Chart::new("Adding problem: error of the predicted sum", "update", "mean squared error").log();
    let mut last = Vec::new();
    for (name, cell) in cells {
        bar.set_message(name);
        let mut best: Option<Trained> = None;
        let mut tried = String::new();
        for rate in RATES {
            let trained = train(&options, cell, rate, &bar)?;
            tried += &format!("  {rate}: {:.5}", trained.error);
            if best.as_ref().is_none_or(|b| trained.error < b.error) {
                best = Some(trained);
            }
        }
        let Some(best) = best else { continue };
        bar.suspend(|| {
            common.say(format_args!(
                "{name:5} mean squared error {:.5}, at learning rate {}  (tried{tried})",
                best.error, best.rate
            ))
        });
        let points = best.losses.chunks(POINT).enumerate();
        chart = chart.line(
            name,
            points.map(|(i, part)| ((i * POINT) as f64, part.iter().sum::<f64>() / part.len() as f64)),
        );
        last.push(format!("{} {:.5}", name.to_lowercase(), best.error));
    }
    bar.finish_and_clear();
    let end = f64::from(options.iters);
    common
        .plot(1, &[&chart.dashes("answering 1 to all (error 1/6)", [(0.0, 1.0 / 6.0), (end, 1.0 / 6.0)])])?;
    conclude(last.join(" "));
    Ok(())
}
