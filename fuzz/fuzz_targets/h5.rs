//! Keras' HDF5 files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recurrent::io::Format;
use recurrent_fuzz::check;

fuzz_target!(|bytes: &[u8]| check(bytes, Format::Keras, None));
