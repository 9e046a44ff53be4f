//! A written model is read back as the same model, and writing that gives the same bytes.

use recurrent::io::{Error, Format, read, write};
use recurrent::model::Model;

use crate::{Golden, bytes, cases, network, path};

#[test]
fn images_hold_every_model() {
    for (file, ..) in cases() {
        let first = network(file);
        let image = write(&first, Format::Image).unwrap();
        let second = read(&image, Format::Image, None).unwrap();
        assert!(second.layers().eq(first.layers()), "{file}");
        assert_eq!(second.weights(), first.weights(), "{file}");
        assert_eq!(write(&second, Format::Image).unwrap(), image, "{file}");
        assert!(Golden::of(file).difference(&second) < 1e-6, "{file}");
    }
}

#[test]
fn an_image_is_as_documented() {
    let image = bytes("image_gru.img");
    assert!(write(&network("image_gru.img"), Format::Image).unwrap() == image);
    // A version 1 image with the same model is written as version 2.
    assert!(
        write(&read(&bytes("image_gru_v1.img"), Format::Image, None).unwrap(), Format::Image).unwrap()
            == image
    );
}

/// PyTorch's own files are reproduced byte by byte: the writer adds nothing that they do not need.
#[test]
fn pytorch_files_are_written_as_they_were() {
    for file in ["torch_lstm_bidirectional", "torch_gru_prefix", "torch_lstm_projection", "torch_two_lstms"] {
        let file = format!("{file}.safetensors");
        assert_eq!(write(&network(&file), Format::Safetensors).unwrap(), bytes(&file), "{file}");
    }
}

#[test]
fn safetensors_hold_what_pytorch_has() {
    let mut written = 0;
    for (file, ..) in cases() {
        let first = network(file);
        match write(&first, Format::Safetensors) {
            Ok(bytes) => {
                let second = read(&bytes, Format::Safetensors, None).unwrap();
                assert_eq!(write(&second, Format::Safetensors).unwrap(), bytes, "{file}");
                assert_eq!(second.weights(), first.weights(), "{file}");
                assert!(Golden::of(file).difference(&second) < 1e-6, "{file}");
                written += 1;
            }
            // PyTorch has no such layer or option.
            Err(Error::Unsupported { .. }) => {
                let other = ["keras_", "onnx_lstm_peep", "onnx_lstm_clip", "onnx_gru_reset", "onnx_lstm_rev"];
                assert!(other.iter().any(|start| file.starts_with(start)), "{file}");
            }
            Err(e) => panic!("{file}: {e}"),
        }
    }
    assert!(written >= 17, "{written}");
}

/// Source code that the tool has generated, compiled as in a user's program.
#[path = "../data/formats/keras_sequential.rs"]
mod keras_sequential;
#[path = "../data/formats/onnx_lstm_clip.rs"]
mod onnx_lstm_clip;

#[test]
fn source_compiles_and_is_the_same_model() {
    fn same<const N: usize>(file: &str, model: &Model<N>, weights: &[f32]) {
        let network = network(file);
        let source = path(file).with_extension("rs");
        assert_eq!(write(&network, Format::Source).unwrap(), std::fs::read(source).unwrap(), "{file}");
        assert!(network.layers().eq(*model.layers()), "{file}");
        assert_eq!(network.weights(), weights, "{file}");
    }
    same("keras_sequential.keras", &keras_sequential::MODEL, &keras_sequential::WEIGHTS);
    same("onnx_lstm_clip.onnx", &onnx_lstm_clip::MODEL, &onnx_lstm_clip::WEIGHTS);
}

/// Every float in the source is parsed to the same value.
#[test]
fn source_has_the_same_floats() {
    for (file, ..) in cases() {
        let network = network(file);
        let source = String::from_utf8(write(&network, Format::Source).unwrap()).unwrap();
        let (_, floats) = source.split_once("pub static WEIGHTS: [f32; ").unwrap();
        let (len, floats) = floats.split_once("] = [").unwrap();
        assert_eq!(len, network.weights().len().to_string());
        let floats =
            floats.trim_end().trim_end_matches("];").split(',').map(str::trim).filter(|t| !t.is_empty());
        assert!(floats.map(|t| t.parse::<f32>().unwrap()).eq(network.weights().iter().copied()), "{file}");
    }
}
