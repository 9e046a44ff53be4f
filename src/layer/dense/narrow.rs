//! A dense layer with a narrow matrix. To the kernels it is a recurrent layer of one gate, without a state.

use super::Dense;
use super::passes::{ForwardPass, FromNarrow, FromNarrowInPlace};
use crate::error::{Error, Result, check_room};
use crate::kernel::Narrow;
use crate::kernel::bytes::bytes;
use crate::kernel::canonical::{Dims, Shape};
use crate::kernel::narrow::IN_PLACE;
use crate::kernel::narrow::in_place::NarrowInPlace;
use crate::kernel::narrow::panels::{NarrowPanels, pack};
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::panel::layout::{Layout, NONE};
use crate::layer::packed::aligned_len;
use crate::layer::recurrent::check_rows;
use crate::simd::{Isa, MAX_LANES, dispatch, dispatch_single};

/// One gate with input weights and a bias.
const LAYOUT: Layout =
    Layout { sums: 1, x_gates: 1, h_gates: 0, bias_x: [0, NONE, NONE, NONE], ..Layout::hidden_gate(0) };

impl Dense {
    const fn dims(&self) -> Dims {
        Dims { input: self.input, hidden: self.output, width: 0 }
    }

    const fn shape(&self) -> Shape {
        Shape { bias: false, ..Shape::new(1, self.input, self.output).project(0) }
    }

    /// Length of the packed weights, without the room to align them.
    pub(super) const fn narrow_panels_len(&self, narrow: Narrow) -> usize {
        match self.output.checked_next_multiple_of(MAX_LANES) {
            Some(units) => {
                aligned_len(units.saturating_mul(narrow.panel_len(1, self.input).saturating_add(1)))
            }
            None => usize::MAX,
        }
    }

    /// Length of the weights in the layer's format, in words of 4 bytes.
    pub(crate) const fn words_len(&self) -> usize {
        match self.narrow_format() {
            Some(narrow) => narrow.matrix_len(self.output, self.input).saturating_add(self.output),
            None => self.weights_len(),
        }
    }

    /// Rejects a format whose sums would overflow for rows as long as the layer's.
    pub(crate) const fn check_narrow(&self) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => check_rows(narrow, self.input),
            None => Ok(()),
        }
    }

    /// Rejects weights that their format cannot hold, and a format whose sums would overflow.
    pub(crate) fn check_values(&self, weights: &[f32]) -> Result<()> {
        self.check_narrow()?;
        match self.narrow_format() {
            Some(narrow) => self.rounded(narrow, weights).map(drop),
            None => Ok(()),
        }
    }

    /// Wraps `f32` weights for rounding. Rejects weights that the format cannot hold.
    pub(super) fn rounded<'a>(&self, narrow: Narrow, weights: &'a [f32]) -> Result<Unpacked<'a>> {
        let (w, b) = self.split(weights)?;
        let given = Unpacked::matrix(self.shape(), narrow, w, b);
        match given.refused() {
            Some((_, index)) => Err(Error::Narrow { part: "w", index, format: narrow.name() }),
            None => Ok(given),
        }
    }

    /// Wraps weights that are already in the narrow format.
    fn given<'a>(&self, narrow: Narrow, words: &'a [f32]) -> Result<Unpacked<'a>> {
        Unpacked::words_of_matrix(self.shape(), narrow, words).ok_or(Error::Overflow { buffer: "narrow" })
    }

    pub(super) fn pack_given(&self, given: &Unpacked<'_>, to: &mut [f32]) {
        let isa = self.isa();
        pack(&LAYOUT, (isa.lanes(), isa.dot()), given, to);
    }

    /// Rounds checked weights to the layer's format, into the bytes of words. Without a format they are
    /// copied.
    pub(crate) fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => self.rounded(narrow, weights)?.write_matrix(out),
            None => out.copy_from_slice(bytes(weights)),
        }
        Ok(())
    }

    /// Converts words in the layer's format back to `f32` weights.
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

    /// From narrow weights in place.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward_in_place(
        &self,
        words: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.check_narrow()?;
        self.check(rows, x.len(), ("y", y.len()))?;
        check_room("scratch", self.scratch_len(), scratch.len())?;
        let (Some(narrow), true) = (self.narrow_format(), IN_PLACE) else {
            return Err(Error::Internal { what: "narrow weights in place" });
        };
        match narrow.has_scales() {
            true => self.run_in_place::<true>(narrow, words, rows, x, y, scratch),
            false => self.run_in_place::<false>(narrow, words, rows, x, y, scratch),
        }
    }

    #[cfg_attr(target_os = "none", inline(always))]
    fn run_in_place<const INT: bool>(
        &self,
        narrow: Narrow,
        words: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let Some((w, b)) = NarrowInPlace::<INT>::matrix(self.dims(), narrow, words) else {
            return Err(Error::Overflow { buffer: "weights" });
        };
        let pass = ForwardPass { x, rows, b, y, finish: self.finish };
        Ok(dispatch_single(self.isa(), FromNarrowInPlace { pass, w, scratch })?)
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
        let panels = NarrowPanels::new(&LAYOUT, isa.lanes(), dims, (narrow, isa.dot()), data);
        let Some((panels, _)) = panels else { return Err(Error::Packing { what: "layer" }) };
        let pass = ForwardPass { x, rows, b: &[], y, finish: self.finish };
        dispatch(isa, FromNarrow { pass, panels, layout: &LAYOUT, dims, scratch })?;
        Ok(())
    }
}
