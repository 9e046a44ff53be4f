//! Steps of a single row without options, whose sums go through memory as in a [batch](super::batch).
//!
//! A step of a small layer from narrow weights takes less time than the preparations of a batch of one: lists
//! of rows, options, and buffers that one function hands to the next. Here they are made once for all steps
//! of a call.

use super::Params;
use super::batch::{FirstStage, units_at_once};
use super::epilogues::Epilogues;
use super::io::Raw;
use super::single::SingleRow;
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::operand::{Matrices, Operand, ready};
use crate::kernel::rows::list::RowList;
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// Runs steps of a cell with one stage.
#[inline(always)]
pub(crate) fn steps<S: Simd, W: Matrices<S>>(
    s: S,
    cell: &Epilogues<S>,
    params: &Params,
    w: W,
    io: SingleRow<'_, '_>,
) -> Checked {
    s.call(Steps { s, cell, params, w, io })
}

struct Steps<'a, 'y, S, W> {
    s: S,
    cell: &'a Epilogues<S>,
    params: &'a Params,
    w: W,
    io: SingleRow<'a, 'y>,
}

impl<S: Simd, W: Matrices<S>> Region for Steps<'_, '_, S, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Steps { s, cell, params, w, io } = self;
        let (layout, Dims { input, hidden, width }) = (&cell.layout, io.dims);
        let (raw_x, block, x_fits) = io.input(layout);
        let projected = layout.x_gates * hidden;
        let wide = units_at_once(layout.tape_planes(), 1, hidden);
        let sums = layout.sums * wide;
        let fits = cell.second.is_none()
            && io.has_row(layout)
            && x_fits
            && sums <= io.room.len()
            && w.fits(s, layout, io.dims);
        check(fits, "steps of one row")?;
        let SingleRow { walk, first, count, dims, h, h_next, c, y, room, .. } = io;
        let (room, codes) = room.split_at_mut(sums);
        let (room, state) = (room.as_mut_ptr(), h.as_mut_ptr());
        let in_place = w.row_room_len(width) > 0;
        let next = if in_place { state } else { h_next.as_mut_ptr() };
        let (y, y_ld) = y.map_or((core::ptr::null_mut(), 0), |y| (y.start(0), y.ld()));
        let mut raw = Raw {
            walk,
            dims,
            x: raw_x,
            block,
            block_ld: projected,
            block_by_walk: false,
            seen: state,
            h: state,
            h_next: next,
            c: c.as_mut_ptr(),
            y,
            y_ld,
            saved: core::ptr::null_mut(),
            saved_by_walk: false,
            ld: 0,
            peepholes: core::ptr::null(),
            factors: core::ptr::null(),
        };
        for t in first..first + count {
            let list = &RowList::one(walk.row(t, 0));
            let none = core::ptr::null_mut();
            let (rows, sources) = (list.rows(), list.sources());
            let mut x =
                Operand { hidden: false, left: raw_x, ld: input, rows: sources, k: input, codes: none };
            let mut h = Operand { hidden: true, left: state, ld: width, rows, k: width, codes: none };
            // SAFETY: the row takes part in the step, so the buffers have it, as was just checked. The
            // integers of the state are made before any of it is written; without integers, the next state is
            // written apart.
            unsafe {
                let codes = if raw_x.is_null() { &mut *codes } else { ready(s, &w, &mut x, &mut *codes)? };
                ready(s, &w, &mut h, codes)?;
            }
            let (raw_t, units, descending) = (&raw, 0..hidden, !t.is_multiple_of(2));
            FirstStage { s, cell, params, raw: raw_t, w, x, h, list, room, wide, units, descending }.run();
            if !in_place {
                // SAFETY: both have `hidden` elements, as was just checked, and do not overlap.
                unsafe { core::ptr::copy_nonoverlapping(next, state, hidden) };
            }
            if !raw.block.is_null() {
                raw.block = raw.block.wrapping_add(projected);
            }
        }
        Ok(())
    }
}
