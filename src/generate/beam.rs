//! Beam search: finds approximately the likeliest sequence of a model that predicts what follows.

use super::sample::LOGITS;
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::{add, mul};
use crate::layer::log_softmax;

/// Beam search over a model that gives logits for what follows a sequence.
///
/// In each step every hypothesis is extended by every class, and the `width` likeliest ones are kept. A
/// hypothesis is finished when it takes the end token, or after `steps` tokens. The search stops as soon as
/// no unfinished hypothesis can be better than the `width` best finished ones.
///
/// ```text
/// score = log p(tokens) / (number of tokens)^alpha
/// ```
///
/// With `alpha` 0, the default, the score is the log-probability, which puts longer sequences at a
/// disadvantage. With 1 it is the mean over the tokens (Wu et al. 2016, arXiv:1609.08144, has a similar
/// penalty). The end token counts as one token. Every hypothesis is also tried with the end token, however
/// unlikely. With `width` 1 and no end token the search is greedy.
///
/// ```
/// use recurrent::{Beam, BeamBuffers, Error};
/// // A model of three classes without a state: 0 ends, 1 and 2 follow each other.
/// const BEAM: Beam = Beam::new(2, 3, 4).start(1).end(0);
/// let (mut ids, mut scratch) = ([0; BEAM.ids_len()], [0.0; BEAM.scratch_len()]);
/// let found = BEAM.search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, |step| {
///     for (token, logits) in step.tokens.iter().zip(step.logits.chunks_mut(3)) {
///         logits.copy_from_slice(if *token == 1 { &[0.0, -9.0, 2.0] } else { &[4.0, 2.0, -9.0] });
///     }
///     Ok::<(), Error>(())
/// })?;
/// let mut tokens = [0; 4];
/// assert_eq!(found.tokens(0, &mut tokens)?, [2, 0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beam {
    width: usize,
    classes: usize,
    steps: usize,
    start: u32,
    end: Option<u32>,
    alpha: f32,
}

/// Storage of [`Beam::search`].
#[derive(Debug)]
pub struct BeamBuffers<'a> {
    /// At least [`ids_len`](Beam::ids_len) elements.
    pub ids: &'a mut [u32],
    /// At least [`scratch_len`](Beam::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// A request of [`Beam::search`] to the model: compute the logits of what follows each hypothesis.
///
/// Hypothesis `i` continues hypothesis `parents[i]` of the previous step with `tokens[i]`. So the states of
/// the model have to be put into that order first ([`reorder`](Self::reorder)). In the first step there is
/// one hypothesis, with the start token and parent 0.
#[derive(Debug)]
pub struct BeamStep<'a> {
    /// The last token of each hypothesis, `[rows]`.
    pub tokens: &'a [u32],
    /// The hypothesis of the previous step that each one continues, `[rows]`.
    pub parents: &'a [u32],
    /// Receives the logits, `[rows, classes]`.
    pub logits: &'a mut [f32],
}

impl BeamStep<'_> {
    /// Copies rows: `to[i] = from[parents[i]]`. `to` is `[rows, n]`. `from` has at least the rows of the
    /// previous step, each also of `n` elements.
    ///
    /// # Errors
    /// [`Error::Length`] if the length of `to` is not a multiple of the rows, or `from` has too few rows.
    ///
    /// ```
    /// use recurrent::BeamStep;
    /// let step = BeamStep { tokens: &[7, 8], parents: &[1, 1], logits: &mut [] };
    /// let mut states = [0.0; 4]; // both go on from the second hypothesis
    /// step.reorder(&[0.1, 0.2, /**/ 0.3, 0.4], &mut states)?;
    /// assert_eq!(states, [0.3, 0.4, /**/ 0.3, 0.4]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn reorder(&self, from: &[f32], to: &mut [f32]) -> Result<()> {
        let rows = self.parents.len();
        let n = to.len().checked_div(rows).unwrap_or(0);
        check_len("to", rows * n, to.len())?;
        let last = self.parents.iter().copied().max().unwrap_or(0) as usize;
        check_room("from", mul(add(last, 1), n), from.len())?;
        for (i, &parent) in self.parents.iter().enumerate() {
            to[i * n..(i + 1) * n].copy_from_slice(&from[parent as usize * n..][..n]);
        }
        Ok(())
    }
}

/// The result of [`Beam::search`], the best hypothesis first.
#[derive(Clone, Copy, Debug)]
pub struct Hypotheses<'a> {
    tokens: &'a [u32],
    parents: &'a [u32],
    /// Each hypothesis' parent in its last step, its last token, and its length.
    last: [&'a [u32]; 3],
    scores: &'a [f32],
    width: usize,
}

impl Hypotheses<'_> {
    /// The number of hypotheses: at most the width of the beam.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no hypothesis. This happens if none was possible.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The scores, in descending order.
    pub fn scores(&self) -> &[f32] {
        self.scores
    }

    /// The tokens of hypothesis `index`, without the start token, and with the end token if it has one. They
    /// are written to the start of `out`, which has room for all steps.
    ///
    /// # Errors
    /// [`Error::Index`] for `hypothesis`; [`Error::Length`] if `out` is too short for it.
    pub fn tokens<'b>(&self, index: usize, out: &'b mut [u32]) -> Result<&'b [u32]> {
        if index >= self.len() {
            return Err(Error::Index { buffer: "hypothesis", position: 0, id: index, limit: self.len() });
        }
        let [mut parent, token, len] = self.last.map(|of| of[index]);
        check_room("out", len as usize, out.len())?;
        let out = &mut out[..len as usize];
        if let Some((last, before)) = out.split_last_mut() {
            *last = token;
            for (step, to) in before.iter_mut().enumerate().rev() {
                let at = step * self.width + parent as usize;
                (*to, parent) = (self.tokens[at], self.parents[at]);
            }
        }
        Ok(out)
    }
}

/// The best candidates so far, in descending order. Of equal ones the first is kept.
struct Best<'a> {
    scores: &'a mut [f32],
    /// Parent, token and length of each.
    of: [&'a mut [u32]; 3],
    count: usize,
}

impl Best<'_> {
    fn is_full(&self) -> bool {
        self.count == self.scores.len()
    }

    /// The score that a candidate has to exceed: that of the worst kept one if the list is full.
    fn bar(&self) -> f32 {
        if self.is_full() { self.scores[self.count - 1] } else { f32::NEG_INFINITY }
    }

    fn offer(&mut self, score: f32, of: [u32; 3]) {
        if score <= self.bar() {
            return;
        }
        self.count = (self.count + 1).min(self.scores.len());
        let mut at = self.count - 1;
        while at > 0 && score > self.scores[at - 1] {
            self.scores[at] = self.scores[at - 1];
            self.of.iter_mut().for_each(|of| of[at] = of[at - 1]);
            at -= 1;
        }
        self.scores[at] = score;
        self.of.iter_mut().zip(of).for_each(|(to, of)| to[at] = of);
    }
}

impl Beam {
    /// A search that keeps `width` hypotheses of at most `steps` tokens out of `classes`. By default it
    /// starts from token 0, has no end token, and does not normalise scores by length.
    pub const fn new(width: usize, classes: usize, steps: usize) -> Self {
        Beam { width, classes, steps, start: 0, end: None, alpha: 0.0 }
    }

    /// The same with this start token.
    pub const fn start(mut self, token: u32) -> Self {
        self.start = token;
        self
    }

    /// The same with an end token.
    pub const fn end(mut self, token: u32) -> Self {
        self.end = Some(token);
        self
    }

    /// The same with scores divided by the number of tokens to the power `alpha`.
    pub const fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// Length of the buffer of ids: `2*W*(T + 3)`.
    pub const fn ids_len(&self) -> usize {
        mul(mul(self.width, add(self.steps, 3)), 2)
    }

    /// Length of the scratch: `W*(classes + 3) + classes`.
    pub const fn scratch_len(&self) -> usize {
        add(mul(self.width, add(self.classes, 3)), self.classes)
    }

    /// Runs the search. `step` computes the logits. Nothing is allocated.
    ///
    /// A logit may be minus infinity: that class never follows.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `ids` or `scratch`; [`Error::Value`] if the width is 0 or
    /// does not fit into 32 bits, `alpha` is negative, infinite or NaN, or a row of logits has NaN, infinity,
    /// or minus infinity only; any error that `step` returns.
    pub fn search<'a, E: From<Error>>(
        &self,
        buffers: BeamBuffers<'a>,
        mut step: impl FnMut(BeamStep<'_>) -> core::result::Result<(), E>,
    ) -> core::result::Result<Hypotheses<'a>, E> {
        let Beam { width, classes, steps, start, end, alpha } = *self;
        let BeamBuffers { ids, scratch } = buffers;
        if width == 0 || u32::try_from(width.max(classes).max(steps)).is_err() {
            return Err(
                Error::Value { argument: "width", expected: "at least 1, and fit into 32 bits" }.into()
            );
        }
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(
                Error::Value { argument: "alpha", expected: "a finite number that is not negative" }.into()
            );
        }
        check_room("ids", self.ids_len(), ids.len())?;
        check_room("scratch", self.scratch_len(), scratch.len())?;
        let (tokens, rest) = ids.split_at_mut(steps * width);
        let (parents, rest) = rest.split_at_mut(steps * width);
        let mut lists = rest.chunks_exact_mut(width);
        let mut three = || [(); 3].map(|()| lists.next().unwrap_or_default());
        let (logits, rest) = scratch.split_at_mut(width * classes);
        let (log_p, rest) = rest.split_at_mut(classes);
        let (live, rest) = rest.split_at_mut(width);
        let (scores, rest) = rest.split_at_mut(width);
        let mut going = Best { scores, of: three(), count: 0 };
        let mut ended = Best { scores: &mut rest[..width], of: three(), count: 0 };

        let normal = |score: f32, len: usize| score / libm::powf(len as f32, alpha);
        let (first_token, first_parent) = ([start], [0]);
        let mut rows = 1;
        live[0] = 0.0;
        for t in 0..steps {
            // No longer sequence scores above this bound: log-probabilities only fall, and the divisor is the
            // largest.
            let bound = normal(live[..rows].iter().copied().fold(f32::NEG_INFINITY, f32::max), steps);
            if rows == 0 || (ended.is_full() && ended.bar() >= bound) {
                break;
            }
            let logits = &mut logits[..rows * classes];
            let (tokens_before, parents_before) = match t.checked_sub(1) {
                None => (&first_token[..], &first_parent[..]),
                Some(before) => (&tokens[before * width..][..rows], &parents[before * width..][..rows]),
            };
            step(BeamStep { tokens: tokens_before, parents: parents_before, logits: &mut *logits })?;
            going.count = 0;
            for (row, &score) in live[..rows].iter().enumerate() {
                log_softmax(classes, &logits[row * classes..][..classes], log_p)?;
                for (class, &log_p) in log_p.iter().enumerate() {
                    if log_p.is_nan() {
                        return Err(LOGITS.into());
                    }
                    let (score, of) = (score + log_p, [row as u32, class as u32, t as u32 + 1]);
                    if Some(class as u32) == end || t + 1 == steps {
                        ended.offer(normal(score, t + 1), of);
                    } else {
                        going.offer(score, of);
                    }
                }
            }
            rows = going.count;
            live[..rows].copy_from_slice(&going.scores[..rows]);
            parents[t * width..][..rows].copy_from_slice(&going.of[0][..rows]);
            tokens[t * width..][..rows].copy_from_slice(&going.of[1][..rows]);
        }
        let (Best { scores, of, count }, tokens, parents) = (ended, &*tokens, &*parents);
        let last = of.map(|of| &of[..count]);
        Ok(Hypotheses { tokens, parents, last, scores: &scores[..count], width })
    }
}
