//! Softmax, losses and pooling, compared with f64 loops written from the equations, and with PyTorch.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{SIZES, assert_close, differences, dot, length, random, wide};
use recurrent::{
    CrossEntropy, Error, Masked, Pool, Sequences, binary_cross_entropy, cross_entropy, log_softmax,
    log_softmax_backward, mean_squared_error, softmax, softmax_backward,
};
use tensors::Tensors;

fn softmax_oracle(classes: usize, x: &[f64]) -> Vec<f64> {
    let row = |x: &[f64]| {
        let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = x.iter().map(|x| (x - most).exp()).sum();
        x.iter().map(|x| (x - most).exp() / sum).collect::<Vec<_>>()
    };
    x.chunks(classes).flat_map(row).collect()
}

fn log_softmax_oracle(classes: usize, x: &[f64]) -> Vec<f64> {
    let row = |x: &[f64]| {
        let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let less = x.iter().map(|x| (x - most).exp()).sum::<f64>().ln() + most;
        x.iter().map(|x| x - less).collect::<Vec<_>>()
    };
    x.chunks(classes).flat_map(row).collect()
}

#[test]
fn softmaxes_are_their_equations_and_derivatives() {
    for classes in SIZES.into_iter().chain([127, 128, 129, 300]) {
        for rows in [0, 1, 3] {
            let x: Vec<f32> = random(rows * classes, 50).iter().map(|x| x * 9.0).collect();
            let dy = random(x.len(), 51);
            let x64 = wide(&x);
            let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            softmax(classes, &x, &mut y).unwrap();
            assert_close("softmax", &y, &softmax_oracle(classes, &x64), 2e-7);
            softmax_backward(classes, &y, &dy, &mut dx).unwrap();
            let expected = differences(&x64, |x| dot(&softmax_oracle(classes, x), &dy));
            assert_close("dx", &dx, &expected, 1e-6);
            log_softmax(classes, &x, &mut y).unwrap();
            assert_close("log softmax", &y, &log_softmax_oracle(classes, &x64), 1e-7);
            log_softmax_backward(classes, &y, &dy, &mut dx).unwrap();
            let expected = differences(&x64, |x| dot(&log_softmax_oracle(classes, x), &dy));
            assert_close("dx of log", &dx, &expected, 2e-6);
        }
    }
}

#[test]
fn softmaxes_of_extreme_rows() {
    let mut y = [f32::NAN; 3];
    softmax(3, &[f32::MAX, -f32::MAX, f32::NEG_INFINITY], &mut y).unwrap();
    assert_eq!(y, [1.0, 0.0, 0.0]);
    log_softmax(3, &[-1e30, -1e30, f32::NEG_INFINITY], &mut y).unwrap();
    assert_close("half", &y[..2], &[-(2f64.ln()); 2], 1e-7);
    assert_eq!(y[2], f32::NEG_INFINITY);
    for bad in [[0.0, f32::NAN, 0.0], [0.0, f32::INFINITY, 0.0], [f32::NEG_INFINITY; 3]] {
        for function in [softmax, log_softmax] {
            y = [0.0; 3];
            function(3, &bad, &mut y).unwrap();
            assert!(y.iter().any(|y| y.is_nan()), "{bad:?}");
        }
    }
}

#[test]
fn softmaxes_refuse_wrong_lengths() {
    for function in [softmax, log_softmax] {
        let mut y = [7.0; 6];
        assert_eq!(function(3, &[0.0; 5], &mut y[..5]), Err(length("x", 3, 5)));
        assert_eq!(function(3, &[0.0; 6], &mut y[..5]), Err(length("y", 6, 5)));
        assert_eq!(function(0, &[0.0; 6], &mut y), Err(length("x", 0, 6)));
        assert_eq!(function(0, &[], &mut []), Ok(()));
        assert_eq!(y, [7.0; 6]);
    }
    for function in [softmax_backward, log_softmax_backward] {
        let mut dx = [7.0; 6];
        assert_eq!(function(3, &[0.0; 5], &[0.0; 5], &mut dx[..5]), Err(length("y", 3, 5)));
        assert_eq!(function(3, &[0.0; 6], &[0.0; 5], &mut dx), Err(length("dy", 6, 5)));
        assert_eq!(function(3, &[0.0; 6], &[0.0; 6], &mut dx[..5]), Err(length("dx", 6, 5)));
        assert_eq!(dx, [7.0; 6]);
    }
}

#[test]
fn losses_and_softmaxes_are_pytorchs() {
    let golden = Tensors::read("training/training");
    let (x, dy, classes) = (golden.f32("x"), golden.f32("dy"), 11);
    let (mut y, mut d) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    softmax(classes, &x, &mut y).unwrap();
    assert_close("softmax", &y, &golden.f64("softmax"), 2e-7);
    softmax_backward(classes, &y, &dy, &mut d).unwrap();
    assert_close("softmax_dx", &d, &golden.f64("softmax_dx"), 2e-7);
    log_softmax(classes, &x, &mut y).unwrap();
    assert_close("log_softmax", &y, &golden.f64("log_softmax"), 1e-7);
    log_softmax_backward(classes, &y, &dy, &mut d).unwrap();
    assert_close("log_softmax_dx", &d, &golden.f64("log_softmax_dx"), 5e-7);
    let loss = CrossEntropy::new(classes).ignore(7).loss(&x, &golden.ids("targets"), Some(&mut d)).unwrap();
    assert_close("cross_entropy", &[loss], &golden.f64("cross_entropy"), 1e-7);
    assert_close("cross_entropy_dx", &d, &golden.f64("cross_entropy_dx"), 1e-7);
    let loss = binary_cross_entropy(&x, &golden.f32("ones"), Some(&mut d)).unwrap();
    assert_close("binary", &[loss], &golden.f64("binary"), 1e-7);
    assert_close("binary_dx", &d, &golden.f64("binary_dx"), 1e-8);
    let loss = mean_squared_error(&x, &dy, Some(&mut d)).unwrap();
    assert_close("squared", &[loss], &golden.f64("squared"), 1e-7);
    assert_close("squared_dx", &d, &golden.f64("squared_dx"), 1e-7);
}

#[test]
fn losses_of_single_elements_are_their_equations_and_derivatives() {
    for n in SIZES.into_iter().chain([100]) {
        let x: Vec<f32> = random(n, 52).iter().map(|x| x * 20.0).collect();
        let targets: Vec<f32> = random(n, 53).iter().map(|t| 0.5 * t + 0.5).collect();
        let (x64, t64) = (wide(&x), wide(&targets));
        // -t log p - (1 - t) log (1 - p)
        let binary = |x: &[f64]| {
            let of = |x: f64, t: f64| t * (-x).exp().ln_1p() + (1.0 - t) * x.exp().ln_1p();
            x.iter().zip(&t64).map(|(&x, &t)| of(x, t)).sum::<f64>() / n as f64
        };
        let squared = |x: &[f64]| x.iter().zip(&t64).map(|(x, t)| (x - t).powi(2)).sum::<f64>() / n as f64;
        let mut d = vec![f32::NAN; n];
        let loss = binary_cross_entropy(&x, &targets, Some(&mut d)).unwrap();
        assert_close("binary", &[loss], &[binary(&x64)], 1e-6);
        assert_close("its gradient", &d, &differences(&x64, binary), 3e-7);
        assert_eq!(binary_cross_entropy(&x, &targets, None), Ok(loss));
        let loss = mean_squared_error(&x, &targets, Some(&mut d)).unwrap();
        assert_close("squared", &[loss], &[squared(&x64)], 1e-6);
        assert_close("its gradient", &d, &differences(&x64, squared), 3e-7);
        assert_eq!(mean_squared_error(&x, &targets, None), Ok(loss));
    }
    assert_eq!(binary_cross_entropy(&[1e30, -1e30], &[1.0, 0.0], None), Ok(0.0));
    assert_eq!(binary_cross_entropy(&[-1e30], &[1.0], None), Ok(1e30));
    for (x, t) in [(f32::NAN, 0.5), (0.5, f32::NAN)] {
        assert!(binary_cross_entropy(&[x], &[t], None).unwrap().is_nan());
        assert!(mean_squared_error(&[x], &[t], None).unwrap().is_nan());
    }
    for (name, loss) in [
        ("logits", binary_cross_entropy as fn(&[f32], &[f32], Option<&mut [f32]>) -> recurrent::Result<f32>),
        ("x", mean_squared_error),
    ] {
        let mut d = [7.0; 3];
        let gradient = if name == "x" { "dx" } else { "dlogits" };
        assert_eq!(loss(&[], &[], Some(&mut [])), Ok(0.0));
        assert_eq!(loss(&[0.0; 3], &[0.0; 2], Some(&mut d)), Err(length("targets", 3, 2)));
        assert_eq!(loss(&[0.0; 2], &[0.0; 2], Some(&mut d)), Err(length(gradient, 2, 3)));
        assert_eq!(d, [7.0; 3]);
    }
}

/// Steps, batch, lengths and mask of the padded batches below.
const STEPS: usize = 4;
const BATCH: usize = 3;
const LENGTHS: [usize; BATCH] = [4, 0, 2];
const MASK: [bool; STEPS * BATCH] =
    [true, true, true, false, true, true, true, false, true, true, true, false];

/// Every kind of padded batch, and for each batch row the rows that are not padding.
fn batches() -> Vec<(Sequences<'static>, Vec<Vec<usize>>)> {
    let mut out = Vec::new();
    for batch_major in [false, true] {
        for (lengths, mask) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut sequences = Sequences::new(STEPS, BATCH);
            if batch_major {
                sequences = sequences.batch_major();
            }
            if lengths {
                sequences = sequences.lengths(&LENGTHS);
            }
            if mask {
                sequences = sequences.mask(&MASK, Masked::Carry);
            }
            let row = |t: usize, b: usize| if batch_major { b * STEPS + t } else { t * BATCH + b };
            let present = (0..BATCH).map(|b| {
                let end = if lengths { LENGTHS[b] } else { STEPS };
                (0..end).map(|t| row(t, b)).filter(|&row| !mask || MASK[row]).collect()
            });
            out.push((sequences, present.collect()));
        }
    }
    out
}

#[test]
fn cross_entropy_counts_the_rows_that_take_part() {
    let (classes, rows) = (5, STEPS * BATCH);
    for ignored in [None, Some(2), Some(u32::MAX)] {
        for (sequences, present) in batches() {
            let mut kept: Vec<usize> = present.concat();
            kept.sort_unstable();
            let (mut logits, mut targets) = (vec![f32::NAN; rows * classes], vec![999; rows]);
            for &row in &kept {
                logits[row * classes..][..classes].copy_from_slice(&random(classes, row as u64));
                targets[row] = (row as u32 * 7) % classes as u32;
            }
            if let Some(ignored) = ignored {
                targets[kept[0]] = ignored;
                kept.retain(|row| targets[*row] != ignored);
            }
            let pick = |row: &usize| logits[row * classes..][..classes].to_vec();
            let (some, few): (Vec<f32>, Vec<u32>) =
                (kept.iter().flat_map(pick).collect(), kept.iter().map(|row| targets[*row]).collect());
            let mut d_some = vec![f32::NAN; some.len()];
            let expected = cross_entropy(classes, &some, &few, Some(&mut d_some)).unwrap();

            let mut loss = CrossEntropy::new(classes).over(sequences);
            if let Some(ignored) = ignored {
                loss = loss.ignore(ignored);
            }
            let mut d = vec![f32::NAN; logits.len()];
            assert_eq!(loss.loss(&logits, &targets, Some(&mut d)), Ok(expected));
            assert_eq!(loss.loss(&logits, &targets, None), Ok(expected));
            let mut all = vec![0.0; d.len()];
            for (row, d) in kept.iter().zip(d_some.chunks(classes)) {
                all[row * classes..][..classes].copy_from_slice(d);
            }
            assert_eq!(d, all);
        }
    }
    // Every target is ignored, so no row counts: the loss and its gradient are 0.
    let mut d = [f32::NAN; 4];
    let nan = [f32::NAN; 4];
    assert_eq!(CrossEntropy::new(2).ignore(9).loss(&nan, &[9, 9], Some(&mut d)), Ok(0.0));
    assert_eq!(d, [0.0; 4]);
}

#[test]
fn cross_entropy_refuses_what_does_not_fit_its_sequences() {
    let mut d = [7.0; 8];
    let index = |position, id| Error::Index { buffer: "targets", position, id, limit: 2 };
    let mut run = |loss: CrossEntropy<'_>, logits: usize, targets: &[u32]| {
        let result = loss.loss(&[0.0; 10][..logits], targets, Some(&mut d));
        assert!(result.is_ok() || d == [7.0; 8]);
        result
    };
    let two = Sequences::new(2, 2);
    let loss = CrossEntropy::new(2).over(two.lengths(&[2, 1]));
    assert_eq!(run(loss, 8, &[0, 1, 2, 0]), Err(index(2, 2)));
    assert_eq!(run(loss.ignore(1), 8, &[0, 1, 2, 0]), Err(index(2, 2)));
    assert_eq!(run(loss, 6, &[0, 1, 0]), Err(length("targets", 4, 3)));
    assert_eq!(run(loss, 7, &[0, 1, 0, 0]), Err(length("logits", 8, 7)));
    assert_eq!(run(loss, 10, &[0, 1, 0, 0, 0]), Err(length("targets", 4, 5)));
    let long = CrossEntropy::new(2).over(two.lengths(&[2, 3]));
    let error = Error::Index { buffer: "lengths", position: 1, id: 3, limit: 3 };
    assert_eq!(run(long, 8, &[0; 4]), Err(error));
    assert_eq!(run(CrossEntropy::new(2).over(two.lengths(&[2])), 8, &[0; 4]), Err(length("lengths", 2, 1)));
    assert!(run(loss, 8, &[0, 1, 0, 9]).is_ok());
}

#[test]
fn pooling_is_its_equation_and_derivative() {
    for width in SIZES {
        for (sequences, present) in batches() {
            let mut x = vec![f32::NAN; STEPS * BATCH * width];
            for &row in present.iter().flatten() {
                x[row * width..][..width].copy_from_slice(&random(width, 60 + row as u64));
            }
            let oracle = |pool: Pool, x: &[f64]| {
                let mut y = Vec::new();
                for rows in &present {
                    for i in 0..width {
                        let of = rows.iter().map(|row| x[row * width + i]);
                        let pooled = match pool {
                            Pool::Last => of.reduce(|_, last| last),
                            Pool::Mean => (!rows.is_empty()).then(|| of.sum::<f64>() / rows.len() as f64),
                            Pool::Max => of.reduce(f64::max),
                            Pool::Ends if i < width / 2 => of.reduce(|_, last| last),
                            Pool::Ends | Pool::First => of.reduce(|first, _| first),
                        };
                        y.push(pooled.unwrap_or(0.0));
                    }
                }
                y
            };
            let dy = random(BATCH * width, 61);
            for pool in [Pool::Last, Pool::Mean, Pool::Max, Pool::Ends, Pool::First] {
                let mut y = vec![f32::NAN; BATCH * width];
                pool.forward(width, sequences, &x, &mut y).unwrap();
                assert_close("y", &y, &oracle(pool, &wide(&x)), 1e-7);
                let mut dx = vec![f32::NAN; x.len()];
                pool.backward(width, sequences, &x, &dy, &mut dx).unwrap();
                let filled: Vec<f64> = x.iter().map(|&x| if x.is_nan() { 0.0 } else { x.into() }).collect();
                let expected = differences(&filled, |x| dot(&oracle(pool, x), &dy));
                assert_close("dx", &dx, &expected, 1e-6);
            }
        }
    }
    // `Pool::Max` takes NaN as the greatest value. Of equal values the first one gets the gradient.
    let (mut y, mut dx) = ([0.0; 2], [7.0; 6]);
    let x = [1.0, 2.0, /**/ f32::NAN, 2.0, /**/ 3.0, 1.0];
    Pool::Max.forward(2, Sequences::new(3, 1), &x, &mut y).unwrap();
    assert!(y[0].is_nan() && y[1] == 2.0);
    Pool::Max.backward(2, Sequences::new(3, 1), &x, &[5.0, 6.0], &mut dx).unwrap();
    assert_eq!(dx, [0.0, 6.0, 5.0, 0.0, 0.0, 0.0]);
}

#[test]
fn pooling_refuses_wrong_lengths() {
    let two = Sequences::new(3, 2);
    for pool in [Pool::Last, Pool::Mean, Pool::Max, Pool::Ends, Pool::First] {
        let (mut y, mut dx) = ([7.0; 5], [7.0; 13]);
        assert_eq!(pool.forward(2, two, &[0.0; 11], &mut y[..4]), Err(length("x", 12, 11)));
        assert_eq!(pool.forward(2, two, &[0.0; 12], &mut y), Err(length("y", 4, 5)));
        assert_eq!(pool.backward(2, two, &[0.0; 11], &[0.0; 4], &mut dx[..12]), Err(length("x", 12, 11)));
        assert_eq!(pool.backward(2, two, &[0.0; 12], &[0.0; 5], &mut dx[..12]), Err(length("dy", 4, 5)));
        assert_eq!(pool.backward(2, two, &[0.0; 12], &[0.0; 4], &mut dx), Err(length("dx", 12, 13)));
        let long = pool.forward(2, two.lengths(&[4, 0]), &[0.0; 12], &mut y[..4]);
        assert_eq!(long, Err(Error::Index { buffer: "lengths", position: 0, id: 4, limit: 4 }));
        assert_eq!(pool.forward(usize::MAX, two, &[], &mut y), Err(Error::Overflow { buffer: "x" }));
        assert_eq!(pool.forward(0, two, &[], &mut []), Ok(()));
        assert_eq!(pool.backward(0, two, &[], &[], &mut []), Ok(()));
        assert_eq!((y, dx), ([7.0; 5], [7.0; 13]));
    }
}

/// If a probability is close to its target, the gradient is small but still has seven correct digits.
#[test]
fn small_gradients_of_a_binary_loss_keep_their_digits() {
    for l in [0.5f32, 3.0, 10.0, 17.0, 40.0, 80.0] {
        for (logit, target) in [(l, 1.0), (-l, 0.0)] {
            let mut d = [0.0];
            recurrent::binary_cross_entropy(&[logit], &[target], Some(&mut d)).unwrap();
            let want = 1.0 / (1.0 + f64::from(l).exp()) * if target == 1.0 { -1.0 } else { 1.0 };
            assert!((f64::from(d[0]) - want).abs() < 1e-6 * want.abs(), "{logit}: {}, {want}", d[0]);
        }
    }
}

/// If all gradients of a softmax's outputs are nearly equal, only their differences matter.
#[test]
fn a_softmax_does_not_see_what_is_added_to_all_gradients() {
    let (y, dy) = ([0.3f32, 0.7], [1000.001f32, 1000.0]);
    let mut dx = [0.0; 2];
    softmax_backward(2, &y, &dy, &mut dx).unwrap();
    let wide = |of: [f32; 2]| of.map(f64::from);
    let ([y0, y1], [d0, d1]) = (wide(y), wide(dy));
    let mean = y0 * d0 + y1 * d1;
    for (got, want) in dx.iter().zip([y0 * (d0 - mean), y1 * (d1 - mean)]) {
        assert!((f64::from(*got) - want).abs() < 1e-6 * want.abs(), "{got} {want}");
    }
}

/// If one class is nearly certain, its probability misses 1 by very little, and the gradients are as small.
/// They still have seven correct digits. The rounded probabilities need not add up to 1, so a constant that
/// all gradients share must cancel exactly.
#[test]
fn gradients_of_a_certain_softmax_keep_their_digits() {
    for (x, dy) in [
        ([18.0f32, 0.0, 1.0], [1.0f32, -1.0, 0.5]),
        ([9.0, 1.0, 0.3], [100.0, 99.0, 101.0]),
        ([0.1, 0.2, 0.4], [1000.0, 1000.0, 1000.001]),
        ([0.0, 20.0, 1.0], [0.0, -0.25, 0.0]),
    ] {
        let (mut y, mut dx) = ([0.0; 3], [0.0; 3]);
        let (x64, d64) = (x.map(f64::from), dy.map(f64::from));
        let p = softmax_oracle(3, &x64);
        softmax(3, &x, &mut y).unwrap();
        softmax_backward(3, &y, &dy, &mut dx).unwrap();
        for j in 0..3 {
            // Written with differences, so that the part that all gradients share cancels exactly.
            let want: f64 = (0..3).map(|k| p[j] * p[k] * (d64[j] - d64[k])).sum();
            let off = (f64::from(dx[j]) - want).abs();
            assert!(off <= 2e-6 * want.abs(), "softmax of {x:?}: dx[{j}] is {}, should be {want}", dx[j]);
        }
        log_softmax(3, &x, &mut y).unwrap();
        log_softmax_backward(3, &y, &dy, &mut dx).unwrap();
        let total: f64 = d64.iter().sum();
        for j in 0..3 {
            let others: f64 = (0..3).filter(|k| *k != j).map(|k| d64[j] * p[k] - p[j] * d64[k]).sum();
            let (off, least) = ((f64::from(dx[j]) - others).abs(), 1e-7 * p[j].min(0.5) * total.abs());
            assert!(
                off <= 2e-6 * others.abs() + least,
                "log softmax of {x:?}: dx[{j}] is {}, should be {others}",
                dx[j]
            );
        }
    }
}
