//! Training of the gesture model: truncated backpropagation over endless streams, a score for every sample.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{Layer, Model};
use recurrent::train::{Adam, clip_norm};
use recurrent::trainer::Predictor;
use recurrent::{
    Backward, DenseBackward, ForwardTrain, Gradients, Narrow, Result, Sequences, argmax, cross_entropy,
};

use crate::aligned;
use crate::gestures::{self, CELL, HEAD, NAMES, Recogniser, SCRATCH, WEIGHTS_LEN};
use crate::sensor::Hand;

const STEPS: usize = 50;
const BATCH: usize = 16;
const ROWS: usize = STEPS * BATCH;
const UPDATES: usize = 1200;

/// Samples of a hand that was not used in training, and their gestures.
fn unseen() -> (Vec<f32>, Vec<u32>) {
    Hand::new(2).record(10_000)
}

/// For each narrow format: the fraction of those samples that the model recognises, and the largest change of
/// its scores.
pub fn narrow(weights: &[f32]) -> Result<Vec<(Narrow, f64, f32)>> {
    let model = Model::new([Layer::from(CELL), Layer::from(HEAD)]);
    let (samples, labels) = unseen();
    let sequences = Sequences::new(labels.len(), 1);
    let exact = Predictor::new(&model, weights)?.forward(sequences, &samples)?.to_vec();
    let of = |format| {
        let mut predictor = Predictor::new(&model.narrow(format), weights)?;
        let scores = predictor.forward(sequences, &samples)?;
        let largest = scores.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let mut right = 0;
        for (scores, label) in scores.chunks(NAMES.len()).zip(&labels) {
            right += usize::from(argmax(scores)? == *label as usize);
        }
        Ok((format, right as f64 / labels.len() as f64, largest))
    };
    [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8].into_iter().map(of).collect()
}

/// Windows of all streams, time-major.
fn window(hands: &[(Vec<f32>, Vec<u32>)], number: usize) -> (Vec<f32>, Vec<u32>) {
    let rows = (0..STEPS).flat_map(|t| hands.iter().map(move |hand| (hand, number * STEPS + t)));
    let (x, labels): (Vec<&[f32]>, Vec<u32>) =
        rows.map(|((x, labels), t)| (&x[3 * t..3 * t + 3], labels[t])).unzip();
    (x.concat(), labels)
}

/// The weights after training; with a format, after training for narrow weights, straight through: passes use
/// the rounded weights, and updates change those in `f32`.
pub fn train(format: Option<Narrow>) -> Result<Vec<f32>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut weights = vec![0.0; WEIGHTS_LEN];
    let split = CELL.weights_len();
    CELL.init(&mut weights[..split], &mut rng)?;
    HEAD.init(&mut weights[split..], &mut rng)?;

    const WINDOWS: usize = 100;
    let hands: Vec<_> = (0..BATCH).map(|row| Hand::new(100 + row as u64).record(WINDOWS * STEPS)).collect();
    let zeros = |len| vec![0.0; len];
    let (mut grads, mut moments) = (zeros(WEIGHTS_LEN), zeros(Adam::moments_len(WEIGHTS_LEN)));
    let (mut state, mut dstate) = (zeros(CELL.state_len(BATCH)), zeros(CELL.state_len(BATCH)));
    let (mut y, mut dy) = (zeros(ROWS * CELL.hidden()), zeros(ROWS * CELL.hidden()));
    let (mut scores, mut dscores) = (zeros(ROWS * NAMES.len()), zeros(ROWS * NAMES.len()));
    let mut tape = zeros(CELL.tape_len(STEPS, BATCH));
    let mut scratch = zeros(CELL.train_scratch_len(BATCH).max(HEAD.scratch_len()));
    let mut adam = Adam::new(0.01);
    let (sequences, mode) = (Sequences::new(STEPS, BATCH), Gradients::Overwrite);
    let narrow = format.map(|format| Model::new([Layer::from(CELL), Layer::from(HEAD)]).narrow(format));
    let mut storage = vec![0; narrow.map_or(0, |model| model.narrow_len() + 3)];
    let mut rounded = weights.clone();
    for update in 0..UPDATES {
        if update % WINDOWS == 0 {
            state.fill(0.0);
        }
        adam.lr = 0.01 * (1.0 - update as f32 / UPDATES as f32);
        let (x, labels) = window(&hands, update % WINDOWS);
        match narrow {
            Some(model) => {
                let narrow = aligned(&mut storage, model.narrow_len());
                model.round(&weights, narrow)?;
                model.widen(narrow, &mut rounded)?;
            }
            None => rounded.copy_from_slice(&weights),
        }
        let (w_cell, w_head) = rounded.split_at(split);
        let (g_cell, g_head) = grads.split_at_mut(split);
        CELL.forward_train(
            w_cell,
            ForwardTrain {
                sequences,
                x: &x,
                y: &mut y,
                state: &mut state,
                recurrent_dropout: None,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            },
        )?;
        HEAD.forward(w_head, ROWS, &y, &mut scores, &mut scratch)?;
        cross_entropy(NAMES.len(), &scores, &labels, Some(&mut dscores))?;
        HEAD.backward(
            w_head,
            DenseBackward {
                rows: ROWS,
                x: &y,
                y: &scores,
                dy: &mut dscores,
                dx: Some(&mut dy),
                grads: Some(g_head),
                mode,
                scratch: &mut scratch,
            },
        )?;
        dstate.fill(0.0);
        CELL.backward(
            w_cell,
            Backward {
                sequences,
                x: &x,
                y: &y,
                dy: &dy,
                dstate: &mut dstate,
                dx: None,
                grads: Some(g_cell),
                mode,
                recurrent_dropout: None,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            },
        )?;
        clip_norm(&mut grads, 1.0)?;
        adam.update(&mut weights, &grads, &mut moments)?;
    }
    Ok(weights)
}

/// The fraction of samples of another hand that the weights recognise.
pub fn accuracy(weights: &[f32]) -> Result<f64> {
    let (samples, labels) = unseen();
    let mut recogniser = Recogniser::<SCRATCH>::new();
    let mut right = 0;
    for (sample, label) in samples.as_chunks().0.iter().zip(&labels) {
        let layers = (CELL, HEAD);
        let weights = weights.first_chunk().unwrap_or(&[0.0; WEIGHTS_LEN]);
        right += usize::from(recogniser.sample(layers, gestures::wide(weights), sample)? == *label as usize);
    }
    Ok(right as f64 / labels.len() as f64)
}
