//! The loops over memory: packing, tiles, products, activations, elementwise passes.
//!
//! Everything here is generic over the instruction set and knows no cell: a cell hands in its
//! [`Equations`], which see registers only. This folder and `simd/` are the only ones with `unsafe`;
//! the functions that the floors above call are safe, because each checks once, on entry, that its
//! slices hold what its dimensions say. It may import `simd` and `error`.
//!
//! | file | what it does |
//! |---|---|
//! | `math` | exp, sigmoid, tanh as polynomials |
//! | `tile` | the loop over tiles, and the chain of multiply-adds inside of one |
//! | `pack` | canonical weights to gate-interleaved panels |
//! | `recur` | one step of a cell over a batch, forward and backward, and the input projection |
//! | `second` | the second stage of a cell that has two |
//! | `gemm` | plain products; the only file that names `matrixmultiply` |
//! | `walk` | which row of a sequence buffer is next |
//! | `softmax` | the parts of a softmax |
//! | `elementwise` | sums, scales, optimiser updates |

pub(crate) mod elementwise;
pub(crate) mod gemm;
pub(crate) mod math;
pub(crate) mod pack;
pub(crate) mod recur;
pub(crate) mod second;
pub(crate) mod softmax;
pub(crate) mod tile;
pub(crate) mod walk;

pub(crate) use recur::{Equations, Layout, Next, Prev};
pub(crate) use walk::Walk;

/// Marks an accumulator that takes no bias of one side.
pub(crate) const NONE: usize = usize::MAX;
