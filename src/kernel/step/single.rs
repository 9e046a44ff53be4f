//! A step of a single row without options, with the equations in the tile's registers.

use super::ahead::{Ahead, PANELS};
use super::row::{Operands, RowTile};
use super::units::Row;
use super::{Equations, Input};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::source::Source;
use crate::kernel::panel::tile::{WIDEST, drive_row, is_one_tile};
use crate::kernel::rows::view::ColumnsMut;
use crate::kernel::rows::walk::Walk;
use crate::kernel::{Checked, Wrong, check};
use crate::simd::Simd;

/// The buffers of a step of a single row.
pub(crate) struct SingleStep<'a> {
    /// A walk of one row, which takes part in the step.
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) x: Input<'a>,
    /// `[H]`: the state before the step, and afterwards the state after it.
    pub(crate) h: &'a mut [f32],
    /// `[H]`: scratch for the next state.
    pub(crate) h_next: &'a mut [f32],
    /// `[H]`, or empty for a cell without cell state.
    pub(crate) c: &'a mut [f32],
    /// `[rows, H]`, unless only the state is needed.
    pub(crate) y: Option<ColumnsMut<'a>>,
    pub(crate) ahead: Option<&'a Ahead<'a>>,
    /// Room for rows as integers.
    pub(crate) room: &'a mut [f32],
}

/// One step of a single row, without options. A single tile works in place: it has read the whole state
/// before it writes any of it.
#[inline(always)]
pub(crate) fn single<S: Simd, E: Equations, W: Source<S>>(
    s: S,
    e: E,
    w: W,
    t: usize,
    io: SingleStep<'_>,
) -> Checked {
    let descending = !t.is_multiple_of(2);
    let (row, of, apart) = checked(s, const { &E::LAYOUT }, E::SECOND.is_none(), w, t, io)?;
    let tile = RowTile::<_, _, false> { e, row, of };
    // SAFETY: the row takes part in step `t`, so all buffers have it, and the weights have its panels. `h` and
    // `h_next` have the same length and do not overlap.
    unsafe {
        drive_row(s, &tile, row.hidden.div_ceil(S::LANES), descending);
        if row.h_next == apart {
            core::ptr::copy_nonoverlapping(apart, row.h.cast_mut(), row.hidden);
        }
    }
    Ok(())
}

/// Checks the buffers of a single row: the row, what its weights multiply, and the start of `h_next`.
#[inline(always)]
fn checked<'a, S: Simd, W: Source<S>>(
    s: S,
    layout: &Layout,
    one_stage: bool,
    w: W,
    t: usize,
    io: SingleStep<'a>,
) -> Result<(Row, Operands<'a, W>, *mut f32), Wrong> {
    let SingleStep { walk, dims, x, h, h_next, c, mut y, ahead, room } = io;
    let Dims { input, hidden, width } = dims;
    let projected = layout.x_gates * hidden;
    let (mut raw, mut sums) = (core::ptr::null(), core::ptr::null());
    let x_fits = match x {
        Input::Raw(x) => {
            raw = x.as_ptr().wrapping_add(walk.row(t, 0) * input);
            x.len() == walk.rows() * input
        }
        Input::Block { data, first } => {
            sums = data.as_ptr().wrapping_add(t.wrapping_sub(first).wrapping_mul(projected));
            first <= t && data.len() >= (t - first + 1) * projected
        }
        Input::Tape => false,
    };
    let (x_room, h_room) = (w.row_room_len(input), w.row_room_len(width));
    let fits = walk.batch() == 1
        && x_room.saturating_add(h_room) <= room.len()
        && t < walk.steps()
        && one_stage
        && x_fits
        && width == hidden
        && h.len() == hidden
        && h_next.len() == hidden
        && c.len() == if layout.has_c { hidden } else { 0 }
        && y.as_ref().is_none_or(|y| y.has(walk, hidden))
        && ahead.is_none_or(|ahead| ahead.is_of(layout, S::LANES, dims))
        && w.fits(s, layout, dims);
    check(fits, "step of one row")?;
    let panels = hidden.div_ceil(S::LANES);
    let y = y.as_mut().map_or(core::ptr::null_mut(), |y| y.start(walk.row(t, 0)));
    // Use one pointer for all accesses to the state.
    let (state, apart) = (h.as_mut_ptr(), h_next.as_mut_ptr());
    let widest = if ahead.is_some() { PANELS } else { WIDEST };
    let in_place = is_one_tile::<S>(layout.sums * W::SUMS, widest, panels);
    let row = Row {
        hidden,
        h: state,
        h_next: if in_place { state } else { apart },
        c: c.as_mut_ptr(),
        y,
        saved: core::ptr::null_mut(),
        peepholes: core::ptr::null(),
        factors: core::ptr::null(),
    };
    let (x_room, h_room) = (room.as_mut_ptr(), room.as_mut_ptr().wrapping_add(x_room));
    // SAFETY: the row takes part in step `t`, so the buffers have it, as was just checked, and so was the room.
    unsafe {
        let x = if raw.is_null() { raw } else { w.ready(s, raw, input, x_room) };
        let seen = w.ready(s, state, width, h_room);
        Ok((row, Operands { w, dims, x, sums, seen, ahead }, apart))
    }
}
