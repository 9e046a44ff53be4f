//! Outputs compared with those of the frameworks.

use crate::{Golden, cases, network};

#[test]
fn models_give_their_frameworks_outputs() {
    for (file, ..) in cases() {
        let difference = Golden::of(file).difference(&network(file));
        assert!(difference < 1e-6, "{file}: {difference}");
    }
}
