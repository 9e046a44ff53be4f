//! Adding an instruction set: one file, and one line.
//!
//! An instruction set is a token, a type without content. Who holds one has proof that the CPU can run it, because tokens are made only by
//! `dispatch`, from an [`Isa`](crate::Isa) that was detected. All kernels are generic over the token; none names a CPU.
//!
//! # The file
//! `src/simd/NAME.rs`. `neon.rs` and `wasm.rs` are the shortest to learn from, `avx512.rs` shows masks.
//!
//! 1. `impl Vectors`: the name; whether `fma` rounds once (`FUSED`); `available()`; `new()`, which only `dispatch` calls; and
//!    `Single`, the set's multiply-add for single elements, which runs over canonical weights.
//! 2. `impl MulAdd for` that single type, unless `Separate` serves (two roundings).
//! 3. `impl Simd`: about twenty operations. Each is the IEEE 754 one, lane by lane, also for NaN and signed zeros as its comment says:
//!    `min` and `max` give their second operand where one is NaN, which not all hardware does by itself.
//!
//! | constant | what it decides |
//! |---|---|
//! | `LANES` | the width of panels; fixed, so scalable vectors are used at one width |
//! | `ACCUMULATORS` | how many sums a tile keeps, which is registers less those for what is loaded: 24 of 32, 12 of 16 |
//!
//! `call` compiles a region for the set: a function with `#[target_feature(enable = "...")]` inside of it, or a plain `#[inline(never)]` one
//! where the target always has the set. All else is `#[inline(always)]`. `load_n` and `store_n` touch `n` elements and no more: use masked moves where
//! there are some, because memory past the end may not exist.
//!
//! Some operations have defaults that a set replaces only where it is faster as a whole: `pin`, `chains`, `sums`, `sigmoid`, `tanh`.
//! What they compute stays the same, to the bit.
//!
//! # The line
//! In `src/simd/mod.rs`: the module, with the `cfg` of its target; in `src/simd/isa.rs`: an entry of
//! `vector_sets!`, the best set first. From it follow detection, [`Isa::available`](crate::Isa::available),
//! dispatch, and the lengths of packed buffers, which are rounded to the widest set of the target.
//!
//! # The tests
//! They run over `Isa::available()`, so there is nothing to register:
//!
//! ```sh
//! cargo test --lib                      # every operation against its definition; exp, sigmoid and tanh within their errors
//! cargo test --test bits --test golden --test gradients
//! ```
//!
//! A fused set has to have the bits of `Isa::FUSED`, any other those of `Isa::SCALAR`. That makes a wrong shuffle or mask visible at once.
//!
//! - `.ci/asm-check` looks for intrinsics that were left as calls, by names of modules: add the new one to its pattern.
//! - If this machine cannot run the set, add a script to `.ci/` that runs the tests in an emulator, as `.ci/aarch64` (QEMU), `.ci/avx512`
//!   (Bochs) and `.ci/wasm` (Node) do. Make it a step of `.ci/run`, unless it takes as long as Bochs.
//! - `cargo bench --bench cells`, `sequences` and `training`, before and after, with the CPU: `ACCUMULATORS` is worth trying out.
//!
//! # Rules
//! - `core`'s architecture modules are named in `src/simd/` only; `.ci/run` looks.
//! - Every block that needs it says why it is sound; a macro for the intrinsics, as in `avx2.rs`, says it once.
//! - No shortcuts with other bits: no reciprocal estimates, no flushing of subnormals, no sums in another order.
