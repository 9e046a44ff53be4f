//! The targets of some rows of a batch.

use core::ops::Range;
use std::vec::Vec;

use crate::layer::Sequences;
use crate::model::Loss;

/// A copy of the targets of some rows. Each loss uses some of the lists.
#[derive(Clone, Default)]
pub(super) struct Targets {
    classes: Vec<u32>,
    numbers: Vec<f32>,
    weights: Vec<f32>,
}

impl Targets {
    /// The loss restricted to some rows of a batch.
    pub(super) fn cut<'a>(
        &'a mut self,
        loss: Loss<'a>,
        all: Sequences<'_>,
        rows: &Range<usize>,
        output: usize,
        pooled: bool,
    ) -> Loss<'a> {
        let Targets { classes, numbers, weights } = self;
        // A macro, so that only the arm that runs borrows the list.
        macro_rules! numbers {
            ($targets:expr) => {
                copy(numbers, $targets, all, rows, output, pooled)
            };
        }
        match loss {
            Loss::CrossEntropy { targets, ignored } => {
                Loss::CrossEntropy { targets: copy(classes, targets, all, rows, 1, pooled), ignored }
            }
            Loss::Classes { targets, mut of } => {
                if let Some(from) = of.weights() {
                    of = of.row_weights(copy(weights, from, all, rows, 1, pooled));
                }
                Loss::Classes { targets: copy(classes, targets, all, rows, 1, pooled), of }
            }
            Loss::BinaryCrossEntropy { targets } => Loss::BinaryCrossEntropy { targets: numbers!(targets) },
            Loss::MeanSquaredError { targets } => Loss::MeanSquaredError { targets: numbers!(targets) },
            Loss::Elementwise { targets, mut of } => {
                if let Some(from) = of.weights() {
                    of = of.row_weights(copy(weights, from, all, rows, 1, pooled));
                }
                Loss::Elementwise { targets: numbers!(targets), of }
            }
            Loss::Ctc { targets, target_lengths, blank, zero_infinity } => {
                let before: usize = target_lengths[..rows.start].iter().sum();
                let target_lengths = &target_lengths[rows.clone()];
                let targets = &targets[before..][..target_lengths.iter().sum()];
                Loss::Ctc { targets, target_lengths, blank, zero_infinity }
            }
            Loss::Own(mut own) => {
                own.first_row = rows.start;
                Loss::Own(own)
            }
        }
    }
}

/// Copies the elements of some batch rows from `from`: `width` elements for each step, or for each sequence
/// if it is `pooled`.
pub(super) fn copy<'a, T: Copy>(
    to: &'a mut Vec<T>,
    from: &[T],
    all: Sequences<'_>,
    rows: &Range<usize>,
    width: usize,
    pooled: bool,
) -> &'a [T] {
    to.clear();
    if rows.is_empty() {
        return to;
    }
    let steps = if pooled { 1 } else { all.steps() };
    if pooled || all.batch_major {
        let row = steps * width;
        to.extend_from_slice(&from[rows.start * row..rows.end * row]);
    } else {
        for t in 0..steps {
            let step = &from[t * all.batch() * width..];
            to.extend_from_slice(&step[rows.start * width..rows.end * width]);
        }
    }
    to
}
