//! Integer weights, compared with their definition in 64 bits, which shares no code with the crate.

use recurrent::{Dense, Narrow};

use crate::common::{Random, assert_bits, assert_same};
use crate::{INTEGERS, dense, sets};

/// The definition for the elements of a row: its scale and its integers.
fn integers(row: &[f32], largest: i64) -> (f32, Vec<i64>) {
    let most = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if most < 2.0f32.powi(-100) {
        return (0.0, vec![0; row.len()]);
    }
    let factor = largest as f32 / most;
    (most / largest as f32, row.iter().map(|x| (x * factor).round_ties_even() as i64).collect())
}

/// Rounds `x` up to a number of 17 bits.
fn short(x: f32) -> f32 {
    let unit = 2.0f64.powi(x.log2().floor() as i32 - 16);
    if x > 0.0 { ((f64::from(x) / unit).ceil() * unit) as f32 } else { 0.0 }
}

fn weight_integers(row: &[f32]) -> (f32, Vec<i64>) {
    let scale = row.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
    let scale = short(scale);
    let code = |w: &f32| if scale > 0.0 { (w / scale).round_ties_even() as i64 } else { 0 };
    (scale, row.iter().map(code).collect())
}

fn largest(format: Narrow, k: usize) -> i64 {
    match format {
        Narrow::W8A16 => 32767.min(i64::from(i32::MAX) / (127 * k as i64)),
        _ => 127,
    }
}

#[test]
fn integers_are_what_they_are_said_to_be() {
    for isa in sets() {
        for format in INTEGERS {
            // More outputs than the tiles of any instruction set have.
            let wide = [(1, 150), (6, 150)].map(|sizes| (37, sizes));
            for (k, (rows, outputs)) in
                [1, 2, 3, 5, 31, 516, 517, 1024].map(|k| (k, (7, 19))).into_iter().chain(wide)
            {
                let layer = Dense::new(k, outputs).on(isa).narrow(format);
                let mut random = Random::new(k as u64);
                let (weights, x) = (random.uniform(layer.weights_len(), 0.4), random.uniform(rows * k, 2.0));
                let y = dense(layer, &weights, &x);
                for (row, x) in x.chunks_exact(k).enumerate() {
                    let (scale, x) = integers(x, largest(format, k));
                    for unit in 0..outputs {
                        let (unit_scale, w) = weight_integers(&weights[unit * k..][..k]);
                        let sum: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
                        let (a, b) = (i32::try_from(sum).unwrap() as f32, scale * unit_scale);
                        let bias = weights[outputs * k + unit];
                        let expected = if isa.is_fused() { a.mul_add(b, bias) } else { a * b + bias };
                        assert_eq!(
                            y[row * outputs + unit].to_bits(),
                            expected.to_bits(),
                            "{} {format:?} {k}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn no_sum_overflows() {
    for isa in sets() {
        for format in INTEGERS {
            for k in [1, 2, 3, 5, 516, 517, 1024, 66_000, 133_144] {
                let layer = Dense::new(k, 2).on(isa).narrow(format);
                // The largest weights of both signs, times the largest elements.
                let mut weights = vec![1.0; layer.weights_len()];
                weights[k..2 * k].fill(-1.0);
                weights[2 * k..].fill(0.0);
                let most = largest(format, k);
                let (unit, sum) = (short(1.0 / 127.0), (most * 127 * k as i64) as f32);
                let expected = sum * (1.0 / most as f32 * unit);
                assert_bits(&dense(layer, &weights, &vec![1.0; k]), &[expected, -expected], "sum");
                assert_bits(&dense(layer, &weights, &vec![-1.0; k]), &[-expected, expected], "sum");
            }
        }
    }
}

#[test]
fn an_error_is_at_most_the_proved_one() {
    // |error| <= s_w / 2 * |x|_1 + s_x / 2 * s_w * |w_q|_1, plus the rounding of the last multiplication and
    // addition.
    for format in INTEGERS {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let k = 1 + seed as usize * 13;
            let layer = Dense::new(k, 6).narrow(format);
            let (weights, x) = (random.uniform(layer.weights_len(), 1.5), random.uniform(k, 3.0));
            let y = dense(layer, &weights, &x);
            let (x_scale, _) = integers(&x, largest(format, k));
            for unit in 0..6 {
                let row = &weights[unit * k..][..k];
                let (w_scale, codes) = weight_integers(row);
                let exact: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let exact = exact + f64::from(weights[6 * k + unit]);
                let x_sum: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
                let w_sum: f64 = codes.iter().map(|w| w.abs() as f64).sum();
                let (x_scale, w_scale) = (f64::from(x_scale), f64::from(w_scale));
                let rounding = 4.0 * f64::from(f32::EPSILON) * (exact.abs() + w_scale * x_sum * 127.0);
                let bound = w_scale / 2.0 * x_sum + x_scale / 2.0 * w_scale * w_sum + rounding;
                let error = (f64::from(y[unit]) - exact).abs();
                assert!(error <= bound, "{format:?} {k}: {error:e} above {bound:e}");
                // The bound is also useful: it is not far too large.
                assert!(bound < 0.02 * w_scale * 127.0 * k as f64 * 3.0 + rounding, "{bound:e}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_shows() {
    for isa in sets() {
        for format in INTEGERS {
            let layer = Dense::new(5, 3).on(isa).narrow(format);
            let weights: Vec<f32> = (0..layer.weights_len()).map(|i| 0.1 * i as f32 - 0.4).collect();
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in 0..5 {
                    let mut x = [0.3; 10];
                    x[place] = bad;
                    let y = dense(layer, &weights, &x);
                    assert!(
                        y[..3].iter().all(|y| y.is_nan()) && y[3..].iter().all(|y| y.is_finite()),
                        "{y:?}"
                    );
                }
            }
            // If all elements are zero or almost zero, the output is the bias.
            for tiny in [0.0, -0.0, 1e-40, 1e-31] {
                assert_same(&dense(layer, &weights, &[tiny; 5]), &weights[15..], "bias");
            }
            let huge = dense(layer, &[1.0; 18], &[f32::MAX / 8.0; 5]);
            assert!(huge.iter().all(|y| (y / (f32::MAX / 8.0 * 5.0) - 1.0).abs() < 0.01), "{huge:?}");
        }
    }
}
