//! Parts of training: initial weights, sampling, clipping.

#[path = "common/numbers.rs"]
mod numbers;

use std::convert::Infallible;

use numbers::{SIZES, assert_close, length, random, rng, wide};
use rand_xoshiro::rand_core::TryRng;
use recurrent::train::{Clip, clip_norm, clip_scale, clip_value, normal, orthogonal, uniform};
use recurrent::{Dense, Embedding, Error, Gru, Lstm, LstmGate, Rnn, sample};

#[test]
fn random_numbers_have_their_distribution() {
    let n = 200_000;
    let mut w = vec![0.0; n];
    uniform(&mut w, 0.5, &mut rng(17));
    let moments = |w: &[f32]| {
        let mean = wide(w).iter().sum::<f64>() / n as f64;
        let moment = |p| wide(w).iter().map(|w| (w - mean).powi(p)).sum::<f64>() / n as f64;
        (mean, moment(2), moment(4))
    };
    let (mean, variance, _) = moments(&w);
    assert!(mean.abs() < 2e-3 && (variance - 1.0 / 12.0).abs() < 1e-3);
    assert!(w.iter().all(|w| (-0.5..0.5).contains(w)));

    normal(&mut w, 2.0, &mut rng(18));
    let (mean, variance, fourth) = moments(&w);
    assert!(mean.abs() < 0.02 && (variance - 4.0).abs() < 0.06, "{mean} {variance}");
    assert!((fourth / (variance * variance) - 3.0).abs() < 0.1);
    // Neighbours are computed as a pair, but must be independent.
    let pairs = w.chunks(2).map(|p| f64::from(p[0]) * f64::from(p[1])).sum::<f64>() / (n / 2) as f64;
    assert!(pairs.abs() < 0.05);
    let mut odd = [f32::NAN; 3];
    normal(&mut odd, 1.0, &mut rng(19));
    assert!(odd.iter().all(|w| w.is_finite()));
}

/// A random number generator that always gives the same number.
struct Constant(u64);

impl TryRng for Constant {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0 as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(self.0 as u8);
        Ok(())
    }
}

#[test]
fn the_smallest_and_the_greatest_random_numbers() {
    for (bits, bound) in [(0, -0.5), (u64::MAX, 0.5 - f32::EPSILON / 4.0)] {
        let mut w = [f32::NAN; 9];
        uniform(&mut w, 0.5, &mut Constant(bits));
        assert!(w.iter().all(|w| (w - bound).abs() < 1e-7 && (-0.5..0.5).contains(w)));
        normal(&mut w, 1.0, &mut Constant(bits));
        assert!(w.iter().all(|w| w.abs() < 6.7));
        orthogonal(&mut w, 3, 3, &mut Constant(bits)).unwrap();
        assert!(w.iter().all(|w| w.is_finite()));
    }
    // The first and the last class that can be drawn.
    let mut logits = random(300, 29);
    logits[0] = f32::NEG_INFINITY;
    logits[297..].fill(f32::NEG_INFINITY);
    assert_eq!(sample(&logits, 1.0, &mut Constant(0)), Ok(1));
    assert_eq!(sample(&logits, 1.0, &mut Constant(u64::MAX)), Ok(296));
}

/// The greatest deviation of `m m^T` from the unit matrix. `m` has `count` rows, with element `(i, k)` at
/// `at(i, k)`.
fn distance_from_orthonormal(count: usize, len: usize, at: impl Fn(usize, usize) -> f32) -> f64 {
    let mut worst = 0.0f64;
    for i in 0..count {
        for j in 0..=i {
            let dot: f64 = (0..len).map(|k| f64::from(at(i, k)) * f64::from(at(j, k))).sum();
            worst = worst.max((dot - f64::from(u8::from(i == j))).abs());
        }
    }
    worst
}

#[test]
fn orthogonal_matrices() {
    for (rows, cols) in
        [(1, 1), (1, 9), (9, 1), (8, 8), (7, 17), (17, 7), (33, 33), (64, 200), (200, 64), (256, 256)]
    {
        let mut w = vec![f32::NAN; rows * cols];
        orthogonal(&mut w, rows, cols, &mut rng(20)).unwrap();
        let worst = match rows <= cols {
            true => distance_from_orthonormal(rows, cols, |i, k| w[i * cols + k]),
            false => distance_from_orthonormal(cols, rows, |i, k| w[k * cols + i]),
        };
        assert!(worst < 1e-6, "{worst} at {rows} x {cols}");
        // All directions are equally likely, so half of the signs are positive.
        if rows * cols > 1000 {
            let positive = w.iter().filter(|&&w| w > 0.0).count() as f64 / w.len() as f64;
            assert!((positive - 0.5).abs() < 0.05, "{positive}");
        }
    }
    orthogonal(&mut [], 0, 3, &mut rng(0)).unwrap();
    orthogonal(&mut [], 3, 0, &mut rng(0)).unwrap();
    let mut w = [7.0; 5];
    assert_eq!(orthogonal(&mut w, 2, 3, &mut rng(0)), Err(length("w", 6, 5)));
    assert_eq!(w, [7.0; 5]);
}

#[test]
fn initial_weights() {
    let lstm = Lstm::new(5, 16);
    let mut w = vec![f32::NAN; lstm.weights_len()];
    lstm.init(&mut w, &mut rng(21)).unwrap();
    assert!(w.iter().all(|w| w.abs() <= 0.25) && w.iter().any(|w| w.abs() > 0.24));
    let before = w.clone();
    lstm.init_orthogonal(&mut w, &mut rng(22)).unwrap();
    let (parts, old) = (lstm.weights(&w).unwrap(), lstm.weights(&before).unwrap());
    assert_eq!((parts.w_ih, parts.b_ih, parts.b_hh), (old.w_ih, old.b_ih, old.b_hh));
    for block in parts.w_hh.chunks(16 * 16) {
        assert!(distance_from_orthonormal(16, 16, |i, k| block[i * 16 + k]) < 1e-6);
    }
    assert_ne!(parts.w_hh[..256], parts.w_hh[256..512]);

    let before = w.clone();
    lstm.forget_bias(&mut w, 1.5).unwrap();
    let (parts, old) = (lstm.weights(&w).unwrap(), lstm.weights(&before).unwrap());
    for gate in [LstmGate::Input, LstmGate::Forget, LstmGate::Cell, LstmGate::Output] {
        let (new, old) = (parts.gate(gate), old.gate(gate));
        assert_eq!((new.w_ih, new.w_hh), (old.w_ih, old.w_hh));
        if gate == LstmGate::Forget {
            assert_eq!((new.b_ih, new.b_hh), (&[1.5; 16][..], &[0.0; 16][..]));
        } else {
            assert_eq!((new.b_ih, new.b_hh), (old.b_ih, old.b_hh));
        }
    }

    Gru::new(2, 0).init_orthogonal(&mut [], &mut rng(0)).unwrap();
    Lstm::new(2, 0).forget_bias(&mut [], 1.0).unwrap();
    let short = length("weights", 3, 2);
    let mut two = [7.0; 2];
    assert_eq!(Dense::new(2, 1).init(&mut two, &mut rng(0)), Err(short));
    assert_eq!(Embedding::new(3, 1).init(&mut two, &mut rng(0)), Err(short));
    assert_eq!(Rnn::new(1, 1).init(&mut two, &mut rng(0)), Err(length("weights", 4, 2)));
    assert_eq!(Rnn::new(1, 1).init_orthogonal(&mut two, &mut rng(0)), Err(length("weights", 4, 2)));
    assert_eq!(Lstm::new(1, 1).forget_bias(&mut two, 1.0), Err(length("weights", 16, 2)));
    assert_eq!(two, [7.0; 2]);
    let mut dense = vec![0.0; Dense::new(100, 20).weights_len()];
    Dense::new(100, 20).init(&mut dense, &mut rng(23)).unwrap();
    assert!(dense.iter().all(|w| w.abs() <= 0.1) && dense.iter().any(|w| w.abs() > 0.099));
}

#[test]
fn clipping_by_the_norm() {
    for n in SIZES {
        let grads = random(n, 28);
        let norm = wide(&grads).iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut clipped = grads.clone();
        assert_eq!(clip_norm(&mut clipped, 2.0 * norm as f32), Ok(Some(norm as f32)));
        assert_eq!(clipped, grads);
        assert_eq!(clip_norm(&mut clipped, 0.5), Ok(Some(norm as f32)));
        let scale = (0.5 / (norm + 1e-6)).min(1.0);
        assert_eq!(clip_scale(&grads, 0.5), Ok(Some(Clip { norm: norm as f32, scale: scale as f32 })));
        let expected: Vec<f64> = wide(&grads).iter().map(|g| g * scale).collect();
        assert_close("clipped", &clipped, &expected, 1e-7);
        clip_norm(&mut clipped, 0.0).unwrap();
        assert!(clipped.iter().all(|&g| g == 0.0));
        assert_eq!(clip_scale(&grads, f32::INFINITY), Ok(Some(Clip { norm: norm as f32, scale: 1.0 })));
    }
    assert_eq!(clip_norm(&mut [], 1.0), Ok(Some(0.0)));
    // In f32, the square of 1e30 is infinite, and the sum of the squares of ten million 1e-3 is wrong in its
    // first digits.
    let mut large = [3e30, -4e30];
    assert_eq!(clip_norm(&mut large, 5.0), Ok(Some(5e30)));
    assert_close("large", &large, &[3.0, -4.0], 1e-6);
    let many = 10_000_000;
    let norm = clip_norm(&mut vec![1e-3; many], 1.0);
    assert_eq!(norm, Ok(Some((f64::from(1e-3f32) * (many as f64).sqrt()) as f32)));
}

#[test]
fn gradients_that_are_not_finite_are_reported_and_left() {
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in 0..40 {
            let mut grads = random(40, 30);
            grads[at] = bad;
            let before: Vec<u32> = grads.iter().map(|g| g.to_bits()).collect();
            for max in [0.1, f32::INFINITY] {
                assert_eq!(clip_scale(&grads, max), Ok(None));
                assert_eq!(clip_norm(&mut grads, max), Ok(None));
                assert_eq!(clip_value(&mut grads, max), Ok(None));
            }
            assert!(grads.iter().zip(&before).all(|(g, b)| g.to_bits() == *b));
        }
    }
    // A norm beyond the range of f32.
    assert_eq!(clip_norm(&mut [3e38, 3e38], 1.0), Ok(None));
    for max in [f32::NAN, -1.0] {
        let mut grads = [1.0, -2.0, 2.0];
        let error = Error::Value { argument: "max", expected: "a number that is not negative" };
        assert_eq!(clip_scale(&grads, max), Err(error));
        assert_eq!(clip_norm(&mut grads, max), Err(error));
        assert_eq!(clip_value(&mut grads, max), Err(error));
        assert_eq!(grads, [1.0, -2.0, 2.0]);
    }
}

#[test]
fn clipping_by_value() {
    let mut grads = [3.0, -9.0, 0.25, -0.5];
    assert_eq!(clip_value(&mut grads, 9.5), Ok(Some(9.0)));
    assert_eq!(grads, [3.0, -9.0, 0.25, -0.5]);
    assert_eq!(clip_value(&mut grads, 0.5), Ok(Some(9.0)));
    assert_eq!(grads, [0.5, -0.5, 0.25, -0.5]);
    assert_eq!(clip_value(&mut grads, 0.0), Ok(Some(0.5)));
    assert_eq!(grads, [0.0; 4]);
    assert_eq!(clip_value(&mut [], 1.0), Ok(Some(0.0)));
}
