//! Sizes, and lengths of buffers.

use super::array::Model;
use super::chain::Chain;
use super::layer::Layer;
use super::part::Part;
use crate::layer::buffer::{add, max, mul};
use crate::layer::packed::packed_len;
use crate::loss::Ctc;

/// Defines each length for `Chain` and for `Model`.
macro_rules! lengths {
    ($($(#[$doc:meta])* $name:ident($chain:ident $(, $arg:ident)*) -> $type:ty { $e:expr })+) => {
        impl Chain<'_> {
            $($(#[$doc])*
            pub const fn $name(&self $(, $arg: usize)*) -> $type {
                let $chain = self;
                $e
            })+
        }

        impl<const N: usize> Model<N> {
            $($(#[$doc])*
            pub const fn $name(&self $(, $arg: usize)*) -> $type {
                self.chain().$name($($arg),*)
            })+
        }
    };
}

lengths! {
    /// Number of classes of the first layer, if it is an embedding; `None` for a model that takes values.
    classes(chain) -> Option<usize> {
        match chain.input_layer() {
            Some(Layer::Embedding(l)) => Some(l.classes()),
            _ => None,
        }
    }

    /// Number of input features; 1 if the model takes ids.
    input(chain) -> usize {
        chain.dims(1, 1).width
    }

    /// Number of output features.
    output(chain) -> usize {
        chain.out(1, 1).width
    }

    /// Whether the model has a pool, and so one output for each sequence instead of one for each step.
    is_pooled(chain) -> bool {
        chain.out(2, 1).steps == 1
    }

    /// Length of the weights, and of their gradients.
    weights_len(chain) -> usize {
        chain.sum(Part::Weights, 1, 1)
    }

    /// Length of packed weights, for any instruction set of this target.
    packed_len(chain) -> usize {
        packed_len(chain.sum(Part::Panels, 1, 1))
    }

    /// Length of the states of `batch` rows, of all recurrent layers together.
    state_len(chain, batch) -> usize {
        chain.sum(Part::State, 1, batch)
    }

    /// Length of the output: `T*B*output`, or `B*output` for a model with a pool.
    output_len(chain, steps, batch) -> usize {
        chain.out(steps, batch).len()
    }

    /// Length of the tape of a training pass: the outputs and the tapes of all layers.
    tape_len(chain, steps, batch) -> usize {
        add(chain.outputs_len(steps, batch), chain.sum(Part::Tape, steps, batch))
    }

    /// Length of the factors of dropout of a training pass.
    dropout_len(chain, steps, batch) -> usize {
        chain.sum(Part::Dropout, steps, batch)
    }

    /// Length of the scratch of a forward pass. With `steps` 1, the length of the scratch of a step.
    scratch_len(chain, steps, batch) -> usize {
        chain.scratch_len_with(1, steps, batch)
    }

    /// Length of the scratch of [`forward_with`](Self::forward_with) on `threads`
    /// [threads](crate::Join::threads).
    scratch_len_with(chain, threads, steps, batch) -> usize {
        add(chain.between_len(steps, batch), chain.scratch_of_layers(threads, steps, batch))
    }

    /// Length of the scratch of a training pass.
    train_scratch_len(chain, steps, batch) -> usize {
        chain.train_scratch_len_with(1, steps, batch)
    }

    /// Length of the scratch of [`backward`](Self::backward).
    backward_scratch_len(chain, steps, batch) -> usize {
        add(chain.train_scratch_len(steps, batch), chain.through_len(steps, batch))
    }

    /// Length of the scratch of a training pass with [`Loss::Ctc`](super::Loss::Ctc) and at most `labels`
    /// labels in a row. On several threads, take the larger of this and
    /// [`train_scratch_len_with`](Self::train_scratch_len_with).
    ctc_scratch_len(chain, steps, batch, labels) -> usize {
        max(
            chain.train_scratch_len(steps, batch),
            add(chain.widest_len(steps, batch), Ctc::new(0).scratch_len(steps, labels))
        )
    }

    /// Length of the scratch of [`forward_backward_with`](Self::forward_backward_with) on `threads`
    /// [threads](crate::Join::threads).
    train_scratch_len_with(chain, threads, steps, batch) -> usize {
        add(mul(2, chain.widest_len(steps, batch)), chain.greatest(Part::TrainScratch(threads), steps, batch))
    }
}
