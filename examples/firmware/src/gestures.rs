//! Recognises the gesture of a hand that holds an accelerometer: takes one sample, gives a score for each
//! gesture.

use recurrent::{Dense, Gru, Narrow, Result, WeightSource, argmax};

pub const NAMES: [&str; 5] = ["rest", "shake", "circle", "lift", "tap"];
/// Three axes, in units of gravity.
pub const CELL: Gru = Gru::new(3, 16);
pub const HEAD: Dense = Dense::new(16, NAMES.len());
/// The weights of the cell come first.
const SPLIT: usize = CELL.weights_len();
pub const WEIGHTS_LEN: usize = SPLIT + HEAD.weights_len();
/// The same layers with matrices in integers of 8 bits.
pub const CELL_INT8: Gru = CELL.narrow(Narrow::W8A16);
pub const HEAD_INT8: Dense = HEAD.narrow(Narrow::W8A16);
const SPLIT_INT8: usize = CELL_INT8.narrow_len();
/// Bytes of their weights.
pub const INT8_LEN: usize = SPLIT_INT8 + HEAD_INT8.narrow_len();
/// Samples of the recording that the device is tested with.
pub const RECORDED: usize = 400;

const fn scratch_len(cell: Gru, head: Dense) -> usize {
    let (cell, head) = (cell.scratch_len(1, 1), head.scratch_len());
    if cell > head { cell } else { head }
}
/// Scratch of a [`Recogniser`], from weights in `f32` and from narrow ones.
pub const SCRATCH: usize = scratch_len(CELL, HEAD);
pub const SCRATCH_INT8: usize = scratch_len(CELL_INT8, HEAD_INT8);

/// The weights of the cell and of the head.
pub type Weights<'a> = (WeightSource<'a>, WeightSource<'a>);

#[inline(always)]
pub fn wide(weights: &[f32; WEIGHTS_LEN]) -> Weights<'_> {
    let (cell, head) = weights.split_at(SPLIT);
    (cell.into(), head.into())
}

#[inline(always)]
pub fn int8(weights: &[u8; INT8_LEN]) -> Weights<'_> {
    let (cell, head) = weights.split_at(SPLIT_INT8);
    (cell.into(), head.into())
}

/// The state that is kept from sample to sample, and the scratch.
pub struct Recogniser<const SCRATCH: usize> {
    state: [f32; CELL.state_len(1)],
    pub scores: [f32; NAMES.len()],
    scratch: [f32; SCRATCH],
}

impl<const SCRATCH: usize> Recogniser<SCRATCH> {
    pub const fn new() -> Self {
        Recogniser { state: [0.0; _], scores: [0.0; _], scratch: [0.0; _] }
    }

    /// The most likely gesture after the next sample. `layers` are [`CELL`] and [`HEAD`], or their narrow
    /// versions, or any of these on another instruction set.
    #[inline(always)]
    pub fn sample(
        &mut self,
        (cell, head): (Gru, Dense),
        weights: Weights<'_>,
        x: &[f32; 3],
    ) -> Result<usize> {
        cell.step(weights.0, x, &mut self.state, &mut self.scratch)?;
        head.forward(weights.1, 1, &self.state, &mut self.scores, &mut self.scratch)?;
        argmax(&self.scores)
    }
}

impl<const SCRATCH: usize> Default for Recogniser<SCRATCH> {
    fn default() -> Self {
        Recogniser::new()
    }
}
