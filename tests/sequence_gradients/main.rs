//! Random sequences with all combinations of lengths, masks, resets, directions, layouts and recurrent
//! dropout, for cells with every option. Compares outputs with the f64 reference, and all gradients with its
//! central differences.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/options.rs"]
mod options;
#[path = "../common/reference/mod.rs"]
mod reference;

mod limits;

use common::case::{compare, wide};
use common::{Layer, Random};
use options::layer;
use recurrent::{Backward, ForwardTrain, Gradients, Isa, Sequences};
use reference::{Cell, Function, Masked, Norm, Options, Walk};

/// Step of the differences in f64. The formula's error is the square of the step; rounding adds 1e-16 of the
/// loss divided by the step.
const STEP: f64 = 1e-5;
/// Minimal distance of an activation's argument from a jump of a derivative: ten times what `STEP` moves it.
const MARGIN: f64 = 1e-4;
/// Largest deviations relative to the largest entry of the tensor, as in tests/gradients.rs.
const OUTPUT_TOLERANCE: f64 = 1e-6;
const GRADIENT_TOLERANCE: f64 = 3e-6;
/// Factor on the tolerances for a GRU whose update gate can exceed 1: its state grows with every step, and
/// rounding errors with it.
const GROWING: f64 = 4.0;
/// The same for gradients with layer normalisation, which multiplies the rounding errors of products whose
/// variance is small.
const NORMALISED: f64 = 4.0;

/// Input, hidden, batch, steps: sizes up to one panel, and more than one panel of the narrow instruction
/// sets.
const SIZES: [(usize, usize, usize, usize); 3] = [(2, 3, 4, 5), (3, 9, 2, 4), (1, 5, 3, 6)];

/// The settings of the sequences; each can be on or off.
#[derive(Clone, Copy, Debug)]
struct Says {
    lengths: bool,
    mask: Option<Masked>,
    resets: bool,
    reverse: bool,
    batch_major: bool,
    dropout: bool,
}

impl Says {
    fn all() -> impl Iterator<Item = Says> {
        (0..96).map(|n| Says {
            lengths: n & 1 != 0,
            resets: n & 2 != 0,
            reverse: n & 4 != 0,
            batch_major: n & 8 != 0,
            mask: [None, Some(Masked::Carry), Some(Masked::Zero)][n / 16 % 3],
            dropout: n >= 48,
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
    dropout: Vec<f32>,
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
        let dropout = random.uniform(batch * options.width(), 1.0);
        // Different lengths from 0 to `steps`, not sorted.
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
            dropout: dropout.iter().map(|v| if *v < -0.5 { 0.0 } else { 1.0 / 0.75 }).collect(),
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
        let dropout = wide(&self.dropout);
        let walk = Walk { dropout: self.says.dropout.then_some(&dropout), ..self.walk() };
        reference::forward(&self.options, &walk, weights, x, state)
    }

    fn factors(&self) -> Option<&[f32]> {
        self.says.dropout.then_some(&self.dropout)
    }

    /// Gradients of `sum(y*dy) + sum(state*dstate)` with respect to the weights, the input and the initial
    /// state.
    fn differences(&self) -> [Vec<f64>; 3] {
        [0, 1, 2].map(|which| {
            self.difference([&self.weights, &self.x, &self.state].map(|of| wide(of)), which, STEP)
        })
    }

    /// The gradient with respect to `arguments[which]`, at these arguments.
    fn difference(&self, mut arguments: [Vec<f64>; 3], which: usize, step: f64) -> Vec<f64> {
        let (dy, dstate) = (wide(&self.dy), wide(&self.dstate));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let one = |i: usize| {
            let at = arguments[which][i];
            let mut loss = |at: f64| {
                arguments[which][i] = at;
                let out = self.reference([0, 1, 2].map(|n| &arguments[n][..]));
                dot(&out.y, &dy) + dot(&out.state, &dstate)
            };
            let difference = (loss(at + step) - loss(at - step)) / (2.0 * step);
            loss(at);
            difference
        };
        let len = [self.weights.len(), self.x.len(), self.state.len()][which];
        (0..len).map(one).collect()
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
            recurrent_dropout: self.factors(),
            layer_dropout: None,
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
            recurrent_dropout: self.factors(),
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.backward(&self.weights, args).unwrap();
        [y, state, grads, dx, dstate]
    }
}

fn grows(options: &Options) -> bool {
    use Function::{Affine, Elu, LeakyRelu, Relu, Softplus, ThresholdedRelu};
    let gates = options.functions[0];
    matches!(options.cell, Cell::GruResetAfter | Cell::GruResetBefore)
        && options.clip.is_none()
        && matches!(
            gates,
            Relu | Affine { .. } | LeakyRelu { .. } | ThresholdedRelu { .. } | Elu { .. } | Softplus
        )
}

/// Checks the cells that `options` gives for input and hidden units, with the combinations of settings in
/// turn. There are at least `count` cases.
fn check(count: usize, options: impl Fn(usize, usize) -> Vec<Options>) {
    let (mut outputs, mut gradients) = (0.0_f64, 0.0_f64);
    let cells = options(1, 1).len();
    for n in 0..count.max(cells) {
        let (input, hidden, batch, steps) = SIZES[n % SIZES.len()];
        let options = options(input, hidden)[n % cells];
        // In this order, neighbouring combinations differ in most settings.
        let says = Says::all().nth((n * 29 + n / 96) % 96).unwrap();
        let case = Case::new(options, says, (steps, batch));
        let want = case.reference([&wide(&case.weights), &wide(&case.x), &wide(&case.state)]);
        let [dweights, dx, dstate] = case.differences();
        let more = if grows(&options) { GROWING } else { 1.0 };
        let more_of_gradients = if options.norm.is_some() { NORMALISED } else { more };
        for isa in Isa::available() {
            let got = case.library(layer(&options, says.dropout, isa));
            let what = |name: &str| format!("{name}, {options:?}, {says:?}, {}", isa.name());
            for (got, want, name) in [(&got[0], &want.y, "y"), (&got[1], &want.state, "state")] {
                outputs = outputs.max(compare(got, want, more * OUTPUT_TOLERANCE, &what(name)));
            }
            for (got, want, name) in
                [(&got[2], &dweights, "dweights"), (&got[3], &dx, "dx"), (&got[4], &dstate, "dstate")]
            {
                let tolerance = more_of_gradients * GRADIENT_TOLERANCE;
                gradients = gradients.max(compare(got, want, tolerance, &what(name)));
            }
        }
    }
    println!("largest deviations: outputs {outputs:.1e}, gradients {gradients:.1e}");
}

fn plain(cell: Cell) {
    check(96, |input, hidden| vec![Options::new(cell, input, hidden)]);
}

#[test]
fn rnn_tanh() {
    plain(Cell::Rnn);
}

#[test]
fn rnn_relu() {
    check(96, |input, hidden| {
        vec![Options { functions: [Function::Relu; 3], ..Options::new(Cell::Rnn, input, hidden) }]
    });
}

#[test]
fn lstm() {
    plain(Cell::Lstm);
}

#[test]
fn gru() {
    plain(Cell::GruResetAfter);
}

#[test]
fn gru_reset_before() {
    plain(Cell::GruResetBefore);
}

/// The cells that let one choose activations.
const CELLS: [Cell; 4] = [Cell::Rnn, Cell::Lstm, Cell::GruResetAfter, Cell::GruResetBefore];

#[test]
fn mgu() {
    check(96, |input, hidden| Options::combinations(Cell::Mgu, (input, hidden, 0)));
}

/// With a single input, its gradient is what the small number in the root leaves of a difference, so there
/// are at least two. There are more units than elsewhere, because the variance of few numbers can be close to
/// zero.
#[test]
fn layer_normalisation() {
    for (cell, norm) in
        [(Cell::Lstm, Norm::Paper), (Cell::Lstm, Norm::State), (Cell::GruResetAfter, Norm::Paper)]
    {
        check(96, |input, hidden| Options::normalised(cell, norm, input.max(2), hidden.max(9)));
    }
}

#[test]
fn every_activation_in_every_slot() {
    for cell in CELLS {
        check(48, |input, hidden| Options::with_each_function(cell, input, hidden));
    }
}

#[test]
fn every_combination_of_options() {
    for cell in CELLS {
        // A projection that is narrower than the cell, and a wider one.
        for wider in [false, true] {
            check(48, |input, hidden| {
                let projected = if wider { hidden + 2 } else { hidden / 2 + 1 };
                Options::combinations(cell, (input, hidden, projected))
            });
        }
    }
}
