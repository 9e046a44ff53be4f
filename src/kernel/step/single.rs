//! Steps of a single row without options, with the equations in the tile's registers.

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

/// The buffers of some steps of a single row.
pub(crate) struct SingleRow<'a, 'y> {
    /// A walk of one row, which takes part in the steps.
    pub(crate) walk: &'a Walk<'a>,
    /// Steps `first..first + count`.
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) dims: Dims,
    /// A block starts with step `first`.
    pub(crate) x: Input<'a>,
    /// `[H]`: the state before the steps, and afterwards the state after them.
    pub(crate) h: &'a mut [f32],
    /// `[H]`: scratch for the next state. Without it, units that come later in a step would not see the whole
    /// state before the step.
    pub(crate) h_next: &'a mut [f32],
    /// `[H]`, or empty for a cell without cell state.
    pub(crate) c: &'a mut [f32],
    /// `[rows, H]`, unless only the state is needed. It is a reference because copying fields that were just
    /// written would hold up the steps of small layers.
    pub(crate) y: Option<&'a mut ColumnsMut<'y>>,
    pub(crate) ahead: Option<Ahead<'a>>,
    /// Room for rows as integers, and for sums that are kept in memory.
    pub(crate) room: &'a mut [f32],
}

impl SingleRow<'_, '_> {
    /// Whether there is one batch row with these steps, and all buffers but the input and `room` have it.
    #[inline(always)]
    pub(super) fn has_row(&self, layout: &Layout) -> bool {
        let Dims { hidden, width, .. } = self.dims;
        self.walk.batch() == 1
            && self.first + self.count <= self.walk.steps()
            && width == hidden
            && self.h.len() == hidden
            && self.h_next.len() == hidden
            && self.c.len() == if layout.has_c { hidden } else { 0 }
            && self.y.as_ref().is_none_or(|y| y.has(self.walk, hidden))
    }

    /// The raw input and the projected one, and whether it has the right length. One pointer is null.
    #[inline(always)]
    pub(super) fn input(&self, layout: &Layout) -> (*const f32, *const f32, bool) {
        match self.x {
            Input::Raw(x) => (x.as_ptr(), core::ptr::null(), x.len() == self.walk.rows() * self.dims.input),
            Input::Block { data, first } => {
                let has = data.len() >= self.count * layout.x_gates * self.dims.hidden;
                (core::ptr::null(), data.as_ptr(), first == self.first && has)
            }
            Input::Tape => (core::ptr::null(), core::ptr::null(), false),
        }
    }
}

/// Steps of a single row, without options. A single tile works in place: it has read the whole state before
/// it writes any of it.
#[inline(always)]
pub(crate) fn steps<S: Simd, E: Equations, W: Source<S>>(s: S, e: E, w: W, io: SingleRow<'_, '_>) -> Checked {
    let (first, count) = (io.first, io.count);
    let buffers = Buffers::new(s, const { &E::LAYOUT }, E::SECOND.is_none(), w, io)?;
    for t in first..first + count {
        if let Some(ahead) = buffers.ahead {
            ahead.allow(t - first);
        }
        // SAFETY: the row takes part in step `t`, so all buffers have it, and the weights have its panels.
        // `h` and `h_next` have the same length and do not overlap.
        unsafe {
            let (row, of) = buffers.step(s, t);
            let tile = RowTile::<_, _, false> { e, row, of };
            drive_row(s, &tile, row.hidden.div_ceil(S::LANES), !t.is_multiple_of(2));
            if !buffers.in_place {
                core::ptr::copy_nonoverlapping(row.h_next, buffers.state, row.hidden);
            }
        }
    }
    Ok(())
}

/// The buffers of a single row as pointers, after the check.
struct Buffers<'a, W> {
    walk: &'a Walk<'a>,
    w: W,
    dims: Dims,
    /// `[rows, I]`, or null if the input is projected.
    x: *const f32,
    /// The projected rows of the steps from `first` on, `projected` elements each.
    sums: *const f32,
    projected: usize,
    first: usize,
    /// All accesses to the state use one pointer.
    state: *mut f32,
    h_next: *mut f32,
    in_place: bool,
    c: *mut f32,
    y: *mut f32,
    y_ld: usize,
    ahead: Option<Ahead<'a>>,
    /// Room for a row of the input as integers, and for one of the state.
    x_room: *mut f32,
    h_room: *mut f32,
}

impl<'a, W> Buffers<'a, W> {
    /// Checks the buffers of all steps.
    #[inline(always)]
    fn new<S: Simd>(
        s: S,
        layout: &Layout,
        one_stage: bool,
        w: W,
        io: SingleRow<'a, '_>,
    ) -> Result<Self, Wrong>
    where
        W: Source<S>,
    {
        let Dims { input, hidden, width } = io.dims;
        let (x, sums, x_fits) = io.input(layout);
        let (x_room, h_room) = (w.row_room_len(input), w.row_room_len(width));
        let fits = one_stage
            && io.has_row(layout)
            && x_fits
            && x_room.saturating_add(h_room) <= io.room.len()
            && io.ahead.is_none_or(|ahead| ahead.is_of(layout, S::LANES, io.dims))
            && w.fits(s, layout, io.dims);
        check(fits, "steps of one row")?;
        let SingleRow { walk, first, dims, h, h_next, c, y, ahead, room, .. } = io;
        let (y, y_ld) = y.map_or((core::ptr::null_mut(), 0), |y| (y.start(0), y.ld()));
        let (state, apart) = (h.as_mut_ptr(), h_next.as_mut_ptr());
        let widest = if ahead.is_some() { PANELS } else { WIDEST };
        let in_place = is_one_tile::<S>(layout.sums * W::SUMS, widest, hidden.div_ceil(S::LANES));
        Ok(Buffers {
            walk,
            w,
            dims,
            x,
            sums,
            projected: layout.x_gates * hidden,
            first,
            state,
            h_next: if in_place { state } else { apart },
            in_place,
            c: c.as_mut_ptr(),
            y,
            y_ld,
            ahead,
            x_room: room.as_mut_ptr(),
            h_room: room.as_mut_ptr().wrapping_add(x_room),
        })
    }

    /// The row of step `t`, and what its weights multiply.
    /// # Safety
    /// The step is one of those that were checked.
    #[inline(always)]
    unsafe fn step<S: Simd>(&self, s: S, t: usize) -> (Row, Operands<'a, W>)
    where
        W: Source<S>,
    {
        let Buffers { walk, w, dims, state, .. } = *self;
        let seq = walk.row(t, 0);
        let row = Row {
            hidden: dims.hidden,
            h: state,
            h_next: self.h_next,
            c: self.c,
            y: if self.y.is_null() { self.y } else { self.y.wrapping_add(seq * self.y_ld) },
            saved: core::ptr::null_mut(),
            peepholes: core::ptr::null(),
            factors: core::ptr::null(),
        };
        // SAFETY: the buffers have this row, and the room has been checked.
        unsafe {
            let x = match self.x.is_null() {
                true => self.x,
                false => w.ready(s, self.x.wrapping_add(seq * dims.input), dims.input, self.x_room),
            };
            let sums = self.sums.wrapping_add(t.wrapping_sub(self.first).wrapping_mul(self.projected));
            let seen = w.ready(s, state, dims.width, self.h_room);
            (row, Operands { w, dims, x, sums, seen, ahead: self.ahead })
        }
    }
}
