//! PyTorch's parameters, with and without a plan.
#![no_main]

use libfuzzer_sys::fuzz_target;
use recurrent::io::{Format, Plan};
use recurrent_fuzz::check;

const PLANS: [&str; 4] = ["rnn:relu,@last,fc:tanh", "emb,lstm,fc", "lstm", "@mean"];

fuzz_target!(|bytes: &[u8]| {
    check(bytes, Format::Safetensors, None);
    for plan in PLANS {
        check(bytes, Format::Safetensors, Some(&plan.parse::<Plan>().unwrap()));
    }
    // The plan may also be arbitrary.
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(plan) = text.parse::<Plan>()
    {
        assert!(plan.to_string().parse::<Plan>().unwrap() == plan, "a plan is another when it is read again");
    }
});
