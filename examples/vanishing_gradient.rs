//! How far back a recurrent network can learn: plots the gradient of a loss at the last step over the time
//! lag.
//!
//! ```sh
//! cargo run --release --example vanishing_gradient
//! ```
//!
//! On its way back through time, a gradient is multiplied by the same recurrent weights in every step. If
//! these shrink it, it vanishes: the loss does not depend on inputs of long ago, and the network does not
//! learn from them (Hochreiter 1991; Bengio et al. 1994). If they stretch it, it explodes. An open gate
//! passes it on unchanged: this is the purpose of LSTM and GRU.
//!
//! All curves are measured: each is the gradient of the inputs from one backward pass, as its norm over all
//! rows of a batch, step by step.

mod common;

use clap::Parser;
use common::pass::pass;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use recurrent::train::{Sgd, clip_scale, normal, uniform};
use recurrent::{Activation, Cell, Gru, GruGate, Lstm, Recurrent, Rnn, Sequences, mean_squared_error};

/// Plots gradients over the time lag for a simple RNN, an LSTM and a GRU, with small and with large weights.
/// Also shows the effect of clipping.
///
/// The last line on standard output is `rnn RATIO lstm RATIO gru RATIO lstm_open RATIO unclipped LOSS clipped
/// LOSS`. A ratio is the norm of the gradient of the first input divided by that of the last input (the
/// forget gate of `lstm_open` starts open). The losses are the last ones of an RNN with large weights,
/// trained without and with clipping.
#[derive(Parser)]
struct Options {
    /// Steps of a sequence: the longest time lag and one more
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    steps: u16,
    /// Hidden units
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    hidden: u16,
    #[command(flatten)]
    common: Common,
}

const BATCH: usize = 16;
const INPUT: usize = 8;

/// The gradients from a backward pass.
struct Back {
    /// The norm of the gradient of the input for each lag; lag 0 is the last step.
    by_lag: Vec<f64>,
    /// Gradients of the weights.
    grads: Vec<f32>,
}

impl Back {
    /// The norm for the first input divided by that for the last input.
    fn reach(&self) -> f64 {
        self.by_lag[self.by_lag.len() - 1] / self.by_lag[0]
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.by_lag.iter().enumerate().map(|(lag, norm)| (lag as f64, *norm))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = values.len() as f64;
    values.map(f64::from).sum::<f64>() / count
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// Runs the sequences `x [T, B, I]` forward, and backward from their last step. `dlast` takes the last hidden
/// states `[B, H]` and returns the gradient of a loss.
fn backward<C: Cell>(
    layer: Recurrent<C>,
    weights: &[f32],
    x: &[f32],
    dlast: impl FnOnce(&[f32]) -> Result<Vec<f32>, Failure>,
) -> Result<Back, Failure> {
    let sequences = Sequences::new(x.len() / (BATCH * layer.input()), BATCH);
    let pass = pass(layer, weights, sequences, x, |_, last| Ok((Vec::new(), dlast(last)?)))?;
    Ok(Back { by_lag: pass.dx.chunks(BATCH * layer.input()).rev().map(norm).collect(), grads: pass.grads })
}

/// Trains an RNN with large weights to output, in its first unit after the last step, the first of a sequence
/// of random numbers. Uses plain gradient descent, with gradients clipped to a norm of `max`. Returns for
/// each update the loss and the norm of the gradients before clipping.
fn train(common: &Common, max: f32) -> Result<Vec<(f32, f32)>, Failure> {
    const STEPS: usize = 20;
    let layer = Rnn::new(1, 32);
    let mut rng = common.rng(1);
    let mut weights = vec![0.0; layer.weights_len()];
    layer.init(&mut weights, &mut rng)?;
    layer.init_orthogonal(&mut weights, &mut rng)?;
    layer.weights_mut(&mut weights)?.w_hh.iter_mut().for_each(|w| *w *= 1.5);
    let sgd = Sgd::new(0.2);
    let mut moments = vec![0.0; sgd.moments_len(weights.len())];
    let mut history = Vec::new();
    for _ in 0..UPDATES {
        let mut x = vec![0.0; STEPS * BATCH];
        uniform(&mut x, 0.8, &mut rng);
        let mut loss = 0.0;
        let back = backward(layer, &weights, &x, |h| {
            let unit: Vec<f32> = h.iter().step_by(layer.hidden()).copied().collect();
            let mut dunit = vec![0.0; BATCH];
            loss = mean_squared_error(&unit, &x[..BATCH], Some(&mut dunit))?;
            let mut dh = vec![0.0; h.len()];
            dh.iter_mut().step_by(layer.hidden()).zip(dunit).for_each(|(dh, d)| *dh = d);
            Ok(dh)
        })?;
        // `None` if the gradients are not finite: then training cannot continue.
        let Some(clip) = clip_scale(&back.grads, max)? else { break };
        history.push((loss, clip.norm));
        sgd.update_scaled(&mut weights, &back.grads, &mut moments, clip.scale)?;
    }
    Ok(history)
}

const UPDATES: usize = 2000;

fn main() -> Result<(), Failure> {
    let Options { steps, hidden, common } = Options::parse();
    let (steps, hidden) = (usize::from(steps), usize::from(hidden));
    let (rnn, lstm, gru) = (Rnn::new(INPUT, hidden), Lstm::new(INPUT, hidden), Gru::new(INPUT, hidden));
    let mut rng = common.rng(0);
    // Random sequences. The loss is the product of the last hidden states with a random direction.
    let (mut x, mut direction) = (vec![0.0; steps * BATCH * INPUT], vec![0.0; BATCH * hidden]);
    normal(&mut x, 1.0, &mut rng);
    normal(&mut direction, 1.0, &mut rng);
    let dlast = |_: &[f32]| Ok(direction.clone());
    let last = steps - 1;

    // The cells with PyTorch's initial weights, and an LSTM whose forget gate starts open.
    let mut weights = vec![0.0; rnn.weights_len()];
    rnn.init(&mut weights, &mut rng)?;
    let of_rnn = backward(rnn, &weights, &x, dlast)?;
    let mut weights = vec![0.0; gru.weights_len()];
    gru.init(&mut weights, &mut rng)?;
    let of_gru = backward(gru, &weights, &x, dlast)?;
    gru.weights_mut(&mut weights)?.gate(GruGate::Update).b_ih.fill(4.0);
    let of_open_gru = backward(gru, &weights, &x, dlast)?;
    let mut weights = vec![0.0; lstm.weights_len()];
    lstm.init(&mut weights, &mut rng)?;
    let of_lstm = backward(lstm, &weights, &x, dlast)?;
    lstm.forget_bias(&mut weights, 4.0)?;
    let of_open = backward(lstm, &weights, &x, dlast)?;
    let mut cells = Chart::new(
        "Cells with initial weights, or with open gates",
        "time lag (steps)",
        "norm of the gradient",
    )
    .log();
    common.say(format_args!("gradient of a loss at the last step, for inputs of {last} steps ago, as part of that for the last input:"));
    for (name, back) in [
        ("RNN", &of_rnn),
        ("LSTM", &of_lstm),
        ("GRU", &of_gru),
        ("LSTM, forget bias 4", &of_open),
        ("GRU, update bias 4", &of_open_gru),
    ] {
        cells = cells.line(name, back.points());
        common.say(format_args!("  {name:21} {:8.1e}", back.reach()));
    }

    // Recurrent weights that keep the length of every vector, times a scale. The remaining gradient is the
    // scale to the power of the lag, reduced by the slopes of tanh. Without an activation it is the power
    // alone.
    let mut scales = Chart::new(
        "RNN, orthogonal weights times a scale (dashes: without tanh)",
        "time lag (steps)",
        "norm of the gradient",
    )
    .log();
    common.say("\nthe same for an RNN with orthogonal recurrent weights, times a scale:\n                     tanh    linear  scale to the power of the lag");
    let linear = rnn.activation(Activation::Affine { alpha: 1.0, beta: 0.0 });
    let mut weights = vec![0.0; rnn.weights_len()];
    rnn.init(&mut weights, &mut rng)?;
    rnn.init_orthogonal(&mut weights, &mut rng)?;
    // All of these are RNNs: shades of the colour of the RNN.
    for (scale, shade) in [(0.8, -0.5), (1.0, 0.0), (1.2, 0.35), (2.0, 0.6)] {
        let mut scaled = weights.clone();
        rnn.weights_mut(&mut scaled)?.w_hh.iter_mut().for_each(|w| *w *= scale);
        let [tanh, straight] = [backward(rnn, &scaled, &x, dlast)?, backward(linear, &scaled, &x, dlast)?];
        let power = f64::from(scale).powi(last as i32);
        common.say(format_args!(
            "  {scale:<13} {:11.1e} {:9.1e} {power:9.1e}",
            tanh.reach(),
            straight.reach()
        ));
        scales = scales.line(&format!("times {scale}"), tanh.points()).shaded(shade);
        // 2 to the power of the lag soon leaves the picture: drawn to the end, it would flatten all others.
        scales = scales.dashes("", straight.points().take_while(|(_, norm)| *norm < 1e12)).shaded(shade);
    }

    let mut norms =
        Chart::new("Norm of all gradients while an RNN is trained", "update", "norm (0 is not drawn)").log();
    let mut losses = Chart::new("Loss of the same trainings", "update", "mean squared error").log();
    common.say("\nthe first of 20 numbers is learnt by an RNN with orthogonal weights times 1.5; loss of the last 100 updates:");
    let mut learnt = Vec::new();
    // Colours that the other panels do not use.
    for (name, max, colour) in [("not clipped", f32::INFINITY, 6), ("clipped to 1", 1.0, 5)] {
        let history = train(&common, max)?;
        // Each point is the mean of ten updates.
        let points = |of: fn(&(f32, f32)) -> f32| {
            history.chunks(10).enumerate().map(move |(i, part)| (i as f64 * 10.0, mean(part.iter().map(of))))
        };
        norms = norms.line(name, points(|update| update.1)).coloured(colour);
        losses = losses.line(name, points(|update| update.0)).coloured(colour);
        let last = &history[history.len().saturating_sub(100)..];
        learnt.push(mean(last.iter().map(|update| update.0)));
        common.say(format_args!("  {name:21} {:8.4}", learnt[learnt.len() - 1]));
    }
    common.say("one long step has driven all units into the flat ends of tanh, and there is no gradient to lead them back\n");

    common.plot(2, &[&cells, &scales, &norms, &losses])?;
    conclude(format_args!(
        "rnn {:.1e} lstm {:.1e} gru {:.1e} lstm_open {:.1e} unclipped {:.4} clipped {:.4}",
        of_rnn.reach(),
        of_lstm.reach(),
        of_gru.reach(),
        of_open.reach(),
        learnt[0],
        learnt[1],
    ));
    Ok(())
}
