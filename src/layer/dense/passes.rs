//! The passes of a dense layer, on any instruction set.

use super::Dense;
use crate::kernel::Checked;
use crate::kernel::canonical::Dims;
use crate::kernel::elementwise::column_sums;
use crate::kernel::finish::{Finish, finish, unfinish};
use crate::kernel::gemm::outer;
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::pack::pack_rows;
use crate::kernel::panel::layout::Layout;
use crate::kernel::product::{Init, Left, Right, product, product_transposed};
use crate::kernel::view::Columns;
use crate::kernel::walk::Rows;
use crate::simd::{Op, Simd};

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
    /// The left operand. It is made where the product is, so that its rows are known there to be all of a matrix.
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

    /// What follows the product.
    #[inline(always)]
    fn end<S: Simd>(self, s: S) {
        if let Some(f) = self.finish {
            finish(s, f, self.y);
        }
    }
}

/// From packed weights.
pub(super) struct FromPanels<'a>(pub(super) ForwardPass<'a>, pub(super) &'a [f32]);

impl Op for FromPanels<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        self.0.panels(s, self.1)
    }
}

/// From a narrow matrix in panels.
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

/// From canonical weights `w`, packed for this pass.
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

/// From canonical weights `w` where they are, one output at a time.
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
