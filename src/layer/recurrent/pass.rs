//! From the buffers of one layer in one direction, which have been checked, down to the time loops.
//!
//! `shape` is that of the layer, which in a stack has another input than the first. It is an argument of its own, so that a pass reads the
//! cell where a constant layer has it: the compiler knows it there.

use super::description::Description;
use crate::error::{Error, Result};
use crate::kernel::Walk;
use crate::kernel::canonical::Shape;
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::pack::Canonical;
use crate::kernel::view::{Columns, ColumnsMut};
use crate::layer::packed::Source;
use crate::seq::backward::{BackwardPass, InputPass};
use crate::seq::forward::ForwardPass;
use crate::seq::step::StepPass;
use crate::simd::{HAS_VECTORS, Isa};

#[inline(always)]
fn canonical_inline(shape: Shape, flat: &[f32]) -> Result<Canonical<'_>> {
    Canonical::new(shape, flat).ok_or(Error::Overflow { buffer: "weights" })
}

/// The same as a function of its own, for training.
#[inline(never)]
fn canonical(shape: Shape, flat: &[f32]) -> Result<Canonical<'_>> {
    canonical_inline(shape, flat)
}

/// What a pass of one layer in one direction is given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) weights: Source<'a>,
    pub(super) walk: &'a Walk<'a>,
    pub(super) x: &'a [f32],
    /// Of recurrent dropout.
    pub(super) factors: Option<&'a [f32]>,
}

/// The gradients that a backward pass is given, and takes.
pub(super) struct Gradient<'a> {
    pub(super) dy: Option<Columns<'a>>,
    pub(super) dstate: &'a mut [f32],
    pub(super) grads: Option<&'a mut [f32]>,
    /// Whether it is added to `grads`.
    pub(super) add: bool,
}

impl Description {
    /// Arranges the weights in panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn pack(&self, shape: Shape, isa: Isa, from: &[f32], to: &mut [f32]) -> Result<()> {
        if let Some(narrow) = self.format() {
            self.pack_given(isa, &Self::rounded(shape, narrow, from)?, to);
            return Ok(());
        }
        self.on(isa).pack(canonical(shape, from)?, to);
        Ok(())
    }

    /// Packs weights in a format, narrow or as the `f32` that they stand for.
    pub(super) fn pack_given(&self, isa: Isa, given: &Unpacked<'_>, to: &mut [f32]) {
        self.on(isa).pack_narrow(given, self.packed_format().is_none(), to);
    }

    /// [`step`](Self::step) as a function of its own.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn step_apart(
        &self,
        shape: Shape,
        weights: Source<'_>,
        batch: usize,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.step(shape, weights, batch, x, state, scratch)
    }

    /// One step of each row. Nothing in it can panic.
    #[inline(always)]
    pub(super) fn step(
        &self,
        shape: Shape,
        weights: Source<'_>,
        batch: usize,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        // Before anything else sees the layer: that it is a constant is known to the compiler for as long.
        let runs = self.on(weights.isa(|| self.isa()));
        let units = batch.saturating_mul(shape.width());
        let parts = state.split_at_mut_checked(units).zip(scratch.split_at_mut_checked(units));
        let Some(((h, c), (h_next, stage))) = parts else {
            return Err(Error::Overflow { buffer: "scratch" });
        };
        let sizes = self.sizes(&shape);
        match weights {
            Source::Canonical(flat) => {
                let w = canonical_inline(shape, flat)?;
                runs.step_in_place(&w, &mut StepPass { sizes, batch, x, h, c, h_next, stage })
            }
            Source::Panels(data, _) => {
                let pass = &mut StepPass { sizes, batch, x, h, c, h_next, stage };
                match self.packed_format() {
                    Some(narrow) => runs.step_narrow((narrow, data), pass),
                    None => runs.step_packed(data, pass),
                }
            }
        }
    }

    /// A forward pass; with a tape a training one.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward(
        &self,
        shape: Shape,
        given: Given<'_>,
        y: Option<ColumnsMut<'_>>,
        state: &mut [f32],
        tape: Option<&mut [f32]>,
        scratch: &mut [f32],
    ) -> Result<()> {
        let Given { weights, walk, x, factors } = given;
        let runs = self.on(weights.isa(|| self.isa()));
        let units = walk.batch() * shape.width();
        let (h, c) = state.split_at_mut(units);
        let (h_next, rest) = scratch.split_at_mut(units);
        let (stage, rest) = rest.split_at_mut(self.stage_len(walk.batch()));
        let sizes = self.sizes(&shape);
        // The pass of a single step is compiled anyway, and has less around it.
        if let (Source::Panels(data, _), None) = (weights, &tape)
            && HAS_VECTORS
            && walk.is_one_step()
        {
            let step = &mut StepPass { sizes, batch: 1, x, h: &mut *h, c, h_next, stage };
            match self.packed_format() {
                Some(narrow) => runs.step_narrow((narrow, data), step)?,
                None => runs.step_packed(data, step)?,
            }
            if let Some(mut y) = y {
                y.row(0).copy_from_slice(h);
            }
            return Ok(());
        }
        let tape = tape.map(|tape| {
            let (h0, tape) = tape.split_at_mut(units);
            h0.copy_from_slice(h);
            tape
        });
        // What is left is for rows that are projected ahead, or, where training packs, for panels.
        let (block, panels) = if tape.is_none() { (rest, &mut [][..]) } else { (&mut [][..], rest) };
        let (block, codes) = match self.packed_format() {
            Some(_) if tape.is_none() => block.split_at_mut(self.block_len(walk.steps(), walk.batch())),
            _ => (block, &mut [][..]),
        };
        let train = tape.is_some();
        let mut pass = ForwardPass { walk, sizes, factors, x, y, h, c, tape, h_next, stage, block, codes };
        match weights {
            // Weights change with each update, so that those of a training are canonical.
            _ if train => runs.forward_train(&canonical(shape, weights.flat())?, panels, &mut pass),
            Source::Panels(data, _) => match self.packed_format() {
                Some(narrow) => runs.forward_narrow((narrow, data), &mut pass),
                None => runs.forward_packed(data, &mut pass),
            },
            Source::Canonical(flat) => runs.forward_in_place(&canonical_inline(shape, flat)?, &mut pass),
        }
    }

    /// A backward pass, but for the gradient of the input.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn backward(
        &self,
        shape: Shape,
        given: Given<'_>,
        y: Columns<'_>,
        gradient: Gradient<'_>,
        tape: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let Given { weights, walk, x, factors } = given;
        let weights = canonical(shape, weights.flat())?;
        let Gradient { dy, dstate, grads, add: accumulate } = gradient;
        let grads = grads.and_then(|flat| shape.split_mut(flat));
        let units = walk.batch() * shape.width();
        let (dh, dc) = dstate.split_at_mut(units);
        let (h0, tape) = tape.split_at_mut(units);
        let (_, rest) = scratch.split_at_mut(units);
        let (stage, panels) = rest.split_at_mut(self.stage_len(walk.batch()));
        self.on(self.isa()).backward(BackwardPass {
            weights,
            sizes: self.sizes(&shape),
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
        })
    }

    /// The gradient of the input from the tape that [`backward`](Self::backward) left, written to `dx` or added to it.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn input_gradient(
        &self,
        shape: Shape,
        given: Given<'_>,
        (dx, add): (&mut [f32], bool),
        tape: &[f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let Given { weights, walk, .. } = given;
        let tape = &tape[walk.batch() * shape.width()..];
        let w_ih = canonical(shape, weights.flat())?.parts().w_ih;
        let (sizes, panels) = (self.sizes(&shape), scratch);
        self.on(self.isa()).input_gradient(InputPass { walk, sizes, w_ih, dx, add, tape, panels })
    }
}
