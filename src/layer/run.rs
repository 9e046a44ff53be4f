//! From checked buffers down to the time loops.

use super::passes::Cell;
use super::recurrent::Recurrent;
use crate::kernel::Walk;
use crate::kernel::pack::{Canonical, aligned_start};
use crate::kernel::view::{Columns, ColumnsMut};
use crate::seq::backward::{BackwardPass, InputPass};
use crate::seq::forward::{self, ForwardPass, InPanels, InPlace, Panelled, PanelledStep, StepPass};
use crate::seq::run;
use crate::simd::{HAS_VECTORS, Isa};

/// One step over weights in panels.
#[inline(always)]
pub(super) fn run_step<'a, C: Cell>(
    cell: C,
    options: bool,
    isa: Isa,
    panels: &InPanels<'a>,
    pass: &mut StepPass<'a>,
) {
    if HAS_VECTORS {
        run(cell, options, isa, PanelledStep::<true>(panels, pass));
    } else {
        run(cell, options, isa, PanelledStep::<false>(panels, pass));
    }
}

impl<C: Cell> Recurrent<C> {
    /// A forward pass over buffers that have been checked.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_forward(
        &self,
        isa: Isa,
        weights: forward::Weights<'_>,
        walk: &Walk<'_>,
        x: &[f32],
        y: Option<ColumnsMut<'_>>,
        state: &mut [f32],
        scratch: &mut [f32],
    ) {
        let units = walk.batch() * self.width();
        let (h, c) = state.split_at_mut(units);
        let (h_next, rest) = scratch.split_at_mut(units);
        let (stage, block) = rest.split_at_mut(walk.batch() * self.stage_row());
        // The pass of a single step is compiled anyway, and has less around it.
        if let forward::Weights::Packed(data) = weights
            && HAS_VECTORS
            && walk.is_one_step()
        {
            let (dims, peepholes) = (self.shape.dims(), self.shape.peepholes_len());
            let step = &mut StepPass { batch: 1, x, h: &mut *h, c, h_next, stage };
            run_step(self.cell(), self.options, isa, &InPanels { data, dims, peepholes }, step);
            if let Some(mut y) = y {
                y.row(0).copy_from_slice(h);
            }
            return;
        }
        let mut pass = ForwardPass {
            walk,
            dims: self.shape.dims(),
            factors: None,
            peepholes: self.shape.peepholes_len(),
            x,
            y,
            h,
            c,
            tape: None,
            h_next,
            stage,
            block,
        };
        match weights {
            forward::Weights::Packed(data) => {
                if HAS_VECTORS {
                    run(self.cell(), self.options, isa, Panelled::<true>(&data, &mut pass))
                } else {
                    run(self.cell(), self.options, isa, Panelled::<false>(&data, &mut pass))
                }
            }
            forward::Weights::InPlace(w) => {
                run(self.cell(), self.options, isa, InPlace::<_, false>(&w, &mut pass))
            }
        }
    }

    /// A training forward pass over buffers that have been checked.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_forward_train(
        &self,
        w: Canonical<'_>,
        walk: &Walk<'_>,
        x: &[f32],
        y: ColumnsMut<'_>,
        state: &mut [f32],
        factors: Option<&[f32]>,
        tape: &mut [f32],
        scratch: &mut [f32],
    ) {
        let units = walk.batch() * self.width();
        let (h, c) = state.split_at_mut(units);
        let (h0, tape) = tape.split_at_mut(units);
        h0.copy_from_slice(h);
        let (h_next, rest) = scratch.split_at_mut(units);
        let (stage, packed) = rest.split_at_mut(walk.batch() * self.stage_row());
        let isa = self.isa();
        let mut pass = ForwardPass {
            walk,
            dims: self.shape.dims(),
            factors,
            peepholes: self.shape.peepholes_len(),
            x,
            y: Some(y),
            h,
            c,
            tape: Some(tape),
            h_next,
            stage,
            block: &mut [],
        };
        if HAS_VECTORS {
            let packed = &mut packed[..self.packed_len()];
            let start = aligned_start(packed);
            let packed = &mut packed[start..];
            self.cell().pack(self.options, isa, w, packed);
            run(self.cell(), self.options, isa, Panelled::<true>(&&*packed, &mut pass));
        } else {
            run(self.cell(), self.options, isa, InPlace::<_, true>(&w, &mut pass));
        }
    }

    /// A backward pass over buffers that have been checked, but for the gradient of the input.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_backward(
        &self,
        weights: Canonical<'_>,
        walk: &Walk<'_>,
        x: &[f32],
        (y, dy): (Columns<'_>, Option<Columns<'_>>),
        dstate: &mut [f32],
        (grads, accumulate): (Option<&mut [f32]>, bool),
        factors: Option<&[f32]>,
        tape: &mut [f32],
        scratch: &mut [f32],
    ) {
        let grads = grads.and_then(|flat| self.shape.split_mut(flat));
        let units = walk.batch() * self.width();
        let (dh, dc) = dstate.split_at_mut(units);
        let (h0, tape) = tape.split_at_mut(units);
        let (_, rest) = scratch.split_at_mut(units);
        let (stage, panels) = rest.split_at_mut(walk.batch() * self.stage_row());
        let pass = BackwardPass {
            weights,
            factors,
            walk,
            x,
            y,
            dy,
            h0,
            dh,
            dc,
            grads,
            accumulate,
            tape,
            stage,
            panels,
        };
        run(self.cell(), self.options, self.isa(), pass);
    }

    /// The gradient of the input from the tape that `run_backward` left, written to `dx` or added to it.
    pub(super) fn run_input_gradient(
        &self,
        weights: Canonical<'_>,
        walk: &Walk<'_>,
        (dx, add): (&mut [f32], bool),
        tape: &[f32],
        scratch: &mut [f32],
    ) {
        let tape = &tape[walk.batch() * self.width()..];
        let (dims, w_ih) = (self.shape.dims(), weights.parts().w_ih);
        let pass = InputPass { walk, dims, w_ih, dx, add, tape, panels: scratch };
        run(self.cell(), self.options, self.isa(), pass);
    }
}
