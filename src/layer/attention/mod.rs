//! Attention over an encoder's outputs.

mod backward;
mod forward;
mod keys;

pub use backward::AttentionBackward;
pub use forward::AttentionForward;
pub use keys::{Keys, KeysBackward};

use super::buffer::{add, max, mul};
use crate::error::{Error, Result};
use crate::kernel::product::columns_len;
use crate::kernel::walk::Walk;
use crate::simd::{Isa, MAX_LANES};
use core::ops::Range;

/// How a key is scored against a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Score {
    Dot,
    Scaled,
    General,
    Additive,
}

/// Attention of a decoder's states, the queries, over an encoder's outputs. For each query it computes a mean
/// of the outputs, weighted by the score of each output for the query.
///
/// ```text
/// alignment_s = softmax over the steps s of score(q, x_s),   context = sum over s of alignment_s x_s
///
/// dot         q . x                              Luong et al. 2015, arXiv:1508.04025
/// scaled dot  q . x / sqrt(M)                    Vaswani et al. 2017, arXiv:1706.03762
/// general     q . (w x)                          Luong et al. 2015
/// additive    v . tanh(w_q q + w_k x + b)        Bahdanau et al. 2015, arXiv:1409.0473
/// ```
///
/// Like a [`Recurrent`](crate::Recurrent) layer it is a constant that owns nothing. [`keys`](Self::keys)
/// computes once what depends only on the encoder's outputs. Any number of [`forward`](Self::forward) passes
/// follow, over one step of a decoder at a time or over all steps, with the same bits. For training, call
/// [`backward`](Self::backward) for each forward pass, and [`keys_backward`](Self::keys_backward) once at the
/// end, for `keys`.
///
/// Shapes have these letters: `B` batch rows, `S` encoder steps, `T` decoder steps, `Q` features of a query,
/// `M` features of an encoder output, `A` units of the additive form.
///
/// | buffer | shape | what it is |
/// |---|---|---|
/// | weights, gradients of the dot products | `[0]` | empty |
/// | weights, gradients of the general form | `w [Q, M]` | one flat slice |
/// | weights, gradients of the additive form | `w_q [A, Q]`, `w_k [A, M]`, `b [A]`, `v [A]` | one flat slice, in this order |
/// | x | `[S, B, M]` | the encoder's outputs, or batch-major |
/// | queries, context | `[T, B, Q]`, `[T, B, M]` | or batch-major |
/// | alignments | `[T, B, S]` | the attention weights, or `[B, T, S]` |
/// | keys | opaque | computed from x by [`keys`](Self::keys) |
/// | dkeys | opaque | the gradient of the keys |
/// | scratch | opaque | garbage before and after |
///
/// Batch rows are independent of each other, to the bit. Encoder steps that do not take part (past the end of
/// a sequence, or masked) are never read; their alignment and gradient are zero. The outputs and gradients of
/// a query that does not take part are zero, too. If there is nothing to attend to, the context is zero.
///
/// ```
/// use recurrent::{Attention, AttentionForward, Sequences};
/// const ATTENTION: Attention = Attention::dot(2);
/// let x = [1.0, 0.0, /**/ 0.0, 1.0, /**/ 0.5, 0.5]; // three steps of one row
/// let mut scratch = [0.0; ATTENTION.scratch_len(1, 3, 1)];
/// let keys = ATTENTION.keys(&[], Sequences::new(3, 1), &x, [0.0; ATTENTION.keys_len(3, 1)], &mut scratch)?;
/// let (mut context, mut alignments) = ([0.0; 2], [0.0; 3]);
/// ATTENTION.forward(&[], &keys, AttentionForward {
///     sequences: Sequences::new(1, 1),
///     queries: &[9.0, 0.0],
///     context: &mut context,
///     alignments: &mut alignments,
///     scratch: &mut scratch,
/// })?;
/// assert!(alignments[0] > 0.98 && context[0] > 0.99);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    score: Score,
    query: usize,
    input: usize,
    /// Features of a key: the units of the additive form, otherwise the features of a query.
    width: usize,
    isa: Option<Isa>,
}

impl Attention {
    /// Attention by the dot product of queries and outputs, both of `width` features.
    pub const fn dot(width: usize) -> Self {
        Attention { score: Score::Dot, query: width, input: width, width, isa: None }
    }

    /// The same, with scores divided by the square root of `width`.
    pub const fn scaled_dot(width: usize) -> Self {
        Attention { score: Score::Scaled, ..Attention::dot(width) }
    }

    /// Luong's general form for queries of `query` features and outputs of `input` features.
    pub const fn general(query: usize, input: usize) -> Self {
        Attention { score: Score::General, query, input, width: query, isa: None }
    }

    /// Bahdanau's additive form with `units` units for queries of `query` features and outputs of `input`
    /// features.
    pub const fn additive(query: usize, input: usize, units: usize) -> Self {
        Attention { score: Score::Additive, query, input, width: units, isa: None }
    }

    /// The same layer pinned to an instruction set, instead of the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The instruction set that keys are made for, and that passes over them run on.
    #[inline]
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect)
    }

    /// Features of a query, `Q`.
    pub const fn query(&self) -> usize {
        self.query
    }

    /// Features of the encoder's outputs and of the context, `M`.
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Whether keys differ from the outputs.
    const fn projects(&self) -> bool {
        matches!(self.score, Score::General | Score::Additive)
    }

    const fn is_additive(&self) -> bool {
        matches!(self.score, Score::Additive)
    }

    /// The factor of the scores.
    fn scale(&self) -> Option<f32> {
        matches!(self.score, Score::Scaled).then(|| (1.0 / libm::sqrt(self.width.max(1) as f64)) as f32)
    }

    /// Length of the weights, and of their gradients: 0, `Q*M`, or `A*(Q + M + 2)`.
    pub const fn weights_len(&self) -> usize {
        match self.score {
            Score::Dot | Score::Scaled => 0,
            Score::General => mul(self.query, self.input),
            Score::Additive => mul(self.width, add(add(self.query, self.input), 2)),
        }
    }

    /// Length of the keys of `batch` sequences of `steps` steps: about `S*B*(2*M)` for dot products,
    /// otherwise `S*B*(Q + M)`, or `S*B*(A + M) + A*Q`.
    pub const fn keys_len(&self, steps: usize, batch: usize) -> usize {
        add(mul(batch, self.keys_row(steps)), self.query_panels())
    }

    /// Length of the gradient of the keys: `S*B*M`, plus `S*B*Q` or `S*B*A` if the keys are projected.
    pub const fn dkeys_len(&self, steps: usize, batch: usize) -> usize {
        mul(batch, self.dkeys_row(steps))
    }

    /// Length of the keys of one batch row: panels of the keys, one key to a lane, and panels of the outputs,
    /// one feature to a lane.
    const fn keys_row(&self, steps: usize) -> usize {
        add(self.key_panels(steps), columns_len(MAX_LANES, steps, self.input))
    }

    const fn key_panels(&self, steps: usize) -> usize {
        columns_len(MAX_LANES, self.width, steps)
    }

    const fn dkeys_row(&self, steps: usize) -> usize {
        mul(steps, add(self.input, if self.projects() { self.width } else { 0 }))
    }

    /// Length of the panels of the queries' weights. They are kept with the keys, so that a step does not
    /// pack them.
    const fn query_panels(&self) -> usize {
        if self.is_additive() { columns_len(MAX_LANES, self.query, self.width) } else { 0 }
    }

    /// Length of the panels of the keys' weights, for a product with them or with their transpose.
    const fn weight_panels(&self) -> usize {
        match self.projects() {
            true => max(
                columns_len(MAX_LANES, self.input, self.width),
                columns_len(MAX_LANES, self.width, self.input),
            ),
            false => 0,
        }
    }

    /// Length of the scratch of [`keys`](Self::keys), and of [`forward`](Self::forward) over `queries` steps
    /// of a decoder.
    pub const fn scratch_len(&self, queries: usize, steps: usize, batch: usize) -> usize {
        let keys = add(mul(steps, add(self.input, self.width)), self.weight_panels());
        let row = add(add(self.width, steps), self.input);
        max(keys, add(mul(queries, row), self.projected_len(queries, batch)))
    }

    /// Length of the scratch of all passes, including the backward passes.
    pub const fn train_scratch_len(&self, queries: usize, steps: usize, batch: usize) -> usize {
        let rows = mul(queries, add(mul(add(self.width, steps), 2), self.input));
        let [outputs, keys] = self.transposed_len(steps);
        let mut len = add(add(rows, add(outputs, keys)), mul(self.projected_len(queries, batch), 2));
        if self.is_additive() {
            len = add(len, add(columns_len(MAX_LANES, self.width, self.query), self.width));
        }
        max(len, self.scratch_len(queries, steps, batch))
    }

    /// Lengths of the panels of the outputs, one output to a lane, and of the keys, one feature to a lane.
    /// For dot products both are already among the keys.
    const fn transposed_len(&self, steps: usize) -> [usize; 2] {
        match self.projects() {
            true => [columns_len(MAX_LANES, self.input, steps), columns_len(MAX_LANES, steps, self.width)],
            false => [0; 2],
        }
    }

    /// Length of the projected queries, `[T, B, A]`.
    const fn projected_len(&self, queries: usize, batch: usize) -> usize {
        if self.is_additive() { mul(mul(queries, batch), self.width) } else { 0 }
    }

    /// Splits a flat buffer into its parts. Parts that the form does not have are empty.
    fn split<'a>(&self, flat: &'a [f32]) -> Result<Parts<&'a [f32]>> {
        let [w_q, w_k, b] = self.parts();
        let parts = flat.split_at_checked(w_q).and_then(|(w_q, rest)| {
            let (w_k, rest) = rest.split_at_checked(w_k)?;
            let (b, v) = rest.split_at_checked(b)?;
            Some(Parts { w_q, w_k, b, v })
        });
        parts.ok_or(Error::Overflow { buffer: "weights" })
    }

    pub(crate) fn split_mut<'a>(&self, flat: &'a mut [f32]) -> Option<Parts<&'a mut [f32]>> {
        let [w_q, w_k, b] = self.parts();
        let (w_q, rest) = flat.split_at_mut_checked(w_q)?;
        let (w_k, rest) = rest.split_at_mut_checked(w_k)?;
        let (b, v) = rest.split_at_mut_checked(b)?;
        Some(Parts { w_q, w_k, b, v })
    }

    fn parts(&self) -> [usize; 3] {
        let w_k = mul(self.width, self.input);
        match self.score {
            Score::Dot | Score::Scaled => [0; 3],
            Score::General => [0, w_k, 0],
            Score::Additive => [mul(self.width, self.query), w_k, self.width],
        }
    }
}

/// The weights, or their gradients.
pub(crate) struct Parts<T> {
    pub(crate) w_q: T,
    /// The general form keeps its `w` here.
    pub(crate) w_k: T,
    pub(crate) b: T,
    pub(crate) v: T,
}

/// The batch rows to go over. If every row is empty, `batch` is not bounded by any buffer, so the range is
/// empty.
fn batch_rows(walk: &Walk<'_>, nothing: bool) -> Range<usize> {
    0..if nothing { 0 } else { walk.batch() }
}

/// Copies the rows of batch row `b` that take part, one after the other. Returns their number.
fn gather(walk: &Walk<'_>, b: usize, width: usize, from: &[f32], to: &mut [f32]) -> usize {
    // With no features, the number of rows is not bounded by any buffer: do not loop over them.
    if width == 0 {
        return walk.count(b);
    }
    let mut count = 0;
    for row in walk.sequence(b) {
        to[count * width..][..width].copy_from_slice(&from[row * width..][..width]);
        count += 1;
    }
    count
}

/// The reverse of `gather`.
fn scatter(walk: &Walk<'_>, b: usize, width: usize, from: &[f32], to: &mut [f32]) {
    if width == 0 {
        return;
    }
    for (i, row) in walk.sequence(b).enumerate() {
        to[row * width..][..width].copy_from_slice(&from[i * width..][..width]);
    }
}
