//! Keras archives: as given, and built from a configuration and a file of weights, because the checksums of
//! an archive would stop the fuzzer.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use recurrent::io::Format;
use recurrent_fuzz::check;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The configuration ends where the signature of HDF5 begins.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

fn archive(config: &[u8], weights: &[u8]) -> Vec<u8> {
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, data) in [("config.json", config), ("model.weights.h5", weights)] {
        to.start_file(name, options).unwrap();
        to.write_all(data).unwrap();
    }
    to.finish().unwrap().into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"PK") {
        return check(bytes, Format::Keras, None);
    }
    let split = bytes.windows(SIGNATURE.len()).position(|w| w == SIGNATURE).unwrap_or(bytes.len());
    let (config, weights) = bytes.split_at(split);
    check(&archive(config, weights), Format::Keras, None);
});
