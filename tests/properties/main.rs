//! The crate's promises, tested with random cells, options, sizes and sequences.
//!
//! The cases are the same in every run. `PROPTEST_CASES` sets the number of cases of each property; then they
//! differ from run to run, unless `PROPTEST_RNG_SEED` is set, too. A failing case is made smaller and
//! printed; its buffers are determined by its seed. Other tests cover each option and the sizes around panels
//! completely; these tests combine them.
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

/// The number of cases of a property, unless `PROPTEST_CASES` sets it.
fn config(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, max_global_rejects: u32::MAX, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
        config.rng_seed = RngSeed::Fixed(1);
    }
    config
}
