//! Tiles: `MB` rows times `NP` panels of outputs that stay in registers while k runs.
//!
//! A panel is one vector of output units, with one accumulator for each gate. Every output element is
//! one chain of fused multiply-adds in ascending k, whatever the tile's shape, so that the bits do not
//! depend on the batch, on the chunking or on the width of the vector. Splitting k into several chains
//! would break this; it gained nothing where it was measured, because a few panels at once
//! give as many independent chains.
//!
//! Cutting k into blocks that stay in the first-level cache while all rows go over them, with the unfinished sums kept
//! on the stack, changed an LSTM of 32 rows by +3 % (H = 128) and -3 % (H = 512) on Zen 3: the second level keeps up.

use super::walk::Rows;
use crate::simd::{Region, Simd};

/// Accumulators of a tile: `[row][panel][accumulator]`. Those that a cell does not use cost nothing.
pub(crate) type Acc<V, const MB: usize, const NP: usize> = [[[V; 4]; NP]; MB];

/// Whether this is a vector unit with registers for large tiles, and not the portable set.
pub(crate) const fn has_vectors<S: Simd>() -> bool {
    S::ACCUMULATORS >= 12
}

/// Panels of the widest tile.
pub(crate) const WIDEST: usize = 8;

/// What is done for one tile of outputs.
pub(crate) trait Tile<S: Simd> {
    /// Accumulators of one row of one panel.
    const ACC: usize;

    /// How many panels may be taken at once, if the registers hold them.
    #[inline(always)]
    fn widest(&self) -> usize {
        WIDEST
    }

    /// Computes these rows of panels `panel..panel + NP`. Implementations are `#[inline(always)]`.
    /// # Safety
    /// Those rows and panels exist in the tile's buffers.
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize);
}

/// Whether the registers hold so many rows and panels, of `acc` accumulators each.
///
/// Each row holds one more register, its element: four rows of three accumulators do not fit into 16, and
/// LLVM keeps one of the sums in memory (a GRU's projection took twice as long).
#[inline(always)]
const fn fits<S: Simd>(acc: usize, mb: usize, np: usize) -> bool {
    (mb * np * acc <= S::ACCUMULATORS && mb <= S::ACCUMULATORS / 4) || (mb == 1 && np == 1)
}

/// Covers `rows` times `panels` with the largest tiles that the registers hold. Rows that take no part cost nothing but the
/// looking for the next one that does.
///
/// Panels are the outer loop: the weights of a group of panels are read for one block of rows after
/// the other while they are in the cache.
/// # Safety
/// All rows and panels exist in the tile's buffers.
#[inline(always)]
pub(crate) unsafe fn drive<S: Simd, T: Tile<S>>(s: S, tile: &T, rows: Rows<'_>, panels: usize) {
    // SAFETY: the caller's.
    unsafe { drive_step(s, tile, rows, panels, 0) }
}

/// The same for step `t` of many over the same panels: every other step begins with those that the step before ended with,
/// because they are still in the cache. 100 steps of one row of 512 units take 6 % less time so for an RNN, whose `w_hh` has the size of
/// the second-level cache, and 1 to 2 % for an LSTM or a GRU (Zen 4).
/// # Safety
/// As for [`drive`].
#[inline(always)]
pub(crate) unsafe fn drive_step<S: Simd, T: Tile<S>>(
    s: S,
    tile: &T,
    rows: Rows<'_>,
    panels: usize,
    t: usize,
) {
    if rows.count() == 0 {
        return;
    }
    // With few rows, several panels at once make up for the missing chains.
    let wide = rows.count().min(if S::ACCUMULATORS >= 24 { 6 } else { 3 });
    let descending = !t.is_multiple_of(2);
    let mut left = panels;
    while left > 0 {
        macro_rules! group {
            ($($np:literal)*) => {$(
                if const { fits::<S>(T::ACC, 1, $np) } && fits::<S>(T::ACC, wide, $np) && left >= $np && tile.widest() >= $np {
                    let panel = if descending { left - $np } else { panels - left };
                    // SAFETY: `panel + $np <= panels`, and the caller's promise for all rows.
                    s.call(unsafe { Column::<S, T, $np>::new(s, tile, &rows, panel) });
                    left -= $np;
                    continue;
                }
            )*};
        }
        group!(8 4 2);
        let panel = if descending { left - 1 } else { panels - left };
        // SAFETY: `panel < panels`, and the caller's promise for all rows.
        s.call(unsafe { Column::<S, T, 1>::new(s, tile, &rows, panel) });
        left -= 1;
    }
}

/// Whether a single tile covers one row of so many panels, of `acc` accumulators each. `widest` is that of [`Tile`].
#[inline(always)]
pub(crate) const fn is_one_tile<S: Simd>(acc: usize, widest: usize, panels: usize) -> bool {
    matches!(panels, 1 | 2 | 4 | 8) && panels <= widest && fits::<S>(acc, 1, panels)
}

/// Covers one row, the first, with tiles that are compiled right here. `ONE` promises that it is [a single one](is_one_tile): then
/// nothing is done if it is not.
/// # Safety
/// As for [`drive`].
#[inline(always)]
pub(crate) unsafe fn drive_row<S: Simd, T: Tile<S>, const ONE: bool>(s: S, tile: &T, panels: usize) {
    let widest = tile.widest();
    debug_assert!(!ONE || is_one_tile::<S>(T::ACC, widest, panels));
    // A single tile has code of its own, in which all offsets are constants.
    macro_rules! one {
        ($($np:literal)*) => {$(
            if const { fits::<S>(T::ACC, 1, $np) } && panels == $np && widest >= $np {
                // SAFETY: the caller's promise.
                return unsafe { tile.run::<1, $np>(s, [0], 0) };
            }
        )*};
    }
    one!(1 2 4 8);
    let mut panel = 0;
    macro_rules! many {
        ($($np:literal)*) => {$(
            while !ONE && const { fits::<S>(T::ACC, 1, $np) } && widest >= $np && panels - panel >= $np {
                // SAFETY: `panel + $np <= panels`, and the caller's promise.
                unsafe { tile.run::<1, $np>(s, [0], panel) };
                panel += $np;
            }
        )*};
    }
    many!(8 4 2 1);
}

/// All rows of one group of panels. A rest of less than two tiles is cut in halves, so that no tile is left nearly empty.
struct Column<'a, S, T, const NP: usize> {
    s: S,
    tile: &'a T,
    // By reference: as a whole it would be copied right after its fields were stored, for which the copy has to wait.
    rows: &'a Rows<'a>,
    panel: usize,
}

impl<'a, S: Simd, T: Tile<S>, const NP: usize> Column<'a, S, T, NP> {
    const MOST: usize = {
        let mut most = 6;
        while most > 1 && (most == 5 || !fits::<S>(T::ACC, most, NP)) {
            most -= 1;
        }
        most
    };

    /// # Safety
    /// As for [`drive`].
    #[inline(always)]
    unsafe fn new(s: S, tile: &'a T, rows: &'a Rows<'a>, panel: usize) -> Self {
        Column { s, tile, rows, panel }
    }
}

impl<S: Simd, T: Tile<S>, const NP: usize> Region for Column<'_, S, T, NP> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Column { s, tile, rows, panel } = self;
        let (mut left, mut row) = (rows.count(), 0);
        while left > 0 {
            let take = if left > Self::MOST && left < 2 * Self::MOST { left.div_ceil(2) } else { left };
            macro_rules! block {
                ($($mb:literal)*) => {$(
                    if const { fits::<S>(T::ACC, $mb, NP) } && take >= $mb {
                        let mut block = [0; $mb];
                        for m in 0..$mb {
                            block[m] = rows.next(row);
                            row = block[m] + 1;
                        }
                        // SAFETY: of `rows` at least `$mb` were left, and the promise made to `new`.
                        unsafe { tile.run::<$mb, NP>(s, block, panel) };
                        left -= $mb;
                        continue;
                    }
                )*};
            }
            block!(6 4 3 2 1);
        }
    }
}

/// An array with an element for each row of a tile. A loop and not `array::from_fn`, whose closures are left as calls and
/// take the compiler long.
macro_rules! each_row {
    (|$m:ident| $e:expr) => {{
        let mut out = [{
            let $m = 0;
            $e
        }; MB];
        for $m in 1..MB {
            out[$m] = $e;
        }
        out
    }};
}
pub(super) use each_row;

/// One vector of weights: how a tile reads them, whatever their type and layout.
pub(crate) trait Weight<S: Simd>: Copy {
    /// The weights of output panel `panel` for gate `g` of row `k`.
    /// # Safety
    /// They exist in the buffer.
    unsafe fn get(self, s: S, panel: usize, k: usize, g: usize) -> S::V;

    /// The weights from row `rows` on.
    fn skip(self, rows: usize) -> Self;

    /// Where the weights of a panel's first gate stand for `k` = 0, and how far it is to those of the next gate, or with one gate
    /// to those of the next panel, if a vector has one lane and the weights of the other rows follow.
    #[inline(always)]
    fn chains(self, _panel: usize, _gates: usize) -> Option<(*const f32, usize)> {
        None
    }

    /// Where the weights of a panel stand for `k` = 0, and how far it is to those for the next `k`, if there is one gate and
    /// the panels stand side by side.
    #[inline(always)]
    fn side_by_side(self, _panel: usize) -> Option<(*const f32, usize)> {
        None
    }
}

/// Calls `f` with the number of each chain, its panel and its gate, one of which there is one of. The bounds are such that
/// the compiler sees them, so that there is no path that panics even where loops are not unrolled.
#[inline(always)]
fn each_chain<const NP: usize>(gates: usize, mut f: impl FnMut(usize, usize, usize)) {
    for j in 0..4 {
        let (p, g) = if NP == 1 { (0, j) } else { (j, 0) };
        if p < NP && g < gates {
            f(j, p, g);
        }
    }
}

/// `acc[m][p][map[g]] += a[m][i] * weight(p, i, g)` for i ascending from 0 to `k`.
/// # Safety
/// Each `a[m]` is valid for reading elements `i * a_step`, and the weights exist, for all `i < k`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn accumulate<S: Simd, W: Weight<S>, const MB: usize, const NP: usize>(
    s: S,
    acc: &mut Acc<S::V, MB, NP>,
    gates: usize,
    map: [usize; 4],
    weight: W,
    panel: usize,
    a: [*const f32; MB],
    a_step: usize,
    k: usize,
) {
    if MB == 1
        && a_step == 1
        && (NP == 1 || gates == 1)
        && (1..=S::CHAINS).contains(&(NP * gates))
        && let Some(w) = weight.chains(panel, gates)
    {
        let mut chains = [s.splat(0.0); 4];
        each_chain::<NP>(gates, |j, p, g| chains[j] = acc[0][p][map[g] % 4]);
        // SAFETY: `NP * gates <= CHAINS`, just checked. `a[0]` is valid for `k` elements by the caller's promise; `chains` gave the
        // start and the distance of the `k` weights of each chain, which exist by the same promise.
        unsafe { s.chains(&mut chains, NP * gates, a[0], w, k) };
        each_chain::<NP>(gates, |j, p, g| acc[0][p][map[g] % 4] = chains[j]);
        return;
    }
    if MB == 1
        && S::SUMS
        && gates == 1
        && matches!(NP, 1 | 2 | 4)
        && let Some(w) = weight.side_by_side(panel)
    {
        let mut sums = [s.splat(0.0); 4];
        for p in 0..NP {
            sums[p] = acc[0][p][map[0]];
        }
        // SAFETY: `SUMS`, and `NP` of 1, 2 or 4, just checked; the caller's promise for `a[0]` and for `k` rows of `NP` whole
        // vectors side by side.
        unsafe { s.sums(&mut sums, NP, (a[0], a_step), w, k) };
        for p in 0..NP {
            acc[0][p][map[0]] = sums[p];
        }
        return;
    }
    for i in 0..k {
        let mut b = [s.splat(0.0); MB];
        for m in 0..MB {
            // SAFETY: the caller's promise for `i < k`.
            b[m] = s.splat(unsafe { *a[m].add(i * a_step) });
        }
        for p in 0..NP {
            for g in 0..4 {
                if g < gates {
                    // SAFETY: the caller's promise for `i < k`.
                    let w = unsafe { weight.get(s, panel + p, i, g) };
                    for m in 0..MB {
                        let sum = &mut acc[m][p][map[g] % 4];
                        *sum = s.fma(b[m], w, *sum);
                    }
                }
            }
        }
    }
}

/// A whole vector where there is room for one, otherwise the `left` elements that there are.
/// # Safety
/// `p` is valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, left: usize) -> S::V {
    // SAFETY: the caller's; a part is loaded only where `left < LANES`.
    unsafe { if left >= S::LANES { s.load(p) } else { s.load_n(p, left) } }
}

/// A whole vector where there is room for one, otherwise the `left` elements that there are.
/// # Safety
/// `p` is valid for writing `left` elements.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, left: usize) {
    // SAFETY: the caller's; a part is stored only where `left < LANES`.
    unsafe { if left >= S::LANES { s.store(p, v) } else { s.store_n(p, v, left) } }
}

/// The same `left` units of the first `count` planes of a row of the tape.
/// # Safety
/// `p` and what is `plane`, `2 * plane`, ... elements after it are valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load_planes<S: Simd>(
    s: S,
    p: *const f32,
    plane: usize,
    count: usize,
    left: usize,
) -> [S::V; 4] {
    let mut v = [s.splat(0.0); 4];
    for a in 0..count {
        // SAFETY: the caller's.
        v[a] = unsafe { load(s, p.add(a * plane), left) };
    }
    v
}
