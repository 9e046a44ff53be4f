//! The two operands of a step's sums: rows, and matrices in panels of any weight format.

use core::ops::Range;

use super::layout::Layout;
use super::pack::{Dims, Panels};
use super::sums::{Job, Part, sums};
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// Rows to be multiplied by the input weights or by the hidden weights.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    /// Whether they are multiplied by the hidden weights.
    pub(crate) hidden: bool,
    pub(crate) left: *const f32,
    /// Distance between two rows.
    pub(crate) ld: usize,
    pub(crate) rows: &'a [usize],
    /// Elements of a row.
    pub(crate) k: usize,
    /// The memory that [`ready`](Matrices::ready) uses: the rows as integers, one after the other, or a
    /// buffer for a widened panel. Otherwise null.
    pub(crate) codes: *mut f32,
}

/// The matrices of a stage in panels.
pub(crate) trait Matrices<S: Simd>: Copy {
    /// Whether they have exactly these sizes, with the gates of the layout.
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool;

    /// The address of the bias vectors of the first panel, and the distance to those of the next panel.
    fn biases(&self) -> (*const f32, usize);

    /// Elements of the buffer for one row as integers; 0 if rows are multiplied as they are.
    /// [`ready`](Self::ready) writes the integers; after it, the row itself is not read.
    #[inline(always)]
    fn row_room_len(&self, _k: usize) -> usize {
        0
    }

    /// Elements of the buffer that multiplying `rows` rows of `k` elements needs.
    #[inline(always)]
    fn room_len(&self, _k: usize, _rows: usize) -> usize {
        0
    }

    /// Prepares rows for multiplication, in a buffer of [`room_len`](Self::room_len) elements.
    /// # Safety
    /// The rows have `k` elements each.
    #[inline(always)]
    unsafe fn ready(&self, _s: S, _operand: &mut Operand<'_>, _room: &mut [f32]) -> Checked {
        Ok(())
    }

    /// Computes a job for some panels: the sums over one or two operands, in their order. The job's own
    /// `parts` are ignored.
    /// # Safety
    /// As for [`sums`]. [`ready`](Self::ready) was called for the operands, and their `k` is that of their
    /// weights. Two operands feed the same sums.
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

/// Prepares rows in the first elements of `room`, and returns the rest of it.
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
