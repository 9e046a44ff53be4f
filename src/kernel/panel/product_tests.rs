//! Unit tests of the products.

use super::*;
use crate::kernel::pack::pack_rows;
use crate::simd::{Isa, Op, dispatch, dispatch_single};

const MOST: usize = 9;

struct Product<'a> {
    left: Left<'a>,
    w: &'a [f32],
    bias: &'a [f32],
    c: &'a mut [f32],
    packed: bool,
}

impl Op for Product<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { left, w, bias, c, packed } = self;
        let mut room = [f32::NAN; 2 * MOST * MOST];
        if packed {
            pack_rows(S::LANES, left.len, w, &mut room);
            let right = Right::panels(&room, left.len, bias.len());
            product(s, left, right, c, Init::Bias(bias)).unwrap();
        } else {
            product_transposed(s, left, w, c, Init::Bias(bias)).unwrap();
        }
    }
}

#[test]
fn weights_in_place_and_packed_give_the_same_bits() {
    let values: [f32; MOST * MOST] = core::array::from_fn(|i| (i * 37 % 101) as f32 * 0.13 - 6.0);
    for isa in Isa::available() {
        for rows in 1..=MOST {
            for k in 0..=MOST {
                for n in 0..=MOST {
                    let left = Left::plain(&values[..rows * k], rows, k);
                    let (w, bias) = (&values[..n * k], &values[..n]);
                    let mut c = [[f32::NAN; MOST * MOST]; 2];
                    let [first, second] = &mut c;
                    dispatch(isa, Product { left, w, bias, c: &mut first[..rows * n], packed: true });
                    let c = &mut second[..rows * n];
                    dispatch_single(isa, Product { left, w, bias, c, packed: false });
                    assert_eq!(first[..rows * n], second[..rows * n], "{} {rows} {k} {n}", isa.name());
                }
            }
        }
    }
}
