//! Settings of a trainer: a training with all of them resumes with the same bits, and wrong settings are
//! rejected.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::model::{Layer, Loss, Model, Training};
use recurrent::train::{AdamW, Sgd};
use recurrent::trainer::{
    Batch, EarlyStopping, LayerSettings, Order, Padded, Place, Rows, Trainer, Update, split,
};
use recurrent::{CrossEntropy, Error, Narrow, Need, Sequences};

const CLASSES: usize = 6;
const MODEL: Model<4> = Model::new([
    Layer::embedding(CLASSES, 5),
    Layer::gru(5, 5),
    Layer::Dropout(0.2),
    Layer::dense(5, CLASSES),
]);

/// Rows of ids of several lengths. The id after `i` is `i + 2`.
struct Data {
    ids: Vec<u32>,
    next: Vec<u32>,
    lengths: Vec<usize>,
}

impl Data {
    fn new() -> Self {
        let mut rng = rng(5);
        let lengths: Vec<usize> = (0..37).map(|_| 2 + (rng.next_u32() % 6) as usize).collect();
        let row = |length: &usize| {
            let first = rng.next_u32() % 5;
            (0..*length as u32 + 1).map(|t| 1 + (first + 2 * t) % 5).collect::<Vec<_>>()
        };
        let rows: Vec<_> = lengths.iter().map(row).collect();
        let part = |skip: usize| rows.iter().flat_map(|row| row[skip..][..row.len() - 1].to_vec()).collect();
        Data { ids: part(0), next: part(1), lengths }
    }
}

/// A training, the order of its data, and its random generator.
struct Run {
    trainer: Trainer,
    order: Order,
    seed: u64,
}

impl Run {
    fn new(data: &Data) -> Self {
        let (learned, _) = split(data.lengths.len(), 0.25, 3);
        let trainer = Trainer::new(&MODEL, AdamW::new(0.0), &mut rng(1)).unwrap().shards(2).clip(0.3);
        let slow = LayerSettings { rate: 0.5, weight_decay: Some(0.1), ..LayerSettings::default() };
        let trainer = trainer.learn_initial_state().unwrap().layer(1, slow).unwrap();
        let trainer = trainer.tie_embeddings().unwrap().padding_idx(0).unwrap().average(0.9).unwrap();
        let trainer = trainer.rate_by(|step| 0.05 / (1.0 + step as f32 / 20.0)).warmup(5);
        Run {
            trainer: trainer.early_stopping(EarlyStopping::new(1000)),
            order: Order::new(&data.lengths, 4).only(&learned).shuffled(9).bucketed(3),
            seed: 77,
        }
    }

    /// Updates, each with dropout of its own and a validation after it.
    fn go_on(&mut self, data: &Data, updates: usize) -> Vec<Update> {
        let ids = Rows::new(&data.ids, &data.lengths, 1).unwrap();
        let next = Rows::new(&data.next, &data.lengths, 1).unwrap();
        let (mut padded, mut targets) = (Padded::default(), Padded::default());
        let weights = [0.0, 1.0, 2.0, 1.0, 0.5, 1.0];
        let of = CrossEntropy::new(CLASSES).ignore(0).class_weights(&weights).smoothing(0.05);
        let mut made = vec![];
        while made.len() < updates {
            let Some(rows) = self.order.next() else { continue };
            let (x, y) = (padded.fill(&ids, rows, 0).unwrap(), targets.fill(&next, rows, 0).unwrap());
            let loss = Loss::Classes { targets: y.values, of };
            let batch = Batch { sequences: x.sequences(), x: x.values.into(), loss };
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
            self.seed = rng.next_u64();
            made.push(self.trainer.update_accumulated(&[batch, batch], &mut rng).unwrap());
            let loss = self.trainer.evaluate(batch).unwrap();
            assert!(self.trainer.validated(loss).unwrap());
        }
        made
    }

    /// Attaches the state of the program, and saves the training.
    fn save(&mut self) -> Vec<u8> {
        self.trainer.attach(&[&self.order.place().to_bytes()[..], &self.seed.to_le_bytes()].concat());
        self.trainer.to_bytes().unwrap()
    }
}

#[test]
fn a_training_with_all_settings_resumes_to_the_bit() {
    let data = Data::new();
    let mut run = Run::new(&data);
    let before = run.trainer.evaluate(all(&data)).unwrap();
    run.go_on(&data, 23);
    let saved = run.save();
    let later = run.go_on(&data, 30);
    let whole = run.save();

    let mut other = Run::new(&data);
    other.trainer.restore(&saved).unwrap();
    let (place, seed) = other.trainer.attached().split_at(16);
    let (place, seed) = (Place::from_bytes(place.try_into().unwrap()), seed.try_into().unwrap());
    other.order.go_to(place);
    other.seed = u64::from_le_bytes(seed);
    assert_eq!(other.trainer.to_bytes().unwrap(), saved);
    assert_eq!(other.go_on(&data, 30), later);
    assert_eq!(other.save(), whole);

    let trainer = &mut run.trainer;
    let best = trainer.best().unwrap();
    assert!(best.updates > 0 && best.weights.iter().all(|w| w.is_finite()));
    assert_eq!(trainer.layer_weights(0), &trainer.layer_weights(3)[..5 * CLASSES]);
    assert!(trainer.evaluate(all(&data)).unwrap() < 0.5 * before);
    // The best weights are those of the average. Restoring them replaces both.
    let weights = best.weights.to_vec();
    assert!(trainer.restore_best());
    assert_eq!(trainer.weights(), weights);
    assert_eq!(trainer.averaged_weights(), Some(&weights[..]));
}

fn all(data: &Data) -> Batch<'_> {
    let steps = data.lengths[0];
    let (x, loss) = (data.ids[..steps].into(), Loss::classes(&data.next[..steps]));
    Batch { sequences: Sequences::new(steps, 1), x, loss }
}

#[test]
fn a_training_stops_when_it_gets_no_better() {
    let trainer = Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1)).unwrap();
    assert_eq!(trainer.best(), None);
    let mut trainer = trainer.early_stopping(EarlyStopping::new(2).min_delta(0.1));
    let go_on: Vec<bool> = [f32::NAN, 1.0, 0.95, 0.5, 0.45, f32::NAN]
        .into_iter()
        .map(|loss| trainer.validated(loss).unwrap())
        .collect();
    assert_eq!(go_on, [true, true, true, true, true, false]);
    let best = trainer.best().unwrap();
    assert_eq!((best.loss, best.since), (0.5, 2));
    assert_eq!(best.weights, trainer.weights());
}

#[test]
fn a_warm_up_ends_at_the_rate_of_any_schedule() {
    let data = Data::new();
    let rates = |trainer: Trainer| -> Vec<f32> {
        let mut trainer = trainer.warmup(4);
        (0..6).map(|_| trainer.update(all(&data), &mut rng(1)).unwrap().rate).collect()
    };
    let new = |lr| Trainer::new(&MODEL, AdamW::new(lr), &mut rng(1)).unwrap();
    assert_eq!(rates(new(0.5)), [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
    let falling = recurrent::train::Steps::new(0.5, 0.5, 1);
    assert_eq!(rates(new(0.0).rate(falling)), [0.125, 0.25, 0.375, 0.5, 0.5, 0.25]);
    let own = |step: u64| 1.0 / (step + 1) as f32;
    assert_eq!(rates(new(0.0).rate_by(own)), [0.25, 0.5, 0.75, 1.0, 1.0, 0.5]);
}

#[test]
fn a_callback_sees_gradients_and_thaws_layers() {
    let data = Data::new();
    let frozen = LayerSettings { frozen: true, ..LayerSettings::default() };
    let trainer = Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1)).unwrap();
    let mut trainer = trainer.layer(1, frozen).unwrap();
    let mut moved = vec![];
    trainer
        .train_with([all(&data); 4], &mut rng(2), |trainer, update| {
            let norms: Vec<[f32; 2]> = trainer.norms().collect();
            assert_eq!(norms.len(), 4);
            let square: f32 = norms.iter().map(|[_, gradients]| gradients * gradients).sum();
            assert!((square.sqrt() - update.norm.unwrap()).abs() < 1e-5 * square.sqrt());
            moved.push(norms[1][1] > 0.0);
            if update.updates == 2 {
                trainer.set_layer(1, LayerSettings::default())?;
            }
            Ok(update.updates < 3)
        })
        .unwrap();
    assert_eq!(moved, [false, false, true]);
    let refused = trainer.train_with([all(&data)], &mut rng(2), |trainer, _| {
        trainer.set_layer(9, frozen)?;
        Ok(true)
    });
    assert!(matches!(refused, Err(Error::Value { argument: "index", .. })));
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let new = || Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1)).unwrap();
    let series = Model::new([Layer::gru(2, 3), Layer::dense(3, 2)]);
    let other = || Trainer::new(&series, Sgd::new(0.1), &mut rng(1)).unwrap();
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let rate = LayerSettings { rate: bad, ..LayerSettings::default() };
        assert!(matches!(new().layer(0, rate).err(), Some(Error::Value { argument: "rate", .. })));
        let decay = LayerSettings { weight_decay: Some(bad), ..LayerSettings::default() };
        let refused = new().layer(0, decay).err();
        assert!(matches!(refused, Some(Error::Value { argument: "weight_decay", .. })));
        assert!(matches!(new().average(bad).err(), Some(Error::Value { argument: "decay", .. })));
    }
    assert!(matches!(other().tie_embeddings().err(), Some(Error::Value { argument: "model", .. })));
    assert!(matches!(other().padding_idx(0).err(), Some(Error::Value { argument: "model", .. })));
    assert!(matches!(new().padding_idx(6).err(), Some(Error::Index { buffer: "id", id: 6, limit: 6, .. })));
    // An invalid rate is rejected, and the weights do not change.
    let data = Data::new();
    let mut trainer = new().rate_by(|_| f32::NAN);
    let before = trainer.weights().to_vec();
    let refused = trainer.update(all(&data), &mut rng(1));
    assert!(matches!(refused, Err(Error::Value { argument: "lr", .. })));
    assert_eq!((trainer.weights(), trainer.updates()), (&before[..], 0));
    // A training with an average of the weights cannot be restored without one, nor the reverse.
    let averaged = new().average(0.5).unwrap().to_bytes().unwrap();
    let told = new().restore(&averaged).unwrap_err().to_string();
    assert!(told.contains("average"), "{told}");
    let told = new().average(0.5).unwrap().restore(&new().to_bytes().unwrap()).unwrap_err().to_string();
    assert!(told.contains("average"), "{told}");
}

#[test]
fn an_epoch_has_every_row_once() {
    let lengths: Vec<usize> = (0..23).map(|i| i * 7 % 11).collect();
    let (learned, validated) = split(23, 0.3, 1);
    assert_eq!((learned.len(), validated.len()), (16, 7));
    assert_eq!(split(23, 0.3, 1), (learned.clone(), validated));
    assert_ne!(split(23, 0.3, 2).0, learned);
    let epochs = |mut order: Order, count: usize| -> Vec<Vec<Vec<usize>>> {
        (0..count)
            .map(|_| {
                let mut batches = vec![];
                while let Some(rows) = order.next() {
                    batches.push(rows.to_vec());
                }
                batches
            })
            .collect()
    };
    let order = Order::new(&lengths, 5).only(&learned);
    let plain = epochs(order.clone(), 2);
    assert_eq!(plain[0], plain[1]);
    assert_eq!(plain[0].concat(), learned);
    let shuffled = epochs(order.clone().shuffled(4), 2);
    assert_ne!(shuffled[0], shuffled[1]);
    for epoch in &shuffled {
        let mut rows = epoch.concat();
        rows.sort_unstable();
        assert_eq!(rows, learned);
    }
    // The rows of a batch have equal lengths, or nearly equal ones.
    let sorted = epochs(order.clone().shuffled(4).bucketed(100), 1);
    let spread = |epoch: &[Vec<usize>]| -> usize {
        let of = |rows: &Vec<usize>| {
            let lengths = rows.iter().map(|row| lengths[*row]);
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        epoch.iter().map(of).sum()
    };
    assert!(spread(&sorted[0]) < spread(&shuffled[0]) / 2);
    assert_eq!(order.batches(), 4);
    let whole = order.clone().whole_batches();
    assert_eq!((whole.batches(), epochs(whole, 1)[0].len()), (3, 3));
    // Goes to the middle of the second epoch without running the first.
    let mut there = order.clone().shuffled(4);
    there.go_to(Place { epoch: 1, batch: 2 });
    assert_eq!(there.next(), Some(&shuffled[1][2][..]));
    assert_eq!(there.place(), Place { epoch: 1, batch: 3 });
    let place = Place::from_bytes(there.place().to_bytes());
    assert_eq!(place, there.place());
    let mut none = Order::new(&[], 5).shuffled(1);
    assert_eq!(none.batches(), 0);
    assert_eq!(none.next(), None);
}

#[test]
fn rows_stand_side_by_side() {
    let all = [1.0, 2.0, /**/ 3.0, 4.0, 5.0, 6.0, /**/ 7.0, 8.0, 9.0, 10.0];
    let rows = Rows::new(&all, &[1, 2, 2], 2).unwrap();
    let mut padded = Padded::default();
    let filled = padded.fill(&rows, &[1, 0], -1.0).unwrap();
    assert_eq!(filled.values, [3.0, 4.0, 5.0, 6.0, /**/ 1.0, 2.0, -1.0, -1.0]);
    assert_eq!(filled.lengths, [2, 1]);
    // Consecutive rows of one length are not copied.
    let filled = padded.fill(&rows, &[1, 2], -1.0).unwrap();
    assert_eq!((filled.values, filled.values.as_ptr()), (&all[2..], all[2..].as_ptr()));
    assert_eq!(padded.join(&rows, &[2, 0]).unwrap().values, [7.0, 8.0, 9.0, 10.0, 1.0, 2.0]);
    assert_eq!(padded.fill(&rows, &[], 0.0).unwrap().sequences().batch(), 0);
    let refused = padded.fill(&rows, &[0, 3], 0.0).err();
    assert_eq!(refused, Some(Error::Index { buffer: "rows", position: 1, id: 3, limit: 3 }));
    let refused = Rows::new(&all, &[1, 2], 2).err();
    assert_eq!(refused, Some(Error::Length { buffer: "all", expected: 6, actual: 10, need: Need::EXACT }));
}

#[test]
fn training_straight_through_uses_the_gradients_at_rounded_weights() {
    // Without dropout, so that both trainings compute the same.
    let layers = [Layer::embedding(CLASSES, 5), Layer::gru(5, 7), Layer::dense(7, CLASSES)];
    let (ids, targets) = ([0, 1, 2, 3, 4, 5, 0, 2], [1, 2, 3, 4, 5, 0, 2, 4]);
    let sequences = Sequences::new(4, 2);
    let (x, loss) = ((&ids).into(), Loss::classes(&targets));
    for format in [Narrow::F16, Narrow::W8A16] {
        let model = Model::new(layers).narrow(format);
        let trainer = Trainer::new(&model, Sgd::new(0.3), &mut rng(4)).unwrap();
        let mut trainer = trainer.straight_through().unwrap();
        let mut weights = trainer.weights().to_vec();
        let (mut grads, mut rounded) = (vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let mut storage = vec![0; model.narrow_len() + 3];
        let start = storage.as_ptr().align_offset(4);
        let narrow = &mut storage[start..start + model.narrow_len()];
        for _ in 0..5 {
            trainer.update(Batch { sequences, x, loss }, &mut rng(5)).unwrap();
            model.round(&weights, narrow).unwrap();
            model.widen(narrow, &mut rounded).unwrap();
            assert_ne!(rounded, weights);
            let (mut state, mut tape) = (vec![0.0; model.state_len(2)], vec![0.0; model.tape_len(4, 2)]);
            let mut scratch = vec![0.0; model.train_scratch_len(4, 2)];
            let (grads, state) = (&mut grads[..], &mut state[..]);
            let (tape, scratch) = (&mut tape[..], &mut scratch[..]);
            let args = Training { sequences, x, loss, grads, state, tape, scratch, ..Training::default() };
            model.forward_backward(&rounded, args).unwrap();
            Sgd::new(0.3).update(&mut weights, grads, &mut []).unwrap();
            assert!(weights.iter().zip(trainer.weights()).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
    let wide = Trainer::new(&Model::new(layers), Sgd::new(0.3), &mut rng(4)).unwrap().straight_through();
    assert!(matches!(wide.map(drop), Err(Error::Value { argument: "model", .. })));
}
