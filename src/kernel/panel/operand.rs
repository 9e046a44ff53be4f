//! The two operands of a step's sums: rows, and matrices in panels, whatever their weights are made of.

use core::ops::Range;

use super::layout::Layout;
use super::pack::{Dims, Panels};
use super::sums::{Job, Part, sums};
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// Rows that are multiplied by the input weights or by the hidden ones.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    /// Whether by the hidden weights.
    pub(crate) hidden: bool,
    pub(crate) left: *const f32,
    /// Distance of two rows.
    pub(crate) ld: usize,
    pub(crate) rows: &'a [usize],
    /// Elements of a row.
    pub(crate) k: usize,
    /// What [`ready`](Matrices::ready) needs memory for: the rows as integers, one after the other, or a
    /// buffer for a widened panel. Otherwise null.
    pub(crate) codes: *mut f32,
}

/// The matrices of a stage in panels.
pub(crate) trait Matrices<S: Simd>: Copy {
    /// Whether they are of just these sizes, with the gates of the layout.
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool;

    /// Where the bias vectors of the first panel start, and how far it is to those of the next panel.
    fn biases(&self) -> (*const f32, usize);

    /// Elements of the buffer for one row as integers; none where rows are multiplied as they are.
    /// [`ready`](Self::ready) makes the integers, and the row itself is not read after it.
    #[inline(always)]
    fn row_room_len(&self, _k: usize) -> usize {
        0
    }

    /// Elements of the buffer that it takes to multiply `rows` rows of `k` elements.
    #[inline(always)]
    fn room_len(&self, _k: usize, _rows: usize) -> usize {
        0
    }

    /// Makes rows ready to be multiplied, in a buffer of [`room_len`](Self::room_len) elements.
    /// # Safety
    /// The rows have `k` elements each.
    #[inline(always)]
    unsafe fn ready(&self, _s: S, _operand: &mut Operand<'_>, _room: &mut [f32]) -> Checked {
        Ok(())
    }

    /// Computes a job, whose own parts are not looked at, for some panels: the sum over one or two operands, in their order.
    /// # Safety
    /// As for [`sums`]. Operands are [ready](Self::ready), and have the `k` of their weights. Two operands feed the same sums.
    unsafe fn sums(
        &self,
        s: S,
        layout: &Layout,
        operands: &[Operand<'_>],
        job: Job<'_>,
        panels: Range<usize>,
    );
}

impl<S: Simd> Matrices<S> for Panels<'_> {
    #[inline(always)]
    fn fits(&self, _: S, layout: &Layout, dims: Dims) -> bool {
        self.fits_lanes(layout, S::LANES, dims)
    }

    #[inline(always)]
    fn biases(&self) -> (*const f32, usize) {
        Panels::biases(self)
    }

    #[inline(always)]
    unsafe fn sums(
        &self,
        s: S,
        layout: &Layout,
        operands: &[Operand<'_>],
        job: Job<'_>,
        panels: Range<usize>,
    ) {
        let part = |of| self.product(layout, S::LANES, of);
        match operands {
            [x, h] => {
                let parts = &[part(x), part(h)];
                // SAFETY: the caller's promise.
                unsafe { sums(s, &Job { parts, ..job }, panels) }
            }
            [of] => {
                let parts = &[part(of)];
                // SAFETY: the caller's promise.
                unsafe { sums(s, &Job { parts, ..job }, panels) }
            }
            _ => {}
        }
    }
}

impl Panels<'_> {
    /// The product of an operand.
    #[inline(always)]
    fn product<'o>(&self, layout: &Layout, lanes: usize, of: &Operand<'o>) -> Part<'o> {
        let right = if of.hidden { self.h_right(layout, lanes) } else { self.x_right(layout, lanes) };
        Part { left: of.left, ld: of.ld, rows: of.rows, step: 1, right, k: of.k }
    }
}

/// Makes rows ready in the first elements of `room`, and returns the rest of it.
/// # Safety
/// As for [`Matrices::ready`].
#[inline(always)]
pub(crate) unsafe fn ready<'r, S: Simd, W: Matrices<S>>(
    s: S,
    w: &W,
    operand: &mut Operand<'_>,
    room: &'r mut [f32],
) -> Result<&'r mut [f32], crate::kernel::Wrong> {
    let len = w.room_len(operand.k, operand.rows.len());
    check(len <= room.len(), "room for integers")?;
    let (own, rest) = room.split_at_mut(len);
    // SAFETY: the caller's promise.
    unsafe { w.ready(s, operand, own)? };
    Ok(rest)
}
