//! Canonical weights to gate-interleaved panels, and the two ways in which a tile reads weights.
//!
//! A panel holds all weights of `L` hidden units, `L` being the lanes of a vector, in the order in which
//! a tile reads them:
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
use super::product::{Init, Left, product_transposed, project};
use super::sums::Right;
use super::tile::Weight;
use crate::kernel::Checked;
use crate::kernel::vector::load;
use crate::simd::{HAS_VECTORS, MAX_LANES, Region, Simd};

/// The panels of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    panels: usize,
    /// Elements of a panel, and those before its hidden weights.
    panel: usize,
    before: usize,
}

impl Sizes {
    /// Without units there are none, and no weights say that the other sizes are sane ones: these may be anything, and
    /// wrap around.
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

/// Packs into the first elements of `out`, and returns what is left of it.
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

/// Elements to spare for `aligned_start`.
pub(crate) const SLACK: usize = if HAS_VECTORS { MAX_LANES - 1 } else { 0 };

/// Where in a buffer with `SLACK` elements to spare panels start: at a whole vector of the widest set, which on x86 is a cache
/// line. Where every second load crosses a line, a step of 32 units takes 20 % longer (Zen 3).
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

/// Packs `w [k, n]`, row-major, into panels of a vector's columns: `[panel][k][lane]`, zero past the last column.
/// This is the operand of the products with dW's transpose: dh and dx of the backward pass.
#[inline(always)]
pub(crate) fn pack_columns<S: Simd>(s: S, n: usize, w: &[f32], out: &mut [f32]) {
    s.call(PackColumns { s, n, w, out });
}

/// A function of its own, which all cells share.
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
                // SAFETY: `to` is one vector, and `n - first` elements of the row follow column `first < n`.
                unsafe { s.store(to.as_mut_ptr(), load(s, from.as_ptr().add(first), n - first)) };
            }
        }
    }
}

/// Packs `w [n, k]`, row-major, into panels of `lanes` of its rows: `[panel][k][lane]`, zero past the last row.
/// This is the operand of products with the transpose, `x W^T`.
pub(crate) fn pack_rows(lanes: usize, k: usize, w: &[f32], out: &mut [f32]) {
    // Of nothing `k` is anything, and may be too much for a product.
    if w.is_empty() || k == 0 {
        return;
    }
    let n = w.len() / k;
    for (index, panel) in out.chunks_exact_mut(k * lanes).take(n.div_ceil(lanes)).enumerate() {
        interleave(panel, w, 1, 0, lanes, index * lanes, n, k);
    }
}

/// From panels of the columns of a `[k, n]` matrix to panels of its rows, which are the columns of its transpose.
/// Zero past the last row.
#[inline(always)]
pub(crate) fn transpose<S: Simd>(_: S, k: usize, n: usize, panels: &[f32], out: &mut [f32]) {
    if k == 0 || n == 0 {
        return;
    }
    for (index, out) in out.chunks_exact_mut(n * S::LANES).take(k.div_ceil(S::LANES)).enumerate() {
        let first = index * S::LANES;
        // A square of the matrix at a time.
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

/// Where a step of one row reads its weights.
pub(crate) trait Source<S: Simd>: Copy {
    type W: Weight<S>;
    /// Whether these are weights of a layer of just these sizes, with the gates of the layout. Then they have all panels of `hidden`
    /// units, with input weights for `input` elements and hidden weights for `width`.
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool;
    /// The initial values of a panel's sums.
    /// # Safety
    /// The panel exists, and the weights [fit](Self::fits) the layout.
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4];
    /// The input weights.
    fn x(self, layout: &Layout) -> Self::W;
    /// The hidden weights.
    fn h(self, layout: &Layout) -> Self::W;
    /// `c [B, H] = left [B, width] * w^T`, where `w` holds the hidden weights of one gate.
    fn project(self, s: S, layout: &Layout, left: Left<'_>, dims: Dims, c: &mut [f32]) -> Checked;
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

    /// As [`Source::fits`].
    #[inline(always)]
    pub(crate) fn fits_lanes(&self, layout: &Layout, lanes: usize, dims: Dims) -> bool {
        self.sizes == Sizes::new(layout, lanes, dims)
    }

    /// Where the bias vectors of the first panel start, and how far it is to those of the next panel.
    #[inline(always)]
    pub(crate) fn biases(&self) -> (*const f32, usize) {
        (self.start, self.sizes.panel)
    }

    /// The input weights as a right operand of `x_gates` gates.
    #[inline(always)]
    pub(crate) fn x_right(&self, layout: &Layout, lanes: usize) -> Right {
        let start = self.start.wrapping_add(layout.sums * lanes);
        Right { start, panel: self.sizes.panel, next: layout.x_gates * lanes }
    }

    /// The hidden weights as a right operand of `h_gates` gates.
    #[inline(always)]
    pub(crate) fn h_right(&self, layout: &Layout, lanes: usize) -> Right {
        let start = self.start.wrapping_add(self.sizes.before);
        Right { start, panel: self.sizes.panel, next: layout.h_gates * lanes }
    }
}

impl<S: Simd> Source<S> for Panels<'_> {
    type W = Stream;
    #[inline(always)]
    fn fits(&self, _: S, layout: &Layout, dims: Dims) -> bool {
        self.fits_lanes(layout, S::LANES, dims)
    }
    #[inline(always)]
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4] {
        let mut bias = [s.splat(0.0); 4];
        for a in 0..4 {
            if a < layout.sums {
                // SAFETY: the caller's panel is one of those that `new` found in `data`; by its sizes it starts with `sums` vectors.
                bias[a] = unsafe { s.load(self.start.add(panel * self.sizes.panel + a * S::LANES)) };
            }
        }
        bias
    }
    #[inline(always)]
    fn x(self, layout: &Layout) -> Stream {
        let start = self.start.wrapping_add(layout.sums * S::LANES);
        Stream { start, panel: self.sizes.panel, gates: layout.x_gates }
    }
    #[inline(always)]
    fn h(self, layout: &Layout) -> Stream {
        let start = self.start.wrapping_add(self.sizes.before);
        Stream { start, panel: self.sizes.panel, gates: layout.h_gates }
    }
    #[inline(always)]
    fn project(self, s: S, layout: &Layout, left: Left<'_>, dims: Dims, c: &mut [f32]) -> Checked {
        project(s, layout, left, self, dims, c)
    }
}

/// `[panel][k][gate][lane]`
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    start: *const f32,
    panel: usize,
    gates: usize,
}

impl<S: Simd> Weight<S> for Stream {
    #[inline(always)]
    unsafe fn get(self, s: S, panel: usize, k: usize, g: usize) -> S::V {
        // SAFETY: the caller names a vector of the panels, whose length `Panels::new` has checked.
        unsafe { s.load(self.start.add(panel * self.panel + (k * self.gates + g) * S::LANES)) }
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        Stream { start: self.start.wrapping_add(rows * self.gates * S::LANES), ..self }
    }
}

/// Canonical weights, read in place, one unit to a panel (for instruction sets of one lane).
#[derive(Clone, Copy)]
pub(crate) struct InPlace<'a>(pub(crate) Canonical<'a>);

impl<S: Simd> Source<S> for InPlace<'_> {
    type W = Rows;
    #[inline(always)]
    fn fits(&self, _: S, layout: &Layout, dims: Dims) -> bool {
        S::LANES == 1 && self.0.shape().dims() == dims && layout.gates() <= self.0.shape().gates
    }
    #[inline(always)]
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4] {
        let mut bias = [s.splat(0.0); 4];
        for a in 0..4 {
            if a < layout.sums {
                // SAFETY: the caller's; a unit is a panel, and `fits` has compared the gates.
                bias[a] = s.splat(unsafe { self.0.bias(layout, a, panel) });
            }
        }
        bias
    }
    #[inline(always)]
    fn x(self, _: &Layout) -> Rows {
        let (shape, parts) = (self.0.shape(), self.0.parts());
        Rows { start: parts.w_ih.as_ptr(), gate: shape.hidden * shape.input, width: shape.input }
    }
    #[inline(always)]
    fn h(self, layout: &Layout) -> Rows {
        let (shape, parts) = (self.0.shape(), self.0.parts());
        let (width, gate) = (shape.width(), shape.hidden * shape.width());
        Rows { start: parts.w_hh.as_ptr().wrapping_add(layout.h_first * gate), gate, width }
    }
    #[inline(always)]
    fn project(self, s: S, layout: &Layout, left: Left<'_>, dims: Dims, c: &mut [f32]) -> Checked {
        let rows = (layout.h_first * dims.hidden, (layout.h_first + 1) * dims.hidden);
        let w = self.0.parts().w_hh.get(rows.0 * dims.width..rows.1 * dims.width).unwrap_or_default();
        product_transposed(s, left, w, c, Init::Zero)
    }
}

/// `[gate][unit][k]`, one unit to a panel.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    start: *const f32,
    /// Elements of a gate.
    gate: usize,
    width: usize,
}

impl<S: Simd> Weight<S> for Rows {
    #[inline(always)]
    unsafe fn get(self, s: S, unit: usize, k: usize, g: usize) -> S::V {
        // SAFETY: the caller names a weight of the matrix, which has the length that its shape says; a vector has one lane here.
        s.splat(unsafe { *self.start.add(g * self.gate + unit * self.width + k) })
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        Rows { start: self.start.wrapping_add(rows), ..self }
    }
    #[inline(always)]
    fn chains(self, unit: usize, gates: usize) -> Option<(*const f32, usize)> {
        let step = if gates == 1 { self.width } else { self.gate };
        Some((self.start.wrapping_add(unit * self.width), step))
    }
}
