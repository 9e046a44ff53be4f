//! Losses of classes and of numbers, compared with PyTorch and with their derivatives, also in a model.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{assert_close, differences, length, random, rng, wide};
use recurrent::model::{Layer, Loss, Model, Training};
use recurrent::train::Sgd;
use recurrent::trainer::{Batch, Trainer};
use recurrent::{
    CrossEntropy, Elementwise, Error, Isa, OwnBatch, Pool, Result, Sequences, huber, mean_absolute_error,
};
use tensors::Tensors;

#[test]
fn pytorch_has_the_same_of_classes() {
    let of = Tensors::read("training/losses");
    let (x, targets, weights) = (of.f32("classes_x"), of.ids("classes_targets"), of.f32("classes_weights"));
    let plain = CrossEntropy::new(11);
    for (name, loss) in [
        ("weighted", plain.class_weights(&weights)),
        ("smoothed", plain.smoothing(0.1)),
        ("both", plain.class_weights(&weights).smoothing(0.25).ignore(7)),
    ] {
        let mut d = vec![f32::NAN; x.len()];
        let found = loss.loss(&x, &targets, Some(&mut d)).unwrap();
        assert_eq!(loss.loss(&x, &targets, None), Ok(found));
        assert_close(name, &[found], &of.f64(&format!("classes_{name}")), 1e-6);
        assert_close(name, &d, &wide(&of.f32(&format!("classes_{name}_dx"))), 1e-7);
        for isa in Isa::available().filter(|isa| isa.is_fused()) {
            let mut other = vec![f32::NAN; x.len()];
            assert_eq!(loss.on(isa).loss(&x, &targets, Some(&mut other)), Ok(found), "{}", isa.name());
            assert_eq!(other, d, "{}", isa.name());
        }
    }
    // Weights of one change nothing but the last bits.
    let (mut one, mut none) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let with = plain.class_weights(&[1.0; 11]).loss(&x, &targets, Some(&mut one)).unwrap();
    let without = plain.loss(&x, &targets, Some(&mut none)).unwrap();
    assert_close("ones", &[with], &[f64::from(without)], 1e-7);
    assert_close("ones", &one, &wide(&none), 1e-7);
}

#[test]
fn weights_over_padded_batches_and_without_any_weight() {
    let (classes, weights) = (3, [0.0, 2.0, 0.5]);
    let logits = random(4 * classes, 3);
    let loss = CrossEntropy::new(classes).class_weights(&weights);
    let padded = loss.over(Sequences::new(2, 2).lengths(&[2, 1]));
    let mut d = [f32::NAN; 12];
    let found = padded.loss(&logits, &[1, 2, 2, 77], Some(&mut d)).unwrap();
    let mut alone = [0.0; 9];
    assert_eq!(loss.loss(&logits[..9], &[1, 2, 2], Some(&mut alone)), Ok(found));
    assert_eq!((&d[..9], &d[9..]), (&alone[..], &[0.0; 3][..]));
    let mut d = [7.0; 12];
    assert_eq!(loss.loss(&logits, &[0; 4], Some(&mut d)), Ok(0.0));
    assert_eq!(d, [0.0; 12]);
}

#[test]
fn accuracy_counts_rows_that_count() {
    let logits = [1.0, 0.0, /**/ 0.0, 1.0, /**/ 1.0, 1.0, /**/ f32::NAN, f32::NAN];
    let loss = CrossEntropy::new(2);
    assert_eq!(loss.accuracy(&logits, &[0, 0, 0, 0]), Ok(0.5));
    assert_eq!(loss.ignore(1).accuracy(&logits, &[0, 1, 0, 1]), Ok(1.0));
    assert_eq!(
        loss.over(Sequences::new(2, 2).lengths(&[2, 1])).accuracy(&logits, &[0, 0, 0, 9]),
        Ok(2.0 / 3.0)
    );
    assert_eq!(loss.ignore(0).accuracy(&logits, &[0; 4]), Ok(0.0));
    assert_eq!(loss.accuracy(&logits[1..], &[0; 4]), Err(length("logits", 8, 7)));
}

#[test]
fn pytorch_has_the_same_of_numbers() {
    let of = Tensors::read("training/losses");
    let (x, targets) = (of.f32("numbers_x"), of.f32("numbers_targets"));
    let (mut absolute, mut bent) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    let losses = [
        mean_absolute_error(&x, &targets, Some(&mut absolute)).unwrap(),
        huber(1.3, &x, &targets, Some(&mut bent)).unwrap(),
    ];
    for ((name, loss), d) in ["absolute", "huber"].into_iter().zip(losses).zip([&absolute, &bent]) {
        assert_close(name, &[loss], &of.f64(&format!("numbers_{name}")), 1e-6);
        assert_close(name, d, &wide(&of.f32(&format!("numbers_{name}_dx"))), 1e-7);
    }
    let (ones, positive) = (of.f32("numbers_ones"), of.f32("numbers_pos_weight"));
    let binary = Elementwise::binary().pos_weight(&positive);
    let loss = binary.loss(&x, &ones, Some(&mut bent)).unwrap();
    assert_close("positive", &[loss], &of.f64("numbers_positive"), 1e-6);
    assert_close("positive", &bent, &wide(&of.f32("numbers_positive_dx")), 1e-7);
    // Weights of one change no bits.
    let mut plain = vec![f32::NAN; x.len()];
    let expected = Elementwise::binary().loss(&x, &ones, Some(&mut plain));
    let ones_everywhere = [1.0; 7];
    let same = Elementwise::binary().pos_weight(&[1.0; 5]).row_weights(&ones_everywhere);
    assert_eq!((same.loss(&x, &ones, Some(&mut bent)), &bent), (expected, &plain));
    assert_eq!(mean_absolute_error(&x, &targets, None), Ok(losses[0]));
    assert_eq!(mean_absolute_error(&[], &[], None), Ok(0.0));
    assert!(mean_absolute_error(&[f32::NAN], &[0.0], Some(&mut [0.0])).unwrap().is_nan());
}

#[test]
fn gradients_are_derivatives() {
    for n in numbers::SIZES {
        let (x, targets) = (random(n, 1), random(n, 2));
        for delta in [None, Some(0.3f32)] {
            let mut d = vec![f32::NAN; n];
            let f = |x: &[f64]| {
                let of = |(x, t): (&f64, &f32)| match (x - f64::from(*t)).abs() {
                    apart if delta.is_some_and(|d| apart < f64::from(d)) => 0.5 * apart * apart,
                    apart => delta.map_or(apart, |d| f64::from(d) * (apart - 0.5 * f64::from(d))),
                };
                x.iter().zip(&targets).map(of).sum::<f64>() / n as f64
            };
            let loss = match delta {
                None => mean_absolute_error(&x, &targets, Some(&mut d)),
                Some(delta) => huber(delta, &x, &targets, Some(&mut d)),
            };
            assert_close("loss", &[loss.unwrap()], &[f(&wide(&x))], 1e-6);
            assert_close("dx", &d, &differences(&wide(&x), f), 1e-6);
        }
    }
}

#[test]
fn a_trainer_learns_by_them() {
    let model = Model::new([Layer::gru(1, 8), Layer::dense(8, 1)]);
    let wave: Vec<f32> = (0..81).map(|t| (t as f32 * 0.3).sin()).collect();
    let targets = &wave[1..];
    for of in [Elementwise::absolute(), Elementwise::huber(0.5)] {
        let loss = Loss::Elementwise { targets, of };
        // Four rows, in two shards.
        let batch = Batch { sequences: Sequences::new(20, 4).batch_major(), x: wave[..80].into(), loss };
        let optimiser = Sgd { momentum: 0.9, ..Sgd::new(0.05) };
        let mut trainer = Trainer::new(&model, optimiser, &mut rng(1)).unwrap().shards(2).clip(1.0);
        let before = trainer.evaluate(batch).unwrap();
        trainer.train([batch; 150], &mut rng(2), |_| true).unwrap();
        let after = trainer.evaluate(batch).unwrap();
        assert!(after < 0.4 * before, "{before} {after}");
    }
    let loss = Loss::Elementwise { targets, of: Elementwise::huber(0.0) };
    let batch = Batch { sequences: Sequences::new(80, 1), x: wave[..80].into(), loss };
    let refused = Trainer::new(&model, Sgd::new(0.1), &mut rng(1)).unwrap().update(batch, &mut rng(2));
    assert!(matches!(refused, Err(Error::Value { argument: "delta", .. })));
}

#[test]
fn bad_arguments_are_refused_before_anything_is_written() {
    let (logits, mut d) = ([0.0; 6], [7.0; 6]);
    let plain = CrossEntropy::new(3);
    let mut of = |loss: CrossEntropy<'_>| loss.loss(&logits, &[0, 1], Some(&mut d));
    assert_eq!(of(plain.class_weights(&[1.0; 2])), Err(length("class_weights", 3, 2)));
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let weights = [1.0, bad, 1.0];
        assert!(matches!(
            of(plain.class_weights(&weights)),
            Err(Error::Value { argument: "class_weights", .. })
        ));
        assert!(matches!(of(plain.smoothing(2.0 * bad)), Err(Error::Value { argument: "smoothing", .. })));
        assert!(matches!(huber(bad, &[], &[], None), Err(Error::Value { argument: "delta", .. })));
    }
    assert_eq!(d, [7.0; 6]);
    assert_eq!(huber(1.0, &[0.0; 2], &[0.0; 3], None), Err(length("targets", 2, 3)));
    assert_eq!(mean_absolute_error(&[0.0; 2], &[0.0; 2], Some(&mut [0.0])), Err(length("dx", 2, 1)));
}

/// An oracle in f64 of a loss with weights of rows, by its definition.
fn oracle(width: usize, weights: &[f32], row: impl Fn(usize, usize) -> f64) -> f64 {
    let of = |r: usize| (0..width).map(|j| row(r, j)).sum::<f64>() * f64::from(weights[r]);
    let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
    (0..weights.len()).map(of).sum::<f64>() / (total * width as f64)
}

#[test]
fn rows_count_by_their_weights() {
    let (rows, width) = (6, 5);
    let (x, t) = (random(rows * width, 1), random(rows * width, 2));
    let weights = [0.5, 0.0, 2.0, 1.0, 0.0, 3.5];
    let yes: Vec<f32> = t.iter().map(|t| t.abs()).collect();
    let positive = [0.5, 1.0, 2.0, 3.0, 0.0];
    type Of = fn(f64, f64, f64) -> f64;
    let cases: [(Elementwise<'_>, &[f32], Of); 4] = [
        (Elementwise::squared(), &t, |x, t, _| (x - t) * (x - t)),
        (Elementwise::absolute(), &t, |x, t, _| (x - t).abs()),
        (Elementwise::huber(0.3), &t, |x, t, _| match (x - t).abs() {
            apart if apart < f64::from(0.3f32) => 0.5 * apart * apart,
            apart => f64::from(0.3f32) * (apart - 0.5 * f64::from(0.3f32)),
        }),
        (Elementwise::binary().pos_weight(&positive), &yes, |x, t, p| {
            p * t * (-x).exp().ln_1p() + (1.0 - t) * x.exp().ln_1p()
        }),
    ];
    for (of, targets, each) in cases {
        let f = |x: &[f64]| {
            oracle(width, &weights, |r, j| {
                each(x[r * width + j], f64::from(targets[r * width + j]), f64::from(positive[j]))
            })
        };
        let mut d = vec![f32::NAN; x.len()];
        let loss = of.row_weights(&weights).loss(&x, targets, Some(&mut d)).unwrap();
        assert_close("loss", &[loss], &[f(&wide(&x))], 1e-6);
        assert_close("dx", &d, &differences(&wide(&x), f), 1e-6);
        assert_eq!(d[width..2 * width], [0.0; 5]);
    }
    // Classes, with weights of both kinds.
    let (targets, classes) = ([4, 9, 0, 1, 3, 2], [1.0, 2.0, 0.5, 3.0, 0.25]);
    let f = |x: &[f64]| {
        let (mut sum, mut total) = (0.0, 0.0);
        for r in (0..rows).filter(|r| targets[*r] != 9) {
            let x = &x[r * width..][..width];
            let target = targets[r] as usize;
            let weight = f64::from(weights[r]) * f64::from(classes[target]);
            sum += weight * (x.iter().map(|x| x.exp()).sum::<f64>().ln() - x[target]);
            total += weight;
        }
        sum / total
    };
    let of = CrossEntropy::new(width).class_weights(&classes).row_weights(&weights).ignore(9);
    let mut d = vec![f32::NAN; x.len()];
    let loss = of.loss(&x, &targets, Some(&mut d)).unwrap();
    assert_close("loss", &[loss], &[f(&wide(&x))], 1e-6);
    assert_close("dx", &d, &differences(&wide(&x), f), 1e-6);
    assert_eq!(of.weight(&targets), Ok(0.5 * 0.25 + 2.0 + 2.0 + 3.5 * 0.5));
    // Without any weight there is no loss.
    let none = CrossEntropy::new(width).row_weights(&[0.0; 6]);
    assert_eq!(none.loss(&x, &targets.map(|t| t % 5), Some(&mut d)), Ok(0.0));
    assert_eq!(d, vec![0.0; x.len()]);
}

const TAGGER: Model<2> = Model::new([Layer::gru(2, 4), Layer::dense(4, 3)]);
const POOLED: Model<3> = Model::new([Layer::gru(2, 4), Layer::Pool(Pool::Last), Layer::dense(4, 3)]);

/// The loss and the gradients of four rows of five steps.
fn gradients<const N: usize>(model: &Model<N>, weights: &[f32], loss: Loss<'_>) -> Result<(f32, Vec<f32>)> {
    let (steps, batch, x) = (5, 4, random(40, 4));
    let (mut grads, mut state) = (vec![f32::NAN; weights.len()], vec![0.0; model.state_len(batch)]);
    let mut tape = vec![0.0; model.tape_len(steps, batch)];
    let mut scratch = vec![0.0; model.ctc_scratch_len(steps, batch, 2)];
    let args = Training {
        sequences: Sequences::new(steps, batch).lengths(&[5, 2, 4, 3]),
        x: (&x).into(),
        loss,
        grads: &mut grads,
        state: &mut state,
        tape: &mut tape,
        scratch: &mut scratch,
        ..Default::default()
    };
    let loss = model.forward_backward(weights, args)?;
    Ok((loss, grads))
}

#[test]
fn a_model_takes_every_loss() {
    let weights = random(TAGGER.weights_len(), 5);
    let (numbers, steps) = (random(60, 6), random(20, 7).iter().map(|w| w.abs()).collect::<Vec<_>>());
    let classes: Vec<u32> = (0..20).map(|i| i * 7 % 3).collect();
    let own = |of: OwnBatch<'_>| {
        assert_eq!((of.first_row, of.width, of.sequences.batch()), (0, 3, 4));
        if let Some(dy) = of.dy {
            // The function also writes to the padding, which must have no effect.
            dy.fill(1.0 / 14.0);
        }
        let counts = |row: &usize| row / 4 < [5, 2, 4, 3][row % 4];
        let rows = (0..20).filter(counts);
        rows.map(|row| of.y[3 * row..][..3].iter().sum::<f32>()).sum::<f32>() / 14.0
    };
    let losses = [
        Loss::Classes {
            targets: &classes,
            of: CrossEntropy::new(3).class_weights(&[0.5, 1.0, 2.0]).row_weights(&steps).smoothing(0.2),
        },
        Loss::Elementwise { targets: &numbers, of: Elementwise::huber(0.4).row_weights(&steps) },
        Loss::Elementwise { targets: &numbers, of: Elementwise::binary().pos_weight(&[0.5, 2.0, 1.0]) },
        Loss::Ctc {
            targets: &[1, 2, 1, 1, 1, 2],
            target_lengths: &[2, 1, 2, 1],
            blank: 0,
            zero_infinity: false,
        },
        Loss::own(&own),
    ];
    for loss in losses {
        let (mean, grads) = gradients(&TAGGER, &weights, loss).unwrap();
        assert!(mean.is_finite());
        // Compares with differences of the loss, in the direction of the gradient.
        let norm = grads.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let step = 2e-2 / norm;
        let at = |by: f64| {
            let moved: Vec<f32> = weights
                .iter()
                .zip(&grads)
                .map(|(w, g)| (f64::from(*w) + by * f64::from(*g)) as f32)
                .collect();
            f64::from(gradients(&TAGGER, &moved, loss).unwrap().0)
        };
        let slope = (at(step) - at(-step)) / (2.0 * step * norm);
        assert!((slope / norm - 1.0).abs() < 2e-3, "{loss:?}: {slope} {norm}");
    }
    // One weight for each row.
    let pooled = random(POOLED.weights_len(), 5);
    let of = Elementwise::squared().row_weights(&[1.0, 0.0, 2.0, 0.5]);
    let loss = Loss::Elementwise { targets: &numbers[..12], of };
    assert!(gradients(&POOLED, &pooled, loss).unwrap().0 > 0.0);
    assert_eq!(POOLED.target_weight(Sequences::new(5, 4), loss), Ok(3.5));
    // The model replaces the sequences of the loss by its own.
    let other = Loss::Elementwise { targets: &numbers[..12], of: of.over(Sequences::new(1, 8)) };
    assert_eq!(gradients(&POOLED, &pooled, other), gradients(&POOLED, &pooled, loss));
}

/// The mean over no targets is NaN if a function divides by their number.
#[test]
fn a_batch_without_targets_does_not_spoil_an_update() {
    let own = |of: OwnBatch<'_>| {
        if of.sequences.steps() == 2 {
            return f32::NAN;
        }
        if let Some(dy) = of.dy {
            dy.fill(1.0 / 20.0);
        }
        of.y.iter().sum::<f32>() / 20.0
    };
    let x = random(40, 4);
    let full = Batch { sequences: Sequences::new(5, 4), x: x[..].into(), loss: Loss::own(&own) };
    let none = Batch { sequences: Sequences::new(2, 4).lengths(&[0; 4]), x: x[..16].into(), ..full };
    let update = |batches: &[Batch<'_>]| {
        let mut trainer = Trainer::new(&TAGGER, Sgd::new(0.1), &mut rng(1)).unwrap();
        let update = trainer.update_accumulated(batches, &mut rng(2)).unwrap();
        (update.updates, update.loss, trainer.weights().to_vec())
    };
    assert_eq!(update(&[full, none]), update(&[full]));
    assert_eq!(update(&[full]).0, 1);
}

#[test]
fn losses_that_do_not_fit_to_a_model_are_refused() {
    let weights = random(TAGGER.weights_len(), 5);
    let (numbers, classes) = ([0.0; 60], [0; 20]);
    let of_classes = |of| gradients(&TAGGER, &weights, Loss::Classes { targets: &classes, of }).err();
    assert!(matches!(of_classes(CrossEntropy::new(4)), Some(Error::Value { argument: "loss", .. })));
    let short = CrossEntropy::new(3).row_weights(&[1.0; 19]);
    assert_eq!(of_classes(short), Some(length("row_weights", 20, 19)));
    let of_numbers = |of| gradients(&TAGGER, &weights, Loss::Elementwise { targets: &numbers, of }).err();
    assert_eq!(
        of_numbers(Elementwise::squared().row_weights(&[1.0; 10])),
        Some(length("row_weights", 20, 10))
    );
    assert_eq!(of_numbers(Elementwise::binary().pos_weight(&[1.0; 2])), Some(length("pos_weight", 3, 2)));
    let refused = of_numbers(Elementwise::squared().pos_weight(&[1.0; 3]));
    assert!(matches!(refused, Some(Error::Value { argument: "pos_weight", .. })));
    let ctc = Loss::Ctc { targets: &[1], target_lengths: &[1, 0, 0, 0], blank: 0, zero_infinity: true };
    let pooled = random(POOLED.weights_len(), 5);
    assert!(matches!(gradients(&POOLED, &pooled, ctc), Err(Error::Value { argument: "loss", .. })));
    let many = Loss::Ctc { targets: &[1; 90], target_lengths: &[90, 0, 0, 0], blank: 0, zero_infinity: true };
    assert!(matches!(gradients(&TAGGER, &weights, many), Err(Error::Length { buffer: "scratch", .. })));
}
