//! Training of one layer in one direction: the passes, split by batch rows, then the gradients of weights and
//! input, split by their elements.

use super::cut::Cut;
use super::description::Description;
use super::pass::{BackwardRows, ForwardRows, Given, canonical};
use crate::error::Result;
use crate::kernel::canonical::Shape;
use crate::kernel::view::{Columns, ColumnsMut};
use crate::layer::join::split_rows;
use crate::seq::gradient::{GradientPass, InputPass, WeightRows, pack_input};
use crate::simd::HAS_VECTORS;

/// The gradients that go into a backward pass.
pub(super) struct Gradient<'a> {
    pub(super) dy: Option<Columns<'a>>,
    pub(super) dstate: &'a mut [f32],
    pub(super) grads: Option<&'a mut [f32]>,
    /// Whether to add to `grads` instead of overwriting it.
    pub(super) add: bool,
}

/// The data that the sums of all threads read.
#[derive(Clone, Copy)]
struct Sums<'a> {
    shape: Shape,
    given: Given<'a>,
    y: Columns<'a>,
    h0: &'a [f32],
    tape: &'a [f32],
    add: bool,
}

impl Description {
    /// A training forward pass.
    #[cfg_attr(target_os = "none", inline(always))]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn forward_train(
        &self,
        cut: Cut<'_>,
        shape: Shape,
        given: Given<'_>,
        y: Option<ColumnsMut<'_>>,
        state: &mut [f32],
        tape: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (own, room) = scratch.split_at_mut(self.parts_step_scratch(cut.rows, given.walk.batch()));
        let tape = Some(self.tape(given.walk, tape));
        let given = Given { weights: self.training_weights(shape, given.weights, room)?, ..given };
        self.forward_by_rows(cut, shape, ForwardRows::all(shape, given, y, state, tape, own))
    }

    /// Backpropagation through time, without the gradient of the input.
    #[cfg_attr(target_os = "none", inline(always))]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward_train(
        &self,
        cut: Cut<'_>,
        shape: Shape,
        given: Given<'_>,
        y: Columns<'_>,
        gradient: Gradient<'_>,
        tape: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let Gradient { dy, dstate, grads, add } = gradient;
        let (walk, sizes) = (given.walk, self.sizes(&shape));
        let mut grads = grads.and_then(|flat| shape.split_mut(flat));
        let dpeepholes = grads.as_mut().map_or(&mut [][..], |grads| core::mem::take(&mut grads.peepholes));
        if !add {
            dpeepholes.fill(0.0);
        }
        let (scratch, panels) = scratch.split_at_mut(self.parts_step_scratch(cut.rows, walk.batch()));
        if HAS_VECTORS {
            self.on(self.isa()).pack_columns(canonical(shape, given.weights.flat())?, &sizes, panels)?;
        }
        let (dh, dc) = dstate.split_at_mut(walk.batch() * shape.width());
        let rows =
            BackwardRows { given, y, dy, dh, dc, dpeepholes, tape: self.tape(walk, &mut *tape), scratch };
        self.backward_by_rows(cut, shape, panels, rows)?;
        let Some(grads) = grads else { return Ok(()) };
        let (h0, tape) = tape.split_at(walk.batch() * shape.width());
        let sums = Sums { shape, given, y, h0, tape, add };
        self.sums(cut, &sums, WeightRows::all(grads, shape.gates, &sizes), panels)
    }

    /// The gradients of the weights. Their rows are split into parts. Each gradient is a sum over all rows of
    /// the tape, in a fixed order.
    #[cfg_attr(target_os = "none", inline(always))]
    fn sums(&self, cut: Cut<'_>, of: &Sums<'_>, grads: WeightRows<'_>, room: &mut [f32]) -> Result<()> {
        #[cfg(not(target_os = "none"))]
        if let Cut { team: Some(team), sums: parts @ 2.., .. } = cut {
            let some = parts / 2;
            let (first, later) = grads.split(some, parts);
            let (room, later_room) = room.split_at_mut(room.len() / parts * some);
            return team.run(
                || self.sums(Cut { sums: some, ..cut }, of, first, room),
                || self.sums(Cut { sums: parts - some, ..cut }, of, later, later_room),
            );
        }
        let _ = cut;
        let &Sums { shape, given: Given { walk, x, factors, .. }, y, h0, tape, add } = of;
        let sizes = self.sizes(&shape);
        self.on(self.isa()).weight_gradients(GradientPass {
            sizes,
            factors,
            walk,
            x,
            y,
            h0,
            tape,
            grads,
            add,
            room,
        })
    }

    /// The gradient of the input, from the tape as the backward pass left it. It is written or added to `dx`.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn input_gradient(
        &self,
        cut: Cut<'_>,
        shape: Shape,
        given: Given<'_>,
        (dx, add): (&mut [f32], bool),
        tape: &[f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let Given { weights, walk, .. } = given;
        let (isa, sizes) = (self.isa(), self.sizes(&shape));
        let tape = &tape[walk.batch() * shape.width()..];
        let w_ih = canonical(shape, weights.flat())?.parts().w_ih;
        let right = pack_input(isa, w_ih, shape.input, scratch);
        split_rows(cut.team, cut.sums, walk.rows(), (tape, dx), &|first, tape: &[f32], dx: &mut [f32]| {
            self.on(isa).input_gradient(InputPass { walk, first, sizes, right, dx, add, tape })
        })
    }
}
