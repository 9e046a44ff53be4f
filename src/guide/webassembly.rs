//! WebAssembly: the crate in a browser, with vectors, without a bundler.
//!
//! Inference, training and images work; threads do not. `examples/web` is a page on which a character
//! model trains and writes; try it first:
//!
//! ```sh
//! rustup target add wasm32v1-none
//! examples/web/build
//! python3 -m http.server -d examples/web/target/page
//! ```
//!
//! # Build
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! recurrent = { version = "0.1", default-features = false }
//!
//! [profile.release]
//! lto = "fat"
//! codegen-units = 1
//! panic = "abort"
//! ```
//!
//! ```sh
//! RUSTFLAGS="-C target-feature=+simd128,+bulk-memory,+sign-ext,+nontrapping-fptoint" \
//!     cargo build --release --target wasm32v1-none
//! ```
//!
//! WebAssembly cannot ask for its instruction set at run time. The compiler's option decides: with `+simd128`
//! the crate uses vectors of 128 bits, otherwise portable code. All current browsers have these vectors. For
//! older ones, compile a second module without, and choose in the page: `WebAssembly.validate` of a few bytes
//! tells, as in `examples/web/page/model.js`.
//!
//! | target | use |
//! |---|---|
//! | `wasm32v1-none` | `no_std`, the smallest module; without narrow weights, as in firmware |
//! | `wasm32-unknown-unknown` | with `std`: `Vec`, [`Trainer`](crate::trainer::Trainer), narrow weights, `wasm-bindgen` |
//!
//! # A module without generated bindings
//! A page needs few functions. They take and return numbers and addresses, and the page reads the module's
//! memory:
//!
//! ```
//! use recurrent::prelude::*;
//!
//! const MODEL: Model<2> = Model::new([Layer::gru(3, 16), Layer::dense(16, 2)]);
//! static WEIGHTS: [f32; MODEL.weights_len()] = [0.01; MODEL.weights_len()]; // yours: from training
//!
//! recurrent::stream! {
//!     struct Recogniser(MODEL);
//! }
//!
//! struct Session {
//!     x: [f32; 3],
//!     recogniser: Recogniser,
//! }
//!
//! /// The class after the next sample, which the page has put into `x`; negative for an error.
//! fn step(session: &mut Session) -> i32 {
//!     let class = session.recogniser.step(&session.x).and_then(|scores| argmax(scores));
//!     class.map_or(-1, |class| class as i32)
//! }
//! # let mut session = Session { x: [0.1, 0.2, 9.8], recogniser: Recogniser::new(&WEIGHTS) };
//! # assert_eq!(step(&mut session), 0);
//! ```
//! An exported function (`#[unsafe(no_mangle)] extern "C"`) calls `step` on a `static` session, and another
//! one returns the address of `x`, which the page wraps in a `Float32Array`. `examples/web/src/border.rs`
//! shows both, and how to get memory without an allocator.
//!
//! # Threads
//! Run the module in a worker, so that training does not block the page; `examples/web/page/worker.js` does.
//! One module uses one thread.
//!
//! # Bits and size
//! WebAssembly has no fused multiply-add. Its results have the bits of `Isa::SCALAR` on every machine, with
//! vectors and without; `.ci/wasm` and `.ci/web` check this. They differ from those of a desktop in the last
//! digits.
//!
//! The module of the example has 313 KB with vectors. Name the cells (the feature `named-forms`) if models
//! are opened at run time, or make the model a constant: then only its cells are in the module. `opt-level =
//! "s"` made the example larger and slower.
