//! The trainer makes the same updates as its parts, on any number of threads, and continues from a saved
//! state.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{random, rng};
use recurrent::model::{Input, Layer, Loss, Model, Training};
use recurrent::train::{Adam, AdamW, Cosine, RmsProp, Sgd, clip_scale};
use recurrent::trainer::{Batch, Predictor, Trainer};
use recurrent::{Gru, Masked, Pool, Result, Sequences, Stack};

const STEPS: usize = 6;
const BATCH: usize = 11;

const TAGGER: Model<4> = Model::new([
    Layer::embedding(7, 4),
    Layer::Dropout(0.25),
    Layer::Gru(Stack::new(Gru::new(4, 9).recurrent_dropout()).layers(2)),
    Layer::dense(9, 7),
])
.recurrent_dropout(0.2);

const CLASSIFIER: Model<3> = Model::new([Layer::lstm(3, 8), Layer::Pool(Pool::Max), Layer::dense(8, 2)]);

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn ids(len: usize, seed: u64) -> Vec<u32> {
    random(len, seed).iter().map(|x| (x.abs() * 6.9) as u32).collect()
}

fn tagger() -> Trainer {
    Trainer::new(&TAGGER, Adam::new(0.01), &mut rng(1)).unwrap().clip(1.0)
}

/// Selects a range of rows in each step of a time-major buffer.
fn rows<T: Copy>(of: &[T], width: usize, batch: usize, rows: std::ops::Range<usize>) -> Vec<T> {
    of.chunks(batch * width).flat_map(|step| &step[rows.start * width..rows.end * width]).copied().collect()
}

/// The loss and the weights after one update, computed with the model's own passes over the shards.
fn by_hand(x: &[u32], targets: &[u32], lengths: &[usize], mask: &[bool], shards: usize) -> (f32, Vec<f32>) {
    let trainer = tagger();
    let mut weights = trainer.weights().to_vec();
    let mut grads = vec![0.0; weights.len()];
    let (mut mean, mut rng) = (0.0, rng(2));
    let count = |of: std::ops::Range<usize>| {
        let taken = |t: usize, b: usize| t < lengths[b] && mask[t * BATCH + b] && targets[t * BATCH + b] != 3;
        (0..STEPS).flat_map(|t| of.clone().map(move |b| (t, b))).filter(|&(t, b)| taken(t, b)).count()
    };
    for shard in 0..shards {
        let range = BATCH * shard / shards..BATCH * (shard + 1) / shards;
        let n = range.len();
        let mut dropout = vec![0.0; TAGGER.dropout_len(STEPS, n)];
        TAGGER.draw_dropout(&mut dropout, STEPS, n, &mut rng).unwrap();
        let [x, targets] = [x, targets].map(|of| rows(of, 1, BATCH, range.clone()));
        let mask = rows(mask, 1, BATCH, range.clone());
        let mut own = vec![f32::NAN; weights.len()];
        let loss = TAGGER.forward_backward(
            &weights,
            Training {
                sequences: Sequences::new(STEPS, n)
                    .lengths(&lengths[range.clone()])
                    .mask(&mask, Masked::Zero),
                x: (&x).into(),
                loss: Loss::CrossEntropy { targets: &targets, ignored: Some(3) },
                grads: &mut own,
                state: &mut vec![0.0; TAGGER.state_len(n)],
                dropout: Some(&dropout),
                tape: &mut vec![0.0; TAGGER.tape_len(STEPS, n)],
                scratch: &mut vec![0.0; TAGGER.train_scratch_len(STEPS, n)],
                ..Default::default()
            },
        );
        let share = count(range) as f64 / count(0..BATCH) as f64;
        mean += f64::from(loss.unwrap()) * share;
        grads.iter_mut().zip(&own).for_each(|(sum, g)| *sum += share as f32 * g);
    }
    let (mut adam, mut moments) = (Adam::new(0.01), vec![0.0; Adam::moments_len(weights.len())]);
    let clip = clip_scale(&grads, 1.0).unwrap().unwrap();
    adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale).unwrap();
    (mean as f32, weights)
}

/// A batch for the tagger, in either layout.
struct Data {
    x: Vec<u32>,
    targets: Vec<u32>,
    lengths: Vec<usize>,
    mask: Vec<bool>,
}

impl Data {
    fn new(batch: usize) -> Self {
        let lengths = (0..batch).map(|b| b * 5 % (STEPS + 1)).collect();
        let mask = random(STEPS * batch, 7).iter().map(|x| *x < 0.7).collect();
        Data { x: ids(STEPS * batch, 5), targets: ids(STEPS * batch, 6), lengths, mask }
    }

    fn batch_major(&self) -> Self {
        fn turned<T: Copy>(of: &[T]) -> Vec<T> {
            let batch = of.len() / STEPS;
            (0..of.len()).map(|i| of[i % STEPS * batch + i / STEPS]).collect()
        }
        Data {
            x: turned(&self.x),
            targets: turned(&self.targets),
            lengths: self.lengths.clone(),
            mask: turned(&self.mask),
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            sequences: Sequences::new(STEPS, self.lengths.len())
                .lengths(&self.lengths)
                .mask(&self.mask, Masked::Zero),
            x: (&self.x).into(),
            loss: Loss::CrossEntropy { targets: &self.targets, ignored: Some(3) },
        }
    }
}

#[test]
fn an_update_has_the_bits_of_its_parts() -> Result<()> {
    let data = Data::new(BATCH);
    for shards in [1, 2, 3, BATCH] {
        let (loss, weights) = by_hand(&data.x, &data.targets, &data.lengths, &data.mask, shards);
        let mut trainer = tagger().shards(shards);
        let update = trainer.update(data.batch(), &mut rng(2))?;
        assert_eq!((update.loss, update.updates, update.rate), (loss, 1, 0.01));
        assert_eq!(bits(trainer.weights()), bits(&weights), "{shards} shards");
    }
    Ok(())
}

#[test]
fn layouts_and_shards_make_no_difference_but_rounding() -> Result<()> {
    let data = Data::new(40);
    let turned = data.batch_major();
    // Without dropout, because its factors are drawn for each shard.
    const MODEL: Model<3> = Model::new([Layer::embedding(7, 4), Layer::gru(4, 9), Layer::dense(9, 7)]);
    let after = |shards, batch: Batch<'_>| {
        let mut trainer = Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1)).unwrap().shards(shards);
        trainer.update(batch, &mut rng(2)).unwrap();
        trainer.weights().to_vec()
    };
    let whole = after(1, data.batch());
    let turned = turned.batch();
    let turned = Batch { sequences: turned.sequences.batch_major(), ..turned };
    for weights in [after(1, turned), after(5, data.batch()), after(7, turned)] {
        for (a, b) in weights.iter().zip(&whole) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
    Ok(())
}

#[cfg(feature = "rayon")]
#[test]
fn threads_make_no_difference() {
    let data = Data::new(130);
    let after = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut trainer, mut rng) = (tagger().stateful(), rng(2));
            let losses: Vec<_> =
                (0..4).map(|_| trainer.update(data.batch(), &mut rng).unwrap().loss).collect();
            (bits(&losses), bits(trainer.weights()), trainer.to_bytes().unwrap())
        })
    };
    let one = after(1);
    for threads in [2, 3, 8] {
        assert!(after(threads) == one, "{threads} threads");
    }
}

#[test]
fn states_are_carried_if_asked_for() -> Result<()> {
    const MODEL: Model<3> = Model::new([Layer::embedding(7, 4), Layer::gru(4, 9), Layer::dense(9, 7)]);
    let (x, targets) = (ids(2 * STEPS * 3, 1), ids(2 * STEPS * 3, 2));
    let batch = |from: usize, to: usize| Batch {
        sequences: Sequences::new((to - from) / 3, 3),
        x: x[from..to].into(),
        loss: Loss::classes(&targets[from..to]),
    };
    // With a learning rate of zero only the states change.
    let trainer = Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1))?.rate(0.0);
    let half = STEPS * 3;
    let mut stateful = trainer.clone().stateful();
    let halves =
        [batch(0, half), batch(half, 2 * half)].map(|b| stateful.update(b, &mut rng(1)).unwrap().loss);
    let whole = trainer.evaluate(batch(0, 2 * half))?;
    assert!(((halves[0] + halves[1]) / 2.0 - whole).abs() < 1e-6);
    stateful.reset();
    assert_eq!(stateful.update(batch(0, half), &mut rng(1))?.loss, halves[0]);
    assert_eq!(
        trainer.clone().update(batch(half, 2 * half), &mut rng(1))?.loss,
        trainer.evaluate(batch(half, 2 * half))?
    );

    let mut predictor = trainer.predictor()?.stateful();
    let parts = [batch(0, half), batch(half, 2 * half)].map(|b| predictor.loss(b).unwrap());
    assert_eq!(parts, halves);
    predictor.reset();
    assert_eq!(predictor.loss(batch(0, half))?, halves[0]);
    Ok(())
}

#[test]
fn gradients_that_are_not_finite_change_nothing() -> Result<()> {
    let x = [0.5, f32::INFINITY, 0.0].repeat(STEPS * 2);
    let mut trainer = Trainer::new(&CLASSIFIER, Adam::new(0.1), &mut rng(1))?;
    let before = trainer.weights().to_vec();
    let loss = Loss::MeanSquaredError { targets: &[f32::NAN, 0.0, 0.0, 1.0] };
    let update =
        trainer.update(Batch { sequences: Sequences::new(STEPS, 2), x: (&x).into(), loss }, &mut rng(1))?;
    assert_eq!((update.updates, update.norm), (0, None));
    assert_eq!(bits(trainer.weights()), bits(&before));
    assert!(trainer.is_finite());
    Ok(())
}

#[test]
fn a_saved_training_goes_on_to_the_bit() -> Result<()> {
    let data = Data::new(34);
    let make = || tagger().stateful().rate(Cosine::new(0.02, 6));
    let run = |trainer: &mut Trainer, updates: std::ops::Range<u64>| {
        for number in updates {
            trainer.update(data.batch(), &mut rng(number)).unwrap();
        }
    };
    let mut whole = make();
    run(&mut whole, 0..6);
    let mut first = make();
    run(&mut first, 0..3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training");
    first.save(&path).unwrap();
    let mut second = make();
    second.load(&path).unwrap();
    assert_eq!(second.updates(), 3);
    assert!(second.to_bytes().unwrap() == std::fs::read(&path).unwrap());
    run(&mut second, 3..6);
    assert!(second.to_bytes().unwrap() == whole.to_bytes().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // Before the first update a trainer saves only weights.
    let fresh = make().to_bytes().unwrap();
    second.restore(&fresh).unwrap();
    assert!(second.updates() == 0 && second.to_bytes().unwrap() == fresh);
    Ok(())
}

#[test]
fn damaged_and_foreign_files_change_nothing() -> Result<()> {
    const SMALL: Model<2> = Model::new([Layer::gru(1, 2), Layer::dense(2, 1)]);
    let targets = random(3, 1);
    let batch = Batch {
        sequences: Sequences::new(3, 1),
        x: Input::Values(&targets),
        loss: Loss::MeanSquaredError { targets: &targets },
    };
    let mut trainer = Trainer::new(&SMALL, Adam::new(0.1), &mut rng(1))?;
    trainer.update(batch, &mut rng(1))?;
    let good = trainer.to_bytes().unwrap();
    trainer.update(batch, &mut rng(1))?;
    let now = trainer.to_bytes().unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x41;
        assert!(trainer.restore(&bad).is_err(), "byte {at}");
        assert!(trainer.restore(&good[..at]).is_err(), "cut at {at}");
    }
    assert!(trainer.restore(&[&good[..], &[0]].concat()).is_err());
    assert!(trainer.to_bytes().unwrap() == now);

    const OTHER: Model<2> =
        Model::new([Layer::Gru(Stack::new(Gru::new(1, 2).reverse())), Layer::dense(2, 1)]);
    assert!(Trainer::new(&OTHER, Adam::new(0.1), &mut rng(1))?.restore(&good).is_err());
    assert!(Trainer::new(&SMALL, Sgd::new(0.1), &mut rng(1))?.restore(&good).is_err());
    assert!(Trainer::new(&SMALL, AdamW::new(0.1), &mut rng(1))?.restore(&good).is_err());
    let momentum = Trainer::new(&SMALL, Sgd::new(0.1).momentum(0.9), &mut rng(1))?.to_bytes().unwrap();
    assert!(Trainer::new(&SMALL, RmsProp::new(0.1), &mut rng(1))?.restore(&momentum).is_err());
    assert!(Trainer::new(&CLASSIFIER, Adam::new(0.1), &mut rng(1))?.restore(&good).is_err());
    trainer.restore(&good).unwrap();
    assert!(trainer.to_bytes().unwrap() == good);
    Ok(())
}

const SMALL: Model<1> = Model::new([Layer::dense(1, 1)]);

#[test]
fn settings_are_refused_before_anything_moves() -> Result<()> {
    const MODEL: Model<2> = Model::new([Layer::gru(1, 2), Layer::dense(2, 1)]);
    let targets = random(3, 1);
    let batch = Batch {
        sequences: Sequences::new(3, 1),
        x: Input::Values(&targets),
        loss: Loss::MeanSquaredError { targets: &targets },
    };
    for (adam, clip) in [(Adam::new(-1.0), 1.0), (Adam::new(0.1), f32::NAN)] {
        let mut trainer = Trainer::new(&MODEL, adam, &mut rng(1))?.clip(clip).stateful();
        let before = trainer.to_bytes().unwrap();
        assert!(trainer.update(batch, &mut rng(1)).is_err());
        assert!(trainer.to_bytes().unwrap() == before);
    }
    Ok(())
}

#[test]
fn an_optimiser_goes_on_where_it_was() -> Result<()> {
    let late = Adam { step: 1000, ..Adam::new(0.1) };
    let loss = Loss::MeanSquaredError { targets: &[2.0] };
    let batch = Batch { sequences: Sequences::new(1, 1), x: (&[1.0]).into(), loss };
    let mut trainer = Trainer::new(&SMALL, late, &mut rng(1))?;
    let mut other = Trainer::new(&SMALL, Adam::new(0.1), &mut rng(2))?;
    other.restore(&trainer.to_bytes().unwrap()).unwrap();
    for trainer in [&mut trainer, &mut other] {
        trainer.update(batch, &mut rng(1))?;
        trainer.update(batch, &mut rng(1))?;
    }
    assert_eq!(trainer.weights(), other.weights());
    Ok(())
}

/// Empty buffers do not bound the number of steps or rows.
#[test]
fn without_rows_or_steps_there_is_nothing_to_learn() -> Result<()> {
    let mut trainer = Trainer::new(&SMALL, Sgd::new(0.1), &mut rng(1))?;
    let before = trainer.weights().to_vec();
    let (x, loss) = (Input::Values(&[]), Loss::MeanSquaredError { targets: &[] });
    let many = [Sequences::new(usize::MAX, 0), Sequences::new(usize::MAX, 0).batch_major()];
    for sequences in many.into_iter().chain([Sequences::new(0, 1 << 62)]) {
        let _ = trainer.update(Batch { sequences, x, loss }, &mut rng(1));
        assert_eq!((trainer.weights(), trainer.updates()), (&before[..], 0));
    }
    Ok(())
}

/// Steps continue from the carried state, and a clone has a state of its own.
#[test]
fn a_predictor_steps_and_its_clones_are_apart() -> Result<()> {
    let model = Model::new([Layer::lstm(2, 3), Layer::dense(3, 1)]);
    let weights: Vec<f32> = (0..model.weights_len()).map(|i| (i as f32 * 0.7).sin()).collect();
    let x: Vec<f32> = (0..5 * 2 * 2).map(|i| (i as f32 * 1.3).cos()).collect(); // [T, B, 2]
    let mut whole = Predictor::new(&model, &weights)?;
    let y = whole.forward(Sequences::new(5, 2), &x)?.to_vec();
    let mut stepped = Predictor::new(&model, &weights)?.stateful();
    for (t, x) in x.chunks(4).enumerate() {
        let mut clone = stepped.clone();
        assert_eq!(clone.step(x)?, &y[t * 2..][..2]);
        clone.reset();
        assert_eq!(stepped.step(x)?, &y[t * 2..][..2]);
    }
    // A different number of rows would lose the carried states.
    assert!(stepped.step(&x[..2]).is_err());
    assert!(stepped.step(&x[..3]).is_err());
    stepped.reset();
    assert_eq!(stepped.step(&x[..4])?, &y[..2]);
    Ok(())
}
