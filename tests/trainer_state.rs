//! Learned initial states: the same bits as by hand, saving and continuing, and a task that needs one.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{random, rng};
use recurrent::image::{self, Extras, Image};
use recurrent::model::{Layer, Loss, Model, Training};
use recurrent::train::{Adam, Sgd, clip_scale};
use recurrent::trainer::{Batch, Trainer};
use recurrent::{Result, Rnn, Sequences, Stack};

const STEPS: usize = 5;
const BATCH: usize = 9;

const MODEL: Model<4> =
    Model::new([Layer::embedding(7, 4), Layer::lstm(4, 5), Layer::gru(5, 6), Layer::dense(6, 7)]);

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn initial() -> Vec<f32> {
    random(MODEL.state_len(1), 3)
}

fn trainer() -> Trainer {
    let trainer = Trainer::new(&MODEL, Adam::new(0.01), &mut rng(1)).unwrap();
    let mut trainer = trainer.learn_initial_state().unwrap().clip(0.1);
    trainer.initial_state_mut().copy_from_slice(&initial());
    trainer
}

/// Ids and targets `[T, B]`, and lengths, some of which are 0.
struct Data {
    x: Vec<u32>,
    targets: Vec<u32>,
    lengths: Vec<usize>,
}

impl Data {
    fn new(batch: usize) -> Self {
        let ids =
            |seed| random(STEPS * batch, seed).iter().map(|x| (x.abs() * 6.9) as u32).collect::<Vec<_>>();
        Data { x: ids(5), targets: ids(6), lengths: (0..batch).map(|b| b * 5 % (STEPS + 1)).collect() }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            sequences: Sequences::new(STEPS, self.lengths.len()).lengths(&self.lengths),
            x: (&self.x).into(),
            loss: Loss::classes(&self.targets),
        }
    }
}

/// Weights and initial state after some updates, and the norm of the last update, computed with the model's
/// own passes over the shards.
fn by_hand(data: &Data, shards: usize, updates: usize) -> (Vec<f32>, Vec<f32>, f32) {
    let weights_len = MODEL.weights_len();
    let mut parameters = [trainer().weights(), &initial()].concat();
    let (mut adam, mut moments) = (Adam::new(0.01), vec![0.0; Adam::moments_len(parameters.len())]);
    let mut norm = 0.0;
    for _ in 0..updates {
        let mut grads = vec![0.0; parameters.len()];
        let (weights, initial) = parameters.split_at(weights_len);
        for shard in 0..shards {
            let range = BATCH * shard / shards..BATCH * (shard + 1) / shards;
            let n = range.len();
            let rows = |of: &[u32]| -> Vec<u32> {
                of.chunks(BATCH).flat_map(|step| &step[range.clone()]).copied().collect()
            };
            let (mut state, mut dstate) = (vec![0.0; MODEL.state_len(n)], vec![f32::NAN; MODEL.state_len(n)]);
            MODEL.repeat_state(initial, n, &mut state).unwrap();
            let mut own = vec![f32::NAN; parameters.len()];
            MODEL
                .forward_backward(
                    weights,
                    Training {
                        sequences: Sequences::new(STEPS, n).lengths(&data.lengths[range.clone()]),
                        x: (&rows(&data.x)).into(),
                        loss: Loss::classes(&rows(&data.targets)),
                        grads: &mut own[..weights_len],
                        state: &mut state,
                        dstate: Some(&mut dstate),
                        tape: &mut vec![0.0; MODEL.tape_len(STEPS, n)],
                        scratch: &mut vec![0.0; MODEL.train_scratch_len(STEPS, n)],
                        ..Default::default()
                    },
                )
                .unwrap();
            MODEL.sum_dstate(&dstate, n, &mut own[weights_len..]).unwrap();
            let share =
                data.lengths[range].iter().sum::<usize>() as f64 / data.lengths.iter().sum::<usize>() as f64;
            grads.iter_mut().zip(&own).for_each(|(sum, g)| *sum += share as f32 * g);
        }
        let clip = clip_scale(&grads, 0.1).unwrap().unwrap();
        assert!(clip.scale < 1.0);
        adam.update_scaled(&mut parameters, &grads, &mut moments, clip.scale).unwrap();
        norm = clip.norm;
    }
    let initial = parameters.split_off(weights_len);
    (parameters, initial, norm)
}

fn updated(data: &Data, shards: usize, updates: usize) -> Result<()> {
    let mut trainer = trainer().shards(shards);
    let mut last = None;
    for _ in 0..updates {
        last = trainer.update(data.batch(), &mut rng(2))?.norm;
    }
    let (weights, initial, norm) = by_hand(data, shards, updates);
    assert_eq!(bits(trainer.initial_state()), bits(&initial), "{shards} shards");
    assert_eq!(bits(trainer.weights()), bits(&weights), "{shards} shards");
    assert_eq!(last, Some(norm));
    Ok(())
}

#[test]
fn an_update_has_the_bits_of_its_parts() -> Result<()> {
    let data = Data::new(BATCH);
    for shards in [1, 2, BATCH] {
        updated(&data, shards, 3)?;
    }
    Ok(())
}

#[cfg(feature = "rayon")]
#[test]
fn threads_make_no_difference() {
    let data = Data::new(BATCH);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| updated(&data, 3, 3)).unwrap();
    }
}

#[test]
fn a_saved_training_goes_on_to_the_bit() -> Result<()> {
    let data = Data::new(BATCH);
    let run = |trainer: &mut Trainer, updates: std::ops::Range<u64>| {
        updates.for_each(|n| _ = trainer.update(data.batch(), &mut rng(n)).unwrap());
    };
    let mut whole = trainer();
    run(&mut whole, 0..6);
    let mut first = trainer();
    run(&mut first, 0..3);
    let bytes = first.to_bytes().unwrap();
    let plain = Trainer::new(&MODEL, Adam::new(0.01), &mut rng(9))?;
    let mut second = plain.clone().learn_initial_state()?.clip(0.1);
    second.restore(&bytes).unwrap();
    assert_eq!(bits(second.initial_state()), bits(first.initial_state()));
    run(&mut second, 3..6);
    assert!(second.to_bytes().unwrap() == whole.to_bytes().unwrap());

    // A trainer with a learned initial state cannot restore the file of one without, and vice versa.
    for (mut to, from) in [(plain.clone(), second.clone()), (second, plain)] {
        let before = to.to_bytes().unwrap();
        let why = to.restore(&from.to_bytes().unwrap()).unwrap_err().to_string();
        assert!(why.contains("learn_initial_state"), "{why}");
        assert!(to.to_bytes().unwrap() == before);
    }
    // An initial state of zeros is also saved and restored.
    let mut fresh = Trainer::new(&MODEL, Adam::new(0.01), &mut rng(1))?.learn_initial_state()?;
    let bytes = fresh.to_bytes().unwrap();
    fresh.restore(&bytes).unwrap();
    // It must be switched on before the first update.
    assert!(whole.learn_initial_state().is_err());
    Ok(())
}

#[test]
fn it_is_not_for_states_that_are_carried() -> Result<()> {
    let data = Data::new(BATCH);
    let mut trainer = trainer().stateful();
    let before = trainer.to_bytes().unwrap();
    let why = trainer.update(data.batch(), &mut rng(1)).unwrap_err().to_string();
    assert!(why.contains("stateful"), "{why}");
    assert!(trainer.to_bytes().unwrap() == before);
    Ok(())
}

/// Without biases and input, a zero state stays zero, and so does the output of the recurrent layer.
#[test]
fn a_task_that_needs_it_is_learned() -> Result<()> {
    let model = Model::new([Layer::Rnn(Stack::new(Rnn::new(1, 4).bias(false))), Layer::dense(4, 1)]);
    let targets = [1.0, 0.5, 0.25, 0.125];
    let batch = Batch {
        sequences: Sequences::new(4, 1),
        x: (&[0.0; 4]).into(),
        loss: Loss::MeanSquaredError { targets: &targets },
    };
    let plain = Trainer::new(&model, Adam::new(0.02), &mut rng(1))?;
    let mut learned = plain.clone().learn_initial_state()?;
    for mut trainer in [plain, learned.clone()] {
        trainer.train([batch; 400], &mut rng(1), |_| true)?;
        let loss = trainer.evaluate(batch)?;
        if trainer.initial_state().is_empty() {
            // Without the state, only the mean of the targets can be learned.
            assert!(loss > 0.1, "{loss}");
        } else {
            assert!(loss < 1e-3, "{loss}");
            learned = trainer;
        }
    }

    // The predictor starts from the learned state: in every call, or after each reset.
    let close = |y: &[f32]| y.iter().zip(&targets).all(|(y, target)| (y - target).abs() < 0.1);
    let mut predictor = learned.predictor()?;
    let whole = predictor.forward(Sequences::new(4, 1), &[0.0; 4])?.to_vec();
    assert!(close(&whole), "{whole:?}");
    assert_eq!(predictor.forward(Sequences::new(4, 1), &[0.0; 4])?, whole);
    let mut stepped = learned.predictor()?.stateful();
    for rows in [1, 2] {
        for y in &whole {
            assert_eq!(stepped.step(&vec![0.0; rows])?, vec![*y; rows]);
        }
        assert!(stepped.step(&[0.0; 3]).is_err());
        stepped.reset();
    }
    assert!(learned.predictor()?.with_initial_state(&[0.0; 3]).is_err());

    // An image of the model starts from it, too.
    let extras = Extras { initial_state: learned.initial_state(), ..Extras::default() };
    let mut bytes = vec![0; image::len_with(model.layers(), &extras)];
    image::write_with(model.layers(), learned.weights(), &extras, &mut bytes)?;
    let mut state = [0.0; 4];
    Image::from_bytes(&bytes)?.copy_initial_state(&mut state)?;
    assert_eq!(bits(&state), bits(learned.initial_state()));
    Ok(())
}

#[test]
fn without_states_there_is_nothing_to_learn() -> Result<()> {
    let model = Model::new([Layer::dense(1, 1)]);
    let mut trainer = Trainer::new(&model, Sgd::new(0.1), &mut rng(1))?.learn_initial_state()?.stateful();
    let loss = Loss::MeanSquaredError { targets: &[2.0] };
    trainer.update(Batch { sequences: Sequences::new(1, 1), x: (&[1.0]).into(), loss }, &mut rng(1))?;
    assert!(trainer.initial_state().is_empty());
    let bytes = trainer.to_bytes().unwrap();
    trainer.restore(&bytes).unwrap();
    Ok(())
}
