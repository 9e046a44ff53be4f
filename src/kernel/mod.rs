//! The loops over memory: packing, sums of products, steps, activations, elementwise passes.
//!
//! Everything here is generic over the instruction set and knows no cell: a cell hands in its
//! [`Equations`](step::Equations), which see registers only. This folder and `simd/` are the only ones with `unsafe`;
//! the functions that the floors above call are safe: each checks once, on entry, that its slices and weights hold what its
//! dimensions say, and reports [`Wrong`] if they do not: that is a bug of the floor above. What else they rely on stands below. It may
//! import `simd` and `error`.
//!
//! No kernel exists once for each instruction set: `simd/neon.rs` and its like supply operations only.
//!
//! | room | what it does | may import |
//! |---|---|---|
//! | `vector` | whole vectors and the rest of a row | |
//! | `rows` | which rows take part in a step, and where they stand | |
//! | `panel` | weights in panels, and all that multiplies | `rows`, `vector` |
//! | `pointwise` | exp, sigmoid, tanh, other activations, softmax, updates of weights, sums over rows | `panel`, `rows`, `vector` |
//! | `narrow` | matrices of 16 or 8 bits, and what multiplies them | `panel`, `rows`, `vector`, `bytes` |
//! | `step` | one step of a cell over a batch, forward and backward | all of them |
//! | `bytes` | floats where they stand in bytes | |
//!
#![doc = include_str!("SAFETY.md")]

pub(crate) mod bytes;
pub(crate) mod narrow;
pub(crate) mod panel;
pub(crate) mod pointwise;
pub(crate) mod rows;
pub(crate) mod step;
pub(crate) mod vector;

pub use narrow::Narrow;
pub use pointwise::activation::Activation;
pub(crate) use pointwise::activation::Slot;
pub use rows::walk::Masked;
pub(crate) use rows::walk::{Plan, Walk};

// The floors above name what they use by its file.
pub(crate) use panel::{canonical, gather, gemm, pack, product};
pub(crate) use pointwise::{
    activation, additive, alignment, columns as elementwise, finish, softmax, update,
};
pub(crate) use rows::{view, walk};

/// A kernel was called with buffers or weights that do not belong together: a bug of this crate. It names the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(&'static str);

/// Whether a kernel's arguments belong together.
pub(crate) type Checked = core::result::Result<(), Wrong>;

/// Reports a kernel whose arguments do not fit.
#[inline(always)]
pub(crate) fn check(fits: bool, kernel: &'static str) -> Checked {
    if fits { Ok(()) } else { Err(Wrong(kernel)) }
}

impl From<Wrong> for crate::error::Error {
    #[cold]
    fn from(Wrong(what): Wrong) -> Self {
        crate::error::Error::Internal { what }
    }
}
