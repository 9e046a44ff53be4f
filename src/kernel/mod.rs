//! The loops over memory: packing, sums of products, steps, activations, elementwise passes.
//!
//! Everything here is generic over the instruction set and knows no cell: a cell hands in its
//! [`Equations`](step::Equations), which see only registers. Only this folder and `simd/` have `unsafe` code.
//! The functions that the code above calls are safe: each checks once, on entry, that its slices and weights
//! have the sizes that its dimensions say. If they do not, it reports [`Wrong`], which is a bug of the
//! caller. The other invariants are listed below. This folder may import `simd` and `error`.
//!
//! No kernel is written once per instruction set: `simd/neon.rs` and the other files there supply operations
//! only.
//!
//! | folder | what it does | may import |
//! |---|---|---|
//! | `vector` | whole vectors, and the partial vector at the end of a row | |
//! | `rows` | which rows take part in a step, and where they are in the buffers | |
//! | `panel` | weights in panels, and all products | `rows`, `vector` |
//! | `pointwise` | activations, softmax, updates of weights, sums over rows | `panel`, `rows`, `vector` |
//! | `narrow` | matrices of 16 or 8 bits, and products with them | `panel`, `rows`, `vector`, `bytes` |
//! | `step` | one step of a cell over a batch, forward and backward | all of them |
//! | `bytes` | floats as bytes, and bytes as floats | |
//! | `team` | threads, and work cut into parts for them | |
//!
#![doc = include_str!("SAFETY.md")]

pub(crate) mod bytes;
pub(crate) mod narrow;
pub(crate) mod panel;
pub(crate) mod pointwise;
pub(crate) mod rows;
pub(crate) mod step;
pub(crate) mod team;
pub(crate) mod vector;

pub use narrow::Narrow;
pub use pointwise::activation::Activation;
pub(crate) use pointwise::activation::Slot;
pub use rows::walk::Masked;
pub(crate) use rows::walk::{Plan, Walk};

// The code above names what it uses by its file.
pub(crate) use panel::{canonical, gather, gemm, pack, product};
pub(crate) use pointwise::{
    activation, additive, alignment, columns as elementwise, finish, softmax, update,
};
pub(crate) use rows::{taken, view, walk};

/// A kernel was called with buffers or weights that do not belong together: a bug of this crate. The field
/// names the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(&'static str);

#[cfg(not(target_os = "none"))]
impl Wrong {
    /// The caller's `Join` did not run a part. This is the caller's mistake.
    const JOIN: Wrong = Wrong("a part of a step, which the `Join` did not run");
}

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
        #[cfg(not(target_os = "none"))]
        if Wrong(what) == Wrong::JOIN {
            return team::LEFT_OUT;
        }
        crate::error::Error::Internal { what }
    }
}
