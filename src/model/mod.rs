//! Models: layers on top of each other, over flat buffers of the caller.
//!
//! A [`Model`] is a constant: an array of [`Layer`]s, from the input to the output. It owns nothing and allocates nothing. It tells
//! how long every buffer has to be, and its passes cut the buffers; nobody else has to. So the same
//! model trains on a desktop and runs in firmware, from weights in flash.
//!
//! | pass | what it does |
//! |---|---|
//! | [`init`](Model::init) | draws initial weights |
//! | [`forward_backward`](Model::forward_backward) | the loss of a batch, and its gradients |
//! | [`pack`](Model::pack) | arranges weights for the vectors of the CPU |
//! | [`forward`](Model::forward) | the outputs of whole sequences |
//! | [`step`](Model::step) | one step of each row, as a microcontroller takes them |
//! | [`generate`](Model::generate) | ids out of a language model |
//!
//! Layers that are not known before the program runs, those of a file for instance, are a [`Chain`] over a slice, with the same passes.
//! With `std` a [`Trainer`](crate::trainer::Trainer) holds the buffers, and a training takes twenty lines.
//!
//! # The buffers
//! Each of them is one slice of `f32`, with the layers' parts in the order of the layers. For the model below, which has `T` steps, `B` rows,
//! and `O_i` features of output in layer `i`:
//!
//! ```text
//!                    embedding     lstm            dropout     dense
//! weights, gradients [V, D]        of the stack    -           [O, I] [O]
//! state              -             h, c [B, H]     -           -
//! dropout            -             -               [T, B, H]   -            factors; with recurrent dropout [B, H] of each stack, too
//!
//! tape     | O_0 | O_1 | O_2 | O_3 | tapes of the recurrent layers |        outputs [T, B, O_i] of all layers first
//!
//! scratch of forward and step      | O_0 | O_1 | O_2 | what one layer needs |
//! scratch of forward_backward      | dy | dx | what one layer needs |       two gradients [T, B, widest], which change places
//! ```
//!
//! Above a [pool](Layer::Pool) there is one row for each sequence, `[B, O_i]`. Gradients and moments of the optimiser have the layout of the
//! weights, so that a checkpoint is a copy and a clip is a loop.
//!
//! # Ids or values
//! A model that begins with an embedding takes ids, any other takes values: [`Input`]. What it learns from is a [`Loss`]: classes, yes or no,
//! numbers, labels without an alignment, or one of the program's own. [`Sequences`](crate::Sequences) says
//! which steps of a padded batch take part, in the layers, the pool and the loss alike. What stands in the
//! padding does not matter, with two exceptions: ids have to be ids, and values that a dense layer sees first
//! have to be finite, and not so large that its output is infinite.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::model::{Layer, Loss, Model, Training};
//! use recurrent::train::{Adam, clip_norm};
//! use recurrent::Sequences;
//!
//! const MODEL: Model<4> =
//!     Model::new([Layer::embedding(5, 4), Layer::lstm(4, 12), Layer::Dropout(0.1), Layer::dense(12, 5)]);
//! const T: usize = 7;
//! const B: usize = 2;
//! let mut weights = [0.0; MODEL.weights_len()];
//! let mut grads = [0.0; MODEL.weights_len()];
//! let mut moments = [0.0; Adam::moments_len(MODEL.weights_len())];
//! let mut dropout = [0.0; MODEL.dropout_len(T, B)];
//! let mut tape = [0.0; MODEL.tape_len(T, B)];
//! let mut scratch = vec![0.0; MODEL.train_scratch_len(T, B)];
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! MODEL.init(&mut weights, &mut rng)?;
//!
//! // Counting modulo five; the second row is shorter.
//! let x = [0, 3, /**/ 1, 4, /**/ 2, 0, /**/ 3, 1, /**/ 4, 0, /**/ 0, 0, /**/ 1, 0]; // [T, B]
//! let next = x.map(|id| (id + 1) % 5);
//! let sequences = Sequences::new(T, B).lengths(&[7, 4]);
//! let mut adam = Adam::new(0.05);
//! for _ in 0..40 {
//!     let mut state = [0.0; MODEL.state_len(B)];
//!     MODEL.draw_dropout(&mut dropout, T, B, &mut rng)?;
//!     MODEL.forward_backward(&weights, Training {
//!         sequences, x: (&x).into(), loss: Loss::classes(&next), grads: &mut grads, state: &mut state,
//!         dropout: Some(&dropout), tape: &mut tape, scratch: &mut scratch, ..Default::default()
//!     })?;
//!     clip_norm(&mut grads, 5.0)?;
//!     adam.update(&mut weights, &grads, &mut moments)?;
//! }
//!
//! let (mut state, mut y) = ([0.0; MODEL.state_len(1)], [0.0; 5]);
//! for id in [2, 3, 4] {
//!     MODEL.step(&weights, &[id], &mut y, &mut state, &mut scratch)?;
//!     assert_eq!(recurrent::argmax(&y)? as u32, (id + 1) % 5);
//! }
//! # Ok::<(), recurrent::Error>(())
//! ```

//!
//! # The files
//! This folder may import `train`, `loss`, `layer` and every floor below.
//!
//! | file | what it holds |
//! |---|---|
//! | `passes` | the passes, as users call them |
//! | `narrow` | models whose matrices are narrow |
//! | `lengths` | sizes, and lengths of buffers |
//! | `state` | one initial state for all rows |
//! | `array` | [`Model`]: layers that the compiler knows |
//! | `forward`, `train` | what passes do with one layer after the other; they cut the buffers once |
//! | `through` | how a pass goes through layers |
//! | `display`, `refusal` | layers, and why they are no model, in words |
//! | `chain` | [`Chain`]: layers in a slice, and whether they fit together |
//! | `mask` | masks that are made from the input |
//! | `ending` | what follows the last layer |
//! | `layer` | what a layer is, and how long its parts of the buffers are |
//! | `args` | what passes are given |
//!
//! Files import each other downward in this table.

mod args;
mod array;
mod chain;
mod display;
mod ending;
mod forward;
mod layer;
mod lengths;
mod link;
mod mask;
mod narrow;
mod passes;
mod refusal;
mod state;
mod through;
mod train;

pub use crate::layer::{Packed, WeightSource};
pub use crate::loss::Loss;
pub use args::{Forward, Input, Training};
pub use array::Model;
pub use chain::Chain;
#[cfg(feature = "std")]
pub(crate) use chain::Owned;
pub use ending::Ending;
pub use layer::Layer;
pub use mask::InputMask;
