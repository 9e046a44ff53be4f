//! A training pass in two halves, with the loss between them.

#[path = "common/models.rs"]
mod models;
#[path = "common/numbers.rs"]
mod numbers;

use models::{AMPLIFIER, BATCH, Buffers, CLASSIFIER, LENGTHS, READER, STEPS, TAGGER, bits, ids, nan, scaled};
use numbers::random;
use recurrent::model::{Backward, ForwardTrain, Input, Layer, Loss, Model};
use recurrent::{Dense, Error, Gradients, OwnBatch, Result, Sequences};

/// The rows of outputs that take part.
fn present<const N: usize>(model: &Model<N>, y: &[f32], lengths: Option<&[usize]>) -> Vec<bool> {
    let takes_part =
        |row: usize| lengths.is_none_or(|lengths| model.is_pooled() || row / BATCH < lengths[row % BATCH]);
    (0..y.len()).map(|i| takes_part(i / model.output())).collect()
}

/// The loss of these tests: a sum of cubes.
fn cubes(y: &[f32], present: &[bool]) -> f64 {
    let rows = y.iter().zip(present).filter(|(_, present)| **present);
    rows.map(|(y, _)| 0.1 * f64::from(*y).powi(3)).sum()
}

/// Its gradient. It is NaN for steps that do not take part, where it has no effect.
fn slopes(y: &[f32], present: &[bool]) -> Vec<f32> {
    y.iter().zip(present).map(|(y, present)| if *present { 0.3 * y * y } else { f32::NAN }).collect()
}

struct Outcome {
    loss: f64,
    dx: Vec<f32>,
    dstate: Vec<f32>,
}

/// Runs both halves with buffers of exact lengths. Only with `all` it asks for gradients of the input and of
/// the initial state.
fn halves<const N: usize>(
    model: &Model<N>,
    b: &mut Buffers,
    lengths: Option<&[usize]>,
    x: Input<'_>,
    all: bool,
) -> Result<Outcome> {
    let mut sequences = Sequences::new(STEPS, BATCH);
    if let Some(lengths) = lengths {
        sequences = sequences.lengths(lengths);
    }
    let Buffers { weights, grads, state, tape, scratch, dropout } = b;
    let dropout = (!dropout.is_empty()).then_some(&dropout[..]);
    let mut y = nan(model.output_len(STEPS, BATCH));
    model.forward_train(weights, ForwardTrain { sequences, x, y: &mut y, state, dropout, tape, scratch })?;
    let present = present(model, &y, lengths);
    let dy = slopes(&y, &present);
    let takes_values = model.classes().is_none();
    let mut dx = nan(if takes_values { STEPS * BATCH * model.input() } else { 0 });
    let mut dstate = vec![0.0; state.len()];
    let mut scratch = nan(model.backward_scratch_len(STEPS, BATCH));
    model.backward(
        weights,
        Backward {
            sequences,
            x,
            dy: &dy,
            dx: (all && takes_values).then_some(&mut dx),
            dstate: all.then_some(&mut dstate),
            grads,
            mode: Gradients::Overwrite,
            dropout,
            tape,
            scratch: &mut scratch,
        },
    )?;
    Ok(Outcome { loss: cubes(&y, &present), dx, dstate })
}

/// Both halves give the gradients and states of one pass with the same loss.
#[test]
fn two_halves_have_the_bits_of_the_whole() -> Result<()> {
    fn check<const N: usize>(model: &Model<N>, x: Input<'_>) -> Result<()> {
        for lengths in [None, Some(&LENGTHS[..])] {
            let mut sequences = Sequences::new(STEPS, BATCH);
            if let Some(lengths) = lengths {
                sequences = sequences.lengths(lengths);
            }
            let (mut whole, mut dstate) = (Buffers::new(model), vec![0.0; model.state_len(BATCH)]);
            let own = |batch: OwnBatch<'_>| {
                let slopes = slopes(batch.y, &present(model, batch.y, lengths));
                batch.dy.unwrap().copy_from_slice(&slopes);
                0.0
            };
            whole.train_states(model, sequences, x, Loss::own(&own), Some(&mut dstate))?;
            for all in [false, true] {
                let mut b = Buffers::new(model);
                let outcome = halves(model, &mut b, lengths, x, all)?;
                assert_eq!(bits(&b.grads), bits(&whole.grads));
                assert_eq!(bits(&b.state), bits(&whole.state));
                assert!(!all || bits(&outcome.dstate) == bits(&dstate));
                assert!(whole.grads.iter().any(|g| g.abs() > 1e-3));
            }
        }
        Ok(())
    }
    let (ids, values) = (ids(STEPS * BATCH, 7), random(STEPS * BATCH * 3, 3));
    check(&TAGGER, (&ids[..]).into())?;
    check(&AMPLIFIER, (&values[..]).into())?;
    check(&CLASSIFIER, (&values[..]).into())?;
    check(&READER, (&values[..]).into())
}

/// The gradient of the input, also through a residual, is the difference of two losses.
#[test]
fn gradients_of_the_input_are_those_of_the_loss() -> Result<()> {
    /// The input is wider than all outputs, and than what the residuals add to.
    const WIDE: Model<5> = Model::new([
        Layer::gru(3, 2),
        Layer::Residual,
        Layer::Dense(Dense::new(2, 2).tanh()),
        Layer::Residual,
        Layer::gru(2, 1),
    ]);
    fn check<const N: usize>(model: &Model<N>) -> Result<()> {
        const STEP: f32 = 2e-3;
        let x = random(STEPS * BATCH * 3, 3);
        for lengths in [None, Some(&LENGTHS[..])] {
            let loss_of = |x: &[f32], all| halves(model, &mut Buffers::new(model), lengths, x.into(), all);
            let dx = loss_of(&x, true)?.dx;
            let greatest = dx.iter().fold(0.0, |greatest: f32, g| greatest.max(g.abs()));
            assert!(greatest > 2e-4, "{dx:?}");
            for (i, gradient) in dx.iter().enumerate() {
                let at = |step: f32| {
                    let mut moved = x.clone();
                    moved[i] += step;
                    loss_of(&moved, false).map(|outcome| outcome.loss)
                };
                let difference = (at(STEP)? - at(-STEP)?) / f64::from(2.0 * STEP);
                let error = (difference - f64::from(*gradient)).abs();
                assert!(error < 0.01 * f64::from(greatest), "{i}: {difference} {gradient}");
            }
        }
        Ok(())
    }
    check(&AMPLIFIER)?;
    check(&CLASSIFIER)?;
    check(&READER)?;
    check(&WIDE)
}

/// Chunks that are run backward from the last to the first give the gradients of whole sequences.
#[test]
fn chunks_pass_gradients_on() -> Result<()> {
    const MODEL: Model<2> = Model::new([Layer::lstm(2, 4), Layer::dense(4, 3)]);
    const T: usize = 6;
    let (weights, x) = (scaled(MODEL.weights_len(), 0.7), random(T * 2, 4));
    let start = scaled(MODEL.state_len(1), 0.5);
    let run = |chunk: usize| -> Result<(Vec<f32>, Vec<f32>, Vec<f32>)> {
        let (sequences, mut state) = (Sequences::new(chunk, 1), start.clone());
        let mut scratch = nan(MODEL.backward_scratch_len(chunk, 1));
        let mut chunks: Vec<_> =
            x.chunks(chunk * 2).map(|x| (x, nan(chunk * 3), nan(MODEL.tape_len(chunk, 1)))).collect();
        for (x, y, tape) in &mut chunks {
            let (state, scratch) = (&mut state[..], &mut scratch[..]);
            let args =
                ForwardTrain { sequences, x: (*x).into(), y, state, tape, scratch, ..Default::default() };
            MODEL.forward_train(&weights, args)?;
        }
        let (mut grads, mut dstate) = (vec![0.0; weights.len()], vec![0.0; start.len()]);
        for (x, y, tape) in chunks.iter_mut().rev() {
            let dy = slopes(y, &vec![true; y.len()]);
            let args = Backward {
                sequences,
                x: (*x).into(),
                dy: &dy,
                dstate: Some(&mut dstate),
                grads: &mut grads,
                mode: Gradients::Accumulate,
                tape,
                scratch: &mut scratch,
                ..Default::default()
            };
            MODEL.backward(&weights, args)?;
        }
        Ok((grads, dstate, state))
    };
    let whole = run(T)?;
    for chunk in [1, 2, 3] {
        let chunks = run(chunk)?;
        assert_eq!(bits(&chunks.2), bits(&whole.2));
        for (a, b) in chunks.0.iter().chain(&chunks.1).zip(whole.0.iter().chain(&whole.1)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
    Ok(())
}

/// A wrong argument is an error, and nothing is written.
#[test]
fn mistakes_leave_everything_as_it_was() {
    const MODEL: Model<3> = Model::new([Layer::gru(3, 2), Layer::Residual, Layer::dense(2, 1)]);
    let names =
        ["", "weights", "x", "y", "state", "tape", "scratch", "dy", "dx", "dstate", "grads", "dropout"];
    let sequences = Sequences::new(2, 1);
    for name in names {
        let short = |of: &str, len: usize| len - usize::from(of == name);
        let (weights, x) = (vec![0.1; short("weights", MODEL.weights_len())], vec![0.5; short("x", 6)]);
        let (mut y, mut state) = (nan(short("y", 2)), vec![0.25; short("state", 2)]);
        let mut tape = nan(short("tape", MODEL.tape_len(2, 1)));
        let factors = [1.0];
        let dropout = (name == "dropout").then_some(&factors[..]);
        let expects = |result: Result<()>| {
            let fits = matches!(result, Err(Error::Length { buffer, .. }) if buffer == name);
            assert!(fits, "{name}: {result:?}");
        };
        let len = MODEL.train_scratch_len(2, 1);
        let mut scratch = nan(short("scratch", len));
        let args = ForwardTrain {
            sequences,
            x: (&x[..]).into(),
            y: &mut y,
            state: &mut state,
            dropout,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        let forward = MODEL.forward_train(&weights, args);
        if ["weights", "x", "y", "state", "tape", "scratch", "dropout"].contains(&name) {
            expects(forward);
            assert!(y.iter().chain(&tape).chain(&scratch).all(|x| x.is_nan()) && state[0] == 0.25);
        } else {
            assert_eq!(forward, Ok(()));
        }
        let before = bits(&tape);
        let (dy, mut dx) = (vec![1.0; short("dy", 2)], nan(short("dx", 6)));
        let (mut dstate, mut grads) =
            (vec![0.5; short("dstate", 2)], nan(short("grads", MODEL.weights_len())));
        let mut scratch = nan(short("scratch", MODEL.backward_scratch_len(2, 1)));
        let args = Backward {
            sequences,
            x: (&x[..]).into(),
            dy: &dy,
            dx: Some(&mut dx),
            dstate: Some(&mut dstate),
            grads: &mut grads,
            mode: Gradients::Overwrite,
            dropout,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        let backward = MODEL.backward(&weights, args);
        match name {
            "" | "y" | "state" => assert!(!name.is_empty() || backward == Ok(())),
            _ => {
                expects(backward);
                assert!(grads.iter().chain(&dx).chain(&scratch).all(|x| x.is_nan()) && dstate[0] == 0.5);
                assert_eq!(bits(&tape), before);
            }
        }
    }

    const OF_IDS: Model<2> = Model::new([Layer::embedding(4, 2), Layer::gru(2, 1)]);
    let (mut tape, mut grads) = (nan(OF_IDS.tape_len(1, 1)), nan(OF_IDS.weights_len()));
    let mut scratch = nan(OF_IDS.backward_scratch_len(1, 1));
    let refused = OF_IDS.backward(
        &vec![0.1; grads.len()],
        Backward {
            sequences: Sequences::new(1, 1),
            x: (&[3]).into(),
            dy: &[1.0],
            dx: Some(&mut [0.0]),
            grads: &mut grads,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    );
    assert!(matches!(refused, Err(Error::Value { argument: "dx", .. })));
}
