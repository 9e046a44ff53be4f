//! The weights of a layer before they are packed: in `f32`, or already in a narrow format.

use super::Narrow;
use super::matrix::Matrix;
use crate::kernel::bytes::bytes;
use crate::kernel::panel::canonical::{Parts, Shape};

/// The weights of a layer, to be packed. Matrices are `f32`, to be rounded, or already narrow; the rest is
/// `f32`.
#[derive(Clone, Copy)]
pub(crate) struct Unpacked<'a> {
    pub(super) shape: Shape,
    pub(super) narrow: Narrow,
    pub(super) w_ih: Matrix<'a>,
    pub(super) w_hh: Matrix<'a>,
    w_hr: Matrix<'a>,
    /// Biases and peepholes.
    pub(super) rest: Parts<&'a [f32]>,
}

/// Rows of the projection, and the length of a row. Both are 0 without a projection.
pub(super) const fn projection(shape: &Shape) -> (usize, usize) {
    if shape.projects { (shape.width, shape.hidden) } else { (0, 0) }
}

/// Words of narrow weights. The parts are those of canonical weights, but matrices are in the format, and
/// their scales follow them. `usize::MAX` if the length does not fit.
#[cfg_attr(target_os = "none", inline(always))]
pub(crate) const fn words_len(shape: &Shape, narrow: Narrow) -> usize {
    let rows = shape.gates.saturating_mul(shape.hidden);
    let biases = if shape.bias { rows.saturating_mul(2) } else { 0 };
    let (outputs, inputs) = projection(shape);
    narrow
        .matrix_len(rows, shape.input)
        .saturating_add(narrow.matrix_len(rows, shape.width()))
        .saturating_add(narrow.matrix_len(outputs, inputs))
        .saturating_add(biases)
        .saturating_add(shape.peepholes_len())
}

impl<'a> Unpacked<'a> {
    /// Weights of `f32`; `None` if the length is not the layer's.
    pub(crate) fn floats(shape: Shape, narrow: Narrow, flat: &'a [f32]) -> Option<Self> {
        let parts = shape.split(flat)?;
        let [w_ih, w_hh, w_hr] = [parts.w_ih, parts.w_hh, parts.w_hr].map(Matrix::Floats);
        Some(Unpacked { shape, narrow, w_ih, w_hh, w_hr, rest: parts })
    }

    /// Narrow weights; `None` if the length is not the layer's.
    pub(crate) fn words(shape: Shape, narrow: Narrow, words: &'a [f32]) -> Option<Self> {
        let (mut left, rows) = (words, shape.gates * shape.hidden);
        let w_ih = Matrix::take(narrow, rows, shape.input, &mut left)?;
        let w_hh = Matrix::take(narrow, rows, shape.width(), &mut left)?;
        let (b_ih, rest) = left.split_at_checked(if shape.bias { rows } else { 0 })?;
        let (b_hh, mut rest) = rest.split_at_checked(b_ih.len())?;
        let (outputs, inputs) = projection(&shape);
        let w_hr = Matrix::take(narrow, outputs, inputs, &mut rest)?;
        let rest = Parts { b_ih, b_hh, peepholes: rest, ..Parts::default() };
        let fits = rest.peepholes.len() == shape.peepholes_len();
        fits.then_some(Unpacked { shape, narrow, w_ih, w_hh, w_hr, rest })
    }

    /// One `f32` matrix `[hidden, input]`, and its biases `[hidden]`.
    pub(crate) fn matrix(shape: Shape, narrow: Narrow, w: &'a [f32], b: &'a [f32]) -> Self {
        let none = Matrix::Floats(&[]);
        let rest = Parts { b_ih: b, ..Parts::default() };
        Unpacked { shape, narrow, w_ih: Matrix::Floats(w), w_hh: none, w_hr: none, rest }
    }

    /// The same from narrow weights; `None` if they are too short.
    pub(crate) fn words_of_matrix(shape: Shape, narrow: Narrow, words: &'a [f32]) -> Option<Self> {
        let mut left = words;
        let w_ih = Matrix::take(narrow, shape.hidden, shape.input, &mut left)?;
        (left.len() == shape.hidden)
            .then_some(Unpacked { w_ih, ..Unpacked::matrix(shape, narrow, &[], left) })
    }

    /// Writes one narrow matrix and its biases.
    pub(crate) fn write_matrix(&self, out: &mut [u8]) {
        let Shape { input, hidden, .. } = self.shape;
        self.w_ih.write(self.narrow, hidden, input, out).copy_from_slice(bytes(self.rest.b_ih));
    }

    /// Writes one matrix and its biases as `f32`.
    pub(crate) fn widen_matrix(&self, out: &mut [f32]) {
        let Shape { input, hidden, .. } = self.shape;
        let (w, b) = out.split_at_mut(hidden * input);
        self.w_ih.widen(self.narrow, hidden, input, w);
        b.copy_from_slice(self.rest.b_ih);
    }

    /// The name of the first part with a weight that the format cannot hold, and the weight's index in it.
    pub(crate) fn refused(&self) -> Option<(&'static str, usize)> {
        let parts = [("w_ih", self.w_ih), ("w_hh", self.w_hh), ("w_hr", self.w_hr)];
        parts.into_iter().find_map(|(name, of)| Some((name, of.refused(self.narrow)?)))
    }

    /// Writes narrow weights into `out`, which has [`words_len`] words.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let (shape, rest) = (&self.shape, &self.rest);
        let rows = shape.gates * shape.hidden;
        let out = self.w_ih.write(self.narrow, rows, shape.input, out);
        let mut out = self.w_hh.write(self.narrow, rows, shape.width(), out);
        for bias in [rest.b_ih, rest.b_hh] {
            let (to, others) = out.split_at_mut(size_of_val(bias));
            to.copy_from_slice(bytes(bias));
            out = others;
        }
        let (outputs, inputs) = projection(shape);
        self.w_hr.write(self.narrow, outputs, inputs, out).copy_from_slice(bytes(rest.peepholes));
    }

    /// Writes the weights as `f32` into `out`, which has the length of canonical weights.
    pub(crate) fn widen(&self, out: &mut [f32]) {
        let (shape, rest) = (&self.shape, &self.rest);
        let Some(to) = shape.split_mut(out) else { return };
        let (outputs, inputs) = projection(shape);
        let all = [
            (to.w_ih, self.w_ih, shape.input, shape.gates * shape.hidden),
            (to.w_hh, self.w_hh, shape.width(), shape.gates * shape.hidden),
            (to.w_hr, self.w_hr, inputs, outputs),
        ];
        for (to, from, k, rows) in all {
            from.widen(self.narrow, rows, k, to);
        }
        to.b_ih.copy_from_slice(rest.b_ih);
        to.b_hh.copy_from_slice(rest.b_hh);
        to.peepholes.copy_from_slice(rest.peepholes);
    }

    /// The projection as a stage whose rows are the hidden weights. Without a projection the stage has no
    /// units.
    pub(crate) fn projection(&self) -> Self {
        let (hidden, width) = projection(&self.shape);
        let shape = Shape { bias: false, ..Shape::new(1, 0, hidden).project(width) };
        let none: &[f32] = &[];
        let (none, rest) = (Matrix::Floats(none), Parts::default());
        Unpacked { shape, w_ih: none, w_hh: self.w_hr, w_hr: none, rest, ..*self }
    }

    pub(crate) fn peepholes(&self) -> &'a [f32] {
        self.rest.peepholes
    }

    pub(crate) fn has_projection(&self) -> bool {
        self.shape.projects
    }
}
