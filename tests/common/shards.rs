//! The work of a trainer with several shards, implemented separately: sums in a tree, and the generator of
//! each shard.

use core::convert::Infallible;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng, TryRng};

/// The sum of lists, element by element: of the first half of them, and of the rest.
pub fn tree(mut lists: Vec<Vec<f32>>) -> Vec<f32> {
    if lists.len() == 1 {
        return lists.remove(0);
    }
    let right = tree(lists.split_off(lists.len() / 2));
    tree(lists).iter().zip(right).map(|(a, b)| a + b).collect()
}

/// SplitMix64. For 32 bits the upper half of a number is taken.
pub struct Draws(SplitMix64);

impl Draws {
    /// The generator of one shard.
    #[allow(dead_code)]
    pub fn new(key: u64, shard: usize) -> Self {
        let mut seeds = SplitMix64::seed_from_u64(key);
        (0..shard).for_each(|_| _ = seeds.next_u64());
        Draws(SplitMix64::seed_from_u64(seeds.next_u64()))
    }
}

impl TryRng for Draws {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(to);
        Ok(())
    }
}
