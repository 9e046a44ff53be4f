//! Which vectors a pass runs on, and who decides.
//!
//! Nothing has to be done: every pass takes the best instruction set of the CPU (layers of up to 8 units AVX2, and not AVX-512). [`Isa`](crate::Isa) is the value that names one.
//!
//! | target | sets, the best first | decided |
//! |---|---|---|
//! | x86-64 | AVX-512 (`avx512`), AVX2 with FMA (`avx2`), `scalar` | when the program runs |
//! | aarch64 | `neon` | by the target |
//! | WebAssembly with `simd128`: `RUSTFLAGS=-Ctarget-feature=+simd128` | `simd128` | by the target |
//! | Arm's M profile with an FPU, Cortex-M4F, M7, M33, ...: targets on `eabihf` | `fused`, in assembly | by the target |
//! | all others: Cortex-M0, RISC-V, WebAssembly without vectors, ... | `scalar` | by the target |
//!
//! An x86 without AVX2 or FMA runs `scalar`: slower, and with other bits. So does a Cortex-M4F that is compiled for `thumbv7em-none-eabi`.
//!
//! `scalar` and `fused` are portable and exist everywhere: four elements at a time in plain Rust. `scalar` rounds products and sums one after the
//! other; `fused` rounds them once, which a CPU without the instruction has to do in software, slowly. It is there to have on any machine
//! the bits of the fused ones.
//!
//! # Detection
//! With `std` an x86 is asked by the standard library, without it by the crate `cpufeatures`. Both ask the CPU and whether the
//! operating system keeps the registers, both remember the answer, so that a program compiled for any x86-64 runs
//! on all of them. `-C target-cpu=native` is not needed, and gains nothing in the kernels.
//!
//! The choice is made once for each pass, at its start, and the whole time loop runs in code that was compiled for that set. In
//! firmware the target decides, so that the choice is a constant and the other code is not in the image.
//!
//! ```
//! use recurrent::Isa;
//! let best = Isa::detect();
//! println!("{}: {} lanes, fused: {}", best.name(), best.lanes(), best.is_fused());
//! assert!(Isa::available().any(|isa| isa == best));
//! ```
//!
//! # Pinning
//! `on` pins a layer to a set: to test it, to measure it, or to have the bits of another machine.
//! An `Isa` is a proof that this CPU can run the set, so it comes from [`detect`](crate::Isa::detect) and
//! [`available`](crate::Isa::available); only the portable sets are constants: [`SCALAR`](crate::Isa::SCALAR), and with
//! the feature `reference` `FUSED`.
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
//! Recurrent layers, [stacks](crate::Stack::on), [dense layers](crate::Dense::on) and [attention](crate::Attention::on) can be pinned,
//! also inside of a [`Model`](crate::model::Model). Losses, softmax, sampling, clipping and optimisers have no state to be pinned with: they
//! take the best set.
//!
//! # Packed weights
//! The width of a panel is that of a vector, so packed weights belong to the set that they were packed for, and passes over them run on it.
//! A layer that is pinned to another one refuses them ([`Error::Packing`](crate::Error::Packing)). The length of the buffer is that of the
//! widest set of the target, and does not depend on what is detected. Do not write panels to a file: pack again where it is read.
//!
//! Canonical weights are used one unit at a time, with the set's rounding but without its vectors: right for a
//! microcontroller, slow elsewhere. Training passes pack for themselves.
//!
//! # To see what it is worth
//! `cargo bench --bench cells` measures layers on every set that the CPU has. What runs on which rounding, and whose bits are the
//! same, is the matter of [`numerics`](super::numerics).
