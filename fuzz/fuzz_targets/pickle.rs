//! PyTorch checkpoints: as given, and built from a pickle and the bytes of its tensors, because the checksums
//! of an archive would stop the fuzzer.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use recurrent::io::{Format, Plan};
use recurrent_fuzz::check;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive whose tensors all have the bytes `data`.
fn archive(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let entries = [("a/data.pkl", pickle), ("a/data/0", data), ("a/data/1", data), ("a/data/2", data)];
    for (name, data) in entries {
        to.start_file(name, options).unwrap();
        to.write_all(data).unwrap();
    }
    to.finish().unwrap().into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    let plan: Plan = "rnn:relu,@last,fc".parse().unwrap();
    for plan in [None, Some(&plan)] {
        check(bytes, Format::Torch, plan);
        if !bytes.starts_with(b"PK") {
            let end = bytes.iter().rposition(|&b| b == b'.').map_or(bytes.len(), |at| at + 1);
            let (pickle, data) = bytes.split_at(end);
            check(&archive(pickle, data), Format::Torch, plan);
        }
    }
});
