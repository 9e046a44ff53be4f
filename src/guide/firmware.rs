//! From a PyTorch model to a blinking light, in eight steps.
//!
//! A GRU with a dense layer on top was trained in Python to distinguish two movements of an accelerometer. It
//! is to run on a microcontroller, from flash, without a heap.
//!
//! # 1. Save the parameters
//! ```python
//! class Model(nn.Module):
//!     def __init__(self):
//!         super().__init__()
//!         self.gru = nn.GRU(3, 16, batch_first=True)
//!         self.fc = nn.Linear(16, 2)
//! ...
//! from safetensors.torch import save_file
//! save_file(model.state_dict(), "model.safetensors")
//! ```
//! Keras (`.keras`), ONNX (`.onnx`) and RTNeural (`.json`) are read, too: [`io`](crate::io).
//!
//! # 2. Look at it
//! ```sh
//! cargo install recurrent --features tool
//! recurrent inspect model.safetensors
//! ```
//! The tool lists the layers, and the bytes of flash and RAM. Parameters do not say everything. If the order
//! of the modules, an activation or a pool is not clear, the tool asks for a plan,
//! `--layers gru,@last,fc:tanh` (see [`Plan`](crate::io::Plan)).
//!
//! # 3. Check it
//! ```sh
//! recurrent check model.safetensors --input samples.txt     # a line of outputs for each step
//! ```
//! `samples.txt` has numbers between spaces, commas or line ends: all inputs of the first step, then of the
//! second. The state starts at zero, or with the initial state of the model. The outputs are those of the
//! last layer. For a classifier these are logits, unless the file ends in a softmax. After a pool there is
//! only one line. With `--classes no,yes`, each probability is printed with its name.
//!
//! Compare with PyTorch's outputs for the same samples: they agree to about 1e-6. A file that this crate
//! would compute differently is rejected.
//!
//! # 4. Convert it
//! ```sh
//! recurrent convert model.safetensors model.img
//! ```
//! An [image](crate::image) contains the layers, the weights and a checksum, as bytes that the device reads
//! in place. With `model.rs` instead of `model.img`, the tool writes Rust source with a constant and a static
//! array. Normalisations are folded into the neighbouring matrices, so that they cost nothing on the device;
//! `--keep-scales` keeps them as layers. `--classes no,yes` stores names in the image.
//!
//! # 5. Link the crate without a heap
//! ```toml
//! [dependencies]
//! recurrent = { version = "0.1", default-features = false }
//! ```
//! Without `std` and `matrixmultiply` the crate does not use an allocator. Build for the target of your core,
//! which `rustup target add` installs:
//!
//! | core | `--target` | set |
//! |---|---|---|
//! | Cortex-M4F, M7 | `thumbv7em-none-eabihf` | `fused`, by the FPU |
//! | Cortex-M33, M55, M85 | `thumbv8m.main-none-eabihf` | `fused`, by the FPU |
//! | Cortex-M0, M3 | `thumbv6m-none-eabi`, `thumbv7m-none-eabi` | `scalar`, in software |
//! | RISC-V without an FPU | `riscv32imac-unknown-none-elf` | `scalar`, in software |
//!
//! The `hf` at the end matters. With `thumbv7em-none-eabi` a Cortex-M4F computes in software, too, and you
//! get no warning.
//!
//! # 6. Sizes are constants
//! [`include_image!`](crate::include_image) puts the file into flash, aligned.
//! [`image::model`](crate::image::model) reads its layers at compile time. So every buffer is an array whose
//! length comes from the image. If the image has other layers, the program does not compile, or its arrays
//! have other sizes. It does not fail on the device.
//!
//! # 7. Sample by sample
//! ```
//! use recurrent::image::{self, Image};
//! use recurrent::prelude::*;
//!
//! # const IMAGE: &[u8] = recurrent::include_image!("../../tests/data/formats/image_gru.img");
//! # /*
//! const IMAGE: &[u8] = recurrent::include_image!("model.img");
//! # */
//! const MODEL: Model<2> = match image::model(IMAGE) {
//!     Ok(model) => model,
//!     Err(_) => panic!("not an image of two layers"),
//! };
//!
//! recurrent::stream! {
//!     /// Owns the state, the scratch and the scores. The weights stay in flash.
//!     struct Recogniser(MODEL);
//! }
//!
//! # struct Led;
//! # impl Led { fn set(&mut self, _: bool) {} }
//! # fn accelerometer() -> Option<[f32; 3]> { static LEFT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
//! # (LEFT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 5).then_some([0.1, 0.2, 9.8]) }
//! # let mut led = Led;
//! // Checks every byte of the image once, so that damaged flash is an error.
//! let mut recogniser = Recogniser::new(Image::from_bytes(IMAGE)?.weights()?);
//! while let Some(sample) = accelerometer() { // 50 times a second, three axes
//!     led.set(argmax(recogniser.step(&sample)?)? == 1);
//! }
//! # Ok::<(), recurrent::Error>(())
//! ```
//! [`stream!`](crate::stream) declares a type with the buffers of one stream. The weights stay in flash:
//! `step` reads canonical weights in place, without a packed copy. The model may have a pool of the
//! [last step](crate::Pool::Last): each step gives the output that the model would give if the sequence ended
//! there. Scale the samples as in training. The scaling is part of the model and easily forgotten.
//!
//! # Weights of 8 bits
//! With `recurrent convert model.safetensors model.img --weights int8`, the weights take about a quarter of
//! the flash. The program above changes in one place: the weights are the bytes
//! `Image::from_bytes(IMAGE)?.narrow()`, of type `&'static [u8]`. [`narrow_weights`](super::narrow_weights)
//! says what this costs in accuracy.
//!
//! # 8. Flash it, and measure
//! `examples/firmware` in the repository is a complete crate, with linker scripts, for a Cortex-M4F, M3, M0
//! and RISC-V, all in QEMU:
//!
//! ```sh
//! rustup target add thumbv7em-none-eabihf          # and QEMU: apt-get install qemu-system-arm
//! cd examples/firmware
//! cargo run --release --bin infer                  # recognises gestures, from weights in flash
//! ```
//!
//! | program | what it shows |
//! |---|---|
//! | `infer` | streaming inference. It links only if it contains no path to a panic |
//! | `generate` | text, character by character |
//! | `infer_int8`, `generate_int8` | the same from weights of 8 bits |
//! | `morse` | Morse code out of noise, sample by sample, with a model trained by CTC |
//! | `learn` | truncated backpropagation through time on the device, with Adam |
//! | `counts` | instructions and stack of steps, forward and backward |
//! | `bits` | checksums of every cell, to compare with a server's |
//!
//! `counts` and `bits` need more RAM than the chip that runs the others. For another board, set `BOARD`,
//! which selects the memory map, and another machine of QEMU:
//!
//! ```sh
//! mps2="qemu-system-arm -machine mps2-an386 -nographic -icount shift=0 -semihosting-config enable=on,target=native -kernel"
//! BOARD=mps2 CARGO_TARGET_THUMBV7EM_NONE_EABIHF_RUNNER=$mps2 cargo run --release --bin counts
//! ```
//!
//! `examples/firmware_models` trains their models on the host, and computes the results that the devices must
//! reach. It shares the modules `gestures`, `characters` and `learn` with the firmware, so that both use the
//! same model.
//!
//! With `-icount shift=0` an instruction takes a nanosecond of QEMU's time, so the system timer counts
//! instructions. Instructions are not cycles: a real core waits for its flash. On a board, read the cycle
//! counter (`DWT::cycle_count` of the crate `cortex-m`) before and after `step`.
//!
//! # What it takes
//! Rough figures for a GRU of 16 units over 3 inputs with a dense layer, on a Cortex-M4F: 9 KiB of flash for
//! code with start-up and printing, of which the step takes 3.5 KiB; 4.3 KiB for the weights; 300 bytes of
//! RAM and 400 of stack. A Cortex-M0 needs 12 KiB of code and 560 bytes of stack. A step of an LSTM of 32
//! units over 32 inputs takes 19,000 instructions on a Cortex-M4F. At 100 MHz, if each took one cycle, that
//! would be 5,000 steps a second. A Cortex-M0, which computes floats in software, takes 2.2 million, and 0.5
//! million from weights of 8 bits. `.ci/firmware` checks sizes and instructions against ceilings, and
//! `examples/firmware/README.md` has the tables.
//!
//! To keep the code small: make layers and models constants (`const`), so that the compiler knows their cells
//! and options; this works for models of up to 16 layers. Use few kinds of cells. `opt-level = "s"` makes
//! code smaller and steps slower. Options of cells and sequences of many steps cost code only if they are
//! used.
//!
//! # Training on the device
//! Training uses the same passes and buffers:
//! [`Model::forward_backward`](crate::model::Model::forward_backward) or the passes of the layers, with
//! [`Adam`](crate::train::Adam) or, if there is no room for moments, [`Sgd`](crate::train::Sgd). Flash is the
//! first limit: the code of `learn` takes 91 KiB, on a Cortex-M0 100 KiB. RAM is the second: it holds weights
//! that change, gradients, moments, and a tape for the steps of a chunk. `learn` needs 8 KB for them, and 3
//! KB of stack. `recurrent inspect --steps 10` prints it for other models.
