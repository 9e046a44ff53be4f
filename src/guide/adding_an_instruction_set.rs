//! Adding an instruction set: one file, and one line.
//!
//! An instruction set is a token: a type without content. Whoever holds a token has proof that the CPU can
//! run the set, because only `dispatch` makes tokens, from an [`Isa`](crate::Isa) that was detected. All
//! kernels are generic over the token. None of them names a CPU.
//!
//! # The file
//! Write `src/simd/NAME.rs`. `wasm.rs` is the shortest example; `avx512.rs` shows masks.
//!
//! 1. `impl Vectors`: the name; whether `fma` rounds once (`FUSED`); `available()`; `new()`, which only
//!    `dispatch` calls; and `Single`, the multiply-add of the set for single elements, which passes over
//!    canonical weights use.
//! 2. `impl MulAdd for` the type of `Single`, unless you can use `Separate` (two roundings).
//! 3. `impl Simd`: about twenty operations. Each is the IEEE 754 operation, lane by lane. Its comment says
//!    what holds for NaN and signed zeros: `min` and `max` return their second operand if one is NaN, which
//!    not all hardware does by itself. `narrow_in_arrays!(LANES)` supplies those of narrow weights, one lane
//!    at a time, until there is code for them.
//!
//! | constant | what it decides |
//! |---|---|
//! | `LANES` | the width of panels. It is fixed, so scalable vectors are used at one width |
//! | `ACCUMULATORS` | how many sums a tile keeps: the registers minus those for loaded values. 24 of 32, 12 of 16 |
//!
//! `call` compiles a region for the set: with a function inside it that has
//! `#[target_feature(enable = "...")]`, or with a plain `#[inline(never)]` function if the target always has
//! the set. Everything else is `#[inline(always)]`. `load_n` and `store_n` access exactly `n` elements,
//! because memory past the end may not exist. Use masked moves if the set has them.
//!
//! Some operations have defaults: `pin`, `keep_rolled`, `largest`, `chains`, `sums`, `sigmoid`, `tanh`.
//! Replace them only if the result is faster as a whole. The replacement must compute the same, to the
//! bit. If the set has a dot product of bytes, `DOT` and the methods after it use it for weights of 8
//! bits.
//!
//! # The line
//! In `src/simd/mod.rs`, add the module, with the `cfg` of its target. In `src/simd/isa.rs`, add an entry to
//! `vector_sets!`, where the best set comes first. From this follow detection,
//! [`Isa::available`](crate::Isa::available), dispatch, and the lengths of packed buffers, which are rounded
//! up for the widest set of the target.
//!
//! # The tests
//! The tests run over `Isa::available()`, so they need no registration:
//!
//! ```sh
//! cargo test --lib                      # every operation against its definition; exp, sigmoid and tanh within their errors
//! cargo test --test bits --test golden --test gradients
//! ```
//!
//! A fused set must have the bits of `Isa::FUSED`, any other set those of `Isa::SCALAR`. So a wrong shuffle
//! or mask shows at once.
//!
//! - `.ci/asm-check` looks for intrinsics that were left as calls, by names of modules: add the new module to
//!   its pattern.
//! - If this machine cannot run the set, add a script to `.ci/` that runs the tests in an emulator, as
//!   `.ci/aarch64` (QEMU), `.ci/avx512` (Bochs) and `.ci/wasm` (Node) do. Make it a step of `.ci/run`, unless
//!   it takes as long as Bochs.
//! - Run `cargo bench --bench cells`, `sequences` and `training` before and after, and report the CPU. Try
//!   other values of `ACCUMULATORS`.
//!
//! # Rules
//! - Only `src/simd/` may name the architecture modules of `core`; `.ci/run` checks this.
//! - Every `unsafe` block says why it is sound. A macro for the intrinsics, as in `avx2.rs`, says it once.
//! - Do not take shortcuts that change bits: no reciprocal estimates, no flushing of subnormals, no sums in
//!   another order.
