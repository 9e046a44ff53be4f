//! From data to batches: the order of the rows, and rows of different lengths in one batch.

use core::ops::Range;
use std::vec::Vec;

use super::split_mix::SplitMix;
use crate::error::{Error, Result, check_len};
use crate::layer::Sequences;

/// Splits the rows `0..rows` at random into training rows and validation rows. `validation` is the fraction
/// for validation; the count is rounded. Both lists are in ascending order. A seed gives the same split
/// everywhere.
///
/// ```
/// use recurrent::trainer::split;
/// let (learned, validated) = split(100, 0.2, 1);
/// assert_eq!((learned.len(), validated.len()), (80, 20));
/// assert!(validated.iter().all(|row| !learned.contains(row)));
/// ```
pub fn split(rows: usize, validation: f32, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut all: Vec<usize> = (0..rows).collect();
    SplitMix(seed).shuffle(&mut all);
    let count = libm::round(rows as f64 * f64::from(validation.clamp(0.0, 1.0))) as usize;
    let mut learned = all.split_off(count);
    all.sort_unstable();
    learned.sort_unstable();
    (learned, all)
}

/// The position of an [`Order`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Number of complete epochs.
    pub epoch: u64,
    /// Number of batches taken in the current epoch.
    pub batch: u64,
}

impl Place {
    /// As bytes, little-endian: `epoch`, then `batch`.
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[8..].copy_from_slice(&self.batch.to_le_bytes());
        bytes
    }

    /// Reads the bytes that [`to_bytes`](Self::to_bytes) returned.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [epoch, batch] =
            core::array::from_fn(|i| bytes.as_chunks().0.get(i).map_or(0, |part| u64::from_le_bytes(*part)));
        Place { epoch, batch }
    }
}

/// The order in which rows are taken, batch by batch and epoch by epoch. Rows come in the order of the data,
/// or [shuffled](Self::shuffled); rows of similar length can be put [together](Self::bucketed).
///
/// The order of an epoch depends only on its number and the seed. [`place`](Self::place) and
/// [`go_to`](Self::go_to) save and resume the position of a training.
///
/// ```
/// use recurrent::trainer::Order;
/// let lengths = [5, 3, 9, 3, 8];
/// let mut order = Order::new(&lengths, 2).shuffled(1).bucketed(10);
/// let mut seen = vec![];
/// while let Some(rows) = order.next() {
///     seen.extend_from_slice(rows); // the last batch has one row
/// }
/// seen.sort();
/// assert_eq!(seen, [0, 1, 2, 3, 4]);
/// assert!(order.next().is_some()); // the next epoch
/// assert_eq!(order.place().epoch, 1);
/// ```
#[derive(Clone, Debug)]
pub struct Order {
    /// Row numbers with their lengths, in the order of the data.
    rows: Vec<(usize, usize)>,
    batch: usize,
    seed: Option<u64>,
    bucket: usize,
    whole: bool,
    place: Place,
    /// The rows of epoch `of`, and the range of each batch.
    order: Vec<usize>,
    batches: Vec<Range<usize>>,
    of: Option<u64>,
}

impl Order {
    /// Batches of `batch` rows; the last one of an epoch may have fewer. The lengths are used only by
    /// [`bucketed`](Self::bucketed).
    pub fn new(lengths: &[usize], batch: usize) -> Self {
        Order {
            rows: lengths.iter().copied().enumerate().collect(),
            batch: batch.max(1),
            seed: None,
            bucket: 1,
            whole: false,
            place: Place::default(),
            order: Vec::new(),
            batches: Vec::new(),
            of: None,
        }
    }

    /// The same order over some of the rows, as a [`split`] returns them. Rows that do not exist are ignored.
    pub fn only(mut self, rows: &[usize]) -> Self {
        self.rows = rows.iter().filter_map(|row| self.rows.get(*row).copied()).collect();
        self.of = None;
        self
    }

    /// The same order, shuffled anew in each epoch.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self.of = None;
        self
    }

    /// The same order with less padding: within every group of `batches` consecutive batches the rows are
    /// sorted by length. If the order is shuffled, the batches then come in random order. With 1, only the
    /// rows within each batch are sorted; a very large number sorts all rows.
    pub fn bucketed(mut self, batches: usize) -> Self {
        self.bucket = batches.max(1);
        self.of = None;
        self
    }

    /// The same order without an incomplete last batch: carried states need batches of one size.
    pub fn whole_batches(mut self) -> Self {
        self.whole = true;
        self.of = None;
        self
    }

    /// Number of batches in an epoch.
    pub fn batches(&self) -> usize {
        if self.whole { self.rows.len() / self.batch } else { self.rows.len().div_ceil(self.batch) }
    }

    /// The current position.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Moves to a position. The position after the last batch of an epoch is the end of that epoch.
    pub fn go_to(&mut self, place: Place) {
        self.place = place;
    }

    /// The rows of the next batch. At the end of an epoch it returns `None` once, and then starts the next
    /// epoch.
    #[allow(clippy::should_implement_trait, reason = "the rows are borrowed, and epochs go on after `None`")]
    pub fn next(&mut self) -> Option<&[usize]> {
        if self.of != Some(self.place.epoch) {
            self.begin();
        }
        let batch = usize::try_from(self.place.batch).ok().and_then(|batch| self.batches.get(batch));
        let Some(range) = batch.cloned() else {
            self.place = Place { epoch: self.place.epoch.wrapping_add(1), batch: 0 };
            return None;
        };
        self.place.batch += 1;
        self.order.get(range)
    }

    /// Builds the order of an epoch.
    fn begin(&mut self) {
        let Order { rows, batch, seed, bucket, whole, place, order, batches, of } = self;
        let mut rows = rows.clone();
        // One step of the generator decorrelates seeds that are close to each other.
        let mut mix =
            seed.map(|seed| SplitMix(SplitMix(seed).next().wrapping_add(SplitMix(place.epoch).next())));
        if let Some(mix) = &mut mix {
            mix.shuffle(&mut rows);
        }
        if *bucket > 1 {
            rows.chunks_mut(batch.saturating_mul(*bucket))
                .for_each(|rows| rows.sort_by_key(|(_, length)| *length));
        }
        order.clear();
        order.extend(rows.iter().map(|(row, _)| *row));
        batches.clear();
        let starts = (0..order.len()).step_by(*batch);
        batches.extend(starts.map(|start| start..(start + *batch).min(order.len())));
        if *whole && batches.last().is_some_and(|last| last.len() < *batch) {
            batches.pop();
        }
        if let Some(mix) = mix.as_mut().filter(|_| *bucket > 1) {
            mix.shuffle(batches);
        }
        *of = Some(place.epoch);
    }
}

/// Rows of any lengths, stored one after the other in one slice, with `width` elements for each step.
///
/// ```
/// use recurrent::trainer::{Padded, Rows};
/// let rows = Rows::new(&[1, 2, 3, /**/ 4, /**/ 5, 6], &[3, 1, 2], 1)?;
/// let mut padded = Padded::default();
/// let batch = padded.fill(&rows, &[0, 2], 0)?;
/// assert_eq!((batch.values, batch.lengths), (&[1, 2, 3, /**/ 5, 6, 0][..], &[3, 2][..])); // [B, T]
/// assert_eq!((batch.sequences().steps(), batch.sequences().batch()), (3, 2));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rows<'a, T> {
    all: &'a [T],
    lengths: &'a [usize],
    /// The start of each row.
    starts: Vec<usize>,
    width: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Rows of the given lengths, in steps.
    ///
    /// # Errors
    /// [`Error::Length`] if the length of `all` is not the sum over all rows.
    pub fn new(all: &'a [T], lengths: &'a [usize], width: usize) -> Result<Self> {
        let mut end = 0usize;
        let mut starts = Vec::with_capacity(lengths.len());
        for length in lengths {
            starts.push(end);
            end = end.saturating_add(length.saturating_mul(width));
        }
        check_len("all", end, all.len())?;
        Ok(Rows { all, lengths, starts, width })
    }

    /// The lengths of the rows, in steps.
    pub fn lengths(&self) -> &'a [usize] {
        self.lengths
    }

    /// Copies the lengths of some rows.
    fn lengths_of(&self, rows: &[usize], to: &mut Vec<usize>) -> Result<()> {
        to.clear();
        for (position, &row) in rows.iter().enumerate() {
            let Some(length) = self.lengths.get(row) else {
                let limit = self.lengths.len();
                return Err(Error::Index { buffer: "rows", position, id: row, limit });
            };
            to.push(*length);
        }
        Ok(())
    }

    /// One row; empty if the row does not exist.
    pub fn row(&self, row: usize) -> &'a [T] {
        let range = self.starts.get(row).zip(self.lengths.get(row));
        range.map_or(&[], |(start, length)| &self.all[*start..start + length * self.width])
    }
}

/// A buffer that holds some rows side by side.
#[derive(Clone, Debug, Default)]
pub struct Padded<T> {
    values: Vec<T>,
    lengths: Vec<usize>,
}

/// Some rows, either side by side or one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a, T> {
    /// The elements of all rows.
    pub values: &'a [T],
    /// The steps of each row.
    pub lengths: &'a [usize],
}

impl<'a, T> Taken<'a, T> {
    /// Padded rows as a batch-major batch with as many steps as the longest row.
    pub fn sequences(&self) -> Sequences<'a> {
        let steps = self.lengths.iter().copied().max().unwrap_or(0);
        let sequences = Sequences::new(steps, self.lengths.len()).batch_major();
        match self.lengths.iter().all(|length| *length == steps) {
            true => sequences,
            false => sequences.lengths(self.lengths),
        }
    }
}

impl<T: Copy> Padded<T> {
    /// Copies rows to `[B, T, width]`, where `T` is the length of the longest row; shorter rows end with
    /// `padding`. Consecutive rows of one length are borrowed, not copied.
    ///
    /// # Errors
    /// [`Error::Index`] for a row that does not exist.
    pub fn fill<'p>(&'p mut self, from: &Rows<'p, T>, rows: &[usize], padding: T) -> Result<Taken<'p, T>> {
        let Padded { values, lengths } = self;
        from.lengths_of(rows, lengths)?;
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let follow = rows.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if let Some(first) = rows.first().filter(|_| follow && lengths.iter().all(|n| *n == steps)) {
            let start = from.starts[*first];
            let values = &from.all[start..start + rows.len() * steps * from.width];
            return Ok(Taken { values, lengths });
        }
        values.clear();
        for &row in rows {
            let of = from.row(row);
            values.extend_from_slice(of);
            values.resize(values.len() + steps * from.width - of.len(), padding);
        }
        Ok(Taken { values, lengths })
    }

    /// Concatenates rows without padding, as [`Loss::Ctc`](crate::model::Loss::Ctc) takes its labels.
    ///
    /// # Errors
    /// Those of [`fill`](Self::fill).
    pub fn join<'p>(&'p mut self, from: &Rows<'p, T>, rows: &[usize]) -> Result<Taken<'p, T>> {
        let Padded { values, lengths } = self;
        from.lengths_of(rows, lengths)?;
        values.clear();
        rows.iter().for_each(|row| values.extend_from_slice(from.row(*row)));
        Ok(Taken { values, lengths })
    }
}
