//! The tile of one row: the sums of `NP` panels of outputs, which stay in registers while k runs.
//!
//! A panel is one vector of output units, with one sum for each gate. Every output element is one chain of
//! fused multiply-adds in ascending k, whatever the tile's shape. So the bits do not depend on the batch, on
//! how a sequence is cut into calls, or on the width of the vector. Splitting k into several chains would
//! break this. It gained nothing in measurements, because a few panels at once give as many independent
//! chains.
//!
//! Batches use [`sums`](super::sums), which knows no cell. A step of one small row computes its equations in
//! the tile's registers: see `kernel/step/row.rs`.

use crate::simd::{ByteRows, NARROW_IN_PLACE, Simd};

/// Sums of a tile: `[panel][sum]`. Sums that a cell does not use cost nothing.
pub(crate) type Acc<V, const NP: usize> = [[V; 4]; NP];

/// The number of panels of the widest tile.
pub(crate) const WIDEST: usize = 8;

/// The computation of one tile of outputs of one row.
pub(crate) trait Tile<S: Simd> {
    /// The number of sums of one panel.
    const SUMS: usize;

    /// The largest number of panels that may be taken at once, if the registers hold them.
    #[inline(always)]
    fn widest(&self) -> usize {
        WIDEST
    }

    /// Computes panels `panel..panel + NP`. Implementations are `#[inline(always)]`.
    /// # Safety
    /// Those panels exist in the tile's buffers.
    unsafe fn run<const NP: usize>(&self, s: S, panel: usize);
}

/// Whether the registers hold a tile of `rows` rows and `panels` panels, with `sums` sums each.
///
/// Each row needs one more register, for its element. Four rows of three sums do not fit into 16 registers:
/// LLVM keeps one of the sums in memory, and a GRU's projection took twice as long.
#[inline(always)]
pub(super) const fn fits<S: Simd>(sums: usize, rows: usize, panels: usize) -> bool {
    (rows * panels * sums <= S::ACCUMULATORS && rows <= S::ACCUMULATORS / 4) || (rows == 1 && panels == 1)
}

/// Whether a single tile covers one row of `panels` panels, with `sums` sums each. `widest` is that of
/// [`Tile`].
#[inline(always)]
pub(crate) const fn is_one_tile<S: Simd>(sums: usize, widest: usize, panels: usize) -> bool {
    matches!(panels, 1 | 2 | 3 | 4 | 8) && panels <= widest && fits::<S>(sums, 1, panels)
}

/// Whether tiles of several panels pay for one row. They do not for single lanes on targets with vectors,
/// where that code is not used for speed.
const fn several<S: Simd>() -> bool {
    S::LANES > 1 || !crate::simd::HAS_VECTORS
}

/// Whether one row is covered with tiles of this many panels, among others.
const fn takes<S: Simd>(sums: usize, panels: usize) -> bool {
    match panels {
        1 => true,
        3 => S::LANES > 1 && fits::<S>(sums, 1, 3),
        _ => several::<S>() && fits::<S>(sums, 1, panels),
    }
}

/// Covers one row with tiles, which are inlined here. With `descending`, it goes from the last panel to the
/// first. If successive steps alternate between the two orders, each begins with the panels that the step
/// before ended with, which are still in the cache.
/// # Safety
/// All panels exist in the tile's buffers.
#[inline(always)]
pub(crate) unsafe fn drive_row<S: Simd, T: Tile<S>>(s: S, tile: &T, panels: usize, descending: bool) {
    let widest = tile.widest();
    // A single tile has separate code, in which all offsets are constants.
    macro_rules! one {
        ($($np:literal)*) => {$(
            if const { fits::<S>(T::SUMS, 1, $np) && crate::kernel::vector::has_vectors::<S>() } && panels == $np && widest >= $np {
                // SAFETY: the caller's promise.
                return unsafe { tile.run::<$np>(s, 0) };
            }
        )*};
    }
    one!(1 2 3 4 8);
    let mut left = panels;
    // The last three panels are one tile: a tile of a single panel waits for its chains.
    macro_rules! many {
        ($($np:literal)*) => {$(
            while const { takes::<S>(T::SUMS, $np) } && widest >= $np && left >= $np && ($np != 3 || left == 3) {
                let panel = if descending { left - $np } else { panels - left };
                // SAFETY: `panel + $np <= panels`, and the caller's promise.
                unsafe { tile.run::<$np>(s, panel) };
                left -= $np;
            }
        )*};
    }
    many!(8 4 3 2 1);
}

/// How a tile of one row reads vectors of weights.
pub(crate) trait Weight<S: Simd>: Copy {
    /// The weights of output panel `panel` for gate `g` of row `k`.
    /// # Safety
    /// They exist in the buffer.
    unsafe fn get(self, s: S, panel: usize, k: usize, g: usize) -> S::V;

    /// The weights from row `rows` on.
    fn skip(self, rows: usize) -> Self;

    /// The address of the weights of a panel's first gate for `k` = 0, and the distance to those of the next
    /// gate, or with one gate to those of the next panel. `Some` only if a vector has one lane and the
    /// weights for the other `k` follow each other.
    #[inline(always)]
    fn chains(self, _panel: usize, _gates: usize) -> Option<(*const f32, usize)> {
        None
    }

    /// Does what [`accumulate`] does, if it returns true.
    /// # Safety
    /// As for [`accumulate`].
    #[inline(always)]
    unsafe fn sums<const NP: usize>(
        self,
        _s: S,
        _acc: &mut Acc<S::V, NP>,
        _map: [usize; 4],
        _panel: usize,
        _x: *const f32,
        _k: usize,
    ) -> bool {
        false
    }

    /// The weights of a panel's gates, or with one gate those of some panels, as rows of integers. Then `x`
    /// of a sum is a row of integers, too. `Some` only if a vector has one lane.
    #[inline(always)]
    fn byte_rows(self, _panel: usize, _gates: usize) -> Option<ByteRows> {
        None
    }
}

/// Calls `f(chain, panel, gate)` for every chain. There is either one panel or one gate. The bounds are
/// visible to the compiler, so no panicking path remains even where loops are not unrolled.
#[inline(always)]
pub(super) fn each_chain<const NP: usize>(gates: usize, mut f: impl FnMut(usize, usize, usize)) {
    for j in 0..4 {
        let (p, g) = if NP == 1 { (0, j) } else { (j, 0) };
        if p < NP && g < gates {
            f(j, p, g);
        }
    }
}

/// `acc[p][map[g]] += x[i] * weight(p, i, g)` for i ascending from 0 to `k`.
/// # Safety
/// `x` is valid for reading `k` elements, and the weights exist for all `i < k`. If the weights are rows of
/// integers, `x` is what [`Source::ready`](super::source::Source::ready) has made of such a row.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn accumulate<S: Simd, W: Weight<S>, const NP: usize>(
    s: S,
    acc: &mut Acc<S::V, NP>,
    gates: usize,
    map: [usize; 4],
    weight: W,
    panel: usize,
    x: *const f32,
    k: usize,
) {
    if const { NP <= S::CHAINS }
        && (NP == 1 || gates == 1)
        && (1..=S::CHAINS).contains(&(NP * gates))
        && let Some(w) = weight.chains(panel, gates)
    {
        let mut chains = [s.splat(0.0); 4];
        each_chain::<NP>(gates, |j, p, g| chains[j] = acc[p][map[g] % 4]);
        // SAFETY: `NP * gates <= CHAINS`, just checked. `x` is valid for `k` elements by the caller's
        // promise. `weight.chains` returned the start and the distance of the `k` weights of each chain,
        // which exist by the same promise.
        unsafe { s.chains(&mut chains, NP * gates, x, w, k) };
        each_chain::<NP>(gates, |j, p, g| acc[p][map[g] % 4] = chains[j]);
        return;
    }
    if const { NP <= 4 && S::LANES == 1 && NARROW_IN_PLACE }
        && (NP == 1 || gates == 1)
        && gates <= 4
        && let Some(w) = weight.byte_rows(panel, gates)
    {
        let mut sums = [s.splat(0.0); 4];
        each_chain::<NP>(gates, |j, p, g| sums[j] = acc[p][map[g] % 4]);
        // SAFETY: `NP * gates <= 4`, just checked. The rows exist by the caller's promise, and `x` was made
        // for them.
        unsafe { s.byte_rows(&mut sums, NP * gates, x, w) };
        each_chain::<NP>(gates, |j, p, g| acc[p][map[g] % 4] = sums[j]);
        return;
    }
    // SAFETY: the caller's promise.
    if unsafe { weight.sums(s, acc, map, panel, x, k) } {
        return;
    }
    for i in 0..k {
        // SAFETY: the caller's promise for `i < k`.
        let x = s.splat(unsafe { *x.add(i) });
        for p in 0..NP {
            for g in 0..4 {
                if g < gates {
                    // SAFETY: the caller's promise for `i < k`.
                    let w = unsafe { weight.get(s, panel + p, i, g) };
                    let sum = &mut acc[p][map[g] % 4];
                    *sum = s.fma(x, w, *sum);
                }
            }
        }
    }
}
