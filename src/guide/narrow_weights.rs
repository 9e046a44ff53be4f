//! Weights of 16 or 8 bits: which to choose, what they cost, and where they pay.
//!
//! A layer that is [`narrow`](crate::Recurrent::narrow) runs from matrices that take a half or a quarter of the memory. Biases, peepholes, states and
//! everything between two products stay `f32`, so every cell, option and direction can be narrow, and so can dense layers and embeddings. It trains as
//! before, from weights in `f32`; [`pack`](crate::model::Model::pack) rounds them.
//!
//! ```
//! use recurrent::{Narrow, model::{Layer, Model}};
//! const WIDE: Model<3> = Model::new([Layer::embedding(96, 64), Layer::lstm(64, 128), Layer::dense(128, 96)]);
//! const MODEL: Model<3> = WIDE.narrow(Narrow::W8A16); // or layer by layer: `Layer::lstm(64, 128).narrow(..)`
//! let weights = vec![0.01; MODEL.weights_len()]; // f32, as trained
//! let packed = MODEL.pack(&weights, vec![0.0; MODEL.packed_len()])?;
//! let (mut state, mut y) = (vec![0.0; MODEL.state_len(1)], vec![0.0; 96]);
//! let mut scratch = vec![0.0; MODEL.scratch_len(1, 1)];
//! MODEL.step(&packed, &[5], &mut y, &mut state, &mut scratch)?;
//!
//! // For a file or for flash: bytes, each matrix in its format, in the order of canonical weights.
//! let mut bytes = vec![0; MODEL.narrow_len()];
//! MODEL.round(&weights, &mut bytes)?;
//! assert!(bytes.len() < 4 * weights.len() / 3);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # From a file
//! ```sh
//! recurrent inspect model.onnx                                  # flash and RAM for each format
//! recurrent convert model.onnx model.img --weights int8         # all matrices
//! recurrent convert model.onnx model.img --weights int8,fc=f16  # one layer otherwise, by its name
//! recurrent convert model.onnx model.img --weights keep         # 16 bits where the file has them
//! recurrent check model.img --against model.onnx --steps 1000   # largest and mean difference of every output
//! ```
//!
//! `convert` says for each layer what rounding does to its weights. Only images hold narrow weights: other formats get
//! the rounded ones in `f32`.
//!
//! A file that has been quantised already keeps its integers: ONNX graphs that `quantize_dynamic` makes with
//! `weight_type=QuantType.QInt8`. With the same integers the outputs are nearer to those of the model in
//! `f32` than ONNX Runtime's own, because `x` and `h` have 16 bits here, and each row a scale of its own. A
//! matrix whose zero is elsewhere (`QUInt8`, or `WeightSymmetric` false) is refused by name: convert the
//! model in `f32` then.
//!
//! # Which
//! - **`W8A16`** (`int8`): weights of 8 bits with a scale for each row, multiplied by `x` and `h` in 16 bits. A quarter of the memory, and close to what
//!   rounding the weights costs at all: the default where memory or bandwidth counts.
//! - **`W8A8`** (`int8-a8`): the same weights, `x` and `h` in 8 bits. About twice the error. It is for sets with a dot product of 8 bits; on others it takes as
//!   long as `W8A16`.
//! - **`F16`**: half of the memory, an error that hardly shows. Weights beyond 65504 are refused.
//! - **`Bf16`**: the range of `f32` with 8 bits of precision: for weights that `F16` refuses. Otherwise `F16` is more exact.
//!
//! # What it costs in accuracy
//! The error of the outputs against `f32`, the largest and the root mean square over ten models with weights as PyTorch initialises them and normal inputs, over
//! 100 steps (`cargo bench --bench narrow`):
//!
//! | | f16 | bf16 | int8 | int8-a8 |
//! |---|---|---|---|---|
//! | LSTM, 128 units | 2e-4, 3e-5 | 2e-3, 3e-4 | 5e-3, 6e-4 | 1e-2, 1e-3 |
//! | GRU, 128 units | 4e-4, 7e-5 | 4e-3, 5e-4 | 6e-3, 1e-3 | 1e-2, 2e-3 |
//! | LSTM, 512 units | 3e-4, 3e-5 | 2e-3, 3e-4 | 5e-3, 6e-4 | 1e-2, 1e-3 |
//!
//! A trained model notices less:
//!
//! | trained model | measure | f32 | f16 | bf16 | int8 | int8-a8 |
//! |---|---|---|---|---|---|---|
//! | text: two LSTMs of 128 units | validation loss | 1.7538 | -0.000 % | -0.002 % | +0.002 % | +0.004 % |
//! | gestures: GRU of 16 units | unseen samples recognised | 97.6 % | 97.62 % | 97.61 % | 97.54 % | 97.54 % |
//! | sentiment: GRU of 32 units, both directions | loss of unseen sentences | 0.3749 | +0.003 % | +0.000 % | -0.07 % | -0.04 % |
//! | forecast: GRU of 48 units, 168 steps | mean absolute error | 0.1059 | +0.002 % | -0.01 % | +0.02 % | -0.08 % |
//! | amplifier at 48 kHz: LSTM of 24 units | error-to-signal ratio | 0.01291 | 0.01290 | 0.01287 | 0.01289 | 0.01290 |
//!
//! ```sh
//! cargo run --release --example char_rnn -- --corpus tinyshakespeare.txt --iters 600 --narrow
//! cargo run --release --example firmware_models --features reference
//! cargo run --release --example sentiment -- --narrow
//! cargo run --release --example forecast -- --narrow
//! cargo run --release --example capture -- --narrow
//! ```
//!
//! No sentence of 49 changes sides, and no forecast moves by more than 0.03, where the noise that nobody can
//! forecast is 0.1.
//!
//! A sound is more exacting than a class: what rounding changes is heard as noise where the model itself is
//! quiet. Of the amplifier it is 75 dB below the sound in f16, 52 dB in bf16 and 36 dB in int8, and 19 dB
//! below it is what this model, which was trained for a minute, is off from the amplifier. A capture with an
//! error-to-signal ratio of 0.0003 or less is changed by int8 as much as it is off by itself: use `F16` for
//! these. 8-bit activations cost no more than 16-bit ones here, because with one input and few units nearly
//! all of the error is that of the weights.
//!
//! With integers each sum is off by at most `s_w / 2 * |x|_1 + s_x / 2 * s_w * |w_q|_1` and the rounding of one multiplication and addition in `f32`: `s_w` and
//! `s_x` are the scales of the row of weights and of the input, `|x|_1` is the sum of the input's magnitudes and `|w_q|_1` that of the integer weights.
//! A test holds every sum against it.
//!
//! # What is exact
//! - 16 bits have the bits of the layer in `f32` whose weights are rounded, in every cell, option and direction. [`widen`](crate::Recurrent::widen)
//!   gives these weights.
//! - Integers have the same bits in batches, chunks and single steps, alone and beside other rows: `x` and `h` are rounded anew in each step, each row with a scale of
//!   its own, without calibration. Sums are exact, on every set. Sets that [round once](crate::Isa::is_fused) give the same bits, and so do the others.
//! - No sum overflows and none saturates, whatever the weights are. A row of more than 133,144 elements is refused.
//! - Weights that were rounded and widened are rounded to the same again.
//! - `x` or `h` that is not finite makes the sums of its row NaN. A row whose largest magnitude is below 2^-100 counts as zeros.
//!
//! # Where it pays
//! Narrow weights are read faster, and widened before they are multiplied. So they pay where weights come from far away, and least where the first-level
//! cache holds them. One thread, AVX2 on Zen 3, time of a call against `f32` (`cargo bench --bench narrow`):
//!
//! | one row | f16 | bf16 | int8 | int8-a8 |
//! |---|---|---|---|---|
//! | LSTM, 1 step, 512 units | 0.63 | 0.62 | 0.20 | 0.20 |
//! | LSTM, 1 step, 1024 units | 0.87 | 0.78 | 0.37 | 0.41 |
//! | LSTM, 100 steps, 512 units | | | 0.81 | 0.81 |
//! | GRU, 100 steps, 512 units | | | 0.92 | 0.92 |
//! | LSTM, 1 step, 128 units | | | 1.07 | 1.08 |
//! | LSTM, 1 step, 32 units | | | 1.79 | 1.62 |
//!
//! Up to 2^18 hidden weights, layers of 16 bits are packed as `f32`, which takes no more time and has the same bits; their image stays narrow.
//! Integers cannot be widened: sums of floats are not exact.
//!
//! # What is not there
//! Training for integers; dot products of AVX-512 VNNI, AVX-VNNI, NEON and Cortex-M; narrow weights in place, and so on targets without an operating system: there `narrow` does
//! not exist, and images with narrow weights are refused.
