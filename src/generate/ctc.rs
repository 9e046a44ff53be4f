//! Decoders of connectionist temporal classification: from a model's outputs to labels.

use super::sample::argmax;
use crate::error::{Error, Need, Result, check_room, check_shape};
use crate::layer::Sequences;
use crate::layer::buffer::{add, mul};
use crate::layer::log_softmax;
use crate::loss::ctc::check_blank;

/// Greedy decoder: takes the likeliest class of each step, merges equal neighbours into one label, and drops
/// blanks.
///
/// It needs no buffer, so labels can be read from a stream while it runs.
///
/// ```
/// use recurrent::CtcGreedy;
/// let mut greedy = CtcGreedy::new(0);
/// let steps = [[0.0, 9.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]];
/// let mut labels = vec![];
/// for logits in &steps {
///     labels.extend(greedy.push(logits)?);
/// }
/// assert_eq!(labels, [1, 1, 2]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtcGreedy {
    blank: u32,
    last: u32,
}

impl CtcGreedy {
    /// A decoder before its first step, with this class as the blank.
    pub const fn new(blank: u32) -> Self {
        CtcGreedy { blank, last: blank }
    }

    /// Takes one step, `logits [classes]`. Returns the label that begins with this step, if one does.
    ///
    /// # Errors
    /// Those of [`argmax`]; [`Error::Value`] for a blank that is not a class. On an error nothing changes.
    pub fn push(&mut self, logits: &[f32]) -> Result<Option<u32>> {
        check_blank(logits.len(), self.blank)?;
        let class = argmax(logits)? as u32;
        let begins = class != self.blank && class != self.last;
        self.last = class;
        Ok(begins.then_some(class))
    }

    /// Decodes row `row` of a batch from its first step on, `logits [T, B, classes]`. The labels are written
    /// to the start of `out`, which has room for one label for each step.
    ///
    /// # Errors
    /// Those of [`push`](Self::push); [`Error::Length`] or [`Error::Overflow`] for `logits`, `out` or a list
    /// in the sequences; [`Error::Index`] for a row that is not below the batch. `out` is left as it was,
    /// unless the error is about a logit.
    ///
    /// ```
    /// use recurrent::{CtcGreedy, Sequences};
    /// let logits = [0.0, 1.0, /**/ 0.0, 1.0, /**/ 1.0, 0.0, /**/ 0.0, 1.0]; // [T, B, 2]
    /// let mut out = [0; 2];
    /// assert_eq!(CtcGreedy::new(0).row(2, Sequences::new(2, 2), &logits, 0, &mut out)?, [1]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn row<'o>(
        mut self,
        classes: usize,
        sequences: Sequences<'_>,
        logits: &[f32],
        row: usize,
        out: &'o mut [u32],
    ) -> Result<&'o [u32]> {
        check_blank(classes, self.blank)?;
        self.last = self.blank;
        let steps = check_row(classes, sequences, logits, row)?;
        check_room("out", sequences.steps(), out.len())?;
        let mut count = 0;
        for at in steps {
            if let Some(label) = self.push(&logits[at * classes..][..classes])? {
                out[count] = label;
                count += 1;
            }
        }
        Ok(&out[..count])
    }
}

/// Checks the arguments, and returns the positions in `logits` of the row's steps that take part.
fn check_row<'s>(
    classes: usize,
    sequences: Sequences<'s>,
    logits: &[f32],
    row: usize,
) -> Result<impl Iterator<Item = usize> + use<'s>> {
    let walk = sequences.walk(false)?;
    check_shape("logits", Need::ROWS_CLASSES, mul(walk.rows(), classes), logits.len())?;
    if row >= sequences.batch() {
        return Err(Error::Index { buffer: "row", position: 0, id: row, limit: sequences.batch() });
    }
    Ok((0..sequences.steps())
        .filter_map(move |t| if walk.active(t, row) { Some(walk.row(t, row)) } else { None }))
}

/// Prefix beam search (Hannun et al. 2014, arXiv:1408.2873): finds approximately the likeliest labels over
/// all their alignments.
///
/// In each step the `width` likeliest prefixes are kept. The probabilities of all alignments of a prefix are
/// added up. So it can find labels that the single likeliest alignment does not have.
///
/// ```text
/// score = log p(labels) + what the language model adds for each of them
/// ```
///
/// ```
/// use recurrent::{CtcBeam, CtcBeamBuffers, Sequences};
/// const BEAM: CtcBeam = CtcBeam::new(4, 2);
/// let (mut ids, mut scratch) = ([0; BEAM.ids_len(2)], [0.0; BEAM.scratch_len()]);
/// // In both steps the blank has the probability 0.6. The likeliest alignment is two blanks: 0.36.
/// // But label 1 has three alignments, together 0.64.
/// let logits = [0.6f32.ln(), 0.4f32.ln(), /**/ 0.6f32.ln(), 0.4f32.ln()];
/// let buffers = CtcBeamBuffers { ids: &mut ids, scratch: &mut scratch };
/// let found = BEAM.search(Sequences::new(2, 1), &logits, 0, buffers, |_, _| 0.0)?;
/// assert_eq!(found.labels(0)?, [1]);
/// assert!((found.scores()[0] - 0.64f32.ln()).abs() < 1e-6);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CtcBeam {
    width: usize,
    classes: usize,
    blank: u32,
    least: f32,
}

/// Storage of [`CtcBeam::search`].
#[derive(Debug)]
pub struct CtcBeamBuffers<'a> {
    /// At least [`ids_len`](CtcBeam::ids_len) elements.
    pub ids: &'a mut [u32],
    /// At least [`scratch_len`](CtcBeam::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// The result of [`CtcBeam::search`], the best hypothesis first.
#[derive(Clone, Copy, Debug)]
pub struct CtcHypotheses<'a> {
    labels: &'a [u32],
    lengths: &'a [u32],
    scores: &'a [f32],
    steps: usize,
}

impl CtcHypotheses<'_> {
    /// The number of hypotheses: at most the width of the beam.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no hypothesis.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// The scores, in descending order.
    pub fn scores(&self) -> &[f32] {
        self.scores
    }

    /// The labels of hypothesis `index`.
    ///
    /// # Errors
    /// [`Error::Index`] for `hypothesis`.
    pub fn labels(&self, index: usize) -> Result<&[u32]> {
        if index >= self.len() {
            return Err(Error::Index { buffer: "hypothesis", position: 0, id: index, limit: self.len() });
        }
        Ok(&self.labels[index * self.steps..][..self.lengths[index] as usize])
    }
}

/// `log(exp(a) + exp(b))`.
fn plus(a: f32, b: f32) -> f32 {
    let (most, least) = if a > b { (a, b) } else { (b, a) };
    if least == f32::NEG_INFINITY { most } else { most + libm::log1pf(libm::expf(least - most)) }
}

/// The prefixes of one step. `blank` and `label` are the log-probabilities of the alignments that end with
/// the blank and with the last label. `model` is what the language model adds.
struct Beginnings<'a> {
    labels: &'a mut [u32],
    lengths: &'a mut [u32],
    blank: &'a mut [f32],
    label: &'a mut [f32],
    model: &'a mut [f32],
    score: &'a mut [f32],
    /// The prefix of the previous step that this one continues.
    parent: &'a mut [u32],
    count: usize,
}

/// Makes an empty list of prefixes from parts of two buffers.
fn cut<'a>(ids: &'a mut [u32], scratch: &'a mut [f32], width: usize, steps: usize) -> Beginnings<'a> {
    let (labels, rest) = ids.split_at_mut(width * steps);
    let (lengths, parent) = rest.split_at_mut(width);
    let (blank, rest) = scratch.split_at_mut(width);
    let (label, rest) = rest.split_at_mut(width);
    let (model, score) = rest.split_at_mut(width);
    Beginnings { labels, lengths, blank, label, model, score, parent, count: 0 }
}

impl Beginnings<'_> {
    /// Inserts a prefix at the place of its score, and drops the worst if the list is full. The labels are
    /// not stored yet, only their number. If there is one label more than the parent has, it is stored in
    /// `last`.
    fn offer(
        &mut self,
        [blank, label, model]: [f32; 3],
        parent: usize,
        length: u32,
        last: &mut [u32],
        of: u32,
    ) {
        let score = plus(blank, label) + model;
        let full = self.count == self.score.len();
        // Drop a prefix that no alignment reaches, or whose score is NaN.
        if score.is_nan() || score <= if full { self.score[self.count - 1] } else { f32::NEG_INFINITY } {
            return;
        }
        self.count += usize::from(!full);
        let mut at = self.count - 1;
        while at > 0 && score > self.score[at - 1] {
            for list in [&mut *self.blank, &mut *self.label, &mut *self.model, &mut *self.score] {
                list[at] = list[at - 1];
            }
            for list in [&mut *self.lengths, &mut *self.parent, &mut *last] {
                list[at] = list[at - 1];
            }
            at -= 1;
        }
        (self.blank[at], self.label[at], self.model[at], self.score[at]) = (blank, label, model, score);
        (self.lengths[at], self.parent[at], last[at]) = (length, parent as u32, of);
    }
}

impl CtcBeam {
    /// A search that keeps the best `width` label sequences (prefixes) at each step. There are `classes`
    /// classes; the blank is class 0.
    pub const fn new(width: usize, classes: usize) -> Self {
        CtcBeam { width, classes, blank: 0, least: f32::NEG_INFINITY }
    }

    /// The same with this class as the blank.
    pub const fn blank(mut self, class: u32) -> Self {
        self.blank = class;
        self
    }

    /// The same search, but a step does not try labels whose log-probability in this step is below the given
    /// one. That saves most of the time if there are many classes. By default all labels are tried.
    pub const fn least(mut self, log_probability: f32) -> Self {
        self.least = log_probability;
        self
    }

    /// Length of the buffer of ids for `steps` steps (`T`): `W*(2*T + 5)`.
    pub const fn ids_len(&self, steps: usize) -> usize {
        mul(self.width, add(mul(steps, 2), 5))
    }

    /// Length of the scratch: `8*W + classes`.
    pub const fn scratch_len(&self) -> usize {
        add(mul(self.width, 8), self.classes)
    }

    /// Searches in row `row` of a batch, `logits [T, B, classes]`.
    ///
    /// `model(labels, next)` returns what the label `next` after `labels` adds to the score: for example a
    /// weighted log-probability of a language model, a reward for each label, or minus infinity for a label
    /// that is not allowed. It is called at most once for each prefix, class and step.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for a row that
    /// is not below the batch; [`Error::Value`] if the width is 0 or does not fit into 32 bits, for a blank
    /// that is not below `classes`, and for logits if one is NaN or infinity, or if all are minus infinity.
    pub fn search<'a>(
        &self,
        sequences: Sequences<'_>,
        logits: &[f32],
        row: usize,
        buffers: CtcBeamBuffers<'a>,
        mut model: impl FnMut(&[u32], u32) -> f32,
    ) -> Result<CtcHypotheses<'a>> {
        let CtcBeam { width, classes, blank, least } = *self;
        let (CtcBeamBuffers { ids, scratch }, steps) = (buffers, sequences.steps());
        if width == 0 || u32::try_from(width.max(classes).max(steps)).is_err() {
            return Err(Error::Value { argument: "width", expected: "at least 1, and fit into 32 bits" });
        }
        check_blank(classes, blank)?;
        let rows = check_row(classes, sequences, logits, row)?;
        check_room("ids", self.ids_len(steps), ids.len())?;
        check_room("scratch", self.scratch_len(), scratch.len())?;

        let (one, rest) = ids.split_at_mut(width * (steps + 2));
        let (two, rest) = rest.split_at_mut(width * (steps + 2));
        let last = &mut rest[..width];
        let (log_p, rest) = scratch.split_at_mut(classes);
        let (first, second) = rest[..8 * width].split_at_mut(4 * width);
        let (mut now, mut next) = (cut(one, first, width, steps), cut(two, second, width, steps));
        // The empty prefix. No alignment of it ends with a label.
        now.offer([0.0, f32::NEG_INFINITY, 0.0], 0, 0, last, 0);
        for at in rows {
            log_softmax(classes, &logits[at * classes..][..classes], log_p)?;
            if log_p.iter().any(|p| p.is_nan()) {
                return Err(super::sample::LOGITS);
            }
            next.count = 0;
            for i in 0..now.count {
                let labels = &now.labels[i * steps..][..now.lengths[i] as usize];
                let all = plus(now.blank[i], now.label[i]);
                // The prefix stays the same after a blank or its last label again. It is also reached from
                // the prefix without its last label, by that label.
                let stays = all + log_p[blank as usize];
                let mut again = f32::NEG_INFINITY;
                if let Some((&end, before)) = labels.split_last() {
                    let p = log_p[end as usize];
                    again = now.label[i] + p;
                    if p >= least
                        && let Some(j) = now.find(before, steps)
                    {
                        again = plus(again, now.ways(j, before, end) + p);
                    }
                }
                next.offer([stays, again, now.model[i]], i, labels.len() as u32, last, blank);
                for (class, &p) in log_p.iter().enumerate() {
                    let class = class as u32;
                    if class == blank || p < least || p == f32::NEG_INFINITY {
                        continue;
                    }
                    let ways = now.ways(i, labels, class) + p;
                    // A prefix that is already in the list got this part above.
                    if ways > f32::NEG_INFINITY && !now.has(labels, class, steps) {
                        let adds = now.model[i] + model(labels, class);
                        next.offer([f32::NEG_INFINITY, ways, adds], i, labels.len() as u32 + 1, last, class);
                    }
                }
            }
            for i in 0..next.count {
                let (from, len) = (next.parent[i] as usize, next.lengths[i] as usize);
                let kept = now.lengths[from] as usize;
                next.labels[i * steps..][..kept].copy_from_slice(&now.labels[from * steps..][..kept]);
                if len > kept {
                    next.labels[i * steps + kept] = last[i];
                }
            }
            core::mem::swap(&mut now, &mut next);
        }
        let Beginnings { labels, lengths, score, count, .. } = now;
        Ok(CtcHypotheses { labels, lengths: &lengths[..count], scores: &score[..count], steps })
    }
}

impl Beginnings<'_> {
    /// Log-probability of the alignments of prefix `i` that `label` extends. If `label` repeats the last
    /// label, only alignments that end with the blank count.
    fn ways(&self, i: usize, labels: &[u32], label: u32) -> f32 {
        match labels.last() == Some(&label) {
            true => self.blank[i],
            false => plus(self.blank[i], self.label[i]),
        }
    }

    fn find(&self, labels: &[u32], steps: usize) -> Option<usize> {
        (0..self.count).find(|&j| {
            self.lengths[j] as usize == labels.len() && self.labels[j * steps..][..labels.len()] == *labels
        })
    }

    /// Whether the list has the prefix `labels` plus `label`.
    fn has(&self, labels: &[u32], label: u32, steps: usize) -> bool {
        (0..self.count).any(|j| {
            let of = &self.labels[j * steps..][..self.lengths[j] as usize];
            of.split_last().is_some_and(|(last, before)| *last == label && before == labels)
        })
    }
}
