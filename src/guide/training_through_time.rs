//! Backpropagation through time, and the tape.
//!
//! A recurrent layer is the same step over and over. Training runs it forward over all steps and keeps what each step has seen, then goes
//! back over the steps from the last to the first (Werbos 1990).
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
//! [`forward_train`](crate::Recurrent::forward_train) gives the bits of [`forward`](crate::Recurrent::forward), and the tape. Its rows hold
//! activated gates and what else the derivatives need, with options the gates' sums: [`layouts`](super::layouts#tape-and-scratch) lists
//! them. [`backward`](crate::Recurrent::backward) puts the gradient of each gate's sum in its place; when the time loop is
//! over, the gradients of the weights are a few large products over all rows of the tape, and that of the input another, if it is asked for.
//!
//! - `dy` is empty if only the last state has a gradient; `dstate` is zero if only the outputs have.
//! - `grads` is overwritten, or added to with [`Gradients::Accumulate`](crate::Gradients). Of several batches each counts by its targets:
//!   [`total_targets`](crate::model::Training::total_targets) of a model, [`CrossEntropy::count`](crate::CrossEntropy::count) of a loss.
//! - The tape is used up. Another backward pass needs another forward pass.
//!
//! # Truncated
//! The tape grows with the steps: an LSTM of 256 units over 1000 steps of 32 rows keeps 164 MB. So a long stream is cut into chunks. Values
//! flow on from chunk to chunk in the state; gradients stop at the edge, because every chunk begins its `dstate` at zero.
//!
//! ```text
//!          chunk 0              chunk 1              chunk 2
//! 0 --> |----------| state --> |----------| state --> |----------| state -->     what it remembers has no limit
//!       |<---------|           |<---------|           |<---------|               what it learns to remember: a chunk
//! ```
//!
//! Memory is that of one chunk, and the layer learns from its output at once. Whatever has to be learnt together has to
//! be in one chunk: the cause and its effect.
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
//!     let next: Vec<f32> = (0..T).flat_map(|t| [wave(chunk * T + t + 1); 8]).collect(); // every unit is to say it
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
//! For a [`Model`](crate::model::Model), [`forward_backward`](crate::model::Model::forward_backward) does the two passes and the loss; it
//! carries the state, and no gradient goes into it. A [`Trainer`](crate::trainer::Trainer) carries its states if it is
//! [`stateful`](crate::trainer::Trainer::stateful).
//!
//! # The initial state
//! It is zero unless you say otherwise. Where it should be learned, [`Training::dstate`](crate::model::Training::dstate) takes its gradient: with one
//! state for all rows, [`repeat_state`](crate::model::Chain::repeat_state) begins and [`sum_dstate`](crate::model::Chain::sum_dstate) ends a pass. A
//! trainer does it by [`learn_initial_state`](crate::trainer::Trainer::learn_initial_state).
//!
//! # Vanishing and exploding
//! On its way back over a step the gradient of the hidden state is multiplied by the step's derivative. Over many steps that is a power: it
//! dies away, or it explodes (Bengio et al. 1994; Pascanu et al. 2013, arXiv:1211.5063).
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
//! | gates that begin open | [`Lstm::forget_bias`](crate::Lstm::forget_bias); of a GRU fill `b_ih` of [`GruGate::Update`](crate::GruGate) |
//! | recurrent weights that keep lengths | [`init_orthogonal`](crate::Recurrent::init_orthogonal) |
//! | against explosions: clipping | [`clip_scale`](crate::train::clip_scale), [`clip_norm`](crate::train::clip_norm), [`clip_value`](crate::train::clip_value) |
//!
//! Clipping by the norm keeps the direction, and is what is usual; 1 to 5 are common limits. All three return `None` for gradients that are
//! not finite and leave them, so that the update can be skipped.
//!
//! The examples `vanishing_gradient` (gradients against time lag, by cell and by the scale of the weights, with and without clipping) and
//! `memory` (the adding problem, which an RNN does not learn) measure what is said here.
//!
//! # What stops a gradient
//! The end of a row and a [reset](crate::Sequences::resets) do; a [masked](crate::Sequences::mask) step does not, it is stepped over.
//! An activation whose argument is [clipped](crate::Lstm::clip) has a gradient of 0 there.
