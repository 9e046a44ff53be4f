//! A recurrent layer as a value: what it computes, and the lengths of its buffers.

use crate::error::{Error, Result};
use crate::kernel::Narrow;
use crate::kernel::canonical::Shape;
use crate::kernel::narrow::unpacked::{Unpacked, words_len};
use crate::kernel::narrow::{here, packs};
use crate::kernel::product::columns_len;
use crate::layer::buffer::{add, max, mul};
use crate::layer::packed::{Fingerprint, aligned_len, packed_len};
use crate::seq::any::{AnyCell, Runs};
use crate::seq::block_steps;
use crate::seq::form::Passes;
use crate::seq::sizes::{Sizes, stage_len};
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES};

/// A cell, its dimensions, and the options for running sequences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) cell: AnyCell,
    pub(crate) shape: Shape,
    /// Whether the cell has options that the fused equations do not have.
    pub(crate) options: bool,
    /// The layer's passes. They are complete, except for a layer of an image that was linked with fewer.
    pub(crate) passes: Passes,
    pub(crate) reverse: bool,
    pub(crate) recurrent_dropout: bool,
    pub(crate) isa: Option<Isa>,
    /// The narrow format of the matrices in inference.
    pub(crate) narrow: Option<Narrow>,
}

impl Description {
    /// A layer without options.
    pub(crate) const fn new(cell: AnyCell, input: usize, hidden: usize) -> Self {
        Self::unlinked(cell, false, input, hidden).linked()
    }

    /// A layer without passes.
    pub(crate) const fn unlinked(cell: AnyCell, options: bool, input: usize, hidden: usize) -> Self {
        let shape = Shape { norm: cell.norm(), ..Shape::new(cell.gates(), input, hidden) };
        Description {
            cell,
            shape,
            options,
            passes: Passes::NOTHING,
            reverse: false,
            recurrent_dropout: false,
            isa: None,
            narrow: None,
        }
    }

    /// The same layer with all passes of its cell.
    #[inline(always)]
    pub(crate) const fn linked(self) -> Self {
        Description { passes: Passes::all(self.cell.form(self.options)), ..self }
    }

    /// Width of the hidden state.
    pub(crate) const fn width(&self) -> usize {
        self.shape.width()
    }

    #[inline(always)]
    pub(crate) fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(|| Isa::detect_for(self.shape.hidden))
    }

    /// The functions of this layer's passes on an instruction set.
    #[inline(always)]
    pub(super) fn on(&self, isa: Isa) -> Runs<'_> {
        Runs { cell: &self.cell, options: self.options, passes: self.passes, isa }
    }

    pub(crate) const fn weights_len(&self) -> usize {
        self.shape.len()
    }

    /// The narrow format of the matrices in inference.
    #[inline(always)]
    pub(crate) const fn format(&self) -> Option<Narrow> {
        here(self.narrow)
    }

    /// Length of packed weights, without alignment.
    pub(crate) const fn panels_len(&self) -> usize {
        match packs(self.packed_format()) {
            Some(narrow) => self.narrow_panels_len(narrow),
            None => self.wide_panels_len(),
        }
    }

    /// The same for narrow weights.
    const fn narrow_panels_len(&self, narrow: Narrow) -> usize {
        let (hidden, width) = (self.shape.hidden, self.width());
        let Some(units) = hidden.checked_next_multiple_of(MAX_LANES) else { return usize::MAX };
        let gates = self.cell.gates();
        let matrices = add(narrow.panel_len(gates, self.shape.input), narrow.panel_len(gates, width));
        let projection = match width.checked_next_multiple_of(MAX_LANES) {
            _ if !self.shape.projects => 0,
            Some(outputs) => mul(outputs, narrow.panel_len(1, hidden)),
            None => return usize::MAX,
        };
        let cell = mul(units, add(self.cell.biases(), matrices));
        aligned_len(add(cell, add(self.shape.peepholes_len(), projection)))
    }

    /// The same for weights in `f32`, which training packs.
    const fn wide_panels_len(&self) -> usize {
        let (hidden, width) = (self.shape.hidden, self.width());
        let Some(units) = hidden.checked_next_multiple_of(MAX_LANES) else { return usize::MAX };
        if self.shape.norm > 0 {
            let rows = mul(self.cell.gates(), hidden);
            let (x, h) =
                (columns_len(MAX_LANES, self.shape.input, rows), columns_len(MAX_LANES, width, rows));
            return aligned_len(add(add(x, h), self.shape.peepholes_len()));
        }
        let unit = add(self.cell.biases(), mul(self.cell.gates(), add(self.shape.input, width)));
        let projection = if self.shape.projects { columns_len(MAX_LANES, hidden, width) } else { 0 };
        aligned_len(add(mul(units, unit), add(self.shape.peepholes_len(), projection)))
    }

    /// Identifies everything that determines how the weights are packed.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        let Shape { input, hidden, width, projects, bias, peepholes, .. } = self.shape;
        let flags = (bias as usize) << 3
            | (peepholes as usize) << 4
            | self.cell.stages() << 5
            | (self.cell.is_normalised() as usize) << 7;
        let projection = if projects { add(width, 1) } else { 0 };
        let fingerprint = Fingerprint::new(self.cell.kind() | flags).and(input).and(hidden).and(projection);
        narrow_fingerprint(fingerprint, self.format())
    }

    pub(crate) const fn state_len(&self, batch: usize) -> usize {
        mul(batch, add(self.width(), mul(self.cell.states() - 1, self.shape.hidden)))
    }

    pub(crate) const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        add(mul(batch, self.width()), mul(mul(steps, batch), self.tape_row()))
    }

    /// Elements in a row of the tape.
    pub(super) const fn tape_row(&self) -> usize {
        let projection = if self.shape.projects { self.shape.width } else { 0 };
        add(mul(self.shape.hidden, self.cell.tape()), projection)
    }

    pub(crate) const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        add(self.step_scratch(batch), add(self.block_len(steps, batch), self.codes_len(steps, batch)))
    }

    /// The same for units that are split into `parts` parts in each step.
    pub(crate) const fn unit_parts_scratch_len(&self, parts: usize, steps: usize, batch: usize) -> usize {
        let stage = self.stage_len_of(&Sizes { parts, ..self.sizes(&self.shape) }, batch);
        let blocks = add(self.block_len(steps, batch), self.codes_len(steps, batch));
        add(mul(batch, self.width()), add(stage, blocks))
    }

    /// The same for a batch whose rows, or the units in each step, are split into parts.
    pub(crate) const fn cut_scratch_len(
        &self,
        (rows, units): (usize, usize),
        steps: usize,
        batch: usize,
    ) -> usize {
        match (rows, units) {
            (1, 1) => self.scratch_len(steps, batch),
            (_, 1) => self.parts_scratch_len(rows, steps, batch),
            _ => self.unit_parts_scratch_len(units, steps, batch),
        }
    }

    /// Whether threads can share the units of a step. With layer normalisation, every unit needs the sums of
    /// all. Panels of 16 bits are widened in one buffer.
    pub(crate) const fn splits_units(&self) -> bool {
        match self.packed_format() {
            Some(narrow) => narrow.has_scales(),
            None => !self.cell.is_normalised(),
        }
    }

    /// Scratch for the inputs of a block of steps, rounded to integers: only layers with int8 weights need
    /// it.
    pub(super) const fn codes_len(&self, steps: usize, batch: usize) -> usize {
        match self.packed_format() {
            Some(narrow) => self.narrow_codes_len(narrow, steps, batch),
            None => 0,
        }
    }

    const fn narrow_codes_len(&self, narrow: Narrow, steps: usize, batch: usize) -> usize {
        match block_steps(steps, batch) {
            0 | 1 => 0,
            ahead => {
                let rows = mul(ahead, batch);
                add(mul(rows, narrow.room_len(self.widest())), narrow.widened_len(self.widest(), rows))
            }
        }
    }

    /// Elements of the widest input, of this layer or of the same layer in a higher level, whose input is the
    /// output of both directions.
    const fn widest(&self) -> usize {
        max(self.shape.input, mul(2, self.width()))
    }

    /// The format of packed weights. Small layers with weights of 16 bits are rounded to that format but
    /// packed as `f32`. All levels of a stack do the same.
    pub(crate) const fn packed_format(&self) -> Option<Narrow> {
        match self.format() {
            Some(narrow)
                if narrow.stays_packed(mul(mul(self.shape.gates, self.shape.hidden), self.width())) =>
            {
                Some(narrow)
            }
            _ => None,
        }
    }

    const fn narrow_row(&self) -> Option<(Narrow, usize)> {
        match self.packed_format() {
            Some(narrow) => Some((narrow, self.widest())),
            None => None,
        }
    }

    /// The same for a batch whose rows are split into `parts` parts.
    pub(crate) const fn parts_scratch_len(&self, parts: usize, steps: usize, batch: usize) -> usize {
        let (rows, more) = (batch / parts, batch % parts);
        let larger = if more > 0 { mul(more, self.scratch_len(steps, rows + 1)) } else { 0 };
        add(larger, mul(parts - more, self.scratch_len(steps, rows)))
    }

    pub(crate) const fn train_scratch_len(&self, batch: usize) -> usize {
        self.parts_train_scratch_len(1, batch)
    }

    /// The same for a batch whose rows are split into `parts` parts.
    pub(crate) const fn parts_train_scratch_len(&self, parts: usize, batch: usize) -> usize {
        add(self.parts_step_scratch(parts, batch), max(self.train_packed_len(), self.columns_len()))
    }

    /// The parts' share of the scratch of training. The weights in panels follow it; all parts read them.
    pub(crate) const fn parts_step_scratch(&self, parts: usize, batch: usize) -> usize {
        let (rows, more) = (batch / parts, batch % parts);
        let larger = if more > 0 { mul(more, self.step_scratch(rows + 1)) } else { 0 };
        add(larger, mul(parts - more, self.step_scratch(rows)))
    }

    /// Scratch of a step: the next hidden state and the stage.
    pub(crate) const fn step_scratch(&self, batch: usize) -> usize {
        add(mul(batch, self.width()), self.stage_len(batch))
    }

    /// Scratch of one step of the cell.
    pub(super) const fn stage_len(&self, batch: usize) -> usize {
        self.stage_len_of(&self.sizes(&self.shape), batch)
    }

    /// The same for units in parts.
    pub(super) const fn stage_len_of(&self, sizes: &Sizes, batch: usize) -> usize {
        stage_len(self.cell.tape(), self.cell.stages() > 1, sizes, batch)
    }

    /// The sizes of a layer with this description and the given shape.
    #[inline(always)]
    pub(super) const fn sizes(&self, shape: &Shape) -> Sizes {
        Sizes {
            dims: shape.dims(),
            peepholes: shape.peepholes_len(),
            projects: shape.projects,
            drops: self.recurrent_dropout,
            narrow: self.narrow_row(),
            normalised: if self.cell.is_normalised() { self.cell.gates() } else { 0 },
            parts: 1,
        }
    }

    pub(super) const fn block_len(&self, steps: usize, batch: usize) -> usize {
        match block_steps(steps, batch) {
            0 | 1 => 0,
            _ if self.cell.is_normalised() => 0,
            ahead => mul(mul(ahead, batch), mul(self.cell.gates(), self.shape.hidden)),
        }
    }

    /// On targets with vectors, training packs the weights anew in each pass.
    const fn train_packed_len(&self) -> usize {
        if HAS_VECTORS { packed_len(self.wide_panels_len()) } else { 0 }
    }

    const fn columns_len(&self) -> usize {
        if !HAS_VECTORS {
            return 0;
        }
        let (hidden, width) = (self.shape.hidden, self.width());
        let rows = mul(self.cell.gates(), hidden);
        let w_hr = if self.shape.projects { columns_len(MAX_LANES, width, hidden) } else { 0 };
        max(add(columns_len(MAX_LANES, rows, width), w_hr), columns_len(MAX_LANES, rows, self.shape.input))
    }

    /// Words of the weights in the layer's format.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn words_len(&self) -> usize {
        match self.format() {
            Some(narrow) => words_len(&self.shape, narrow),
            None => self.weights_len(),
        }
    }

    /// Rejects options that the layer cannot have together.
    pub(crate) const fn check_options(&self) -> Result<()> {
        match self.cell.norm_refusal() {
            Some(what) => Err(Error::Layers { layer: 0, what }),
            None => Ok(()),
        }
    }

    /// Rejects a format whose sums can overflow for the layer's rows, and options that exclude each other.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn check_narrow(&self) -> Result<()> {
        if let Err(e) = self.check_options() {
            return Err(e);
        }
        match self.format() {
            Some(_) if self.cell.is_normalised() => {
                Err(Error::Value { argument: "narrow", expected: "f32 for a layer with layer normalisation" })
            }
            Some(narrow) => check_rows(narrow, max(max(self.shape.input, self.width()), self.shape.hidden)),
            None => Ok(()),
        }
    }

    /// Reads narrow weights.
    pub(super) fn given<'a>(&self, narrow: Narrow, words: &'a [f32]) -> Result<Unpacked<'a>> {
        Unpacked::words(self.shape, narrow, words).ok_or(Error::Overflow { buffer: "narrow" })
    }

    /// Weights in `f32` that are to be rounded to a format. An error if the format cannot hold one of them.
    pub(super) fn rounded(shape: Shape, narrow: Narrow, flat: &[f32]) -> Result<Unpacked<'_>> {
        let given = Unpacked::floats(shape, narrow, flat).ok_or(Error::Overflow { buffer: "weights" })?;
        match given.refused() {
            Some((part, index)) => Err(Error::Narrow { part, index, format: narrow.name() }),
            None => Ok(given),
        }
    }
}

/// Rejects integer formats for rows of `k` elements whose 32-bit sums can overflow.
pub(crate) const fn check_rows(narrow: Narrow, k: usize) -> Result<()> {
    match narrow.holds(k) {
        true => Ok(()),
        false => Err(Error::Value {
            argument: "narrow",
            expected: "f16 or bf16 for a layer with rows of more than 133144 elements, whose sums of integers could overflow",
        }),
    }
}

/// Adds the format of the weights to a fingerprint.
pub(crate) const fn narrow_fingerprint(of: Fingerprint, narrow: Option<Narrow>) -> Fingerprint {
    match narrow {
        Some(narrow) => of.and(11 + narrow as usize),
        None => of,
    }
}
