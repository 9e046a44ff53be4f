//! Forecasts of a noisy series of several rhythms, against forecasts that need no network.
//!
//! ```sh
//! cargo run --release --example forecast
//! ```
//!
//! The series simulates the hourly load of a power grid: a daily rhythm whose strength changes over the week,
//! a drifting level, an oscillation with another period, and noise. A GRU reads a window of the past and
//! forecasts the next hours all at once. It is compared with the last value (naive), and with the value at
//! the same hour one day and one week ago (seasonal naive). All are measured by their mean absolute error on
//! the last fifth of the time, which the network has not seen. No forecast can predict the noise.

mod common;

use std::f64::consts::TAU;

use clap::Parser;
use common::plot::Chart;
use common::{Common, FORMATS, Failure, conclude};
use rand_xoshiro::rand_core::Rng;
use recurrent::prelude::*;
use recurrent::train::normal;

/// Trains a GRU to forecast a series several steps ahead, and compares it with naive forecasts on a time that
/// it has not seen.
///
/// The last line on standard output is `gru ERROR naive ERROR day ERROR week ERROR noise ERROR`: mean
/// absolute errors, the last of which is the least that is possible.
#[derive(Parser)]
struct Options {
    /// Updates
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    /// Also forecast from narrow weights, and print how much the forecasts change
    #[arg(long)]
    narrow: bool,
    #[command(flatten)]
    common: Common,
}

const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
const HOURS: usize = 60 * WEEK;
/// Steps that the network reads, and steps that it forecasts.
const WINDOW: usize = WEEK;
const AHEAD: usize = 24;
const HIDDEN: usize = 48;
const BATCH: usize = 32;
const NOISE: f64 = 0.1;
/// The colour of the measured values, which no forecast has.
const MEASURED: usize = 6;

const MODEL: Model<3> =
    Model::new([Layer::gru(1, HIDDEN), Layer::Pool(Pool::Last), Layer::dense(HIDDEN, AHEAD)]);

/// The series with noise, as it is measured, and without noise.
fn series(common: &Common) -> (Vec<f32>, Vec<f32>) {
    let mut rng = common.rng(0);
    let phase = f64::from(rng.next_u32()) / f64::from(u32::MAX) * TAU;
    let wave = |hour: f64, period: f64| (TAU * hour / period).sin();
    let clean: Vec<f32> = (0..HOURS)
        .map(|hour| {
            let hour = hour as f64;
            let strength = 1.0 + 0.5 * wave(hour, WEEK as f64);
            let day = strength * (wave(hour, 24.0) + 0.4 * wave(hour + 3.0, 12.0));
            let tide = 0.6 * (TAU * hour / 31.7 + phase).sin();
            (day + tide + 0.5 * wave(hour, 1000.0)) as f32
        })
        .collect();
    let mut noisy = vec![0.0; HOURS];
    normal(&mut noisy, NOISE as f32, &mut rng);
    noisy.iter_mut().zip(&clean).for_each(|(noisy, clean)| *noisy += clean);
    (noisy, clean)
}

/// Windows `[T, B, 1]` that end before the given hours.
fn windows(series: &[f32], ends: &[usize]) -> Vec<f32> {
    (0..WINDOW).flat_map(|t| ends.iter().map(move |end| series[end - WINDOW + t])).collect()
}

/// The values that follow, `[B, AHEAD]`.
fn futures(series: &[f32], ends: &[usize]) -> Vec<f32> {
    ends.iter().flat_map(|&end| &series[end..end + AHEAD]).copied().collect()
}

/// The mean absolute error for each of the hours ahead.
fn errors(forecasts: &[f32], truth: &[f32]) -> Vec<f64> {
    let rows = (truth.len() / AHEAD) as f64;
    let off = |i: usize| f64::from((forecasts[i] - truth[i]).abs());
    (0..AHEAD).map(|ahead| (ahead..truth.len()).step_by(AHEAD).map(off).sum::<f64>() / rows).collect()
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

fn main() -> Result<(), Failure> {
    let Options { iters, narrow, common } = Options::parse();
    let (series, clean) = series(&common);
    let unseen = HOURS / 5 * 4;

    let mut rng = common.rng(1);
    let schedule = Cosine::new(1e-2, iters.into()).warmup(u64::from(iters) / 20);
    let mut trainer = Trainer::new(&MODEL, Adam::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
    let sequences = Sequences::new(WINDOW, BATCH);
    let bar = common.progress(iters as usize)?;
    for _ in 0..iters {
        let last = (unseen - AHEAD - WINDOW) as u64;
        let ends: Vec<usize> = (0..BATCH).map(|_| WINDOW + (rng.next_u64() % last) as usize).collect();
        let (x, targets) = (windows(&series, &ends), futures(&series, &ends));
        let loss = Loss::MeanSquaredError { targets: &targets };
        let loss = trainer.update(Batch { sequences, x: (&x).into(), loss }, &mut rng)?.loss;
        bar.set_message(format!("loss {loss:.3}"));
        bar.inc(1);
    }
    bar.finish_and_clear();

    // A forecast every five hours in the last fifth.
    let ends: Vec<usize> = (unseen..HOURS - AHEAD).step_by(5).collect();
    let truth = futures(&series, &ends);
    let mut predictor = trainer.predictor()?;
    let ours = predictor.forward(Sequences::new(WINDOW, ends.len()), &windows(&series, &ends))?.to_vec();
    let naive = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
        ends.iter().flat_map(|&end| (0..AHEAD).map(move |ahead| value(end, ahead))).collect()
    };
    let forecasts = [
        ("GRU", ours),
        ("last value", naive(&|end, _| series[end - 1])),
        ("1 day ago", naive(&|end, ahead| series[end - DAY + ahead])),
        ("1 week ago", naive(&|end, ahead| series[end - WEEK + ahead])),
        ("noise alone", futures(&clean, &ends)),
    ];
    common.say(format_args!(
        "{AHEAD} hours ahead, {} forecasts of unseen time: mean absolute error\n",
        ends.len()
    ));
    common.say("                      all   1 hour  24 hours");
    let mut by_hour = Chart::new("Error of forecasts, by horizon", "hours ahead", "mean absolute error");
    let mut means = Vec::new();
    for (name, forecast) in &forecasts {
        let errors = errors(forecast, &truth);
        let points = errors.iter().enumerate().map(|(i, e)| (i as f64 + 1.0, *e));
        by_hour = if *name == "GRU" { by_hour.line(name, points) } else { by_hour.dashes(name, points) };
        common.say(format_args!(
            "{name:18} {:7.3} {:8.3} {:9.3}",
            mean(&errors),
            errors[0],
            errors[AHEAD - 1]
        ));
        means.push(mean(&errors));
    }

    for format in FORMATS.into_iter().filter(|_| narrow) {
        let mut predictor = Predictor::new(&MODEL.narrow(format), trainer.weights())?;
        let said = predictor.forward(Sequences::new(WINDOW, ends.len()), &windows(&series, &ends))?;
        let moved = said.iter().zip(&forecasts[0].1).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let error = mean(&errors(said, &truth));
        common.say(format_args!(
            "GRU from {:9} {error:7.5}, {:+.3} %; forecasts move by at most {moved:.1e}",
            format.name(),
            100.0 * (error / means[0] - 1.0),
        ));
    }

    // Consecutive forecasts, each for one day.
    let days: Vec<usize> = (unseen..).step_by(AHEAD).take(10).collect();
    let said = predictor.forward(Sequences::new(WINDOW, days.len()), &windows(&series, &days))?;
    let hours = (0..days.len() * AHEAD).map(|i| i as f64 / DAY as f64);
    let points = |of: &[f32]| hours.clone().zip(of.iter().map(|&v| f64::from(v))).collect::<Vec<_>>();
    let chart = Chart::new("Forecasts for 24 hours, made at midnight", "days (not trained on)", "value")
        .line("GRU", points(said))
        .dashes("1 day ago", points(&series[unseen - DAY..]))
        .coloured(2) // as in the chart of errors
        .dots("measured", points(&series[unseen..]))
        .coloured(MEASURED);
    common.say("");
    common.plot(1, &[&chart, &by_hour])?;
    let [gru, naive, day, week, noise] = means[..] else { return Ok(()) };
    conclude(format_args!("gru {gru:.3} naive {naive:.3} day {day:.3} week {week:.3} noise {noise:.3}"));
    Ok(())
}
