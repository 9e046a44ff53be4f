//! Trainers in threads that are ranks of one training: the same bits with any number of them, and errors that
//! reach all.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/ranks.rs"]
mod ranks;

use std::ops::Range;

use numbers::{random, rng};
use ranks::on;
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::{Adam, Cosine, Sgd};
use recurrent::trainer::{Batch, Communicator, Distributed, LayerSettings, Trainer, Update};
use recurrent::{Error, Gru, Masked, Sequences, Stack};

const STEPS: usize = 6;
const SHARDS: usize = 8;
/// The number of rows is not a multiple of the number of shards.
const BATCH: usize = 19;

const TAGGER: Model<4> = Model::new([
    Layer::embedding(7, 4),
    Layer::Dropout(0.25),
    Layer::Gru(Stack::new(Gru::new(4, 9).recurrent_dropout()).layers(2)),
    Layer::dense(9, 7),
])
.recurrent_dropout(0.2);

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Rows of a batch, batch-major.
struct Data {
    x: Vec<u32>,
    targets: Vec<u32>,
    lengths: Vec<usize>,
    mask: Vec<bool>,
}

impl Data {
    fn new(rows: usize, seed: u64) -> Self {
        let ids =
            |seed| random(STEPS * rows, seed).iter().map(|x| (x.abs() * 6.9) as u32).collect::<Vec<_>>();
        Data {
            x: ids(3 * seed),
            targets: ids(3 * seed + 1),
            lengths: (0..rows).map(|b| (b * 5 + seed as usize) % (STEPS + 1)).collect(),
            mask: random(STEPS * rows, 3 * seed + 2).iter().map(|x| *x < 0.7).collect(),
        }
    }

    fn of(&self, rows: Range<usize>) -> Batch<'_> {
        let elements = rows.start * STEPS..rows.end * STEPS;
        Batch {
            sequences: Sequences::new(STEPS, rows.len())
                .batch_major()
                .lengths(&self.lengths[rows.clone()])
                .mask(&self.mask[elements.clone()], Masked::Zero),
            x: self.x[elements.clone()].into(),
            loss: Loss::CrossEntropy { targets: &self.targets[elements], ignored: Some(3) },
        }
    }
}

fn stateful() -> Trainer {
    let trainer = Trainer::new(&TAGGER, Adam::new(0.01), &mut rng(1)).unwrap();
    trainer.shards(SHARDS).stateful().clip(0.5).rate(Cosine::new(0.02, 9))
}

fn learned() -> Trainer {
    Trainer::new(&TAGGER, Sgd::new(0.3), &mut rng(1)).unwrap().shards(SHARDS).learn_initial_state().unwrap()
}

/// Updates, a skipped one and a reset in between, and the training after them.
type Came = (Vec<(u64, u32, usize, Option<u32>, u64)>, Vec<u8>);

fn came(updates: Vec<Update>, trainer: &Trainer) -> Came {
    let all =
        updates.iter().map(|u| (u.updates, u.loss.to_bits(), u.targets, u.norm.map(f32::to_bits), u.skipped));
    (all.collect(), trainer.to_bytes().unwrap())
}

/// Two batches go into each update number.
fn run(
    numbers: Range<u64>,
    rows: impl Fn(usize) -> Range<usize>,
    mut update: impl FnMut(&[Batch<'_>], u64) -> Update,
) -> Vec<Update> {
    numbers
        .map(|n| {
            let (first, second) = (Data::new(BATCH, 2 * n + 1), Data::new(BATCH, 2 * n + 2));
            let both = [first.of(rows(BATCH)), second.of(rows(BATCH))];
            update(&both[..1 + n as usize % 2], n)
        })
        .collect()
}

fn alone(mut trainer: Trainer, numbers: Range<u64>) -> Came {
    let all = run(
        numbers,
        |batch| 0..batch,
        |batches, n| trainer.update_accumulated(batches, &mut rng(n)).unwrap(),
    );
    came(all, &trainer)
}

fn together(size: usize, trainer: &Trainer, numbers: Range<u64>) -> Came {
    let mut ranks = on(size, |thread| {
        let rank = thread.rank;
        let mut distributed = Distributed::new(trainer.clone(), thread).unwrap();
        let own = distributed.rows(BATCH);
        let all = run(
            numbers.clone(),
            |_| own.clone(),
            |batches, n| distributed.update_accumulated(batches, &mut rng(n)).unwrap(),
        );
        assert!(size == 1 || own.len() < BATCH, "rank {rank} has its own rows");
        came(all, &distributed.whole().unwrap())
    });
    let first = ranks.remove(0);
    assert!(ranks.iter().all(|rank| *rank == first), "all of {size} ranks have the same");
    first
}

#[test]
fn any_number_of_ranks_has_the_same_bits() {
    for trainer in [stateful(), learned()] {
        let expected = alone(trainer.clone(), 0..5);
        assert_eq!(expected.0.last().unwrap().0, 5);
        for size in [1, 2, 4, 8] {
            assert!(together(size, &trainer, 0..5) == expected, "{size} ranks");
        }
    }
}

#[test]
fn a_training_goes_on_with_another_number_of_ranks() {
    let expected = alone(stateful(), 0..6);
    for sizes in [[1, 4, 2], [8, 2, 1], [2, 8, 4]] {
        let mut trainer = stateful();
        let mut updates = Vec::new();
        let mut bytes = Vec::new();
        for (size, numbers) in sizes.into_iter().zip([0..2, 2..4, 4..6]) {
            let (more, after) = together(size, &trainer, numbers);
            updates.extend(more);
            bytes = after;
            trainer = stateful();
            trainer.restore(&bytes).unwrap();
        }
        assert!((updates, bytes) == expected, "{sizes:?}");
    }
}

/// A batch in which only one rank's state is infinite. No rank makes this update.
#[test]
fn all_skip_what_one_has_to_skip() {
    const MODEL: Model<2> = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    let trainer = Trainer::new(&MODEL, Sgd::new(0.1), &mut rng(1)).unwrap().shards(4).stateful();
    let mut x = random(8 * STEPS, 1);
    let targets = [0.5; 8 * STEPS];
    let good = x.clone();
    x[7 * STEPS + 2] = f32::NAN;
    let of = |x: &[f32], rows: Range<usize>, update: &mut dyn FnMut(Batch<'_>) -> Update| {
        let of = rows.start * STEPS..rows.end * STEPS;
        let loss = Loss::MeanSquaredError { targets: &targets[of.clone()] };
        let sequences = Sequences::new(STEPS, rows.len()).batch_major();
        update(Batch { sequences, x: x[of].into(), loss })
    };
    let all = |mut update: Box<dyn FnMut(Batch<'_>) -> Update + '_>, rows: Range<usize>| {
        [&good, &x, &good].map(|x| of(x, rows.clone(), &mut *update))
    };
    let seen = |updates: [Update; 3]| updates.map(|u| (u.updates, u.norm.map(f32::to_bits), u.skipped));
    let mut plain = trainer.clone();
    let expected = seen(all(Box::new(|batch| plain.update(batch, &mut rng(1)).unwrap()), 0..8));
    assert_eq!(expected.map(|(updates, _, skipped)| (updates, skipped)), [(1, 0), (1, 1), (2, 0)]);
    for size in [2, 4] {
        for (updates, weights) in on(size, |thread| {
            let mut rank = Distributed::new(trainer.clone(), thread).unwrap();
            let rows = rank.rows(8);
            let updates = seen(all(Box::new(|batch| rank.update(batch, &mut rng(1)).unwrap()), rows));
            (updates, bits(rank.trainer().weights()))
        }) {
            assert_eq!((updates, weights), (expected, bits(plain.weights())), "{size} ranks");
        }
    }
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let refused = |shards: Option<usize>, size: usize| {
        on(size, |thread| {
            let trainer = Trainer::new(&TAGGER, Sgd::new(0.1), &mut rng(1)).unwrap();
            let trainer = if let Some(shards) = shards { trainer.shards(shards) } else { trainer };
            match Distributed::new(trainer, thread) {
                Err(Error::Value { argument, .. }) => argument,
                other => panic!("{:?}", other.map(drop)),
            }
        })
    };
    assert_eq!(refused(Some(8), 3), ["size"; 3]);
    assert_eq!(refused(Some(2), 4), ["size"; 4]);
    assert_eq!(refused(None, 2), ["size"; 2]);
    assert_eq!(refused(Some(6), 2), ["shards"; 2]);
}

#[test]
fn errors_reach_all_ranks_and_change_nothing() {
    let data = Data::new(BATCH, 1);
    // The errors of four ranks. The arguments say which ranks have other settings, rows or seeds.
    let errors = |wrong: &(dyn Fn(usize, &mut Trainer) + Sync),
                  rows: &(dyn Fn(Range<usize>) -> Range<usize> + Sync),
                  seed: &(dyn Fn(usize) -> u64 + Sync)| {
        on(4, |thread| {
            let rank = thread.rank;
            let mut trainer = stateful();
            wrong(rank, &mut trainer);
            let mut distributed = Distributed::new(trainer, thread).unwrap();
            let before = bits(distributed.trainer().weights());
            let rows = rows(distributed.rows(BATCH));
            let error = distributed.update(data.of(rows), &mut rng(seed(rank))).unwrap_err();
            assert_eq!(bits(distributed.trainer().weights()), before);
            error.to_string()
        })
    };
    let good = |rows: Range<usize>| rows;
    let all_say = |errors: Vec<String>, what: &str| {
        assert!(errors.iter().all(|error| error.contains(what)), "{errors:?}");
    };
    // One rank has weights that differ in one bit; then other settings; then another generator.
    let bit = |rank: usize, trainer: &mut Trainer| {
        if rank == 2 {
            let weight = &mut trainer.weights_mut()[17];
            *weight = f32::from_bits(weight.to_bits() ^ 1);
        }
    };
    all_say(errors(&bit, &good, &|_| 1), "ranks differ");
    let clip = |rank: usize, trainer: &mut Trainer| *trainer = stateful().clip([1.0, 1.0, 1.0, 2.0][rank]);
    all_say(errors(&clip, &good, &|_| 1), "ranks differ");
    all_say(errors(&|_, _| {}, &good, &|rank| 1 + rank as u64 / 2), "ranks differ");
    let frozen = LayerSettings { frozen: true, ..LayerSettings::default() };
    let freeze = |rank: usize, trainer: &mut Trainer| {
        if rank == 1 {
            trainer.set_layer(2, frozen).unwrap();
        }
    };
    all_say(errors(&freeze, &good, &|_| 1), "ranks differ");
    let average = |rank: usize, trainer: &mut Trainer| {
        if rank == 3 {
            *trainer = stateful().average(0.9).unwrap();
        }
    };
    all_say(errors(&average, &good, &|_| 1), "ranks differ");
    // A rank without enough rows returns its own error, and the others return an error that says so.
    let few = errors(&|_, _| {}, &|rows| if rows.start == 0 { 0..1 } else { rows }, &|_| 1);
    assert!(few[0].contains("at least as many rows as shards"), "{few:?}");
    all_say(few[1..].to_vec(), "another rank has failed");
}

/// After this error the training can continue: generators stay in step, and the next update is made.
#[test]
fn after_a_refused_batch_all_ranks_go_on() {
    let data = Data::new(BATCH, 1);
    let made = on(2, |thread| {
        let rank = thread.rank;
        let mut distributed = Distributed::new(stateful(), thread).unwrap();
        let (own, mut rng) = (distributed.rows(BATCH), rng(1));
        let wrong = if rank == 1 { own.start..own.start + 1 } else { own.clone() };
        distributed.update(data.of(wrong), &mut rng).unwrap_err();
        distributed.update(data.of(own), &mut rng).map(|update| update.updates)
    });
    assert_eq!(made, [Ok(1), Ok(1)]);
}

/// Fewer rows than shards leave some ranks without any.
#[test]
fn ranks_without_rows_are_refused() {
    let (data, rows) = (Data::new(3, 1), 3);
    let errors = on(8, |thread| {
        let trainer = Trainer::new(&TAGGER, Adam::new(0.01), &mut rng(1)).unwrap().shards(SHARDS);
        let mut distributed = Distributed::new(trainer, thread).unwrap();
        let own = distributed.rows(rows);
        let error = distributed.update(data.of(own.clone()), &mut rng(1)).unwrap_err();
        (own.len(), error)
    });
    for (own, error) in errors {
        assert_eq!(own == 0, matches!(error, Error::Value { argument: "sequences", .. }), "{error}");
    }
}

/// A rank that gets the wrong rows reports it. The ranks that got the right rows learn of it at the next
/// update.
#[test]
fn other_rows_are_refused() {
    let data = Data::new(BATCH, 1);
    let errors = on(4, |thread| {
        let last = thread.rank == 3;
        let mut distributed = Distributed::new(stateful(), thread).unwrap();
        let own = distributed.rows(BATCH).start;
        let batch = data.of(own..own + if last { 5 } else { 2 });
        let first = distributed.update(batch, &mut rng(1)).err();
        first.or_else(|| distributed.update(batch, &mut rng(2)).err()).unwrap().to_string()
    });
    assert!(errors.iter().any(|error| error.contains("this rank's rows")), "{errors:?}");
    let heard = |error: &String| error.contains("this rank's rows") || error.contains("a thread has ended");
    assert!(errors.iter().all(heard), "{errors:?}");
}

/// If the link is cut, the error of the communicator is returned, and the trainer does not change.
#[test]
fn a_rank_that_ends_is_an_error_for_the_others() {
    let data = Data::new(BATCH, 1);
    let errors = on(4, |thread| {
        let rank = thread.rank;
        let mut distributed = Distributed::new(stateful(), thread).unwrap();
        let batch = data.of(distributed.rows(BATCH));
        distributed.update(batch, &mut rng(1)).unwrap();
        let weights = bits(distributed.trainer().weights());
        if rank == 3 {
            return None;
        }
        let error = distributed.update(batch, &mut rng(2)).unwrap_err();
        assert_eq!(bits(distributed.trainer().weights()), weights);
        Some(error)
    });
    let gone = Error::Communication { what: "a thread has ended" };
    assert_eq!(errors, [Some(gone), Some(gone), Some(gone), None]);
}

/// By the definition of the tree: neighbours first.
#[test]
fn sums_have_the_bits_of_the_tree() {
    for (size, len) in [(2, 7), (2, 5000), (4, 3), (4, 4096), (4, 4097), (8, 9001), (16, 5003), (1, 3)] {
        let of = |rank: usize| -> Vec<f32> {
            random(len, rank as u64)
                .iter()
                .enumerate()
                .map(|(i, x)| x * [1.0, 1e-3, 3e4][(i + rank) % 3])
                .collect()
        };
        let mut sums: Vec<Vec<f32>> = (0..size).map(of).collect();
        while sums.len() > 1 {
            sums =
                sums.chunks(2).map(|two| two[0].iter().zip(&two[1]).map(|(a, b)| a + b).collect()).collect();
        }
        for (values, sent) in on(size, |mut thread| {
            let mut values = of(thread.rank);
            thread.all_reduce(&mut values, &mut Vec::new()).unwrap();
            (values, thread.sent)
        }) {
            assert_eq!(bits(&values), bits(&sums[0]), "{size} ranks, {len} values");
            assert!(len <= 4096 || sent < 2 * len, "{size} ranks of {len} values sent {sent}");
        }
    }
}
