//! Unit tests of the sums over rows.

extern crate std;

use std::format;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::simd::{Isa, Op, dispatch};

struct Sums<'a> {
    a: Columns<'a>,
    b: Columns<'a>,
    c: &'a mut [f32],
    add: bool,
    room: &'a mut [f32],
}

impl Op for Sums<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Sums { a, b, c, add, room } = self;
        outer(s, a, b, c, add, room).unwrap();
    }
}

/// Pseudorandom numbers whose sums have rounding errors.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Each sum is one chain, whatever is packed and however much room there is. The sizes are around those of
/// the tiles, around the depth, and on both sides of the limit for packing.
#[test]
fn every_sum_is_one_chain() {
    let wide = PACK_LEFT;
    for (m, k, n) in [
        (1, 1, 1),
        (7, 3, 17),
        (13, 40, 35),
        (64, 64, 64),
        (67, DEPTH + 1, 35),
        (25, 2 * DEPTH - 1, wide - 1),
        (6, 2 * DEPTH, wide),
        (19, DEPTH + 37, wide + 17),
    ] {
        // The columns are in the middle of longer rows.
        let (lda, ldb) = (m + 5, n + 3);
        let (left, right, before) = (values(k * lda, 1), values(k * ldb, 2), values(m * n, 3));
        let a = Columns { data: &left, ld: lda, column: 2, width: m };
        let b = Columns { data: &right, ld: ldb, column: 1, width: n };
        for (add, fused) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut want = if add { before.clone() } else { vec![0.0; m * n] };
            for row in 0..k {
                for (i, a) in a.row(row).iter().enumerate() {
                    for (j, b) in b.row(row).iter().enumerate() {
                        let sum = &mut want[i * n + j];
                        *sum = if fused { a.mul_add(*b, *sum) } else { a * b + *sum };
                    }
                }
            }
            for isa in Isa::available().filter(|isa| isa.is_fused() == fused) {
                for room in [0, 32 * (n + m), 50 * (n + m) + 60, (DEPTH + 2) * (n + m + 64)] {
                    let mut room = vec![f32::NAN; room];
                    let mut c = if add { before.clone() } else { vec![f32::NAN; m * n] };
                    dispatch(isa, Sums { a, b, c: &mut c, add, room: &mut room });
                    let what = format!("{m} x {k} x {n}, add {add}, room {} on {}", room.len(), isa.name());
                    let library =
                        cfg!(feature = "matrixmultiply") && isa == Isa::SCALAR && m * k * n >= LARGE;
                    for (got, want) in c.iter().zip(&want) {
                        let close = library && (got - want).abs() < 1e-4;
                        assert!(close || got.to_bits() == want.to_bits(), "{what}: {got:e} and {want:e}");
                    }
                }
            }
        }
    }
}
