//! Gradients of the weights and of the input, from a tape that holds the gradients of the sums. There is no
//! time loop here.

use core::ops::Range;

use super::sizes::{Sizes, tape_row};
use crate::kernel::elementwise::column_sums;
use crate::kernel::gather::{Operand, gather};
use crate::kernel::gemm::outer;
use crate::kernel::panel::canonical::Parts;
use crate::kernel::panel::layout::Layout;
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::rows::previous::Before;
use crate::kernel::step::SecondStage;
use crate::kernel::taken::Rows;
use crate::kernel::view::{Columns, Matrix};
use crate::kernel::{Checked, Walk, check};
use crate::simd::{Isa, Op, Simd, dispatch};

/// Computes the gradients of some rows (outputs) of a layer's matrices. All lengths have been checked.
pub(crate) struct GradientPass<'a> {
    pub(crate) sizes: Sizes,
    /// Dropout factors of the hidden state, an option of the layer.
    pub(crate) factors: Option<&'a [f32]>,
    pub(crate) walk: &'a Walk<'a>,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, R]`
    pub(crate) y: Columns<'a>,
    /// `[B, R]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[rows, row of the tape]`, as the backward pass leaves it.
    pub(crate) tape: &'a [f32],
    pub(crate) grads: WeightRows<'a>,
    /// Whether the gradients are added to what is in `grads`.
    pub(crate) add: bool,
    /// Scratch of the products.
    pub(crate) room: &'a mut [f32],
}

/// Some rows of a layer's matrices, and the elements of its biases for the same rows.
pub(crate) struct WeightRows<'a> {
    parts: Parts<&'a mut [f32]>,
    /// Rows of `w_ih` and `w_hh`, among `G*H`.
    gates: Range<usize>,
    /// Rows of `w_hr`, among `R`.
    projection: Range<usize>,
}

impl<'a> WeightRows<'a> {
    /// All rows of a layer with `gates` gates. Peepholes are not a matrix and are handled by the caller.
    pub(crate) fn all(parts: Parts<&'a mut [f32]>, gates: usize, sizes: &Sizes) -> Self {
        let projection = if sizes.projects { sizes.dims.width } else { 0 };
        WeightRows { parts, gates: 0..gates * sizes.dims.hidden, projection: 0..projection }
    }

    /// Splits off the first `some` of `parts` equal parts. Returns these and the others.
    #[cfg_attr(target_os = "none", allow(dead_code, reason = "firmware has no threads, and no parts"))]
    pub(crate) fn split(self, some: usize, parts: usize) -> (Self, Self) {
        fn cut(of: &mut [f32], rows: usize, at: usize) -> (&mut [f32], &mut [f32]) {
            // Parts that the layer does not have are empty.
            of.split_at_mut(of.len().checked_div(rows).unwrap_or(0) * at)
        }
        let WeightRows { parts: of, gates, projection } = self;
        let share = |of: usize| of * some / parts.max(1);
        let (at, at_projection) = (share(gates.len()), share(projection.len()));
        let (w_ih, later_w_ih) = cut(of.w_ih, gates.len(), at);
        let (w_hh, later_w_hh) = cut(of.w_hh, gates.len(), at);
        let (b_ih, later_b_ih) = cut(of.b_ih, gates.len(), at);
        let (b_hh, later_b_hh) = cut(of.b_hh, gates.len(), at);
        let (w_hr, later_w_hr) = cut(of.w_hr, projection.len(), at_projection);
        let (middle, middle_projection) = (gates.start + at, projection.start + at_projection);
        let first = Parts { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes: of.peepholes };
        let later = Parts {
            w_ih: later_w_ih,
            w_hh: later_w_hh,
            b_ih: later_b_ih,
            b_hh: later_b_hh,
            w_hr: later_w_hr,
            peepholes: &mut [][..],
        };
        (
            WeightRows {
                parts: first,
                gates: gates.start..middle,
                projection: projection.start..middle_projection,
            },
            WeightRows {
                parts: later,
                gates: middle..gates.end,
                projection: middle_projection..projection.end,
            },
        )
    }
}

/// All cells share this function. In firmware it is linked once, for both directions.
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn weight_gradients(
    isa: Isa,
    layout: &Layout,
    second: Option<&SecondStage>,
    pass: GradientPass<'_>,
) -> Checked {
    dispatch(isa, Weights { layout, second, pass })
}

struct Weights<'a, 'b> {
    layout: &'a Layout,
    second: Option<&'a SecondStage>,
    pass: GradientPass<'b>,
}

impl Op for Weights<'_, '_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Weights { layout, second, pass } = self;
        let GradientPass { sizes, factors, walk, x, y, h0, tape, grads, add, room } = pass;
        let WeightRows { parts: grads, gates: own, projection } = grads;
        let (dims, hidden) = (sizes.dims, sizes.dims.hidden);
        // Without units, the number of steps is not bounded by any buffer.
        if hidden == 0 && dims.width == 0 {
            return Ok(());
        }
        let ld = tape_row(layout, &sizes);
        let mut sums = Sums { walk, present: Rows::present(walk), tape, ld, add, room };
        sums.same(s, (own.start, own.len()), Columns::all(x, dims.input), grads.w_ih)?;
        sums.bias(s, own.start, grads.b_ih)?;
        let mut hidden_part = |gate: usize, count: usize, plane: usize, operand: Option<usize>| -> Checked {
            let rows = own.start.max(gate * hidden)..own.end.min((gate + count) * hidden);
            if rows.is_empty() {
                return Ok(());
            }
            let here = rows.start - own.start..rows.end - own.start;
            let dw = &mut grads.w_hh[here.start * dims.width..here.end * dims.width];
            let columns = (plane * hidden + rows.start - gate * hidden, rows.len());
            if let Some(db) = grads.b_hh.get_mut(here.clone()) {
                // If both biases feed the same sums, and neither gradient is added to, the two gradients are
                // equal.
                match grads.b_ih.get(here) {
                    Some(same) if !add && plane == gate => db.copy_from_slice(same),
                    _ => sums.bias(s, columns.0, db)?,
                }
            }
            match operand {
                Some(plane) => sums.planes(s, columns, (plane * hidden, hidden), dw),
                None => sums.before(s, columns, (h0, y), factors, dw),
            }
        };
        // Gates whose sums are adjacent on the tape are computed as one product.
        let mut gate = 0;
        while gate < layout.h_gates {
            let plane = layout.h_map[gate % 4];
            let mut count = 1;
            while gate + count < layout.h_gates && layout.h_map[(gate + count) % 4] == plane + count {
                count += 1;
            }
            hidden_part(layout.h_first + gate, count, plane, None)?;
            gate += count;
        }
        if let Some(stage) = second {
            hidden_part(stage.layout.h_first, 1, stage.sum, Some(stage.operand))?;
        }
        if sizes.projects && !projection.is_empty() {
            // The backward step stored the gradient of the projection's output at the end of the row, and the
            // projection's input after the sums.
            let output = (ld - dims.width + projection.start, projection.len());
            sums.planes(s, output, (layout.sums * hidden, hidden), grads.w_hr)?;
        }
        Ok(())
    }
}

/// Sums over all rows of the tape. Regular sequences use large products. Others are summed row by row, and
/// padding is skipped.
struct Sums<'a> {
    walk: &'a Walk<'a>,
    /// The rows that take part.
    present: Rows<'a>,
    tape: &'a [f32],
    ld: usize,
    add: bool,
    /// Scratch of the products.
    room: &'a mut [f32],
}

impl<'a> Sums<'a> {
    fn columns(&self, (column, width): (usize, usize)) -> Columns<'a> {
        Columns { data: self.tape, ld: self.ld, column, width }
    }

    /// The gradient of a bias that feeds the sums from `column` on.
    #[inline(always)]
    fn bias<S: Simd>(&self, s: S, column: usize, db: &mut [f32]) -> Checked {
        column_sums(s, self.tape, self.ld, self.present, column, db, self.add)
    }

    /// The gradient of weights that are multiplied by `b`, row by row.
    #[inline(always)]
    fn same<S: Simd>(&mut self, s: S, a: (usize, usize), b: Columns<'_>, dw: &mut [f32]) -> Checked {
        let a = self.columns(a);
        if self.walk.is_dense() {
            outer(s, a, b, dw, self.add, self.room)
        } else {
            gather(s, self.walk, a, Operand::Same(b), b.width, dw, self.add)
        }
    }

    /// The same for weights that are multiplied by another part of the tape.
    #[inline(always)]
    fn planes<S: Simd>(&mut self, s: S, a: (usize, usize), b: (usize, usize), dw: &mut [f32]) -> Checked {
        let b = self.columns(b);
        self.same(s, a, b, dw)
    }

    /// The gradient of weights that are multiplied by the hidden state before the step, times
    /// `factors [B, width]` if given.
    #[inline(always)]
    fn before<S: Simd>(
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
        // The first step used the initial state, every other step the output of the step before it.
        let (step, rest) = if rows == 0 { (0, 0) } else { (batch, rows - batch) };
        let (first, later, y) = match reverse {
            false => (a.take(step), a.skip(step), y.take(rest)),
            true => (a.skip(rest), a.take(rest), y.skip(step)),
        };
        outer(s, first, Columns::all(&h0[..step * width], width), dw, self.add, self.room)?;
        outer(s, later, y, dw, true, self.room)
    }
}

/// Computes the gradient of the input of some rows, from the tape that a backward pass leaves. All lengths
/// have been checked.
pub(crate) struct InputPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    /// The first row.
    pub(crate) first: usize,
    pub(crate) sizes: Sizes,
    /// `w_ih`, as packed by [`pack_input`].
    pub(crate) right: Right<'a>,
    /// `[some rows, I]`
    pub(crate) dx: &'a mut [f32],
    /// Whether the gradient is added to what is in `dx`.
    pub(crate) add: bool,
    /// `[some rows, row of the tape]`
    pub(crate) tape: &'a [f32],
}

/// Packs `w_ih` for the gradient of the input: into panels of columns, in `room`, if there are vectors.
pub(crate) fn pack_input<'a>(isa: Isa, w_ih: &'a [f32], input: usize, room: &'a mut [f32]) -> Right<'a> {
    struct Pack<'a>(&'a [f32], usize, &'a mut [f32]);
    impl<'a> Op for Pack<'a> {
        type Output = Right<'a>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Right<'a> {
            Right::of(s, self.0, self.1, self.2)
        }
    }
    dispatch(isa, Pack(w_ih, input, room))
}

/// All cells share this function.
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn input_gradient(isa: Isa, layout: &Layout, pass: InputPass<'_>) -> Checked {
    dispatch(isa, Inputs { layout, pass })
}

/// Multiplies the first columns of the tape by the input weights.
struct Inputs<'a, 'b> {
    layout: &'a Layout,
    pass: InputPass<'b>,
}

impl Op for Inputs<'_, '_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Inputs { layout, pass: InputPass { walk, first, sizes, right, dx, add, tape } } = self;
        let (ld, len, input) =
            (tape_row(layout, &sizes), layout.x_gates * sizes.dims.hidden, sizes.dims.input);
        // Without inputs `w_ih` has no columns from which its rows could be counted.
        let Some(count) = dx.len().checked_div(input) else { return Ok(()) };
        let rows = Rows::some(walk, first, count);
        if !add && rows.count() < count {
            dx.fill(0.0);
        }
        let left = Left { of: Matrix::new(tape, ld), rows, count: 1, len, at: [0; 4] };
        product(s, left, right, dx, if add { Init::Accumulate } else { Init::Zero })
    }
}
