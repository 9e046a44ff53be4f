//! The input part of some steps of a batch, computed at once.

use core::ops::Range;

use super::batch::{planes_of, starts};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::{Matrices, Operand, ready};
use crate::kernel::panel::sums::{Job, Planes};
use crate::kernel::rows::list::{MOST, RowList};
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::ColumnsMut;
use crate::kernel::rows::walk::Walk;
use crate::kernel::team::{Team, in_parts};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// Where the input part of some steps is written.
pub(crate) enum Projected<'a> {
    /// `[count * B, x_gates*H]`
    Block(&'a mut [f32]),
    /// The first planes of the tape.
    Tape(ColumnsMut<'a>),
}

/// Computes the input part of steps `first..first + count`: `bias + W_ih x`, one row for each step of each
/// batch row.
///
/// The rows of `out` have `ld` elements. `room` is for input rows as integers.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn project<S: Simd, W: Matrices<S>>(
    s: S,
    layout: &Layout,
    w: W,
    walk: &Walk<'_>,
    dims: Dims,
    (first, count): (usize, usize),
    x: &[f32],
    out: Projected<'_>,
    ld: usize,
    room: &mut [f32],
    team: Option<Team<'_>>,
) -> Checked {
    let (rows, Dims { input, hidden, .. }) = (walk.rows(), dims);
    let (to, has, by_walk) = match out {
        Projected::Block(out) => (out.as_mut_ptr(), out.len() >= ld * count * walk.batch(), false),
        Projected::Tape(mut out) => (out.start(0), out.has(walk, ld) && out.ld() == ld, true),
    };
    let fits = has
        && first + count <= walk.steps()
        && w.fits(s, layout, dims)
        && room.len() >= w.room_len(input, 1)
        && x.len() == rows * input
        && layout.x_gates * hidden <= ld;
    check(fits, "input projection")?;
    let rows = Rows::block(walk, first, count);
    let (mut taken, mut list) = (rows.iter(), RowList::new());
    let most = room.len().checked_div(w.row_room_len(input)).unwrap_or(MOST);
    while list.fill_up_to(most, rows, &mut taken) {
        let (left, rows) = (x.as_ptr(), list.sources());
        let mut operand =
            Operand { hidden: false, left, ld: input, rows, k: input, codes: core::ptr::null_mut() };
        let rows = if by_walk { list.sources() } else { list.rows() };
        // SAFETY: the rows of `count` steps exist in the buffers just checked. The panels of `hidden` units
        // exist too, also in `w`.
        unsafe {
            ready(s, &w, &mut operand, &mut *room)?;
            let of = &Project { layout, w, operand, to, ld, rows, hidden };
            // Parts have panels of their own, so they write different columns.
            let part = |_, panels: Range<usize>| s.call(Panelled { s, of, panels });
            in_parts(team, hidden.div_ceil(S::LANES), &part)?;
        }
    }
    Ok(())
}

/// The input part for the rows of a list.
struct Project<'a, W> {
    layout: &'a Layout,
    w: W,
    operand: Operand<'a>,
    to: *mut f32,
    ld: usize,
    /// Where the rows are written.
    rows: &'a [usize],
    hidden: usize,
}

/// The same for some panels. The panels and the rows exist. The job is made here: a copy of what was just
/// written would hold up short sequences.
struct Panelled<'a, S, W> {
    s: S,
    of: &'a Project<'a, W>,
    panels: Range<usize>,
}

impl<S: Simd, W: Matrices<S>> Region for Panelled<'_, S, W> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Panelled { s, of, panels } = self;
        let &Project { layout, ref w, ref operand, to, ld, rows, hidden } = of;
        let out = Planes { start: to, ld, rows, planes: [0, hidden, 2 * hidden, 3 * hidden] };
        let (bias, panel) = w.biases();
        let job = Job {
            gates: layout.x_gates,
            parts: &[],
            start: starts(bias, panel, S::LANES),
            from: planes_of(&out),
            out,
            columns: hidden,
            exact: false,
            descending: false,
        };
        // SAFETY: promised by whoever made `self`.
        unsafe { w.sums(s, layout, core::slice::from_ref(operand), job, panels) }
    }
}
