//! Dense layers, embeddings and the cross-entropy, compared with f64 loops written from the equations.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{SIZES, assert_close, length, random, rng, wide};
use rand_xoshiro::rand_core::Rng;
use recurrent::train::{Adam, orthogonal};
use recurrent::{Dense, DenseBackward, Embedding, Error, Gradients, Isa, cross_entropy};

/// The numerical derivative of `f` in every variable.
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
                    layer.forward(&weights[..], rows, &x, &mut y, &mut scratch).unwrap();
                    assert_close("y", &y, &expected, 2e-6);
                    for row in 0..rows {
                        let mut one = vec![f32::NAN; output];
                        scratch.fill(f32::NAN);
                        let x = &x[row * input..(row + 1) * input];
                        layer.forward(&weights[..], 1, x, &mut one, &mut scratch).unwrap();
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
    // Large enough for products that `matrixmultiply` computes.
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
        // Without an activation, backward does not need the output and leaves `dy` unchanged.
        let (y, dy) = (&[][..], &mut dy.to_vec()[..]);
        let args = DenseBackward {
            rows,
            x,
            y,
            dy,
            dx: Some(&mut d),
            grads: Some(&mut g),
            mode,
            scratch: &mut scratch,
        };
        layer.backward(weights, args).unwrap();
        assert_close("grads", &g, &expected, 3e-6);
        assert_close("dx", &d, dx, 3e-6);
        // Gradients of the weights only, then of the input only.
        let (mut g2, mut d2) = (start, vec![f32::NAN; dx.len()]);
        let scratch = &mut scratch;
        let args = DenseBackward { rows, x, y, dy, dx: None, grads: Some(&mut g2), mode, scratch };
        layer.backward(weights, args).unwrap();
        let args = DenseBackward { rows, x, y, dy, dx: Some(&mut d2), grads: None, mode, scratch };
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
        y: &[],
        dy: &mut [],
        dx: Some(&mut dx),
        grads: Some(&mut []),
        mode: Gradients::Overwrite,
        scratch: &mut scratch,
    };
    layer.backward(&[], args).unwrap();
    assert_eq!(dx, [0.0; 6]);
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
            y: &[],
            dy: &mut buffer[..len[2]].to_vec(),
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
        Embedding::new(usize::MAX, 2).forward(&[0.0; 0], &[], &mut []),
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
        layer.forward(&weights[..], &ids, &mut y).unwrap();
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
    assert_eq!(layer.forward(&weights[..], &[0, 3], &mut y), Err(error));
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

/// The mean over all rows of `log(sum exp l) - l[target]`.
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
    // Half a million equal rows: a plain sum in f32 would be wrong in the third digit.
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
