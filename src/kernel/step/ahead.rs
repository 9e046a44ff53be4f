//! Computes the input part of later steps while a step of one row waits for its weights.
//!
//! A step of one row uses every hidden weight for a single multiply-add, so it is limited by loading weights
//! and its multipliers are mostly idle. The input part of later steps uses each weight for several rows and
//! keeps the multipliers busy. In one loop, each hides the other: 100 steps of an LSTM take 6, 13 and 9 %
//! less time for 32, 128 and 512 units, those of a GRU 2, 11 and 8 % (AVX-512 on Zen 4,
//! `cargo bench --bench sequences -- b1t100`). This needs 32 registers. With NEON it is tested, but not
//! measured.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::tile::{Acc, Weight, accumulate};
use crate::kernel::rows::walk::Walk;
use crate::kernel::vector::store;
use crate::kernel::{Wrong, check};
use crate::simd::Simd;

/// The input part of this many steps is computed during the same number of steps before them.
pub(crate) const AHEAD: usize = 8;

/// Rows that are computed at once, and panels of the step itself: their sums fill 24 registers.
const ROWS: usize = 4;
pub(super) const PANELS: usize = 2;

/// The input part of up to [`AHEAD`] steps for a batch of one row, in pieces. A piece is one panel for `ROWS`
/// steps.
#[derive(Clone, Copy)]
pub(crate) struct Ahead<'a> {
    pieces: &'a Pieces,
    buffers: PhantomData<(&'a [f32], &'a mut [f32])>,
}

/// Where the pieces are. It is filled in place for each block of steps: copies of fields that were just
/// written would hold up the steps of small layers.
pub(crate) struct Pieces {
    dims: Dims,
    /// Gates of the input weights, and units of a panel.
    gates: usize,
    lanes: usize,
    x: [*const f32; AHEAD],
    out: [*mut f32; AHEAD],
    /// The number of pieces. `two`: there are two for each panel, one for the first `ROWS` steps and one for
    /// the others.
    count: usize,
    two: bool,
    next: Cell<usize>,
    /// The first piece that may not be taken in this step.
    limit: Cell<usize>,
}

/// Whether a step of this many panels leaves registers for a piece.
pub(crate) const fn has_room<S: Simd>(layout: &Layout, panels: usize) -> bool {
    has_registers::<S>(panels) && layout.sums == 4
}

/// The same for panels of up to four sums.
pub(super) const fn has_registers<S: Simd>(panels: usize) -> bool {
    S::ACCUMULATORS >= 24 && panels <= PANELS
}

/// Whether pieces pay for a layer of this many panels. Three panels are one tile, which leaves no registers for
/// a piece. In a sequence of one row, a step of an LSTM or a GRU of 40 units takes 0.78 or 0.69 of the time of
/// two tiles with pieces, for one input feature, and 0.85 or 0.82 for 48 units and 128 features (Zen 5).
pub(crate) const fn pays(panels: usize) -> bool {
    panels != 3
}

/// One piece.
pub(super) struct Piece {
    panel: usize,
    x: [*const f32; ROWS],
    out: [*mut f32; ROWS],
}

impl Pieces {
    /// Those of no steps.
    #[inline(always)]
    pub(crate) fn none(layout: &Layout, lanes: usize, dims: Dims) -> Self {
        Pieces {
            dims,
            gates: layout.x_gates,
            lanes,
            x: [core::ptr::null(); AHEAD],
            out: [core::ptr::null_mut(); AHEAD],
            count: 0,
            two: false,
            next: Cell::new(0),
            limit: Cell::new(0),
        }
    }

    /// The input part of the steps from `first` on; `x` is `[rows, I]`, `out` `[AHEAD, x_gates*H]`. `None` if
    /// there are no such steps.
    #[inline(always)]
    pub(crate) fn begin<'a>(
        &'a mut self,
        walk: &Walk<'_>,
        first: usize,
        x: &'a [f32],
        out: &'a mut [f32],
    ) -> Result<Option<Ahead<'a>>, Wrong> {
        let dims = self.dims;
        let width = self.gates * dims.hidden;
        let fits = walk.batch() == 1 && x.len() == walk.rows() * dims.input && out.len() == AHEAD * width;
        check(fits, "steps ahead")?;
        let steps = walk.steps().saturating_sub(first).min(AHEAD);
        if steps == 0 {
            return Ok(None);
        }
        self.two = steps > ROWS;
        self.count = dims.hidden.div_ceil(self.lanes) << u32::from(self.two);
        self.next.set(0);
        self.limit.set(0);
        // The steps of one row are equally far apart.
        let start = walk.row(first, 0);
        let distance = if steps > 1 { walk.row(first + 1, 0).wrapping_sub(start) } else { 0 };
        let (start, distance) = (start * dims.input, distance.wrapping_mul(dims.input));
        let (x, out) = (x.as_ptr(), out.as_mut_ptr());
        for i in 0..AHEAD {
            // Missing steps are replaced by the last one, which is computed again.
            let step = i.min(steps - 1);
            self.x[i] = x.wrapping_add(start.wrapping_add(step.wrapping_mul(distance)));
            self.out[i] = out.wrapping_add(step * width);
        }
        Ok(Some(Ahead { pieces: self, buffers: PhantomData }))
    }
}

impl Ahead<'_> {
    /// Whether these steps belong to a layer of these sizes, with panels of `lanes` units.
    #[inline(always)]
    pub(super) fn is_of(&self, layout: &Layout, lanes: usize, Dims { input, hidden, .. }: Dims) -> bool {
        let of = self.pieces;
        (of.dims.input, of.dims.hidden, of.gates, of.lanes) == (input, hidden, layout.x_gates, lanes)
    }

    /// Distributes the pieces over the steps: sets how many must be taken by the end of step `t` of
    /// [`AHEAD`]. A step has twice as many tiles as it has pieces, so all of them are taken.
    #[inline(always)]
    pub(crate) fn allow(&self, t: usize) {
        let of = self.pieces;
        debug_assert!(of.next.get() == of.limit.get());
        of.limit.set((of.count * (t + 1) / AHEAD).min(of.count));
    }

    /// The next piece, if there is one left for this step.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<Piece> {
        let of = self.pieces;
        let next = of.next.get();
        if next >= of.limit.get() {
            return None;
        }
        of.next.set(next + 1);
        // The two pieces of a panel are consecutive, so that the second finds the weights in the cache.
        let (panel, half) = if of.two { (next / 2, next % 2) } else { (next, 0) };
        let mut piece = Piece { panel, x: [of.x[0]; ROWS], out: [of.out[0]; ROWS] };
        for m in 0..ROWS {
            piece.x[m] = of.x[(half * ROWS + m) % AHEAD];
            piece.out[m] = of.out[(half * ROWS + m) % AHEAD];
        }
        Some(piece)
    }
}

/// The weights of both parts of a step, and the bias that the projected sums of a panel start from.
#[derive(Clone, Copy)]
pub(super) struct Both<V, W> {
    /// The number of gates of each part.
    pub(super) gates: usize,
    /// The sum to which each gate of the hidden part is added.
    pub(super) map: [usize; 4],
    pub(super) x: W,
    pub(super) h: W,
    /// The bias of the piece's panel.
    pub(super) bias: [V; 4],
}

impl Piece {
    pub(super) fn panel(&self) -> usize {
        self.panel
    }

    /// Computes the hidden part of one row's step and this piece in one loop.
    /// # Safety
    /// `w` has the weights of both parts of a layer of these sizes. The `Ahead` that made this piece belongs
    /// to that layer and to the same `S` (see [`is_of`](Ahead::is_of)). Panels `panel..panel + NP` exist, and
    /// `h` is valid for reading `width` elements.
    #[inline(always)]
    pub(super) unsafe fn beside<S: Simd, W: Weight<S>, const NP: usize>(
        self,
        s: S,
        w: Both<S::V, W>,
        acc: &mut Acc<S::V, NP>,
        panel: usize,
        h: *const f32,
        Dims { input, hidden, width }: Dims,
    ) {
        let Both { gates, map, x, h: w_h, bias } = w;
        let both = input.min(width);
        // SAFETY: the caller's promise, for `i` below `input` and `width`. `out[m]` is a row of
        // `gates * hidden` elements, and the panel has units below `hidden`.
        unsafe {
            let mut sums = [bias; ROWS];
            for i in 0..both {
                let element = s.splat(*h.add(i));
                for p in 0..NP {
                    for g in 0..4 {
                        if g < gates {
                            let sum = &mut acc[p][map[g] % 4];
                            *sum = s.fma(element, w_h.get(s, panel + p, i, g), *sum);
                        }
                    }
                }
                self.input(s, &mut sums, gates, x, i);
            }
            // The rest of the longer part.
            accumulate(s, acc, gates, map, w_h.skip(both), panel, h.add(both), width - both);
            for i in both..input {
                self.input(s, &mut sums, gates, x, i);
            }
            let unit = self.panel * S::LANES;
            for m in 0..ROWS {
                for g in 0..4 {
                    if g < gates {
                        store(s, self.out[m].add(g * hidden + unit), sums[m][g], hidden - unit);
                    }
                }
            }
        }
    }

    /// Adds the products with input `i` of each row.
    /// # Safety
    /// Input `i` exists, and the weights have the piece's panel.
    #[inline(always)]
    unsafe fn input<S: Simd, W: Weight<S>>(
        &self,
        s: S,
        sums: &mut [[S::V; 4]; ROWS],
        gates: usize,
        w: W,
        i: usize,
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            let elements = each_element(s, &self.x, i);
            for g in 0..4 {
                if g < gates {
                    let weight = w.get(s, self.panel, i, g);
                    for m in 0..ROWS {
                        sums[m][g] = s.fma(elements[m], weight, sums[m][g]);
                    }
                }
            }
        }
    }
}

/// Element `i` of each row, broadcast to all lanes.
/// # Safety
/// Each row has an element `i`.
#[inline(always)]
unsafe fn each_element<S: Simd>(s: S, x: &[*const f32; ROWS], i: usize) -> [S::V; ROWS] {
    let mut out = [s.splat(0.0); ROWS];
    for m in 0..ROWS {
        // SAFETY: promised by the caller.
        out[m] = s.splat(unsafe { *x[m].add(i) });
    }
    out
}
