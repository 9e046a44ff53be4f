//! One step forward, with the equations in the tile's registers.

use super::ahead::{Ahead, PANELS};
use super::sums::{Input, Sums};
use super::{Equations, Extra, Layout, Tape, tape_planes};
use crate::kernel::canonical::Dims;
use crate::kernel::pack::Source;
use crate::kernel::tile::{self, Acc, Tile, WIDEST, drive_row, drive_step, each_row, load, store};
use crate::kernel::view::ColumnsMut;
use crate::kernel::walk::{Rows, Walk};
use crate::simd::{Simd, Times};

/// The buffers of one forward step.
pub(crate) struct ForwardStep<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) extra: Extra<'a>,
    pub(crate) x: Input<'a>,
    /// `[B, width]`
    pub(crate) h: &'a [f32],
    /// `[B, width]`
    pub(crate) h_next: &'a mut [f32],
    /// `[B, H]`, or empty for a cell without one.
    pub(crate) c: &'a mut [f32],
    /// `[rows, width]`, unless only the state is wanted.
    pub(crate) y: Option<ColumnsMut<'a>>,
    pub(crate) tape: Tape<'a>,
    /// What is computed beside a step of one row, by cells that do so.
    pub(crate) ahead: Option<&'a Ahead<'a>>,
}

struct ForwardTile<'a, E, W, const TRAIN: bool> {
    e: E,
    sums: Sums<'a, W>,
    h: *const f32,
    h_next: *mut f32,
    c: *mut f32,
    y: *mut f32,
    y_ld: usize,
}

impl<S: Simd, E: Equations, W: Source<S>, const TRAIN: bool> Tile<S> for ForwardTile<'_, E, W, TRAIN> {
    const ACC: usize = E::ACC;

    #[inline(always)]
    fn widest(&self) -> usize {
        if self.sums.ahead.is_some() { PANELS } else { WIDEST }
    }

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let seq: [usize; MB] = each_row!(|m| self.sums.walk.row(self.sums.t, rows[m]));
        // SAFETY: the caller's promise: the panels exist, and `seq` are the walk's rows of the batch's `rows`.
        unsafe {
            let acc = self.sums.run::<S, E, MB, NP>(s, rows, seq, panel);
            // More vectors at once than that are more than there are registers for; of 32 registers, too: three rows at once gained
            // 1.5 % for an LSTM of 128 units and 32 rows (AVX-512 on Zen 4).
            if MB * NP <= 4 {
                self.finish(s, rows, seq, panel, acc);
            } else {
                for m in 0..MB {
                    self.finish(s, [rows[m]], [seq[m]], panel, [acc[m]]);
                }
            }
        }
    }
}

impl<E: Equations, W, const TRAIN: bool> ForwardTile<'_, E, W, TRAIN> {
    /// The equations on finished sums, and what they make.
    /// # Safety
    /// The rows and panels exist.
    #[inline(always)]
    unsafe fn finish<S: Simd, const MB: usize, const NP: usize>(
        &self,
        s: S,
        rows: [usize; MB],
        seq: [usize; MB],
        panel: usize,
        acc: Acc<S::V, MB, NP>,
    ) {
        let hidden = self.sums.hidden;
        // SAFETY: the caller's promise; all row offsets below are those of rows that the walk and the batch have, in
        // buffers whose lengths `new` has checked. Everything is loaded before anything is stored.
        unsafe {
            let all = Times::<_, MB>(Times::<_, NP>(s));
            let (mut sums, mut h, mut c) = ([all.splat(0.0); 4], all.splat(0.0), all.splat(0.0));
            for m in 0..MB {
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    let left = hidden - unit;
                    let at = rows[m] * hidden + unit;
                    for a in 0..4 {
                        sums[a][m][p] = acc[m][p][a];
                    }
                    h[m][p] = load(s, self.h.add(at), left);
                    if E::HAS_C {
                        c[m][p] = load(s, self.c.cast_const().add(at), left);
                    }
                }
            }
            let next = self.e.forward(all, sums, h, c);
            for m in 0..MB {
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    let left = hidden - unit;
                    let at = rows[m] * hidden + unit;
                    store(s, self.h_next.add(at), next.h[m][p], left);
                    if E::HAS_C {
                        store(s, self.c.add(at), next.c[m][p], left);
                    }
                    if !self.y.is_null() {
                        store(s, self.y.add(seq[m] * self.y_ld + unit), next.h[m][p], left);
                    }
                    if TRAIN && !self.sums.tape.is_null() {
                        let tape = self.sums.tape_row(rows[m], seq[m]).add(unit);
                        for a in 0..E::ACC {
                            store(s, tape.add(a * hidden), next.saved[a][m][p], left);
                        }
                        if E::HAS_C {
                            store(s, tape.add(E::ACC * hidden), c[m][p], left);
                        }
                    }
                }
            }
        }
    }
}

impl<'a, E: Equations, W, const TRAIN: bool> ForwardTile<'a, E, W, TRAIN> {
    /// `None` for buffers of a wrong length, and for weights of other sizes.
    #[inline(always)]
    fn new<S: Simd>(s: S, e: E, w: W, t: usize, io: ForwardStep<'a>) -> Option<Self>
    where
        W: Source<S>,
    {
        let ForwardStep { walk, dims, extra: _, x, h, h_next, c, mut y, tape, ahead } = io;
        let hidden = dims.hidden;
        let state = walk.batch() * hidden;
        let ld = tape_planes::<E>() * hidden;
        let fits = h_next.len() == state
            && c.len() == if E::HAS_C { state } else { 0 }
            && y.as_ref().is_none_or(|y| y.has(walk.rows(), hidden))
            && (TRAIN || matches!(tape, Tape::None));
        debug_assert!(fits);
        let sums = Sums::new::<S, E>(s, w, walk, t, Dims { width: hidden, ..dims }, x, h, tape, ld, ahead)?;
        let (y, y_ld) = y.as_mut().map_or((core::ptr::null_mut(), 0), |y| (y.start(0), y.ld()));
        let (h, h_next, c) = (h.as_ptr(), h_next.as_mut_ptr(), c.as_mut_ptr());
        fits.then_some(ForwardTile { e, sums, h, h_next, c, y, y_ld })
    }
}

/// One step of the whole batch. `TRAIN` says whether there may be a tape.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn forward_step<S: Simd, E: Equations, W: Source<S>, const TRAIN: bool>(
    s: S,
    e: E,
    w: W,
    t: usize,
    io: ForwardStep<'_>,
) {
    let (walk, hidden) = (io.walk, io.dims.hidden);
    if let Some(tile) = ForwardTile::<E, W, TRAIN>::new(s, e, w, t, io) {
        // SAFETY: every row below `batch` and every panel below the ceiling of `hidden / LANES` exist in the
        // buffers whose lengths were checked for the tile, and in `w`, which `Sums::new` has checked.
        unsafe { drive_step(s, &tile, Rows::step(walk, t), hidden.div_ceil(S::LANES), t) }
    }
}

/// The buffers of a step of one row.
pub(crate) struct RowStep<'a> {
    /// Of one row, which takes part.
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) x: Input<'a>,
    /// `[H]`: the state before the step, then the one after it.
    pub(crate) h: &'a mut [f32],
    /// `[H]`
    pub(crate) h_next: &'a mut [f32],
    /// `[H]`, or empty for a cell without one.
    pub(crate) c: &'a mut [f32],
    /// `[rows, H]`, unless only the state is wanted.
    pub(crate) y: Option<ColumnsMut<'a>>,
    /// As of [`ForwardStep`].
    pub(crate) ahead: Option<&'a Ahead<'a>>,
}

/// Whether a row of so many units is a single tile, with something beside or without.
#[inline(always)]
pub(crate) fn is_one_tile<S: Simd, E: Layout>(_: S, hidden: usize, beside: bool) -> bool {
    tile::is_one_tile::<S>(E::ACC, if beside { PANELS } else { WIDEST }, hidden.div_ceil(S::LANES))
}

/// One step of one row, with the bits of [`forward_step`], all in one function, and in place if it is a single tile: a small layer takes
/// longer to hand its buffers from one function to the next than for its sums. A step of up to 16 units takes 23 to 40 % less time so, in
/// a sequence one of 32 units 13 to 18 % (Zen 4).
///
/// `ONE` promises that it [is a single tile](is_one_tile): then nothing is done if it is not.
#[inline(always)]
pub(crate) fn row_step<S: Simd, E: Equations, W: Source<S>, const ONE: bool>(
    s: S,
    e: E,
    w: W,
    t: usize,
    io: RowStep<'_>,
) {
    let RowStep { walk, dims, x, h, h_next, c, y, ahead } = io;
    let (state, len) = (h.as_mut_ptr(), h.len());
    // SAFETY: `h` itself, which is borrowed for writing, for as long as its length is compared.
    let h = unsafe { core::slice::from_raw_parts(state, len) };
    let (tape, extra) = (Tape::None, Extra::default());
    let step = ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape, ahead };
    debug_assert!(walk.batch() == 1);
    let tile = ForwardTile::<E, W, false>::new(s, e, w, t, step).filter(|_| walk.batch() == 1);
    let Some(mut tile) = tile else { return };
    let (panels, apart) = (dims.hidden.div_ceil(S::LANES), tile.h_next);
    // One pointer for all that reads and writes it.
    (tile.h, tile.sums.h) = (state, state);
    // A single tile has read the whole state before it writes any of it.
    let in_place = tile::is_one_tile::<S>(E::ACC, Tile::<S>::widest(&tile), panels);
    if in_place {
        tile.h_next = state;
    }
    // SAFETY: as in `forward_step`, of a batch of one row. `h` and `h_next` have the same length, and are not the same.
    unsafe {
        drive_row::<S, _, ONE>(s, &tile, panels);
        if !ONE && !in_place {
            core::ptr::copy_nonoverlapping(apart, state, len);
        }
    }
}
