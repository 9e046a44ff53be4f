//! Keras archives whose configuration was changed after Keras wrote them.

use std::io::{Cursor, Read, Write};

use recurrent::io::{Format, read};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::refuse::{message, says};
use crate::{bytes, network};

/// Rewrites an archive, passing each of its entries through `edit`.
pub fn rebuilt(file: &str, method: CompressionMethod, edit: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(bytes(file))).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for index in 0..from.len() {
        let mut entry = from.by_index(index).unwrap();
        let (name, mut data) = (entry.name().unwrap().to_string(), Vec::new());
        entry.read_to_end(&mut data).unwrap();
        to.start_file(&name[..], options).unwrap();
        to.write_all(&edit(&name, data)).unwrap();
    }
    to.finish().unwrap().into_inner()
}

/// The error for an archive in whose configuration `from` is replaced by `to`.
pub fn refused(file: &str, from: &str, to: &str) -> String {
    let file = rebuilt(file, CompressionMethod::Stored, |name, data| match name {
        "config.json" => {
            let text = String::from_utf8(data).unwrap();
            assert!(text.contains(from), "{from}");
            text.replace(from, to).into_bytes()
        }
        _ => data,
    });
    message(&file, Format::Keras, None)
}

#[test]
fn weights_of_another_layer_are_refused() {
    let what = refused("keras_sequential.keras", "\"name\": \"gru\"", "\"name\": \"gru_0\"");
    says(&what, &["`layers/gru`", "those of `gru`", "not of `gru_0`"]);
}

#[test]
fn calls_and_outputs_beside_the_chain_are_refused() {
    let file = "keras_functional.keras";
    let what =
        refused(file, "\"output_layers\": [\"dense_3\", 0, 0]", "\"output_layers\": [\"lstm_1\", 0, 0]");
    says(&what, &["lstm_1", "the last layer"]);
    let two = "\"output_layers\": [[\"dense_3\", 0, 0], [\"lstm_1\", 0, 0]]";
    says(&refused(file, "\"output_layers\": [\"dense_3\", 0, 0]", two), &["lstm_1", "the last layer"]);
    says(
        &refused(file, "\"training\": false", "\"training\": true"),
        &["`training`", "`simple_rnn`", "is true"],
    );
}

/// Rejects user classes, which may compute anything, and half floats, which would be rounded between layers.
#[test]
fn other_classes_and_types_are_refused() {
    let file = "keras_sequential.keras";
    let layer = "\"module\": \"keras.layers\", \"class_name\": \"GRU\"";
    says(&refused(file, layer, &layer.replace("keras.layers", "mine")), &["`gru`", "Keras' own"]);
    let end = "\"registered_name\": null, \"build_config\": {\"input_shape\": [null, null, 6]}";
    says(&refused(file, end, &end.replace("null, \"b", "\"mine>GRU\", \"b")), &["`gru`", "Keras' own"]);
    let policy = "\"config\": {\"name\": \"float32\"}";
    says(&refused(file, policy, &policy.replace("float32", "mixed_float16")), &["`dtype`", "mixed_float16"]);
}

#[test]
fn options_that_this_crate_does_not_have_are_refused() {
    for (from, to, words) in [
        ("\"return_sequences\": true", "\"return_sequences\": 1", ["return_sequences", "true or false"]),
        ("\"return_state\": false", "\"return_state\": true", ["lstm", "return_state"]),
        ("\"unit_forget_bias\"", "\"unit_whatever\"", ["lstm", "unit_whatever"]),
        ("\"activation\": \"tanh\"", "\"activation\": \"gelu\"", ["activation", "gelu"]),
    ] {
        says(&refused("keras_sequential.keras", from, to), &words);
    }
    let backwards = refused("keras_functional.keras", "\"go_backwards\": false", "\"go_backwards\": true");
    says(&backwards, &["`simple_rnn`", "goes backwards"]);
}

#[test]
fn archives_may_be_deflated_but_not_without_bounds() {
    let file = "keras_sequential.keras";
    let deflated = rebuilt(file, CompressionMethod::Deflated, |_, data| data);
    assert!(deflated.len() < bytes(file).len());
    assert!(read(&deflated, Format::Keras, None).unwrap() == network(file));
    let bomb = rebuilt(file, CompressionMethod::Deflated, |name, mut data| {
        if name == "config.json" {
            data.resize(1 << 23, b' ');
        }
        data
    });
    says(&message(&bomb, Format::Keras, None), &["config.json", "more than"]);
}
