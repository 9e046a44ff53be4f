//! The activation functions of recurrent cells, their derivatives, and the precision of this crate.
//!
//! ```sh
//! cargo run --release --example activations
//! ```
//!
//! A simple recurrent layer with one unit, an input weight of 1, and all other weights 0 computes only its
//! activation: the first output is `f(x)`, and the gradient of its input is `f'(x)` times that of the output.
//! So this measures what cells compute on the instruction set of this CPU, compared with the same functions
//! in f64.

mod common;

use clap::Parser;
use common::pass::pass;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use recurrent::{Activation, Rnn, Sequences};

/// Plots the activation functions and their derivatives, and measures the errors of this crate.
///
/// The last line on standard output is `tanh ULP sigmoid ULP`: their greatest errors, in units of the last
/// place.
#[derive(Parser)]
struct Options {
    /// Measure at every N-th float between -16 and 16
    #[arg(long, value_name = "N", default_value_t = 997, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    #[command(flatten)]
    common: Common,
}

/// An activation function, with its value and derivative in f64 by definition.
struct Function {
    name: &'static str,
    ours: Activation,
    exact: fn(f64) -> (f64, f64),
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A constant, rounded to f32 as in the activation.
const fn wide(x: f32) -> f64 {
    x as f64
}

/// Functions with two limits, or with one that they reach soon.
const BOUNDED: [Function; 5] = [
    Function { name: "tanh", ours: Activation::Tanh, exact: |x| (x.tanh(), x.cosh().powi(-2)) },
    Function {
        name: "sigmoid",
        ours: Activation::Sigmoid,
        exact: |x| (logistic(x), logistic(x) * logistic(-x)),
    },
    Function {
        name: "softsign",
        ours: Activation::Softsign,
        exact: |x| (x / (1.0 + x.abs()), (1.0 + x.abs()).powi(-2)),
    },
    Function {
        name: "hard sigmoid",
        ours: Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        exact: |x| {
            let line = wide(0.2) * x + 0.5;
            (line.clamp(0.0, 1.0), if line > 0.0 && line < 1.0 { wide(0.2) } else { 0.0 })
        },
    },
    Function {
        // LeCun's version, which maps 1 to 1.
        name: "scaled tanh",
        ours: Activation::ScaledTanh { alpha: 1.7159, beta: 0.666_666_7 },
        exact: |x| {
            let (alpha, beta) = (wide(1.7159), wide(0.666_666_7));
            (alpha * (beta * x).tanh(), alpha * beta * (beta * x).cosh().powi(-2))
        },
    },
];

/// Functions that grow with x.
const GROWING: [Function; 5] = [
    Function { name: "ReLU", ours: Activation::Relu, exact: |x| if x > 0.0 { (x, 1.0) } else { (0.0, 0.0) } },
    Function {
        name: "leaky ReLU",
        ours: Activation::LeakyRelu { alpha: 0.1 },
        exact: |x| if x < 0.0 { (wide(0.1) * x, wide(0.1)) } else { (x, 1.0) },
    },
    Function {
        name: "thresholded ReLU",
        ours: Activation::ThresholdedRelu { alpha: 1.0 },
        exact: |x| if x < 1.0 { (0.0, 0.0) } else { (x, 1.0) },
    },
    Function {
        name: "ELU",
        ours: Activation::Elu { alpha: 1.0 },
        exact: |x| if x < 0.0 { (x.exp_m1(), x.exp()) } else { (x, 1.0) },
    },
    Function {
        name: "softplus",
        ours: Activation::Softplus,
        exact: |x| (x.max(0.0) + (-x.abs()).exp().ln_1p(), logistic(x)),
    },
];

/// Values and derivatives at `x`, from a forward and a backward pass of a layer.
fn ours(activation: Activation, x: &[f32]) -> Result<(Vec<f32>, Vec<f32>), Failure> {
    let layer = Rnn::new(1, 1).activation(activation);
    let weights = [1.0, 0.0, 0.0, 0.0]; // w_ih, w_hh, b_ih, b_hh
    let rows = x.len(); // each number is a batch row
    let pass = pass(layer, &weights, Sequences::new(1, rows), x, |_, _| Ok((vec![1.0; rows], Vec::new())))?;
    Ok((pass.y, pass.dx))
}

/// The distance from `x` to the next float: the unit in its last place.
fn ulp(x: f64) -> f64 {
    let x = x.abs() as f32;
    f64::from(x.next_up()) - f64::from(x)
}

/// The errors at `x`. Absolute errors are in units of 2^-24, half of the last place of 1 (6.0e-8).
struct Measured {
    x: f64,
    /// Error of the value, in units of its last place.
    relative: f64,
    /// Error of the value.
    value: f64,
    /// Error of the derivative.
    derivative: f64,
}

fn measure(function: &Function, x: &[f32]) -> Result<Vec<Measured>, Failure> {
    let (y, dy) = ours(function.ours, x)?;
    let each = x.iter().zip(&y).zip(&dy).map(|((&x, &y), &dy)| {
        let x = f64::from(x);
        let exact = (function.exact)(x);
        let [value, derivative] =
            [(y, exact.0), (dy, exact.1)].map(|(ours, exact)| (f64::from(ours) - exact).abs());
        let unit = f64::from(1 << 24);
        Measured { x, relative: value / ulp(exact.0), value: value * unit, derivative: derivative * unit }
    });
    Ok(each.collect())
}

/// The greatest error in each hundredth of the plot.
fn profile(errors: &[Measured], of: fn(&Measured) -> f64) -> Vec<(f64, f64)> {
    let mut greatest = [0f64; 100];
    for e in errors.iter().filter(|e| e.x.abs() < SHOWN) {
        let i = ((e.x + SHOWN) / (2.0 * SHOWN) * 100.0) as usize;
        greatest[i] = greatest[i].max(of(e));
    }
    (0..100).map(|i| ((f64::from(i as u8) + 0.5) / 50.0 * SHOWN - SHOWN, greatest[i])).collect()
}

/// The plot covers minus this to plus this.
const SHOWN: f64 = 5.0;

fn main() -> Result<(), Failure> {
    let Options { every, common } = Options::parse();

    let positive: Vec<f32> = (0..=16f32.to_bits()).step_by(every as usize).map(f32::from_bits).collect();
    let x: Vec<f32> = positive.iter().rev().map(|x| -x).chain(positive.iter().copied()).collect();
    common.say(format_args!(
        "greatest errors at {} floats between -16 and 16, on {}:\n",
        x.len(),
        Rnn::new(1, 1).isa().name()
    ));
    common.say("                     value     value  derivative");
    common.say("                     (ulp)   (2^-24)     (2^-24)");

    let line: Vec<f32> = (0..=1000u16).map(|i| (f32::from(i) / 500.0 - 1.0) * SHOWN as f32).collect();
    let mut charts = Vec::new();
    let mut last = Vec::new();
    for (kind, functions) in [("Bounded", &BOUNDED), ("Growing", &GROWING)] {
        let mut values = Chart::new(format!("{kind} activation functions"), "x", "f(x)");
        let mut slopes =
            Chart::new(format!("{kind} functions: derivatives"), "x", "f'(x)").limits(-0.05, 1.2);
        let errors_of =
            |of| Chart::new(format!("{kind} functions: error of the {of}"), "x", "error (units of 2^-24)");
        let (mut value_errors, mut slope_errors) =
            (errors_of("value").limits(0.0, 6.0), errors_of("derivative").limits(0.0, 6.0));
        for function in functions {
            let points = |y: Vec<f32>| {
                line.iter().zip(y).map(|(&x, y)| (f64::from(x), f64::from(y))).collect::<Vec<_>>()
            };
            let (y, dy) = ours(function.ours, &line)?;
            // Others coincide with it, each on a part of its line.
            let draw: fn(Chart, &str, Vec<(f64, f64)>) -> Chart =
                if function.name == "ReLU" { Chart::wide } else { Chart::line };
            values = draw(values, function.name, points(y));
            slopes = draw(slopes, function.name, points(dy));

            let errors = measure(function, &x)?;
            value_errors = draw(value_errors, function.name, profile(&errors, |e| e.value));
            slope_errors = draw(slope_errors, function.name, profile(&errors, |e| e.derivative));
            let greatest = |of: fn(&Measured) -> f64| errors.iter().map(of).fold(0.0, f64::max);
            let (relative, value) = (greatest(|e| e.relative), greatest(|e| e.value));
            let derivative = greatest(|e| e.derivative);
            common.say(format_args!("{:18} {relative:7.2} {value:9.2} {derivative:11.2}", function.name));
            last.push(format!("{} {relative:.2}", function.name));
        }
        charts.extend([values, slopes, value_errors, slope_errors]);
    }
    let panels: Vec<&dyn common::plot::Panel> = charts.iter().map(|c| c as _).collect();
    common.say("");
    common.plot(2, &panels)?;
    conclude(last[..2].join(" "));
    Ok(())
}
