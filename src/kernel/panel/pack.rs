//! Packs canonical weights into gate-interleaved panels, and finds them there.
//!
//! A panel holds all weights of `L` hidden units in the order in which a tile reads them. `L` is the number
//! of lanes of a vector:
//!
//! ```text
//! bias   [sums][L]         b_ih + b_hh where both feed the same sum
//! input  [I][x_gates][L]   for each input k: the gates' L weights
//! hidden [H][h_gates][L]   for each hidden k: the gates' L weights
//! ```
//!
//! Units past the last one are zero.

use core::marker::PhantomData;

pub(crate) use super::canonical::{Canonical, Dims};
use super::layout::Layout;
use super::sums::Right;
use crate::kernel::vector::load;
use crate::simd::{HAS_VECTORS, MAX_LANES, Region, Simd};

/// The sizes of a layer's panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    panels: usize,
    /// Elements of a panel, and in `before` those before its hidden weights.
    panel: usize,
    before: usize,
}

impl Sizes {
    /// Without units there are no panels. The other sizes are not validated by any weights then, and may wrap
    /// around.
    #[inline(always)]
    const fn new(layout: &Layout, lanes: usize, Dims { input, hidden, width }: Dims) -> Self {
        let before = layout.x_gates.wrapping_mul(input).wrapping_add(layout.sums).wrapping_mul(lanes);
        let panel = (lanes * layout.h_gates).wrapping_mul(width).wrapping_add(before);
        Sizes { panels: hidden.div_ceil(lanes), panel, before }
    }

    /// Elements of all panels.
    const fn len(self) -> usize {
        self.panels * self.panel
    }
}

/// Packs into the first elements of `out`, and returns the rest of it.
pub(crate) fn pack<'o>(layout: &Layout, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
    let dims = w.shape().dims();
    let Dims { input, hidden, width } = dims;
    let sizes = Sizes::new(layout, lanes, dims);
    let (out, rest) = out.split_at_mut(sizes.len());
    debug_assert!(layout.gates() <= w.shape().gates);
    if sizes.len() == 0 || layout.gates() > w.shape().gates {
        return rest;
    }
    for (index, panel) in out.chunks_exact_mut(sizes.panel).enumerate() {
        let first = index * lanes;
        let (bias, panel) = panel.split_at_mut(layout.sums * lanes);
        let (x, h) = panel.split_at_mut(layout.x_gates * input * lanes);
        for (sum, bias) in bias.chunks_exact_mut(lanes).enumerate() {
            for (lane, bias) in bias.iter_mut().enumerate() {
                let unit = first + lane;
                // SAFETY: the gates and `unit < hidden` have just been checked.
                *bias = if unit < hidden { unsafe { w.bias(layout, sum, unit) } } else { 0.0 };
            }
        }
        interleave(x, w.parts().w_ih, layout.x_gates, 0, lanes, first, hidden, input);
        interleave(h, w.parts().w_hh, layout.h_gates, layout.h_first, lanes, first, hidden, width);
    }
    rest
}

/// Extra elements of a buffer for `aligned_start`.
pub(crate) const SLACK: usize = if HAS_VECTORS { MAX_LANES - 1 } else { 0 };

/// The offset at which panels start in a buffer with `SLACK` extra elements. It is aligned to the widest
/// vector, which on x86 is a cache line. If every second load crosses a line, a step of 32 units takes 20 %
/// longer (Zen 3).
pub(crate) fn aligned_start(buffer: &[f32]) -> usize {
    buffer.as_ptr().align_offset(size_of::<[f32; MAX_LANES]>()).min(SLACK).min(buffer.len())
}

/// `out[k][g][lane] = w[(gate + g) * hidden + first + lane][k]`, with `width` columns in `w`.
#[allow(clippy::too_many_arguments)]
fn interleave(
    out: &mut [f32],
    w: &[f32],
    gates: usize,
    gate: usize,
    lanes: usize,
    first: usize,
    hidden: usize,
    width: usize,
) {
    for g in 0..gates {
        for lane in 0..lanes {
            let unit = first + lane;
            let column = out.iter_mut().skip(g * lanes + lane).step_by(gates * lanes);
            if unit < hidden {
                let row = ((gate + g) * hidden + unit) * width;
                column.zip(&w[row..row + width]).for_each(|(o, w)| *o = *w);
            } else {
                column.for_each(|o| *o = 0.0);
            }
        }
    }
}

/// Packs row-major `w [k, n]` into panels of a vector's columns: `[panel][k][lane]`, zero past the last
/// column. This is the operand of the backward pass's products `dh` and `dx`, which use the weights without
/// transposing them.
#[inline(always)]
pub(crate) fn pack_columns<S: Simd>(s: S, n: usize, w: &[f32], out: &mut [f32]) {
    s.call(PackColumns { s, n, w, out });
}

/// A separately compiled function, which all cells share.
struct PackColumns<'a, S> {
    s: S,
    n: usize,
    w: &'a [f32],
    out: &'a mut [f32],
}

impl<S: Simd> Region for PackColumns<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let PackColumns { s, n, w, out } = self;
        if n == 0 || w.is_empty() {
            return;
        }
        let k = w.len() / n;
        for (index, panel) in out.chunks_exact_mut(k * S::LANES).take(n.div_ceil(S::LANES)).enumerate() {
            let first = index * S::LANES;
            for (to, from) in panel.chunks_exact_mut(S::LANES).zip(w.chunks_exact(n)) {
                // SAFETY: `to` is one vector, and the row has `n - first` elements from column `first < n`
                // on.
                unsafe { s.store(to.as_mut_ptr(), load(s, from.as_ptr().add(first), n - first)) };
            }
        }
    }
}

/// Packs row-major `w [n, k]` into panels of `lanes` of its rows: `[panel][k][lane]`, zero past the last row.
/// This is the operand of products with the transpose, `x W^T`.
pub(crate) fn pack_rows(lanes: usize, k: usize, w: &[f32], out: &mut [f32]) {
    // An empty `w` does not bound `k`, so products with `k` could overflow.
    if w.is_empty() || k == 0 {
        return;
    }
    let n = w.len() / k;
    for (index, panel) in out.chunks_exact_mut(k * lanes).take(n.div_ceil(lanes)).enumerate() {
        interleave(panel, w, 1, 0, lanes, index * lanes, n, k);
    }
}

/// Converts panels of the columns of a `[k, n]` matrix into panels of its rows, which are the columns of its
/// transpose. Zero past the last row.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(_: S, k: usize, n: usize, panels: &[f32], out: &mut [f32]) {
    if k == 0 || n == 0 {
        return;
    }
    for (index, out) in out.chunks_exact_mut(n * S::LANES).take(k.div_ceil(S::LANES)).enumerate() {
        let first = index * S::LANES;
        // One square block of the matrix at a time.
        for (to, panel) in out.chunks_mut(S::LANES * S::LANES).zip(panels.chunks_exact(k * S::LANES)) {
            let from = &panel[first * S::LANES..];
            for (column, to) in to.chunks_exact_mut(S::LANES).enumerate() {
                for (lane, to) in to.iter_mut().enumerate() {
                    *to = from.get(lane * S::LANES + column).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

/// Packed panels of one stage, in the layout of this module.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    start: *const f32,
    sizes: Sizes,
    data: PhantomData<&'a [f32]>,
}

impl<'a> Panels<'a> {
    /// The panels at the start of `data`, and the rest of it; `None` if they do not fit.
    pub(crate) fn new(
        layout: &Layout,
        lanes: usize,
        dims: Dims,
        data: &'a [f32],
    ) -> Option<(Self, &'a [f32])> {
        let sizes = Sizes::new(layout, lanes, dims);
        let (own, rest) = data.split_at_checked(sizes.len())?;
        Some((Panels { start: own.as_ptr(), sizes, data: PhantomData }, rest))
    }

    /// Whether these panels have exactly these sizes, with the gates of the layout.
    #[inline(always)]
    pub(crate) fn fits_lanes(&self, layout: &Layout, lanes: usize, dims: Dims) -> bool {
        self.sizes == Sizes::new(layout, lanes, dims)
    }

    /// The address of the input weights, or of the hidden weights if `hidden`, in the first panel, and the
    /// elements of a panel.
    #[inline(always)]
    pub(super) fn part(&self, layout: &Layout, lanes: usize, hidden: bool) -> (*const f32, usize) {
        let before = if hidden { self.sizes.before } else { layout.sums * lanes };
        (self.start.wrapping_add(before), self.sizes.panel)
    }

    /// The address of the bias vectors of the first panel, and the distance to those of the next panel.
    #[inline(always)]
    pub(crate) fn biases(&self) -> (*const f32, usize) {
        (self.start, self.sizes.panel)
    }

    /// The input weights as a right operand of `x_gates` gates.
    #[inline(always)]
    pub(crate) fn x_right(&self, layout: &Layout, lanes: usize) -> Right {
        let (start, panel) = self.part(layout, lanes, false);
        Right { start, panel, next: layout.x_gates * lanes }
    }

    /// The hidden weights as a right operand of `h_gates` gates.
    #[inline(always)]
    pub(crate) fn h_right(&self, layout: &Layout, lanes: usize) -> Right {
        let (start, panel) = self.part(layout, lanes, true);
        Right { start, panel, next: layout.h_gates * lanes }
    }
}
