//! The loops over memory: packing, tiles, products, activations, elementwise passes.
//!
//! Everything here is generic over the instruction set and knows no cell: a cell hands in its
//! [`Equations`], which see registers only. This folder and `simd/` are the only ones with `unsafe`;
//! the functions that the floors above call are safe: each checks once, on entry, that its slices and weights hold what its
//! dimensions say. What else they rely on stands below. It may import `simd` and `error`.
//!
//! No kernel exists once for each instruction set: `simd/neon.rs` and its like supply operations only. The epilogue of a step, from
//! the sums of its gates to `h` and `c`, is a cell's `Equations::forward`, which `recur/forward.rs` calls in `finish`; with options it is
//! `Pointwise::forward`, which `recur/pointwise.rs` calls.
//!
//! | file | what it does |
//! |---|---|
//! | `math`, `activation` | exp, sigmoid, tanh as polynomials; the other activation functions |
//! | `canonical` | the parts of a layer's weights |
//! | `tile` | the loop over tiles, and the chain of multiply-adds inside of one |
//! | `pack` | canonical weights to gate-interleaved panels |
//! | `recur` | one step of a cell over a batch, forward and backward, fused or with options, and the input projection |
//! | `second` | the second stage of a cell that has two |
//! | `product` | rows times packed panels |
//! | `gemm`, `gather` | sums over rows; `gemm` is the only file that names `matrixmultiply` |
//! | `view` | some columns of a matrix |
//! | `walk` | which rows take part in a step, and where they stand |
//! | `softmax` | the parts of a softmax |
//! | `finish` | functions of single elements over slices |
//! | `elementwise` | sums over rows |
//! | `additive` | the scores of additive attention |
//! | `bytes` | floats where they stand in bytes |
//! | `update` | weights by an optimiser |
//!
#![doc = include_str!("SAFETY.md")]

mod activation;
pub(crate) mod additive;
pub(crate) mod bytes;
pub(crate) mod canonical;
pub(crate) mod elementwise;
pub(crate) mod finish;
pub(crate) mod gather;
pub(crate) mod gemm;
pub(crate) mod math;
pub(crate) mod pack;
pub(crate) mod product;
pub(crate) mod recur;
pub(crate) mod second;
pub(crate) mod softmax;
pub(crate) mod tile;
pub(crate) mod update;
pub(crate) mod view;
pub(crate) mod walk;

pub use activation::Activation;
pub(crate) use activation::Slot;
pub(crate) use recur::{Equations, HiddenGate, Layout, Next, Prev};
pub use walk::Masked;
pub(crate) use walk::{Plan, Walk};

/// Marks an accumulator that takes no bias of one side.
pub(crate) const NONE: usize = usize::MAX;
