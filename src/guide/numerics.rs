//! What has the same bits and what has not, and how far off results are.
//!
//! # The same bits
//! Each output of a product is one chain of multiply-adds, in the order bias, inputs, hidden state, in every kernel and for every
//! width of vectors; each activation is one polynomial, with the same operations everywhere. From that follows, on one kind of rounding:
//!
//! | these have the same bits | |
//! |---|---|
//! | a sequence whole, in chunks, step by step | outputs, states |
//! | a row alone, in a batch, with padding | outputs, states, gradients of inputs and of initial states |
//! | packed and canonical weights | outputs, states |
//! | `forward` and `forward_train` | outputs, states |
//! | the two directions one after the other, or on two [`Threads`](crate::Threads) | everything |
//! | a [`Trainer`](crate::trainer::Trainer) on any number of threads; saved, loaded and gone on with the same generators | everything |
//! | AVX2, AVX-512, NEON, Cortex-M4F and others, `Isa::FUSED` | everything |
//! | `Isa::SCALAR`, WebAssembly, Cortex-M0, RISC-V | the same among themselves |
//!
//! ```
//! use recurrent::{Forward, Lstm, Sequences};
//! const LAYER: Lstm = Lstm::new(2, 5);
//! let weights: Vec<f32> = (0..LAYER.weights_len()).map(|i| (i as f32 * 0.7).sin()).collect();
//! let x: Vec<f32> = (0..8 * 2).map(|i| (i as f32).cos()).collect();
//! let packed = LAYER.pack(&weights, vec![0.0; LAYER.packed_len()])?;
//! let mut scratch = vec![0.0; LAYER.scratch_len(8, 1)];
//!
//! let (mut whole, mut y) = (vec![0.0; LAYER.state_len(1)], vec![0.0; 8 * 5]);
//! let sequences = Sequences::new(8, 1);
//! LAYER.forward(&packed, Forward { sequences, x: &x, y: &mut y, state: &mut whole, scratch: &mut scratch })?;
//!
//! let mut stepped = vec![0.0; LAYER.state_len(1)];
//! for x in x.chunks(2) {
//!     LAYER.step(&weights, x, &mut stepped, &mut scratch)?; // canonical weights, for a change
//! }
//! assert_eq!(whole, stepped); // not nearly: exactly
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! `tests/bits` computes checksums of every cell, forward and backward, and `.ci/bits` compares those of x86, aarch64, WebAssembly and Cortex-M.
//!
//! # Not the same bits
//! - **Fused and separate rounding.** A fused multiply-add rounds once, others twice. [`Isa::is_fused`](crate::Isa::is_fused) tells which; results
//!   differ in the last places, and a training that goes on long enough ends elsewhere.
//! - **Large gradients on `Isa::SCALAR` with the feature `matrixmultiply`** (a default). Gradients of weights, and of attention's keys, are
//!   sums over all rows. From 2^18 multiply-adds on, that crate computes them on this one set, in an order that depends on the CPU.
//!   On all others they are chains like all sums, with the feature and without.
//! - **What is said of sequences.** A gradient of weights adds up rows as they lie in memory if they lie at one distance,
//!   otherwise in the order of the steps. The former are those of recurrent layers without
//!   [lengths](crate::Sequences::lengths) and [mask](crate::Sequences::mask); for `w_hh` they are also time-major (or of one row), and
//!   without [resets](crate::Sequences::resets) and recurrent dropout. So lengths that cut nothing off, or resets that are all `false`, may
//!   change the last bits of gradients of layers in reverse. And batch-major rows lie in another order than time-major ones.
//! - **Sums over other rows.** The gradient of a weight is a sum over the batch and the steps. Other batches, chunks, or
//!   [shards](crate::trainer::Trainer::shards) add in another order.
//! - **Other frameworks.** Their sums have other orders, and their activations other errors.
//!
//! To have the same training everywhere: the same seed, and a fused set on every machine. A model's loss is computed on the set of its last layer.
//!
//! Generators of random numbers are yours; a seed of `rand_xoshiro` gives the same weights on every machine.
//!
//! # Errors
//! Greatest errors over all floats, with fused multiply-adds; they are the constants of the tests.
//!
//! | | greatest error | |
//! |---|---|---|
//! | `tanh` | 1.08 ulp | odd to the bit, monotone |
//! | `sigmoid` | 9.0e-8; 2.3 ulp above -16 | monotone; 0 below -88.4 |
//! | `exp` | 1.04 ulp | monotone; infinity from 88.73 on |
//! | the other [activations](crate::Activation) | 1.7 units of 2^-23 | and their derivatives |
//!
//! With separate rounding the bounds are the same, but for the sigmoid's 10.2 ulp. The example `activations` plots the errors.
//! Outputs and gradients agree with PyTorch's and Keras' in f64 to 1e-5 of the largest entry.
//!
//! Weights, states and sums are f32. Losses, norms of gradients and the sums of a softmax are added up in f64, so that many rows or weights
//! stay exact. Means over time and gradients of biases keep what their rounding loses, and are good to 1e-6 over any number of rows.
//!
//! Gradients of weights and of embeddings are chains in f32 over all rows of a batch. Where the terms are about the same, each addition rounds the same
//! way: such a sum may be off by 1.5e-8 of itself for each row, which is a hundredth over a million rows (steps times batch), here as in PyTorch. The
//! [shards](crate::trainer::Trainer::shards) of a batch, which are added in a binary tree, and batches whose
//! gradients are [added up](crate::trainer::Trainer::update_accumulated), have chains of their own, which are
//! shorter.
//!
//! Layers without options keep the values of their gates for the backward pass, so that derivatives near saturation, `1 - y^2` and `y - y^2`, are off by up to
//! 1.2e-7 absolute, which is much of a small derivative: a gradient that passes only through units at arguments of 5 keeps four digits. Layers with
//! options keep the arguments, and the derivatives of tanh, sigmoid and ELU are good to 2e-6 of themselves.
//!
//! Options may let states grow. Sums of states of hundreds are rounded to some 1e-4, and a derivative at a sum that is small is off by as much. No backward
//! pass makes up for it: the same gradients of weights that are off by half a unit in their last place are as far away. So gradients are good to 1.2e-5 of the
//! largest entry, or to six times what half a unit in the last place of all weights changes, whichever is more.
//!
//! # NaN, infinity, padding
//! - NaN goes in, NaN comes out: no activation and no clip hides it. [`Pool::Max`](crate::Pool::Max) gives NaN if a step is NaN. The bits of a NaN
//!   (its sign and payload) are not specified.
//! - Padding is not read by recurrent layers, attention, pools and losses, so it may be NaN without a trace.
//! - Clipping returns `None` for gradients that are not finite, and leaves them. A [`Trainer`](crate::trainer::Trainer) skips that update, and goes
//!   back to the states before it: [`Update::norm`](crate::trainer::Update::norm) is `None`, and after
//!   [so many](crate::trainer::Trainer::max_skipped) in a row a training stops with an error.
//!   [`is_finite`](crate::trainer::Trainer::is_finite) looks at weights, moments and carried states.
//! - Softmax, losses and sampling take logits relative to the greatest, so that none is too large. Minus infinity rules a class out.
//! - [`argmax`](crate::argmax) and sampling refuse NaN, and logits that are all minus infinity, with an error.
//! - An infinite argument gives the limit of the activation.
//!
//! # Subnormal numbers
//! When the input goes silent, the state of a layer without biases, or of one whose biases leave it at zero, dies away, and passes through
//! numbers below 1.2e-38 on its way. Most CPUs are slow with them, so that the quietest steps take longest. Results are exact all the
//! same: nothing here flushes them, because a flush has other bits on other CPUs.
//!
//! A thread that has a deadline, of audio for one, flushes its own state between blocks of a few dozen steps. What is below 1e-20 is inaudible, and
//! far enough from the subnormals that none arise within the next block:
//!
//! ```
//! use recurrent::{Activation, Rnn};
//! const LAYER: Rnn = Rnn::new(1, 2).activation(Activation::Relu).bias(false);
//! let weights = [1.0, 1.0, /**/ 0.5, 0.0, 0.0, 0.5]; // halves its state with each step
//! let (mut state, mut scratch) = ([1.0; 2], [0.0; LAYER.scratch_len(1, 1)]);
//! for block in 0..4 {
//!     for _ in 0..32 {
//!         LAYER.step(&weights, &[0.0], &mut state, &mut scratch)?;
//!         assert!(state.iter().all(|h| *h == 0.0 || h.is_normal()));
//!     }
//!     state.iter_mut().filter(|h| h.abs() < 1e-20).for_each(|h| *h = 0.0);
//! }
//! assert_eq!(state, [0.0; 2]); // 1e-29 before it was flushed, and on its way to 1e-38
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! `cargo bench --bench silence` measures it. The CPU's mode that flushes (FTZ and DAZ of MXCSR, FZ of FPCR) helps as much if the host of a plugin has
//! set it; results are then those of other bits, and Rust specifies no code that runs in it.
