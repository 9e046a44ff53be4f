//! Which gesture a hand makes that holds an accelerometer: one sample in, one score for each gesture out.

use recurrent::{Dense, Gru, Result, argmax};

pub const NAMES: [&str; 5] = ["rest", "shake", "circle", "lift", "tap"];
/// Three axes, in units of gravity.
pub const CELL: Gru = Gru::new(3, 16);
pub const HEAD: Dense = Dense::new(16, NAMES.len());
/// Those of the cell come first.
const SPLIT: usize = CELL.weights_len();
pub const WEIGHTS_LEN: usize = SPLIT + HEAD.weights_len();
/// Samples of the recording that the device is tested with.
pub const RECORDED: usize = 400;

const SCRATCH: usize = {
    let (cell, head) = (CELL.scratch_len(1, 1), HEAD.scratch_len());
    if cell > head { cell } else { head }
};

/// All that it remembers from sample to sample, and where it computes.
pub struct Recogniser {
    state: [f32; CELL.state_len(1)],
    pub scores: [f32; NAMES.len()],
    scratch: [f32; SCRATCH],
}

impl Recogniser {
    pub const fn new() -> Self {
        Recogniser { state: [0.0; _], scores: [0.0; _], scratch: [0.0; _] }
    }

    /// The most likely gesture after the next sample. `layers` are [`CELL`] and [`HEAD`], or these on another instruction set.
    #[inline(always)]
    pub fn sample(
        &mut self,
        (cell, head): (Gru, Dense),
        weights: &[f32; WEIGHTS_LEN],
        x: &[f32; 3],
    ) -> Result<usize> {
        let (w_cell, w_head) = weights.split_at(SPLIT);
        cell.step(w_cell, x, &mut self.state, &mut self.scratch)?;
        head.forward(w_head, 1, &self.state, &mut self.scores, &mut self.scratch)?;
        argmax(&self.scores)
    }
}

impl Default for Recogniser {
    fn default() -> Self {
        Recogniser::new()
    }
}
