//! A model gives the bits of its layers' own passes, and correct gradients.

#[path = "common/models.rs"]
mod models;
#[path = "common/numbers.rs"]
mod numbers;

use models::{
    AMPLIFIER, BATCH, Buffers, CLASSIFIER, LENGTHS, READER, STEPS, TAGGER, WRITER, bits, forward, ids, nan,
    scaled,
};
use numbers::{random, rng};
use recurrent::model::{Input, Layer, Loss, Model, Training};
use recurrent::{
    Backward, CrossEntropy, Dense, DenseBackward, Embedding, ForwardTrain, Generate, Gradients, Gru, Lstm,
    Masked, Merge, Pool, Result, Sampling, Sequences, Stack, argmax,
};

/// The tagger's loss, gradients and last states, computed with the layers' own passes.
fn tagger_by_hand(
    b: &Buffers,
    sequences: Sequences<'_>,
    x: &[u32],
    targets: &[u32],
) -> Result<(f32, Vec<f32>, Vec<f32>)> {
    let rows = STEPS * BATCH;
    let embedding = Embedding::new(7, 4);
    let lstm = Stack::new(Lstm::new(4, 6).recurrent_dropout()).layers(2).bidirectional(Merge::Concat);
    let (dense, gru, head) = (Dense::new(12, 5).tanh(), Gru::new(5, 9), Dense::new(9, 7));
    let lens = [
        embedding.weights_len(),
        lstm.weights_len(),
        dense.weights_len(),
        gru.weights_len(),
        head.weights_len(),
    ];
    let (mut w, mut rest): (Vec<&[f32]>, &[f32]) = (vec![], &b.weights[..]);
    for len in lens {
        let (part, others) = rest.split_at(len);
        w.push(part);
        rest = others;
    }
    assert!(rest.is_empty());
    let (recurrent, dropped) = b.dropout.split_at(lstm.recurrent_dropout_len(BATCH));
    let mut state = b.state.clone();
    let (lstm_state, gru_state) = state.split_at_mut(lstm.state_len(BATCH));
    let mut scratch = nan(10_000);
    let (mut lstm_tape, mut gru_tape) = (nan(lstm.tape_len(STEPS, BATCH)), nan(gru.tape_len(STEPS, BATCH)));

    let (mut a, mut b1, mut c, mut e, mut y) =
        (nan(rows * 4), nan(rows * 12), nan(rows * 5), nan(rows * 9), nan(rows * 7));
    embedding.forward(w[0], x, &mut a)?;
    lstm.forward_train(
        w[1],
        ForwardTrain {
            sequences,
            x: &a,
            y: &mut b1,
            state: lstm_state,
            recurrent_dropout: Some(recurrent),
            layer_dropout: None,
            tape: &mut lstm_tape,
            scratch: &mut scratch,
        },
    )?;
    dense.forward(w[2], rows, &b1, &mut c, &mut scratch)?;
    let d: Vec<f32> = c.iter().zip(dropped).map(|(c, factor)| c * factor).collect();
    gru.forward_train(
        w[3],
        ForwardTrain {
            sequences,
            x: &d,
            y: &mut e,
            state: gru_state,
            tape: &mut gru_tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    )?;
    head.forward(w[4], rows, &e, &mut y, &mut scratch)?;
    let mut dy = nan(y.len());
    let loss = CrossEntropy::new(7).over(sequences).ignore(2).loss(&y, targets, Some(&mut dy))?;

    let mut grads: Vec<Vec<f32>> = lens.map(nan).into();
    let mode = Gradients::Overwrite;
    let (mut da, mut db, mut dd, mut de) = (nan(a.len()), nan(b1.len()), nan(d.len()), nan(e.len()));
    head.backward(
        w[4],
        DenseBackward {
            rows,
            x: &e,
            y: &y,
            dy: &mut dy,
            dx: Some(&mut de),
            grads: Some(&mut grads[4]),
            mode,
            scratch: &mut scratch,
        },
    )?;
    gru.backward(
        w[3],
        Backward {
            sequences,
            x: &d,
            y: &e,
            dy: &de,
            dstate: &mut vec![0.0; gru_state.len()],
            dx: Some(&mut dd),
            grads: Some(&mut grads[3]),
            tape: &mut gru_tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    )?;
    dd.iter_mut().zip(dropped).for_each(|(d, factor)| *d *= factor);
    dense.backward(
        w[2],
        DenseBackward {
            rows,
            x: &b1,
            y: &c,
            dy: &mut dd,
            dx: Some(&mut db),
            grads: Some(&mut grads[2]),
            mode,
            scratch: &mut scratch,
        },
    )?;
    lstm.backward(
        w[1],
        Backward {
            sequences,
            x: &a,
            y: &b1,
            dy: &db,
            dstate: &mut vec![0.0; lstm_state.len()],
            dx: Some(&mut da),
            grads: Some(&mut grads[1]),
            recurrent_dropout: Some(recurrent),
            tape: &mut lstm_tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    )?;
    embedding.backward(x, &da, &mut grads[0], mode)?;
    Ok((loss, grads.concat(), state))
}

#[test]
fn training_has_the_bits_of_the_layers() -> Result<()> {
    let (x, targets) = (ids(STEPS * BATCH, 7), ids(STEPS * BATCH, 6));
    for sequences in
        [Sequences::new(STEPS, BATCH), Sequences::new(STEPS, BATCH).batch_major().lengths(&LENGTHS)]
    {
        let mut b = Buffers::new(&TAGGER);
        let (loss, grads, state) = tagger_by_hand(&b, sequences, &x, &targets)?;
        let loss_here = b.train(
            &TAGGER,
            sequences,
            (&x[..]).into(),
            Loss::CrossEntropy { targets: &targets, ignored: Some(2) },
        )?;
        assert_eq!(loss, loss_here);
        assert_eq!(bits(&grads), bits(&b.grads));
        assert_eq!(bits(&state), bits(&b.state));
    }
    Ok(())
}

#[test]
fn inference_has_the_bits_of_training() -> Result<()> {
    fn check<const N: usize>(
        model: &Model<N>,
        sequences: Sequences<'_>,
        x: Input<'_>,
        loss: Loss<'_>,
    ) -> Result<()> {
        let mut b = Buffers::new(model);
        b.dropout.fill(1.0);
        let packed = model.pack(&b.weights[..], nan(model.packed_len()))?;
        let (y, state) = forward(model, &packed, sequences, x, &b.state);
        assert_eq!((bits(&y), bits(&state)), {
            let (y, state) = forward(model, &b.weights[..], sequences, x, &b.state);
            (bits(&y), bits(&state))
        });
        b.train(model, sequences, x, loss)?;
        // The tape holds the outputs of all layers. Those of the last layer equal `y`.
        assert!(b.tape.windows(y.len()).any(|part| bits(part) == bits(&y)));
        assert_eq!(bits(&state), bits(&b.state));
        Ok(())
    }
    let targets = ids(STEPS * BATCH, 4);
    let sequences = Sequences::new(STEPS, BATCH).lengths(&LENGTHS);
    check(&TAGGER, sequences, (&ids(STEPS * BATCH, 7)[..]).into(), Loss::classes(&targets))?;
    let values = random(STEPS * BATCH * 3, 3);
    check(&READER, sequences, (&values[..]).into(), Loss::classes(&targets[..BATCH]))?;
    let numbers = random(STEPS * BATCH * 3, 4);
    check(&AMPLIFIER, sequences, (&values[..]).into(), Loss::MeanSquaredError { targets: &numbers })?;
    check(&CLASSIFIER, sequences, (&values[..]).into(), Loss::classes(&targets[..BATCH]))
}

#[test]
fn steps_and_chunks_have_the_bits_of_the_whole() -> Result<()> {
    let b = Buffers::new(&WRITER);
    let x = ids(STEPS * BATCH, 7);
    let (whole, last) =
        forward(&WRITER, &b.weights[..], Sequences::new(STEPS, BATCH), (&x[..]).into(), &b.state);

    let (first, middle) =
        forward(&WRITER, &b.weights[..], Sequences::new(2, BATCH), x[..2 * BATCH].into(), &b.state);
    let (second, end) =
        forward(&WRITER, &b.weights[..], Sequences::new(3, BATCH), x[2 * BATCH..].into(), &middle);
    assert_eq!((bits(&[first, second].concat()), bits(&end)), (bits(&whole), bits(&last)));

    let packed = WRITER.pack(&b.weights[..], nan(WRITER.packed_len()))?;
    let (mut states, mut scratch) = ([b.state.clone(), b.state.clone()], nan(WRITER.scratch_len(1, BATCH)));
    for (x, expected) in x.chunks(BATCH).zip(whole.chunks(BATCH * 7)) {
        let mut y = nan(BATCH * 7);
        WRITER.step(&b.weights[..], x, &mut y, &mut states[0], &mut scratch)?;
        assert_eq!(bits(&y), bits(expected));
        WRITER.step(&packed, x, &mut y, &mut states[1], &mut scratch)?;
        assert_eq!(bits(&y), bits(expected));
    }
    assert_eq!(states.map(|state| bits(&state)), [bits(&last), bits(&last)]);
    Ok(())
}

#[test]
fn the_last_step_can_be_asked_for_at_any_time() -> Result<()> {
    const MODEL: Model<3> = Model::new([Layer::rnn(2, 3), Layer::Pool(Pool::Last), Layer::dense(3, 2)]);
    let weights = random(MODEL.weights_len(), 3);
    let (x, mut state) = (random(STEPS * 2, 3), vec![0.0; MODEL.state_len(1)]);
    let (zero, mut y) = (state.clone(), [0.0; 2]);
    let mut scratch = nan(MODEL.scratch_len(1, 1));
    for steps in 1..=STEPS {
        MODEL.step(&weights[..], &x[steps * 2 - 2..steps * 2], &mut y, &mut state, &mut scratch)?;
        let (whole, _) =
            forward(&MODEL, &weights[..], Sequences::new(steps, 1), x[..steps * 2].into(), &zero);
        assert_eq!(bits(&y), bits(&whole));
    }
    Ok(())
}

/// Compares the gradient along a random direction of each layer with the difference of two losses.
fn check_gradient<const N: usize>(model: &Model<N>, sequences: Sequences<'_>, x: Input<'_>, loss: Loss<'_>) {
    const STEP: f32 = 2e-3;
    let mut b = Buffers::new(model);
    let start = b.state.clone();
    b.train(model, sequences, x, loss).unwrap();
    let grads = b.grads.clone();
    let direction = random(grads.len(), 3);
    let weights = b.weights.clone();
    let parts = 12;
    for part in 0..parts {
        let range = grads.len() * part / parts..grads.len() * (part + 1) / parts;
        let mut at = |step: f32| {
            b.weights.clone_from(&weights);
            for i in range.clone() {
                b.weights[i] += step * direction[i];
            }
            b.state.clone_from(&start);
            f64::from(b.train(model, sequences, x, loss).unwrap())
        };
        let difference = (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP);
        let slope: f64 = range.clone().map(|i| f64::from(grads[i]) * f64::from(direction[i])).sum();
        assert!((difference - slope).abs() < 2e-3 * (1.0 + slope.abs()), "part {part}: {difference} {slope}");
    }
}

#[test]
fn gradients_are_those_of_the_loss() {
    let x = ids(STEPS * BATCH, 7);
    let values = random(STEPS * BATCH * 3, 3);
    let shares: Vec<f32> = scaled(STEPS * BATCH * 7, 0.5).iter().map(|x| x + 0.5).collect();
    let mask: Vec<bool> = (0..STEPS * BATCH).map(|i| i % 4 != 1).collect();
    let whole = Sequences::new(STEPS, BATCH);
    for sequences in [whole, whole.lengths(&LENGTHS), whole.mask(&mask, Masked::Carry).batch_major()] {
        let classes = Loss::CrossEntropy { targets: &x, ignored: Some(4) };
        for loss in [
            classes,
            Loss::BinaryCrossEntropy { targets: &shares },
            Loss::MeanSquaredError { targets: &shares },
        ] {
            check_gradient(&TAGGER, sequences, (&x[..]).into(), loss);
        }
        let targets = &shares[..STEPS * BATCH * 3];
        check_gradient(&AMPLIFIER, sequences, (&values[..]).into(), Loss::MeanSquaredError { targets });
        let targets = &shares[..BATCH * 4];
        for loss in [
            Loss::classes(&[3, 0, 1]),
            Loss::BinaryCrossEntropy { targets },
            Loss::MeanSquaredError { targets },
        ] {
            check_gradient(&CLASSIFIER, sequences, (&values[..]).into(), loss);
            check_gradient(&READER, sequences, (&values[..]).into(), loss);
        }
    }
}

/// In a padded batch, the loss of elements is the mean over the real steps of all rows.
#[test]
fn padding_does_not_count() -> Result<()> {
    let x = random(STEPS * BATCH * 3, 3);
    const MODEL: Model<2> = Model::new([Layer::gru(3, 4), Layer::dense(4, 2)]);
    let b = Buffers::new(&MODEL);
    let targets: Vec<f32> = scaled(STEPS * BATCH * 2, 0.5).iter().map(|x| x + 0.5).collect();
    let rows = |of: &[f32], width: usize, b: usize| -> Vec<f32> {
        (0..LENGTHS[b]).flat_map(|t| of[(t * BATCH + b) * width..][..width].to_vec()).collect()
    };
    for binary in [false, true] {
        fn loss(binary: bool, targets: &[f32]) -> Loss<'_> {
            if binary { Loss::BinaryCrossEntropy { targets } } else { Loss::MeanSquaredError { targets } }
        }
        let (mut sum, mut count) = (0.0, 0);
        for row in 0..BATCH {
            let (mut state, mut grads) = (vec![0.0; MODEL.state_len(1)], nan(b.grads.len()));
            let (x, targets) = (rows(&x, 3, row), rows(&targets, 2, row));
            let mean = MODEL.forward_backward(
                &b.weights[..],
                Training {
                    sequences: Sequences::new(LENGTHS[row], 1),
                    x: (&x[..]).into(),
                    loss: loss(binary, &targets),
                    grads: &mut grads,
                    state: &mut state,
                    tape: &mut nan(MODEL.tape_len(LENGTHS[row], 1)),
                    scratch: &mut nan(MODEL.train_scratch_len(LENGTHS[row], 1)),
                    ..Default::default()
                },
            )?;
            sum += mean * LENGTHS[row] as f32;
            count += LENGTHS[row];
        }
        let mut b = Buffers::new(&MODEL);
        b.state.fill(0.0);
        let mean = b.train(
            &MODEL,
            Sequences::new(STEPS, BATCH).lengths(&LENGTHS),
            (&x[..]).into(),
            loss(binary, &targets),
        )?;
        assert!((mean - sum / count as f32).abs() < 1e-6, "{mean} {sum} {count}");
    }
    Ok(())
}

#[test]
fn gradients_add_up() -> Result<()> {
    let (x, targets) = (ids(STEPS * BATCH, 7), ids(STEPS * BATCH, 7));
    let mut b = Buffers::new(&WRITER);
    let start = b.state.clone();
    let sequences = Sequences::new(STEPS, BATCH);
    b.train(&WRITER, sequences, (&x[..]).into(), Loss::classes(&targets))?;
    let once = b.grads.clone();
    b.state = start;
    let Buffers { weights, grads, state, tape, scratch, .. } = &mut b;
    let (x, loss, mode) = ((&x[..]).into(), Loss::classes(&targets), Gradients::Accumulate);
    WRITER.forward_backward(
        weights,
        Training { sequences, x, loss, grads, mode, state, tape, scratch, ..Default::default() },
    )?;
    for (twice, once) in b.grads.iter().zip(&once) {
        assert!((twice - 2.0 * once).abs() <= 1e-6 * (1.0 + once.abs()));
    }
    Ok(())
}

#[test]
fn generated_ids_are_the_likeliest() -> Result<()> {
    let b = Buffers::new(&WRITER);
    let (mut state, mut ids) = (vec![0.0; WRITER.state_len(1)], vec![]);
    let mut scratch = nan(WRITER.generate_scratch_len(Sampling::GREEDY));
    let args =
        Generate { prompt: &[3, 1], sampling: Sampling::GREEDY, state: &mut state, scratch: &mut scratch };
    WRITER.generate(&b.weights[..], args, &mut rng(1), |id| {
        ids.push(id);
        ids.len() < 6
    })?;
    assert_eq!(ids.len(), 6);
    let text = [&[3, 1], &ids[..]].concat();
    for end in 2..text.len() {
        let zero = vec![0.0; WRITER.state_len(1)];
        let (y, _) = forward(&WRITER, &b.weights[..], Sequences::new(end, 1), text[..end].into(), &zero);
        assert_eq!(argmax(&y[(end - 1) * 7..])? as u32, text[end]);
    }
    Ok(())
}
