//! A dense layer with a narrow matrix: a layer of one gate over its input, without a state.

use super::Dense;
use super::passes::{ForwardPass, FromNarrow};
use crate::error::{Error, Result, check_room};
use crate::kernel::Narrow;
use crate::kernel::bytes::bytes;
use crate::kernel::canonical::{Dims, Shape};
use crate::kernel::narrow::panels::{NarrowPanels, pack};
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::panel::layout::{Layout, NONE};
use crate::layer::packed::aligned_len;
use crate::layer::recurrent::check_rows;
use crate::simd::{Isa, MAX_LANES, dispatch};

/// One gate of the input weights, with a bias.
const LAYOUT: Layout =
    Layout { sums: 1, x_gates: 1, h_gates: 0, bias_x: [0, NONE, NONE, NONE], ..Layout::hidden_gate(0) };

impl Dense {
    const fn dims(&self) -> Dims {
        Dims { input: self.input, hidden: self.output, width: 0 }
    }

    const fn shape(&self) -> Shape {
        Shape { projection: Some(0), bias: false, ..Shape::new(1, self.input, self.output) }
    }

    /// Length of packed weights, without what it takes to align them.
    pub(super) const fn narrow_panels_len(&self, narrow: Narrow) -> usize {
        match self.output.checked_next_multiple_of(MAX_LANES) {
            Some(units) => {
                aligned_len(units.saturating_mul(narrow.panel_len(1, self.input).saturating_add(1)))
            }
            None => usize::MAX,
        }
    }

    /// Words of weights in the layer's own format.
    pub(crate) const fn words_len(&self) -> usize {
        match self.narrow_format() {
            Some(narrow) => narrow.matrix_len(self.output, self.input).saturating_add(self.output),
            None => self.weights_len(),
        }
    }

    /// Refuses a format that has too short sums for the layer's rows.
    pub(crate) const fn check_narrow(&self) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => check_rows(narrow, self.input),
            None => Ok(()),
        }
    }

    /// Refuses weights that their format cannot hold, and a format that cannot be multiplied.
    pub(crate) fn check_values(&self, weights: &[f32]) -> Result<()> {
        self.check_narrow()?;
        match self.narrow_format() {
            Some(narrow) => self.rounded(narrow, weights).map(drop),
            None => Ok(()),
        }
    }

    /// Weights in `f32`, to be rounded.
    pub(super) fn rounded<'a>(&self, narrow: Narrow, weights: &'a [f32]) -> Result<Unpacked<'a>> {
        let (w, b) = self.split(weights)?;
        let given = Unpacked::matrix(self.shape(), narrow, w, b);
        match given.refused() {
            Some((_, index)) => Err(Error::Narrow { part: "w", index, format: narrow.name() }),
            None => Ok(given),
        }
    }

    /// Narrow weights.
    fn given<'a>(&self, narrow: Narrow, words: &'a [f32]) -> Result<Unpacked<'a>> {
        Unpacked::words_of_matrix(self.shape(), narrow, words).ok_or(Error::Overflow { buffer: "narrow" })
    }

    pub(super) fn pack_given(&self, given: &Unpacked<'_>, to: &mut [f32]) {
        pack(&LAYOUT, self.isa().lanes(), given, to);
    }

    /// Rounds weights that have been checked to the bytes of words. Without a format they are copied.
    pub(crate) fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => self.rounded(narrow, weights)?.write_matrix(out),
            None => out.copy_from_slice(bytes(weights)),
        }
        Ok(())
    }

    /// The weights that words stand for.
    pub(crate) fn widen_words(&self, words: &[f32], weights: &mut [f32]) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => self.given(narrow, words)?.widen_matrix(weights),
            None => weights.copy_from_slice(words),
        }
        Ok(())
    }

    /// Packs words that have been checked.
    pub(crate) fn pack_words(&self, words: &[f32], panels: &mut [f32]) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => self.pack_given(&self.given(narrow, words)?, panels),
            None => self.pack_into(words, panels)?,
        }
        Ok(())
    }

    pub(super) fn forward_narrow(
        &self,
        (isa, narrow): (Isa, Narrow),
        data: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.check(rows, x.len(), ("y", y.len()))?;
        check_room("scratch", self.scratch_len(), scratch.len())?;
        let dims = self.dims();
        let panels = NarrowPanels::new(&LAYOUT, isa.lanes(), dims, narrow, data);
        let Some((panels, _)) = panels else { return Err(Error::Packing { what: "layer" }) };
        let pass = ForwardPass { x, rows, b: &[], y, finish: self.finish };
        dispatch(isa, FromNarrow { pass, panels, layout: &LAYOUT, dims, scratch })?;
        Ok(())
    }
}
