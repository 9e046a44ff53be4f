//! The forward pass: from queries and keys to contexts.

use super::{Attention, Keys, Parts, batch_rows, gather, scatter};
use crate::error::{Result, check_len, check_room};
use crate::kernel::additive;
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::taken::Rows;
use crate::kernel::view::Matrix;
use crate::kernel::{Checked, Walk, Wrong};
use crate::layer::buffer::take_mut;
use crate::layer::sequences::Sequences;
use crate::layer::softmax::softmax_row;
use crate::simd::{Op, Simd, dispatch};

/// Arguments of [`Attention::forward`].
#[derive(Debug, Default)]
pub struct AttentionForward<'a> {
    /// Decoder steps `T`, batch rows `B`, and which of them take part. Resets are ignored.
    pub sequences: Sequences<'a>,
    /// `[T, B, Q]`
    pub queries: &'a [f32],
    /// Receives the weighted mean for each query, `[T, B, M]`.
    pub context: &'a mut [f32],
    /// Receives the attention weights, `[T, B, S]`. The backward pass reads them.
    pub alignments: &'a mut [f32],
    /// At least [`scratch_len`](Attention::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

impl Attention {
    /// Computes the context of each query, and the attention weights.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer (or of a list in the sequences, or `batch` if keys and queries have different batch
    /// sizes); [`Error::Index`](crate::Error::Index) for a length above the steps;
    /// [`Error::Packing`](crate::Error::Packing) for keys of another layer.
    pub fn forward(
        &self,
        weights: &[f32],
        keys: &Keys<'_, impl AsRef<[f32]>>,
        args: AttentionForward<'_>,
    ) -> Result<()> {
        self.forward_from(weights, keys.as_ref(), args)
    }

    fn forward_from(
        &self,
        weights: &[f32],
        keys: Keys<'_, &[f32]>,
        args: AttentionForward<'_>,
    ) -> Result<()> {
        let AttentionForward { sequences, queries, context, alignments, scratch } = args;
        let walk = self.check(weights, &keys, sequences, queries.len())?;
        check_len("context", walk.rows().saturating_mul(self.input), context.len())?;
        check_len("alignments", walk.rows().saturating_mul(keys.steps), alignments.len())?;
        let room = self.scratch_len(sequences.steps, keys.steps, sequences.batch);
        check_room("scratch", room, scratch.len())?;
        let parts = self.split(weights)?;
        dispatch(
            keys.isa,
            Forward { keys, walk: &walk, sequences, parts, queries, context, alignments, scratch },
        )?;
        Ok(())
    }

    /// Checks the arguments that the forward and the backward pass share.
    pub(super) fn check<'a>(
        &self,
        weights: &[f32],
        keys: &Keys<'_, &[f32]>,
        sequences: Sequences<'a>,
        queries: usize,
    ) -> Result<Walk<'a>> {
        keys.check(self)?;
        let walk = sequences.walk(false)?;
        check_len("weights", self.weights_len(), weights.len())?;
        check_len("batch", keys.walk.batch(), sequences.batch)?;
        check_len("queries", walk.rows().saturating_mul(self.query), queries)?;
        Ok(walk)
    }
}

impl<'k> Keys<'_, &'k [f32]> {
    /// The queries that the scores are computed with: projected for the additive form, otherwise as they are.
    #[inline(always)]
    pub(super) fn project<'q, S: Simd>(
        &self,
        s: S,
        walk: &Walk<'_>,
        queries: &'q [f32],
        room: &'q mut [f32],
    ) -> core::result::Result<&'q [f32], Wrong> {
        let Attention { query, width, .. } = self.layer;
        if !self.layer.is_additive() {
            return Ok(queries);
        }
        let panels = &self.data[self.walk.batch() * self.layer.keys_row(self.steps)..];
        let rows = Rows::present(walk);
        let left = Left { of: Matrix::new(queries, query), rows, count: 1, len: query, at: [0; 4] };
        product(s, left, Right::panels(panels, query, width), room, Init::Zero)?;
        Ok(room)
    }

    /// The panels of one batch row: of the keys, and of the encoder's outputs.
    pub(super) fn panels(&self, b: usize) -> (&'k [f32], &'k [f32]) {
        let row = self.layer.keys_row(self.steps);
        self.data[b * row..][..row].split_at(self.layer.key_panels(self.steps))
    }
}

/// All arguments have been checked.
struct Forward<'a> {
    keys: Keys<'a, &'a [f32]>,
    walk: &'a Walk<'a>,
    sequences: Sequences<'a>,
    parts: Parts<&'a [f32]>,
    queries: &'a [f32],
    context: &'a mut [f32],
    alignments: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Op for Forward<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Forward { keys, walk, sequences, parts, queries, context, alignments, mut scratch } = self;
        let (layer, queries_len) = (keys.layer, sequences.steps);
        let Attention { input, width, .. } = layer;
        let room = take_mut(&mut scratch, layer.projected_len(queries_len, walk.batch()));
        let queries = keys.project(s, walk, queries, room)?;
        let compact = take_mut(&mut scratch, queries_len * width);
        let scores = take_mut(&mut scratch, queries_len * keys.steps);
        let mean = take_mut(&mut scratch, queries_len * input);
        if !walk.is_dense() {
            context.fill(0.0);
            alignments.fill(0.0);
        }
        let nothing = context.is_empty() && alignments.is_empty();
        for b in batch_rows(walk, nothing) {
            let (of_keys, of_outputs) = keys.panels(b);
            let rows = gather(walk, b, width, queries, compact);
            let n = keys.walk.count(b);
            let (q, scores) = (&compact[..rows * width], &mut scores[..rows * n]);
            if layer.is_additive() {
                additive::scores(s, q, of_keys, parts.v, n, scores)?;
            } else {
                let right = Right::panels(of_keys, width, n);
                product(s, Left::plain(q, rows, width), right, scores, Init::Zero)?;
            }
            if let Some(scale) = layer.scale() {
                scores.iter_mut().for_each(|score| *score *= scale);
            }
            for (i, row) in walk.sequence(b).enumerate() {
                let (scores, to) =
                    (&mut scores[i * n..][..n], &mut alignments[row * keys.steps..][..keys.steps]);
                softmax_row(s, scores, &mut to[..n]);
                scores.copy_from_slice(&to[..n]);
                expand(&keys.walk, b, to);
            }
            let mean = &mut mean[..rows * input];
            product(s, Left::plain(scores, rows, n), Right::panels(of_outputs, n, input), mean, Init::Zero)?;
            scatter(walk, b, input, mean, context);
        }
        Ok(())
    }
}

/// Spreads the elements of the steps that take part to their steps. The other steps get zero.
fn expand(walk: &Walk<'_>, b: usize, of: &mut [f32]) {
    let mut left = walk.count(b);
    if walk.masked().is_none() {
        of[left..].fill(0.0);
        return;
    }
    for step in (0..of.len()).rev() {
        of[step] = if walk.active(step, b) {
            left -= 1;
            of[left]
        } else {
            0.0
        };
    }
}
