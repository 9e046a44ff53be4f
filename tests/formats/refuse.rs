//! Rejected files, and the texts of the errors.

use recurrent::io::{Format, Named, Network, Plan, read, write};
use recurrent::model::Layer;
use recurrent::{Gru, Lstm, Merge, Reset, Rnn, Stack};

use crate::{bytes, network};

pub fn message(bytes: &[u8], format: Format, plan: Option<&str>) -> String {
    let plan: Option<Plan> = plan.map(|words| words.parse().unwrap());
    read(bytes, format, plan.as_ref()).unwrap_err().to_string()
}

/// A file with a text replaced by another of the same length.
fn replaced(file: &str, from: &str, to: &str) -> Vec<u8> {
    let mut bytes = bytes(file);
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

pub fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in `{message}`");
    }
}

#[test]
fn swapped_shapes_name_the_tensor() {
    let file = replaced("torch_gru_prefix.safetensors", "\"shape\":[2,3]", "\"shape\":[3,2]");
    says(
        &message(&file, Format::Safetensors, Some("model.emb,model.gru,model.fc")),
        &["`model.fc.weight`", "2 rows", "[3, 2]"],
    );
    let file = replaced("torch_lstm_bidirectional.safetensors", "[16,3]", "[3,16]");
    says(&message(&file, Format::Safetensors, None), &["weight_", "expected", "found"]);
    let file =
        replaced("rtneural_keras_lstm.json", "\"shape\": [null, null, 4]", "\"shape\": [null, null, 5]");
    says(&message(&file, Format::Json, None), &["layers[0].weights[0]", "[2, 20]", "[2, 16]"]);
}

#[test]
fn other_element_types_are_refused() {
    let file = replaced("torch_gru_f16.safetensors", "\"F16\"", "\"I16\"");
    says(&message(&file, Format::Safetensors, None), &["F64, F32, F16 or BF16", "I16"]);
}

#[test]
fn missing_and_unknown_tensors_are_refused() {
    let file = replaced("torch_two_lstms.safetensors", "lstm.bias_hh_l0", "lstm.bias_xx_l0");
    says(&message(&file, Format::Safetensors, None), &["lstm.bias_hh_l0", "no such tensor"]);
    let file = replaced("torch_two_lstms.safetensors", "dense.bias", "dense.what");
    says(&message(&file, Format::Safetensors, None), &["dense.what", "no layer"]);
}

#[test]
fn what_parameters_do_not_say_has_to_be_said() {
    let file = bytes("torch_rnn_relu.safetensors");
    says(&message(&file, Format::Safetensors, None), &["tanh or ReLU", "rnn:tanh", "--layers"]);
    says(&message(&file, Format::Safetensors, Some("rnn,fc")), &["rnn:tanh"]);
    says(&message(&file, Format::Safetensors, Some("rnn:relu,other")), &["`other`", "`fc`, `rnn`"]);
    assert!("rnn:gelu".parse::<Plan>().is_err());
    assert!("@middle".parse::<Plan>().is_err());
}

#[test]
fn unknown_attributes_are_refused() {
    let file = replaced("onnx_lstm_peepholes.onnx", "input_forget", "input_remind");
    says(&message(&file, Format::Onnx, None), &["input_remind", "LSTM"]);
    let file = replaced("onnx_gru_reset_after.onnx", "ScaledTanh", "ScaledSine");
    says(&message(&file, Format::Onnx, None), &["ScaledSine"]);
    let file = replaced("onnx_gru_reset_after.onnx", "Transpose", "Transform");
    says(&message(&file, Format::Onnx, None), &["Transform"]);
    let file = replaced("rtneural_keras_gru.json", "\"gru\"", "\"gnu\"");
    says(&message(&file, Format::Json, None), &["layers[1]", "gnu"]);
}

#[test]
fn pytorch_is_not_given_what_it_does_not_have() {
    let refused = |layer: Layer| {
        let weights = vec![0.1; layer.weights_len()];
        let named = Named { name: "it".to_string(), layer };
        let network = Network::new(vec![named], weights).unwrap();
        write(&network, Format::Safetensors).unwrap_err().to_string()
    };
    says(&refused(Gru::new(2, 3).reset(Reset::Before).into()), &["`it`", "resets before"]);
    says(&refused(Lstm::new(2, 3).peepholes().into()), &["`it`", "peepholes"]);
    says(&refused(Gru::new(2, 3).reverse().into()), &["`it`", "reverse"]);
    says(&refused(Stack::new(Gru::new(2, 3)).bidirectional(Merge::Sum).into()), &["`it`", "two directions"]);
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let first = network("image_gru.img");
    let mut layers = first.named().to_vec();
    layers.reverse();
    assert!(Network::new(layers, first.weights().to_vec()).is_err());
    assert!(Network::new(first.named().to_vec(), first.weights()[1..].to_vec()).is_err());
}

/// A tensor with a size of 0 has no data, so its other sizes could be arbitrarily large.
#[test]
fn sizes_of_zero_are_refused() {
    let header = "{\"__metadata__\":{\"recurrent.layers\":\"b:tanh\"},\
        \"b.weight\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,0],\"data_offsets\":[0,0]}}";
    let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    says(&message(&file, Format::Safetensors, None), &["b.weight", "above 0", "[46116"]);
    let layer = Layer::embedding(0, u32::MAX as usize);
    let named = Named { name: "wide".to_string(), layer };
    says(&Network::new(vec![named], vec![]).unwrap_err().to_string(), &["`wide`", "size of 0"]);
}

/// Names may contain anything, but must not become code.
#[test]
fn names_stay_in_comments() {
    let layer: Layer = Gru::new(1, 1).into();
    let name = "x\n]); compile_error!(\"\"); //\u{2028}\r";
    let named = Named { name: name.to_string(), layer };
    let network = Network::new(vec![named], vec![0.1; layer.weights_len()]).unwrap();
    let source = String::from_utf8(write(&network, Format::Source).unwrap()).unwrap();
    let line = source.lines().find(|line| line.contains("compile_error")).unwrap();
    assert!(line.trim_start().starts_with("Layer::Gru("), "{line}");
    assert!(!source.contains(['\r', '\u{2028}']));
}

#[test]
fn plans_without_effect_are_refused() {
    let file = bytes("rtneural_keras_gru.json");
    says(&message(&file, Format::Json, Some("gru,fc")), &["plan", "describes its layers"]);
}

#[test]
fn names_that_no_plan_can_say_are_refused() {
    let layer: Layer = Rnn::new(1, 1).into();
    let named = Named { name: "a:b".to_string(), layer };
    let network = Network::new(vec![named], vec![0.1; layer.weights_len()]).unwrap();
    says(&write(&network, Format::Safetensors).unwrap_err().to_string(), &["a:b", "comma or colon"]);
}

/// A matrix without a bias may be an embedding or a linear layer. Often only one of them is possible at its
/// place.
#[test]
fn embeddings_and_linear_layers_are_told_apart() {
    let file = |rows: usize, columns: usize| {
        let weights = vec!["0.5"; columns].join(",");
        format!("{{\"fc.weight\": [{}]}}", vec![format!("[{weights}]"); rows].join(",")).into_bytes()
    };
    says(&message(&file(2, 3), Format::Json, None), &["`fc`", "fc:linear", "--layers"]);
    let kind = |plan: &str| {
        let network = read(&file(2, 3), Format::Json, Some(&plan.parse().unwrap())).unwrap();
        recurrent::io::kind(&network.layers().next().unwrap())
    };
    assert_eq!((kind("fc"), kind("fc:linear")), ("embedding", "dense"));
    let name = |name: &str, layer| Named { name: name.to_string(), layer };
    let square = vec![name("table", Layer::embedding(2, 2)), name("gru", Gru::new(2, 1).into())];
    let weights = vec![0.1; square.iter().map(|l| l.layer.weights_len()).sum()];
    let network = Network::new(square, weights).unwrap();
    let bytes = write(&network, Format::Safetensors).unwrap();
    assert!(read(&bytes, Format::Safetensors, None).unwrap() == network);
    assert!(bytes.windows(9).any(|w| w == b"table,gru"));
}

/// Layers without units have no weights, so a file of a hundred bytes could ask for any number of them.
#[test]
fn layers_without_units_are_refused() {
    let file =
        br#"{"architecture":"LSTM","config":{"input_size":1,"hidden_size":0,"num_layers":1000000000000},
        "weights":[]}"#;
    says(&message(file, Format::Json, None), &["1000000000000 layers of 0 units"]);
}

/// A small file that states a huge size must not cause a huge allocation.
#[test]
fn widths_are_bounded_by_the_file() {
    let json = br#"{"in_shape": [null, null, 4000000000000], "in_gain": 3.0, "layers": []}"#;
    says(&message(json, Format::Json, None), &["in_shape", "4000000000000"]);
    let json = br#"{"in_shape": [null, null, 4000000000000], "out_gain": 3.0, "layers": []}"#;
    says(&message(json, Format::Json, None), &["in_shape", "4000000000000"]);
    let wide = crate::keras::refused(
        "collection/k215_normalization.keras",
        "\"batch_input_shape\": [null, 4, 2]",
        "\"batch_input_shape\": [null, 4, 4000000000000]",
    );
    says(&wide, &["4000000000000", "features"]);
    let onnx = crate::onnx::scaled_input(4_000_000_000_000);
    says(&message(&onnx, Format::Onnx, None), &["4000000000000", "features"]);
}
