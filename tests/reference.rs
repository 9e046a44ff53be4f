//! Compares the f64 reference of tests/common/reference with the results of the frameworks. Where frameworks
//! have no such option, other tests rely on the reference alone.

#[path = "common/golden.rs"]
mod golden;
#[path = "common/reference/mod.rs"]
mod reference;

use golden::{Golden, files};
use reference::{Cell, Masked, Merge, Options, Output, Stack, Walk};

/// Tolerance relative to the tensor's largest entry, where the framework computes in f64.
const WIDE: f64 = 1e-12;
/// The same, where it computes in f32.
const SINGLE: f64 = 1e-5;
/// Minimal distance of arguments from a jump of a derivative, so that f32 does not fall on the other side.
const MARGIN: f64 = 1e-4;

fn run(golden: &Golden) -> Output {
    let direction = golden.word("direction").unwrap_or("forward");
    let both = match direction {
        "forward" | "reverse" => None,
        "concat" => Some(Merge::Concat),
        "sum" => Some(Merge::Sum),
        other => panic!("unknown direction {other}"),
    };
    let layer_dropout = golden.wide("layer_dropout");
    let stack = Stack {
        options: golden.options(),
        layers: golden.number("layers").unwrap_or(1),
        both,
        dropout: (!layer_dropout.is_empty()).then_some(&layer_dropout),
    };
    let (steps, batch, _) = golden.dims();
    let (lengths, mask, resets) = (golden.lengths(), golden.bools("mask"), golden.bools("resets"));
    let dropout = golden.wide("dropout");
    let walk = Walk {
        lengths: lengths.as_deref(),
        mask: mask.as_deref(),
        masked: if golden.word("masked") == Some("zero") { Masked::Zero } else { Masked::Carry },
        resets: resets.as_deref(),
        reverse: direction == "reverse",
        batch_major: golden.flag("batch_major"),
        dropout: (!dropout.is_empty()).then_some(&dropout),
        ..Walk::new(steps, batch)
    };
    stack.forward(&walk, &golden.wide("weights"), &golden.wide("x"), &golden.wide("state"))
}

#[track_caller]
fn check(prefix: &str) {
    for golden in files(prefix) {
        let out = run(&golden);
        let (_, wide) = golden.expected("y").unwrap();
        let tolerance = if wide { WIDE } else { SINGLE };
        golden.compare("y", out.y, tolerance, "the reference");
        golden.compare("last_state", out.state, tolerance, "the reference");
        assert!(out.margin > MARGIN, "{}: {} from a kink", golden.name, out.margin);
    }
}

#[test]
fn agrees_with_pytorch() {
    check("torch_");
}

#[test]
fn agrees_with_keras() {
    check("keras_");
}

#[test]
fn agrees_with_the_onnx_reference_evaluator() {
    check("onnx_");
}

#[test]
fn agrees_with_onnx_runtime() {
    check("onnxruntime_");
}

/// No framework has resets. A reset is the same as ending the sequence there and starting another one from
/// zero.
#[test]
fn a_reset_starts_from_zero() {
    let mut checked = 0;
    for golden in files("torch_").iter().filter(|g| g.lengths().is_none() && !g.flag("batch_major")) {
        checked += 1;
        let (steps, batch, input) = golden.dims();
        let options = Options { input, ..golden.options() };
        let weights = &golden.wide("weights")[..options.weights_len()];
        let (x, state) = (golden.wide("x"), &golden.wide("state")[..options.state_len(batch)]);
        let cut = steps / 2;
        let resets: Vec<bool> = (0..steps * batch).map(|row| row / batch == cut).collect();
        let walk = Walk { resets: Some(&resets), ..Walk::new(steps, batch) };
        let whole = reference::forward(&options, &walk, weights, &x, state);
        let (before, after) = x.split_at(cut * batch * input);
        let first = reference::forward(&options, &Walk::new(cut, batch), weights, before, state);
        let zero = vec![0.0; state.len()];
        let second = reference::forward(&options, &Walk::new(steps - cut, batch), weights, after, &zero);
        assert_eq!(whole.y, [first.y, second.y].concat(), "{}", golden.name);
        assert_eq!(whole.state, second.state, "{}", golden.name);
    }
    assert!(checked >= 8, "{checked} files");
}

/// Outputs and last state of a cell. Weights that two variants share have the same values in both.
fn sample(options: &Options) -> Vec<f64> {
    let (steps, batch) = (4, 2);
    // Numbers between -1 and 1, without a pattern that a matrix could show.
    let numbers = |n: usize, seed: usize| -> Vec<f64> {
        (0..n).map(|i| ((i * 7 + seed * 5 + 3) as f64 * 12.9898).sin() * 43758.5453 % 1.0).collect()
    };
    let rows = options.gates() * options.hidden;
    let lengths = [
        rows * options.input,
        rows * options.width(),
        if options.bias { rows } else { 0 },
        if options.bias { rows } else { 0 },
        options.projection.map_or(0, |p| p * options.hidden),
        if options.peepholes { 3 * options.hidden } else { 0 },
    ];
    let weights: Vec<f64> =
        lengths.iter().enumerate().flat_map(|(part, len)| numbers(*len, 1000 * (part + 1))).collect();
    let (x, state) = (numbers(steps * batch * options.input, 1), numbers(options.state_len(batch), 2));
    let out = reference::forward(options, &Walk::new(steps, batch), &weights, &x, &state);
    [out.y, out.state].concat()
}

/// Every option changes the result, whatever the other options are.
#[test]
fn each_option_changes_the_result() {
    for cell in [Cell::Rnn, Cell::Lstm, Cell::GruResetAfter, Cell::GruResetBefore] {
        let mut all = Options::combinations(cell, (3, 5, 4));
        // Leave out the default functions, which `combinations` already has.
        let plain = Options::new(cell, 3, 5);
        all.extend(
            Options::with_each_function(cell, 3, 5).into_iter().filter(|o| o.functions != plain.functions),
        );
        let results: Vec<Vec<f64>> = all.iter().map(sample).collect();
        for (n, a) in results.iter().enumerate() {
            for (m, b) in results[..n].iter().enumerate() {
                let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(a.len() != b.len() || apart > 1e-3, "{:?} and {:?}", all[n], all[m]);
            }
        }
    }
}
