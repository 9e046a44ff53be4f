//! An LSTM learns to sound like an amplifier, at 48 kHz, the way amplifiers are captured.
//!
//! ```sh
//! cargo run --release --example capture -- --narrow
//! ```
//!
//! The amplifier is simulated: a coupling capacitor, a stage that clips softly and asymmetrically and whose
//! bias sags while it is loud, and a speaker that removes the highs. Strings are plucked for some seconds,
//! and the model is trained on the input and the output of the amplifier. It is then measured on other notes
//! by the error-to-signal ratio, which is usual for such models: the power of the error divided by that of
//! the sound.
//!
//! A plugin runs the model from its weights in `f32` or from narrow ones. With `--narrow`, each narrow format
//! is also run over the unseen notes and compared with `f32`: the difference is noise, given in decibels
//! below the sound.

mod common;

use std::f32::consts::TAU;

use clap::Parser;
use common::plot::Chart;
use common::{Common, FORMATS, Failure, conclude};
use rand_xoshiro::rand_core::Rng;
use recurrent::prelude::*;

/// Trains an LSTM to sound like an amplifier, and measures its error on other notes.
///
/// The last line on standard output is `esr ERROR dry ERROR`: the error-to-signal ratio of the model on
/// unseen notes, and that of the sound that went in.
#[derive(Parser)]
struct Options {
    /// Updates
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    /// Also run the model from narrow weights, and print how much that adds to the error
    #[arg(long)]
    narrow: bool,
    #[command(flatten)]
    common: Common,
}

const RATE: usize = 48_000;
/// Number of streams in a batch, their length, and the steps of an update.
const BATCH: usize = 32;
const LEARNT: usize = RATE;
const WINDOW: usize = 480;
/// Number of unseen samples.
const UNSEEN: usize = 4 * RATE;
/// Samples to skip until the state has settled.
const SETTLED: usize = RATE / 10;
const HIDDEN: usize = 24;

const MODEL: Model<2> = Model::new([Layer::lstm(1, HIDDEN), Layer::dense(HIDDEN, 1)]);

/// The sound of plucked strings (Karplus and Strong 1983, Computer Music Journal 7); a new string every fifth
/// of a second.
fn strings(len: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut between = |from: f32, to: f32| from + (to - from) * (rng.next_u32() >> 8) as f32 / 16_777_216.0;
    let mut sound = vec![0.0; len];
    for start in (0..len).step_by(RATE / 5) {
        let hertz = 82.4 * 2f32.powf(between(0.0, 36.0).floor() / 12.0);
        let (strength, damping) = (between(0.05, 0.8), between(0.985, 0.998));
        let mut string: Vec<f32> =
            (0..(RATE as f32 / hertz) as usize).map(|_| strength * between(-1.0, 1.0)).collect();
        let (count, lasts) = (string.len(), (len - start).min(RATE));
        for (i, to) in sound[start..start + lasts].iter_mut().enumerate() {
            *to += string[i % count];
            string[i % count] = damping * 0.5 * (string[i % count] + string[(i + 1) % count]);
        }
    }
    sound
}

/// The output of the amplifier for a sound.
fn amplifier(sound: &[f32]) -> Vec<f32> {
    let pole = |hertz: f32| 1.0 - (-TAU * hertz / RATE as f32).exp();
    let (coupling, sag, speaker) = (pole(60.0), pole(8.0), pole(4_000.0));
    let (mut slow, mut loud, mut out) = (0.0, 0.0, 0.0);
    let stage = |x: &f32| {
        slow += coupling * (x - slow);
        let driven = 4.0 * (x - slow);
        loud += sag * (driven.abs() - loud);
        let bias = 0.3 - 0.2 * loud;
        out += speaker * ((driven + bias).tanh() - bias.tanh() - out);
        0.8 * out
    };
    sound.iter().map(stage).collect()
}

/// Windows of all streams, `[T, B]`.
fn window(streams: &[Vec<f32>], from: usize) -> Vec<f32> {
    (from..from + WINDOW).flat_map(|t| streams.iter().map(move |stream| stream[t])).collect()
}

fn power(of: impl Iterator<Item = f32>) -> f64 {
    of.map(|x| f64::from(x).powi(2)).sum()
}

/// The error-to-signal ratio: the power of the difference divided by that of the sound.
fn esr(y: &[f32], sound: &[f32]) -> f64 {
    let (y, sound) = (&y[SETTLED..], &sound[SETTLED..]);
    power(y.iter().zip(sound).map(|(a, b)| a - b)) / power(sound.iter().copied())
}

fn main() -> Result<(), Failure> {
    let Options { iters, narrow, common } = Options::parse();
    let mut rng = common.rng(0);
    let dry: Vec<Vec<f32>> = (0..BATCH).map(|_| strings(LEARNT, &mut rng)).collect();
    let wet: Vec<Vec<f32>> = dry.iter().map(|sound| amplifier(sound)).collect();

    let mut rng = common.rng(1);
    let schedule = Cosine::new(8e-3, iters.into()).warmup(u64::from(iters) / 20);
    let trainer = Trainer::new(&MODEL, Adam::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
    let mut trainer = trainer.stateful();
    let (mut from, mut losses) = (0, Vec::new());
    let bar = common.progress(iters as usize)?;
    for i in 0..iters {
        if from + WINDOW > LEARNT {
            from = 0;
            trainer.reset();
        }
        let (x, targets) = (window(&dry, from), window(&wet, from));
        let loss = Loss::MeanSquaredError { targets: &targets };
        let batch = Batch { sequences: Sequences::new(WINDOW, BATCH), x: (&x).into(), loss };
        let loss = trainer.update(batch, &mut rng)?.loss;
        losses.push((f64::from(i), f64::from(loss)));
        from += WINDOW;
        bar.set_message(format!("loss {loss:.2e}"));
        bar.inc(1);
    }
    bar.finish_and_clear();

    let dry = strings(UNSEEN, &mut common.rng(2));
    let wet = amplifier(&dry);
    let sequences = Sequences::new(UNSEEN, 1);
    let y = trainer.predictor()?.forward(sequences, &dry)?.to_vec();
    let ratio = esr(&y, &wet);
    common.say(format_args!(
        "{} s of unseen notes at {RATE} Hz, LSTM of {HIDDEN} units, {} weights\n",
        UNSEEN / RATE,
        MODEL.weights_len()
    ));
    common.say("              error-to-signal   added noise, dB   largest change");
    common.say(format_args!("from f32      {ratio:15.6}"));
    for format in FORMATS.into_iter().filter(|_| narrow) {
        let mut predictor = Predictor::new(&MODEL.narrow(format), trainer.weights())?;
        let rounded = predictor.forward(sequences, &dry)?;
        let largest = rounded.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        common.say(format_args!(
            "from {:8} {:15.6} {:17.1} {largest:16.1e}",
            format.name(),
            esr(rounded, &wet),
            10.0 * esr(rounded, &y).log10(),
        ));
    }

    // A few periods of a note.
    let shown = 2 * RATE..2 * RATE + RATE / 50;
    let points = |of: &[f32]| {
        let part = shown.clone().map(|i| (1e3 * (i - shown.start) as f64 / RATE as f64, f64::from(of[i])));
        part.collect::<Vec<_>>()
    };
    let sound = Chart::new("A note that was not trained on", "time (ms)", "amplitude (1: full scale)")
        .line("amplifier", points(&wet))
        .dashes("LSTM", points(&y))
        .line("input", points(&dry));
    // Average over whole notes, because notes begin louder than they end.
    let notes = losses.chunks(RATE / 5 / WINDOW);
    let means =
        notes.map(|note| (note[0].0, note.iter().map(|(_, loss)| loss).sum::<f64>() / note.len() as f64));
    let learnt = Chart::new("Training loss", "update", "mean squared error").log();
    common.say("");
    common.plot(1, &[&sound, &learnt.line("LSTM", means).coloured(1)])?;
    conclude(format_args!("esr {ratio:.4} dry {:.3}", esr(&dry, &wet)));
    Ok(())
}
