//! Sampling from logits.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{SIZES, length, random, rng};
use recurrent::{Error, argmax, sample};

#[test]
fn greedy_sampling() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NEG_INFINITY]), Ok(1));
    assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), Ok(0));
    assert_eq!(argmax(&[]), Err(length("logits", 1, 0)));
    assert!(matches!(argmax(&[0.0, f32::NAN]), Err(Error::Value { argument: "logits", .. })));
    for n in SIZES.into_iter().chain([127, 128, 129, 1000]) {
        let logits = random(n, 12 + n as u64);
        let greedy = sample(&logits, 0.0, &mut rng(0)).unwrap();
        assert!(logits.iter().all(|&l| l <= logits[greedy]));
        // So low a temperature leaves nothing else, down to the smallest one.
        for temperature in [1e-6, f32::from_bits(1)] {
            assert_eq!(sample(&logits, temperature, &mut rng(1)), Ok(greedy));
        }
    }
}

/// Chi-square of `draws` samples against their probabilities.
fn chi_square(logits: &[f32], temperature: f32, draws: usize) -> f64 {
    let weights: Vec<f64> = logits.iter().map(|&l| (f64::from(l) / f64::from(temperature)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut counts = vec![0usize; logits.len()];
    let mut rng = rng(13);
    for _ in 0..draws {
        counts[sample(logits, temperature, &mut rng).unwrap()] += 1;
    }
    let mut sum = 0.0;
    for (&count, w) in counts.iter().zip(weights) {
        let expected = draws as f64 * w / total;
        if expected == 0.0 {
            assert_eq!(count, 0);
        } else {
            sum += (count as f64 - expected).powi(2) / expected;
        }
    }
    sum
}

#[test]
fn samples_have_the_frequencies_of_the_softmax() {
    let mut logits = random(10, 14);
    logits[3] = f32::NEG_INFINITY;
    // 8 degrees of freedom: 26.1 in one of a thousand seeds.
    for temperature in [0.5, 1.0, 3.0] {
        let chi = chi_square(&logits, temperature, 100_000);
        assert!(chi < 26.1, "{chi} at {temperature}");
    }
    // Over several blocks of the sum; 299 degrees of freedom: mean 299, deviation 24.5.
    let chi = chi_square(&random(300, 15), 0.7, 200_000);
    assert!(chi < 299.0 + 3.1 * 24.5, "{chi}");
}

#[test]
fn sampling_refuses_what_is_not_a_distribution() {
    let draw = |logits: &[f32], temperature| sample(logits, temperature, &mut rng(16));
    for temperature in [f32::NAN, -1.0, f32::INFINITY] {
        let error = draw(&[0.0, 1.0], temperature);
        assert!(matches!(error, Err(Error::Value { argument: "temperature", .. })), "{error:?}");
    }
    for temperature in [0.0, 1.0] {
        assert_eq!(draw(&[], temperature), Err(length("logits", 1, 0)));
        let error = draw(&[0.0, f32::NAN], temperature);
        assert!(matches!(error, Err(Error::Value { argument: "logits", .. })), "{error:?}");
    }
    for logits in [[0.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
        assert!(matches!(draw(&logits, 1.0), Err(Error::Value { argument: "logits", .. })));
    }
}
