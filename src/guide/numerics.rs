//! Which results have the same bits, which do not, and how large errors are.
//!
//! # The same bits
//! Each output of a product is one chain of multiply-adds in a fixed order: bias, inputs, hidden state. This
//! holds in every kernel and for every vector width. Each activation is one polynomial, with the same
//! operations everywhere. Therefore, with the same kind of rounding:
//!
//! | these have the same bits | |
//! |---|---|
//! | a sequence whole, in chunks, step by step | outputs, states |
//! | a row alone, in a batch, with padding | outputs, states, gradients of inputs and of initial states |
//! | packed and canonical weights | outputs, states |
//! | `forward` and `forward_train` | outputs, states |
//! | the two directions one after the other, or on two [`Threads`](crate::Threads) | everything |
//! | a [`Trainer`](crate::trainer::Trainer) on any number of threads; also if it is saved, loaded, and continues with the same generators | everything |
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
//!     LAYER.step(&weights, x, &mut stepped, &mut scratch)?; // canonical weights instead of packed ones
//! }
//! assert_eq!(whole, stepped); // equal to the bit
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! `tests/bits` computes checksums of every cell, forward and backward. `.ci/bits` compares those of x86,
//! aarch64, WebAssembly and Cortex-M.
//!
//! # Not the same bits
//! - **Fused and separate rounding.** A fused multiply-add rounds once. Other instruction sets round twice:
//!   after the product and after the sum. [`Isa::is_fused`](crate::Isa::is_fused) says which. Results differ
//!   in the last places, and a long training ends with different weights.
//! - **Large gradients on `Isa::SCALAR` with the feature `matrixmultiply`** (a default). Gradients of
//!   weights, and of the keys of attention, are sums over all rows. From 2^18 multiply-adds on, that crate
//!   computes them on this one set, in an order that depends on the CPU. On all other sets they are chains
//!   like all sums, with and without the feature.
//! - **`lengths`, `mask` and `resets`.** Weight gradients are summed in memory order for plain sequences, and
//!   in step order otherwise. A sequence is plain if it has no [lengths](crate::Sequences::lengths) and no
//!   [mask](crate::Sequences::mask). For `w_hh` it must also be time-major (or a single row), without
//!   [resets](crate::Sequences::resets) and without recurrent dropout. So lengths that cut nothing off, or
//!   resets that are all `false`, may change the last bits of gradients of layers in reverse. Batch-major
//!   rows have another order in memory than time-major rows.
//! - **Sums over other rows.** The gradient of a weight is a sum over the batch and the steps. Other batches,
//!   chunks, or [shards](crate::trainer::Trainer::shards) give another order.
//! - **Other frameworks.** Their sums have other orders, and their activations have other errors.
//!
//! To get the same training on every machine, use the same seed, and a fused set everywhere. The loss of a
//! model is computed on the set of its last layer.
//!
//! You choose the generators of random numbers. A seed of `rand_xoshiro` gives the same weights on every
//! machine.
//!
//! # Errors
//! These are the largest errors over all floats, with fused multiply-adds. The tests check these bounds.
//!
//! | | largest error | |
//! |---|---|---|
//! | `tanh` | 1.08 ulp | odd to the bit, monotone |
//! | `sigmoid` | 9.0e-8; 2.3 ulp above -16 | monotone; 0 below -88.4 |
//! | `exp` | 1.04 ulp | monotone; infinity from 88.73 on |
//! | the other [activations](crate::Activation) | 1.7 units of 2^-23, relative to the value | and their derivatives |
//!
//! With separate rounding the bounds are the same, except that the sigmoid has 10.2 ulp. The example
//! `activations` plots the errors. Outputs and gradients agree with PyTorch's and Keras' in f64 to 1e-5 of
//! the largest entry.
//!
//! Weights, states and sums are f32. Losses, norms of gradients and the sums of a softmax are added in f64,
//! so that they stay exact over many rows or weights. Means over time and gradients of biases are summed with
//! compensation of the rounding errors. They are good to 1e-6 over any number of rows.
//!
//! Gradients of weights and of embeddings are chains in f32 over all rows of a batch. If the terms are about
//! equal, each addition rounds in the same direction. Such a sum may be off by 1.5e-8 of itself for each row:
//! a hundredth over a million rows (steps times batch), the same as in PyTorch. The
//! [shards](crate::trainer::Trainer::shards) of a batch have separate, shorter chains, which are added in a
//! binary tree. [Accumulated](crate::trainer::Trainer::update_accumulated) batches have separate chains, too.
//!
//! Layers without options keep the values of their gates for the backward pass. So near saturation the
//! derivatives `1 - y^2` and `y - y^2` have an absolute error of up to 1.2e-7, which is large compared with a
//! small derivative. A gradient that passes only through units at arguments of 5 keeps four digits. Layers
//! with options keep the arguments: the derivatives of tanh, sigmoid and ELU have a relative error of 2e-6.
//!
//! Options may let states grow. Sums of states of several hundred have rounding errors of about 1e-4. If such
//! a sum is small, its derivative has an error of the same size. The backward pass cannot repair this:
//! changing the weights by half a unit in their last place changes the gradients as much. Therefore gradients
//! are good to 1.2e-5 of the largest entry, or to six times the change that half a unit in the last place of
//! all weights causes, whichever is more.
//!
//! # NaN, infinity, padding
//! - NaN in the input gives NaN in the output: no activation and no clip hides it.
//!   [`Pool::Max`](crate::Pool::Max) gives NaN if a step is NaN. The bits of a NaN (its sign and payload) are
//!   not specified.
//! - Recurrent layers, attention, pools and losses do not read padding. It may be NaN without any effect.
//! - Clipping returns `None` for gradients that are not finite, and does not change them. A
//!   [`Trainer`](crate::trainer::Trainer) skips such an update and goes back to the states before it.
//!   [`Update::norm`](crate::trainer::Update::norm) is `None` then. After
//!   [`max_skipped`](crate::trainer::Trainer::max_skipped) skipped updates in a row the training stops with
//!   an error. [`is_finite`](crate::trainer::Trainer::is_finite) checks weights, moments and carried states.
//! - Softmax, losses and sampling subtract the largest logit first, so no logit is too large. Minus infinity
//!   excludes a class.
//! - [`argmax`](crate::argmax) and sampling reject NaN, and logits that are all minus infinity, with an
//!   error.
//! - An infinite argument gives the limit of the activation.
//!
//! # Subnormal numbers
//! If the input becomes silent, the state of a layer may decay to zero. This happens without biases, or with
//! biases that keep the state at zero. On its way the state passes through subnormal numbers, below 1.2e-38.
//! Most CPUs are slow with them, so the quietest steps take longest. The results stay exact: this crate does
//! not flush subnormals to zero, because flushing gives other bits on other CPUs.
//!
//! A thread with a deadline, for example in audio, can flush its own state between blocks of a few dozen
//! steps. Values below 1e-20 are inaudible. They are also so far above the subnormals that none appear within
//! the next block:
//!
//! ```
//! use recurrent::{Activation, Rnn};
//! const LAYER: Rnn = Rnn::new(1, 2).activation(Activation::Relu).bias(false);
//! let weights = [1.0, 1.0, /**/ 0.5, 0.0, 0.0, 0.5]; // halves the state in each step
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
//! `cargo bench --bench silence` measures this. The flushing mode of the CPU (FTZ and DAZ of MXCSR, FZ of
//! FPCR) helps as much, if the host of a plugin has set it. Results then have other bits, and Rust does not
//! specify how code behaves in this mode.
