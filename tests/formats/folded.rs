//! Scales folded into the neighbouring matrices: outputs stay the same. A scale that would change outputs is
//! not folded.

use std::fs;

use recurrent::io::{Format, Named, Network, ReadOptions, read, write};
use recurrent::model::{Chain, Forward, Input, InputMask, Layer};
use recurrent::{
    Activate, Activation, Dense, Gru, Lstm, Masked, Merge, Narrow, Pool, Rnn, Scale, Sequences, Stack,
};

use crate::{Golden, path};

/// A network of these layers. Scales and shifts lie around `scale` and `shift`; other weights are as large as
/// PyTorch's.
fn of(layers: Vec<Layer>, scale: f32, shift: f32) -> Network {
    let wave = |i: usize| (i as f32 * 0.7 + 0.3).sin();
    let mut weights = Vec::new();
    for layer in &layers {
        let len = layer.weights_len();
        match layer {
            Layer::Scale(_) => {
                weights.extend((0..len / 2).map(|i| scale * (1.0 + 0.5 * wave(i))));
                weights.extend((0..len / 2).map(|i| shift * wave(i + 7)));
            }
            _ => weights.extend((0..len).map(|i| 0.4 * wave(i + 3))),
        }
    }
    let named = |(i, layer): (usize, Layer)| Named { name: format!("layer{i}"), layer };
    Network::new(layers.into_iter().enumerate().map(named).collect(), weights).unwrap()
}

/// The outputs of the network's layers, run as they are.
fn unfolded(network: &Network, sequences: Sequences<'_>, x: Input<'_>) -> Vec<f32> {
    let layers: Vec<Layer> = network.layers().collect();
    let chain = Chain::new(&layers).unwrap();
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let mut y = vec![0.0; chain.output_len(steps, batch)];
    let mut state = vec![0.0; chain.state_len(batch)];
    if !network.initial_state().is_empty() {
        chain.repeat_state(network.initial_state(), batch, &mut state).unwrap();
    }
    let mut scratch = vec![0.0; chain.scratch_len(steps, batch)];
    let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
    chain.forward(network.weights(), args).unwrap();
    y
}

fn scales(network: &Network) -> usize {
    network.layers().filter(|layer| matches!(layer, Layer::Scale(_))).count()
}

fn samples(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i as f32 * 1.3).cos()).collect()
}

#[track_caller]
fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-6, "{a} {b}");
    }
}

fn act(f: Activation) -> Layer {
    Activate::new(f).into()
}

#[test]
fn outputs_stay_the_same() {
    let scale = |width| Layer::from(Scale::new(width));
    let both = Stack::new(Lstm::new(3, 4).peepholes()).layers(2).bidirectional(Merge::Concat);
    let networks = [
        vec![scale(3), Stack::new(Gru::new(3, 4)).layers(2).into(), scale(4), Layer::dense(4, 2)],
        vec![scale(3), both.into(), scale(8), scale(8), Dense::new(8, 2).tanh().into()],
        vec![
            scale(3),
            Rnn::new(3, 4).reverse().into(),
            Layer::Pool(Pool::First),
            scale(4),
            Layer::dense(4, 2),
        ],
        vec![Layer::dense(3, 4), scale(4), act(Activation::Softsign), Layer::gru(4, 2)],
        // Inference ignores dropout, and a network cannot start with it.
        vec![
            scale(3),
            Layer::Dropout(0.5),
            Layer::lstm(3, 2),
            Layer::Dropout(0.5),
            scale(2),
            Layer::dense(2, 2),
        ],
        vec![Layer::dense(3, 2), Layer::Dropout(0.5), scale(2)],
        vec![scale(3), Layer::mgu(3, 4), Layer::dense(4, 3), Layer::Residual, scale(3), Layer::dense(3, 1)],
    ];
    for layers in networks {
        let network = of(layers, 0.8, 0.6);
        let folded = network.clone().folded();
        assert_eq!(scales(&folded), 0, "{:?}", folded.named());
        let (x, sequences) = (samples(5 * 2 * 3), Sequences::new(5, 2));
        let y = unfolded(&network, sequences, Input::Values(&x));
        assert_close(&unfolded(&folded, sequences, Input::Values(&x)), &y);
        assert_close(&network.run(Input::Values(&x), 5, 2).unwrap(), &y);
        // Folding must also be right for sequences that end early.
        let short = sequences.lengths(&[2, 4]);
        let y = unfolded(&network, short, Input::Values(&x));
        assert_close(&unfolded(&folded, short, Input::Values(&x)), &y);
    }

    let ids = of(vec![Layer::embedding(5, 3), Scale::new(3).into(), act(Activation::Tanh)], 0.8, 0.6);
    let (x, sequences) = ([0, 3, 4, 1], Sequences::new(2, 2));
    let folded = ids.clone().folded();
    assert_eq!(scales(&folded), 0);
    assert_close(&unfolded(&folded, sequences, Input::Ids(&x)), &unfolded(&ids, sequences, Input::Ids(&x)));
}

/// Products are computed in f64 and rounded once.
#[test]
fn elements_are_rounded_once() {
    let network = of(vec![Scale::new(3).into(), Layer::gru(3, 2)], 0.3, 0.2);
    let folded = network.clone().folded();
    let (parts, rows) = network.weights().split_at(6);
    let (scale, shift) = parts.split_at(3);
    let (w, rest) = rows.split_at(18);
    for (row, w) in w.chunks(3).enumerate() {
        let mut bias = f64::from(rest[12 + row]);
        for i in 0..3 {
            let product = f64::from(w[i]) * f64::from(scale[i]);
            assert_eq!(folded.weights()[row * 3 + i], product as f32);
            bias += f64::from(w[i]) * f64::from(shift[i]);
        }
        assert_eq!(folded.weights()[18 + 12 + row], bias as f32);
    }
    // The recurrent weights and the other biases do not change.
    assert_eq!(folded.weights()[18..30], rest[..12]);
    assert_eq!(folded.weights()[36..], rest[18..]);
}

#[test]
fn what_would_change_outputs_stays() {
    let scale = |width| Layer::from(Scale::new(width));
    let stays = [
        // The layer has no bias that could take the shift.
        (vec![scale(3), Gru::new(3, 4).bias(false).into()], 0.8, 0.6),
        // Folding would lose digits or overflow.
        (vec![scale(3), Layer::gru(3, 4)], 0.8, 600.0),
        (vec![scale(3), Layer::gru(3, 4)], f32::NAN, 0.0),
        (vec![Layer::dense(3, 4), scale(4)], 1e38, 0.0),
        // There is no matrix next to the scale.
        (vec![Layer::gru(3, 4), scale(4), Layer::Pool(Pool::Last), Layer::dense(4, 1)], 0.8, 0.6),
        (vec![Dense::new(3, 4).relu().into(), scale(4), act(Activation::Tanh)], 0.8, 0.6),
        (vec![scale(3), act(Activation::Tanh), Layer::gru(3, 4)], 0.8, 0.6),
        (vec![Layer::dense(3, 3), Layer::Residual, scale(3), Layer::Residual, Layer::dense(3, 1)], 0.8, 0.6),
    ];
    for (layers, scale, shift) in stays {
        let network = of(layers, scale, shift);
        let (before, folded) = (format!("{network:?}"), network.folded());
        assert_eq!(format!("{folded:?}"), before);
    }
    // Narrow weights are already rounded, so they are not folded.
    let narrow =
        of(vec![scale(3), Layer::gru(3, 4)], 0.8, 0.6).with_formats(|_| Some(Narrow::W8A16)).unwrap();
    assert_eq!(narrow.clone().folded(), narrow);
    // A scale without a shift needs no bias.
    let network = of(vec![scale(3), Gru::new(3, 4).bias(false).into()], 0.8, 0.0);
    assert_eq!(scales(&network.folded()), 0);
    // A network without scales does not change.
    let network = of(vec![Layer::Dropout(0.5), Layer::gru(3, 4)].split_off(1), 1.0, 0.0);
    assert_eq!(network.clone().folded(), network);
}

/// Masks are computed from the network's input before it is scaled.
#[test]
fn masks_see_the_input() {
    let layers = vec![Scale::new(2).into(), Layer::gru(2, 3), Layer::dense(3, 2)];
    let network = of(layers, 0.8, 0.6).with_mask(Some(InputMask::Value(-1.0)));
    assert_eq!((scales(&network.clone().folded()), network.clone().folded().mask()), (0, network.mask()));
    let mut x = samples(4 * 2);
    x[2..4].fill(-1.0);
    let mask = [true, false, true, true];
    let sequences = Sequences::new(4, 1).mask(&mask, Masked::Carry);
    let y = unfolded(&network, sequences, Input::Values(&x));
    assert_close(&network.run(Input::Values(&x), 4, 1).unwrap(), &y);
}

/// Compares the frameworks' own models before and after folding. Images can hold both forms.
#[test]
fn models_of_the_frameworks_stay_what_they_are() {
    let mut counts = (0, 0);
    for entry in fs::read_dir(path("collection")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_string();
        if name.ends_with(".golden") || name.ends_with(".py") {
            continue;
        }
        let Ok((network, ..)) = ReadOptions::new().open(&file) else { continue };
        if scales(&network) == 0 {
            continue;
        }
        let folded = network.clone().folded();
        counts = (counts.0 + scales(&network), counts.1 + scales(&folded));
        let golden = Golden::of(&format!("collection/{name}.x"));
        let sequences = Sequences::new(golden.steps, golden.batch);
        let outputs = [&network, &folded].map(|network| unfolded(network, sequences, golden.x()));
        assert_close(&outputs[0], &outputs[1]);
        for network in [network, folded] {
            let image = write(&network, Format::Image).unwrap();
            assert_eq!(scales(&read(&image, Format::Image, None).unwrap()), scales(&network), "{name}");
        }
    }
    // Not all scales can be folded: some follow an activation, or the sum of both directions.
    assert!(counts.0 >= 5 && counts.1 * 2 < counts.0, "{counts:?}");
}
