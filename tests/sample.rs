//! Sampling from logits.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{SIZES, length, random, rng};
use recurrent::{Error, Sampling, argmax, sample};

#[test]
fn greedy_sampling() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NEG_INFINITY]), Ok(1));
    // Minus infinity is never chosen, not even greedily.
    let none = Err(Error::Value { argument: "logits", expected: "not all minus infinity" });
    assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), none);
    assert_eq!(sample(&[f32::NEG_INFINITY; 2], 0.0, &mut rng(0)), none);
    assert_eq!(Sampling::GREEDY.draw(&[f32::NEG_INFINITY; 2], &mut [], &mut rng(0)), none);
    assert_eq!(argmax(&[f32::NEG_INFINITY, f32::MIN, f32::NEG_INFINITY]), Ok(1));
    assert_eq!(argmax(&[]), Err(length("logits", 1, 0)));
    assert!(matches!(argmax(&[0.0, f32::NAN]), Err(Error::Value { argument: "logits", .. })));
    for n in SIZES.into_iter().chain([127, 128, 129, 1000]) {
        let logits = random(n, 12 + n as u64);
        let greedy = sample(&logits, 0.0, &mut rng(0)).unwrap();
        assert!(logits.iter().all(|&l| l <= logits[greedy]));
        // At such low temperatures only the greatest logit can be drawn, even at the smallest positive one.
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
    // With 8 degrees of freedom the value exceeds 26.1 for one of a thousand seeds.
    for temperature in [0.5, 1.0, 3.0] {
        let chi = chi_square(&logits, temperature, 100_000);
        assert!(chi < 26.1, "{chi} at {temperature}");
    }
    // More classes than one block of the sum. With 299 degrees of freedom the mean is 299 and the standard
    // deviation 24.5.
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

/// The classes that can be drawn, in descending order of their logits (equal ones in their order), with their
/// probabilities.
fn left(how: Sampling, logits: &[f32]) -> Vec<(usize, f64)> {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).unwrap());
    order.truncate(how.top_k);
    let weight = |&class: &usize| (f64::from(logits[class]) / f64::from(how.temperature)).exp();
    let total: f64 = order.iter().map(weight).sum();
    let (mut kept, mut sum) = (Vec::new(), 0.0);
    for class in &order {
        if how.top_p < 1.0 && sum >= f64::from(how.top_p) * total && !kept.is_empty() {
            break;
        }
        sum += weight(class);
        kept.push((*class, weight(class)));
    }
    kept.into_iter().map(|(class, w)| (class, w / sum)).collect()
}

#[test]
fn samples_come_from_the_likeliest_with_their_frequencies() {
    let mut logits: Vec<f32> = random(300, 15).iter().map(|l| l * 4.0).collect();
    logits[9] = f32::NEG_INFINITY;
    // Equal logits, some of which fall outside of a set.
    logits[20..30].fill(3.75);
    for how in [
        Sampling::new(0.7).top_k(12),
        Sampling::new(1.0).top_k(1),
        Sampling::new(1.3).top_p(0.5),
        Sampling::new(0.9).top_p(0.0),
        Sampling::new(2.0).top_p(0.999),
        Sampling::new(1.1).top_k(40).top_p(0.6),
        Sampling::new(1.0).top_k(299),
        Sampling::new(1.0),
    ] {
        let expected = left(how, &logits);
        let mut scratch = vec![f32::NAN; how.scratch_len(logits.len())];
        let (mut counts, mut rng, draws) = (vec![0usize; logits.len()], rng(31), 60_000);
        for _ in 0..draws {
            counts[how.draw(&logits, &mut scratch, &mut rng).unwrap()] += 1;
        }
        let mut chi = 0.0;
        for &(class, p) in &expected {
            let mean = p * f64::from(draws);
            chi += (counts[class] as f64 - mean).powi(2) / mean.max(1e-9);
            counts[class] = 0;
        }
        assert!(counts.iter().all(|&count| count == 0), "{how:?} drew what is not left");
        let freedom = expected.len() as f64 - 1.0;
        assert!(chi <= freedom + 4.0 * (2.0 * freedom).sqrt(), "{chi} of {freedom} for {how:?}");
    }
}

#[test]
fn sampling_without_a_choice_and_without_a_set() {
    let logits = random(40, 32);
    let best = argmax(&logits).unwrap();
    assert_eq!(Sampling::GREEDY.top_k(3).draw(&logits, &mut [], &mut rng(1)), Ok(best));
    let mut scratch = [f32::NAN; 40];
    for seed in 0..20 {
        for how in [Sampling::new(3.0).top_k(1), Sampling::new(3.0).top_p(0.0), Sampling::new(1e-6).top_k(9)]
        {
            assert_eq!(how.draw(&logits, &mut scratch, &mut rng(seed)), Ok(best));
        }
        let all = Sampling::new(0.8).top_k(40).draw(&logits, &mut [], &mut rng(seed));
        assert_eq!(all, sample(&logits, 0.8, &mut rng(seed)));
    }
}

#[test]
fn sampling_refuses_wrong_settings() {
    let run = |how: Sampling, logits: &[f32], room: usize| {
        let mut scratch = [7.0; 3];
        let error = how.draw(logits, &mut scratch[..room], &mut rng(2)).unwrap_err();
        assert_eq!(scratch, [7.0; 3]);
        error
    };
    let how = Sampling::new(1.0).top_k(2);
    assert_eq!(run(how, &[0.0; 3], 2), length("scratch", 3, 2));
    assert_eq!(run(how, &[], 0), length("logits", 1, 0));
    for (name, how, logits) in [
        ("top_k", how.top_k(0), [0.0; 3]),
        ("top_p", how.top_p(1.1), [0.0; 3]),
        ("top_p", how.top_p(f32::NAN), [0.0; 3]),
        ("temperature", Sampling { temperature: f32::NAN, ..how }, [0.0; 3]),
        ("temperature", Sampling { temperature: -1.0, ..how }, [0.0; 3]),
        ("temperature", Sampling { temperature: f32::INFINITY, ..how }, [0.0; 3]),
        ("logits", how, [0.0, f32::NAN, 0.0]),
        ("logits", how, [0.0, f32::INFINITY, 0.0]),
        ("logits", how, [f32::NEG_INFINITY; 3]),
    ] {
        let error = run(how, &logits, 3);
        assert!(matches!(error, Error::Value { argument, .. } if argument == name), "{how:?}: {error}");
    }
}
