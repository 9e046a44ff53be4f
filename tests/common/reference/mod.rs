//! The results of a recurrent layer over real sequences, in f64, with every option of the cells and of the
//! sequences.
//!
//! It is written from the text of the ONNX operators RNN, LSTM and GRU (equations, activations, clip,
//! peepholes, coupled gates) and from PyTorch's documentation of `nn.LSTM` (projection), one number at a
//! time. It shares no code and no types with the library: a test fills in [`Options`] and [`Walk`] for it.
//! `tests/reference.rs` compares it with the results of the frameworks.
#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

mod cell;
mod combinations;
mod function;
mod stack;

pub use cell::{Cell, Norm, Options};
pub use combinations::FUNCTIONS;
pub use function::Function;
pub use stack::{Merge, Stack};

/// The output at a masked step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    /// The previous hidden state.
    Carry,
    Zero,
}

/// Which steps of which rows take place, and in what order.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    pub steps: usize,
    pub batch: usize,
    /// One length for each row. Later steps do not take place: their output is zero, and the state stays.
    pub lengths: Option<&'a [usize]>,
    /// `[T, B]`, or `[B, T]` if batch-major, and `resets` likewise. False where the step is skipped and the
    /// state is carried over.
    pub mask: Option<&'a [bool]>,
    pub masked: Masked,
    /// True where the state is set to zero before the step, also if the step is masked.
    pub resets: Option<&'a [bool]>,
    /// Runs every row from its own last step to its first.
    pub reverse: bool,
    /// `x` is `[B, T, I]` instead of `[T, B, I]`, and `y` likewise.
    pub batch_major: bool,
    /// Factors of the previous hidden state in the product with `w_hh`, and nowhere else: `[B, R]`, or `[G,
    /// B, R]` with separate factors for each gate.
    pub dropout: Option<&'a [f64]>,
}

impl Walk<'_> {
    /// All steps of all rows, in forward order.
    pub fn new(steps: usize, batch: usize) -> Self {
        Walk {
            steps,
            batch,
            lengths: None,
            mask: None,
            masked: Masked::Carry,
            resets: None,
            reverse: false,
            batch_major: false,
            dropout: None,
        }
    }

    /// The index of step `t` of row `b` among the rows of `x`, `y`, `mask` and `resets`.
    fn row(&self, t: usize, b: usize) -> usize {
        if self.batch_major { b * self.steps + t } else { t * self.batch + b }
    }
}

/// The results of a pass over sequences.
#[derive(Clone, Debug)]
pub struct Output {
    /// `[T, B, R]` or `[B, T, R]`.
    pub y: Vec<f64>,
    /// `h [B, R]`, then for an LSTM `c [B, H]`.
    pub state: Vec<f64>,
    /// The smallest distance of an activation's argument from a point where its derivatives jump; infinite
    /// without such points.
    pub margin: f64,
}

/// One layer in one direction. `weights` holds `w_ih [G*H, I]`, `w_hh [G*H, R]`, with biases `b_ih [G*H]` and
/// `b_hh [G*H]`, with a projection `w_hr [P, H]`, and with peepholes those of `i`, `f` and `o`, `[3*H]`.
/// `state` is laid out as in [`Output`].
pub fn forward(options: &Options, walk: &Walk<'_>, weights: &[f64], x: &[f64], state: &[f64]) -> Output {
    let (input, hidden, width) = (options.input, options.hidden, options.width());
    let rows = walk.steps * walk.batch;
    assert_eq!(weights.len(), options.weights_len());
    assert_eq!(x.len(), rows * input);
    assert_eq!(state.len(), options.state_len(walk.batch));
    assert!(walk.lengths.is_none_or(|l| l.len() == walk.batch && l.iter().all(|l| *l <= walk.steps)));
    assert!(walk.mask.is_none_or(|m| m.len() == rows) && walk.resets.is_none_or(|r| r.len() == rows));

    let mut out = Output { y: vec![0.0; rows * width], state: state.to_vec(), margin: f64::INFINITY };
    let (all_h, all_c) = out.state.split_at_mut(walk.batch * width);
    for b in 0..walk.batch {
        let mut h = all_h[b * width..(b + 1) * width].to_vec();
        let mut c = if all_c.is_empty() { Vec::new() } else { all_c[b * hidden..(b + 1) * hidden].to_vec() };
        let length = walk.lengths.map_or(walk.steps, |lengths| lengths[b]);
        for done in 0..length {
            let t = if walk.reverse { length - 1 - done } else { done };
            let row = walk.row(t, b);
            if walk.resets.is_some_and(|resets| resets[row]) {
                h.fill(0.0);
                c.fill(0.0);
            }
            let y = &mut out.y[row * width..(row + 1) * width];
            if walk.mask.is_none_or(|mask| mask[row]) {
                let dropped = |gate: usize| -> Vec<f64> {
                    let factor = |k: usize| match walk.dropout {
                        None => 1.0,
                        Some(f) if f.len() == walk.batch * width => f[b * width + k],
                        Some(f) => f[(gate * walk.batch + b) * width + k],
                    };
                    (0..width).map(|k| factor(k) * h[k]).collect()
                };
                let x = &x[row * input..(row + 1) * input];
                let step = options.step(weights, x, &h, &dropped, &c);
                (h, c) = (step.h, step.c);
                out.margin = out.margin.min(step.margin);
                y.copy_from_slice(&h);
            } else if walk.masked == Masked::Carry {
                y.copy_from_slice(&h);
            }
        }
        all_h[b * width..(b + 1) * width].copy_from_slice(&h);
        if !all_c.is_empty() {
            all_c[b * hidden..(b + 1) * hidden].copy_from_slice(&c);
        }
    }
    out
}
