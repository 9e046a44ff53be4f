//! Time loops: a cell over the steps of a batch of sequences, forward and backward.
//!
//! A pass gets slices whose lengths the layer above has checked, splits its scratch, and runs the whole
//! loop inside one dispatch to an instruction set. It may import `cell`, `kernel` and `simd`.

pub(crate) mod any;
pub(crate) mod backward;
pub(crate) mod forward;
mod gradient;

use crate::cell::{Choose, Form, GruCell, LstmCell, MguCell, Pass, RnnCell, Steps};
use crate::kernel::pack::Canonical;
use crate::simd::Isa;
use backward::{BackwardPass, InputPass};
use forward::{ForwardPass, InPlace, Panelled, PanelledStep, StepPass};

/// A pass over a cell, compiled here, once, and not again in every crate that uses it. Firmware, which is compiled as a whole,
/// chooses where it calls, so that a constant layer's image has one form on one instruction set, whatever the optimisation.
pub(crate) trait Compiled<P>: Choose {
    fn compiled(self, form: Form, isa: Isa, pass: P);
}

/// Runs a pass. `options` says whether anything is asked of the cell that the fused equations do not have.
#[inline(always)]
pub(crate) fn run<C: Compiled<P>, P: Pass>(cell: C, options: bool, isa: Isa, pass: P) {
    cell.compiled(cell.form(options), isa, pass);
}

/// Packing into panels.
pub(crate) struct Pack<'a>(Canonical<'a>, &'a mut [f32]);

impl Pass for Pack<'_> {
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        let Pack(w, out) = self;
        let rest = cell.pack(isa.lanes(), w, out);
        // Peepholes are used as they are.
        let peepholes = w.parts().peepholes;
        rest[..peepholes.len()].copy_from_slice(peepholes);
    }
}

/// All passes over a cell.
pub(crate) trait Passes:
    for<'p, 'a> Compiled<InPlace<'p, 'a, &'p mut StepPass<'a>, false>>
    + for<'p, 'a> Compiled<InPlace<'p, 'a, &'p mut ForwardPass<'a>, false>>
    + for<'p, 'a> Compiled<InPlace<'p, 'a, &'p mut ForwardPass<'a>, true>>
    + for<'p, 'a> Compiled<PanelledStep<'p, 'a, false>>
    + for<'p, 'a> Compiled<PanelledStep<'p, 'a, true>>
    + for<'p, 'a> Compiled<Panelled<'p, 'a, false>>
    + for<'p, 'a> Compiled<Panelled<'p, 'a, true>>
    + for<'a> Compiled<BackwardPass<'a>>
    + for<'a> Compiled<InputPass<'a>>
    + for<'a> Compiled<Pack<'a>>
{
    /// Packs canonical weights into panels for an instruction set.
    #[inline(always)]
    fn pack(self, options: bool, isa: Isa, w: Canonical<'_>, out: &mut [f32]) {
        run(self, options, isa, Pack(w, out));
    }
}

macro_rules! passes {
    ($($cell:ty)*) => {$(
        impl Passes for $cell {}
        passes!($cell:
            InPlace<'p, 'a, &'p mut StepPass<'a>, false>, InPlace<'p, 'a, &'p mut ForwardPass<'a>, false>,
            InPlace<'p, 'a, &'p mut ForwardPass<'a>, true>, PanelledStep<'p, 'a, false>, PanelledStep<'p, 'a, true>,
            Panelled<'p, 'a, false>, Panelled<'p, 'a, true>,
            BackwardPass<'p>, InputPass<'p>, Pack<'p>);
    )*};
    ($cell:ty: $($pass:ty),*) => {$(
        impl<'p, 'a> Compiled<$pass> for $cell {
            #[cfg_attr(target_os = "none", inline(always))]
            fn compiled(self, form: Form, isa: Isa, pass: $pass) {
                self.run(form, isa, pass)
            }
        }
    )*};
}
passes!(RnnCell LstmCell GruCell MguCell);

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
