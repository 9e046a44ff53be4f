//! Whole vectors, and the partial vector at the end of a row.

use crate::simd::Simd;

/// Whether this instruction set has vectors with registers for large tiles, so is not a portable one.
pub(crate) const fn has_vectors<S: Simd>() -> bool {
    S::ACCUMULATORS >= 12
}

/// `each!(i, n, { ... })` is `for i in 0..n { ... }` with a third of its LLVM before optimisation: for tiles,
/// of which there are hundreds of copies.
macro_rules! each {
    ($i:ident, $n:expr, $body:block) => {{
        let mut index = 0;
        while index < $n {
            let $i = index;
            $body
            index += 1;
        }
    }};
}
pub(crate) use each;

/// A whole vector if `left` is at least `LANES`, otherwise only the `left` elements.
/// # Safety
/// `p` is valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, left: usize) -> S::V {
    // SAFETY: the caller's promise; a part is loaded only where `left < LANES`.
    unsafe { if left >= S::LANES { s.load(p) } else { s.load_n(p, left) } }
}

/// A whole vector if `left` is at least `LANES`, otherwise only the `left` elements.
/// # Safety
/// `p` is valid for writing `left` elements.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, left: usize) {
    // SAFETY: the caller's promise; a part is stored only where `left < LANES`.
    unsafe { if left >= S::LANES { s.store(p, v) } else { s.store_n(p, v, left) } }
}

/// Loads vector `n` of `N` that follow each other. Only the last one may be a part, of `left` elements. So
/// there is one branch: a branch for each vector would keep the compiler from computing them side by side.
/// # Safety
/// As for [`load`]; `left` is at least `LANES` for vectors before the last one.
#[inline(always)]
pub(crate) unsafe fn load_one_of<S: Simd, const N: usize>(
    s: S,
    n: usize,
    p: *const f32,
    left: usize,
) -> S::V {
    debug_assert!(n + 1 == N || left >= S::LANES);
    // SAFETY: the caller's promise.
    unsafe { if n + 1 < N { s.load(p) } else { load(s, p, left) } }
}

/// Stores vector `n` of `N`, in the same way.
/// # Safety
/// As for [`store`]; `left` is at least `LANES` for vectors before the last one.
#[inline(always)]
pub(crate) unsafe fn store_one_of<S: Simd, const N: usize>(
    s: S,
    n: usize,
    p: *mut f32,
    v: S::V,
    left: usize,
) {
    debug_assert!(n + 1 == N || left >= S::LANES);
    // SAFETY: the caller's promise.
    unsafe { if n + 1 < N { s.store(p, v) } else { store(s, p, v, left) } }
}

/// Loads the same units of the first `count` planes of a row: a whole vector each, or the `left` units.
/// # Safety
/// `p`, and the addresses `plane`, `2 * plane`, ... elements after it, are valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load_planes<S: Simd>(
    s: S,
    p: *const f32,
    plane: usize,
    count: usize,
    left: usize,
) -> [S::V; 4] {
    let mut v = [s.splat(0.0); 4];
    for a in 0..4 {
        if a < count {
            // SAFETY: the caller's promise.
            v[a] = unsafe { load(s, p.add(a * plane), left) };
        }
    }
    v
}
