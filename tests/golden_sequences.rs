//! Real sequences compared with PyTorch, Keras and the ONNX operators (see tests/data/sequences/README.md):
//! lengths, masks, directions, layers, dropout, options.

mod common;
#[path = "common/golden.rs"]
mod golden;
#[path = "common/options.rs"]
mod options;
#[path = "common/reference/mod.rs"]
mod reference;

use common::{Layer, Trained, sets};
use golden::{Golden, files};
use options::layer;
use recurrent::{Backward, ForwardTrain, Gradients, Isa, Masked, Merge, Sequences, Stack};

/// Largest deviation, relative to the largest entry of the tensor.
const TOLERANCE: f64 = 1e-5;

/// The reason why a file is skipped, if it is.
fn skipped(golden: &Golden) -> Option<&'static str> {
    let by_gate = golden.has("dropout") && golden.shape("dropout")[0] > 1;
    by_gate.then_some("the library takes one mask for all gates, as documented")
}

/// Forward and, if there is a `dy`, backward.
fn call(
    golden: &Golden,
    isa: Isa,
    sequences: Sequences<'_>,
    (steps, batch): (usize, usize),
    [weights, x, state, dy, dstate]: [&[f32]; 5],
) -> Trained {
    let (recurrent_dropout, layer_dropout) = (golden.f32("dropout"), golden.f32("layer_dropout"));
    let (recurrent_dropout, layer_dropout) = (recurrent_dropout.as_deref(), layer_dropout.as_deref());
    // No public trait names the passes of a stack, so this is a macro.
    macro_rules! run {
        ($layer:expr) => {{
            let stack = |layer| Stack::new(layer).layers(golden.number("layers").unwrap_or(1));
            let stack = match golden.word("direction").unwrap_or("forward") {
                "forward" => stack($layer),
                "reverse" => stack($layer.reverse()),
                "concat" => stack($layer).bidirectional(Merge::Concat),
                "sum" => stack($layer).bidirectional(Merge::Sum),
                other => panic!("unknown direction {other}"),
            };
            let mut y = vec![f32::NAN; steps * batch * stack.output()];
            let mut tape = vec![f32::NAN; stack.tape_len(steps, batch)];
            let mut scratch = vec![f32::NAN; stack.train_scratch_len(steps, batch)];
            let mut out = Trained {
                y: vec![],
                state: state.to_vec(),
                grads: vec![f32::NAN; weights.len()],
                dx: vec![f32::NAN; x.len()],
                dstate: dstate.to_vec(),
            };
            let args = ForwardTrain {
                sequences,
                x,
                y: &mut y,
                state: &mut out.state,
                recurrent_dropout,
                layer_dropout,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            stack.forward_train(weights, args).unwrap();
            if !dy.is_empty() {
                let args = Backward {
                    sequences,
                    x,
                    y: &y,
                    dy,
                    dstate: &mut out.dstate,
                    dx: Some(&mut out.dx),
                    grads: Some(&mut out.grads),
                    mode: Gradients::Overwrite,
                    recurrent_dropout,
                    layer_dropout,
                    tape: &mut tape,
                    scratch: &mut scratch,
                };
                stack.backward(weights, args).unwrap();
            }
            Trained { y, ..out }
        }};
    }
    match layer(&golden.options(), recurrent_dropout.is_some(), isa) {
        Layer::Rnn(layer) => run!(layer),
        Layer::Lstm(layer) => run!(layer),
        Layer::Gru(layer) => run!(layer),
        Layer::Mgu(layer) => run!(layer),
    }
}

/// Runs a case, which may consist of two calls. No gradient flows from the second call to the first.
fn run(golden: &Golden, isa: Isa) -> Trained {
    let (steps, batch, _) = golden.dims();
    let (lengths, mask, resets) = (golden.lengths(), golden.bools("mask"), golden.bools("resets"));
    let given = |name: &str| golden.f32(name).unwrap_or_default();
    let (weights, x, dy) = (given("weights"), given("x"), given("dy"));
    let (state, dlast) = (given("state"), given("dlast_state"));
    let masked = if golden.word("masked") == Some("zero") { Masked::Zero } else { Masked::Carry };
    let first = golden.number("calls").unwrap_or(steps);
    let mut out = Trained { state, y: vec![], grads: vec![], dx: vec![], dstate: vec![] };
    for (from, to) in [(0, first), (first, steps)] {
        if from == to {
            continue;
        }
        // The rows of these steps. With a single call these are all rows, in any layout.
        let at = |all: usize| from * (all / steps)..to * (all / steps);
        let mut sequences = Sequences::new(to - from, batch);
        if golden.flag("batch_major") {
            sequences = sequences.batch_major();
        }
        if let Some(lengths) = &lengths {
            sequences = sequences.lengths(lengths);
        }
        if let Some(mask) = &mask {
            sequences = sequences.mask(&mask[at(mask.len())], masked);
        }
        if let Some(resets) = &resets {
            sequences = sequences.resets(&resets[at(resets.len())]);
        }
        let dlast = if to == steps { dlast.clone() } else { vec![0.0; dlast.len()] };
        let io = [&weights, &x[at(x.len())], &out.state, &dy[at(dy.len())], &dlast];
        let call = call(golden, isa, sequences, (to - from, batch), io);
        out.y.extend(call.y);
        out.dx.extend(call.dx);
        out.state = call.state;
        out.grads.resize(call.grads.len(), 0.0);
        out.grads.iter_mut().zip(call.grads).for_each(|(sum, g)| *sum += g);
        if from == 0 {
            out.dstate = call.dstate;
        }
    }
    out
}

/// Checks the files of a framework; there must be `count` of them.
#[track_caller]
fn check(prefix: &str, count: usize) {
    let mut checked = 0;
    for golden in files(prefix) {
        if let Some(reason) = skipped(&golden) {
            println!("{} is skipped: {reason}", golden.name);
            continue;
        }
        checked += 1;
        for isa in sets() {
            let out = run(&golden, isa);
            let results = [
                ("y", out.y),
                ("last_state", out.state),
                ("dweights", out.grads),
                ("dx", out.dx),
                ("dstate", out.dstate),
            ];
            for (tensor, got) in results {
                if golden.has(tensor) {
                    golden.compare(tensor, got.into_iter().map(f64::from), TOLERANCE, isa.name());
                }
            }
        }
        assert!(golden.has("y") || golden.has("last_state"), "{}", golden.name);
        let gradients = golden.has("dweights") && golden.has("dx");
        assert_eq!(gradients, !prefix.starts_with("onnx"), "{}", golden.name);
    }
    assert_eq!(checked, count, "files of {prefix}");
}

#[test]
fn pytorch() {
    check("torch_", 28);
}

#[test]
fn keras() {
    check("keras_", 34);
}

#[test]
fn onnx_reference_evaluator() {
    check("onnx_", 13);
}

#[test]
fn onnx_runtime() {
    check("onnxruntime_", 49);
}
