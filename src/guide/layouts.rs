//! Layouts and lengths: how numbers lie in the buffers, how long each buffer is, and what becomes of padding.
//!
//! Every buffer is a flat slice of `f32` that you own. Shapes are row-major: the last letter of `[T, B, I]` runs fastest.
//! `T` steps, `B` batch rows, `I` inputs, `H` hidden units, `G` gates, `R` the width of the hidden state (`H`, unless an LSTM has a
//! [projection](crate::Lstm::projection)).
//!
//! # Sequences
//! Time-major is what you get without asking; [`batch_major`](crate::Sequences::batch_major) is for data that lies the other way.
//! Nothing is copied for it. (Gradients of weights add up its rows in another order, so they end in other bits: [`numerics`](super::numerics).) For
//! three steps of two rows:
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
//! assert_eq!(state, same); // a state has no time
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Weights
//! One slice in PyTorch's order. A matrix has a block of `H` rows for each gate: `i f g o` of an LSTM, `r z n` of a GRU, `f n` of an MGU.
//!
//! ```text
//! | w_ih [G*H, I]                        | w_hh [G*H, R]        | b_ih [G*H] | b_hh [G*H] |  w_hr [R, H]  | peepholes [3, H] |
//! | i: H rows | f: H rows | g ... | o ...| i | f | g | o        | i f g o    | i f g o    |  if projected | if any: i f o    |
//! ```
//!
//! Gradients and the moments of optimisers have the same order, so that a checkpoint is a copy and a clip is a loop. Of a
//! [`Stack`](crate::Stack) the layers follow one another, each with its reverse direction behind it; of a [`Model`](crate::model::Model)
//! the layers from the input to the output. [`weights`](crate::Recurrent::weights) and [`weights_mut`](crate::Recurrent::weights_mut) are
//! views with names, and their `gate` finds one gate's blocks:
//!
//! ```
//! use recurrent::{Lstm, LstmGate};
//! let layer = Lstm::new(3, 2);
//! let mut flat = vec![0.0; layer.weights_len()];
//! layer.weights_mut(&mut flat)?.gate(LstmGate::Forget).b_ih.fill(1.0);
//! let b_ih = 4 * 2 * (3 + 2); // behind both matrices
//! assert_eq!(flat[b_ih..b_ih + 8], [0.0, 0.0, /* f */ 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Packed weights
//! [`pack`](crate::Recurrent::pack) makes panels for a vector instruction set: the gates of as many units as a vector has lanes lie together
//! for each input, so that one pass over a panel makes all gates of these units in registers.
//!
//! ```text
//! panel of units 0..L    bias [gates][L] | x0: [gates][L] | x1: [gates][L] | ... | h0: [gates][L] | h1: ...
//! panel of units L..2L   ...                                        L lanes; units past the last one are zero
//! ```
//!
//! Pack once, run often. Panels belong to one layer and one instruction set, which passes check; save the canonical weights,
//! not the panels. Passes that train take canonical weights, because these change with each update. A microcontroller does not pack:
//! [`step`](crate::Recurrent::step) reads canonical weights where they are. Both ways give the same bits.
//!
//! # State
//! What a sequence remembers: `h [B, R]`, and for an LSTM `c [B, H]` behind it (all rows of `h` first). You make it zero for a
//! new sequence; every pass reads it and leaves the last one in its place. So a long sequence may come in chunks, or step by step, as long
//! as the state is kept. Of a stack: the states of its layers and directions, one after the other.
//!
//! # Tape and scratch
//! The **tape** is what a training forward keeps for the backward pass. It is opaque, and drawn here only so that its length makes sense.
//! The initial hidden states come first. Then it has a row for each row of `x`, of some planes of `H`:
//!
//! ```text
//! | h0 [B, R] | row 0: i f g o c | row 1: i f g o c | ...        LSTM; with a projection R more at the end of each row
//! ```
//!
//! | cell | planes, after the forward pass | after the backward pass |
//! |---|---|---|
//! | RNN | `h` | gradient of its sum |
//! | LSTM | `i f g o`, and the `c` before the step | gradients of the four sums, and `c` |
//! | GRU | `r z n q` with `q = W_hn h + b_hn` | gradients of the four sums: that of `n` as inputs see it, that of `q` as `h` does |
//! | GRU, reset before | `r z n`, and `r * h` | gradients of three sums, and `r * h` |
//! | MGU | `f n 0`, and `f * h` | gradients of two sums, a part of the first, and `f * h` |
//!
//! A layer with [options](crate::Recurrent#options) keeps sums in the places of activated gates (some activations cannot be differentiated
//! from their value), and the product of a second stage, `W_hn (r * h)`, in the place of its operand until the backward pass. With a
//! projection the backward pass leaves what it multiplies in the place of `c`. A tape serves once.
//!
//! **Scratch** is garbage before and after, may be shared between layers, and its length is a minimum.
//!
//! # Lengths
//! Every length is a `const fn`, so that it can be the length of an array. One that does not fit is `usize::MAX`, and passes refuse it.
//!
//! | buffer | how long | |
//! |---|---|---|
//! | weights, gradients | [`weights_len`](crate::Recurrent::weights_len) | exactly |
//! | `x`, `y`, `dy`, `dx` | their shapes | exactly; `y` and `dy` of a layer may be empty where its fields say so |
//! | state, `dstate` | [`state_len(B)`](crate::Recurrent::state_len) | exactly |
//! | tape | [`tape_len(T, B)`](crate::Recurrent::tape_len) | exactly |
//! | packed | [`packed_len`](crate::Recurrent::packed_len) | at least |
//! | scratch of inference | [`scratch_len(T, B)`](crate::Recurrent::scratch_len), for a step `(1, B)` | at least |
//! | scratch of training | [`train_scratch_len(B)`](crate::Recurrent::train_scratch_len), of stacks and models `(T, B)` | at least |
//!
//! # Ragged rows, masks, resets
//! [`Sequences`](crate::Sequences) says which steps of which rows take part. `#` takes part:
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
//! | [`mask`](crate::Sequences::mask): `false` | carries the state over | the carried `h`, or 0: [`Masked`](crate::Masked) | go past it |
//! | [`resets`](crate::Sequences::resets): `true` | starts from a state of zero | as usual | stop there |
//!
//! Lengths come in any order, and may be 0. Each row's last state is that of its own last step. A layer in
//! [`reverse`](crate::Recurrent::reverse) starts at each row's own end, and its outputs stay at the step of their input. What stands in
//! padding is never read by recurrent layers, pools and losses, so it may be NaN; the two exceptions of models are in
//! [`model`](crate::model#ids-or-values). The example `masking` shows all of this, and what goes wrong without it.
