//! SplitMix64 (Steele, Lea and Flood 2014): numbers for everything that must depend only on a seed and an
//! index.

use core::convert::Infallible;

use rand_core::TryRng;

/// The generator. Its seed is its whole state.
pub(super) struct SplitMix(pub(super) u64);

/// 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix {
    /// The generator of one of several shards. Shard number `i` is seeded with number `i` of those that the
    /// key generates.
    pub(super) fn of_shard(key: u64, i: usize) -> Self {
        SplitMix(SplitMix(key.wrapping_add(STEP.wrapping_mul(i as u64))).next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Shuffles in place (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, of: &mut [T]) {
        for i in (1..of.len()).rev() {
            // The bias of one in 2^64 is negligible.
            let j = (u128::from(self.next()) * (i as u128 + 1)) >> 64;
            of.swap(i, j as usize);
        }
    }
}

impl TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for to in to.chunks_mut(8) {
            to.copy_from_slice(&self.next().to_le_bytes()[..to.len()]);
        }
        Ok(())
    }
}
