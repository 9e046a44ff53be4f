//! Random numbers, and comparison with f64.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::train::uniform;
use recurrent::{Error, Need};

/// Sizes around one vector, two vectors, and a panel of the widest instruction set.
pub const SIZES: [usize; 7] = [1, 7, 8, 9, 16, 17, 33];

pub fn length(buffer: &'static str, expected: usize, actual: usize) -> Error {
    Error::Length { buffer, expected, actual, need: Need::EXACT }
}

pub fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

pub fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; n];
    uniform(&mut out, 1.0, &mut rng(seed));
    out
}

pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

#[track_caller]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - e).abs();
        assert!(error <= tolerance * e.abs().max(1.0), "{what}[{i}] is {a}, expected {e}");
    }
}

/// The numerical derivative of `f` in every variable.
pub fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let step = 1e-5;
    let at = |i: usize, by: f64| {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x)
    };
    (0..x.len()).map(|i| (at(i, step) - at(i, -step)) / (2.0 * step)).collect()
}

pub fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
}
