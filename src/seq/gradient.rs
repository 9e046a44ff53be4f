//! Gradients of the weights and of the input from a tape that holds those of the sums: no time loop any more.

use crate::kernel::elementwise::column_sums;
use crate::kernel::gather::{Operand, gather};
use crate::kernel::gemm::outer;
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::rows::previous::Before;
use crate::kernel::view::Columns;
use crate::kernel::walk::Rows;
use crate::kernel::{Checked, Walk, check};
use crate::simd::{Op, Simd};

/// Sums over all rows of the tape. Regular sequences go through large products; others row by row, past the padding.
pub(super) struct Sums<'a> {
    pub(super) walk: &'a Walk<'a>,
    /// The walk's rows that take part.
    pub(super) present: Rows<'a>,
    pub(super) tape: &'a [f32],
    pub(super) ld: usize,
    pub(super) add: bool,
    /// Scratch of the products.
    pub(super) room: &'a mut [f32],
}

impl<'a> Sums<'a> {
    fn columns(&self, (column, width): (usize, usize)) -> Columns<'a> {
        Columns { data: self.tape, ld: self.ld, column, width }
    }

    /// Of a bias that feeds the sums from `column` on.
    #[inline(always)]
    pub(super) fn bias<S: Simd>(&self, s: S, column: usize, db: &mut [f32]) -> Checked {
        column_sums(s, self.tape, self.ld, self.present, column, db, self.add)
    }

    /// Of weights that multiply `b`, row by row.
    #[inline(always)]
    pub(super) fn same<S: Simd>(
        &mut self,
        s: S,
        a: (usize, usize),
        b: Columns<'_>,
        dw: &mut [f32],
    ) -> Checked {
        let a = self.columns(a);
        if self.walk.is_dense() {
            outer(s, a, b, dw, self.add, self.room)
        } else {
            gather(s, self.walk, a, Operand::Same(b), b.width, dw, self.add)
        }
    }

    /// The same with another part of the tape.
    #[inline(always)]
    pub(super) fn planes<S: Simd>(
        &mut self,
        s: S,
        a: (usize, usize),
        b: (usize, usize),
        dw: &mut [f32],
    ) -> Checked {
        let b = self.columns(b);
        self.same(s, a, b, dw)
    }

    /// Of weights that multiply the hidden state before the step, times `factors [B, width]` if there are some.
    #[inline(always)]
    pub(super) fn before<S: Simd>(
        &mut self,
        s: S,
        a: (usize, usize),
        (h0, y): (&[f32], Columns<'_>),
        factors: Option<&[f32]>,
        dw: &mut [f32],
    ) -> Checked {
        let (walk, width, a) = (self.walk, y.width, self.columns(a));
        let (rows, batch) = (walk.rows(), walk.batch());
        let Some((reverse, None)) = walk.regular().map(|reverse| (reverse, factors)) else {
            let Some(before) = Before::new(walk, h0, y, width) else {
                return check(false, "hidden states of a gradient");
            };
            return gather(s, walk, a, Operand::Before(before, factors), width, dw, self.add);
        };
        // The first step saw the initial state, every other one the output of the one before it.
        let (step, rest) = if rows == 0 { (0, 0) } else { (batch, rows - batch) };
        let (first, later, y) = match reverse {
            false => (a.take(step), a.skip(step), y.take(rest)),
            true => (a.skip(rest), a.take(rest), y.skip(step)),
        };
        outer(s, first, Columns::all(&h0[..step * width], width), dw, self.add, self.room)?;
        outer(s, later, y, dw, true, self.room)
    }
}

/// Gradient of the input: the first `len` columns of the tape times the input weights.
pub(super) struct Inputs<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) tape: &'a [f32],
    pub(super) ld: usize,
    pub(super) len: usize,
    pub(super) w_ih: &'a [f32],
    pub(super) dx: &'a mut [f32],
    pub(super) add: bool,
    /// Room for `w_ih` in panels of columns, where there are vectors.
    pub(super) panels: &'a mut [f32],
}

impl Op for Inputs<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Inputs { walk, tape, ld, len, w_ih, dx, add, panels } = self;
        // Without inputs `w_ih` has no columns from which its rows could be counted.
        let input = dx.len().checked_div(walk.rows()).unwrap_or(0);
        if input == 0 {
            return Ok(());
        }
        let right = Right::of(s, w_ih, input, panels);
        let rows = Rows::present(walk);
        if !add && rows.count() < walk.rows() {
            dx.fill(0.0);
        }
        let left = Left { data: tape, ld, rows, count: 1, len, at: [0; 4] };
        product(s, left, right, dx, if add { Init::Accumulate } else { Init::Zero })
    }
}
