//! What the crate promises, over random cells, options, sizes and sequences.
//!
//! The cases are the same in every run; with `PROPTEST_CASES` they are so many for each property, and others in each run
//! unless `PROPTEST_RNG_SEED` is set, too. A case that fails is made smaller and printed: its buffers follow from its seed.
//! What other tests go through in full (each option, the sizes around panels) is here met in combinations.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/options.rs"]
mod options;
#[path = "../common/reference/mod.rs"]
mod reference;

mod case;
mod gradients;
mod isolation;
mod models;
mod refusal;
mod run;
mod sameness;

use proptest::test_runner::{Config, RngSeed};

/// So many cases, unless the environment says how many.
fn config(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, max_global_rejects: u32::MAX, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}
