//! Real sequences against PyTorch, Keras and the ONNX operators (see tests/data/sequences/README.md): lengths, masks,
//! directions, layers, options. Layers on top of each other and next to each other are put together here.

mod common;
#[path = "common/golden.rs"]
mod golden;

use common::{Kind, Layer, Trained};
use golden::{Golden, files};
use recurrent::{Backward, ForwardTrain, Gradients, Isa, Masked, Sequences};

/// Largest deviation, relative to the largest entry of the tensor.
const TOLERANCE: f64 = 1e-5;

/// The layer of a case; what it cannot express is the error.
fn layer_of(golden: &Golden, input: usize, reverse: bool, isa: Isa) -> Result<Layer, &'static str> {
    for option in ["projection", "clip", "peepholes", "coupled", "bias"] {
        if golden.word(option).is_some() {
            return Err(option);
        }
    }
    if let Some(tensor) = ["dropout", "layer_dropout"].into_iter().find(|tensor| golden.has(tensor)) {
        return Err(tensor);
    }
    let kind = match (golden.word("cell").unwrap(), golden.word("activations")) {
        ("rnn", None | Some("Tanh")) => Kind::RnnTanh,
        ("rnn", Some("Relu")) => Kind::RnnRelu,
        ("lstm", None) => Kind::Lstm,
        ("gru_reset_after", None) => Kind::Gru,
        ("gru_reset_before", None) => Kind::GruResetBefore,
        (_, Some(_)) => return Err("activations"),
        (other, _) => panic!("unknown cell {other}"),
    };
    let layer = kind.layer(input, golden.number("hidden").unwrap(), isa);
    Ok(if reverse { layer.reverse() } else { layer })
}

/// One layer in one direction, between forward and backward.
struct Pass {
    layer: Layer,
    weights: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    state: Vec<f32>,
    tape: Vec<f32>,
}

impl Pass {
    fn forward(layer: Layer, sequences: Sequences<'_>, dims: (usize, usize), io: [&[f32]; 3]) -> Pass {
        let (steps, batch) = dims;
        let [weights, x, state] = io.map(<[f32]>::to_vec);
        let y = vec![f32::NAN; steps * batch * layer.hidden()];
        let tape = vec![f32::NAN; layer.tape_len(steps, batch)];
        let mut pass = Pass { layer, weights, x, y, state, tape };
        let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
        let Pass { layer, weights, x, y, state, tape } = &mut pass;
        layer
            .forward_train(weights, ForwardTrain { sequences, x, y, state, tape, scratch: &mut scratch })
            .unwrap();
        pass
    }

    /// Gradients of the weights, of the input and of the initial state.
    fn backward(
        &mut self,
        sequences: Sequences<'_>,
        batch: usize,
        dy: &[f32],
        dstate: &[f32],
    ) -> [Vec<f32>; 3] {
        let mut grads = vec![f32::NAN; self.weights.len()];
        let mut dx = vec![f32::NAN; self.x.len()];
        let mut dstate = dstate.to_vec();
        let mut scratch = vec![f32::NAN; self.layer.train_scratch_len(batch)];
        let args = Backward {
            sequences,
            x: &self.x,
            y: &self.y,
            dy,
            dstate: &mut dstate,
            dx: Some(&mut dx),
            grads: Some(&mut grads),
            mode: Gradients::Overwrite,
            tape: &mut self.tape,
            scratch: &mut scratch,
        };
        self.layer.backward(&self.weights, args).unwrap();
        [grads, dx, dstate]
    }
}

/// The first `n` of `rest`, which loses them.
fn take<'a>(rest: &mut &'a [f32], n: usize) -> &'a [f32] {
    let (first, others) = rest.split_at(n);
    *rest = others;
    first
}

/// The layers of a case over `sequences`; gradients only if there is a `dy`.
fn stack(
    golden: &Golden,
    isa: Isa,
    sequences: Sequences<'_>,
    dims: (usize, usize),
    [weights, x, state, dy, dstate]: [&[f32]; 5],
) -> Trained {
    let direction = golden.word("direction").unwrap_or("forward");
    let directions: &[bool] = match direction {
        "forward" => &[false],
        "reverse" => &[true],
        "concat" | "sum" => &[false, true],
        other => panic!("unknown direction {other}"),
    };
    let concat = direction == "concat";
    let batch = dims.1;
    let (mut weights, mut state) = (weights, state);
    let (mut width, mut input) = (golden.dims().2, x.to_vec());
    let mut layers: Vec<Vec<Pass>> = Vec::new();
    for _ in 0..golden.number("layers").unwrap_or(1) {
        let mut passes = Vec::new();
        for &reverse in directions {
            let layer = layer_of(golden, width, reverse, isa).unwrap();
            let (w, s) = (take(&mut weights, layer.weights_len()), take(&mut state, layer.state_len(batch)));
            passes.push(Pass::forward(layer, sequences, dims, [w, &input, s]));
        }
        let hidden = passes[0].layer.hidden();
        input = passes[0].y.clone();
        if concat {
            let rows = passes[0].y.chunks(hidden).zip(passes[1].y.chunks(hidden));
            input = rows.flat_map(|(a, b)| [a, b].concat()).collect();
        } else if let [_, reverse] = &passes[..] {
            input.iter_mut().zip(&reverse.y).for_each(|(y, r)| *y += r);
        }
        width = if concat { 2 * hidden } else { hidden };
        layers.push(passes);
    }
    assert!(weights.is_empty() && state.is_empty(), "{}: weights or state too long", golden.name);

    let state = layers.iter().flatten().flat_map(|pass| pass.state.clone()).collect();
    let mut out = Trained { y: input, state, grads: Vec::new(), dx: dy.to_vec(), dstate: Vec::new() };
    if dy.is_empty() {
        return out;
    }
    let mut above = dstate;
    for passes in layers.iter_mut().rev() {
        let hidden = passes[0].layer.hidden();
        let (mut grads, mut dx, mut dstate) = (Vec::new(), Vec::<f32>::new(), Vec::new());
        let (rest, mut here) = above.split_at(above.len() - passes.len() * passes[0].state.len());
        above = rest;
        for (n, pass) in passes.iter_mut().enumerate() {
            let dy: Vec<f32> = match concat {
                true => {
                    out.dx.chunks(2 * hidden).flat_map(|row| row[n * hidden..][..hidden].to_vec()).collect()
                }
                false => out.dx.clone(),
            };
            let [g, d, s] = pass.backward(sequences, batch, &dy, take(&mut here, pass.state.len()));
            grads.extend(g);
            dstate.extend(s);
            match n {
                0 => dx = d,
                _ => dx.iter_mut().zip(d).for_each(|(a, b)| *a += b),
            }
        }
        out.dx = dx;
        out.grads.splice(0..0, grads);
        out.dstate.splice(0..0, dstate);
    }
    out
}

/// All of a case, which may be two calls; no gradient goes from the second to the first.
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
        // The rows of these steps; all rows, whatever their order, if there is one call.
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
        let call = stack(golden, isa, sequences, (to - from, batch), io);
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

/// Runs the files of a framework, of which `count` have nothing that layers cannot express.
#[track_caller]
fn check(prefix: &str, count: usize) {
    let mut checked = 0;
    for golden in files(prefix) {
        if let Err(option) = layer_of(&golden, 1, false, Isa::SCALAR) {
            println!("{}: {option} is not there yet", golden.name);
            continue;
        }
        checked += 1;
        for isa in Isa::available() {
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
        let gradients = golden.has("dweights") && golden.has("dx");
        assert_eq!(gradients, !prefix.starts_with("onnx"), "{}", golden.name);
    }
    assert_eq!(checked, count, "files of {prefix}");
}

#[test]
fn pytorch() {
    check("torch_", 19);
}

#[test]
fn keras() {
    check("keras_", 29);
}

#[test]
fn onnx_reference_evaluator() {
    check("onnx_", 8);
}

#[test]
fn onnx_runtime() {
    check("onnxruntime_", 10);
}
