//! Canonical weights to gate-interleaved panels, and the two ways in which a tile reads weights.
//!
//! A panel holds all weights of `L` hidden units, `L` being the lanes of a vector, in the order in which
//! a tile reads them:
//!
//! ```text
//! bias   [ACC][L]        b_ih + b_hh where both feed the same accumulator
//! input  [I][XG][L]      for each input k: the gates' L weights
//! hidden [H][HG][L]      for each hidden k: the gates' L weights
//! ```
//!
//! Units past the last one are zero.

pub(crate) use super::canonical::{Canonical, Dims};
use super::recur::Layout;
use super::tile::{Weight, load};
use crate::simd::{HAS_VECTORS, MAX_LANES, Region, Simd};

/// Elements of one panel. Without units there is none, and no weights say that the number of inputs is a sane one.
const fn panel_len<E: Layout>(lanes: usize, Dims { input, hidden, width }: Dims) -> usize {
    if hidden == 0 { 0 } else { lanes * (E::ACC + E::XG * input + E::HG * width) }
}

/// Elements of all panels.
pub(crate) const fn panels_len<E: Layout>(lanes: usize, dims: Dims) -> usize {
    dims.hidden.div_ceil(lanes) * panel_len::<E>(lanes, dims)
}

/// Packs into the first `panels_len` elements of `out` and returns what is left of it.
pub(crate) fn pack<'o, E: Layout>(lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
    let dims = w.shape.dims();
    let Dims { input, hidden, width } = dims;
    let (out, rest) = out.split_at_mut(panels_len::<E>(lanes, dims));
    let Some(panel) = core::num::NonZero::new(panel_len::<E>(lanes, dims)) else { return rest };
    for (index, panel) in out.chunks_exact_mut(panel.get()).enumerate() {
        let first = index * lanes;
        let (bias, panel) = panel.split_at_mut(E::ACC * lanes);
        let (x, h) = panel.split_at_mut(E::XG * input * lanes);
        for (acc, bias) in bias.chunks_exact_mut(lanes).enumerate() {
            for (lane, bias) in bias.iter_mut().enumerate() {
                let unit = first + lane;
                // SAFETY: just checked.
                *bias = if unit < hidden { unsafe { w.bias::<E>(acc, unit) } } else { 0.0 };
            }
        }
        interleave(x, w.parts.w_ih, E::XG, 0, lanes, first, hidden, input);
        interleave(h, w.parts.w_hh, E::HG, E::HFIRST, lanes, first, hidden, width);
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
    if k == 0 {
        return;
    }
    let n = w.len() / k;
    for (index, panel) in out.chunks_exact_mut(k * lanes).take(n.div_ceil(lanes)).enumerate() {
        interleave(panel, w, 1, 0, lanes, index * lanes, n, k);
    }
}

/// Where a step reads its weights.
pub(crate) trait Source<S: Simd>: Copy {
    type X: Weight<S>;
    type H: Weight<S>;
    /// The initial values of a panel's accumulators.
    /// # Safety
    /// The panel exists.
    unsafe fn bias<E: Layout>(self, s: S, panel: usize) -> [S::V; 4];
    /// The input weights.
    fn x<E: Layout>(self) -> Self::X;
    /// The hidden weights.
    fn h<E: Layout>(self) -> Self::H;
}

/// Packed panels, in the layout of this module.
#[derive(Clone, Copy)]
pub(crate) struct Panels {
    start: *const f32,
    x: usize,
    h: usize,
    panel: usize,
}

impl Panels {
    /// The panels at the start of `data`, and the rest of it; `None` if they do not fit.
    pub(crate) fn new<E: Layout>(lanes: usize, dims: Dims, data: &[f32]) -> Option<(Self, &[f32])> {
        let (own, rest) = data.split_at_checked(panels_len::<E>(lanes, dims))?;
        let panel = panel_len::<E>(lanes, dims);
        let h = panel.saturating_sub(E::HG * dims.width * lanes);
        Some((Panels { start: own.as_ptr(), x: E::ACC * lanes, h, panel }, rest))
    }
}

impl<S: Simd> Source<S> for Panels {
    type X = Stream;
    type H = Stream;
    #[inline(always)]
    unsafe fn bias<E: Layout>(self, s: S, panel: usize) -> [S::V; 4] {
        let mut bias = [s.splat(0.0); 4];
        for a in 0..E::ACC {
            // SAFETY: a panel starts with `ACC` vectors.
            bias[a] = unsafe { s.load(self.start.add(panel * self.panel + a * S::LANES)) };
        }
        bias
    }
    #[inline(always)]
    fn x<E: Layout>(self) -> Stream {
        Stream { start: self.start.wrapping_add(self.x), panel: self.panel, gates: E::XG }
    }
    #[inline(always)]
    fn h<E: Layout>(self) -> Stream {
        Stream { start: self.start.wrapping_add(self.h), panel: self.panel, gates: E::HG }
    }
}

/// `[panel][k][gate][lane]`
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) start: *const f32,
    pub(crate) panel: usize,
    pub(crate) gates: usize,
}

impl<S: Simd> Weight<S> for Stream {
    #[inline(always)]
    unsafe fn get(self, s: S, panel: usize, k: usize, g: usize) -> S::V {
        // SAFETY: the caller names a vector of the panels.
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
    type X = Rows;
    type H = Rows;
    #[inline(always)]
    unsafe fn bias<E: Layout>(self, s: S, panel: usize) -> [S::V; 4] {
        let mut bias = [s.splat(0.0); 4];
        for a in 0..E::ACC {
            // SAFETY: the caller's; a unit is a panel.
            bias[a] = s.splat(unsafe { self.0.bias::<E>(a, panel) });
        }
        bias
    }
    #[inline(always)]
    fn x<E: Layout>(self) -> Rows {
        let Canonical { shape, parts } = self.0;
        Rows { start: parts.w_ih.as_ptr(), gate: shape.hidden * shape.input, width: shape.input }
    }
    #[inline(always)]
    fn h<E: Layout>(self) -> Rows {
        let Canonical { shape, parts } = self.0;
        let (width, gate) = (shape.width(), shape.hidden * shape.width());
        Rows { start: parts.w_hh.as_ptr().wrapping_add(E::HFIRST * gate), gate, width }
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
        // SAFETY: the caller names a weight of the matrix; a vector has one lane here.
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
