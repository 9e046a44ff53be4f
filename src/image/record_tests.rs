//! Which words of a record a layer does not use.

use rand_core::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

use super::{Record, decode, encode, unused};
use crate::model::Layer;

/// Words that are decoded more often than random ones.
fn word(rng: &mut impl Rng, i: usize) -> u32 {
    let float = [0.0f32, 0.5, 1.0, -1.0, f32::INFINITY][rng.next_u32() as usize % 5].to_bits();
    match (i, rng.next_u32() % 4) {
        (0, _) => rng.next_u32() % 12,
        (3, _) => {
            ((1 << (rng.next_u32() % 12)) & !1) | ((rng.next_u32() & rng.next_u32() & rng.next_u32()) % 2048)
        }
        (_, 0) => 0,
        (6, _) => float,
        (7 | 10 | 13, _) => rng.next_u32() % 13,
        (8.., _) => float,
        (_, n) => n,
    }
}

#[test]
fn unused_words_are_those_that_encoding_does_not_give_back() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(26);
    let (mut used, mut others) = (0, 0);
    for _ in 0..2_000_000 {
        let record: Record = core::array::from_fn(|i| word(&mut rng, i));
        let mut layer = Layer::Residual;
        if decode(&record, &mut layer).is_err() {
            continue;
        }
        let encoded = encode(&layer, 0).unwrap();
        let first = (0..16).find(|&i| encoded[i] != record[i]);
        assert_eq!(unused(&record), first, "{record:?}");
        match first {
            None => used += 1,
            Some(_) => others += 1,
        }
    }
    assert!(used > 100 && others > 100_000, "{used} and {others}");
}
