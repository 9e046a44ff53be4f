//! `Instance`: runs networks from call to call, each with its own state.

use recurrent::io::{self, Ending, Format, Instance, Named, Network, ReadOptions};
use recurrent::model::{Input, InputMask, Layer};
use recurrent::{Masked, Sequences};

fn network() -> Network {
    let layers = [("lstm", Layer::lstm(2, 3)), ("gru", Layer::gru(3, 4)), ("fc", Layer::dense(4, 3))];
    let len = layers.iter().map(|(_, layer)| layer.weights_len()).sum::<usize>();
    let weights = (0..len).map(|i| (i as f32 * 0.7).sin()).collect();
    let named = layers.map(|(name, layer)| Named { name: name.into(), layer });
    Network::new(named.into(), weights).unwrap()
}

fn samples(steps: usize, batch: usize) -> Vec<f32> {
    (0..steps * batch * 2).map(|i| (i as f32 * 1.3).cos()).collect()
}

#[test]
fn steps_and_chunks_have_the_bits_of_a_run() {
    let network = network();
    let x = samples(6, 2);
    let whole = network.run(Input::Values(&x), 6, 2).unwrap();
    let mut stepped = network.instance().unwrap();
    stepped.rows(2).unwrap();
    let mut chunked = stepped.clone();
    for (x, y) in x.chunks(4).zip(whole.chunks(6)) {
        assert_eq!(stepped.step(x).unwrap(), y);
    }
    let needs = chunked.needs(4).unwrap();
    assert_eq!((needs.state, needs.output), (chunked.state().len(), 4 * 2 * 3));
    let [first, second] = [0..4, 4..6].map(|steps: std::ops::Range<usize>| {
        let x = &x[steps.start * 4..steps.end * 4];
        chunked.forward(Sequences::new(steps.len(), 2), x).unwrap().to_vec()
    });
    assert_eq!([first, second].concat(), whole);
    assert_eq!(stepped.state(), chunked.state());
    // Start again with the initial state.
    stepped.reset();
    assert_eq!(stepped.step(&x[..4]).unwrap(), &whole[..6]);
}

#[test]
fn clones_have_states_of_their_own() {
    let x = samples(2, 1);
    let mut one = network().instance().unwrap();
    one.step(&x[..2]).unwrap();
    let (kept, mut other) = (one.state().to_vec(), one.clone());
    let next = one.step(&x[2..]).unwrap().to_vec();
    assert_eq!(other.state(), kept);
    assert_eq!(other.step(&x[2..]).unwrap(), next);
    other.set_state(&kept).unwrap();
    assert_eq!(other.step(&x[2..]).unwrap(), next);
}

#[test]
fn initial_states_and_endings_go_through_images() {
    let plain = network();
    let state: Vec<f32> = (0..3 + 3 + 4).map(|i| 0.1 * i as f32 - 0.4).collect();
    let classes = ["left", "right", "none"].map(String::from).to_vec();
    let network = plain.clone().with_initial_state(state.clone()).unwrap().with_classes(classes).unwrap();
    let read = io::read(&io::write(&network, Format::Image).unwrap(), Format::Image, None).unwrap();
    assert_eq!((read.initial_state(), read.classes()), (&state[..], network.classes()));

    let x = samples(3, 2);
    let mut begun = plain.instance().unwrap();
    begun.rows(2).unwrap();
    // Layer by layer: both rows of h, then both rows of c.
    let both: Vec<f32> =
        [&state[..3], &state[..3], &state[3..6], &state[3..6], &state[6..], &state[6..]].concat();
    begun.set_state(&both).unwrap();
    let expected = begun.forward(Sequences::new(3, 2), &x).unwrap();
    assert_eq!(read.run(Input::Values(&x), 3, 2).unwrap(), expected);
    assert_ne!(plain.run(Input::Values(&x), 3, 2).unwrap(), expected);

    for format in [Format::Safetensors, Format::Source] {
        let refused = io::write(&network, format).unwrap_err().to_string();
        assert!(refused.contains("initial state"), "{refused}");
    }
    assert!(plain.clone().with_initial_state(vec![1.0; 9]).is_err());
    assert!(plain.clone().with_classes(vec!["one".into()]).is_err());
    assert!(plain.with_classes(vec!["a".into(), "b\nc".into(), "d".into()]).is_err());
}

#[test]
fn a_softmax_goes_through_an_image() {
    let bytes = super::bytes("collection/k215_softmax.h5");
    let network = ReadOptions::new().read(&bytes).unwrap();
    assert_eq!(network.ending(), Ending::Softmax);
    let image = io::write(&network, Format::Image).unwrap();
    let again = io::read(&image, Format::Image, None).unwrap();
    assert_eq!(again.ending(), Ending::Softmax);
    let mut instance = again.instance().unwrap();
    let x = vec![0.5; instance.input()];
    let sum: f32 = instance.forward(Sequences::new(1, 1), &x).unwrap().iter().sum();
    assert!((sum - 1.0).abs() < 1e-6);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut instance = network().instance().unwrap();
    let x = samples(2, 2);
    instance.step(&x[..2]).unwrap();
    let before = instance.state().to_vec();
    assert!(instance.step(&x[..3]).is_err());
    assert!(instance.step(&[1u32]).is_err());
    assert!(instance.forward(Sequences::new(1, 2), &x[..4]).is_err());
    assert!(instance.forward(Sequences::new(2, 1), &x[..3]).is_err());
    assert!(instance.set_state(&before[1..]).is_err());
    assert_eq!(instance.state(), before);
    assert!(Instance::open("there is no such file".as_ref()).is_err());
}

/// Steps that the input masks leave the state unchanged, and repeat the output of the step before.
#[test]
fn masks_are_made_from_the_input() {
    let plain = network();
    let masked = plain.clone().with_mask(Some(InputMask::Value(-1.0)));
    let image = io::write(&masked, Format::Image).unwrap();
    let masked = io::read(&image, Format::Image, None).unwrap();
    assert_eq!(masked.mask(), Some(InputMask::Value(-1.0)));
    let x = samples(5, 1);
    let mut padded = x.clone();
    padded.splice(4..4, [-1.0; 4]); // two masked steps after the first two
    padded.extend([-1.0; 2]);
    let (short, long) =
        (plain.run(Input::Values(&x), 5, 1).unwrap(), masked.run(Input::Values(&padded), 8, 1).unwrap());
    assert_eq!(long[..6], short[..6]);
    assert_eq!([&long[6..9], &long[9..12]], [&short[3..6]; 2]);
    assert_eq!(long[12..21], short[6..]);
    assert_eq!(long[21..], short[12..]);

    let mut stepped = masked.instance().unwrap();
    for (x, y) in padded.chunks(2).zip(long.chunks(3)) {
        assert_eq!(stepped.step(x).unwrap(), y);
    }
    // Steps that the caller masks are masked as well.
    let mut both = masked.instance().unwrap();
    let mine = [true, true, true, true, true, true, false, true];
    let y = both.forward(Sequences::new(8, 1).mask(&mine, Masked::Carry), &padded).unwrap();
    assert_eq!(y[15..18], long[15..18]);
    assert_eq!(y[18..21], long[15..18]);

    let ids: Network = Network::new(
        vec![
            Named { name: "embedding".into(), layer: Layer::embedding(4, 2) },
            Named { name: "gru".into(), layer: Layer::gru(2, 3) },
        ],
        vec![0.25; Layer::embedding(4, 2).weights_len() + Layer::gru(2, 3).weights_len()],
    )
    .unwrap();
    let masked = ids.clone().with_mask(Some(InputMask::Id(0)));
    let y = masked.run(Input::Ids(&[1, 0, 2]), 3, 1).unwrap();
    let short = ids.run(Input::Ids(&[1, 2]), 2, 1).unwrap();
    assert_eq!((&y[..3], &y[3..6], &y[6..]), (&short[..3], &short[..3], &short[3..]));
    assert!(ids.with_mask(Some(InputMask::Value(0.0))).run(Input::Ids(&[1]), 1, 1).is_err());
    let refused = io::write(&masked, Format::Safetensors).unwrap_err().to_string();
    assert!(refused.contains("mask"), "{refused}");
}
