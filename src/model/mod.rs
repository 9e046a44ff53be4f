//! Models: layers on top of each other, over flat buffers that the caller owns.
//!
//! A [`Model`] is a constant: an array of [`Layer`]s, from the input to the output. It owns nothing and does
//! not allocate. It computes the length of every buffer, and its passes divide the buffers among the layers.
//! So the same model trains on a desktop and runs in firmware, from weights in flash.
//!
//! | pass | what it does |
//! |---|---|
//! | [`init`](Model::init) | draws initial weights |
//! | [`forward_backward`](Model::forward_backward) | computes the loss of a batch and its gradients |
//! | [`forward_train`](Model::forward_train), [`backward`](Model::backward) | the same in two halves; the program computes the loss between them |
//! | [`pack`](Model::pack) | arranges weights for the vectors of the CPU |
//! | [`forward`](Model::forward) | computes the outputs of whole sequences |
//! | [`step`](Model::step) | computes one step of each row, for example on a microcontroller |
//! | [`generate`](Model::generate) | generates ids with a language model |
//!
//! If the layers are only known at run time, for example from a file, use a [`Chain`] over a slice. It has
//! the same passes. With `std`, a [`Trainer`](crate::trainer::Trainer) holds the buffers, and a training
//! takes twenty lines.
//!
//! # The buffers
//! Each buffer is one slice of `f32`. It contains the parts of the layers in the order of the layers. The
//! model below has `T` steps, `B` rows, and `O_i` output features in layer `i`:
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
//! scratch of backward              | through | dy | dx | what one layer needs |       and the input's through residual layers, if there are any
//! ```
//!
//! Above a [pool](Layer::Pool) there is one row for each sequence, `[B, O_i]`. Gradients and the optimiser's
//! moments have the layout of the weights. So saving a checkpoint is a copy, and clipping is a loop.
//!
//! # Ids or values
//! A model that begins with an embedding takes ids, any other model takes values: [`Input`]. It learns from a
//! [`Loss`]: of classes, yes-or-no answers, numbers, labels without an alignment, or one that the program
//! defines. [`Sequences`](crate::Sequences) selects the steps of a padded batch that take part, in the
//! layers, the pool and the loss alike. The content of the padding does not matter, with two exceptions. Ids
//! in the padding have to be valid ids. If the first layer is dense, values in the padding have to be finite,
//! and not so large that its output becomes infinite.
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
//! This folder may import `train`, `loss`, `layer` and everything below them.
//!
//! | file | what it holds |
//! |---|---|
//! | `passes`, `chain_passes` | the public passes |
//! | `narrow` | models with narrow matrices |
//! | `lengths` | sizes, and lengths of buffers |
//! | `state` | one initial state for all rows |
//! | `stream` | the macro `stream!`: a type that owns the buffers of a stream |
//! | `array` | [`Model`]: layers in an array that the compiler knows |
//! | `halves` | the two halves of a training pass, with a loss of the program between them |
//! | `forward`, `train` | the passes, layer by layer; they divide the buffers once |
//! | `display`, `refusal` | descriptions of layers, and error texts for layers that do not fit together |
//! | `chain` | [`Chain`]: layers in a slice, and whether they fit together |
//! | `held` | what a model holds of its layers |
//! | `overlap` | recurrent layers whose levels run at the same time |
//! | `up` | the pass from the input to the output |
//! | `through` | iteration over layers |
//! | `mask` | masks made from the input |
//! | `ending` | the function after the last layer |
//! | `part` | the parts of layers in the buffers, and their lengths |
//! | `layer` | layers |
//! | `args` | arguments of passes |
//!
//! A file imports only from files below it in this table.

mod args;
mod array;
mod chain;
mod chain_passes;
mod display;
mod ending;
mod forward;
mod halves;
mod held;
mod layer;
mod lengths;
mod link;
mod mask;
mod narrow;
#[cfg(not(target_os = "none"))]
mod overlap;
mod part;
mod passes;
mod refusal;
mod state;
mod stream;
mod through;
mod train;
mod up;

pub use crate::layer::{Packed, WeightSource};
pub use crate::loss::Loss;
pub use args::{Backward, Forward, ForwardTrain, Input, Training};
pub use array::Model;
pub use chain::Chain;
#[cfg(feature = "std")]
pub(crate) use chain::Owned;
pub use ending::Ending;
pub use layer::Layer;
pub use mask::InputMask;
