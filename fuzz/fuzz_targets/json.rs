//! RTNeural's JSON, in both forms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recurrent::io::{Format, Plan};
use recurrent_fuzz::check;

fuzz_target!(|bytes: &[u8]| {
    check(bytes, Format::Json, None);
    check(bytes, Format::Json, Some(&"rnn:relu,fc:tanh".parse::<Plan>().unwrap()));
});
