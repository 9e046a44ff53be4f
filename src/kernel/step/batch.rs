//! One step of a batch on instruction sets with vectors: sums of products go to memory, and an epilogue
//! computes the equations from them.
//!
//! Sums are compiled once for each instruction set, epilogues once for each cell and instruction set. A step
//! handles some units of all rows at a time, few enough that their sums are still in the first-level cache
//! when the epilogue reads them. Training needs no extra memory for the sums: they go to the tape, where the
//! epilogue replaces them by the values that the backward pass needs.

use core::ops::Range;

use super::epilogues::{Epilogues, Units};
use super::io::{Raw, Step};
use super::row::Stages;
use super::{Equations, Params, SecondStage};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::{Matrices, Operand, ready};
use crate::kernel::panel::sums::{Job, Planes, Start};
use crate::kernel::rows::list::{COUNT, MOST, RowList};
use crate::kernel::rows::taken::Rows;
use crate::kernel::team::in_parts;
use crate::kernel::vector::each;
use crate::kernel::{Checked, check};
use crate::simd::{MAX_LANES, Region, Simd};

/// This many sums stay in the first-level cache until the epilogue reads them.
const CACHED: usize = 4096;
/// The smallest number of units that are handled at once: whole tiles.
const LEAST: usize = 4 * MAX_LANES;

/// Units that are handled at once, for `rows` rows of `planes` planes.
pub(super) const fn units_at_once(planes: usize, rows: usize, hidden: usize) -> usize {
    let sums = planes.saturating_mul(rows);
    let (mut units, mut doubled) = (LEAST, sums.saturating_mul(2 * LEAST));
    while doubled <= CACHED && units < hidden {
        (units, doubled) = (2 * units, 2 * doubled);
    }
    match hidden.checked_next_multiple_of(MAX_LANES) {
        Some(hidden) if hidden < units => hidden,
        _ => units,
    }
}

/// Elements of `room` for the sums of a step of up to `batch` rows. Not needed if the step has rows to save
/// in.
pub(crate) const fn room_len(planes: usize, batch: usize, hidden: usize) -> usize {
    let sums = planes.saturating_mul(if batch < MOST { batch } else { MOST });
    let least = sums.saturating_mul(LEAST);
    let most = if least > CACHED { least } else { CACHED };
    match hidden.checked_next_multiple_of(MAX_LANES) {
        Some(hidden) if sums.saturating_mul(hidden) < most => sums * hidden,
        _ => most,
    }
}

/// One step of a batch. Without rows to save in, the sums go to the start of `room`. The rest of `room` is
/// for input rows as integers.
pub(crate) fn step<S: Simd, E: Equations, W: Matrices<S>>(
    s: S,
    params: &Params,
    w: Stages<W>,
    t: usize,
    io: Step<'_>,
    room: &mut [f32],
) -> Checked {
    s.call(BatchStep { s, cell: const { &Epilogues::of::<E>() }, params, w, t, io, room })
}

struct BatchStep<'a, S, W> {
    s: S,
    cell: &'a Epilogues<S>,
    params: &'a Params,
    w: Stages<W>,
    t: usize,
    io: Step<'a>,
    room: &'a mut [f32],
}

impl<S: Simd, W: Matrices<S>> Region for BatchStep<'_, S, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let BatchStep { s, cell, params, w: [w, w_second], t, io, room } = self;
        let layout = &cell.layout;
        let team = io.team;
        let raw = Raw::of(layout, cell.reads_h, t, io)?;
        let (walk, dims) = (raw.walk, raw.dims);
        let hidden = dims.hidden;
        let kept = !raw.saved.is_null();
        let rows = Rows::step(walk, t);
        let most = rows.count().min(MOST);
        let wide = units_at_once(layout.tape_planes(), most, hidden);
        let sums = if kept { 0 } else { most * layout.sums * wide };
        let all_sums = sums.saturating_mul(team.map_or(1, |team| team.threads()));
        let fits = w.fits(s, layout, dims)
            && room.len() >= all_sums
            && match &cell.second {
                None => true,
                Some(stage) => kept && w_second.fits(s, &stage.layout, Dims { width: hidden, ..dims }),
            };
        check(fits, "weights of a step")?;
        let (room, codes) = room.split_at_mut(all_sums);
        let descending = !t.is_multiple_of(2);
        let (mut taken, mut list) = (rows.iter(), RowList::new());
        while list.fill(rows, &mut taken) {
            let list = &list;
            let none = core::ptr::null_mut();
            let mut x = Operand {
                hidden: false,
                left: raw.x,
                ld: dims.input,
                rows: list.sources(),
                k: dims.input,
                codes: none,
            };
            let mut h = Operand {
                hidden: true,
                left: raw.seen,
                ld: dims.width,
                rows: list.rows(),
                k: dims.width,
                codes: none,
            };
            // SAFETY: the rows of the list take part in the step, so the buffers of `raw` have them, as its
            // check has confirmed.
            unsafe {
                let codes = match raw.block.is_null() {
                    true => ready(s, &w, &mut x, &mut *codes)?,
                    false => &mut *codes,
                };
                ready(s, &w, &mut h, codes)?;
            }
            let rooms = room.as_mut_ptr();
            let part = |part: usize, panels: Range<usize>| {
                let units = panels.start * S::LANES..hidden.min(panels.end * S::LANES);
                let room = rooms.wrapping_add(part * sums);
                let raw = &raw;
                s.call(FirstStage { s, cell, params, raw, w, x, h, list, room, wide, units, descending });
            };
            // SAFETY: parts have panels of their own, so they write different columns of the rows in the
            // buffers of `raw`. Each has its own room.
            unsafe { in_parts(team, hidden.div_ceil(S::LANES), &part)? };
            if let Some(stage) = &cell.second {
                let saved = if raw.saved_by_walk { list.sources() } else { list.rows() };
                let planes =
                    Planes { start: raw.saved, ld: raw.ld, rows: saved, planes: [stage.sum * hidden; 4] };
                let operand = raw.saved.cast_const().wrapping_add(stage.operand * hidden);
                let mut operand =
                    Operand { hidden: true, left: operand, ld: raw.ld, rows: saved, k: hidden, codes: none };
                let job = Job {
                    gates: 1,
                    parts: &[],
                    start: [Start::FROM; 4],
                    from: Planes { start: raw.saved.cast_const(), ..planes_of(&planes) },
                    out: planes,
                    columns: hidden,
                    exact: false,
                    descending,
                };
                // SAFETY: as above; the rows to save in have all planes of the layout, including both planes
                // of the stage.
                unsafe { ready(s, &w_second, &mut operand, &mut *codes)? };
                let part = |_, panels: Range<usize>| {
                    let units = panels.start * S::LANES..hidden.min(panels.end * S::LANES);
                    let raw = &raw;
                    s.call(LastStage { s, cell, params, raw, stage, w: w_second, operand, job, list, units });
                };
                // SAFETY: as for the first stage. A part reads the operand, which no part writes.
                unsafe { in_parts(team, hidden.div_ceil(S::LANES), &part)? };
            }
        }
        Ok(())
    }
}

/// The first stage of some units, for the rows of a list. The rows take part in the step, so all buffers of
/// `raw` have them, and the weights have the panels of the units. `room` has a row of `wide` units for each
/// plane of each row.
pub(super) struct FirstStage<'a, S, W> {
    pub(super) s: S,
    pub(super) cell: &'a Epilogues<S>,
    pub(super) params: &'a Params,
    pub(super) raw: &'a Raw<'a>,
    pub(super) w: W,
    pub(super) x: Operand<'a>,
    pub(super) h: Operand<'a>,
    pub(super) list: &'a RowList,
    pub(super) room: *mut f32,
    pub(super) wide: usize,
    pub(super) units: Range<usize>,
    pub(super) descending: bool,
}

impl<S: Simd, W: Matrices<S>> Region for FirstStage<'_, S, W> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let FirstStage { s, cell, params, raw, w, x, h, list, room, wide, units: all, descending } = self;
        let layout = &cell.layout;
        let mut left = all.len();
        while left > 0 {
            let take = match left % wide {
                0 => wide,
                rest if descending => rest,
                _ => wide.min(left),
            };
            let start = if descending { all.start + left - take } else { all.end - left };
            let units = start..all.end.min(start + take);
            let part = Sums { s, layout, raw, w, x, h, list, room, units, descending };
            // SAFETY: promised by whoever made `self`.
            unsafe {
                let units = part.run();
                (cell.first)(s, params, &units);
            }
            left -= take;
        }
    }
}

/// The second stage of some units, for the rows of a list, as in [`FirstStage`]. `job` adds the product of
/// `operand` to the sums in the rows to save in.
struct LastStage<'a, S, W> {
    s: S,
    cell: &'a Epilogues<S>,
    params: &'a Params,
    raw: &'a Raw<'a>,
    stage: &'a SecondStage,
    w: W,
    operand: Operand<'a>,
    job: Job<'a>,
    list: &'a RowList,
    units: Range<usize>,
}

impl<S: Simd, W: Matrices<S>> Region for LastStage<'_, S, W> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let LastStage { s, cell, params, raw, stage, w, operand, job, list, units } = self;
        let panels = units.start / S::LANES..units.end.div_ceil(S::LANES);
        // SAFETY: promised by whoever made `self`.
        unsafe {
            w.sums(s, &stage.layout, &[operand], job, panels);
            let (sums, projected) = (core::ptr::null(), [false; 4]);
            (cell.last)(s, params, &Units { raw, list, units, sums, ld: 0, projected });
        }
    }
}

/// The offsets of the planes of a row.
#[inline(always)]
fn planes(plane: usize) -> [usize; 4] {
    [0, plane, 2 * plane, 3 * plane]
}

/// The biases of panels of `lanes` units, as what sums start from.
#[inline(always)]
pub(super) fn starts(bias: *const f32, panel: usize, lanes: usize) -> [Start; 4] {
    let mut starts = [Start::vector(bias, panel); 4];
    each!(sum, 4, {
        starts[sum] = Start::vector(bias.wrapping_add(sum * lanes), panel);
    });
    starts
}

/// The same rows and planes, for reading.
pub(super) fn planes_of<'a>(of: &Planes<'a, *mut f32>) -> Planes<'a, *const f32> {
    Planes { start: of.start, ld: of.ld, rows: of.rows, planes: of.planes }
}

/// Computes the sums of some units for the rows of a list.
struct Sums<'a, S, W> {
    s: S,
    layout: &'a Layout,
    raw: &'a Raw<'a>,
    w: W,
    x: Operand<'a>,
    h: Operand<'a>,
    list: &'a RowList,
    room: *mut f32,
    units: Range<usize>,
    descending: bool,
}

impl<'a, S: Simd, W: Matrices<S>> Sums<'a, S, W> {
    /// Adds bias, input part and hidden part, in this order.
    /// # Safety
    /// The buffers have the rows and units, the weights have their panels, and the room or the rows to save
    /// in have all planes.
    #[inline(always)]
    unsafe fn run(self) -> Units<'a> {
        let Sums { s, layout, raw, w, x, h, list, room, units, descending } = self;
        let hidden = raw.dims.hidden;
        let panels = units.start / S::LANES..units.end.div_ceil(S::LANES);
        let by = |walk: bool| if walk { list.sources() } else { list.rows() };
        // Holds only planes of these units, unless they are saved.
        let wide = units.len().div_ceil(S::LANES) * S::LANES;
        let ld = wide * layout.sums;
        // Distances of planes are scalars, and structures are built in place: a copy of one that was just written
        // by parts would wait for these writes.
        let (to, to_ld, to_rows, to_plane) = match raw.saved.is_null() {
            false => (raw.saved, raw.ld, by(raw.saved_by_walk), hidden),
            true => {
                let rows = COUNT.get(..list.rows().len()).unwrap_or_default();
                (room.wrapping_sub(units.start), ld, rows, wide)
            }
        };
        let is_raw = raw.block.is_null();
        let (from, from_ld, from_rows, from_plane) = match is_raw {
            true => (to.cast_const(), to_ld, to_rows, to_plane),
            false => (raw.block, raw.block_ld, by(raw.block_by_walk), hidden),
        };
        let (bias, panel) = w.biases();
        let biases = starts(bias, panel, S::LANES);
        let mut job = Job {
            gates: layout.x_gates,
            parts: &[],
            start: biases,
            from: Planes { start: from, ld: from_ld, rows: from_rows, planes: planes(from_plane) },
            out: Planes { start: to, ld: to_ld, rows: to_rows, planes: planes(to_plane) },
            columns: hidden,
            exact: false,
            descending,
        };
        let mut projected = [false; 4];
        // SAFETY: the caller's promise.
        unsafe {
            if is_raw && layout.is_uniform() {
                w.sums(s, layout, &[x, h], job, panels);
                return Units { raw, list, units, sums: room, ld, projected };
            }
            if is_raw {
                w.sums(s, layout, &[x], job, panels.clone());
            }
            // Sums that hidden weights feed start from the projected sums, or from a bias.
            let mut fed = [false; 4];
            each!(g, layout.h_gates, {
                let sum = layout.h_map[g % 4] % 4;
                fed[sum] = true;
                job.start[g % 4] = if sum < layout.x_gates { Start::FROM } else { biases[sum] };
                job.from.planes[g % 4] = sum * from_plane;
                job.out.planes[g % 4] = sum * to_plane;
            });
            if !is_raw && (raw.saved.is_null() || !raw.block_by_walk) {
                each!(a, layout.x_gates, {
                    projected[a % 4] = !fed[a % 4];
                });
            }
            job.gates = layout.h_gates;
            w.sums(s, layout, &[h], job, panels);
        }
        Units { raw, list, units, sums: room, ld, projected }
    }
}
