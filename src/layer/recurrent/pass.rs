//! Runs the time loops of one layer in one direction, over buffers that have been checked.
//!
//! `shape` is the shape of the layer; in a stack, higher layers have another input size than the first. It is
//! a separate argument so that a pass reads the cell from the constant layer itself, where the compiler knows
//! it.

use super::description::Description;
use crate::error::{Error, Result};
use crate::kernel::Walk;
use crate::kernel::canonical::Shape;
use crate::kernel::narrow::in_place::Words;
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::pack::{Canonical, aligned_start};
use crate::kernel::view::{Columns, ColumnsMut};
use crate::layer::join::Team;
use crate::layer::packed::Source;
use crate::seq::backward::BackwardPass;
use crate::seq::forward::ForwardPass;
use crate::seq::sizes::Sizes;
use crate::seq::step::StepPass;
use crate::simd::{HAS_VECTORS, Isa};

#[inline(always)]
fn canonical_inline(shape: Shape, flat: &[f32]) -> Result<Canonical<'_>> {
    Canonical::new(shape, flat).ok_or(Error::Overflow { buffer: "weights" })
}

/// The same as a separate function, for training.
#[inline(never)]
pub(super) fn canonical(shape: Shape, flat: &[f32]) -> Result<Canonical<'_>> {
    canonical_inline(shape, flat)
}

/// The inputs of a pass over one layer in one direction.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) weights: Source<'a>,
    pub(super) walk: &'a Walk<'a>,
    pub(super) x: &'a [f32],
    /// Factors of recurrent dropout.
    pub(super) factors: Option<&'a [f32]>,
}

/// The buffers of a forward pass, for the batch rows of its walk.
pub(super) struct ForwardRows<'a> {
    pub(super) given: Given<'a>,
    /// `None` if only the state is needed.
    pub(super) y: Option<ColumnsMut<'a>>,
    pub(super) h: &'a mut [f32],
    /// Empty for a cell without cell state.
    pub(super) c: &'a mut [f32],
    pub(super) tape: Option<TapeRows<'a>>,
    pub(super) scratch: &'a mut [f32],
}

/// The tape: the initial states, and the rows of the sequences.
pub(super) struct TapeRows<'a> {
    pub(super) h0: &'a mut [f32],
    pub(super) rows: ColumnsMut<'a>,
}

impl<'a> ForwardRows<'a> {
    /// All rows of a walk.
    #[inline(always)]
    pub(super) fn all(
        shape: Shape,
        given: Given<'a>,
        y: Option<ColumnsMut<'a>>,
        state: &'a mut [f32],
        tape: Option<TapeRows<'a>>,
        scratch: &'a mut [f32],
    ) -> Self {
        let (h, c) = state.split_at_mut(given.walk.batch() * shape.width());
        ForwardRows { given, y, h, c, tape, scratch }
    }
}

/// The buffers of a backward pass, for the batch rows of its walk.
pub(super) struct BackwardRows<'a> {
    pub(super) given: Given<'a>,
    pub(super) y: Columns<'a>,
    pub(super) dy: Option<Columns<'a>>,
    pub(super) dh: &'a mut [f32],
    pub(super) dc: &'a mut [f32],
    /// The sum over all rows, which add to it one after the other.
    pub(super) dpeepholes: &'a mut [f32],
    pub(super) tape: TapeRows<'a>,
    pub(super) scratch: &'a mut [f32],
}

impl Description {
    /// Packs the weights into panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn pack(&self, shape: Shape, isa: Isa, from: &[f32], to: &mut [f32]) -> Result<()> {
        if let Some(narrow) = self.format() {
            self.pack_given(isa, &Self::rounded(shape, narrow, from)?, to);
            return Ok(());
        }
        self.on(isa).pack(canonical(shape, from)?, to);
        Ok(())
    }

    /// Packs weights in a format: narrow, or as their `f32` values.
    pub(super) fn pack_given(&self, isa: Isa, given: &Unpacked<'_>, to: &mut [f32]) {
        self.on(isa).pack_narrow(given, self.packed_format().is_none(), to);
    }

    /// One step of each row. Nothing in it can panic.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn step(
        &self,
        shape: Shape,
        weights: Source<'_>,
        batch: usize,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        // This comes first: the compiler loses track of a constant layer once other code has used a reference
        // to it.
        let runs = self.on(weights.isa(|| self.isa()));
        let units = batch.saturating_mul(shape.width());
        let parts = state.split_at_mut_checked(units).zip(scratch.split_at_mut_checked(units));
        let Some(((h, c), (h_next, stage))) = parts else {
            return Err(Error::Overflow { buffer: "scratch" });
        };
        let sizes = &self.sizes(&shape);
        match weights {
            Source::Canonical(flat) => {
                let w = canonical_inline(shape, flat)?;
                runs.step_in_place(&w, &mut StepPass { sizes, batch, x, h, c, h_next, stage })
            }
            Source::Words(words) => {
                let w = self.in_place(shape, words)?;
                runs.step_narrow_in_place(w, &mut StepPass { sizes, batch, x, h, c, h_next, stage })
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

    /// Narrow weights in place.
    #[inline(always)]
    fn in_place<'a>(&self, shape: Shape, words: &'a [f32]) -> Result<Words<'a>> {
        let narrow = self.format().ok_or(Error::Internal { what: "narrow weights of a layer in f32" })?;
        Ok(Words { shape, narrow, words })
    }

    /// Splits a tape into its parts.
    #[inline(always)]
    pub(super) fn tape<'a>(&self, walk: &Walk<'_>, tape: &'a mut [f32]) -> TapeRows<'a> {
        let (h0, rows) = tape.split_at_mut(walk.batch() * self.width());
        TapeRows { h0, rows: ColumnsMut::new(rows, walk.rows(), self.tape_row()) }
    }

    /// A forward pass. With a tape it is a training pass.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward(&self, shape: Shape, rows: ForwardRows<'_>, team: Option<Team<'_>>) -> Result<()> {
        self.forward_inline(shape, rows, team)
    }

    /// The same, inlined into its caller, where nothing has to be copied.
    #[inline(always)]
    pub(super) fn forward_inline(
        &self,
        shape: Shape,
        rows: ForwardRows<'_>,
        team: Option<Team<'_>>,
    ) -> Result<()> {
        let ForwardRows { given: Given { weights, walk, x, factors }, y, h, c, tape, scratch } = rows;
        let runs = self.on(weights.isa(|| self.isa()));
        let (h_next, rest) = scratch.split_at_mut(walk.batch() * shape.width());
        let (sizes, stage) = match team {
            // The sums of training go to the tape, and need no room.
            Some(team) if tape.is_none() => {
                let sizes = Sizes { parts: team.threads(), ..self.sizes(&shape) };
                (sizes, self.stage_len_of(&sizes, walk.batch()))
            }
            _ => (self.sizes(&shape), self.stage_len(walk.batch())),
        };
        let (stage, rest) = rest.split_at_mut(stage);
        // The pass of a single step is compiled anyway, and has less overhead.
        if let (Source::Panels(data, _), None) = (weights, &tape)
            && HAS_VECTORS
            && team.is_none()
            && walk.is_one_step()
        {
            let step = &mut StepPass { sizes: &sizes, batch: 1, x, h: &mut *h, c, h_next, stage };
            match self.packed_format() {
                Some(narrow) => runs.step_narrow((narrow, data), step)?,
                None => runs.step_packed(data, step)?,
            }
            if let Some(mut y) = y {
                y.row(0).copy_from_slice(h);
            }
            return Ok(());
        }
        let tape = tape.map(|TapeRows { h0, rows }| {
            h0.copy_from_slice(h);
            rows
        });
        let train = tape.is_some();
        // The rest is for rows projected ahead. With a tape, these rows go to the tape instead.
        let block = if train { &mut [][..] } else { rest };
        let (block, codes) = match self.packed_format() {
            Some(_) if !train => block.split_at_mut(self.block_len(walk.steps(), walk.batch())),
            _ => (block, &mut [][..]),
        };
        let mut pass =
            ForwardPass { walk, sizes, factors, x, y, h, c, tape, h_next, stage, block, codes, team };
        match weights {
            // Without vectors, training does not use panels.
            _ if train && !HAS_VECTORS => runs.train_in_place(&canonical(shape, weights.flat())?, &mut pass),
            // Training uses `f32` weights, whatever the layer's format.
            Source::Panels(data, _) => match self.packed_format() {
                Some(narrow) if !train => runs.forward_narrow((narrow, data), &mut pass),
                _ => runs.forward_packed(data, &mut pass),
            },
            Source::Canonical(flat) => runs.forward_in_place(&canonical_inline(shape, flat)?, &mut pass),
            Source::Words(words) => runs.forward_narrow_in_place(self.in_place(shape, words)?, &mut pass),
        }
    }

    /// The weights for a training forward pass. With vectors they are packed into panels in each pass,
    /// because they change with each update.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn training_weights<'a>(
        &self,
        shape: Shape,
        weights: Source<'a>,
        room: &'a mut [f32],
    ) -> Result<Source<'a>> {
        if !HAS_VECTORS {
            return Ok(weights);
        }
        let (isa, start) = (self.isa(), aligned_start(room));
        let panels = room.get_mut(start..).unwrap_or_default();
        self.on(isa).pack(canonical(shape, weights.flat())?, panels);
        Ok(Source::Panels(panels, isa))
    }

    /// A backward pass from the weights in `panels`, without the gradients of weights and input.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn backward(
        &self,
        shape: Shape,
        panels: &[f32],
        rows: BackwardRows<'_>,
        team: Option<Team<'_>>,
    ) -> Result<()> {
        let BackwardRows { given, y, dy, dh, dc, dpeepholes, tape: TapeRows { h0, rows: tape }, scratch } =
            rows;
        let Given { weights, walk, factors, .. } = given;
        let (weights, sizes) = (canonical(shape, weights.flat())?, self.sizes(&shape));
        let stage = scratch.get_mut(walk.batch() * shape.width()..).unwrap_or_default();
        let stage = stage.get_mut(..self.stage_len(walk.batch())).unwrap_or_default();
        self.on(self.isa()).backward(BackwardPass {
            weights,
            sizes,
            factors,
            walk,
            y,
            dy,
            h0,
            dh,
            dc,
            dpeepholes,
            tape,
            stage,
            panels,
            team,
        })
    }
}
