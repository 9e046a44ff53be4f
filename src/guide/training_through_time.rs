//! Backpropagation through time, and the tape.
//!
//! A recurrent layer repeats the same step. Training runs forward over all steps and keeps what the
//! derivatives need. Then it goes back from the last step to the first (Werbos 1990).
//!
//! ```text
//!             x0           x1           x2                  forward_train: left to right
//!             |            |            |
//! state --> [step] --h--> [step] --h--> [step] --> state    reads the initial state, leaves the last one
//!             |            |            |
//!             y0           y1           y2                  and the tape, a row for each step
//!
//!             dx0          dx1          dx2                 backward: right to left
//!             ^            ^            ^
//! dstate <- [step] <-dh- [step] <-dh- [step] <- dstate      reads the last state's gradient, leaves the initial one's
//!             ^            ^            ^
//!             dy0          dy1          dy2                 and grads, of the weights
//! ```
//!
//! [`forward_train`](crate::Recurrent::forward_train) gives the same bits as
//! [`forward`](crate::Recurrent::forward), and also fills the tape. The tape has one row for each step. Rows
//! hold the activated gates. Layers with options hold the sums instead.
//! [`layouts`](super::layouts#tape-and-scratch) lists what each row holds.
//!
//! [`backward`](crate::Recurrent::backward) overwrites each gate on the tape with the gradient of its sum.
//! After the time loop, a few large products over all rows of the tape give the gradients of the weights.
//! Another product gives the gradient of the input, if it is asked for.
//!
//! - Leave `dy` empty if only the last state has a gradient. Set `dstate` to zero if only the outputs have
//!   gradients.
//! - `grads` is overwritten, or added to with [`Gradients::Accumulate`](crate::Gradients). If you add up
//!   several batches, weigh each by its number of targets:
//!   [`total_targets`](crate::model::Training::total_targets) does so for a model, and
//!   [`CrossEntropy::count`](crate::CrossEntropy::count) counts the targets of a loss.
//! - The backward pass uses up the tape. Another backward pass needs another forward pass.
//!
//! # Truncated
//! The tape grows with the number of steps: an LSTM of 256 units over 1000 steps of 32 rows keeps 164 MB. So
//! a long stream is cut into chunks. The state carries values from chunk to chunk. Gradients stop at the edge
//! of a chunk, because every chunk begins with a `dstate` of zero.
//!
//! ```text
//!          chunk 0              chunk 1              chunk 2
//! 0 --> |----------| state --> |----------| state --> |----------| state -->     what it remembers has no limit
//!       |<---------|           |<---------|           |<---------|               what it learns to remember: a chunk
//! ```
//!
//! The tape only has to hold one chunk, and the layer learns after each chunk. A dependency is learned only
//! if cause and effect are in the same chunk.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::train::{Adam, clip_scale};
//! use recurrent::{Backward, ForwardTrain, Gru, Sequences, mean_squared_error};
//!
//! const LAYER: Gru = Gru::new(1, 8);
//! const T: usize = 10; // steps of a chunk
//! let sequences = Sequences::new(T, 1);
//! let mut weights = vec![0.0; LAYER.weights_len()];
//! LAYER.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
//! let (mut adam, mut moments) = (Adam::new(0.02), vec![0.0; Adam::moments_len(weights.len())]);
//! let mut grads = vec![0.0; weights.len()];
//! let (mut y, mut dy) = ([0.0; T * 8], [0.0; T * 8]);
//! let mut tape = [0.0; LAYER.tape_len(T, 1)];
//! let mut scratch = vec![0.0; LAYER.train_scratch_len(1)];
//!
//! let wave = |t: usize| 0.5 * (t as f32 * 0.4).sin();
//! let mut state = [0.0; LAYER.state_len(1)]; // made once: carried from chunk to chunk
//! let mut losses = vec![];
//! for chunk in 0..200 {
//!     let x: Vec<f32> = (0..T).map(|t| wave(chunk * T + t)).collect();
//!     let next: Vec<f32> = (0..T).flat_map(|t| [wave(chunk * T + t + 1); 8]).collect(); // each unit has to predict it
//!     LAYER.forward_train(&weights, ForwardTrain {
//!         sequences, x: &x, y: &mut y, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
//!     })?;
//!     losses.push(mean_squared_error(&y, &next, Some(&mut dy))?);
//!     let mut dstate = [0.0; LAYER.state_len(1)]; // zero: gradients stop here
//!     LAYER.backward(&weights, Backward {
//!         sequences, x: &x, y: &y, dy: &dy, dstate: &mut dstate, grads: Some(&mut grads),
//!         tape: &mut tape, scratch: &mut scratch, ..Default::default()
//!     })?;
//!     if let Some(clip) = clip_scale(&grads, 1.0)? {
//!         adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?;
//!     } // and without an update if a gradient is infinite or NaN
//! }
//! assert!(losses[199] < losses[0] / 20.0);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! For a [`Model`](crate::model::Model), [`forward_backward`](crate::model::Model::forward_backward) runs
//! both passes and the loss. It carries the state to the next call, but no gradient of it. A
//! [`Trainer`](crate::trainer::Trainer) carries its states if it is
//! [`stateful`](crate::trainer::Trainer::stateful).
//!
//! # The initial state
//! The initial state is zero by default. To learn it, read its gradient from
//! [`Training::dstate`](crate::model::Training::dstate). If all rows share one state, call
//! [`repeat_state`](crate::model::Chain::repeat_state) before the pass and
//! [`sum_dstate`](crate::model::Chain::sum_dstate) after it. A trainer does both with
//! [`learn_initial_state`](crate::trainer::Trainer::learn_initial_state).
//!
//! # Vanishing and exploding
//! Each step back multiplies the gradient of the hidden state by the derivative of the step. Over many steps
//! the gradient vanishes or explodes exponentially (Bengio et al. 1994; Pascanu et al. 2013,
//! arXiv:1211.5063).
//!
//! ```text
//! dh(t-1) = W_hh^T (dh(t) * slope(t))            RNN: the slope of tanh is at most 1, and W_hh scales as it likes
//! dc(t-1) = dc(t) * f(t) + ...                   LSTM: an open forget gate, f near 1, lets it pass
//! dh(t-1) = dh(t) * z(t) + ...                   GRU: the same with its update gate
//! ```
//!
//! | remedy | here |
//! |---|---|
//! | a cell with gates | [`Lstm`](crate::Lstm), [`Gru`](crate::Gru) |
//! | gates that start open | [`Lstm::forget_bias`](crate::Lstm::forget_bias); for a GRU, fill `b_ih` of [`GruGate::Update`](crate::GruGate) |
//! | recurrent weights that preserve norms | [`init_orthogonal`](crate::Recurrent::init_orthogonal) |
//! | clipping, against explosions | [`clip_scale`](crate::train::clip_scale), [`clip_norm`](crate::train::clip_norm), [`clip_value`](crate::train::clip_value) |
//!
//! Clipping by the norm is usual, because it keeps the direction. Common limits are 1 to 5. If the gradients
//! are not finite, all three functions return `None` and change nothing, so that you can skip the update.
//!
//! Two examples measure these effects. `vanishing_gradient` shows gradients against the time lag, by cell and
//! by the scale of the weights, with and without clipping. `memory` trains the adding problem, which an RNN
//! does not learn.
//!
//! # What stops a gradient
//! The end of a row and a [reset](crate::Sequences::resets) stop gradients. A
//! [masked](crate::Sequences::mask) step does not: gradients pass over it. An activation whose argument was
//! [clipped](crate::Lstm::clip) has a gradient of 0.
