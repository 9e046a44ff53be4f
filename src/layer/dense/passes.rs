//! The passes of a dense layer, on any instruction set.

use super::{Dense, panels_len};
use crate::error::{Error, Result, check_room};
use crate::kernel::Checked;
use crate::kernel::canonical::Dims;
use crate::kernel::elementwise::column_sums;
use crate::kernel::finish::{Finish, finish, unfinish};
use crate::kernel::gemm::outer;
use crate::kernel::narrow::in_place::NarrowInPlace;
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::pack::pack_rows;
use crate::kernel::panel::layout::Layout;
use crate::kernel::product::{Init, Left, Right, product, product_transposed};
use crate::kernel::taken::Rows;
use crate::kernel::view::Columns;
use crate::layer::join::{Team, by_rows};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch, dispatch_single};

/// The number of rows from which on it is faster to pack the weights for this one pass than to compute one
/// output at a time. Measured with AVX2 on Zen, for 256 x 256 weights: a product in place takes 1.2 cycles
/// for each weight and row, packing 1.3 for each weight.
const PACK_ROWS: usize = 2;

/// A forward pass. All lengths have been checked.
pub(super) struct ForwardPass<'a> {
    /// `[rows, I]`
    pub(super) x: &'a [f32],
    pub(super) rows: usize,
    pub(super) b: &'a [f32],
    pub(super) y: &'a mut [f32],
    pub(super) finish: Option<Finish>,
}

impl<'a> ForwardPass<'a> {
    /// The left operand. It is made where the product is called, so that the compiler sees that its rows are
    /// all rows of a matrix.
    #[inline(always)]
    fn left(&self) -> Left<'a> {
        Left::plain(self.x, self.rows, self.x.len().checked_div(self.rows).unwrap_or(0))
    }

    #[inline(always)]
    fn panels<S: Simd>(self, s: S, panels: &[f32]) -> Checked {
        let left = self.left();
        let right = Right::panels(panels, left.len, self.b.len());
        product(s, left, right, &mut *self.y, Init::Bias(self.b))?;
        self.end(s);
        Ok(())
    }

    /// Applies the activation after the product.
    #[inline(always)]
    fn end<S: Simd>(self, s: S) {
        if let Some(f) = self.finish {
            finish(s, f, self.y);
        }
    }
}

/// Runs from packed weights.
pub(super) struct FromPanels<'a>(pub(super) ForwardPass<'a>, pub(super) &'a [f32]);

impl Op for FromPanels<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        self.0.panels(s, self.1)
    }
}

/// Runs from a narrow matrix in panels.
pub(super) struct FromNarrow<'a> {
    pub(super) pass: ForwardPass<'a>,
    pub(super) panels: NarrowPanels<'a>,
    pub(super) layout: &'a Layout,
    pub(super) dims: Dims,
    pub(super) scratch: &'a mut [f32],
}

impl Op for FromNarrow<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let FromNarrow { pass, panels, layout, dims, scratch } = self;
        let left = Left::plain(pass.x, pass.rows, dims.input);
        panels.multiply(s, layout, false, left, dims, &mut *pass.y, scratch)?;
        pass.end(s);
        Ok(())
    }
}

/// Runs from a narrow matrix in place.
pub(super) struct FromNarrowInPlace<'a, const INT: bool> {
    pub(super) pass: ForwardPass<'a>,
    pub(super) w: NarrowInPlace<'a, INT>,
    pub(super) scratch: &'a mut [f32],
}

impl<const INT: bool> Op for FromNarrowInPlace<'_, INT> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let FromNarrowInPlace { pass, w, scratch } = self;
        w.multiply(s, pass.left(), &mut *pass.y, pass.b, scratch)?;
        pass.end(s);
        Ok(())
    }
}

/// Packs canonical weights `w` for this pass, then runs from the panels.
pub(super) struct Packing<'a>(pub(super) ForwardPass<'a>, pub(super) &'a [f32], pub(super) &'a mut [f32]);

impl Op for Packing<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Packing(pass, w, scratch) = self;
        pack_rows(S::LANES, pass.left().len, w, scratch);
        pass.panels(s, scratch)
    }
}

/// Runs from canonical weights `w` in place, one output at a time.
pub(super) struct InPlace<'a>(pub(super) ForwardPass<'a>, pub(super) &'a [f32]);

impl Op for InPlace<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let InPlace(pass, w) = self;
        product_transposed(s, pass.left(), w, &mut *pass.y, Init::Bias(pass.b))?;
        pass.end(s);
        Ok(())
    }
}

impl Dense {
    pub(super) fn forward_packed(
        &self,
        team: Option<Team<'_>>,
        isa: Isa,
        data: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<()> {
        self.check(rows, x.len(), ("y", y.len()))?;
        let parts = data.split_at_checked(panels_len(self.input, self.output));
        let Some((panels, Some(b))) = parts.map(|(panels, rest)| (panels, rest.get(..self.output))) else {
            return Err(Error::Packing { what: "layer" });
        };
        self.forward_panels(team, isa, (panels, b), rows, x, y)
    }

    /// Runs from the panels and the biases, in parts if there are threads.
    #[cfg_attr(target_os = "none", inline(always))]
    fn forward_panels(
        &self,
        team: Option<Team<'_>>,
        isa: Isa,
        (panels, b): (&[f32], &[f32]),
        rows: usize,
        x: &[f32],
        y: &mut [f32],
    ) -> Result<()> {
        let run = |_: usize, x: &[f32], y: &mut [f32]| {
            // Without outputs the rows cannot be counted, and there is nothing to do.
            let rows = y.len().checked_div(self.output).unwrap_or(0);
            let pass = ForwardPass { x, rows, b, y, finish: self.finish };
            Ok(dispatch(isa, FromPanels(pass, panels))?)
        };
        by_rows(team, rows, self.weights_len(), (x, y), run)
    }

    /// The instruction set is an argument, so that the optimiser sees that it is the same in all calls.
    #[allow(clippy::too_many_arguments)]
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub(super) fn forward_on(
        &self,
        team: Option<Team<'_>>,
        isa: Isa,
        weights: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (w, b) = self.split(weights)?;
        self.check(rows, x.len(), ("y", y.len()))?;
        check_room("scratch", self.scratch_len(), scratch.len())?;
        if HAS_VECTORS && rows >= PACK_ROWS && team.is_some() {
            pack_rows(isa.lanes(), self.input, w, scratch);
            return self.forward_panels(team, isa, (scratch, b), rows, x, y);
        }
        let pass = ForwardPass { x, rows, b, y, finish: self.finish };
        if HAS_VECTORS && rows >= PACK_ROWS {
            Ok(dispatch(isa, Packing(pass, w, scratch))?)
        } else {
            Ok(dispatch_single(isa, InPlace(pass, w))?)
        }
    }
}

/// A backward pass. All lengths have been checked.
pub(super) struct BackwardPass<'a> {
    pub(super) layer: Dense,
    pub(super) w: &'a [f32],
    pub(super) rows: usize,
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) dy: &'a mut [f32],
    pub(super) dx: Option<&'a mut [f32]>,
    pub(super) grads: Option<&'a mut [f32]>,
    pub(super) add: bool,
    pub(super) scratch: &'a mut [f32],
}

impl Op for BackwardPass<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let BackwardPass { layer, w, rows, x, y, dy, dx, grads, add, scratch } = self;
        let Dense { input, output, .. } = layer;
        if let Some(f) = layer.finish {
            unfinish(s, f, y, dy)?;
        }
        let dy = &*dy;
        if let Some(grads) = grads {
            let (dw, db) = grads.split_at_mut(output * input);
            outer(s, Columns::all(dy, output), Columns::all(x, input), dw, add, scratch)?;
            column_sums(s, dy, output, Rows::all(rows), 0, db, add)?;
        }
        if let Some(dx) = dx {
            let right = Right::for_rows(s, rows, w, input, scratch);
            product(s, Left::plain(dy, rows, output), right, dx, Init::Zero)?;
        }
        Ok(())
    }
}
