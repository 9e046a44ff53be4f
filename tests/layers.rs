//! The layers around the recurrent ones, and what training needs: against f64 loops written from the equations.

use std::convert::Infallible;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng, TryRng};
use recurrent::train::{Adam, clip_norm, clip_value, normal, orthogonal, uniform};
use recurrent::{
    Dense, DenseBackward, Embedding, Error, Gradients, Gru, Isa, Lstm, LstmGate, Rnn, argmax, cross_entropy,
    sample,
};

/// Around one vector, two, and a panel of the widest.
const SIZES: [usize; 7] = [1, 7, 8, 9, 16, 17, 33];

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut out = vec![0.0; n];
    uniform(&mut out, 1.0, &mut rng(seed));
    out
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

#[track_caller]
fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(a) - e).abs();
        assert!(error <= tolerance * e.abs().max(1.0), "{what}[{i}] is {a}, expected {e}");
    }
}

/// The derivative of `f` in every variable.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    let step = 1e-5;
    (0..x.len())
        .map(|i| {
            let at = x[i];
            x[i] = at + step;
            let high = f(&x);
            x[i] = at - step;
            let low = f(&x);
            x[i] = at;
            (high - low) / (2.0 * step)
        })
        .collect()
}

/// `y = x W^T + b`
fn dense_oracle(input: usize, output: usize, weights: &[f64], x: &[f64]) -> Vec<f64> {
    let (w, b) = weights.split_at(output * input);
    let rows = x.len() / input;
    let mut y = Vec::new();
    for row in 0..rows {
        for o in 0..output {
            y.push(b[o] + (0..input).map(|i| w[o * input + i] * x[row * input + i]).sum::<f64>());
        }
    }
    y
}

#[test]
fn dense_forward_is_the_equation_and_rows_are_independent() {
    for input in SIZES {
        for output in SIZES {
            for rows in [0, 1, 2, 3, 4, 5, 7, 9, 17] {
                let weights = random(Dense::new(input, output).weights_len(), 1);
                let x = random(rows * input, 2);
                let expected = dense_oracle(input, output, &wide(&weights), &wide(&x));
                let mut fused: Option<Vec<f32>> = None;
                for isa in Isa::available() {
                    let layer = Dense::new(input, output).on(isa);
                    let mut scratch = vec![f32::NAN; layer.scratch_len()];
                    let mut y = vec![f32::NAN; rows * output];
                    layer.forward(&weights, rows, &x, &mut y, &mut scratch).unwrap();
                    assert_close("y", &y, &expected, 2e-6);
                    for row in 0..rows {
                        let mut one = vec![f32::NAN; output];
                        scratch.fill(f32::NAN);
                        let x = &x[row * input..(row + 1) * input];
                        layer.forward(&weights, 1, x, &mut one, &mut scratch).unwrap();
                        assert_eq!(one, y[row * output..(row + 1) * output], "{} row {row}", isa.name());
                    }
                    if isa.is_fused() {
                        assert_eq!(*fused.get_or_insert_with(|| y.clone()), y, "{}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn dense_backward_is_the_derivative() {
    for input in SIZES {
        for output in SIZES {
            for rows in [0, 1, 3, 9, 32, 33] {
                dense_backward_of(input, output, rows);
            }
        }
    }
    // Large enough for products that are handed on.
    dense_backward_of(64, 96, 50);
}

fn dense_backward_of(input: usize, output: usize, rows: usize) {
    let weights = random(Dense::new(input, output).weights_len(), 3);
    let (x, dy) = (random(rows * input, 4), random(rows * output, 5));
    let (w64, x64, dy64) = (wide(&weights), wide(&x), wide(&dy));
    let mut grads = vec![0.0; w64.len()];
    let mut dx = vec![0.0; x64.len()];
    for row in 0..rows {
        for o in 0..output {
            let d = dy64[row * output + o];
            for i in 0..input {
                grads[o * input + i] += d * x64[row * input + i];
                dx[row * input + i] += d * w64[o * input + i];
            }
            grads[output * input + o] += d;
        }
    }
    if input * output * rows < 300 {
        let loss = |w: &[f64], x: &[f64]| {
            let y = dense_oracle(input, output, w, x);
            y.iter().zip(&dy64).map(|(y, d)| y * d).sum::<f64>()
        };
        for (a, b) in grads.iter().zip(differences(&w64, |w| loss(w, &x64))) {
            assert!((a - b).abs() < 1e-8);
        }
        for (a, b) in dx.iter().zip(differences(&x64, |x| loss(&w64, x))) {
            assert!((a - b).abs() < 1e-8);
        }
    }
    for isa in Isa::available() {
        dense_backward_on(Dense::new(input, output).on(isa), &weights, &x, &dy, &grads, &dx);
    }
}

fn dense_backward_on(layer: Dense, weights: &[f32], x: &[f32], dy: &[f32], grads: &[f64], dx: &[f64]) {
    let rows = dy.len() / layer.output();
    let before = random(grads.len(), 6);
    let summed: Vec<f64> = grads.iter().zip(&before).map(|(g, &b)| g + f64::from(b)).collect();
    for (mode, start, expected) in [
        (Gradients::Overwrite, vec![f32::NAN; grads.len()], grads.to_vec()),
        (Gradients::Accumulate, before, summed),
    ] {
        let (mut g, mut d) = (start.clone(), vec![f32::NAN; dx.len()]);
        let mut scratch = vec![f32::NAN; layer.scratch_len()];
        let args =
            DenseBackward { rows, x, dy, dx: Some(&mut d), grads: Some(&mut g), mode, scratch: &mut scratch };
        layer.backward(weights, args).unwrap();
        assert_close("grads", &g, &expected, 3e-6);
        assert_close("dx", &d, dx, 3e-6);
        // One without the other.
        let (mut g2, mut d2) = (start, vec![f32::NAN; dx.len()]);
        let scratch = &mut scratch;
        let args = DenseBackward { rows, x, dy, dx: None, grads: Some(&mut g2), mode, scratch };
        layer.backward(weights, args).unwrap();
        let args = DenseBackward { rows, x, dy, dx: Some(&mut d2), grads: None, mode, scratch };
        layer.backward(weights, args).unwrap();
        assert_eq!((g, d), (g2, d2));
    }
}

#[test]
fn dense_without_inputs_or_outputs() {
    let mut y = [f32::NAN; 6];
    let layer = Dense::new(0, 3);
    layer.forward(&[1.0, 2.0, 3.0], 2, &[], &mut y, &mut vec![0.0; layer.scratch_len()]).unwrap();
    assert_eq!(y, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    let layer = Dense::new(3, 0);
    let mut dx = [f32::NAN; 6];
    let mut scratch = vec![0.0; layer.scratch_len()];
    let args = DenseBackward {
        rows: 2,
        x: &[0.0; 6],
        dy: &[],
        dx: Some(&mut dx),
        grads: Some(&mut []),
        mode: Gradients::Overwrite,
        scratch: &mut scratch,
    };
    layer.backward(&[], args).unwrap();
    assert_eq!(dx, [0.0; 6]);
}

fn length(buffer: &'static str, expected: usize, actual: usize) -> Error {
    Error::Length { buffer, expected, actual }
}

#[test]
fn dense_checks_every_length_before_it_writes() {
    let layer = Dense::new(5, 9);
    let (rows, w, s) = (4, layer.weights_len(), layer.scratch_len());
    let buffer = vec![0.5; 1000];
    let exact = [("weights", w), ("x", rows * 5), ("y", rows * 9), ("scratch", s)];
    let forward = |len: [usize; 4]| {
        let mut y = vec![7.0; len[2]];
        let mut scratch = vec![7.0; len[3]];
        let result = layer.forward(&buffer[..len[0]], rows, &buffer[..len[1]], &mut y, &mut scratch);
        if result.is_err() {
            assert!(y.iter().chain(&scratch).all(|&y| y == 7.0));
        }
        result
    };
    let exact_len = exact.map(|(_, len)| len);
    assert_eq!(forward(exact_len), Ok(()));
    for (i, (name, len)) in exact.into_iter().enumerate() {
        for wrong in [len.wrapping_sub(1), len + 1] {
            if wrong == usize::MAX || (name == "scratch" && wrong > len) {
                continue;
            }
            let mut lens = exact_len;
            lens[i] = wrong;
            assert_eq!(forward(lens), Err(length(name, len, wrong)));
        }
    }

    let exact =
        [("weights", w), ("x", rows * 5), ("dy", rows * 9), ("dx", rows * 5), ("grads", w), ("scratch", s)];
    let backward = |len: [usize; 6]| {
        let (mut dx, mut grads, mut scratch) = (vec![7.0; len[3]], vec![7.0; len[4]], vec![7.0; len[5]]);
        let args = DenseBackward {
            rows,
            x: &buffer[..len[1]],
            dy: &buffer[..len[2]],
            dx: Some(&mut dx),
            grads: Some(&mut grads),
            mode: Gradients::Overwrite,
            scratch: &mut scratch,
        };
        let result = layer.backward(&buffer[..len[0]], args);
        if result.is_err() {
            assert!(dx.iter().chain(&grads).chain(&scratch).all(|&y| y == 7.0));
        }
        result
    };
    let exact_len = exact.map(|(_, len)| len);
    assert_eq!(backward(exact_len), Ok(()));
    for (i, (name, len)) in exact.into_iter().enumerate() {
        for wrong in [len.wrapping_sub(1), len + 1] {
            if wrong == usize::MAX || (name == "scratch" && wrong > len) {
                continue;
            }
            let mut lens = exact_len;
            lens[i] = wrong;
            assert_eq!(backward(lens), Err(length(name, len, wrong)));
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let layer = Dense::new(usize::MAX, 2);
    assert_eq!(layer.weights_len(), usize::MAX);
    assert_eq!(layer.forward(&[], 1, &[], &mut [], &mut []), Err(Error::Overflow { buffer: "weights" }));
    let layer = Dense::new(2, 2);
    let weights = [0.0; 6];
    assert_eq!(
        layer.forward(&weights, usize::MAX, &[], &mut [], &mut []),
        Err(Error::Overflow { buffer: "x" })
    );
    assert_eq!(
        Embedding::new(usize::MAX, 2).forward(&[], &[], &mut []),
        Err(Error::Overflow { buffer: "weights" })
    );
    assert_eq!(cross_entropy(usize::MAX, &[], &[0, 0], None), Err(Error::Overflow { buffer: "logits" }));
    assert_eq!(Adam::moments_len(usize::MAX), usize::MAX);
    assert_eq!(orthogonal(&mut [], usize::MAX, 2, &mut rng(0)), Err(Error::Overflow { buffer: "w" }));
}

#[test]
fn embedding_copies_rows_and_adds_gradients() {
    for width in SIZES {
        let layer = Embedding::new(5, width);
        let weights = random(layer.weights_len(), 7);
        let ids = [4, 0, 4, 2, 4, 0];
        let mut y = vec![f32::NAN; ids.len() * width];
        layer.forward(&weights, &ids, &mut y).unwrap();
        for (row, &id) in y.chunks(width).zip(&ids) {
            assert_eq!(row, &weights[id as usize * width..][..width]);
        }

        let dy = random(y.len(), 8);
        for mode in [Gradients::Overwrite, Gradients::Accumulate] {
            let before = random(weights.len(), 9);
            let mut expected = match mode {
                Gradients::Overwrite => vec![0.0; weights.len()],
                Gradients::Accumulate => before.clone(),
            };
            for (&id, dy) in ids.iter().zip(dy.chunks(width)) {
                for (i, d) in dy.iter().enumerate() {
                    expected[id as usize * width + i] += d;
                }
            }
            let mut grads = match mode {
                Gradients::Overwrite => vec![f32::NAN; weights.len()],
                Gradients::Accumulate => before,
            };
            layer.backward(&ids, &dy, &mut grads, mode).unwrap();
            assert_eq!(grads, expected);
        }
    }
}

#[test]
fn embedding_refuses_wrong_ids_and_lengths() {
    let layer = Embedding::new(3, 2);
    let weights = [1.0; 6];
    let mut y = [7.0; 4];
    let error = Error::Index { buffer: "ids", position: 1, id: 3, limit: 3 };
    assert_eq!(layer.forward(&weights, &[0, 3], &mut y), Err(error));
    assert_eq!(layer.forward(&weights[..5], &[0, 1], &mut y), Err(length("weights", 6, 5)));
    assert_eq!(layer.forward(&weights, &[0, 1], &mut y[..3]), Err(length("y", 4, 3)));
    assert_eq!(layer.forward(&weights, &[0], &mut y), Err(length("y", 2, 4)));
    assert_eq!(y, [7.0; 4]);
    let mut grads = [7.0; 6];
    assert_eq!(layer.backward(&[0, 3], &[1.0; 4], &mut grads, Gradients::Overwrite), Err(error));
    assert_eq!(layer.backward(&[0, 1], &[1.0; 3], &mut grads, Gradients::Overwrite), Err(length("dy", 4, 3)));
    assert_eq!(
        layer.backward(&[0, 1], &[1.0; 4], &mut grads[..5], Gradients::Overwrite),
        Err(length("grads", 6, 5))
    );
    assert_eq!(grads, [7.0; 6]);
}

/// Mean over rows of `log(sum exp l) - l[target]`
fn cross_entropy_oracle(classes: usize, logits: &[f64], targets: &[u32]) -> f64 {
    let row = |(l, &t): (&[f64], &u32)| {
        let most = l.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        l.iter().map(|l| (l - most).exp()).sum::<f64>().ln() + most - l[t as usize]
    };
    logits.chunks(classes).zip(targets).map(row).sum::<f64>() / targets.len() as f64
}

#[test]
fn cross_entropy_is_the_equation_and_its_derivative() {
    for classes in SIZES.into_iter().chain([127, 128, 129, 300]) {
        for rows in [1, 3, 8] {
            let logits: Vec<f32> = random(rows * classes, 10).iter().map(|l| l * 8.0).collect();
            let mut r = rng(11);
            let targets: Vec<u32> = (0..rows).map(|_| r.next_u32() % classes as u32).collect();
            let l64 = wide(&logits);
            let expected = cross_entropy_oracle(classes, &l64, &targets);
            let mut d = vec![f32::NAN; logits.len()];
            let loss = cross_entropy(classes, &logits, &targets, Some(&mut d)).unwrap();
            assert_close("loss", &[loss], &[expected], 1e-6);
            assert_eq!(cross_entropy(classes, &logits, &targets, None), Ok(loss));
            let derivative = differences(&l64, |l| cross_entropy_oracle(classes, l, &targets));
            assert_close("dlogits", &d, &derivative, 3e-7);
        }
    }
}

#[test]
fn cross_entropy_of_extreme_logits() {
    let mut d = [f32::NAN; 3];
    let logits = [f32::MAX, -f32::MAX, f32::NEG_INFINITY];
    assert_eq!(cross_entropy(3, &logits, &[0], Some(&mut d)), Ok(0.0));
    assert_eq!(d, [0.0; 3]);
    assert_eq!(cross_entropy(3, &logits, &[2], None), Ok(f32::INFINITY));
    let loss = cross_entropy(3, &[-1e30; 3], &[1], Some(&mut d)).unwrap();
    assert!((loss - 3f32.ln()).abs() < 1e-6 && (d[1] + 2.0 / 3.0).abs() < 1e-6);
    assert!(cross_entropy(3, &[0.0, f32::NAN, 0.0], &[0], None).unwrap().is_nan());
    assert!(cross_entropy(3, &[0.0, f32::INFINITY, 0.0], &[0], None).unwrap().is_nan());
    assert_eq!(cross_entropy(3, &[], &[], Some(&mut [])), Ok(0.0));
    // Half a million equal rows: a sum in f32 is off in the third digit.
    let rows = 500_000;
    let loss = cross_entropy(2, &vec![0.0; 2 * rows], &vec![1; rows], None).unwrap();
    assert_eq!(loss, std::f32::consts::LN_2);
}

#[test]
fn cross_entropy_refuses_wrong_targets_and_lengths() {
    let mut d = [7.0; 6];
    assert_eq!(
        cross_entropy(3, &[0.0; 6], &[0, 3], Some(&mut d)),
        Err(Error::Index { buffer: "targets", position: 1, id: 3, limit: 3 })
    );
    assert_eq!(cross_entropy(3, &[0.0; 5], &[0, 1], Some(&mut d)), Err(length("logits", 6, 5)));
    assert_eq!(cross_entropy(3, &[0.0; 6], &[0, 1], Some(&mut d[..5])), Err(length("dlogits", 6, 5)));
    assert_eq!(
        cross_entropy(0, &[], &[0], None),
        Err(Error::Index { buffer: "targets", position: 0, id: 0, limit: 0 })
    );
    assert_eq!(d, [7.0; 6]);
}

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
    // Neighbours come from one pair, and are independent.
    let pairs = w.chunks(2).map(|p| f64::from(p[0]) * f64::from(p[1])).sum::<f64>() / (n / 2) as f64;
    assert!(pairs.abs() < 0.05);
    let mut odd = [f32::NAN; 3];
    normal(&mut odd, 1.0, &mut rng(19));
    assert!(odd.iter().all(|w| w.is_finite()));
}

/// A generator that always gives the same number.
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

/// The greatest distance of `m m^T` from the unit matrix, `m` having `count` vectors, element `(i, k)` at `at(i, k)`.
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
        // All directions are as likely: no sign is preferred.
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
fn adam_follows_its_equations() {
    for n in SIZES {
        let mut adam = Adam::new(0.01);
        let mut w = random(n, 24);
        let mut moments = vec![0.0; Adam::moments_len(n)];
        let (mut w64, mut m, mut v) = (wide(&w), vec![0.0; n], vec![0.0; n]);
        let (beta1, beta2, eps) = (0.9f64, 0.999f64, 1e-8);
        for t in 1..=100 {
            adam.lr = if t <= 50 { 0.01 } else { 0.002 };
            let lr = if t <= 50 { 0.01 } else { 0.002 };
            let g = random(n, 100 + t as u64);
            for i in 0..n {
                let g = f64::from(g[i]);
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                let m_hat = m[i] / (1.0 - beta1.powi(t));
                let v_hat = v[i] / (1.0 - beta2.powi(t));
                w64[i] -= lr * m_hat / (v_hat.sqrt() + eps);
            }
            adam.update(&mut w, &g, &mut moments).unwrap();
            assert_close("weights", &w, &w64, 1e-6);
        }
        assert_eq!(adam.step, 100);
        assert_close("m", &moments[..n], &m, 1e-6);
        assert_close("v", &moments[n..], &v, 1e-4);
    }
}

#[test]
fn adam_can_be_saved_and_refuses_nonsense() {
    let mut adam = Adam::new(0.1);
    let (mut w, mut moments) = (random(9, 25), vec![0.0; 18]);
    adam.update(&mut w, &random(9, 26), &mut moments).unwrap();
    let (mut again, mut w2, mut moments2) = (Adam { step: 1, ..Adam::new(0.1) }, w.clone(), moments.clone());
    adam.update(&mut w, &random(9, 27), &mut moments).unwrap();
    again.update(&mut w2, &random(9, 27), &mut moments2).unwrap();
    assert_eq!((adam, &w, &moments), (again, &w2, &moments2));

    let mut refused = |mut adam: Adam, grads: usize, room: usize| {
        let (step, old) = (adam.step, (w.clone(), moments.clone()));
        let error = adam.update(&mut w, &[1.0; 10][..grads], &mut moments[..room]).unwrap_err();
        assert_eq!((adam.step, (w.clone(), moments.clone())), (step, old));
        error
    };
    assert_eq!(refused(adam, 8, 18), length("grads", 9, 8));
    assert_eq!(refused(adam, 10, 18), length("grads", 9, 10));
    assert_eq!(refused(adam, 9, 17), length("moments", 18, 17));
    for (name, adam) in [
        ("lr", Adam { lr: f32::NAN, ..adam }),
        ("lr", Adam { lr: -1.0, ..adam }),
        ("beta1", Adam { beta1: 1.0, ..adam }),
        ("beta2", Adam { beta2: -0.1, ..adam }),
        ("beta2", Adam { beta2: f32::NAN, ..adam }),
        ("eps", Adam { eps: -1.0, ..adam }),
    ] {
        assert!(matches!(refused(adam, 9, 18), Error::Value { argument, .. } if argument == name));
    }
}

#[test]
fn clipping() {
    for n in SIZES {
        let grads = random(n, 28);
        let norm = wide(&grads).iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut clipped = grads.clone();
        assert_eq!(clip_norm(&mut clipped, 2.0 * norm as f32), norm as f32);
        assert_eq!(clipped, grads);
        assert_eq!(clip_norm(&mut clipped, 0.5), norm as f32);
        let scale = (0.5 / (norm + 1e-6)).min(1.0);
        let expected: Vec<f64> = wide(&grads).iter().map(|g| g * scale).collect();
        assert_close("clipped", &clipped, &expected, 1e-7);
        clip_norm(&mut clipped, 0.0);
        assert!(clipped.iter().all(|&g| g == 0.0));
    }
    assert_eq!(clip_norm(&mut [], 1.0), 0.0);
    // In f32 the square of 1e30 is infinite, and a sum of ten million 1e-3 squares is off in the first digits.
    let mut large = [3e30, -4e30];
    assert_eq!(clip_norm(&mut large, 5.0), 5e30);
    assert_close("large", &large, &[3.0, -4.0], 1e-6);
    let many = 10_000_000;
    let norm = clip_norm(&mut vec![1e-3; many], 1.0);
    assert_eq!(norm, (f64::from(1e-3f32) * (many as f64).sqrt()) as f32);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut grads = [1.0, bad, 2.0];
        assert!(!clip_norm(&mut grads, 0.1).is_finite());
        assert_eq!(grads.map(f32::to_bits), [1.0, bad, 2.0].map(f32::to_bits));
    }
    for max in [f32::NAN, -1.0] {
        let mut grads = [1.0, -2.0, 2.0];
        assert_eq!(clip_norm(&mut grads, max), 3.0);
        clip_value(&mut grads, max);
        assert_eq!(grads, [1.0, -2.0, 2.0]);
    }
    let mut grads = [f32::NAN, f32::INFINITY, -9.0, 0.25];
    clip_value(&mut grads, 0.5);
    assert!(grads[0].is_nan());
    assert_eq!(grads[1..], [0.5, -0.5, 0.25]);
}
