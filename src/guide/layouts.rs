//! Layouts and lengths: how numbers are arranged in the buffers, how long each buffer is, and what happens to
//! padding.
//!
//! Every buffer is a flat slice of `f32` that you own. Shapes are row-major: the last letter of `[T, B, I]`
//! varies fastest. `T` is the number of steps, `B` of batch rows, `I` of inputs, `H` of hidden units, `G` of
//! gates. `R` is the width of the hidden state: `H`, unless an LSTM has a
//! [projection](crate::Lstm::projection).
//!
//! # Sequences
//! Time-major is the default. [`batch_major`](crate::Sequences::batch_major) is for data in the other order;
//! nothing is copied for it. (Weight gradients then sum the rows in another order, so their last bits differ:
//! see [`numerics`](super::numerics).) Three steps of two rows are arranged like this:
//!
//! ```text
//! memory          0      1      2      3      4      5
//! [T, B, I]    | t0b0 | t0b1 | t1b0 | t1b1 | t2b0 | t2b1 |        feature i of step t, row b:  (t*B + b)*I + i
//! [B, T, I]    | b0t0 | b0t1 | b0t2 | b1t0 | b1t1 | b1t2 |                                     (b*T + t)*I + i
//! ```
//!
//! ```
//! use recurrent::{Forward, Gru, Sequences};
//! const LAYER: Gru = Gru::new(1, 2);
//! const T: usize = 3;
//! const B: usize = 2;
//! let weights: Vec<f32> = (0..LAYER.weights_len()).map(|i| (i as f32).sin()).collect();
//! let run = |sequences, x: &[f32]| {
//!     let (mut y, mut state) = ([0.0; T * B * 2], [0.0; LAYER.state_len(B)]);
//!     let mut scratch = [0.0; LAYER.scratch_len(T, B)];
//!     LAYER.forward(&weights, Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
//!     Ok::<_, recurrent::Error>((y, state))
//! };
//! let (by_time, state) = run(Sequences::new(T, B), &[1.0, 10.0, /**/ 2.0, 20.0, /**/ 3.0, 30.0])?;
//! let (by_row, same) = run(Sequences::new(T, B).batch_major(), &[1.0, 2.0, 3.0, /**/ 10.0, 20.0, 30.0])?;
//! assert_eq!(by_time[(2 * B + 1) * 2..], by_row[(T + 2) * 2..]); // row 1, step 2
//! assert_eq!(state, same); // a state has no time axis
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Weights
//! All weights are one slice, in PyTorch's order. A matrix has a block of `H` rows for each gate: `i f g o`
//! of an LSTM, `r z n` of a GRU, `f n` of an MGU.
//!
//! ```text
//! | w_ih [G*H, I]                        | w_hh [G*H, R]        | b_ih [G*H] | b_hh [G*H] |  w_hr [R, H]  | peepholes [3, H] |
//! | i: H rows | f: H rows | g ... | o ...| i | f | g | o        | i f g o    | i f g o    |  if projected | if any: i f o    |
//! ```
//!
//! A layer with [layer normalisation](crate::Lstm::layer_norm) has its gains behind the biases, and for an
//! LSTM gain and bias of the cell state:
//!
//! ```text
//! ... | b_ih [G*H] | b_hh [G*H] | g_ih [G*H] | g_hh [G*H] | g_c [H] | b_c [H] |
//! ```
//!
//! Gradients and the moments of optimisers have the same order. So a checkpoint is a copy, and clipping is a
//! loop. The weights of a [`Stack`](crate::Stack) are those of its layers in order; each layer is followed by
//! its reverse direction. The weights of a [`Model`](crate::model::Model) are those of its layers, from the
//! input to the output. [`weights`](crate::Recurrent::weights) and
//! [`weights_mut`](crate::Recurrent::weights_mut) are views with named parts. Their method `gate` finds the
//! blocks of one gate:
//!
//! ```
//! use recurrent::{Lstm, LstmGate};
//! let layer = Lstm::new(3, 2);
//! let mut flat = vec![0.0; layer.weights_len()];
//! layer.weights_mut(&mut flat)?.gate(LstmGate::Forget).b_ih.fill(1.0);
//! let b_ih = 4 * 2 * (3 + 2); // the biases follow both matrices
//! assert_eq!(flat[b_ih..b_ih + 8], [0.0, 0.0, /* f */ 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Packed weights
//! [`pack`](crate::Recurrent::pack) makes panels for a vector instruction set. A panel serves as many units
//! as a vector has lanes. For each input, the weights of all gates of these units are adjacent. So one pass
//! over a panel computes all gates of these units in registers.
//!
//! ```text
//! panel of units 0..L    bias [gates][L] | x0: [gates][L] | x1: [gates][L] | ... | h0: [gates][L] | h1: ...
//! panel of units L..2L   ...                                        L lanes; units past the last one are zero
//! ```
//!
//! Pack once, run often. Panels belong to one layer and one instruction set, and passes check this. Save the
//! canonical weights, not the panels. Training passes take canonical weights, because the weights change with
//! each update. A microcontroller does not pack: [`step`](crate::Recurrent::step) reads canonical weights in
//! place. Both ways give the same bits.
//!
//! # State
//! The state is what a sequence remembers: `h [B, R]`, and for an LSTM then `c [B, H]` (all rows of `h` come
//! first). Set it to zero for a new sequence. Every pass reads it and replaces it by the last state. So you
//! can run a long sequence in chunks or step by step, as long as you keep the state. The state of a stack
//! consists of the states of its layers and directions, in order.
//!
//! # Tape and scratch
//! The **tape** is what a training forward pass keeps for the backward pass. Its content is private; it is
//! shown here only to explain its length. The initial hidden states come first. Then there is a row for each
//! row of `x`. A row consists of several planes of `H` elements:
//!
//! ```text
//! | h0 [B, R] | row 0: i f g o c | row 1: i f g o c | ...        LSTM; with a projection R more at the end of each row
//! ```
//!
//! | cell | planes, after the forward pass | after the backward pass |
//! |---|---|---|
//! | RNN | `h` | gradient of its sum |
//! | LSTM | `i f g o`, and the `c` before the step | gradients of the four sums, and `c` |
//! | GRU | `r z n q` with `q = W_hn h + b_hn` | gradients of the four sums: for `n` that of its input part, for `q` that of its hidden part |
//! | GRU, reset before | `r z n`, and `r * h` | gradients of three sums, and `r * h` |
//! | LSTM with layer normalisation | `W_ih x` and `W_hh h` of the four gates, and the `c` before the step | gradients of both products, and `c` |
//! | GRU with layer normalisation | `W_ih x` and `W_hh h` of the three gates | gradients of both products |
//! | MGU | `f n 0`, and `f * h` | gradients of two sums, an intermediate value of the first, and `f * h` |
//!
//! A layer with [options](crate::Recurrent#options) stores sums instead of activated gates, because some
//! activations cannot be differentiated from their value. Until the backward pass, it also stores the product
//! of a second stage, `W_hn (r * h)`, in the place of the operand of that product. With a projection, the
//! backward pass replaces `c` by the vector that the projection multiplies. A tape can be used for one
//! backward pass only.
//!
//! **Scratch** has no meaningful content before or after a pass. Layers may share it. Its length is a
//! minimum.
//!
//! # Lengths
//! Every length is computed by a `const fn`, so it can be the length of an array. A length that overflows is
//! `usize::MAX`, and passes reject it.
//!
//! | buffer | length | |
//! |---|---|---|
//! | weights, gradients | [`weights_len`](crate::Recurrent::weights_len) | exactly |
//! | `x`, `y`, `dy`, `dx` | their shapes | exactly; `y` and `dy` of a layer may be empty where the documentation of the field says so |
//! | state, `dstate` | [`state_len(B)`](crate::Recurrent::state_len) | exactly |
//! | tape | [`tape_len(T, B)`](crate::Recurrent::tape_len) | exactly |
//! | packed | [`packed_len`](crate::Recurrent::packed_len) | at least |
//! | scratch of inference | [`scratch_len(T, B)`](crate::Recurrent::scratch_len), for a step `(1, B)` | at least |
//! | scratch of training | [`train_scratch_len(B)`](crate::Recurrent::train_scratch_len), of stacks and models `(T, B)` | at least |
//!
//! # Ragged rows, masks, resets
//! [`Sequences`](crate::Sequences) says which steps of which rows take part. In the drawing, `#` marks a step
//! that takes part:
//!
//! ```text
//!        lengths [3, 1]          mask, row 0 without t1        resets before t2 of row 0
//!         b0   b1                 b0   b1                       b0   b1
//!    t0   #    #                  #    #                        #    #
//!    t1   #    .                  -    #                        #    #
//!    t2   #    .                  #    #                        0#   #
//! ```
//!
//! | | the step | its output | gradients |
//! |---|---|---|---|
//! | [`lengths`](crate::Sequences::lengths): past the end | does nothing | 0 | 0, exactly |
//! | [`mask`](crate::Sequences::mask): `false` | carries the state over | the carried `h`, or 0: [`Masked`](crate::Masked) | pass through unchanged |
//! | [`resets`](crate::Sequences::resets): `true` | starts from a state of zero | as usual | stop there |
//!
//! Lengths may be in any order, and may be 0. The last state of each row is that of its own last step. A
//! layer in [`reverse`](crate::Recurrent::reverse) starts at the end of each row. Its outputs stay at the
//! step of their input. Recurrent layers, pools and losses never read padding, so padding may be NaN. Models
//! have two exceptions: see [`model`](crate::model#ids-or-values). The example `masking` shows all of this,
//! and what goes wrong without it.
