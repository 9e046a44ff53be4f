//! Losses of classes and of numbers: against PyTorch, against their derivatives, and in a model.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{assert_close, differences, length, random, rng, wide};
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::Sgd;
use recurrent::trainer::{Batch, Trainer};
use recurrent::{CrossEntropy, Error, Isa, Sequences, huber, mean_absolute_error};
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
    for loss in [Loss::MeanAbsoluteError { targets }, Loss::Huber { targets, delta: 0.5 }] {
        // Four rows, in two shards.
        let batch = Batch { sequences: Sequences::new(20, 4).batch_major(), x: wave[..80].into(), loss };
        let optimiser = Sgd { momentum: 0.9, ..Sgd::new(0.05) };
        let mut trainer = Trainer::new(&model, optimiser, &mut rng(1)).unwrap().shards(2).clip(1.0);
        let before = trainer.evaluate(batch).unwrap();
        trainer.train([batch; 150], &mut rng(2), |_| true).unwrap();
        let after = trainer.evaluate(batch).unwrap();
        assert!(after < 0.4 * before, "{before} {after}");
    }
    let loss = Loss::Huber { targets, delta: 0.0 };
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
