//! Which vector instructions a pass uses, and who decides.
//!
//! You do not have to do anything: every pass uses the best instruction set of the CPU. Exception: layers of
//! up to 8 units use AVX2 even if the CPU has AVX-512. The type [`Isa`](crate::Isa) names an instruction set.
//!
//! | target | sets, the best first | decided |
//! |---|---|---|
//! | x86-64 | AVX-512 (`avx512`), AVX2 with FMA (`avx2`), `scalar` | when the program runs |
//! | aarch64 | `neon` | by the target |
//! | WebAssembly with `simd128`: `RUSTFLAGS=-Ctarget-feature=+simd128` | `simd128` | by the target |
//! | Arm's M profile with an FPU, Cortex-M4F, M7, M33, ...: targets that end in `eabihf` | `fused`, with loops in assembly | by the target |
//! | all others: Cortex-M0, RISC-V, WebAssembly without vectors, ... | `scalar` | by the target |
//!
//! An x86 CPU without AVX2 or FMA runs `scalar`, which is slower and gives other bits. A Cortex-M4F runs
//! `scalar`, too, if the program is compiled for `thumbv7em-none-eabi`.
//!
//! `scalar` and `fused` are portable: four elements at a time, in plain Rust. On x86-64 `scalar` uses SSE2,
//! which every such CPU has. A target has the one that its passes use. With the feature `reference` it has
//! both.
//! `scalar` rounds after the multiplication and again after the addition. `fused` rounds once. A CPU without
//! a fused multiply-add has to do that in software, slowly. `fused` exists so that any machine can compute
//! the bits of the fused sets.
//!
//! Integer weights ([`narrow_weights`](crate::guide::narrow_weights)) also use a dot product of bytes if the
//! CPU has it: AVX-512 VNNI with `avx512`, AVX-VNNI with `avx2`, and the extension `dotprod` with `neon`
//! ([`has_dot_product`](crate::Isa::has_dot_product)). It changes no bits.
//!
//! # Detection
//! With `std`, the standard library detects the features of an x86 CPU; without it, the crate `cpufeatures`
//! does. Both also check that the operating system saves the registers, and both remember the answer. So a
//! program that is compiled for any x86-64 runs on all of them. `-C target-cpu=native` is not needed, and
//! does not make the kernels faster. On aarch64 only the standard library detects `dotprod`; without `std`,
//! compile the program with `-C target-feature=+dotprod` to use it.
//!
//! The choice is made once for each pass, at its start. The whole loop over the steps runs in code that was
//! compiled for that set. In firmware the target decides: the choice is a constant, and the image does not
//! contain the other code.
//!
//! ```
//! use recurrent::Isa;
//! let best = Isa::detect();
//! println!("{}: {} lanes, fused: {}", best.name(), best.lanes(), best.is_fused());
//! assert!(Isa::available().any(|isa| isa == best));
//! ```
//!
//! # Pinning
//! `on` pins a layer to a set. Use it to test or measure a set, or to get the bits of another machine. An
//! `Isa` is a proof that this CPU can run the set. Therefore it comes from [`detect`](crate::Isa::detect) or
//! [`available`](crate::Isa::available). Only the portable sets are constants:
//! [`SCALAR`](crate::Isa::SCALAR), and with the feature `reference` also `FUSED`.
//!
//! ```
//! use recurrent::{Gru, Isa};
//! let weights = vec![0.1; Gru::new(3, 5).weights_len()];
//! let run = |layer: Gru| {
//!     let (mut state, mut scratch) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.scratch_len(1, 1)]);
//!     layer.step(&weights, &[1.0, -2.0, 0.5], &mut state, &mut scratch)?;
//!     Ok::<_, recurrent::Error>(state)
//! };
//! let best = Isa::detect();
//! for isa in Isa::available().filter(|isa| isa.is_fused() == best.is_fused()) {
//!     assert_eq!(run(Gru::new(3, 5).on(isa))?, run(Gru::new(3, 5).on(best))?); // to the bit
//! }
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! Recurrent layers, [stacks](crate::Stack::on), [dense layers](crate::Dense::on) and
//! [attention](crate::Attention::on) can be pinned, also inside a [`Model`](crate::model::Model). Losses,
//! softmax, sampling, clipping and optimisers are functions without such a setting: they use the best set.
//!
//! # Packed weights
//! The width of a panel is the width of a vector. So packed weights belong to the set that they were packed
//! for, and passes over them use that set. A layer that is pinned to another set rejects them
//! ([`Error::Packing`](crate::Error::Packing)). The length of the buffer is computed for the widest set of
//! the target, so it does not depend on what is detected. Do not write panels to a file: save canonical
//! weights, and pack them where the file is read.
//!
//! Passes over canonical weights compute one unit at a time, with the rounding of the set but without its
//! vectors. That suits a microcontroller and is slow elsewhere. Training passes pack by themselves.
//!
//! # How much a set gains
//! `cargo bench --bench cells` measures layers on every set that the CPU has. The chapter
//! [`numerics`](super::numerics) says which sets round in which way, and whose bits are the same.
