//! What ranks must know of each other at an update, encoded as numbers whose f32 sums are exact.

use crate::layer::packed::Fingerprint;

/// The largest number of ranks with exact sums: pieces of 12 bits, and squares of 6 bits, add up to less than
/// 2^24.
pub(super) const MAX_RANKS: usize = 1 << 12;

/// A count is split into this many pieces of 12 bits.
const PIECES: usize = 4;
/// A checksum is split into this many pieces of 6 bits.
const DIGITS: usize = 5;
/// Length of an encoded [`Tally`].
pub(super) const LEN: usize = 2 * PIECES + 2 + 2 * DIGITS;

/// The values of one rank, or the sums over all ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Targets that count.
    pub(super) targets: u64,
    /// Rows of all batches.
    pub(super) rows: u64,
    /// Ranks that have failed.
    pub(super) failed: u64,
    /// Ranks whose states are NaN or infinite.
    pub(super) infinite: u64,
}

fn pieces(count: u64) -> [f32; PIECES] {
    let count = count.min((1 << (12 * PIECES)) - 1);
    core::array::from_fn(|i| ((count >> (12 * i)) & 0xfff) as f32)
}

fn count(pieces: &[f32]) -> u64 {
    pieces.iter().enumerate().map(|(i, &x)| (x as u64) << (12 * i)).sum()
}

impl Tally {
    /// Encodes the tally as numbers that can be added. All ranks should pass the same checksum.
    pub(super) fn to_numbers(self, checksum: u64) -> [f32; LEN] {
        let digit = |i: usize| ((checksum >> (6 * i)) & 63) as f32;
        let mut numbers = [0.0; LEN];
        let (counts, rest) = numbers.split_at_mut(2 * PIECES);
        counts[..PIECES].copy_from_slice(&pieces(self.targets));
        counts[PIECES..].copy_from_slice(&pieces(self.rows));
        (rest[0], rest[1]) = (self.failed as f32, self.infinite as f32);
        for i in 0..DIGITS {
            (rest[2 + i], rest[2 + DIGITS + i]) = (digit(i), digit(i) * digit(i));
        }
        numbers
    }

    /// Decodes the sums over `ranks` ranks. Also returns whether all checksums were equal: they are if for
    /// each digit the mean of the squares is the square of the mean. All ranks come to the same answer.
    pub(super) fn of_sums(sums: &[f32], ranks: usize) -> (Self, bool) {
        let (counts, rest) = sums.split_at(2 * PIECES);
        let [targets, rows] = [count(&counts[..PIECES]), count(&counts[PIECES..])];
        let equal = (0..DIGITS).all(|i| {
            let [sum, squares] = [rest[2 + i] as u64, rest[2 + DIGITS + i] as u64];
            ranks as u64 * squares == sum * sum
        });
        (Tally { targets, rows, failed: rest[0] as u64, infinite: rest[1] as u64 }, equal)
    }
}

/// A checksum of numbers that all ranks should have in common.
pub(super) fn checksum(numbers: impl Iterator<Item = u64>) -> u64 {
    let all = numbers.fold(Fingerprint(0), |all, number| all.with(Fingerprint(number)));
    // Once more, so that the upper bits of the last number also change the bits that are sent.
    all.and(0).0
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn sums_of_many_ranks_are_exact() {
        let ranks: Vec<_> = (0..MAX_RANKS as u64)
            .map(|r| Tally { targets: r * 99_991, rows: 4095, failed: r % 2, infinite: u64::from(r == 7) })
            .collect();
        let sums = |checksum: &dyn Fn(usize) -> u64| {
            let mut sums = [0.0; LEN];
            for (r, rank) in ranks.iter().enumerate() {
                sums.iter_mut().zip(rank.to_numbers(checksum(r))).for_each(|(sum, x)| *sum += x);
            }
            Tally::of_sums(&sums, MAX_RANKS)
        };
        let all = MAX_RANKS as u64;
        let expected =
            Tally { targets: 99_991 * (all * (all - 1) / 2), rows: 4095 * all, failed: all / 2, infinite: 1 };
        assert_eq!(sums(&|_| u64::MAX), (expected, true));
        // First one checksum that differs in one bit; then several whose mean equals one of them.
        assert_eq!(sums(&|r| u64::MAX - u64::from(r == 9)), (expected, false));
        assert_eq!(sums(&|r| [1, 2, 2, 3][r % 4]), (expected, false));
    }

    #[test]
    fn a_checksum_tells_numbers_apart() {
        let of = |numbers: &[u64]| checksum(numbers.iter().copied());
        assert_ne!(of(&[1, 2, 3]), of(&[1, 3, 2]));
        assert_ne!(of(&[1, 2, 3]) & 0x3fff_ffff, of(&[1, 2, 3 | 1 << 63]) & 0x3fff_ffff);
    }
}
