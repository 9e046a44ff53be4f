//! The measured cases: a cell, a shape, weights and input.

use std::fmt;

use crate::machine::Work;
use crate::shapes::{SEQUENCES, TRAINING};

/// Input and hidden units. They are also constants in `contestants/ours.rs` and `rtneural/peer.cpp`.
const STREAMING: [(usize, usize); 5] = [(1, 8), (1, 16), (1, 32), (1, 64), (32, 32)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A batch of sequences from zero state to all outputs.
    Infer,
    /// Single steps on one sample after the other, keeping the state. The samples of the input are used in
    /// turn.
    Step,
    /// Forward and backward, with the gradients of the weights and of the input.
    Train,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
}

pub struct Case {
    pub what: What,
    pub cell: Cell,
    pub batch: usize,
    pub steps: usize,
    pub input: usize,
    pub hidden: usize,
    /// In PyTorch's order: `w_ih [G*H, I]`, `w_hh [G*H, H]`, `b_ih [G*H]`, `b_hh [G*H]`.
    pub weights: Vec<f32>,
    /// `[T, B, I]`, or `[SAMPLES, I]`.
    pub x: Vec<f32>,
    /// `[T, B, H]`
    pub dy: Vec<f32>,
}

/// The number of samples that streaming uses in turn. With a single sample the state would stop changing, and
/// a library that skips work for some values would always take the same path.
pub const SAMPLES: usize = 64;

pub fn cases() -> impl Iterator<Item = Case> {
    let cells = [Cell::Lstm, Cell::Gru, Cell::Rnn];
    let inference = cells.into_iter().flat_map(|cell| {
        SEQUENCES.map(|(batch, steps, hidden)| Case::new(What::Infer, cell, batch, steps, hidden, hidden))
    });
    let training = cells.into_iter().flat_map(|cell| {
        TRAINING.map(|(batch, steps, hidden)| Case::new(What::Train, cell, batch, steps, hidden, hidden))
    });
    let streaming = [Cell::Lstm, Cell::Gru]
        .into_iter()
        .flat_map(|cell| STREAMING.map(|(input, hidden)| Case::new(What::Step, cell, 1, 1, input, hidden)));
    inference.chain(streaming).chain(training)
}

/// The parts of the weights.
pub struct Parts<'a> {
    pub w_ih: &'a [f32],
    pub w_hh: &'a [f32],
    pub b_ih: &'a [f32],
    pub b_hh: &'a [f32],
}

impl Case {
    pub fn new(what: What, cell: Cell, batch: usize, steps: usize, input: usize, hidden: usize) -> Case {
        let rows = steps * batch;
        Case {
            what,
            cell,
            batch,
            steps,
            input,
            hidden,
            weights: random(1, cell.gates() * hidden * (input + hidden + 2), (hidden as f32).sqrt().recip()),
            x: random(2, if what == What::Step { SAMPLES } else { rows } * input, 1.0),
            dy: random(3, rows * hidden, 0.1),
        }
    }

    pub fn parts(&self) -> Parts<'_> {
        let units = self.cell.gates() * self.hidden;
        let (w_ih, rest) = self.weights.split_at(units * self.input);
        let (w_hh, rest) = rest.split_at(units * self.hidden);
        let (b_ih, b_hh) = rest.split_at(units);
        Parts { w_ih, w_hh, b_ih, b_hh }
    }

    /// The work that no contestant can avoid.
    pub fn work(&self) -> Work {
        let of = if self.what == What::Train { Work::train } else { Work::forward };
        of(self.cell.gates(), self.batch, self.steps, self.input, self.hidden)
    }

    /// Reorders `[T, B, W]` to `[B, T, W]` if `to` is true, and back otherwise.
    pub fn batch_first(&self, data: &[f32], to: bool) -> Vec<f32> {
        let (outer, inner) = if to { (self.batch, self.steps) } else { (self.steps, self.batch) };
        let width = data.len() / (outer * inner);
        let mut out = Vec::with_capacity(data.len());
        for o in 0..outer {
            for i in 0..inner {
                out.extend_from_slice(&data[(i * outer + o) * width..][..width]);
            }
        }
        out
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Infer => "infer",
            What::Step => "step",
            What::Train => "train",
        })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cell::Rnn => "rnn",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { what, cell, batch, steps, input, hidden, .. } = self;
        f.pad(&format!("{what} {cell} b{batch} t{steps} i{input} h{hidden}"))
    }
}

/// Uniform numbers in `-bound .. bound` from a linear congruential generator, whose upper bits are good
/// enough for weights.
fn random(seed: u64, len: usize, bound: f32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next() * bound).collect()
}

/// The largest difference; infinite if lengths differ or a number is NaN.
pub fn difference(expected: &[f32], actual: &[f32]) -> f32 {
    if expected.len() != actual.len() || actual.iter().any(|x| !x.is_finite()) {
        return f32::INFINITY;
    }
    let largest = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    expected.iter().zip(actual).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f32::max)
}
