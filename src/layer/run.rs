//! From checked buffers down to the time loops.

use super::passes::{Cell, Source};
use super::recurrent::Recurrent;
use crate::error::Result;
use crate::kernel::Walk;
use crate::kernel::pack::{Canonical, aligned_start};
use crate::kernel::view::{Columns, ColumnsMut};
use crate::seq::backward::{BackwardPass, InputPass, input_gradient};
use crate::seq::forward::ForwardPass;
use crate::seq::step::StepPass;
use crate::simd::{HAS_VECTORS, Isa};

impl<C: Cell> Recurrent<C> {
    /// A forward pass over buffers that have been checked.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_forward(
        &self,
        isa: Isa,
        weights: Source<'_>,
        walk: &Walk<'_>,
        x: &[f32],
        y: Option<ColumnsMut<'_>>,
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (table, params, sizes) = (self.cell().table(self.options), &self.cell().params(), self.sizes());
        let units = walk.batch() * self.width();
        let (h, c) = state.split_at_mut(units);
        let (h_next, rest) = scratch.split_at_mut(units);
        let (stage, block) = rest.split_at_mut(self.stage_len(walk.batch()));
        // The pass of a single step is compiled anyway, and has less around it.
        if let Source::Packed(data) = weights
            && HAS_VECTORS
            && walk.is_one_step()
        {
            let step = &mut StepPass { sizes, batch: 1, x, h: &mut *h, c, h_next, stage };
            (table.step)(isa, params, data, step)?;
            if let Some(mut y) = y {
                y.row(0).copy_from_slice(h);
            }
            return Ok(());
        }
        let (factors, tape) = (None, None);
        let pass = &mut ForwardPass { walk, sizes, factors, x, y, h, c, tape, h_next, stage, block };
        match weights {
            Source::Packed(data) => (table.forward)(isa, params, data, pass)?,
            Source::InPlace(w) => (table.forward_in_place)(isa, params, &w, pass)?,
        }
        Ok(())
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
    ) -> Result<()> {
        let (table, params, sizes) = (self.cell().table(self.options), &self.cell().params(), self.sizes());
        let units = walk.batch() * self.width();
        let (h, c) = state.split_at_mut(units);
        let (h0, tape) = tape.split_at_mut(units);
        h0.copy_from_slice(h);
        let (h_next, rest) = scratch.split_at_mut(units);
        let (stage, packed) = rest.split_at_mut(self.stage_len(walk.batch()));
        let (isa, y, tape, block) = (self.isa(), Some(y), Some(tape), &mut [][..]);
        let pass = &mut ForwardPass { walk, sizes, factors, x, y, h, c, tape, h_next, stage, block };
        if HAS_VECTORS {
            let packed = &mut packed[..self.packed_len()];
            let start = aligned_start(packed);
            let packed = &mut packed[start..];
            table.pack(isa, w, packed);
            (table.forward)(isa, params, packed, pass)?;
        } else {
            (table.train_in_place)(isa, params, &w, pass)?;
        }
        Ok(())
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
    ) -> Result<()> {
        let (table, params, sizes) = (self.cell().table(self.options), &self.cell().params(), self.sizes());
        let grads = grads.and_then(|flat| self.shape.split_mut(flat));
        let units = walk.batch() * self.width();
        let (dh, dc) = dstate.split_at_mut(units);
        let (h0, tape) = tape.split_at_mut(units);
        let (_, rest) = scratch.split_at_mut(units);
        let (stage, panels) = rest.split_at_mut(self.stage_len(walk.batch()));
        let pass = BackwardPass {
            weights,
            sizes,
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
        Ok((table.backward)(self.isa(), params, pass)?)
    }

    /// The gradient of the input from the tape that `run_backward` left, written to `dx` or added to it.
    pub(super) fn run_input_gradient(
        &self,
        weights: Canonical<'_>,
        walk: &Walk<'_>,
        (dx, add): (&mut [f32], bool),
        tape: &[f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let tape = &tape[walk.batch() * self.width()..];
        let (sizes, w_ih) = (self.sizes(), weights.parts().w_ih);
        let pass = InputPass { walk, sizes, w_ih, dx, add, tape, panels: scratch };
        Ok(input_gradient(self.isa(), &self.cell().table(self.options).layout, pass)?)
    }
}
