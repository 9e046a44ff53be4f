//! Canonical narrow weights, read where they are, one unit at a time: for microcontrollers, whose flash holds
//! them. The bits are those of packed narrow weights.

use super::Narrow;
use super::codes::write_fours;
use super::unpacked::{projection, words_len};
use crate::kernel::panel::canonical::{Dims, Parts, Shape};
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::{Projection, Source};
use crate::kernel::panel::tile::{Tile, Weight, accumulate, drive_row};
use crate::kernel::{Checked, check};
use crate::simd::{ByteRows, Simd};

/// Narrow weights of a layer in canonical order, in words.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) shape: Shape,
    pub(crate) narrow: Narrow,
    pub(crate) words: &'a [f32],
}

/// A matrix: its weights, and their scales if the format has them.
#[derive(Clone, Copy)]
struct Codes {
    start: *const u8,
    scales: *const f32,
}

impl Codes {
    /// The matrix of `rows` rows of `k` weights at the start of `words`, and the words after it. Up to three
    /// bytes past its weights can be read: if it has rows, their scales follow.
    #[inline(always)]
    fn take(narrow: Narrow, words: &[f32], rows: usize, k: usize) -> Option<(Self, &[f32])> {
        let len = narrow.matrix_len(rows, k);
        let rest = words.get(len..)?;
        let scales = len - if narrow.has_scales() { rows } else { 0 };
        let start = words.as_ptr();
        Some((Codes { start: start.cast(), scales: start.wrapping_add(scales) }, rest))
    }
}

/// The narrow weights of a layer in place: integers if `INT`, otherwise weights of 16 bits. All parts have
/// the lengths that the shape says.
#[derive(Clone, Copy)]
pub(crate) struct NarrowInPlace<'a, const INT: bool> {
    shape: Shape,
    narrow: Narrow,
    w_ih: Codes,
    w_hh: Codes,
    w_hr: Codes,
    /// Biases and peepholes.
    rest: Parts<&'a [f32]>,
}

impl<'a, const INT: bool> NarrowInPlace<'a, INT> {
    /// `None` if the length is not the layer's, or if the format is of the other kind.
    #[inline(always)]
    pub(crate) fn new(Words { shape, narrow, words }: Words<'a>) -> Option<Self> {
        if words.len() != words_len(&shape, narrow) || narrow.has_scales() != INT {
            return None;
        }
        let rows = shape.gates * shape.hidden;
        let (w_ih, rest) = Codes::take(narrow, words, rows, shape.input)?;
        let (w_hh, rest) = Codes::take(narrow, rest, rows, shape.width())?;
        let (b_ih, rest) = rest.split_at_checked(if shape.bias { rows } else { 0 })?;
        let (b_hh, rest) = rest.split_at_checked(b_ih.len())?;
        let (outputs, inputs) = projection(&shape);
        let (w_hr, peepholes) = Codes::take(narrow, rest, outputs, inputs)?;
        let rest = Parts { b_ih, b_hh, peepholes, ..Parts::default() };
        Some(NarrowInPlace { shape, narrow, w_ih, w_hh, w_hr, rest })
    }

    /// One matrix `[hidden, input]`, and the biases after it; `None` if the length is wrong.
    #[inline(always)]
    pub(crate) fn matrix(dims: Dims, narrow: Narrow, words: &'a [f32]) -> Option<(Self, &'a [f32])> {
        let shape = Shape { bias: false, ..Shape::new(1, dims.input, dims.hidden).project(0) };
        let (w, bias) = Codes::take(narrow, words, dims.hidden, dims.input)?;
        let of = NarrowInPlace { shape, narrow, w_ih: w, w_hh: w, w_hr: w, rest: Parts::default() };
        (bias.len() == dims.hidden && narrow.has_scales() == INT).then_some((of, bias))
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn peepholes(&self) -> &'a [f32] {
        self.rest.peepholes
    }

    /// The projection as a stage whose rows are the hidden weights.
    pub(crate) fn projection(&self) -> Self {
        let (hidden, width) = projection(&self.shape);
        let shape = Shape { bias: false, ..Shape::new(1, 0, hidden).project(width) };
        NarrowInPlace { shape, w_hh: self.w_hr, rest: Parts::default(), ..*self }
    }

    /// `c [rows, hidden] = left [rows, input] * w_ih^T + bias`.
    #[inline(always)]
    pub(crate) fn multiply<S: Simd>(
        self,
        s: S,
        left: Left<'_>,
        c: &mut [f32],
        bias: &[f32],
        room: &mut [f32],
    ) -> Checked {
        check(bias.len() == self.shape.hidden, "bias of a narrow product")?;
        let w = self.rows(self.w_ih, 0, self.shape.input);
        self.product(s, w, left, c, bias.as_ptr(), room)
    }

    /// The same for one gate of either matrix. `bias` is null, or valid for reading an element for each
    /// output.
    #[inline(always)]
    fn product<S: Simd>(
        self,
        s: S,
        w: Rows<INT>,
        left: Left<'_>,
        c: &mut [f32],
        bias: *const f32,
        room: &mut [f32],
    ) -> Checked {
        let (k, n) = (w.width, self.shape.hidden);
        let fits = S::LANES == 1
            && self.narrow.holds(k)
            && left.is_matrix(k)
            && c.len() == left.rows.end().saturating_mul(n)
            && (left.rows.end() == 0 || self.narrow.room_len(k) <= room.len());
        check(fits, "narrow product in place")?;
        for row in left.rows.iter() {
            let from = left.of.start(left.rows.source(row));
            // SAFETY: the row exists in both buffers, and the room is long enough: all of this was just
            // checked. The weights have a row for each output.
            unsafe {
                let x = Source::<S>::ready(&self, s, from, k, room.as_mut_ptr());
                drive_row(s, &Product { w, x, k, bias, c: c.as_mut_ptr().wrapping_add(row * n) }, n, false);
            }
        }
        Ok(())
    }

    /// The rows of a matrix from gate `first` on.
    #[inline(always)]
    fn rows(&self, of: Codes, first: usize, width: usize) -> Rows<INT> {
        let hidden = self.shape.hidden;
        let rows = first * hidden;
        let start = of.start.wrapping_add(rows * width * self.narrow.bytes());
        let scales = if INT { of.scales.wrapping_add(rows) } else { of.scales };
        Rows { of: Codes { start, scales }, narrow: self.narrow, hidden, width }
    }
}

impl<S: Simd, const INT: bool> Projection<S> for NarrowInPlace<'_, INT> {
    #[inline(always)]
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        _: Dims,
        c: &mut [f32],
        room: &mut [f32],
    ) -> Checked {
        let w = Source::<S>::h(self, layout);
        self.product(s, w, left, c, core::ptr::null(), room)
    }
}

impl<S: Simd, const INT: bool> Source<S> for NarrowInPlace<'_, INT> {
    type W = Rows<INT>;
    #[inline(always)]
    fn fits(&self, _: S, layout: &Layout, dims: Dims) -> bool {
        S::LANES == 1
            && self.shape.dims() == dims
            && layout.gates() <= self.shape.gates
            && (!INT || (self.narrow.holds(dims.input) && self.narrow.holds(dims.width)))
    }
    #[inline(always)]
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4] {
        let mut bias = [s.splat(0.0); 4];
        for a in 0..4 {
            if a < layout.sums && self.shape.bias {
                // SAFETY: the caller's promise; a unit counts as a panel, and `fits` has compared the gates,
                // for each of which both biases have `hidden` elements.
                bias[a] = s.splat(unsafe { self.rest.bias_of(layout, a, panel, self.shape.hidden) });
            }
        }
        bias
    }
    #[inline(always)]
    fn row_room_len(&self, k: usize) -> usize {
        if INT { self.narrow.room_len(k) } else { 0 }
    }
    #[inline(always)]
    unsafe fn ready(&self, _: S, row: *const f32, k: usize, room: *mut f32) -> *const f32 {
        if !INT {
            return row;
        }
        let largest = self.narrow.largest(k).unwrap_or_default();
        // SAFETY: the caller's promise.
        unsafe { write_fours(row, k, largest as f32, room) };
        room
    }
    #[inline(always)]
    fn x(self, _: &Layout) -> Rows<INT> {
        self.rows(self.w_ih, 0, self.shape.input)
    }
    #[inline(always)]
    fn h(self, layout: &Layout) -> Rows<INT> {
        self.rows(self.w_hh, layout.h_first, self.shape.width())
    }
}

/// `[gate][unit][k]`; each unit counts as a panel.
#[derive(Clone, Copy)]
pub(crate) struct Rows<const INT: bool> {
    of: Codes,
    narrow: Narrow,
    /// Units of a gate.
    hidden: usize,
    width: usize,
}

impl<S: Simd, const INT: bool> Weight<S> for Rows<INT> {
    #[inline(always)]
    unsafe fn get(self, s: S, unit: usize, k: usize, g: usize) -> S::V {
        let at = (g * self.hidden + unit) * self.width + k;
        let codes = self.of.start.cast::<u16>();
        // SAFETY: the caller names a weight of the matrix, which has the length of its shape. It has 16 bits:
        // integers go through `byte_rows`. A vector has one lane here.
        unsafe {
            match self.narrow {
                Narrow::F16 => s.load_f16(codes.add(at)),
                _ => s.load_bf16(codes.add(at)),
            }
        }
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        let start = self.of.start.wrapping_add(rows * self.narrow.bytes());
        Rows { of: Codes { start, ..self.of }, ..self }
    }
    #[inline(always)]
    fn byte_rows(self, unit: usize, gates: usize) -> Option<ByteRows> {
        let step = if gates == 1 { 1 } else { self.hidden };
        INT.then(|| ByteRows {
            codes: self.of.start.wrapping_add(unit * self.width).cast(),
            scales: self.of.scales.wrapping_add(unit),
            step,
            k: self.width,
        })
    }
}

/// One row of a product.
struct Product<const INT: bool> {
    w: Rows<INT>,
    /// What the weights multiply.
    x: *const f32,
    k: usize,
    bias: *const f32,
    c: *mut f32,
}

impl<S: Simd, const INT: bool> Tile<S> for Product<INT> {
    const SUMS: usize = 1;

    #[inline(always)]
    unsafe fn run<const NP: usize>(&self, s: S, panel: usize) {
        let mut acc = [[s.splat(0.0); 4]; NP];
        // SAFETY: the caller's panels exist: each has an element in the output and the bias, and a row of
        // weights.
        unsafe {
            if !self.bias.is_null() {
                for p in 0..NP {
                    acc[p][0] = s.load(self.bias.add(panel + p));
                }
            }
            accumulate(s, &mut acc, 1, [0; 4], self.w, panel, self.x, self.k);
            for p in 0..NP {
                s.store(self.c.add(panel + p), acc[p][0]);
            }
        }
    }
}
