//! Tables with fewer passes than a cell has, for programs that name the forms that they link.

use super::table::Table;
use crate::cell::{Elman, Standard};
use crate::kernel::step::Equations;
use crate::kernel::{Checked, check};
use crate::simd::HAS_VECTORS;

pub(super) static NOTHING: Table = MISSING;

const MISSING: Table = Table {
    layout: &<Elman<Standard> as Equations>::LAYOUT,
    second: None,
    step: |_, _, _, _| missing(),
    step_in_place: |_, _, _, _| missing(),
    forward: |_, _, _, _| missing(),
    forward_in_place: |_, _, _, _| missing(),
    train_in_place: |_, _, _, _| missing(),
    backward: |_, _, _| missing(),
    step_narrow: |_, _, _, _| missing(),
    forward_narrow: |_, _, _, _| missing(),
};

/// In the place of a pass that a table was made without.
#[cold]
fn missing() -> Checked {
    check(false, "a pass that the program left out of the form that it named")
}

impl Table {
    /// The same without training, and on targets without vectors without packed weights, which save
    /// nothing there.
    pub(super) const fn without_training(self) -> Self {
        let Table { layout, second, .. } = self;
        let Table { step, step_in_place, forward, forward_in_place, step_narrow, forward_narrow, .. } = self;
        let inference = Table { layout, second, step_in_place, forward_in_place, ..MISSING };
        match HAS_VECTORS {
            true => Table { step, forward, step_narrow, forward_narrow, ..inference },
            false => inference,
        }
    }

    /// The same without sequences.
    pub(super) const fn without_sequences(self) -> Self {
        let Table { forward, forward_in_place, forward_narrow, .. } = MISSING;
        Table { forward, forward_in_place, forward_narrow, ..self }
    }
}
