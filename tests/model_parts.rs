//! Parts of models besides cells: residuals, the ends of both directions, initial states, and the loss.

#[path = "common/models.rs"]
mod models;
#[path = "common/numbers.rs"]
mod numbers;

use models::{AMPLIFIER, BATCH, Buffers, LENGTHS, READER, STEPS, TAGGER, bits, forward, ids, nan, scaled};
use numbers::random;
use recurrent::model::{Input, Layer, Loss, Model, Training};
use recurrent::{CrossEntropy, Dense, Gradients, Gru, Isa, Merge, Pool, Result, Sequences, Stack};

#[test]
fn steps_of_a_residual_have_the_bits_of_the_whole() -> Result<()> {
    let b = Buffers::new(&AMPLIFIER);
    let x = random(STEPS * BATCH * 3, 4);
    let (whole, last) =
        forward(&AMPLIFIER, &b.weights[..], Sequences::new(STEPS, BATCH), (&x[..]).into(), &b.state);
    let packed = AMPLIFIER.pack(&b.weights[..], nan(AMPLIFIER.packed_len()))?;
    let (mut states, mut scratch) =
        ([b.state.clone(), b.state.clone()], nan(AMPLIFIER.scratch_len(1, BATCH)));
    for (x, expected) in x.chunks(BATCH * 3).zip(whole.chunks(BATCH * 3)) {
        let mut y = nan(BATCH * 3);
        AMPLIFIER.step(&b.weights[..], x, &mut y, &mut states[0], &mut scratch)?;
        assert_eq!(bits(&y), bits(expected));
        AMPLIFIER.step(&packed, x, &mut y, &mut states[1], &mut scratch)?;
        assert_eq!(bits(&y), bits(expected));
    }
    assert_eq!(states.map(|state| bits(&state)), [bits(&last), bits(&last)]);
    Ok(())
}

/// A model with a residual gives the sum of its input and of the output of the layers below.
#[test]
fn a_residual_adds_the_input() -> Result<()> {
    const BELOW: Model<2> = Model::new([Layer::gru(3, 4), Layer::dense(4, 3)]);
    const WHOLE: Model<3> = Model::new([Layer::gru(3, 4), Layer::dense(4, 3), Layer::Residual]);
    let (weights, x) = (scaled(BELOW.weights_len(), 0.7), random(STEPS * BATCH * 3, 4));
    let (sequences, state) = (Sequences::new(STEPS, BATCH), scaled(BELOW.state_len(BATCH), 0.5));
    let (below, _) = forward(&BELOW, &weights[..], sequences, (&x[..]).into(), &state);
    let (whole, _) = forward(&WHOLE, &weights[..], sequences, (&x[..]).into(), &state);
    let sum: Vec<f32> = below.iter().zip(&x).map(|(y, x)| y + x).collect();
    assert_eq!(bits(&whole), bits(&sum));

    // If the input has more features than the layers below give, the first features are added.
    const NARROW: Model<3> = Model::new([Layer::gru(3, 4), Layer::dense(4, 2), Layer::Residual]);
    const BELOW_IT: Model<2> = Model::new([Layer::gru(3, 4), Layer::dense(4, 2)]);
    let weights = scaled(BELOW_IT.weights_len(), 0.7);
    let (below, _) = forward(&BELOW_IT, &weights[..], sequences, (&x[..]).into(), &state);
    let (whole, _) = forward(&NARROW, &weights[..], sequences, (&x[..]).into(), &state);
    let sum = below.chunks(2).zip(x.chunks(3)).flat_map(|(y, x)| [y[0] + x[0], y[1] + x[1]]);
    assert_eq!(bits(&whole), bits(&sum.collect::<Vec<_>>()));
    Ok(())
}

/// `Pool::Ends` gives the last state of each direction of the top layer.
#[test]
fn the_ends_are_the_last_states() {
    const ENDS: Model<2> = Model::new([
        Layer::Gru(Stack::new(Gru::new(3, 5)).layers(2).bidirectional(Merge::Concat)),
        Layer::Pool(Pool::Ends),
    ]);
    let (weights, x) = (scaled(ENDS.weights_len(), 0.7), random(STEPS * BATCH * 3, 4));
    let state = vec![0.0; ENDS.state_len(BATCH)];
    for sequences in [Sequences::new(STEPS, BATCH), Sequences::new(STEPS, BATCH).lengths(&LENGTHS)] {
        let (y, last) = forward(&ENDS, &weights[..], sequences, (&x[..]).into(), &state);
        let [forward, backward] = [2, 3].map(|part| &last[part * BATCH * 5..][..BATCH * 5]);
        for b in 0..BATCH {
            assert_eq!(y[b * 10..][..5], forward[b * 5..][..5]);
            assert_eq!(y[b * 10 + 5..][..5], backward[b * 5..][..5]);
        }
    }
}

/// Compares the gradient of an initial state that all rows share with the difference of two losses.
#[test]
fn gradients_of_initial_states_are_those_of_the_loss() -> Result<()> {
    fn check<const N: usize>(model: &Model<N>, x: Input<'_>, loss: Loss<'_>) -> Result<()> {
        const STEP: f32 = 2e-3;
        let sequences = Sequences::new(STEPS, BATCH).lengths(&LENGTHS);
        let mut b = Buffers::new(model);
        let row = scaled(model.state_len(1), 0.5);
        let mut dstate = nan(b.state.len());
        let mut loss_of = |row: &[f32], dstate: Option<&mut [f32]>| -> Result<f32> {
            model.repeat_state(row, BATCH, &mut b.state)?;
            b.train_states(model, sequences, x, loss, dstate)
        };
        loss_of(&row, Some(&mut dstate))?;
        let mut gradient = nan(row.len());
        model.sum_dstate(&dstate, BATCH, &mut gradient)?;
        for (i, gradient) in gradient.iter().enumerate() {
            let mut at = |step: f32| -> Result<f64> {
                let mut moved = row.clone();
                moved[i] += step;
                Ok(f64::from(loss_of(&moved, None)?))
            };
            let difference = (at(STEP)? - at(-STEP)?) / f64::from(2.0 * STEP);
            assert!((difference - f64::from(*gradient)).abs() < 2e-4, "{i}: {difference} {gradient}");
        }
        assert!(gradient.iter().any(|g| g.abs() > 4e-3), "{gradient:?}");
        Ok(())
    }
    let (x, values) = (ids(STEPS * BATCH, 7), random(STEPS * BATCH * 3, 3));
    check(&TAGGER, (&x[..]).into(), Loss::classes(&x))?;
    let targets = random(STEPS * BATCH * 3, 5);
    check(&AMPLIFIER, (&values[..]).into(), Loss::MeanSquaredError { targets: &targets })?;
    check(&READER, (&values[..]).into(), Loss::classes(&[3, 0, 1]))
}

/// With a chosen instruction set, the whole training gives the bits of that set on any CPU. With one row, the
/// gradient of a bias is the gradient of the loss.
#[test]
fn the_loss_runs_on_the_set_of_the_layers() -> Result<()> {
    const ROWS: usize = 200;
    let (x, targets) = (random(ROWS * 3, 1), ids(ROWS, 9));
    for isa in Isa::available() {
        let dense = Dense::new(3, 9).on(isa);
        let model = Model::new([Layer::from(dense)]);
        let weights = scaled(dense.weights_len(), 3.0);
        let (mut tape, mut scratch) = (nan(model.tape_len(1, 1)), nan(model.train_scratch_len(1, 1)));
        for (x, target) in x.chunks(3).zip(&targets) {
            let (mut grads, mut y, mut dy) = (nan(weights.len()), nan(9), nan(9));
            let loss = model.forward_backward(
                &weights,
                Training {
                    total_targets: None,
                    sequences: Sequences::new(1, 1),
                    x: x.into(),
                    loss: Loss::classes(&[*target]),
                    grads: &mut grads,
                    mode: Gradients::Overwrite,
                    state: &mut [],
                    dstate: None,
                    dropout: None,
                    tape: &mut tape,
                    scratch: &mut scratch,
                },
            )?;
            dense.forward(&weights[..], 1, x, &mut y, &mut scratch)?;
            let expected = CrossEntropy::new(9).on(isa).loss(&y, &[*target], Some(&mut dy))?;
            assert_eq!(loss.to_bits(), expected.to_bits(), "{}", isa.name());
            assert_eq!(bits(&grads[27..]), bits(&dy), "{}", isa.name());
        }
    }
    Ok(())
}

const STREAMED: Model<2> = Model::new([Layer::lstm(3, 4), Layer::dense(4, 2)]);
static WEIGHTS: [f32; STREAMED.weights_len()] = {
    let mut weights = [0.0; STREAMED.weights_len()];
    let mut i = 0;
    while i < weights.len() {
        weights[i] = (i % 13) as f32 / 13.0 - 0.4;
        i += 1;
    }
    weights
};

recurrent::stream! {
    /// A stream in a `static`.
    #[derive(Clone)]
    struct Stream(STREAMED);
}
static START: Stream = Stream::new(&WEIGHTS);

/// A stream gives the same bits as a sequence. A reset sets the state to zeros. An error changes nothing.
#[test]
fn a_stream_has_the_bits_of_the_whole() -> Result<()> {
    let x = random(3 * STEPS, 9);
    let sequences = Sequences::new(STEPS, 1);
    let zeros = [0.0; STREAMED.state_len(1)];
    let (whole, last) = forward(&STREAMED, &WEIGHTS[..], sequences, (&x[..]).into(), &zeros);
    let mut stream = START.clone();
    for _ in 0..2 {
        for (x, y) in x.chunks(3).zip(whole.chunks(2)) {
            assert_eq!(stream.step(&x[..2]), Err(numbers::length("x", 3, 2)));
            assert_eq!(bits(stream.step(x)?), bits(y));
        }
        assert_eq!(bits(stream.state()), bits(&last));
        stream.reset();
        assert_eq!(stream.state(), &zeros);
    }
    // Continues from another state.
    stream.state_mut().copy_from_slice(&last);
    let (more, _) = forward(&STREAMED, &WEIGHTS[..], sequences, (&x[..]).into(), &last);
    assert_eq!(bits(stream.step(&x[..3])?), bits(&more[..2]));
    Ok(())
}
