//! Files written for ONNX Runtime and RTNeural: reading them back gives the same model, or an error that
//! names what is unsupported. `.ci/onnx` also checks them with ONNX' checker and ONNX Runtime; for that,
//! `RECURRENT_WRITE=FOLDER` keeps the files, with inputs and outputs.

use std::fs;
use std::path::Path;

use recurrent::io::{Error, Format, Named, Network, read, write};
use recurrent::model::{Ending, Input, Layer};
use recurrent::{Activate, Activation, Dense, Gru, Lstm, Merge, Mgu, Pool, Reset, Rnn, Scale, Stack};

use crate::{Golden, cases, network};

/// A network whose weights come from a formula, so that they are the same on every machine.
fn of(layers: Vec<Layer>) -> Network {
    let len = layers.iter().map(Layer::weights_len).sum::<usize>();
    let weights = (0..len).map(|i| (i as f32 * 0.7).sin() * 0.6).collect();
    let named = layers.into_iter().enumerate();
    let named = named.map(|(i, layer)| Named { name: format!("layer{i}"), layer });
    Network::new(named.collect(), weights).unwrap()
}

fn begun(network: Network) -> Network {
    let len = network.instance().unwrap().state().len();
    network.with_initial_state((0..len).map(|i| (i as f32 * 0.9).cos() * 0.5).collect()).unwrap()
}

/// Networks with every kind of layer and option that ONNX has.
fn networks() -> Vec<(&'static str, Network)> {
    let act = |f| Layer::from(Activate::new(f));
    let gates = Activation::HardSigmoid { alpha: 0.3, beta: 0.4 };
    let new = Activation::ScaledTanh { alpha: 0.9, beta: 1.1 };
    vec![
        (
            "ends",
            of(vec![
                Scale::new(3).into(),
                act(Activation::Softsign),
                Stack::new(Gru::new(3, 4)).layers(2).bidirectional(Merge::Concat).into(),
                Pool::Ends.into(),
                act(Activation::Elu { alpha: 0.7 }),
                Dense::new(8, 5).tanh().into(),
            ])
            .with_ending(Ending::Softmax),
        ),
        ("residual", begun(of(vec![Layer::lstm(2, 4), Layer::dense(4, 2), Layer::Residual]))),
        // The residual adds only the first feature.
        ("residual_narrow", of(vec![Layer::lstm(3, 4), Layer::dense(4, 1), Layer::Residual])),
        (
            "lstm_options",
            begun(of(vec![
                Lstm::new(2, 3)
                    .activations(gates, Activation::Softsign, Activation::Tanh)
                    .clip(0.8)
                    .peepholes()
                    .coupled()
                    .reverse()
                    .into(),
            ])),
        ),
        (
            "gru_before",
            begun(of(vec![
                Stack::new(
                    Gru::new(3, 4).reset(Reset::Before).bias(false).activations(Activation::Sigmoid, new),
                )
                .layers(2)
                .bidirectional(Merge::Sum)
                .into(),
            ])),
        ),
        (
            "ids",
            of(vec![
                Layer::embedding(7, 3),
                Rnn::new(3, 4).activation(Activation::Relu).into(),
                Layer::Dropout(0.2),
                Layer::Pool(Pool::Mean),
                Dense::new(4, 3).into(),
            ])
            .with_ending(Ending::LogSoftmax),
        ),
        (
            "functions",
            of(vec![
                Dense::new(2, 4).into(),
                act(new),
                act(Activation::Affine { alpha: 1.5, beta: -0.25 }),
                act(Activation::LeakyRelu { alpha: 0.3 }),
                act(gates),
                act(Activation::Softplus),
                act(Activation::ThresholdedRelu { alpha: 0.75 }),
                Rnn::new(4, 3).into(),
                act(Activation::Sigmoid),
                Pool::Max.into(),
                Dense::new(3, 2).relu().into(),
            ]),
        ),
        (
            "first",
            of(vec![Gru::new(3, 4).reverse().into(), Pool::First.into(), Dense::new(4, 2).tanh().into()]),
        ),
        ("last", of(vec![Layer::lstm(3, 4), Layer::Pool(Pool::Last), Dense::new(4, 2).sigmoid().into()])),
    ]
}

/// An input for a network, and the network's outputs.
fn run(network: &Network, steps: usize, batch: usize) -> (Vec<f32>, Vec<f32>) {
    let width = network.instance().unwrap().input();
    let numbers: Vec<f32> = (0..steps * batch * width).map(|i| (i as f32 * 1.3).cos()).collect();
    if let Some(Layer::Embedding(_)) = network.layers().next() {
        let ids: Vec<u32> = (0..steps * batch).map(|i| (i * 5 % 7) as u32).collect();
        let y = network.run(Input::Ids(&ids), steps, batch).unwrap();
        return (ids.iter().map(|id| *id as f32).collect(), y);
    }
    let y = network.run(Input::Values(&numbers), steps, batch).unwrap();
    (numbers, y)
}

/// Saves the file, and the inputs and outputs as little-endian floats, for other programs.
fn keep(folder: &Path, name: &str, network: &Network, file: &[u8]) {
    fs::write(folder.join(format!("{name}.onnx")), file).unwrap();
    for (steps, batch) in [(5, 3), (2, 1)] {
        let (x, y) = run(network, steps, batch);
        for (what, of) in [("x", x), ("y", y)] {
            let bytes: Vec<u8> = of.iter().flat_map(|x| x.to_le_bytes()).collect();
            fs::write(folder.join(format!("{name}.{steps}x{batch}.{what}")), bytes).unwrap();
        }
    }
}

#[test]
fn onnx_files_are_written_for_every_kind_of_layer() {
    let folder = std::env::var_os("RECURRENT_WRITE");
    for (name, network) in networks() {
        let file = write(&network, Format::Onnx).unwrap();
        if let Some(folder) = &folder {
            keep(folder.as_ref(), name, &network, &file);
        }
    }
    for (layer, why) in [
        (Layer::from(Mgu::new(2, 3)), "minimal gated unit"),
        (Lstm::new(2, 3).projection(2).into(), "projection"),
    ] {
        let refused = write(&of(vec![layer]), Format::Onnx).unwrap_err().to_string();
        assert!(refused.contains("layer0") && refused.contains(why), "{refused}");
    }
}

/// Models of the frameworks are written to ONNX, read back, and still have the same outputs.
#[test]
fn onnx_files_that_are_written_are_read() {
    let mut written = 0;
    for (file, ..) in cases() {
        let first = network(file);
        match write(&first, Format::Onnx) {
            Ok(bytes) => {
                let second = read(&bytes, Format::Onnx, None).unwrap_or_else(|e| panic!("{file}: {e}"));
                assert!(Golden::of(file).difference(&second) < 1e-6, "{file}");
                written += 1;
            }
            Err(Error::Unsupported { .. }) => assert_eq!(file, "torch_lstm_projection.safetensors"),
            Err(e) => panic!("{file}: {e}"),
        }
    }
    assert_eq!(written, cases().count() - 1);
    for (name, first) in networks() {
        let bytes = write(&first, Format::Onnx).unwrap();
        if name == "residual_narrow" {
            let refused = read(&bytes, Format::Onnx, None).unwrap_err().to_string();
            assert!(refused.contains("Slice node"), "{refused}");
            continue;
        }
        let second = read(&bytes, Format::Onnx, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(second.ending(), first.ending(), "{name}");
        assert_eq!(second.initial_state(), first.initial_state(), "{name}");
        let ((_, y), (_, found)) = (run(&first, 5, 3), run(&second, 5, 3));
        assert!(y.iter().zip(&found).all(|(y, found)| (y - found).abs() < 1e-6), "{name}: {y:?} {found:?}");
    }
}

#[test]
fn rtneural_files_that_are_written_are_read() {
    let act = |f| Layer::from(Activate::new(f));
    let network = of(vec![
        Stack::new(Lstm::new(2, 4)).layers(2).into(),
        Dense::new(4, 3).tanh().into(),
        Gru::new(3, 5).into(),
        Dense::new(5, 2).into(),
        act(Activation::Relu),
    ])
    .with_ending(Ending::Softmax);
    let file = write(&network, Format::Json).unwrap();
    let again = read(&file, Format::Json, None).unwrap();
    let ((x, y), (_, found)) = (run(&network, 6, 1), run(&again, 6, 1));
    assert_eq!(x.len(), 12);
    for (y, found) in y.iter().zip(&found) {
        assert!((y - found).abs() < 1e-6, "{y} {found}");
    }
    for (layer, why) in [
        (Layer::rnn(2, 3), "LSTM and GRU only"),
        (Layer::from(Gru::new(2, 3).reverse()), "run in reverse"),
        (Lstm::new(2, 3).peepholes().into(), "no such options"),
        (Layer::embedding(7, 3), "no embedding"),
    ] {
        let refused = write(&of(vec![layer]), Format::Json).unwrap_err().to_string();
        assert!(refused.contains("layer0") && refused.contains(why), "{refused}");
    }
}
