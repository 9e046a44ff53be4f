//! Layer normalisation of one row (Ba, Kiros and Hinton 2016, arXiv:1607.06450, equation 4), forward and
//! backward.
//!
//! These are plain loops over memory, which the compiler turns into vectors of the instruction set that calls
//! them. They round every operation and have a fixed order of additions, so all instruction sets get the same
//! bits.

use crate::simd::Region;

/// Added to the variance, as PyTorch's `LayerNorm` does by default.
const EPS: f32 = 1e-5;

/// Chains of a sum.
const WIDE: usize = 16;

/// The sum of `f` over the elements of three rows of the same length, in sixteen chains.
#[inline(always)]
fn sum([a, b, c]: [&[f32]; 3], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDE];
    let [(a, a_rest), (b, b_rest), (c, c_rest)] = [a, b, c].map(<[f32]>::as_chunks::<WIDE>);
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for lane in 0..WIDE {
            sums[lane] += f(a[lane], b[lane], c[lane]);
        }
    }
    for (((sum, a), b), c) in sums.iter_mut().zip(a_rest).zip(b_rest).zip(c_rest) {
        *sum += f(*a, *b, *c);
    }
    let mut half = WIDE / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The mean of a row, and the factor that gives the differences from it a variance of one.
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum([x; 3], |x, _, _| x) / n;
    let variance = sum([x; 3], |x, _, _| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / libm::sqrtf(variance + EPS))
}

/// `x = (x - mean) / sqrt(variance + eps) * gain + bias`. An empty bias counts as zero.
pub(crate) struct Normalise<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) gain: &'a [f32],
    pub(crate) bias: &'a [f32],
}

impl Region for Normalise<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Normalise { x, gain, bias } = self;
        let (mean, scale) = moments(x);
        for (x, gain) in x.iter_mut().zip(gain) {
            *x = (*x - mean) * scale * gain;
        }
        for (x, bias) in x.iter_mut().zip(bias) {
            *x += bias;
        }
    }
}

/// The gradients of [`Normalise`], from that of its result, `d`. Replaces `x`, what was normalised, by its
/// gradient. Adds to the gradients of gain and bias, unless they are empty.
pub(crate) struct Backward<'a> {
    pub(crate) x: &'a mut [f32],
    pub(crate) gain: &'a [f32],
    pub(crate) d: &'a [f32],
    pub(crate) d_gain: &'a mut [f32],
    pub(crate) d_bias: &'a mut [f32],
}

impl Region for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Backward { x, gain, d, d_gain, d_bias } = self;
        let len = x.len().min(gain.len()).min(d.len());
        let (mean, scale) = moments(x);
        let (x, gain, d) = (&mut x[..len], &gain[..len], &d[..len]);
        for x in x.iter_mut() {
            *x = (*x - mean) * scale;
        }
        for ((d_gain, d), x) in d_gain.iter_mut().zip(d).zip(&*x) {
            *d_gain += d * x;
        }
        for (d_bias, d) in d_bias.iter_mut().zip(d) {
            *d_bias += d;
        }
        // The gradient has no part along the mean and none along the differences, which the result ignores.
        let n = len as f32;
        let along_mean = sum([d, gain, x], |d, gain, _| d * gain) / n;
        let along_x = sum([d, gain, x], |d, gain, x| d * gain * x) / n;
        for ((x, d), gain) in x.iter_mut().zip(d).zip(gain) {
            *x = (d * gain - along_mean - *x * along_x) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn normalise(x: &mut [f32], gain: &[f32], bias: &[f32]) {
        Normalise { x, gain, bias }.run();
    }

    /// The same in f64.
    fn oracle(x: &[f64], gain: &[f64], bias: &[f64]) -> Vec<f64> {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let of = |i: usize| (x[i] - mean) / (variance + 1e-5).sqrt() * gain[i] + bias[i];
        (0..x.len()).map(of).collect()
    }

    fn row(n: usize, salt: usize) -> Vec<f32> {
        (0..n).map(|i| ((i + salt) * 37 % 101) as f32 * 0.03 - 1.4).collect()
    }

    fn wide(of: &[f32]) -> Vec<f64> {
        of.iter().map(|v| f64::from(*v)).collect()
    }

    #[test]
    fn rows_and_gradients_are_those_of_the_oracle() {
        for n in [1, 2, 15, 16, 17, 33, 100, 1000] {
            let (x, gain, bias, d) = (row(n, 3), row(n, 11), row(n, 29), row(n, 71));
            let mut got = x.clone();
            normalise(&mut got, &gain, &bias);
            let [x64, gain64, bias64, d64] = [&x, &gain, &bias, &d].map(|v| wide(v));
            for (got, want) in got.iter().zip(oracle(&x64, &gain64, &bias64)) {
                assert!((f64::from(*got) - want).abs() < 2e-6, "{n}: {got} {want}");
            }

            let (mut dx, mut d_gain, mut d_bias) = (x.clone(), std::vec![0.5; n], std::vec![0.25; n]);
            let (x, gain, d) = (&mut dx[..], &gain[..], &d[..]);
            Backward { x, gain, d, d_gain: &mut d_gain, d_bias: &mut d_bias }.run();
            let loss = |x: &[f64], gain: &[f64], bias: &[f64]| -> f64 {
                oracle(x, gain, bias).iter().zip(&d64).map(|(y, d)| y * d).sum()
            };
            for i in 0..n {
                let difference = |which: usize| {
                    let at = |step: f64| {
                        let mut of = [x64.clone(), gain64.clone(), bias64.clone()];
                        of[which][i] += step;
                        loss(&of[0], &of[1], &of[2])
                    };
                    (at(1e-5) - at(-1e-5)) / 2e-5
                };
                let close = |got: f32, want: f64| (f64::from(got) - want).abs() < 1e-5 * (1.0 + want.abs());
                assert!(close(dx[i], difference(0)), "{n} {i}: {} {}", dx[i], difference(0));
                assert!(close(d_gain[i] - 0.5, difference(1)), "{n} {i}");
                assert!(close(d_bias[i] - 0.25, difference(2)), "{n} {i}");
            }
        }
    }

    #[test]
    fn a_row_of_equal_numbers_gives_the_bias() {
        let mut x = [3.0; 20];
        normalise(&mut x, &[2.0; 20], &[0.5; 20]);
        assert_eq!(x, [0.5; 20]);
        let mut x = [3.0; 4];
        normalise(&mut x, &[2.0; 4], &[]);
        assert_eq!(x, [0.0; 4]);
    }
}
