//! The parts that layers have in the buffers of a model, and their lengths.

use super::layer::{Dims, Layer};
use crate::kernel::narrow::PACKS;
use crate::layer::buffer::add;
use crate::layer::packed::aligned_len;
use crate::layer::recurrent::Levels;

/// A layer's part in one of the model's buffers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Weights,
    Panels,
    State,
    Output,
    Tape,
    Dropout,
    /// For this number of threads.
    Scratch(usize),
    TrainScratch(usize),
}

impl Part {
    /// Whether a pass of inference from weights in place has this part.
    #[inline(always)]
    pub(super) const fn is_in_place(self) -> bool {
        matches!(self, Part::Weights | Part::State | Part::Output | Part::Scratch(_))
    }
}

impl Layer {
    /// The length of a part. In firmware, of constant layers, it is a constant. Of other layers, programs
    /// that only infer from weights in place have no code for the other lengths.
    #[inline(always)]
    pub(super) const fn len(&self, part: Part, dims: Dims) -> usize {
        if part.is_in_place() { self.len_in_place(part, dims) } else { self.other_len(part, dims) }
    }

    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn len_in_place(&self, part: Part, dims: Dims) -> usize {
        let Dims { steps, batch, .. } = dims;
        match (part, self) {
            (Part::Weights, _) => self.weights_len(),
            (Part::Output, _) => self.after(dims).len(),
            (Part::Scratch(_), Layer::Dense(l)) => l.scratch_len(),
            _ => match (self.levels(), part) {
                (Some(levels), Part::Scratch(threads)) => levels.scratch_len_with(threads, steps, batch),
                (Some(levels), _) => levels.state_len(batch),
                (None, _) => 0,
            },
        }
    }

    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn other_len(&self, part: Part, dims: Dims) -> usize {
        let Dims { steps, batch, .. } = dims;
        match (part, self) {
            (Part::Panels, Layer::Embedding(_) | Layer::Scale(_)) => {
                aligned_len(if PACKS { self.words_len() } else { self.weights_len() })
            }
            (Part::Panels, Layer::Dense(l)) => l.packed_panels_len(),
            (Part::TrainScratch(_), Layer::Dense(l)) => l.scratch_len(),
            (Part::Dropout, Layer::Dropout(_)) => dims.len(),
            _ => match self.levels() {
                Some(levels) => levels_len(levels, part, steps, batch),
                None => 0,
            },
        }
    }
}

/// The length of a part of recurrent layers for training or packing.
#[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
const fn levels_len(levels: &Levels, part: Part, steps: usize, batch: usize) -> usize {
    match part {
        Part::Panels => levels.panels_len(),
        Part::Tape => levels.tape_len(steps, batch),
        Part::Dropout => levels.drawn_len(batch),
        // The scratch holds the gradient of the state, too.
        Part::TrainScratch(threads) => {
            add(levels.state_len(batch), levels.train_scratch_len_with(threads, steps, batch))
        }
        _ => 0,
    }
}
