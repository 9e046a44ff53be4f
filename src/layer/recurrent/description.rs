//! A recurrent layer as a value: what it computes, and the lengths of its buffers.

use crate::kernel::canonical::Shape;
use crate::kernel::product::columns_len;
use crate::layer::buffer::{add, max, mul};
use crate::layer::packed::{Fingerprint, aligned_len, packed_len};
use crate::seq::any::{AnyCell, Runs};
use crate::seq::block_steps;
use crate::seq::step::{Sizes, stage_len};
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES};

/// A cell, its dimensions, and how sequences are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) cell: AnyCell,
    pub(crate) shape: Shape,
    /// Whether anything is asked of the cell that the fused equations do not have.
    pub(crate) options: bool,
    pub(crate) reverse: bool,
    pub(crate) recurrent_dropout: bool,
    pub(crate) isa: Option<Isa>,
}

impl Description {
    /// A layer without options.
    pub(crate) const fn new(cell: AnyCell, input: usize, hidden: usize) -> Self {
        let shape = Shape::new(cell.gates(), input, hidden);
        Description { cell, shape, options: false, reverse: false, recurrent_dropout: false, isa: None }
    }

    /// Width of the hidden state.
    pub(crate) const fn width(&self) -> usize {
        self.shape.width()
    }

    #[inline(always)]
    pub(crate) fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(|| Isa::detect_for(self.shape.hidden))
    }

    /// What a pass runs.
    #[inline(always)]
    pub(super) fn on(&self, isa: Isa) -> Runs<'_> {
        Runs { cell: &self.cell, options: self.options, isa }
    }

    pub(crate) const fn weights_len(&self) -> usize {
        self.shape.len()
    }

    /// Length of packed weights, without what it takes to align them.
    pub(crate) const fn panels_len(&self) -> usize {
        let (hidden, width) = (self.shape.hidden, self.width());
        let Some(units) = hidden.checked_next_multiple_of(MAX_LANES) else { return usize::MAX };
        let unit = add(self.cell.biases(), mul(self.cell.gates(), add(self.shape.input, width)));
        let projection = match self.shape.projection {
            Some(width) => columns_len(MAX_LANES, hidden, width),
            None => 0,
        };
        aligned_len(add(mul(units, unit), add(self.shape.peepholes_len(), projection)))
    }

    /// What decides how its weights are packed.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        let Shape { input, hidden, projection, bias, peepholes, .. } = self.shape;
        let flags = (bias as usize) << 3 | (peepholes as usize) << 4 | self.cell.stages() << 5;
        let projection = match projection {
            Some(width) => add(width, 1),
            None => 0,
        };
        Fingerprint::new(self.cell.kind() | flags).and(input).and(hidden).and(projection)
    }

    pub(crate) const fn state_len(&self, batch: usize) -> usize {
        mul(batch, add(self.width(), mul(self.cell.states() - 1, self.shape.hidden)))
    }

    pub(crate) const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        add(mul(batch, self.width()), mul(mul(steps, batch), self.tape_row()))
    }

    const fn tape_row(&self) -> usize {
        let projection = match self.shape.projection {
            Some(width) => width,
            None => 0,
        };
        add(mul(self.shape.hidden, self.cell.tape()), projection)
    }

    pub(crate) const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        add(self.step_scratch(batch), self.block_len(steps, batch))
    }

    pub(crate) const fn train_scratch_len(&self, batch: usize) -> usize {
        add(self.step_scratch(batch), max(self.train_packed_len(), self.columns_len()))
    }

    /// The next hidden state and the stage.
    pub(crate) const fn step_scratch(&self, batch: usize) -> usize {
        add(mul(batch, self.width()), self.stage_len(batch))
    }

    /// Scratch of what a step of the cell needs.
    pub(super) const fn stage_len(&self, batch: usize) -> usize {
        stage_len(self.cell.tape(), self.cell.stages() > 1, &self.sizes(&self.shape), batch)
    }

    /// Sizes of a layer of this description, and of the given shape.
    #[inline(always)]
    pub(super) const fn sizes(&self, shape: &Shape) -> Sizes {
        Sizes {
            dims: shape.dims(),
            peepholes: shape.peepholes_len(),
            projects: shape.projection.is_some(),
            drops: self.recurrent_dropout,
        }
    }

    const fn block_len(&self, steps: usize, batch: usize) -> usize {
        match block_steps(steps, batch) {
            0 | 1 => 0,
            ahead => mul(mul(ahead, batch), mul(self.cell.gates(), self.shape.hidden)),
        }
    }

    /// Training packs the weights anew in each pass, on targets with vectors.
    const fn train_packed_len(&self) -> usize {
        if HAS_VECTORS { packed_len(self.panels_len()) } else { 0 }
    }

    const fn columns_len(&self) -> usize {
        if !HAS_VECTORS {
            return 0;
        }
        let (hidden, width) = (self.shape.hidden, self.width());
        let rows = mul(self.cell.gates(), hidden);
        let w_hr = match self.shape.projection {
            Some(_) => columns_len(MAX_LANES, width, hidden),
            None => 0,
        };
        max(add(columns_len(MAX_LANES, rows, width), w_hr), columns_len(MAX_LANES, rows, self.shape.input))
    }
}
