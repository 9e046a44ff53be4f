//! What a model holds of its layers, so that a step of one row, which may take a tenth of a microsecond, does
//! not compute it again.

use crate::layer::packed::Fingerprint;

/// The fingerprint, and on targets with an operating system lengths. (In firmware the compiler computes those of
/// constant layers; other programs are to be small.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) fingerprint: Fingerprint,
    #[cfg(not(target_os = "none"))]
    pub(super) lens: Lens,
}

/// Lengths of weights, and of the buffers for one step of one row.
#[cfg(not(target_os = "none"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lens {
    pub(super) weights: usize,
    pub(super) panels: usize,
    /// `usize::MAX` for a model that takes ids or nothing, or that cannot run step by step: no buffer has it.
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) state: usize,
    pub(super) scratch: usize,
    pub(super) between: usize,
}

#[cfg(not(target_os = "none"))]
impl Lens {
    const NONE: Lens = Lens { weights: 0, panels: 0, input: 0, output: 0, state: 0, scratch: 0, between: 0 };

    /// The length of the outputs of all layers but the last, if these are the lengths of the input, the output,
    /// the state and the scratch of one row. Then they need no other check.
    #[inline(always)]
    pub(super) fn between(&self, [x, y, state, scratch]: [usize; 4]) -> Option<usize> {
        let fits = (x == self.input) & (y == self.output) & (state == self.state) & (scratch >= self.scratch);
        fits.then_some(self.between)
    }
}

impl Held {
    /// For layers that need not fit together.
    pub(super) const NONE: Held = Held {
        fingerprint: Fingerprint::NONE,
        #[cfg(not(target_os = "none"))]
        lens: Lens::NONE,
    };
}
