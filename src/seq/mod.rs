//! Time loops: a cell over the steps of a batch of sequences, forward and backward.
//!
//! A pass gets slices whose lengths the layer above has checked, splits its scratch, and runs the whole
//! loop inside one dispatch to an instruction set. It may import `cell`, `kernel` and `simd`.

pub(crate) mod backward;
pub(crate) mod forward;
mod gradient;

use crate::cell::{Choose, GruCell, LstmCell, Pass, RnnCell, Steps};
use crate::kernel::pack::Canonical;
use crate::simd::{HAS_VECTORS, Isa};
use backward::{BackwardPass, InputPass};
use forward::{ForwardPass, InPlace, Packed, StepPass};

/// The passes over each cell, as plain functions: the kernels are compiled here, once, and not again in every crate that uses them.
///
/// There is one for each form of the weights, with and without training, and the instruction set is an argument of its own:
/// a linker leaves out the functions that a program does not call, and the optimiser the instruction sets and
/// options that no caller asks for.
pub(crate) trait Passes: Copy {
    fn step(self, isa: Isa, w: Canonical<'_>, pass: StepPass<'_>);
    fn in_place(self, isa: Isa, w: Canonical<'_>, pass: ForwardPass<'_>);
    fn packed(self, isa: Isa, data: &[f32], pass: ForwardPass<'_>);
    fn train_in_place(self, isa: Isa, w: Canonical<'_>, pass: ForwardPass<'_>);
    fn train_packed(self, isa: Isa, data: &[f32], pass: ForwardPass<'_>);
    fn backward(self, isa: Isa, pass: BackwardPass<'_>);
    fn input_gradient(self, isa: Isa, pass: InputPass<'_>);
    /// Packs canonical weights into panels of `lanes` units.
    fn pack(self, lanes: usize, w: Canonical<'_>, out: &mut [f32]);
}

/// A pass on an instruction set.
struct On<P>(Isa, P);

struct Pack<'a> {
    lanes: usize,
    w: Canonical<'a>,
    out: &'a mut [f32],
}

impl Pass for Pack<'_> {
    type Output = ();
    fn run<K: Steps>(self, _: K) {
        K::pack(self.lanes, self.w, self.out);
    }
}

macro_rules! passes {
    ($($cell:ty)*) => {$(
        impl Passes for $cell {
            fn step(self, isa: Isa, w: Canonical<'_>, pass: StepPass<'_>) {
                self.run(InPlace::<_, false>(isa, w, pass))
            }
            fn in_place(self, isa: Isa, w: Canonical<'_>, pass: ForwardPass<'_>) {
                self.run(InPlace::<_, false>(isa, w, pass))
            }
            fn packed(self, isa: Isa, data: &[f32], pass: ForwardPass<'_>) {
                self.run(Packed::<_, false>(isa, data, pass))
            }
            fn train_in_place(self, isa: Isa, w: Canonical<'_>, pass: ForwardPass<'_>) {
                // Where there are vectors, training packs.
                if !HAS_VECTORS {
                    self.run(InPlace::<_, true>(isa, w, pass))
                }
            }
            fn train_packed(self, isa: Isa, data: &[f32], pass: ForwardPass<'_>) {
                self.run(Packed::<_, true>(isa, data, pass))
            }
            fn backward(self, isa: Isa, pass: BackwardPass<'_>) {
                self.run(On(isa, pass))
            }
            fn input_gradient(self, isa: Isa, pass: InputPass<'_>) {
                self.run(On(isa, pass))
            }
            fn pack(self, lanes: usize, w: Canonical<'_>, out: &mut [f32]) {
                self.run(Pack { lanes, w, out })
            }
        }
    )*};
}
passes!(RnnCell LstmCell GruCell);

/// Rows of input that are projected at once: enough for whole tiles, few enough that the block stays in the cache.
/// A batch of as many rows or more needs no projection ahead, because its steps fill the tiles by themselves.
const BLOCK_ROWS: usize = 32;

/// Steps that are projected at once.
pub(crate) const fn block_steps(steps: usize, batch: usize) -> usize {
    if !crate::simd::HAS_VECTORS || batch == 0 || batch >= BLOCK_ROWS {
        return 1;
    }
    let block = BLOCK_ROWS.div_ceil(batch);
    if block < steps { block } else { steps }
}

/// Rows of a state `[B, width]`.
fn state_rows(state: &mut [f32], batch: usize) -> impl Iterator<Item = (usize, &mut [f32])> {
    let width = state.len().checked_div(batch).unwrap_or(0).max(1);
    state.chunks_exact_mut(width).enumerate()
}
