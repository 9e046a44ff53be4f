//! The backward pass: from the gradients of contexts to those of queries and keys.

use super::{Attention, Keys, Parts, batch_rows, gather, scatter};
use crate::error::{Result, check_len, check_room};
use crate::kernel::additive;
use crate::kernel::gather::{self as ragged, Operand};
use crate::kernel::gemm::outer;
use crate::kernel::pack::transpose;
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::taken::Rows;
use crate::kernel::view::{Columns, Matrix};
use crate::kernel::{Checked, Walk};
use crate::layer::buffer::take_mut;
use crate::layer::gradients::Gradients;
use crate::layer::sequences::Sequences;
use crate::layer::softmax::softmax_row_backward;
use crate::simd::{Op, Simd, dispatch};

/// Arguments of [`Attention::backward`].
#[derive(Debug, Default)]
pub struct AttentionBackward<'a> {
    /// The same as for the forward pass.
    pub sequences: Sequences<'a>,
    /// The queries of the forward pass, `[T, B, Q]`.
    pub queries: &'a [f32],
    /// The attention weights from the forward pass, `[T, B, S]`.
    pub alignments: &'a [f32],
    /// Gradient of the context, `[T, B, M]`.
    pub dcontext: &'a [f32],
    /// Receives the gradient of the queries, `[T, B, Q]`.
    pub dqueries: &'a mut [f32],
    /// The gradient of the keys, [`dkeys_len`](Attention::dkeys_len) elements. The pass adds to it: set it to
    /// zeros before the first pass.
    pub dkeys: &'a mut [f32],
    /// If given, receives the gradients of `w_q` and `v`, in the layout of all weights. The other weights'
    /// gradients are left as they are.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// At least [`train_scratch_len`](Attention::train_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

impl Attention {
    /// Computes the gradients of the queries, of the keys, and of the weights `w_q` and `v`, from the
    /// gradient of the context.
    ///
    /// Call it once for each forward pass, in any order; then call [`keys_backward`](Self::keys_backward)
    /// once. With the general and the additive form each call arranges the keys again, so one pass over many
    /// queries is faster than many passes.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer (or of a list in the sequences, or `batch` if keys and queries have different batch
    /// sizes); [`Error::Index`](crate::Error::Index) for a length above the steps;
    /// [`Error::Packing`](crate::Error::Packing) for keys of another layer.
    ///
    /// ```
    /// use recurrent::{Attention, AttentionBackward, AttentionForward, KeysBackward, Sequences};
    /// const ATTENTION: Attention = Attention::dot(1);
    /// let (encoder, decoder) = (Sequences::new(2, 1), Sequences::new(1, 1));
    /// let (x, queries) = ([1.0, 3.0], [0.0]);
    /// let mut scratch = [0.0; ATTENTION.train_scratch_len(1, 2, 1)];
    /// let keys = ATTENTION.keys(&[], encoder, &x, [0.0; ATTENTION.keys_len(2, 1)], &mut scratch)?;
    /// let (mut context, mut alignments) = ([0.0], [0.0; 2]);
    /// ATTENTION.forward(&[], &keys, AttentionForward {
    ///     sequences: decoder, queries: &queries, context: &mut context, alignments: &mut alignments, scratch: &mut scratch,
    /// })?;
    /// assert_eq!((context, alignments), ([2.0], [0.5, 0.5]));
    ///
    /// let (mut dqueries, mut dkeys, mut dx) = ([0.0], [0.0; ATTENTION.dkeys_len(2, 1)], [0.0; 2]);
    /// ATTENTION.backward(&[], &keys, AttentionBackward {
    ///     sequences: decoder, queries: &queries, alignments: &alignments, dcontext: &[1.0], dqueries: &mut dqueries,
    ///     dkeys: &mut dkeys, scratch: &mut scratch, ..Default::default()
    /// })?;
    /// ATTENTION.keys_backward(&[], &keys, KeysBackward {
    ///     x: &x, dkeys: &mut dkeys, dx: &mut dx, grads: None, mode: Default::default(), scratch: &mut scratch,
    /// })?;
    /// assert_eq!((dqueries, dx), ([1.0], [0.5, 0.5])); // the variance of x, and the alignments
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn backward(
        &self,
        weights: &[f32],
        keys: &Keys<'_, impl AsRef<[f32]>>,
        args: AttentionBackward<'_>,
    ) -> Result<()> {
        self.backward_from(weights, keys.as_ref(), args)
    }

    fn backward_from(
        &self,
        weights: &[f32],
        keys: Keys<'_, &[f32]>,
        args: AttentionBackward<'_>,
    ) -> Result<()> {
        let AttentionBackward {
            sequences,
            queries,
            alignments,
            dcontext,
            dqueries,
            dkeys,
            grads,
            mode,
            scratch,
        } = args;
        let walk = self.check(weights, &keys, sequences, queries.len())?;
        check_len("alignments", walk.rows().saturating_mul(keys.steps), alignments.len())?;
        check_len("dcontext", walk.rows().saturating_mul(self.input), dcontext.len())?;
        check_len("dqueries", queries.len(), dqueries.len())?;
        check_len("dkeys", self.dkeys_len(keys.steps, sequences.batch), dkeys.len())?;
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        let room = self.train_scratch_len(sequences.steps, keys.steps, sequences.batch);
        check_room("scratch", room, scratch.len())?;
        let parts = self.split(weights)?;
        let pass = Backward {
            keys,
            walk: &walk,
            sequences,
            parts,
            queries,
            alignments,
            dcontext,
            dqueries,
            dkeys,
            grads: grads.and_then(|flat| self.split_mut(flat)),
            add: mode == Gradients::Accumulate,
            scratch,
        };
        Ok(dispatch(keys.isa, pass)?)
    }
}

/// All arguments have been checked.
struct Backward<'a> {
    keys: Keys<'a, &'a [f32]>,
    walk: &'a Walk<'a>,
    sequences: Sequences<'a>,
    parts: Parts<&'a [f32]>,
    queries: &'a [f32],
    alignments: &'a [f32],
    dcontext: &'a [f32],
    dqueries: &'a mut [f32],
    dkeys: &'a mut [f32],
    grads: Option<Parts<&'a mut [f32]>>,
    add: bool,
    scratch: &'a mut [f32],
}

impl Op for Backward<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Backward {
            keys, walk, sequences, parts, dqueries, mut dkeys, mut grads, add, mut scratch, ..
        } = self;
        let (layer, count, steps) = (keys.layer, sequences.steps, keys.steps);
        let Attention { query, input, width, .. } = layer;
        let (additive, projects) = (layer.is_additive(), layer.projects());
        let projected_len = layer.projected_len(count, walk.batch());
        let room = take_mut(&mut scratch, projected_len);
        let queries = keys.project(s, walk, self.queries, room)?;
        let dprojected = take_mut(&mut scratch, projected_len);
        let compact = take_mut(&mut scratch, count * width);
        let dcompact = take_mut(&mut scratch, count * width);
        let dmean = take_mut(&mut scratch, count * input);
        let weights = take_mut(&mut scratch, count * steps);
        let dscores = take_mut(&mut scratch, count * steps);
        let dv = take_mut(&mut scratch, if additive { width } else { 0 });
        dv.fill(0.0);
        let [outputs_len, keys_len] = layer.transposed_len(steps);
        let transposed_outputs = take_mut(&mut scratch, outputs_len);
        let transposed_keys = take_mut(&mut scratch, keys_len);
        let nothing = dqueries.is_empty() && dkeys.is_empty();
        let dfrom = if additive { &mut *dprojected } else { &mut *dqueries };
        if !walk.is_dense() {
            dfrom.fill(0.0);
        }
        for b in batch_rows(walk, nothing) {
            let n = keys.walk.count(b);
            let (mut of_keys, mut of_outputs) = keys.panels(b);
            let rows = gather(walk, b, width, queries, compact);
            gather(walk, b, input, self.dcontext, dmean);
            let (q, dq) = (&compact[..rows * width], &mut dcompact[..rows * width]);
            let (dmean, weights) = (&dmean[..rows * input], &mut weights[..rows * n]);
            let d = &mut dscores[..rows * n];
            for (i, row) in walk.sequence(b).enumerate() {
                let from = &self.alignments[row * steps..][..steps];
                let active = (0..steps).filter(|step| keys.walk.active(*step, b));
                weights[i * n..][..n].iter_mut().zip(active).for_each(|(to, step)| *to = from[step]);
            }
            // With dot products keys and outputs are the same, and the panels of each are those of the
            // other's transpose.
            if projects {
                transpose(s, n, input, of_outputs, transposed_outputs);
                transpose(s, width, n, of_keys, transposed_keys);
                (of_keys, of_outputs) = (&*transposed_outputs, &*transposed_keys);
            }
            product(s, Left::plain(dmean, rows, input), Right::panels(of_keys, input, n), d, Init::Zero)?;
            if n > 0 {
                for (y, d) in weights.chunks_exact(n).zip(d.chunks_exact_mut(n)) {
                    softmax_row_backward(y, d);
                }
            }
            if let Some(scale) = layer.scale() {
                d.iter_mut().for_each(|d| *d *= scale);
            }
            let row = take_mut(&mut dkeys, layer.dkeys_row(steps));
            let (dx, dk) = row.split_at_mut(steps * input);
            outer(
                s,
                Columns::all(weights, n),
                Columns::all(dmean, input),
                &mut dx[..n * input],
                true,
                &mut [],
            )?;
            let dk = if projects { &mut dk[..n * width] } else { &mut dx[..n * width] };
            if additive {
                additive::backward(s, additive::Gradients { q, k: of_outputs, v: parts.v, d, dq, dk, dv })?;
            } else {
                product(s, Left::plain(d, rows, n), Right::panels(of_outputs, n, width), dq, Init::Zero)?;
                outer(s, Columns::all(d, n), Columns::all(q, width), dk, true, &mut [])?;
            }
            scatter(walk, b, width, dq, dfrom);
        }
        if !additive {
            return Ok(());
        }
        let dprojected = &*dprojected;
        let rows = Rows::present(walk);
        if rows.count() < walk.rows() {
            dqueries.fill(0.0);
        }
        let right = Right::for_rows(s, rows.count(), parts.w_q, query, scratch);
        let left = Left { of: Matrix::new(dprojected, width), rows, count: 1, len: width, at: [0; 4] };
        product(s, left, right, dqueries, Init::Zero)?;
        if let Some(grads) = &mut grads {
            let (a, b) = (Columns::all(dprojected, width), Columns::all(self.queries, query));
            if walk.is_dense() {
                outer(s, a, b, grads.w_q, add, scratch)?;
            } else {
                ragged::gather(s, walk, a, Operand::Same(b), query, grads.w_q, add)?;
            }
            if !add {
                grads.v.fill(0.0);
            }
            grads.v.iter_mut().zip(dv).for_each(|(to, d)| *to += *d);
        }
        Ok(())
    }
}
