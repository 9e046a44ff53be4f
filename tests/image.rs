//! Images: every kind of layer can be written and read, and damaged images are rejected.
#![allow(clippy::unwrap_used)]

use recurrent::image::{self, Aligned, Extras, Image};
use recurrent::model::{Ending, Forward, InputMask, Layer, Model};
use recurrent::{
    Activate, Activation, Dense, Error, Gru, Lstm, LstmNorm, Merge, Mgu, Narrow, Pool, Reset, Rnn, Scale,
    Sequences, Stack,
};

fn layers() -> Vec<Layer> {
    let gates = Activation::HardSigmoid { alpha: 0.3, beta: 0.4 };
    vec![
        Dense::new(3, 3).into(),
        Rnn::new(3, 4).activation(Activation::Elu { alpha: 0.8 }).bias(false).into(),
        Stack::new(Gru::new(4, 5).reset(Reset::Before).clip(0.9)).layers(3).bidirectional(Merge::Sum).into(),
        Stack::new(
            Lstm::new(5, 6)
                .activations(gates, Activation::Softsign, Activation::Affine { alpha: 0.5, beta: 0.1 })
                .coupled()
                .peepholes()
                .projection(2)
                .recurrent_dropout(),
        )
        .layers(2)
        .bidirectional(Merge::Concat)
        .into(),
        Layer::Dropout(0.25),
        Gru::new(4, 3).reverse().into(),
        Stack::new(Lstm::new(3, 2).layer_norm(LstmNorm::Output)).bidirectional(Merge::Sum).into(),
        Lstm::new(2, 3).layer_norm(LstmNorm::State).bias(false).into(),
        Gru::new(3, 3).layer_norm().recurrent_dropout().into(),
        Mgu::new(3, 3).reverse().into(),
        Scale::new(3).into(),
        Activate::new(Activation::LeakyRelu { alpha: 0.2 }).into(),
        Layer::Residual,
        Layer::Pool(Pool::Max),
        Dense::new(3, 2).sigmoid().into(),
    ]
}

fn state(layers: &[Layer]) -> Vec<f32> {
    let mut len = 0;
    for layer in layers.iter().filter(|layer| !matches!(layer, Layer::Pool(_) | Layer::Dropout(_))) {
        // A layer has the same state alone as in the model. Layers that are not valid models by themselves
        // have none.
        len += Model::checked([*layer]).map_or(0, |model| model.state_len(1));
    }
    (0..len).map(|i| (i as f32 * 0.21).cos()).collect()
}

fn extras(state: &[f32]) -> Extras<'_> {
    Extras {
        initial_state: state,
        ending: Ending::LogSoftmax,
        classes: "yes\nnöö",
        mask: Some(InputMask::Value(-1.5)),
    }
}

/// An image of these layers, in blocks aligned to 16 bytes.
fn written() -> (Vec<f32>, Vec<Aligned<[u8; 16]>>, usize) {
    let layers = layers();
    let len: usize = layers.iter().map(Layer::weights_len).sum();
    let weights: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin()).collect();
    let state = state(&layers);
    let extras = extras(&state);
    let mut bytes = vec![0; image::len_with(&layers, &extras)];
    image::write_with(&layers, &weights, &extras, &mut bytes).unwrap();
    let blocks = bytes.chunks(16).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        Aligned(block)
    });
    (weights, blocks.collect(), bytes.len())
}

fn flat(blocks: &[Aligned<[u8; 16]>], len: usize) -> Vec<u8> {
    blocks.iter().flat_map(|block| block.0).take(len).collect()
}

#[test]
fn every_layer_and_weight_comes_back() {
    let (weights, blocks, len) = written();
    let bytes = flat(&blocks, len);
    let image = Image::from_bytes(&bytes).unwrap();
    assert!(image.layers().eq(layers()));
    assert_eq!(image.weights_len(), weights.len());
    let mut copy = vec![0.0; weights.len()];
    image.copy_weights(&mut copy).unwrap();
    assert_eq!(copy, weights);
    let expected_state = state(&layers());
    let mut copy_of_state = vec![0.0; image.initial_state_len()];
    image.copy_initial_state(&mut copy_of_state).unwrap();
    assert_eq!(copy_of_state, expected_state);
    assert!(image.has_initial_state());
    assert_eq!((image.ending(), image.classes()), (Ending::LogSoftmax, "yes\nnöö"));
    let expected: [Layer; 15] = layers().try_into().unwrap();
    assert_eq!(image.model(), Model::checked(expected));
    assert!(matches!(image.model::<7>(), Err(Error::Image { offset: 12, .. })));
    assert!(image.copy_weights(&mut copy[1..]).is_err());
}

/// The alignment of a byte slice is unknown, so all four offsets are tested.
#[test]
fn weights_are_used_in_place_where_they_are_aligned() {
    let (weights, blocks, len) = written();
    let bytes = flat(&blocks, len);
    let mut room = vec![0; len + 16];
    let mut aligned = 0;
    for shift in 0..4 {
        room[shift..shift + len].copy_from_slice(&bytes);
        let image = Image::from_bytes(&room[shift..shift + len]).unwrap();
        match image.weights() {
            Ok(found) => {
                assert_eq!(found, weights);
                assert_eq!(image.extras(), Ok(extras(&state(&layers()))));
                aligned += 1;
            }
            Err(e) => {
                assert!(matches!(e, Error::Image { what, .. } if what.contains("aligned")));
                assert!(image.extras().is_err());
            }
        }
    }
    assert_eq!(aligned, 1);
}

#[test]
fn every_flipped_bit_is_found() {
    let (_, blocks, len) = written();
    let mut bytes = flat(&blocks, len);
    // All bits of the header and the layers, and some bits of the weights.
    let inner = (0..len * 8).filter(|bit| *bit < (32 + 15 * 80 + 128) * 8 || bit % 31 == 0);
    for bit in inner {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Image::from_bytes(&bytes), Err(Error::Image { .. })), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(Image::from_bytes(&bytes).is_ok());
}

#[test]
fn other_lengths_are_refused() {
    let (_, blocks, len) = written();
    let mut bytes = flat(&blocks, len);
    for n in 0..len {
        assert!(matches!(Image::from_bytes(&bytes[..n]), Err(Error::Image { .. })), "{n} bytes");
        assert!(image::model::<8>(&bytes[..n]).is_err());
    }
    bytes.push(0);
    assert!(matches!(Image::from_bytes(&bytes), Err(Error::Image { .. })));
}

/// Computes the CRC-32 bit by bit, and stores it in the header.
fn sign(bytes: &mut [u8]) {
    let mut c = !0u32;
    for (_, byte) in bytes.iter().enumerate().filter(|(i, _)| !(20..24).contains(i)) {
        c ^= u32::from(*byte);
        for _ in 0..8 {
            c = if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 };
        }
    }
    bytes[20..24].copy_from_slice(&(!c).to_le_bytes());
}

/// With a correct checksum, every changed word of the header and the layers is still validated.
#[test]
fn signed_nonsense_is_refused_or_another_image() {
    let (_, blocks, len) = written();
    let whole = flat(&blocks, len);
    for at in (0..32 + 15 * 80 + 128).step_by(4).filter(|&at| at != 20) {
        for word in [1u32, 2, 7, 12, 64, 256, 0x7fc0_0000, 0x8000_0000, u32::MAX] {
            let mut bytes = whole.clone();
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            sign(&mut bytes);
            if let Ok(image) = Image::from_bytes(&bytes) {
                let (layers, n): (Vec<Layer>, _) = (image.layers().collect(), image.weights_len());
                assert!(image.layers().eq(layers.iter().copied()), "byte {at}: {word} is NaN");
                let (mut weights, mut again) = (vec![0.0; n], vec![0; bytes.len()]);
                image.copy_weights(&mut weights).unwrap();
                let mut state = vec![0.0; image.initial_state_len()];
                image.copy_initial_state(&mut state).unwrap();
                let extras = Extras {
                    initial_state: if image.has_initial_state() { &state } else { &[] },
                    ending: image.ending(),
                    classes: image.classes(),
                    mask: image.mask(),
                };
                image::write_with(&layers, &weights, &extras, &mut again).unwrap();
                assert!(again == bytes, "byte {at}: {word}");
            }
        }
    }
}

#[test]
fn nothing_is_written_when_an_argument_is_wrong() {
    let layers = layers();
    let weights = vec![0.5; layers.iter().map(Layer::weights_len).sum()];
    let mut bytes = vec![7; image::len(&layers) - 1];
    assert!(matches!(
        image::write(&layers, &weights, &mut bytes),
        Err(Error::Length { buffer: "bytes", .. })
    ));
    bytes.push(7);
    let short = &weights[1..];
    assert!(matches!(image::write(&layers, short, &mut bytes), Err(Error::Length { buffer: "weights", .. })));
    let none = [Layer::Lstm(Stack::new(Lstm::new(2, 3).projection(0)))];
    let mut small = vec![7; image::len(&none)];
    let weights = vec![0.5; none[0].weights_len()];
    assert!(matches!(image::write(&none, &weights, &mut small), Err(Error::Layers { layer: 0, .. })));
    assert!(bytes.iter().chain(&small).all(|&b| b == 7));
}

/// NaN is rejected as a parameter of an activation before anything is written.
#[test]
fn parameters_that_are_nan_are_refused() {
    let nan = f32::NAN;
    for f in [Activation::Elu { alpha: nan }, Activation::Affine { alpha: 1.0, beta: nan }] {
        let layer = Layer::from(Gru::new(2, 3).activations(f, Activation::Tanh));
        let weights = vec![0.5; layer.weights_len()];
        let mut bytes = vec![7; image::len(&[layer])];
        let wrong = image::write(&[layer], &weights, &mut bytes);
        assert!(matches!(wrong, Err(Error::Layers { layer: 0, what }) if what.contains("NaN")), "{f:?}");
        assert!(bytes.iter().all(|&b| b == 7));
    }
    for p in [nan, -0.1, 1.0] {
        let mut bytes = vec![7; image::len(&[Layer::Dropout(p)])];
        let wrong = image::write(&[Layer::Dropout(p)], &[], &mut bytes);
        assert!(matches!(wrong, Err(Error::Layers { layer: 0, what }) if what.contains("dropout")), "{p}");
        assert!(bytes.iter().all(|&b| b == 7));
    }
}

/// A clip that could not be read back is rejected before anything is written.
#[test]
fn clips_that_are_not_above_zero_are_refused() {
    for clip in [0.0, -1.0, f32::NAN] {
        for layer in [Layer::from(Lstm::new(2, 3).clip(clip)), Gru::new(2, 3).clip(clip).into()] {
            let weights = vec![0.5; layer.weights_len()];
            let mut bytes = vec![7; image::len(&[layer])];
            let wrong = image::write(&[layer], &weights, &mut bytes);
            assert!(
                matches!(wrong, Err(Error::Layers { layer: 0, what }) if what.contains("clip")),
                "{clip}"
            );
            assert!(bytes.iter().all(|&b| b == 7));
        }
    }
}

/// Images of version 1: layers without tags, and no extras.
#[test]
fn images_of_version_1_are_read() {
    let layers = [Layer::gru(2, 3), Layer::Pool(Pool::Last), Layer::dense(3, 1)];
    let weights: Vec<f32> =
        (0..layers.iter().map(Layer::weights_len).sum()).map(|i: usize| i as f32).collect();
    let mut new = vec![0; image::len(&layers)];
    image::write(&layers, &weights, &mut new).unwrap();
    let mut old = new[..32].to_vec();
    old[8..12].copy_from_slice(&1u32.to_le_bytes());
    old[24..28].fill(0);
    for index in 0..layers.len() {
        old.extend(&new[32 + 80 * index + 12..][..64]);
    }
    old.extend(&new[32 + 80 * layers.len()..]);
    sign(&mut old);
    let image = Image::from_bytes(&old).unwrap();
    assert!(image.layers().eq(layers));
    let mut copy = vec![0.0; image.weights_len()];
    image.copy_weights(&mut copy).unwrap();
    assert_eq!(copy, weights);
    assert_eq!((image.has_initial_state(), image.ending(), image.classes()), (false, Ending::None, ""));
    assert_eq!(image::model(&old), Model::checked(layers));
    // A future version.
    old[8] = 3;
    sign(&mut old);
    assert!(matches!(Image::from_bytes(&old), Err(Error::Image { offset: 8, .. })));
}

#[test]
fn records_that_are_not_known_are_refused() {
    let layers = [Layer::gru(2, 3)];
    let weights = vec![0.5; layers[0].weights_len()];
    let extras = Extras { classes: "a\nb\nc", ..Extras::default() };
    let mut bytes = vec![0; image::len_with(&layers, &extras)];
    image::write_with(&layers, &weights, &extras, &mut bytes).unwrap();
    let at = 32 + 80;
    for (offset, value, place) in
        [(at, 6, at), (at, 5, at + 4), (at, 1, at), (at + 4, 60_000, at + 4), (at + 8, 0xff, at + 8)]
    {
        let mut wrong = bytes.clone();
        wrong[offset..offset + 4].copy_from_slice(&(value as u32).to_le_bytes());
        sign(&mut wrong);
        let result = Image::from_bytes(&wrong);
        assert!(matches!(result, Err(Error::Image { offset, .. }) if offset == place), "{result:?}");
    }
    let short = Extras { initial_state: &[1.0; 2], ..Extras::default() };
    let mut bytes = vec![7; image::len_with(&layers, &short)];
    let wrong = image::write_with(&layers, &weights, &short, &mut bytes);
    assert!(matches!(wrong, Err(Error::Length { buffer: "initial_state", expected: 3, actual: 2, .. })));
    assert!(bytes.iter().all(|&b| b == 7));
}

/// Each layer is rounded to its own format, and the image returns the rounded weights.
#[test]
fn narrow_layers_go_through_an_image() -> recurrent::Result<()> {
    let formats = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];
    // Layers with layer normalisation have no narrow weights; the others fit together without them.
    let normalised = |layer: &Layer| match layer {
        Layer::Lstm(stack) => stack.layer(0, 0).cell().norm.is_some(),
        Layer::Gru(stack) => stack.layer(0, 0).cell().norm,
        _ => false,
    };
    let wide: Vec<Layer> = layers().into_iter().filter(|layer| !normalised(layer)).collect();
    let layers: Vec<Layer> = wide.iter().zip(formats.iter().cycle()).map(|(l, f)| l.narrow(*f)).collect();
    let weights: Vec<f32> = (0..layers.iter().map(Layer::weights_len).sum())
        .map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.013)
        .collect();
    // Aligned, because narrow weights are used in place.
    let mut room = vec![0f32; image::len(&layers) / 4];
    assert!(image::len(&layers) < image::len(&wide));
    // SAFETY: bytes need no alignment, and any bytes are valid floats.
    let bytes = unsafe { room.align_to_mut::<u8>().1 };
    image::write(&layers, &weights, bytes)?;
    let image = Image::from_bytes(bytes)?;
    assert!(image.is_narrow() && image.layers().eq(layers.iter().copied()));
    let mut rounded = vec![f32::NAN; image.weights_len()];
    image.copy_weights(&mut rounded)?;
    let error = weights.iter().zip(&rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error > 0.0 && error < 0.01, "{error}");
    assert!(matches!(image.weights(), Err(Error::Image { .. })));
    // The bytes and the rounded weights pack to the same packed weights.
    let chain = recurrent::model::Chain::new(&layers)?;
    let room = || vec![0.0; chain.packed_len()];
    let outputs = [chain.pack(&rounded, room())?, chain.pack_narrow(image.narrow(), room())?].map(|packed| {
        let (mut y, mut state) = (vec![f32::NAN; chain.output_len(2, 3)], vec![0.1; chain.state_len(3)]);
        let (sequences, mut scratch) = (Sequences::new(2, 3), vec![0.0; chain.scratch_len(2, 3)]);
        let x = (&weights[..2 * 3 * 3]).into();
        let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
        chain.forward(&packed, args).map(|()| y.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    });
    assert_eq!(outputs[0], outputs[1]);
    assert!(outputs[0].as_ref().is_ok_and(|y| y.iter().any(|y| *y != y & 0x8000_0000)));
    // An unknown weight format, and a weight format for a layer without a matrix.
    let mut copy = bytes.to_vec();
    copy[32 + 8] = 5;
    assert!(Image::from_bytes(&copy).is_err());
    let pool = layers.iter().position(|l| matches!(l, Layer::Pool(_))).unwrap();
    let mut copy = bytes.to_vec();
    copy[32 + 80 * pool + 8] = 1;
    assert!(image::model::<12>(&copy).is_err_and(|e| e.to_string().contains("has no matrix")));
    Ok(())
}
