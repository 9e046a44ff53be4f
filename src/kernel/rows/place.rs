//! Where batch rows are in sequence buffers, and which of them a pass uses.

/// Some of the batch rows of sequence buffers. The buffers have `padded` rows for each of `all` batch rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of steps with padding.
    padded: usize,
    /// The number of batch rows of the buffers, and the first one of this place. Firmware has no threads, so
    /// there a place always has all batch rows.
    #[cfg(not(target_os = "none"))]
    all: usize,
    #[cfg(not(target_os = "none"))]
    first: usize,
    /// The number of batch rows of this place.
    batch: usize,
    /// The distance between the rows of two successive steps, and between those of two successive batch rows.
    stride: (usize, usize),
}

/// Quotient and remainder, both 0 if `by` is 0. `by` is never 0 where there are rows; the checked form keeps
/// the compiler from adding a panic.
#[inline(always)]
pub(crate) fn parts(row: usize, by: usize) -> (usize, usize) {
    (row.checked_div(by).unwrap_or(0), row.checked_rem(by).unwrap_or(0))
}

impl Place {
    /// All batch rows of buffers that are time-major or batch-major.
    #[inline(always)]
    pub(crate) const fn all(steps: usize, batch: usize, batch_major: bool) -> Self {
        let stride = if batch_major { (1, steps) } else { (batch, 1) };
        let padded = if batch == 0 { 0 } else { steps };
        Place {
            padded,
            #[cfg(not(target_os = "none"))]
            all: batch,
            #[cfg(not(target_os = "none"))]
            first: 0,
            batch,
            stride,
        }
    }

    /// `count` batch rows from `first` on, or fewer if there are not that many.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn part(&self, first: usize, count: usize) -> Self {
        let first = first.min(self.batch);
        Place { first: self.first + first, batch: count.min(self.batch - first), ..*self }
    }

    /// The same for buffers that have only `count` steps from `first` on, or fewer if there are not that many.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn during(&self, first: usize, count: usize) -> Self {
        Place { padded: count.min(self.padded.saturating_sub(first)), ..*self }
    }

    #[inline(always)]
    pub(crate) fn padded(&self) -> usize {
        self.padded
    }

    /// The steps of the longest sequence.
    #[inline(always)]
    pub(crate) fn longest(&self, lengths: Option<&[usize]>) -> usize {
        let steps = if self.batch == 0 { 0 } else { self.padded };
        lengths.map_or(steps, |l| l.iter().copied().max().unwrap_or(0))
    }

    #[inline(always)]
    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// Rows of a sequence buffer.
    #[inline(always)]
    pub(crate) fn rows(&self) -> usize {
        self.padded * self.total()
    }

    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    const fn total(&self) -> usize {
        self.all
    }

    #[cfg(target_os = "none")]
    #[inline(always)]
    const fn total(&self) -> usize {
        self.batch
    }

    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    const fn first(&self) -> usize {
        self.first
    }

    #[cfg(target_os = "none")]
    #[inline(always)]
    const fn first(&self) -> usize {
        0
    }

    /// Whether this place has all batch rows of the buffers.
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.batch == self.total()
    }

    /// Whether the rows of a step follow each other directly, and those of the next step follow them.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_whole() && (self.stride.1 == 1 || self.batch == 1)
    }

    /// The row in the buffers of step `time` of batch row `b < batch`. Steps are counted in the order of the
    /// buffers.
    #[inline(always)]
    pub(crate) fn row(&self, time: usize, b: usize) -> usize {
        time * self.stride.0 + (self.first() + b) * self.stride.1
    }

    /// The step and the batch row of a row of the buffers; `None` if the batch row does not belong to this
    /// place.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> Option<(usize, usize)> {
        let (time, b) = match self.stride {
            (1, steps) if self.total() != 1 => {
                let (b, time) = parts(row, steps);
                (time, b)
            }
            _ => parts(row, self.total()),
        };
        let b = b.checked_sub(self.first())?;
        (b < self.batch).then_some((time, b))
    }

    /// Whether this place has all batch rows of another place in the same buffers.
    #[cfg(not(target_os = "none"))]
    #[inline(always)]
    fn covers(&self, other: &Place) -> bool {
        (self.padded, self.total(), self.stride) == (other.padded, other.total(), other.stride)
            && self.first() <= other.first()
            && other.first() + other.batch <= self.first() + self.batch
    }
}

/// The batch rows that a view may access: all of them, or those of a place. On firmware it is always all of
/// them, so nothing is stored there.
#[derive(Clone, Copy)]
pub(crate) struct Whose(#[cfg(not(target_os = "none"))] Option<Place>);

#[cfg(not(target_os = "none"))]
impl Whose {
    pub(crate) const ALL: Whose = Whose(None);

    pub(crate) const fn of(place: Place) -> Self {
        Whose(Some(place))
    }

    /// Whether these include all rows of a place, or all rows of the buffers if `place` is `None`.
    #[inline(always)]
    pub(crate) fn cover(&self, place: Option<&Place>) -> bool {
        self.0.is_none_or(|own| place.is_some_and(|place| own.covers(place)))
    }

    /// Whether these include a row of the buffers.
    #[inline(always)]
    pub(crate) fn have(&self, row: usize) -> bool {
        self.0.is_none_or(|own| own.of(row).is_some())
    }
}

#[cfg(target_os = "none")]
impl Whose {
    pub(crate) const ALL: Whose = Whose();

    #[inline(always)]
    pub(crate) fn cover(&self, _: Option<&Place>) -> bool {
        true
    }

    #[inline(always)]
    pub(crate) fn have(&self, _: usize) -> bool {
        true
    }
}
