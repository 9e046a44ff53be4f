//! The two ways in which a step of one row reads weights: from panels, and in place.

use super::canonical::{Canonical, Dims};
use super::layout::Layout;
use super::pack::Panels;
use super::product::{Init, Left, product_transposed, project};
use super::tile::Weight;
use crate::kernel::Checked;
use crate::simd::{Region, Simd};

/// Weights of a projection.
pub(crate) trait Projection<S: Simd>: Copy {
    /// `c [B, H] = left [B, width] * w^T`, where `w` holds the hidden weights of one gate. `room` is a buffer
    /// for rows that are converted to integers.
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        room: &mut [f32],
    ) -> Checked;
}

/// The weights of a step of one row.
pub(crate) trait Source<S: Simd>: Projection<S> {
    type W: Weight<S>;
    /// Registers of a sum.
    const SUMS: usize = 1;
    /// Whether a step can compute the [input part of later steps](crate::kernel::step::ahead), too.
    const AHEAD: bool = true;
    /// Runs code that uses these weights, compiled for the instruction set.
    #[inline(always)]
    fn call<R: Region>(self, s: S, region: R) -> R::Output {
        s.call(region)
    }
    /// Whether these are weights of a layer of exactly these sizes, with the gates of the layout. If so, they
    /// have all panels of `hidden` units, with input weights for `input` elements and hidden weights for
    /// `width`.
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool;
    /// The initial values of a panel's sums.
    /// # Safety
    /// The panel exists, and the weights [fit](Self::fits) the layout.
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4];
    /// Elements of the buffer for one row as integers; 0 if rows are multiplied as they are.
    #[inline(always)]
    fn row_room_len(&self, _k: usize) -> usize {
        0
    }
    /// What the tiles multiply instead of a row of `k` elements: the row itself, or the row as integers in
    /// `room`.
    /// # Safety
    /// `row` is valid for reading `k` elements, and `room` for writing [`row_room_len`](Self::row_room_len).
    #[inline(always)]
    unsafe fn ready(&self, _s: S, row: *const f32, _k: usize, _room: *mut f32) -> *const f32 {
        row
    }
    /// The input weights.
    fn x(self, layout: &Layout) -> Self::W;
    /// The hidden weights.
    fn h(self, layout: &Layout) -> Self::W;
}

impl<S: Simd> Projection<S> for Panels<'_> {
    #[inline(always)]
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        _: &mut [f32],
    ) -> Checked {
        project(s, layout, left, self, dims, c)
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
                let (start, step) = self.biases();
                // SAFETY: the caller's panel is one of those that `Panels::new` found. By its sizes, it
                // starts with `sums` vectors.
                bias[a] = unsafe { s.load(start.add(panel * step + a * S::LANES)) };
            }
        }
        bias
    }
    #[inline(always)]
    fn x(self, layout: &Layout) -> Stream {
        let (start, panel) = self.part(layout, S::LANES, false);
        Stream { start, panel, gates: layout.x_gates }
    }
    #[inline(always)]
    fn h(self, layout: &Layout) -> Stream {
        let (start, panel) = self.part(layout, S::LANES, true);
        Stream { start, panel, gates: layout.h_gates }
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

/// Canonical weights, read in place. Each unit counts as a panel (for instruction sets of one lane).
#[derive(Clone, Copy)]
pub(crate) struct InPlace<'a>(pub(crate) Canonical<'a>);

impl<S: Simd> Projection<S> for InPlace<'_> {
    #[inline(always)]
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        _: &mut [f32],
    ) -> Checked {
        let rows = (layout.h_first * dims.hidden, (layout.h_first + 1) * dims.hidden);
        let w = self.0.parts().w_hh.get(rows.0 * dims.width..rows.1 * dims.width).unwrap_or_default();
        product_transposed(s, left, w, c, Init::Zero)
    }
}

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
                // SAFETY: the caller's promise; a unit counts as a panel, and `fits` has compared the gates.
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
}

/// `[gate][unit][k]`; each unit counts as a panel.
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
        // SAFETY: the caller names a weight of the matrix, which has the length of its shape; a vector has
        // one lane here.
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
