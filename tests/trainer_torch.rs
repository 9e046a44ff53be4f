//! A hundred updates of a trainer with each of its settings, compared with PyTorch.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{assert_close, rng, wide};
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::{Adam, AdamW, Sgd};
use recurrent::trainer::{Batch, LayerSettings, Optimiser, Trainer};
use recurrent::{CrossEntropy, Elementwise, Gru, Lstm, LstmNorm, OwnBatch, Result, Sequences};
use tensors::Tensors;

const CLASSES: usize = 7;
const ROWS: usize = 4;
const STEPS: usize = 5;
const LENGTHS: [usize; ROWS] = [5, 2, 4, 3];
const WORDS: Model<3> =
    Model::new([Layer::embedding(CLASSES, 6), Layer::gru(6, 6), Layer::dense(6, CLASSES)]);

const fn series(outputs: usize) -> Model<2> {
    Model::new([Layer::gru(2, 5), Layer::dense(5, outputs)])
}

/// One of the two batches of a file.
fn part<T>(of: &[T], batch: usize) -> &[T] {
    let len = of.len() / 2;
    &of[len * batch..][..len]
}

fn sequences() -> Sequences<'static> {
    Sequences::new(STEPS, ROWS).batch_major().lengths(&LENGTHS)
}

/// Makes the updates of the case `name` from its initial weights, in one shard and in three, and compares the
/// weights.
#[track_caller]
fn compare<const N: usize>(
    name: &str,
    model: &Model<N>,
    optimiser: impl Into<Optimiser> + Copy,
    settings: impl Fn(Trainer) -> Result<Trainer>,
    update: impl Fn(&mut Trainer, usize) -> Result<f32>,
) -> Trainer {
    let file = Tensors::read("training/trainer");
    let mut last = None;
    for shards in [1, 3] {
        let mut trainer = Trainer::new(model, optimiser, &mut rng(1)).unwrap().shards(shards);
        trainer.weights_mut().copy_from_slice(&file.f32(&format!("{name}_before")));
        let mut trainer = settings(trainer).unwrap();
        let losses: Vec<f32> =
            (0..100).map(|i| update(&mut trainer, i % 2).unwrap_or_else(|e| panic!("{name}: {e}"))).collect();
        assert_close(name, &losses, &file.f64(&format!("{name}_losses")), 1e-5);
        let after = [trainer.weights(), trainer.initial_state()].concat();
        assert_close(name, &after, &wide(&file.f32(&format!("{name}_after"))), 1e-4);
        assert!(losses[99] < losses[0], "{name} has learned nothing");
        last = Some(trainer);
    }
    last.unwrap()
}

/// A model of ids, by this loss over its targets.
fn words(
    name: &str,
    optimiser: impl Into<Optimiser> + Copy,
    settings: impl Fn(Trainer) -> Result<Trainer>,
    of: impl for<'a> Fn(&'a [u32], usize, &'a Tensors) -> Loss<'a>,
) -> Trainer {
    let file = Tensors::read("training/trainer");
    let (ids, targets) = (file.ids("ids"), file.ids("targets"));
    compare(name, &WORDS, optimiser, settings, |trainer, batch| {
        let loss = of(part(&targets, batch), batch, &file);
        let x = part(&ids, batch).into();
        Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
    })
}

fn plain<'a>(targets: &'a [u32], _: usize, _: &'a Tensors) -> Loss<'a> {
    Loss::classes(targets)
}

const ADAM: Adam = Adam::new(0.01);

#[test]
fn plain_and_frozen() {
    words("plain", ADAM, |t| Ok(t.clip(0.5)), plain);
    let frozen = LayerSettings { frozen: true, ..LayerSettings::default() };
    let trainer = words("frozen", ADAM, |t| t.clip(0.5).layer(0, frozen), plain);
    assert_eq!(trainer.layer_grads(0), [0.0; 6 * CLASSES]);
    let before = Tensors::read("training/trainer").f32("frozen_before");
    assert_eq!(trainer.layer_weights(0), &before[..6 * CLASSES]);
}

#[test]
fn weights_of_classes_and_of_steps() {
    let weights = Tensors::read("training/trainer").f32("class_weights");
    let file = Tensors::read("training/trainer");
    let steps = file.f32("step_weights");
    let (ids, targets) = (file.ids("ids"), file.ids("targets"));
    for name in ["classes", "steps"] {
        compare(name, &WORDS, ADAM, Ok, |trainer, batch| {
            let plain = CrossEntropy::new(CLASSES);
            let of = match name {
                "classes" => plain.class_weights(&weights).smoothing(0.1),
                _ => plain.row_weights(part(&steps, batch)),
            };
            let loss = Loss::Classes { targets: part(&targets, batch), of };
            let x = part(&ids, batch).into();
            Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
        });
    }
}

/// An update with two batches, of three rows and of one row, uses the weighted mean over both.
#[test]
fn batches_are_weighed_by_their_weights() {
    let file = Tensors::read("training/trainer");
    let weights = file.f32("class_weights");
    let (ids, targets) = (file.ids("ids"), file.ids("targets"));
    compare("accumulated", &WORDS, ADAM, Ok, |trainer, batch| {
        let of = CrossEntropy::new(CLASSES).class_weights(&weights);
        let rows = |rows: std::ops::Range<usize>| {
            let steps = rows.start * STEPS..rows.end * STEPS;
            Batch {
                sequences: Sequences::new(STEPS, rows.len()).batch_major().lengths(&LENGTHS[rows]),
                x: part(&ids, batch)[steps.clone()].into(),
                loss: Loss::Classes { targets: &part(&targets, batch)[steps], of },
            }
        };
        Ok(trainer.update_accumulated(&[rows(0..3), rows(3..4)], &mut rng(1))?.loss)
    });
}

#[test]
fn rates_and_decays_of_layers() {
    let of = |rate, weight_decay| LayerSettings { frozen: false, rate, weight_decay };
    let settings =
        |t: Trainer| t.layer(0, of(0.5, Some(0.0)))?.layer(1, of(1.0, Some(0.1)))?.layer(2, of(2.0, None));
    words("layers", AdamW::new(0.01), settings, plain);
}

#[test]
fn tied_embeddings_and_padding() {
    let sgd = Sgd::new(0.2).momentum(0.9).weight_decay(0.001);
    let tied = words("tied", sgd, |t| t.clip(0.5).tie_embeddings(), plain);
    assert_eq!(tied.layer_weights(0), &tied.layer_weights(2)[..6 * CLASSES]);
    let padding = words("padding", ADAM, |t| t.padding_idx(0), plain);
    assert_eq!(padding.weights()[..6], [0.0; 6]);
    words("both", ADAM, |t| t.tie_embeddings()?.padding_idx(0), plain);
}

#[test]
fn rates_of_ones_own_after_a_warm_up() {
    words(
        "rate",
        Adam::new(0.0),
        |t| Ok(t.rate_by(|step| 0.02 / (1.0 + step as f32 / 50.0)).warmup(10)),
        plain,
    );
}

#[test]
fn an_average_of_the_weights() {
    let trainer = words("average", ADAM, |t| t.average(0.9), plain);
    let average = wide(&Tensors::read("training/trainer").f32("average_average"));
    assert_close("average", trainer.averaged_weights().unwrap(), &average, 1e-4);
}

#[test]
fn losses_of_numbers() {
    let file = Tensors::read("training/trainer");
    let (x, numbers, ones) = (file.f32("values"), file.f32("numbers"), file.f32("ones"));
    let positive = file.f32("positive");
    for name in ["absolute", "huber", "positive", "initial"] {
        let learn = |t: Trainer| if name == "initial" { t.learn_initial_state() } else { Ok(t) };
        compare(name, &series(3), ADAM, learn, |trainer, batch| {
            let targets = part(&numbers, batch);
            let loss = match name {
                "absolute" => Loss::Elementwise { targets, of: Elementwise::absolute() },
                "huber" => Loss::Elementwise { targets, of: Elementwise::huber(0.4) },
                "initial" => Loss::MeanSquaredError { targets },
                _ => {
                    let of = Elementwise::binary().pos_weight(&positive);
                    Loss::Elementwise { targets: part(&ones, batch), of }
                }
            };
            let x = part(&x, batch).into();
            Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
        });
    }
}

/// Both forms of the LSTM, and the GRU.
#[test]
fn layer_normalisation() {
    let file = Tensors::read("training/trainer");
    let (x, numbers) = (file.f32("values"), file.f32("numbers"));
    let forms = [
        ("lstm_norm", Lstm::new(2, 5).layer_norm(LstmNorm::Output).into()),
        ("lstm_norm_state", Lstm::new(2, 5).layer_norm(LstmNorm::State).into()),
        ("gru_norm", Layer::from(Gru::new(2, 5).layer_norm())),
    ];
    for (name, layer) in forms {
        // With larger rates, PyTorch in f32 soon is far from PyTorch in f64.
        compare(name, &Model::new([layer, Layer::dense(5, 3)]), Adam::new(0.002), Ok, |trainer, batch| {
            let loss = Loss::MeanSquaredError { targets: part(&numbers, batch) };
            let x = part(&x, batch).into();
            Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
        });
    }
}

/// The fourth power of differences; shards ask for their own rows.
#[test]
fn a_loss_of_ones_own() {
    let file = Tensors::read("training/trainer");
    let (x, numbers) = (file.f32("values"), file.f32("numbers"));
    compare("fourth", &series(3), ADAM, Ok, |trainer, batch| {
        let fourth = |of: OwnBatch<'_>| {
            let (rows, width) = (of.sequences.batch(), STEPS * of.width);
            let targets = &part(&numbers, batch)[of.first_row * width..][..rows * width];
            let counts = |i: &usize| i % width / of.width < LENGTHS[of.first_row + i / width];
            let n = (0..of.y.len()).filter(counts).count().max(1) as f32;
            let apart = |i: usize| of.y[i] - targets[i];
            if let Some(dy) = of.dy {
                // What is written to the padding has no effect.
                (0..dy.len()).for_each(|i| dy[i] = 4.0 * apart(i).powi(3) / n);
            }
            (0..of.y.len()).filter(counts).map(|i| apart(i).powi(4)).sum::<f32>() / n
        };
        let (x, loss) = (part(&x, batch).into(), Loss::own(&fourth));
        Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
    });
}

#[test]
fn labels_without_an_alignment() {
    let file = Tensors::read("training/trainer");
    let x = file.f32("values");
    let loss = Loss::Ctc {
        targets: &[1, 2, 3, 1, 1, 2],
        target_lengths: &[2, 1, 2, 1],
        blank: 0,
        zero_infinity: false,
    };
    let trainer = compare("ctc", &series(4), ADAM, Ok, |trainer, batch| {
        let x = part(&x, batch).into();
        Ok(trainer.update(Batch { sequences: sequences(), x, loss }, &mut rng(1))?.loss)
    });
    let batch = Batch { sequences: sequences(), x: part(&x, 0).into(), loss };
    let measures = trainer.measure([batch]).unwrap();
    assert_eq!((measures.targets, measures.accuracy), (ROWS, None));
    assert_eq!(measures.loss, trainer.evaluate(batch).unwrap());
}
