//! The order of the steps of a padded batch, and which rows take part in a step.

use super::place::Place;

/// The output of a masked step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masked {
    /// The output repeats the hidden state, which the step does not change: Keras' default. (Difference:
    /// before the first unmasked step of a call, Keras' output is zero, whatever the initial state.)
    #[default]
    Carry,
    /// The output is zero: Keras' `zero_output_for_mask`.
    Zero,
}

/// A batch of sequences, padded to the same number of steps, and its direction; or [some batch
/// rows](Self::part) of one.
///
/// Sequence buffers have one row for each step of each batch row. A pass counts steps in its own order:
/// `t = 0` is the first step of a row that runs forward. For a row that runs in reverse, it is the last step
/// of that row's sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    pub(super) place: Place,
    /// The number of steps of the longest sequence.
    steps: usize,
    reverse: bool,
    /// The length of each batch row.
    lengths: Option<&'a [usize]>,
    /// The number of steps before the first one of this walk. Lengths count from the first of all steps.
    #[cfg(not(target_os = "none"))]
    before: usize,
    /// One entry for each row of the buffers.
    mask: Option<(&'a [bool], Masked)>,
    resets: Option<&'a [bool]>,
}

/// The parameters of a walk. `lengths` has an entry for each batch row; masks and resets have one for each
/// row of the sequence buffers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan<'a> {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) batch_major: bool,
    pub(crate) reverse: bool,
    pub(crate) lengths: Option<&'a [usize]>,
    pub(crate) mask: Option<(&'a [bool], Masked)>,
    pub(crate) resets: Option<&'a [bool]>,
}

/// The hidden state that a step starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// The initial one.
    Initial,
    /// The output in this row.
    Row(usize),
    /// Zero, because of a reset.
    Zero,
}

/// The entry of a row in a list with one entry for each row.
#[inline(always)]
fn is_set(list: &[bool], row: usize) -> bool {
    list.get(row).copied().unwrap_or(false)
}

impl<'a> Walk<'a> {
    /// `None` if a list has the wrong length, a sequence is longer than `steps`, or the number of rows
    /// overflows.
    #[inline]
    pub(crate) fn new(plan: Plan<'a>) -> Option<Self> {
        let Plan { steps, batch, batch_major, reverse, lengths, mask, resets } = plan;
        let rows = steps.checked_mul(batch)?;
        let fits = lengths.is_none_or(|l| l.len() == batch && l.iter().all(|l| *l <= steps))
            && mask.is_none_or(|(m, _)| m.len() == rows)
            && resets.is_none_or(|r| r.len() == rows);
        let place = Place::all(steps, batch, batch_major);
        fits.then_some(Walk {
            place,
            steps: place.longest(lengths),
            reverse,
            lengths,
            #[cfg(not(target_os = "none"))]
            before: 0,
            mask,
            resets,
        })
    }

    /// The same in reverse.
    #[inline(always)]
    pub(crate) fn reversed(self) -> Self {
        Walk { reverse: true, ..self }
    }

    /// One step of `batch` rows.
    #[inline(always)]
    pub(crate) const fn step(batch: usize) -> Self {
        let place = Place::all(1, batch, false);
        Walk {
            place,
            steps: 1,
            reverse: false,
            lengths: None,
            #[cfg(not(target_os = "none"))]
            before: 0,
            mask: None,
            resets: None,
        }
    }

    /// The same for `count` batch rows from `first` on, or fewer if there are not that many. Sequence buffers
    /// are still those of all batch rows. States, and other buffers with one row for each batch row, have
    /// only the rows of this part.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        let place = self.place.part(first, count);
        let lengths = self.lengths.map(|l| l.get(first..first + place.batch()).unwrap_or_default());
        Walk { steps: self.longest(place, lengths), place, lengths, ..*self }
    }

    /// `count` steps from `first` on, or fewer if there are not that many. The walk is forward, and its
    /// [rows follow each other](Place::is_plain); the sequence buffers have only the rows of these steps.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn during(&self, first: usize, count: usize) -> Self {
        debug_assert!(!self.reverse && self.place.is_plain());
        let place = self.place.during(first, count);
        let (start, rows) = (first.saturating_mul(self.batch()), place.rows());
        let of = |list: &'a [bool]| list.get(start..start + rows).unwrap_or_default();
        let walk = Walk {
            place,
            before: self.before + first,
            mask: self.mask.map(|(mask, masked)| (of(mask), masked)),
            resets: self.resets.map(of),
            ..*self
        };
        Walk { steps: walk.longest(place, self.lengths), ..walk }
    }

    /// The steps of the longest sequence of these rows.
    #[cfg(not(target_os = "none"))]
    fn longest(&self, place: Place, lengths: Option<&[usize]>) -> usize {
        match lengths {
            Some(_) => place.longest(lengths).saturating_sub(self.before).min(place.padded()),
            None => place.longest(None),
        }
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    #[inline(always)]
    pub(crate) fn batch(&self) -> usize {
        self.place.batch()
    }

    /// The number of steps until all rows have ended.
    #[inline(always)]
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Rows of a sequence buffer.
    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        self.place.rows()
    }

    /// The number of steps of a batch row.
    #[inline(always)]
    pub(crate) fn len(&self, b: usize) -> usize {
        match self.lengths {
            #[cfg(target_os = "none")]
            Some(lengths) => lengths.get(b).copied().unwrap_or(0),
            #[cfg(not(target_os = "none"))]
            Some(lengths) => {
                lengths.get(b).map_or(0, |len| len.saturating_sub(self.before).min(self.place.padded()))
            }
            None => self.place.padded(),
        }
    }

    /// Whether rows may end before the last step.
    #[inline(always)]
    pub(crate) fn is_ragged(&self) -> bool {
        self.lengths.is_some()
    }

    /// Whether every row takes part in every step.
    #[inline(always)]
    pub(crate) fn is_dense(&self) -> bool {
        self.lengths.is_none() && self.mask.is_none()
    }

    /// Whether this is one step of one row, without lengths, mask or resets.
    #[inline(always)]
    pub(crate) fn is_one_step(&self) -> bool {
        self.rows() == 1 && self.batch() == 1 && self.is_dense() && self.resets.is_none()
    }

    /// `Some` if all rows take all steps, and the rows of each step follow those of the step before. Then the
    /// previous hidden state of a row is `batch` rows before it, or after it if the value is `true`: the walk
    /// is in reverse.
    pub(crate) fn regular(&self) -> Option<bool> {
        let regular = self.is_dense() && self.resets.is_none() && self.place.is_plain();
        regular.then_some(self.reverse)
    }

    /// The row of batch row `b < batch` in step `t < steps`; always below `rows()`.
    #[inline(always)]
    pub(crate) fn row(&self, t: usize, b: usize) -> usize {
        debug_assert!(t < self.place.padded() && b < self.batch());
        let time = if self.reverse { self.len(b).saturating_sub(t + 1) } else { t };
        self.place.row(time, b)
    }

    /// Whether batch row `b` takes part in step `t`: it has not ended and is not masked.
    #[inline(always)]
    pub(crate) fn active(&self, t: usize, b: usize) -> bool {
        t < self.len(b) && self.mask.is_none_or(|(mask, _)| is_set(mask, self.row(t, b)))
    }

    /// The output of a masked step; `None` without a mask.
    #[inline(always)]
    pub(crate) fn masked(&self) -> Option<Masked> {
        self.mask.map(|(_, masked)| masked)
    }

    /// Whether the state of batch row `b` is set to zero before step `t`.
    #[inline(always)]
    pub(crate) fn resets(&self, t: usize, b: usize) -> bool {
        t < self.len(b) && self.resets.is_some_and(|resets| is_set(resets, self.row(t, b)))
    }

    #[inline(always)]
    pub(crate) fn has_resets(&self) -> bool {
        self.resets.is_some()
    }

    /// The hidden state that step `t` of batch row `b` starts from.
    #[inline(always)]
    pub(crate) fn previous(&self, t: usize, b: usize) -> Previous {
        let mut t = t;
        loop {
            if self.resets(t, b) {
                return Previous::Zero;
            }
            if t == 0 {
                return Previous::Initial;
            }
            t -= 1;
            if self.active(t, b) {
                return Previous::Row(self.row(t, b));
            }
        }
    }

    /// Whether a row of a sequence buffer takes part in some step, whatever the direction.
    #[inline(always)]
    pub(super) fn present(&self, row: usize) -> bool {
        let Some((time, b)) = self.place.of(row) else { return false };
        time < self.len(b) && self.mask.is_none_or(|(mask, _)| is_set(mask, row))
    }

    /// The rows of a sequence buffer that belong to batch row `b` and take part, in the order of the walk.
    pub(crate) fn sequence(&self, b: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.len(b)).filter(move |&t| self.active(t, b)).map(move |t| self.row(t, b))
    }

    /// The number of rows that `sequence` yields. Without a mask they need not be counted one by one.
    pub(crate) fn count(&self, b: usize) -> usize {
        if self.mask.is_none() { self.len(b) } else { self.sequence(b).count() }
    }

    /// The rows past the ends of their sequences.
    pub(crate) fn padding(&self) -> impl Iterator<Item = usize> + '_ {
        let (walk, ragged) = (*self, self.is_ragged());
        (0..if ragged { self.batch() } else { 0 })
            .flat_map(move |b| (walk.len(b)..walk.place.padded()).map(move |time| walk.place.row(time, b)))
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
