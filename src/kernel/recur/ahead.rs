//! The input part of the steps to come, computed while a step of one row waits for its weights.
//!
//! A step of one row reads every hidden weight for a single multiply-add, so that the multipliers are idle most of the time. The input
//! part of later steps reads each weight for several rows and keeps them busy. Both in one loop hide one behind the other:
//! 100 steps of an LSTM take 6, 13 and 9 % less time for 32, 128 and 512 units, those of a GRU 2, 11 and 8 % (AVX-512 on Zen 4,
//! `cargo bench --bench sequences -- b1t100`). It takes 32 registers; with NEON it is tested and not measured.

use core::cell::Cell;
use core::marker::PhantomData;

use super::Layout;
use crate::kernel::canonical::Dims;
use crate::kernel::pack::Source;
use crate::kernel::tile::{Acc, Weight, accumulate, store};
use crate::kernel::walk::Walk;
use crate::simd::Simd;

/// Steps whose input part is computed during as many steps before them.
pub(crate) const AHEAD: usize = 8;

/// Those that are computed at once, and panels of the step itself: their sums fill 24 registers.
const ROWS: usize = 4;
pub(super) const PANELS: usize = 2;

/// The input part of up to [`AHEAD`] steps of a batch of one row, in pieces of `ROWS` steps of one panel.
pub(crate) struct Ahead<'a> {
    dims: Dims,
    /// Gates of the input weights, and units of a panel.
    gates: usize,
    lanes: usize,
    x: [*const f32; AHEAD],
    out: [*mut f32; AHEAD],
    /// Pieces, and whether there are two of each panel, for the first steps and for the others.
    count: usize,
    two: bool,
    next: Cell<usize>,
    /// Those that may be taken in this step.
    limit: Cell<usize>,
    buffers: PhantomData<(&'a [f32], &'a mut [f32])>,
}

/// Whether a step of so many panels leaves registers for a piece.
pub(crate) const fn has_room<S: Simd, E: Layout>(panels: usize) -> bool {
    S::ACCUMULATORS >= 24 && E::ACC == 4 && panels <= PANELS
}

/// One piece.
pub(super) struct Piece {
    panel: usize,
    x: [*const f32; ROWS],
    out: [*mut f32; ROWS],
}

impl<'a> Ahead<'a> {
    /// The steps from `first` on; `x` is `[rows, I]`, `out` `[AHEAD, XG*H]`. `None` if there are none.
    ///
    /// Buffers of a wrong length, or several batch rows, are a mistake of the floor above: there is nothing then, either.
    #[inline(always)]
    pub(crate) fn new<S: Simd, E: Layout>(
        _: S,
        walk: &Walk<'a>,
        dims: Dims,
        first: usize,
        x: &'a [f32],
        out: &'a mut [f32],
    ) -> Option<Self> {
        let width = E::XG * dims.hidden;
        let fits = walk.batch() == 1 && x.len() == walk.rows() * dims.input && out.len() == AHEAD * width;
        debug_assert!(fits);
        let steps = walk.steps().saturating_sub(first).min(AHEAD);
        if !fits || steps == 0 {
            return None;
        }
        let (two, out) = (steps > ROWS, out.as_mut_ptr());
        let mut to = Ahead {
            dims,
            gates: E::XG,
            lanes: S::LANES,
            x: [x.as_ptr(); AHEAD],
            out: [out; AHEAD],
            count: dims.hidden.div_ceil(S::LANES) << u32::from(two),
            two,
            next: Cell::new(0),
            limit: Cell::new(0),
            buffers: PhantomData,
        };
        for i in 0..AHEAD {
            // The last one takes the place of those that do not exist, and is computed again.
            let step = i.min(steps - 1);
            to.x[i] = x.as_ptr().wrapping_add(walk.row(first + step, 0) * dims.input);
            to.out[i] = out.wrapping_add(step * width);
        }
        Some(to)
    }

    /// Whether these are the steps of a layer of such sizes, in such panels.
    #[inline(always)]
    pub(super) fn is_of<S: Simd, E: Layout>(&self, Dims { input, hidden, .. }: Dims) -> bool {
        (self.dims.input, self.dims.hidden, self.gates, self.lanes) == (input, hidden, E::XG, S::LANES)
    }

    /// Shares the pieces out: by the end of step `t` of [`AHEAD`] so many of them are to be taken. A step has twice as many tiles as it
    /// has pieces, so that none is left.
    #[inline(always)]
    pub(crate) fn allow(&self, t: usize) {
        debug_assert!(self.next.get() == self.limit.get());
        self.limit.set((self.count * (t + 1) / AHEAD).min(self.count));
    }

    /// The next piece, while there are some for this step.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<Piece> {
        let next = self.next.get();
        if next >= self.limit.get() {
            return None;
        }
        self.next.set(next + 1);
        // Both of a panel follow each other, because the second finds the weights in the cache.
        let (panel, half) = if self.two { (next / 2, next % 2) } else { (next, 0) };
        let mut piece = Piece { panel, x: [self.x[0]; ROWS], out: [self.out[0]; ROWS] };
        for m in 0..ROWS {
            piece.x[m] = self.x[(half * ROWS + m) % AHEAD];
            piece.out[m] = self.out[(half * ROWS + m) % AHEAD];
        }
        Some(piece)
    }
}

impl Piece {
    /// # Safety
    /// The weights fit the layout `E`, and the `Ahead` that this is a piece of [is](Ahead::is_of) of it and of their sizes.
    #[inline(always)]
    unsafe fn biases<S: Simd, E: Layout, W: Source<S>>(&self, s: S, w: W) -> Acc<S::V, ROWS, 1> {
        // SAFETY: the panel is one of those weights, by the caller's promise.
        [[unsafe { w.bias::<E>(s, self.panel) }]; ROWS]
    }

    /// # Safety
    /// The `Ahead` that this is a piece of [is](Ahead::is_of) of the layout `E`, of vectors of `S`, and of so many hidden units.
    #[inline(always)]
    unsafe fn store<S: Simd, E: Layout>(&self, s: S, sums: Acc<S::V, ROWS, 1>, hidden: usize) {
        let unit = self.panel * S::LANES;
        for m in 0..ROWS {
            for g in 0..E::XG {
                // SAFETY: `out[m]` is a row of `XG * hidden` elements, and the panel has units below `hidden`.
                unsafe { store(s, self.out[m].add(g * hidden + unit), sums[m][0][g], hidden - unit) };
            }
        }
    }

    /// The hidden part of the sums of one row's step and this piece, in one loop.
    /// # Safety
    /// The weights fit the layout `E` and these sizes, and the `Ahead` that this is a piece of [is](Ahead::is_of) of both, for the same
    /// `S`. Panels `panel..panel + NP` exist, and `h` is valid for reading `width` elements.
    #[inline(always)]
    pub(super) unsafe fn beside<S: Simd, E: Layout, W: Source<S>, const NP: usize>(
        self,
        s: S,
        w: W,
        acc: &mut [[S::V; 4]; NP],
        panel: usize,
        h: *const f32,
        Dims { input, hidden, width }: Dims,
    ) {
        let (w_x, w_h) = (w.x::<E>(), w.h::<E>());
        let both = input.min(width);
        // SAFETY: the caller's promise, for `i` below `input` and `width`.
        unsafe {
            let mut sums = self.biases::<S, E, W>(s, w);
            for i in 0..both {
                let element = s.splat(*h.add(i));
                for p in 0..NP {
                    for g in 0..E::HG {
                        let sum = &mut acc[p][E::HMAP[g] % 4];
                        *sum = s.fma(element, w_h.get(s, panel + p, i, g), *sum);
                    }
                }
                let elements = each_element(s, &self.x, i);
                for g in 0..E::XG {
                    let weight = w_x.get(s, self.panel, i, g);
                    for m in 0..ROWS {
                        sums[m][0][g] = s.fma(elements[m], weight, sums[m][0][g]);
                    }
                }
            }
            // What one of them has more.
            let mut row = [*acc];
            accumulate(s, &mut row, E::HG, E::HMAP, w_h.skip(both), panel, [h.add(both)], 1, width - both);
            *acc = row[0];
            let mut x = self.x;
            for x in &mut x {
                *x = x.add(both);
            }
            let gates = [0, 1, 2, 3];
            accumulate(s, &mut sums, E::XG, gates, w_x.skip(both), self.panel, x, 1, input - both);
            self.store::<S, E>(s, sums, hidden);
        }
    }
}

/// Element `i` of each row, in all lanes.
/// # Safety
/// There is one.
#[inline(always)]
unsafe fn each_element<S: Simd>(s: S, x: &[*const f32; ROWS], i: usize) -> [S::V; ROWS] {
    let mut out = [s.splat(0.0); ROWS];
    for m in 0..ROWS {
        // SAFETY: the caller's.
        out[m] = s.splat(unsafe { *x[m].add(i) });
    }
    out
}
