//! The buffers of a forward step, and the check of their lengths.

use super::units::Row;
use super::{Input, Tape, peepholes_start};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::rows::view::ColumnsMut;
use crate::kernel::rows::walk::Walk;
use crate::kernel::team::Team;
use crate::kernel::{Wrong, check};

/// The buffers of one forward step of a batch.
pub(crate) struct Step<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) x: Input<'a>,
    /// `[B, width]`: the hidden state that the weights multiply.
    pub(crate) seen: &'a [f32],
    /// `[B, width]`
    pub(crate) h: &'a [f32],
    /// `[B, H]`
    pub(crate) h_next: &'a mut [f32],
    /// `[B, H]`, or empty for a cell without cell state.
    pub(crate) c: &'a mut [f32],
    /// `[rows, H]`, unless only the state is needed.
    pub(crate) y: Option<ColumnsMut<'a>>,
    /// Rows of `ld` elements.
    pub(crate) tape: Tape<'a>,
    pub(crate) ld: usize,
    /// `[3, H]`, or empty.
    pub(crate) peepholes: &'a [f32],
    /// `[B, H]`: factors that multiply the operand of a second stage.
    pub(crate) factors: Option<&'a [f32]>,
    /// The threads that share the units of a step, on instruction sets with vectors.
    pub(crate) team: Option<Team<'a>>,
}

/// The same buffers as pointers, after the check. A pointer is null if the buffer does not exist.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) dims: Dims,
    /// `[rows, I]`
    pub(super) x: *const f32,
    /// Projected rows, `block_ld` apart, starting with those of the block's first step.
    pub(super) block: *const f32,
    pub(super) block_ld: usize,
    pub(super) block_by_walk: bool,
    pub(super) seen: *const f32,
    pub(super) h: *const f32,
    pub(super) h_next: *mut f32,
    pub(super) c: *mut f32,
    pub(super) y: *mut f32,
    pub(super) y_ld: usize,
    pub(super) saved: *mut f32,
    pub(super) saved_by_walk: bool,
    pub(super) ld: usize,
    pub(super) peepholes: *const f32,
    pub(super) factors: *const f32,
}

impl<'a> Raw<'a> {
    /// Checks the buffers of step `t` for a cell of this layout.
    #[inline(always)]
    pub(super) fn of(layout: &Layout, reads_h: bool, t: usize, io: Step<'a>) -> Result<Self, Wrong> {
        let Step { walk, dims, x, seen, h, h_next, c, mut y, tape, ld, peepholes, factors, .. } = io;
        let Dims { input, hidden, width } = dims;
        let (batch, rows) = (walk.batch(), walk.rows());
        let state = batch * hidden;
        let kept = !matches!(tape, Tape::None);
        let (saved, saved_fits, saved_by_walk) = tape.parts(walk, ld);
        let p = peepholes_start(peepholes, hidden);
        let (mut raw, mut block, mut block_ld, mut block_by_walk) =
            (core::ptr::null(), core::ptr::null(), 0, false);
        let projected = layout.x_gates * hidden;
        let x_fits = match x {
            Input::Raw(x) => {
                raw = x.as_ptr();
                x.len() == rows * input
            }
            Input::Block { data, first } => {
                block_ld = projected;
                let before = t.wrapping_sub(first).wrapping_mul(batch).wrapping_mul(projected);
                block = data.as_ptr().wrapping_add(before);
                first <= t && data.len() >= (t - first + 1) * batch * projected
            }
            Input::Tape => {
                (block, block_ld, block_by_walk) = (saved.cast_const(), ld, true);
                saved_by_walk && projected <= ld
            }
        };
        let fits = t < walk.steps()
            && x_fits
            && seen.len() == batch * width
            && (!reads_h || (h.len() == state && width == hidden))
            && h_next.len() == state
            && c.len() == if layout.has_c { state } else { 0 }
            && y.as_ref().is_none_or(|y| y.has(walk, hidden))
            && (!kept || (saved_fits && layout.tape_planes() * hidden <= ld))
            && factors.is_none_or(|f| f.len() == state)
            && p.is_some();
        check(fits, "forward step")?;
        let (y, y_ld) = y.as_mut().map_or((core::ptr::null_mut(), 0), |y| (y.start(0), y.ld()));
        Ok(Raw {
            walk,
            dims,
            x: raw,
            block,
            block_ld,
            block_by_walk,
            seen: seen.as_ptr(),
            h: h.as_ptr(),
            h_next: h_next.as_mut_ptr(),
            c: c.as_mut_ptr(),
            y,
            y_ld,
            saved,
            saved_by_walk,
            ld,
            peepholes: p.unwrap_or(core::ptr::null()),
            factors: factors.map_or(core::ptr::null(), <[f32]>::as_ptr),
        })
    }

    /// The buffers of batch row `b`. It takes part in the step, and is row `seq` of the sequence.
    #[inline(always)]
    pub(super) fn row(&self, b: usize, seq: usize) -> Row {
        let hidden = self.dims.hidden;
        let at = b * hidden;
        let saved = if self.saved_by_walk { seq } else { b };
        Row {
            hidden,
            h: self.h.wrapping_add(at),
            h_next: self.h_next.wrapping_add(at),
            c: self.c.wrapping_add(at),
            y: if self.y.is_null() { self.y } else { self.y.wrapping_add(seq * self.y_ld) },
            saved: if self.saved.is_null() { self.saved } else { self.saved.wrapping_add(saved * self.ld) },
            peepholes: self.peepholes,
            factors: if self.factors.is_null() { self.factors } else { self.factors.wrapping_add(at) },
        }
    }

    /// The projected sums of a batch row; null if the input is raw.
    #[inline(always)]
    pub(super) fn projected(&self, b: usize, seq: usize) -> *const f32 {
        match self.block.is_null() {
            true => self.block,
            false => self.block.wrapping_add(self.block_ld * if self.block_by_walk { seq } else { b }),
        }
    }
}
