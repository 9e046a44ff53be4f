//! Random sequences with lengths, masks, resets, both directions and layouts in every combination: outputs against
//! the f64 reference, every gradient against its central differences.

mod common;
#[path = "common/reference/mod.rs"]
mod reference;

use common::case::wide;
use common::{Kind, Layer, Random};
use recurrent::{Backward, ForwardTrain, Gradients, Isa, Sequences};
use reference::{Cell, Function, Masked, Options, Walk};

/// Of the differences in f64: the error of the formula is its square, that of rounding 1e-16 of the loss divided by it.
const STEP: f64 = 1e-5;
/// How far arguments of activations stay away from where a derivative jumps: ten times what `STEP` moves them.
const MARGIN: f64 = 1e-4;
/// Largest deviations relative to the largest entry of the tensor, as in tests/gradients.rs.
const OUTPUT_TOLERANCE: f64 = 1e-6;
const GRADIENT_TOLERANCE: f64 = 3e-6;

/// Input, hidden, batch, steps: one panel and less, and more than one of the narrow instruction sets.
const SIZES: [(usize, usize, usize, usize); 3] = [(2, 3, 4, 5), (3, 9, 2, 4), (1, 5, 3, 6)];

/// What is said of the sequences; each field is there or not.
#[derive(Clone, Copy, Debug)]
struct Says {
    lengths: bool,
    mask: Option<Masked>,
    resets: bool,
    reverse: bool,
    batch_major: bool,
}

impl Says {
    fn all() -> impl Iterator<Item = Says> {
        (0..48).map(|n| Says {
            lengths: n & 1 != 0,
            resets: n & 2 != 0,
            reverse: n & 4 != 0,
            batch_major: n & 8 != 0,
            mask: [None, Some(Masked::Carry), Some(Masked::Zero)][n / 16],
        })
    }
}

struct Case {
    says: Says,
    dims: (usize, usize),
    options: Options,
    lengths: Vec<usize>,
    mask: Vec<bool>,
    resets: Vec<bool>,
    weights: Vec<f32>,
    x: Vec<f32>,
    state: Vec<f32>,
    dy: Vec<f32>,
    dstate: Vec<f32>,
}

impl Case {
    fn new(options: Options, says: Says, dims: (usize, usize)) -> Case {
        for seed in 0.. {
            let case = Case::from_seed(seed, options, says, dims);
            if case.reference([&wide(&case.weights), &wide(&case.x), &wide(&case.state)]).margin > MARGIN {
                return case;
            }
        }
        unreachable!("some seed stays away from the kinks")
    }

    fn from_seed(seed: u64, options: Options, says: Says, (steps, batch): (usize, usize)) -> Case {
        let mut random = Random::new(seed);
        let rows = steps * batch;
        let mut chosen = |share: f32| -> Vec<bool> {
            random.uniform(rows, 1.0).iter().map(|v| *v < 2.0 * share - 1.0).collect()
        };
        let (mask, resets) = (chosen(0.6), chosen(0.25));
        // All from none to `steps`, in no order.
        let lengths = (0..batch).map(|b| (b * 3 + seed as usize) % (steps + 1)).collect();
        let scale = 1.4 / ((options.input + options.width()) as f32).sqrt();
        let states = options.state_len(batch);
        Case {
            says,
            dims: (steps, batch),
            options,
            lengths,
            mask,
            resets,
            weights: random.uniform(options.weights_len(), scale),
            x: random.uniform(rows * options.input, 1.0),
            state: random.uniform(states, 0.9),
            dy: random.uniform(rows * options.width(), 1.0),
            dstate: random.uniform(states, 1.0),
        }
    }

    fn walk(&self) -> Walk<'_> {
        Walk {
            lengths: self.says.lengths.then_some(&self.lengths),
            mask: self.says.mask.is_some().then_some(&self.mask),
            masked: self.says.mask.unwrap_or(Masked::Carry),
            resets: self.says.resets.then_some(&self.resets),
            reverse: self.says.reverse,
            batch_major: self.says.batch_major,
            ..Walk::new(self.dims.0, self.dims.1)
        }
    }

    fn reference(&self, [weights, x, state]: [&[f64]; 3]) -> reference::Output {
        reference::forward(&self.options, &self.walk(), weights, x, state)
    }

    /// Gradients of `sum(y*dy) + sum(state*dstate)`: of the weights, the input and the initial state.
    fn differences(&self) -> [Vec<f64>; 3] {
        let (dy, dstate) = (wide(&self.dy), wide(&self.dstate));
        let mut arguments = [wide(&self.weights), wide(&self.x), wide(&self.state)];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        [0, 1, 2].map(|which| {
            let one = |i: usize| {
                let at = arguments[which][i];
                let mut loss = |at: f64| {
                    arguments[which][i] = at;
                    let out = self.reference([0, 1, 2].map(|n| &arguments[n][..]));
                    dot(&out.y, &dy) + dot(&out.state, &dstate)
                };
                let difference = (loss(at + STEP) - loss(at - STEP)) / (2.0 * STEP);
                loss(at);
                difference
            };
            let len = [self.weights.len(), self.x.len(), self.state.len()][which];
            (0..len).map(one).collect()
        })
    }

    fn sequences(&self) -> Sequences<'_> {
        let (steps, batch) = self.dims;
        let mut sequences = Sequences::new(steps, batch);
        if self.says.lengths {
            sequences = sequences.lengths(&self.lengths);
        }
        match self.says.mask {
            None => {}
            Some(Masked::Carry) => sequences = sequences.mask(&self.mask, recurrent::Masked::Carry),
            Some(Masked::Zero) => sequences = sequences.mask(&self.mask, recurrent::Masked::Zero),
        }
        if self.says.resets {
            sequences = sequences.resets(&self.resets);
        }
        if self.says.batch_major { sequences.batch_major() } else { sequences }
    }

    /// Output, last state, and the gradients in the order of `differences`.
    fn library(&self, layer: Layer) -> [Vec<f32>; 5] {
        let (steps, batch) = self.dims;
        let layer = if self.says.reverse { layer.reverse() } else { layer };
        let (mut y, mut state) = (vec![f32::NAN; self.dy.len()], self.state.clone());
        let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
        let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
        let args = ForwardTrain {
            sequences: self.sequences(),
            x: &self.x,
            y: &mut y,
            state: &mut state,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.forward_train(&self.weights, args).unwrap();
        scratch.fill(f32::NAN);
        let (mut grads, mut dx) = (vec![f32::NAN; self.weights.len()], vec![f32::NAN; self.x.len()]);
        let mut dstate = self.dstate.clone();
        let args = Backward {
            sequences: self.sequences(),
            x: &self.x,
            y: &y,
            dy: &self.dy,
            dstate: &mut dstate,
            dx: Some(&mut dx),
            grads: Some(&mut grads),
            mode: Gradients::Overwrite,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.backward(&self.weights, args).unwrap();
        [y, state, grads, dx, dstate]
    }
}

#[track_caller]
fn compare(got: &[f32], want: &[f64], tolerance: f64, what: &str) -> f64 {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(f64::MIN_POSITIVE, |m, w| m.max(w.abs()));
    let mut most = 0.0;
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*g) - w).abs() / largest;
        assert!(off <= tolerance, "{what}[{i}] is {g}, should be {w}: off by {off:e} of {largest}");
        // What has no part in the loss has no gradient at all, and what is not computed is zero.
        assert!(*w != 0.0 || *g == 0.0, "{what}[{i}] is {g}, should be zero");
        most = f64::max(most, off);
    }
    most
}

/// All that can be said of sequences, for a layer and what the reference calls it.
fn check(layer: impl Fn(usize, usize, Isa) -> Layer, options: impl Fn(usize, usize) -> Options) {
    let (mut outputs, mut gradients) = (0.0_f64, 0.0_f64);
    for (n, says) in Says::all().enumerate() {
        let (input, hidden, batch, steps) = SIZES[n % SIZES.len()];
        let case = Case::new(options(input, hidden), says, (steps, batch));
        let want = case.reference([&wide(&case.weights), &wide(&case.x), &wide(&case.state)]);
        let [dweights, dx, dstate] = case.differences();
        for isa in Isa::available() {
            let got = case.library(layer(input, hidden, isa));
            let what = |name: &str| format!("{name}, {says:?}, {}", isa.name());
            for (got, want, name) in [(&got[0], &want.y, "y"), (&got[1], &want.state, "state")] {
                outputs = outputs.max(compare(got, want, OUTPUT_TOLERANCE, &what(name)));
            }
            for (got, want, name) in
                [(&got[2], &dweights, "dweights"), (&got[3], &dx, "dx"), (&got[4], &dstate, "dstate")]
            {
                gradients = gradients.max(compare(got, want, GRADIENT_TOLERANCE, &what(name)));
            }
        }
    }
    println!("largest deviations: outputs {outputs:.1e}, gradients {gradients:.1e}");
}

fn plain(kind: Kind, cell: Cell) {
    let mut functions = Options::new(cell, 0, 0).functions;
    if kind == Kind::RnnRelu {
        functions[0] = Function::Relu;
    }
    check(
        |input, hidden, isa| kind.layer(input, hidden, isa),
        |input, hidden| Options { functions, ..Options::new(cell, input, hidden) },
    );
}

#[test]
fn rnn_tanh() {
    plain(Kind::RnnTanh, Cell::Rnn);
}

#[test]
fn rnn_relu() {
    plain(Kind::RnnRelu, Cell::Rnn);
}

#[test]
fn lstm() {
    plain(Kind::Lstm, Cell::Lstm);
}

#[test]
fn gru() {
    plain(Kind::Gru, Cell::GruResetAfter);
}

#[test]
fn gru_reset_before() {
    plain(Kind::GruResetBefore, Cell::GruResetBefore);
}
