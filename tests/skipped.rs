//! The trainer skips batches with NaN and batches without targets, and rejects settings without effect.
#![cfg(feature = "std")]

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{random, rng};
use recurrent::model::{Layer, Loss, Model, Training};
use recurrent::train::{Adam, AdamW, Cosine, RmsProp, Sgd};
use recurrent::trainer::{Batch, Predictor, Trainer};
use recurrent::{Error, Gradients, Gru, Masked, Need, Pool, Result, Sampling, Sequences, Stack};

const STEPS: usize = 5;
const SERIES: Model<2> = Model::new([Layer::gru(2, 6), Layer::dense(6, 1)]);
const WRITER: Model<3> = Model::new([Layer::embedding(5, 3), Layer::gru(3, 6), Layer::dense(6, 5)]);

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Random values and targets of `batch` rows.
fn series(batch: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    (random(STEPS * batch * 2, seed), random(STEPS * batch, seed + 100))
}

fn batch<'a>((x, targets): &'a (Vec<f32>, Vec<f32>)) -> Batch<'a> {
    let sequences = Sequences::new(STEPS, targets.len() / STEPS);
    Batch { sequences, x: x.into(), loss: Loss::MeanSquaredError { targets } }
}

/// One NaN in row 17 of 64 makes the trainer skip the update of this batch. Training continues as if the
/// batch had not been there.
#[test]
fn one_nan_costs_one_update() -> Result<()> {
    let (first, mut bad, last) = (series(64, 1), series(64, 2), series(64, 3));
    bad.0[17 * 2] = f32::NAN;
    let mut with = Trainer::new(&SERIES, Adam::new(0.01), &mut rng(1))?.stateful();
    let mut without = with.clone();
    for data in [&first, &bad, &bad, &last] {
        let before = with.to_bytes().unwrap();
        let update = with.update(batch(data), &mut rng(1))?;
        assert_eq!(update.norm.is_none(), data.0[34].is_nan());
        assert_eq!(with.to_bytes().unwrap() == before, update.norm.is_none());
        assert!(with.is_finite());
    }
    for data in [&first, &last] {
        without.update(batch(data), &mut rng(1))?;
    }
    assert!(with.to_bytes().unwrap() == without.to_bytes().unwrap());
    Ok(())
}

/// A state that is not finite skips the update, even if no target depends on it.
#[test]
fn states_alone_can_skip_an_update() -> Result<()> {
    const RELU: Model<2> = Model::new([
        Layer::Rnn(Stack::new(recurrent::Rnn::new(1, 1).activation(recurrent::Activation::Relu))),
        Layer::dense(1, 2),
    ]);
    let mut trainer = Trainer::new(&RELU, Sgd::new(0.1), &mut rng(1))?.stateful();
    // h' = 1e20 h + x overflows in the last step, whose target is ignored.
    trainer.weights_mut().copy_from_slice(&[1.0, 1e20, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let sequences = Sequences::new(3, 1);
    let loss = Loss::CrossEntropy { targets: &[0, 7, 7], ignored: Some(7) };
    let update = trainer.update(Batch { sequences, x: (&[1.0, 0.0, 0.0]).into(), loss }, &mut rng(1))?;
    assert_eq!((update.norm, update.skipped, update.targets), (None, 1, 1));
    assert!(trainer.is_finite());
    Ok(())
}

#[test]
fn a_training_of_nan_stops_with_an_error() -> Result<()> {
    let (good, mut bad) = (series(2, 1), series(2, 2));
    bad.0[0] = f32::NAN;
    let mut trainer = Trainer::new(&SERIES, Adam::new(0.01), &mut rng(1))?;
    let mut seen = vec![];
    let result = trainer.train([batch(&bad); 100], &mut rng(1), |update| {
        seen.push(update.skipped);
        true
    });
    assert_eq!(result, Err(Error::Skipped { updates: 10 }));
    assert_eq!(seen, (1..=10).collect::<Vec<_>>());
    // An update that is not skipped resets the count. `max_skipped` sets the limit.
    let mut trainer = Trainer::new(&SERIES, Adam::new(0.01), &mut rng(1))?.max_skipped(3);
    let batches = [&bad, &bad, &good, &bad, &bad, &good].map(batch);
    trainer.train(batches, &mut rng(1), |_| true)?;
    assert_eq!(trainer.updates(), 2);
    let result = trainer.train([batch(&bad); 3], &mut rng(1), |_| true);
    assert_eq!(result, Err(Error::Skipped { updates: 3 }));
    // Stopping the training in the callback is not an error.
    trainer.train([batch(&bad)], &mut rng(1), |_| false)
}

/// Such a batch causes no update, no weight decay and no step of the schedule. Only the states are carried
/// on.
#[test]
fn batches_without_targets_are_no_updates() -> Result<()> {
    let ids = [1, 2, 3, 4, 0];
    let mut trainer =
        Trainer::new(&WRITER, AdamW::new(0.1), &mut rng(1))?.rate(Cosine::new(0.1, 50)).stateful();
    let start = bits(trainer.weights());
    let ignored = Loss::CrossEntropy { targets: &[4; 5], ignored: Some(4) };
    let sequences = Sequences::new(STEPS, 1);
    let fresh = trainer.to_bytes().unwrap();
    let update = trainer.update(Batch { sequences, x: (&ids).into(), loss: ignored }, &mut rng(1))?;
    assert_eq!((update.updates, update.targets, update.norm, update.skipped), (0, 0, None, 0));
    assert_eq!((update.rate, update.loss), (0.1, 0.0));
    assert_eq!(bits(trainer.weights()), start);
    assert!(trainer.to_bytes().unwrap() != fresh, "the states did not go on");
    trainer.reset();
    let none =
        Batch { sequences: Sequences::new(STEPS, 0), x: (&[0u32; 0]).into(), loss: Loss::classes(&[]) };
    let update = trainer.update(none, &mut rng(1))?;
    assert_eq!((update.updates, update.targets, update.norm), (0, 0, None));
    let masked = sequences.mask(&[false; STEPS], Masked::Zero);
    let none = Batch { sequences: masked, x: (&ids).into(), loss: Loss::classes(&ids) };
    assert_eq!(trainer.update(none, &mut rng(1))?.updates, 0);
    assert_eq!(bits(trainer.weights()), start);
    Ok(())
}

#[test]
fn what_carries_no_state_has_none() -> Result<()> {
    let mut bad = series(3, 1);
    bad.0[0] = f32::NAN;
    let mut trainer = Trainer::new(&SERIES, Adam::new(0.01), &mut rng(1))?;
    let fresh = trainer.to_bytes().unwrap();
    trainer.update(batch(&bad), &mut rng(1))?;
    assert!(trainer.is_finite());
    let mut other = Trainer::new(&SERIES, Adam::new(0.01), &mut rng(2))?;
    other.restore(&trainer.to_bytes().unwrap()).unwrap();
    assert!(other.is_finite());
    // A trainer without carried states can restore a file that has them.
    let mut stateful = trainer.clone().stateful();
    stateful.update(batch(&series(3, 2)), &mut rng(1))?;
    other.restore(&stateful.to_bytes().unwrap()).unwrap();
    let good = series(3, 3);
    assert_eq!(other.update(batch(&good), &mut rng(1))?.loss, stateful.evaluate(batch(&good))?);
    other.restore(&fresh).unwrap();
    other.weights_mut()[0] = f32::INFINITY;
    assert!(!other.is_finite());
    Ok(())
}

/// With 11 and 101 targets: gradients are of the mean over all 112 targets, not of the mean of the two means.
#[test]
fn batches_weigh_by_their_targets() -> Result<()> {
    let (x, targets) = (random(112 * 2, 1), random(112, 2));
    let part = |steps: std::ops::Range<usize>| {
        let loss = Loss::MeanSquaredError { targets: &targets[steps.clone()] };
        (Sequences::new(1, steps.len()), &x[2 * steps.start..2 * steps.end], loss)
    };
    let weights: Vec<f32> = random(SERIES.weights_len(), 3);
    let (whole, parts) = (part(0..112), [part(0..11), part(11..112)]);
    let mut grads = vec![0.0; weights.len()];
    let mut run = |(sequences, x, loss): (Sequences<'_>, &[f32], Loss<'_>), total_targets, mode| {
        let (steps, batch) = (sequences.steps(), sequences.batch());
        let mean = SERIES.forward_backward(
            &weights,
            Training {
                sequences,
                x: x.into(),
                loss,
                total_targets,
                grads: &mut grads,
                mode,
                state: &mut vec![0.0; SERIES.state_len(batch)],
                tape: &mut vec![0.0; SERIES.tape_len(steps, batch)],
                scratch: &mut vec![0.0; SERIES.train_scratch_len(steps, batch)],
                ..Default::default()
            },
        );
        mean.map(|mean| (mean, grads.clone()))
    };
    let (mean, want) = run(whole, None, Gradients::Overwrite)?;
    let total = parts.iter().map(|p| SERIES.targets(p.0, p.2)).sum::<Result<usize>>()?;
    assert_eq!(total, 112);
    let (first, _) = run(parts[0], Some(total as f64), Gradients::Overwrite)?;
    let (second, got) = run(parts[1], Some(total as f64), Gradients::Accumulate)?;
    assert!((first + second - mean).abs() < 1e-6);
    let largest = want.iter().fold(0f32, |most, g| most.max(g.abs()));
    for (got, want) in got.iter().zip(&want) {
        assert!((got - want).abs() < 1e-6 * largest, "{got} {want}");
    }
    let few = Error::Value {
        argument: "total_targets",
        expected: "at least the number, or the weight, of the targets that count in this batch",
    };
    assert_eq!(run(parts[1], Some(100.0), Gradients::Overwrite), Err(few));

    // `update_accumulated` computes the total itself.
    let after = |batches: &[Batch<'_>]| {
        let mut trainer = Trainer::new(&SERIES, Sgd::new(1.0), &mut rng(1)).unwrap().shards(1);
        let update = trainer.update_accumulated(batches, &mut rng(1)).unwrap();
        assert_eq!((update.updates, update.targets), (1, 112));
        (update.loss, trainer.weights().to_vec())
    };
    let batch = |(sequences, x, loss)| Batch { sequences, x: recurrent::model::Input::Values(x), loss };
    let (want, got) = (after(&[batch(whole)]), after(&parts.map(batch)));
    assert!((want.0 - got.0).abs() < 1e-6);
    for (got, want) in got.1.iter().zip(&want.1) {
        assert!((got - want).abs() < 1e-6, "{got} {want}");
    }
    Ok(())
}

/// States are carried from one batch of an update to the next. If the update is skipped, the states before
/// its first batch are restored.
#[test]
fn accumulated_batches_carry_states() -> Result<()> {
    let data = [series(4, 1), series(4, 2)];
    let mut bad = data[1].clone();
    bad.0[3] = f32::NAN;
    let make = || Trainer::new(&SERIES, Sgd::new(0.1), &mut rng(1)).unwrap().rate(0.0).stateful();
    let (mut one, mut two) = (make(), make());
    one.update(batch(&data[0]), &mut rng(1))?;
    one.update(batch(&data[1]), &mut rng(1))?;
    two.update_accumulated(&[batch(&data[0]), batch(&data[1])], &mut rng(1))?;
    // Compare only the states at the end, because the bytes also contain the number of updates, which
    // differs.
    let last = |trainer: &Trainer| {
        let bytes = trainer.to_bytes().unwrap();
        bytes[bytes.len() - 4 * SERIES.state_len(4)..].to_vec()
    };
    assert!(last(&one) == last(&two) && last(&one).iter().any(|b| *b != 0));
    let before = two.to_bytes().unwrap();
    let update = two.update_accumulated(&[batch(&data[0]), batch(&bad)], &mut rng(1))?;
    assert_eq!((update.norm, update.skipped), (None, 1));
    assert!(two.to_bytes().unwrap() == before);
    Ok(())
}

#[test]
fn other_rows_do_not_drop_states() -> Result<()> {
    let (three, four) = (series(3, 1), series(4, 1));
    let mut trainer = Trainer::new(&SERIES, Sgd::new(0.1), &mut rng(1))?.stateful();
    trainer.update(batch(&three), &mut rng(1))?;
    let before = trainer.to_bytes().unwrap();
    let refused = |e: Error| {
        assert!(e.to_string().contains("`reset`"), "{e}");
        assert!(matches!(e, Error::Value { argument: "sequences", .. }));
    };
    refused(trainer.update(batch(&four), &mut rng(1)).unwrap_err());
    refused(trainer.update_accumulated(&[batch(&three), batch(&four)], &mut rng(1)).unwrap_err());
    assert!(trainer.to_bytes().unwrap() == before);
    trainer.reset();
    refused(trainer.update_accumulated(&[batch(&three), batch(&four)], &mut rng(1)).unwrap_err());
    trainer.update(batch(&four), &mut rng(1))?;
    // The same rows in other shards would lose the states, too.
    refused(trainer.clone().shards(2).update(batch(&four), &mut rng(1)).unwrap_err());

    let mut predictor = Predictor::new(&SERIES, trainer.weights())?.stateful();
    let first = predictor.forward(Sequences::new(STEPS, 3), &three.0)?.to_vec();
    refused(predictor.forward(Sequences::new(STEPS, 4), &four.0).unwrap_err());
    let second = predictor.forward(Sequences::new(STEPS, 3), &three.0)?.to_vec();
    assert_ne!(first, second);
    predictor.reset();
    predictor.forward(Sequences::new(STEPS, 4), &four.0)?;
    let mut writer = Predictor::new(&WRITER, &random(WRITER.weights_len(), 1))?.stateful();
    writer.forward(Sequences::new(1, 2), &[1, 2])?;
    refused(writer.generate(&[0], Sampling::GREEDY, &mut rng(1), |_| false).unwrap_err());
    writer.reset();
    writer.generate(&[0], Sampling::GREEDY, &mut rng(1), |_| false)?;
    // Without carried states, the number of rows may change.
    let mut free = Predictor::new(&SERIES, trainer.weights())?;
    free.forward(Sequences::new(STEPS, 3), &three.0)?;
    free.forward(Sequences::new(STEPS, 4), &four.0)?;
    Ok(())
}

#[test]
fn settings_that_would_do_nothing_are_refused() -> Result<()> {
    let data = series(2, 1);
    let value = |e: Error, name: &str| {
        assert!(matches!(e, Error::Value { argument, .. } if argument == name), "{e}");
    };
    // A learning rate of zero, unless it was set with `rate`.
    let mut still = Trainer::new(&SERIES, Adam::new(0.0), &mut rng(1))?;
    value(still.update(batch(&data), &mut rng(1)).unwrap_err(), "lr");
    assert_eq!(still.rate(0.0).update(batch(&data), &mut rng(1))?.updates, 1);
    // Recurrent dropout without a layer that uses it, and such a layer without a probability.
    let idle = SERIES.recurrent_dropout(0.5);
    value(idle.draw_dropout(&mut [], 1, 1, &mut rng(1)).unwrap_err(), "recurrent_dropout");
    value(
        idle.forward_backward(&[0.0; SERIES.weights_len()], whole(&data, &mut room())).unwrap_err(),
        "recurrent_dropout",
    );
    value(Trainer::new(&idle, Adam::new(0.1), &mut rng(1)).err().unwrap(), "recurrent_dropout");
    assert!(Trainer::new(&SERIES.recurrent_dropout(0.0), Adam::new(0.1), &mut rng(1)).is_ok());
    const ABLE: Model<2> =
        Model::new([Layer::Gru(Stack::new(Gru::new(2, 6).recurrent_dropout())), Layer::dense(6, 1)]);
    let mut factors = vec![0.0; ABLE.dropout_len(STEPS, 2)];
    value(ABLE.draw_dropout(&mut factors, STEPS, 2, &mut rng(1)).unwrap_err(), "recurrent_dropout");
    value(Trainer::new(&ABLE, Adam::new(0.1), &mut rng(1)).err().unwrap(), "recurrent_dropout");
    ABLE.recurrent_dropout(0.0).draw_dropout(&mut factors, STEPS, 2, &mut rng(1))?;
    assert!(factors.iter().all(|f| *f == 1.0));
    // Dropout without a buffer of factors.
    for model in [ABLE, ABLE.recurrent_dropout(0.3)] {
        let result = model.forward_backward(&[0.0; SERIES.weights_len()], whole(&data, &mut room()));
        assert_eq!(
            result,
            Err(Error::Length { buffer: "dropout", expected: factors.len(), actual: 0, need: Need::EXACT })
        );
    }
    let between = Model::new([Layer::gru(2, 6), Layer::Dropout(0.5), Layer::dense(6, 1)]);
    let result = between.forward_backward(&[0.0; SERIES.weights_len()], whole(&data, &mut room()));
    assert_eq!(
        result,
        Err(Error::Length { buffer: "dropout", expected: STEPS * 2 * 6, actual: 0, need: Need::EXACT })
    );
    Ok(())
}

/// Buffers long enough for any model here with one hidden layer of 6 units.
fn room() -> [Vec<f32>; 4] {
    [SERIES.weights_len(), SERIES.state_len(2), SERIES.tape_len(STEPS, 2), SERIES.train_scratch_len(STEPS, 2)]
        .map(|len| vec![0.0; len])
}

fn whole<'a>(
    data: &'a (Vec<f32>, Vec<f32>),
    [grads, state, tape, scratch]: &'a mut [Vec<f32>; 4],
) -> Training<'a> {
    let Batch { sequences, x, loss } = batch(data);
    Training { sequences, x, loss, grads, state, tape, scratch, ..Default::default() }
}

#[test]
fn a_foreign_training_is_named() -> Result<()> {
    const SMALL: Model<2> = Model::new([Layer::gru(2, 4), Layer::dense(4, 1)]);
    const REVERSED: Model<2> =
        Model::new([Layer::Gru(Stack::new(Gru::new(2, 4).clip(2.0))), Layer::dense(4, 1)]);
    const TWO: Model<2> = Model::new([Layer::gru(2, 4), Layer::dense(4, 2)]);
    const POOLED: Model<3> = Model::new([Layer::gru(2, 4), Layer::Pool(Pool::Last), Layer::dense(4, 1)]);
    let bytes = Trainer::new(&SMALL, Adam::new(0.1), &mut rng(1))?.to_bytes().unwrap();
    fn why<const N: usize>(model: Model<N>, bytes: &[u8]) -> String {
        Trainer::new(&model, Adam::new(0.1), &mut rng(1)).unwrap().restore(bytes).unwrap_err().to_string()
    }
    let theirs = "a training of a different model: [gru 2 -> 4 | dense 4 -> 1] in the file, ";
    assert_eq!(why(SERIES, &bytes), format!("{theirs}[gru 2 -> 6 | dense 6 -> 1] here"));
    assert_eq!(why(TWO, &bytes), format!("{theirs}[gru 2 -> 4 | dense 4 -> 2] here"));
    assert_eq!(why(POOLED, &bytes), format!("{theirs}[gru 2 -> 4 | pool (last) | dense 4 -> 1] here"));
    let options = why(REVERSED, &bytes);
    assert!(options.contains("clip: inf") && options.contains("clip: 2.0"), "{options}");
    let mut other = Trainer::new(&SMALL, RmsProp::new(0.1).centered(), &mut rng(1))?;
    assert_eq!(
        other.restore(&bytes).unwrap_err().to_string(),
        "a training with a different optimiser: Adam in the file, centred RMSprop here"
    );
    let mut first = Trainer::new(&SMALL, Adam::new(0.1), &mut rng(1))?;
    first.update(batch(&series(4, 1)), &mut rng(1))?;
    let mut second = Trainer::new(&SMALL, Adam::new(0.1), &mut rng(1))?.shards(2);
    assert_eq!(
        second.restore(&first.to_bytes().unwrap()).unwrap_err().to_string(),
        "a training with 1 shards of 4 rows, but this trainer has 2; `Trainer::shards` sets it"
    );
    Ok(())
}
