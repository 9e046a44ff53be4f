//! The embedding layer: looks up a row of a table for each id.

use super::gradients::Gradients;
use super::narrow::rounded_weights;
use super::packed::{WeightSource, words};
use crate::error::{Error, Need, Result, check_len, check_shape};
use crate::kernel::Narrow;
use crate::kernel::bytes::bytes;
use crate::kernel::narrow::here;
use crate::kernel::narrow::matrix::Matrix;

/// A table of `V` classes with a vector of `D` features each, like PyTorch's `nn.Embedding`.
///
/// Weights and gradients are `[V, D]`. It needs no scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding {
    classes: usize,
    width: usize,
    narrow: Option<Narrow>,
}

/// Rejects ids that are not below `limit`.
pub(crate) fn check_ids(buffer: &'static str, ids: &[u32], limit: usize) -> Result<()> {
    // A `usize` of 16 bits does not hold every id, so the comparison is made in 64 bits.
    match ids.iter().position(|&id| u64::from(id) >= limit as u64) {
        Some(position) => {
            let id = usize::try_from(ids[position]).unwrap_or(usize::MAX);
            Err(Error::Index { buffer, position, id, limit })
        }
        None => Ok(()),
    }
}

impl Embedding {
    /// A table of `classes` rows of `width` features.
    pub const fn new(classes: usize, width: usize) -> Self {
        Embedding { classes, width, narrow: None }
    }

    /// The same table in a narrow format. It applies to inference: in a [`Model`](crate::model::Model) whose
    /// weights are packed, and with weights that [`round`](Self::round) has written.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        self.with_format(Some(narrow))
    }

    pub(crate) const fn with_format(self, narrow: Option<Narrow>) -> Self {
        Embedding { narrow, ..self }
    }

    /// The narrow format of the table; `None` for `f32`.
    #[inline(always)]
    pub const fn narrow_format(&self) -> Option<Narrow> {
        here(self.narrow)
    }

    /// Length of the weights in the table's format, in words of 4 bytes.
    pub(crate) const fn words_len(&self) -> usize {
        match self.narrow_format() {
            Some(narrow) => narrow.matrix_len(self.classes, self.width),
            None => self.weights_len(),
        }
    }

    /// Rejects weights that their format cannot hold.
    pub(crate) fn check_values(&self, weights: &[f32]) -> Result<()> {
        let refused =
            self.narrow_format().and_then(|narrow| Some((narrow, Matrix::Floats(weights).refused(narrow)?)));
        match refused {
            Some((narrow, index)) => Err(Error::Narrow { part: "embedding", index, format: narrow.name() }),
            None => Ok(()),
        }
    }

    /// Rounds checked weights to the table's format, into the bytes of words. Without a format they are
    /// copied.
    pub(crate) fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        match self.narrow_format() {
            Some(narrow) => {
                Matrix::Floats(weights).write(narrow, self.classes, self.width, out);
            }
            None => out.copy_from_slice(bytes(weights)),
        }
        Ok(())
    }

    /// Converts words in the table's format back to `f32` weights.
    pub(crate) fn widen_words(&self, words: &[f32], weights: &mut [f32]) -> Result<()> {
        let (mut rest, ids) = (words, 0..self.classes);
        match self
            .narrow_format()
            .map(|narrow| (narrow, Matrix::take(narrow, self.classes, self.width, &mut rest)))
        {
            Some((narrow, Some(table))) => table.widen(narrow, ids.len(), self.width, weights),
            _ => weights.copy_from_slice(words),
        }
        Ok(())
    }

    rounded_weights!(self => self, "table");

    /// Looks up the rows of checked ids in words in the table's format.
    pub(crate) fn forward_words(&self, words: &[f32], ids: &[u32], y: &mut [f32]) -> Result<()> {
        let Some(narrow) = self.narrow_format() else { return self.forward_wide(words, ids, y) };
        let mut rest = words;
        let table = Matrix::take(narrow, self.classes, self.width, &mut rest);
        let table = table.ok_or(Error::Packing { what: "model" })?;
        for (&id, y) in ids.iter().zip(y.chunks_exact_mut(self.width.max(1))) {
            let row = table.row(narrow, id as usize, self.width);
            y.iter_mut().enumerate().for_each(|(i, y)| *y = row.value(i));
        }
        Ok(())
    }

    /// Number of rows of the table, `V`.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Features of a row, `D`.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Length of the weights, and of their gradients: `V*D`.
    pub const fn weights_len(&self) -> usize {
        self.classes.saturating_mul(self.width)
    }

    /// Rejects ids that are not in the table.
    pub(crate) fn check(&self, ids: &[u32]) -> Result<()> {
        check_ids("ids", ids, self.classes)
    }

    /// Looks up the row of each id: `ids [rows]`, `y [rows, D]`.
    ///
    /// `weights` are canonical, of [`weights_len`](Self::weights_len) elements, or
    /// [narrow](WeightSource::Narrow), of [`narrow_len`](Self::narrow_len) bytes.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for an id that
    /// is not below `V`; [`Error::Value`] for narrow weights of a table without a narrow format;
    /// [`Error::Packing`] for packed weights, which a table does not have.
    ///
    /// ```
    /// use recurrent::Embedding;
    /// let layer = Embedding::new(3, 2);
    /// let weights = [0.0, 0.1, /**/ 1.0, 1.1, /**/ 2.0, 2.1];
    /// let mut y = [0.0; 4];
    /// layer.forward(&weights, &[2, 0], &mut y)?;
    /// assert_eq!(y, [2.0, 2.1, 0.0, 0.1]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward<'w>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        ids: &[u32],
        y: &mut [f32],
    ) -> Result<()> {
        match weights.into() {
            WeightSource::Canonical(weights) => self.forward_wide(weights, ids, y),
            WeightSource::Narrow(narrow) => self.forward_narrow(narrow, ids, y),
            WeightSource::Packed(_) => Err(Error::Packing { what: "table" }),
        }
    }

    fn forward_narrow(&self, narrow: &[u8], ids: &[u32], y: &mut [f32]) -> Result<()> {
        if self.narrow_format().is_none() {
            return Err(Error::Value {
                argument: "weights",
                expected: "f32: the table has no narrow format",
            });
        }
        let words = words(narrow, self.narrow_len())?;
        check_shape("y", Need::ROWS_OUTPUTS, ids.len().saturating_mul(self.width), y.len())?;
        self.check(ids)?;
        self.forward_words(words, ids, y)
    }

    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    fn forward_wide(&self, weights: &[f32], ids: &[u32], y: &mut [f32]) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        check_shape("y", Need::ROWS_OUTPUTS, ids.len().saturating_mul(self.width), y.len())?;
        self.check(ids)?;
        if self.width == 0 {
            return Ok(());
        }
        for (&id, y) in ids.iter().zip(y.chunks_exact_mut(self.width)) {
            let start = id as usize * self.width;
            y.copy_from_slice(&weights[start..start + self.width]);
        }
        Ok(())
    }

    /// Adds the gradient of each output to the gradient of its row of the table: `ids [rows]`,
    /// `dy [rows, D]`, `grads [V, D]`.
    ///
    /// Rows are added in ascending order, so that ids that occur more than once give the same bits each time.
    /// Each row of the table is one chain of additions: if the gradients are about the same, its relative
    /// error is up to 1.5e-8 for each time that the id occurs. Ids have no gradient. [`Gradients::Overwrite`]
    /// clears the whole table first.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for an id that
    /// is not below `V`.
    ///
    /// ```
    /// use recurrent::{Embedding, Gradients};
    /// let layer = Embedding::new(3, 2);
    /// let mut grads = [f32::NAN; 6];
    /// layer.backward(&[2, 2], &[1.0, 2.0, 0.5, 0.5], &mut grads, Gradients::Overwrite)?;
    /// assert_eq!(grads, [0.0, 0.0, /**/ 0.0, 0.0, /**/ 1.5, 2.5]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn backward(&self, ids: &[u32], dy: &[f32], grads: &mut [f32], mode: Gradients) -> Result<()> {
        check_shape("dy", Need::ROWS_OUTPUTS, ids.len().saturating_mul(self.width), dy.len())?;
        check_len("grads", self.weights_len(), grads.len())?;
        self.check(ids)?;
        if mode == Gradients::Overwrite {
            grads.fill(0.0);
        }
        if self.width == 0 {
            return Ok(());
        }
        for (&id, dy) in ids.iter().zip(dy.chunks_exact(self.width)) {
            let start = id as usize * self.width;
            for (sum, dy) in grads[start..start + self.width].iter_mut().zip(dy) {
                *sum += dy;
            }
        }
        Ok(())
    }
}
