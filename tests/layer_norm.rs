//! Layers with layer normalisation: their weights, the options that they reject, and how they learn.
//! `sequence_gradients`, `golden` and `stack` check outputs and gradients. The tests of all cells check bits,
//! threads and errors.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Kind, Random, random_weights};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::image;
use recurrent::model::{Layer, Model};
use recurrent::{
    Activation, Backward, Error, Forward, ForwardTrain, Gru, GruGate, Isa, Lstm, LstmGate, LstmNorm, Merge,
    Narrow, Reset, Sequences, Stack,
};

const NORMALISED: [Kind; 3] = [Kind::LstmNormalised, Kind::LstmNormalisedState, Kind::GruNormalised];

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(3)
}

#[test]
fn the_parts_of_the_weights_follow_each_other() {
    let lstm = Lstm::new(2, 3).layer_norm(LstmNorm::State);
    let flat: Vec<f32> = (0..lstm.weights_len()).map(|i| i as f32).collect();
    let w = lstm.weights(&flat).unwrap();
    let parts = [w.w_ih, w.w_hh, w.b_ih, w.b_hh, w.g_ih, w.g_hh, w.g_c, w.b_c];
    assert_eq!(parts.map(<[f32]>::len), [24, 36, 12, 12, 12, 12, 3, 3]);
    assert_eq!(parts.concat(), flat);
    assert!(w.w_hr.is_empty() && w.peepholes.is_empty());
    let forget = w.gate(LstmGate::Forget);
    assert_eq!((forget.b_hh, forget.g_ih, forget.g_hh), (&w.b_hh[3..6], &w.g_ih[3..6], &w.g_hh[3..6]));
    assert_eq!(forget.g_c, w.g_c);

    let gru = Gru::new(2, 3).layer_norm().bias(false);
    let mut flat = vec![0.0; gru.weights_len()];
    let mut w = gru.weights_mut(&mut flat).unwrap();
    assert!(w.b_ih.is_empty() && w.b_hh.is_empty() && w.g_c.is_empty() && w.b_c.is_empty());
    w.gate(GruGate::New).g_hh.fill(1.0);
    assert_eq!(flat.len(), 3 * 3 * (2 + 3 + 2));
    assert_eq!(flat.iter().rposition(|w| *w == 0.0), Some(flat.len() - 4));
}

/// Gains start at one and biases at zero, in every layer and direction; matrices as in PyTorch.
#[test]
fn initial_gains_are_one() {
    let layer = Lstm::new(2, 16).layer_norm(LstmNorm::Output);
    let stack = Stack::new(layer).layers(2).bidirectional(Merge::Concat);
    let mut weights = vec![f32::NAN; stack.weights_len()];
    stack.init(&mut weights, &mut rng()).unwrap();
    let mut rest = &weights[..];
    for (level, direction) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let layer = stack.layer(level, direction);
        let (own, others) = rest.split_at(layer.weights_len());
        rest = others;
        let w = layer.weights(own).unwrap();
        assert!([w.g_ih, w.g_hh, w.g_c].concat().iter().all(|g| *g == 1.0));
        assert!([w.b_ih, w.b_hh, w.b_c].concat().iter().all(|b| *b == 0.0));
        assert!([w.w_ih, w.w_hh].concat().iter().all(|w| w.abs() <= 0.25 && *w != 0.0));
    }
    assert!(rest.is_empty());
    // Options that are set afterwards behave as in other layers.
    let mut one = vec![0.0; layer.weights_len()];
    layer.init(&mut one, &mut rng()).unwrap();
    layer.forget_bias(&mut one, 1.0).unwrap();
    assert_eq!(layer.weights(&one).unwrap().gate(LstmGate::Forget).b_ih, [1.0; 16]);
}

/// A scale of the products has no effect, as long as their variance is far above the small number in the
/// root. This holds for no other layer.
#[test]
fn a_scale_of_the_matrices_does_not_matter() {
    for kind in NORMALISED {
        let layer = kind.layer(3, 17, Isa::detect());
        let mut random = Random::new(5);
        let weights = random_weights(layer, &mut random);
        let (x, state) = (random.uniform(5 * 3, 1.0), random.uniform(layer.state_len(1), 0.9));
        let run = |weights: &[f32]| {
            let (mut y, mut state) = (vec![f32::NAN; 5 * 17], state.clone());
            let mut scratch = vec![f32::NAN; layer.scratch_len(5, 1)];
            let sequences = Sequences::new(5, 1);
            let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
            layer.forward(&layer.pack(weights).unwrap(), args).unwrap();
            y
        };
        let mut scaled = weights.clone();
        let matrices = kind.gates() * 17 * (3 + 17);
        scaled[..matrices].iter_mut().for_each(|w| *w *= 8.0);
        let (y, same) = (run(&weights), run(&scaled));
        for (a, b) in y.iter().zip(&same) {
            assert!((a - b).abs() < 2e-3, "{kind:?}: {a} {b}");
        }
        let gains = weights.len() - 20;
        scaled[gains..].iter_mut().for_each(|w| *w *= 8.0);
        assert!(run(&scaled).iter().zip(&y).any(|(a, b)| (a - b).abs() > 0.05), "{kind:?}");
    }
}

/// Every pass, and every other entry, rejects options that exclude layer normalisation, names them, and
/// writes nothing.
#[test]
fn options_that_exclude_layer_normalisation_are_refused() {
    let lstm = Lstm::new(2, 3).layer_norm(LstmNorm::Output);
    let tanh = Activation::Tanh;
    for layer in [
        lstm.peepholes(),
        lstm.projection(2),
        Lstm::new(2, 3).coupled().layer_norm(LstmNorm::State),
        lstm.clip(2.0),
        lstm.activations(Activation::HardSigmoid { alpha: 0.2, beta: 0.5 }, tanh, tanh),
    ] {
        refused(layer.into(), "other activations, clip, coupled gates, peepholes or projection");
        let weights = vec![0.5; layer.weights_len()];
        let (mut state, mut scratch) = (vec![7.0; layer.state_len(1)], vec![7.0; layer.scratch_len(1, 1)]);
        let step = layer.step(&weights[..], &[1.0, 2.0], &mut state, &mut scratch);
        let pack = layer.pack(&weights, vec![0.0; layer.packed_len()]).map(drop);
        let sequences = Sequences::new(1, 1);
        let (mut y, mut dstate) = (vec![7.0; layer.width()], vec![7.0; state.len()]);
        let args = Forward { sequences, x: &[1.0, 2.0], y: &mut y, state: &mut state, scratch: &mut scratch };
        let forward = layer.forward(&weights[..], args);
        let mut tape = vec![7.0; layer.tape_len(1, 1)];
        let mut scratch = vec![7.0; layer.train_scratch_len(1)];
        let args = ForwardTrain {
            sequences,
            x: &[1.0, 2.0],
            y: &mut y,
            state: &mut state,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        let train = layer.forward_train(&weights, args);
        let args = Backward {
            sequences,
            x: &[1.0, 2.0],
            y: &y,
            dstate: &mut dstate,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        let backward = layer.backward(&weights, args);
        for result in [step, pack, forward, train, backward] {
            let says = result.unwrap_err().to_string();
            assert!(says.contains("combine layer normalisation"), "{says}");
        }
        assert!([state, dstate, y, tape, scratch].concat().iter().all(|v| *v == 7.0));
    }
    let gru = Gru::new(2, 3).layer_norm();
    refused(gru.reset(Reset::Before).into(), "must reset after the product");
    refused(gru.clip(0.5).into(), "other activations or clip");
}

fn refused(layer: Layer, why: &str) {
    let error = Model::checked([layer]).unwrap_err();
    assert!(matches!(error, Error::Layers { layer: 0, what } if what.contains(why)), "{error}");
    let mut bytes = vec![7; image::len(&[layer])];
    let error = image::write(&[layer], &vec![0.5; layer.weights_len()], &mut bytes).unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert!(bytes.iter().all(|byte| *byte == 7));
}

#[test]
fn narrow_weights_are_refused() {
    for layer in
        [Layer::from(Gru::new(2, 3).layer_norm()), Lstm::new(2, 3).layer_norm(LstmNorm::State).into()]
    {
        for narrow in [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8] {
            let error = Model::checked([layer.narrow(narrow)]).unwrap_err().to_string();
            assert!(error.contains("layer normalisation"), "{error}");
        }
    }
    let layer = Gru::new(2, 3).layer_norm().narrow(Narrow::F16);
    let error = layer.pack(&vec![0.1; layer.weights_len()], vec![0.0; layer.packed_len()]).unwrap_err();
    assert_eq!(error.to_string(), "`narrow` must be f32 for a layer with layer normalisation");
}

/// Flags of an image that exclude each other, which only a damaged or foreign image has.
#[test]
fn images_with_flags_that_exclude_each_other_are_refused() {
    for (layer, flags) in [
        (Layer::from(Lstm::new(2, 3).layer_norm(LstmNorm::Output)), 256 + 512),
        (Lstm::new(2, 3).layer_norm(LstmNorm::Output).into(), 256 + 8),
        (Gru::new(2, 3).layer_norm().into(), 256 + 32),
    ] {
        let mut bytes = vec![0; image::len(&[layer])];
        image::write(&[layer], &vec![0.5; layer.weights_len()], &mut bytes).unwrap();
        // The words of the first layer follow the header, the tag, the length and the type.
        let at = 32 + 12 + 3 * 4;
        bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(flags));
        let error = image::model::<1>(&bytes).unwrap_err();
        assert!(
            matches!(error, Error::Image { offset, what } if offset == at && what.contains("layer norm"))
        );
    }
}

#[test]
fn images_with_narrow_weights_are_refused() {
    let layer = Layer::from(Gru::new(2, 3).layer_norm());
    let mut bytes = vec![0; image::len(&[layer])];
    image::write(&[layer], &vec![0.5; layer.weights_len()], &mut bytes).unwrap();
    bytes[32 + 8] = 1;
    let error = image::model::<1>(&bytes).unwrap_err().to_string();
    assert!(error.contains("the weights of a layer with layer normalisation must be f32"), "{error}");
}

/// A trainer learns the sums of two steps.
#[cfg(feature = "std")]
#[test]
fn layers_learn() {
    use recurrent::model::Loss;
    use recurrent::train::AdamW;
    use recurrent::trainer::{Batch, Trainer};

    let (steps, rows) = (12, 9);
    let x = Random::new(11).uniform(steps * rows, 1.0);
    let targets: Vec<f32> = (0..x.len()).map(|i| x[i] + if i < rows { 0.0 } else { x[i - rows] }).collect();
    for first in [
        Layer::from(Stack::new(Lstm::new(1, 12).layer_norm(LstmNorm::Output)).layers(2)),
        Stack::new(Lstm::new(1, 6).layer_norm(LstmNorm::State)).bidirectional(Merge::Concat).into(),
        Gru::new(1, 12).layer_norm().into(),
    ] {
        let (model, mut rng) = (Model::new([first, Layer::dense(12, 1)]), rng());
        let mut trainer = Trainer::new(&model, AdamW::new(0.01), &mut rng).unwrap().clip(1.0);
        let loss = Loss::MeanSquaredError { targets: &targets };
        let batch = Batch { sequences: Sequences::new(steps, rows), x: (&x[..]).into(), loss };
        let losses: Vec<f32> = (0..150).map(|_| trainer.update(batch, &mut rng).unwrap().loss).collect();
        assert!(losses[149] < 0.15 * losses[0], "{} to {}", losses[0], losses[149]);
    }
}
