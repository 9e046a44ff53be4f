//! Keras archives whose configuration is another one than Keras wrote.

use std::io::{Cursor, Read, Write};

use recurrent::io::Format;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::bytes;
use crate::refuse::{message, says};

/// An archive with all its entries, of which a function makes others.
pub fn rebuilt(file: &str, edit: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(bytes(file))).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..from.len() {
        let mut entry = from.by_index(index).unwrap();
        let (name, mut data) = (entry.name().unwrap().to_string(), Vec::new());
        entry.read_to_end(&mut data).unwrap();
        to.start_file(&name[..], stored).unwrap();
        to.write_all(&edit(&name, data)).unwrap();
    }
    to.finish().unwrap().into_inner()
}

/// What is said of an archive with some text of the configuration replaced.
fn refused(file: &str, from: &str, to: &str) -> String {
    let file = rebuilt(file, |name, data| match name {
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
