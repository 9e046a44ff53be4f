//! Elementwise functions of slices: the activation after a product, and the parts of a logistic loss.

use super::math::{exp, sigmoid, tanh};
use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// The activation of a dense layer. The derivative of each can be computed from its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Tanh,
    Relu,
    Sigmoid,
}

/// `y = f(y)`
#[inline(always)]
pub(crate) fn finish<S: Simd>(s: S, f: Finish, y: &mut [f32]) {
    s.call(Forward { s, f, y });
}

/// `dy = dy f'`, from the values `y = f(..)`.
#[inline(always)]
pub(crate) fn unfinish<S: Simd>(s: S, f: Finish, y: &[f32], dy: &mut [f32]) -> Checked {
    s.call(Backward { s, f, y, dy })
}

struct Forward<'a, S> {
    s: S,
    f: Finish,
    y: &'a mut [f32],
}

impl<S: Simd> Region for Forward<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Forward { s, f, y } = self;
        let (n, y) = (y.len(), y.as_mut_ptr());
        let mut i = 0;
        while i < n {
            // SAFETY: `n - i` elements are left.
            unsafe {
                let x = load(s, y.add(i), n - i);
                let value = match f {
                    Finish::Tanh => tanh(s, x),
                    Finish::Relu => s.lt_select(x, s.splat(0.0), s.splat(0.0), x),
                    Finish::Sigmoid => sigmoid(s, x),
                };
                store(s, y.add(i), value, n - i);
            }
            i += S::LANES;
        }
    }
}

struct Backward<'a, S> {
    s: S,
    f: Finish,
    y: &'a [f32],
    dy: &'a mut [f32],
}

impl<S: Simd> Region for Backward<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Backward { s, f, y, dy } = self;
        let n = y.len();
        check(n == dy.len(), "gradient of an activation")?;
        let (y, dy) = (y.as_ptr(), dy.as_mut_ptr());
        let mut i = 0;
        while i < n {
            // SAFETY: `n - i` elements are left in both.
            unsafe {
                let (v, d) = (load(s, y.add(i), n - i), load(s, dy.add(i), n - i));
                let d = match f {
                    Finish::Tanh => s.mul(d, s.fnma(v, v, s.splat(1.0))),
                    Finish::Relu => s.lt_select(s.splat(0.0), v, d, s.splat(0.0)),
                    Finish::Sigmoid => s.mul(d, s.fnma(v, v, v)),
                };
                store(s, dy.add(i), d, n - i);
            }
            i += S::LANES;
        }
        Ok(())
    }
}

/// Elements that [`logistic`] computes at once.
pub(crate) const PART: usize = 16;

/// `sigmoid(-|x|)`, the smaller of the two probabilities, and `exp(-|x|)`. The larger probability, 1 minus
/// the smaller one, would have no digits left after subtracting a target of 1.
#[inline(always)]
pub(crate) fn logistic<S: Simd>(s: S, x: &[f32; PART]) -> ([f32; PART], [f32; PART]) {
    let (mut smaller, mut tails) = ([0.0; PART], [0.0; PART]);
    for v in 0..PART / S::LANES {
        let at = v * S::LANES;
        // SAFETY: `v < PART / LANES`, so `at + LANES <= PART`.
        unsafe {
            let x = s.load(x.as_ptr().add(at));
            let e = exp(s, s.sub(s.splat(0.0), s.abs(x)));
            s.store(smaller.as_mut_ptr().add(at), s.div(e, s.add(s.splat(1.0), e)));
            s.store(tails.as_mut_ptr().add(at), e);
        }
    }
    (smaller, tails)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Op, dispatch, dispatch_single};

    #[derive(Clone, Copy)]
    struct Both<const N: usize>(Finish, [f32; N], usize);

    impl<const N: usize> Op for Both<N> {
        type Output = [[f32; N]; 2];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let Both(f, mut y, len) = self;
            finish(s, f, &mut y[..len]);
            let mut dy = self.1;
            unfinish(s, f, &y[..len], &mut dy[..len]).unwrap();
            [y, dy]
        }
    }

    #[test]
    fn fused_instruction_sets_give_the_same_bits() {
        const N: usize = 35;
        let x: [f32; N] = core::array::from_fn(|i| (i * 37 % 101) as f32 * 0.1 - 5.0);
        for f in [Finish::Tanh, Finish::Relu, Finish::Sigmoid] {
            for len in 0..=N {
                let mut first = None;
                for isa in Isa::available().filter(|isa| isa.is_fused()) {
                    let op = Both(f, x, len);
                    let result = dispatch(isa, op).map(|x| x.map(f32::to_bits));
                    assert_eq!(*first.get_or_insert(result), result, "{} of {len}", isa.name());
                    assert_eq!(dispatch_single(isa, op).map(|x| x.map(f32::to_bits)), result);
                    for part in &result {
                        assert_eq!(part[len..], x.map(f32::to_bits)[len..]);
                    }
                }
            }
        }
    }
}
