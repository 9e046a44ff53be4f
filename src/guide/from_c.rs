//! From C and C++: from a PyTorch model to a light that blinks, training on the device, and audio plugins.
//!
//! The crate `capi` in the repository is a library with a C11 header. It opens an image and runs it in
//! buffers that you own. It does not allocate, lock, or make system calls. So the same library serves
//! firmware and real-time audio. The chapter [`firmware`](super::firmware) does the same in Rust.
//!
//! # 1. From PyTorch to an image
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
//!
//! ```sh
//! cargo install recurrent --features tool
//! recurrent inspect model.safetensors               # layers, and the lengths of the buffers
//! recurrent check model.safetensors --input samples.txt   # outputs, to compare with PyTorch's
//! recurrent convert model.safetensors model.img
//! ```
//!
//! # 2. The library
//! ```sh
//! cd capi
//! cargo build --release                                          # this machine: target/release/librecurrent.a
//! rustup target add thumbv7em-none-eabihf
//! cargo build --profile small --target thumbv7em-none-eabihf     # a Cortex-M4F, optimised for size
//! ```
//! A project needs two files of it: `capi/include/recurrent.h` and `librecurrent.a`. Link a microcontroller's
//! program with `-Wl,--gc-sections`, and a program on Linux with `-lm -lpthread -ldl`. C++ may include
//! `recurrent.hpp` instead: the same functions with spans, without exceptions.
//!
//! # 3. The image in flash
//! The image is aligned to 4 bytes and not copied. With the GNU assembler:
//!
//! ```text
//!     .section .rodata.model, "a", %progbits
//!     .balign 4
//!     .global model_image, model_image_end
//! model_image:
//!     .incbin "model.img"
//! model_image_end:
//! ```
//!
//! # 4. The program
//! ```c
//! #include "recurrent.h"
//!
//! extern const uint8_t model_image[], model_image_end[];
//! extern void led(int on);
//! extern void wait_for_sample(float sample[3]);
//!
//! // Elements of four bytes; `recurrent inspect` prints bytes. On a host the scratch is longer, because vectors
//! // need room: ask recurrent_model_scratch_len(). If a length is wrong, a call fails, writes nothing, and
//! // error.numbers[0] is the right one.
//! static uint64_t memory[(RECURRENT_MODEL_SIZE(2) + 7) / 8]; // two layers
//! static float state[16], scratch[32], scores[2], sample[3];
//!
//! int main(void) {
//!     // Only the cells that are named here are linked. An image with another cell is rejected.
//!     const recurrent_cell *const cells[] = {recurrent_gru_steps()};
//!     recurrent_error error;
//!     recurrent_model *model;
//!     if (recurrent_model_open(model_image, (size_t)(model_image_end - model_image), cells, 1, memory,
//!                              sizeof memory, &model, &error) != RECURRENT_OK) {
//!         return error.status; // damaged, or not a model of two layers with a GRU
//!     }
//!     recurrent_reset(model, 1, state, 16, &error);
//!
//!     recurrent_buffers buffers = {
//!         .x = sample, .x_len = 3, .y = scores, .y_len = 2,
//!         .state = state, .state_len = 16, .scratch = scratch, .scratch_len = 32,
//!     };
//!     for (;;) {
//!         size_t movement;
//!         wait_for_sample(sample);
//!         if (recurrent_step(model, &buffers, &error) != RECURRENT_OK) return error.status;
//!         if (recurrent_argmax(scores, 2, &movement, &error) != RECURRENT_OK) return error.status;
//!         led(movement == 1);
//!     }
//! }
//! ```
//! `examples/c/firmware` is this program as a whole, with start-up code and linker script, in QEMU: `make
//! run`. It has the same bits as the Rust program and as the host. Its README lists flash, RAM and stack.
//!
//! # 5. If something fails
//! Each function returns a status, and fills `error` if you pass one. `recurrent_status_name()` gives the
//! name of the status. `recurrent_error_text()` writes a sentence, such as "`x` has 2 elements, and needs 3:
//! steps x rows x inputs". It links the words around the details, about a kilobyte, so firmware may leave
//! it out. With the library's feature `no-texts`, firmware has no text in `error.what`, which saves 2.7 KB
//! more. If a function fails, it has written nothing.
//!
//! # 6. Training on the device
//! A device can adapt a model to its user, or learn one from the start. The weights are then a buffer in RAM,
//! which begins as a copy of the image's. `recurrent_forward_backward()` runs sequences forward and backward
//! through time, and gives the loss and its gradients. An optimiser changes the weights. Name the cells in
//! `_training`: other programs do not link these passes.
//!
//! ```c
//! enum { STEPS = 50, WEIGHTS = 1042, TAPE = 8192, SCRATCH = 8192 };
//! static float weights[WEIGHTS], grads[WEIGHTS], moments[2 * WEIGHTS], last[16], tape[TAPE], room[SCRATCH];
//!
//! // Learns from recordings of 50 samples, and what the right movement is at each of them. The model was
//! // opened with recurrent_gru_training().
//! recurrent_status learn(recurrent_model *model, size_t recordings, const float (*x)[STEPS * 3],
//!                        const uint32_t (*movements)[STEPS], recurrent_error *error) {
//!     recurrent_status status = recurrent_model_copy_weights(model, weights, WEIGHTS, error);
//!     recurrent_adam adam = RECURRENT_ADAMW(0.003f);
//!     const recurrent_sequences sequences = {.steps = STEPS, .batch = 1};
//!     recurrent_training training = {
//!         .loss = RECURRENT_LOSS_CROSS_ENTROPY, .x_len = STEPS * 3, .target_classes_len = STEPS,
//!         .weights = weights, .weights_len = WEIGHTS, .grads = grads, .grads_len = WEIGHTS,
//!         .state = last, .state_len = 16, .scratch = room, .scratch_len = SCRATCH,
//!         .tape = tape, .tape_len = recurrent_model_tape_len(model, STEPS, 1),
//!     };
//!     if (training.tape_len > TAPE) return RECURRENT_ERROR_LENGTH;
//!     for (size_t i = 0; status == RECURRENT_OK && i < 20 * recordings; i++) {
//!         float loss, scale;
//!         training.x = x[i % recordings];
//!         training.target_classes = movements[i % recordings];
//!         status = recurrent_reset(model, 1, last, 16, error);
//!         if (!status) status = recurrent_forward_backward(model, &sequences, &training, &loss, error);
//!         // Gradients that are not finite are an error, and must not reach the weights.
//!         if (!status) status = recurrent_clip_scale(grads, WEIGHTS, 1.0f, &scale, NULL, error);
//!         if (!status) status = recurrent_adamw_update(&adam, weights, WEIGHTS, grads, WEIGHTS, moments,
//!                                                      2 * WEIGHTS, scale, error);
//!     }
//!     // From now on recurrent_step() runs with these weights, in place.
//!     return status ? status : recurrent_model_set_weights(model, weights, WEIGHTS, error);
//! }
//! ```
//! - `recurrent_model_init()` draws weights for training from the start. Plain `recurrent_sgd_update()` needs
//!   no moments. The tape grows with the steps: for long sequences train on chunks, and keep the state from
//!   chunk to chunk. [`training_through_time`](super::training_through_time) says what that costs.
//! - Save the weights, for example in a page of flash. After a reset pass them to
//!   `recurrent_model_set_weights()`, from flash as well.
//! - On a desktop, call `recurrent_model_pack()` again after the weights have changed. In C++,
//!   `recurrent::Training` owns the buffers, and `Model::use()` takes its weights.
//!
//! # 7. Layers without an image
//! A program can describe its layers itself. The model then has no weights until it is given some: drawn ones
//! to learn from the start, or those of another program, in [PyTorch's layout](super::layouts). A recurrent
//! layer alone is a model of one layer.
//!
//! ```c
//! static uint64_t room_of_model[(RECURRENT_MODEL_SIZE(2) + 7) / 8];
//!
//! recurrent_model *from_scratch(recurrent_error *error) {
//!     const recurrent_layer layers[] = {RECURRENT_LAYER(GRU, 3, 16), RECURRENT_LAYER(DENSE, 16, 2)};
//!     const recurrent_cell *const cells[] = {recurrent_gru_training()};
//!     recurrent_model *model = NULL;
//!     uint64_t seed = 1;
//!     if (recurrent_model_build(layers, 2, cells, 1, room_of_model, sizeof room_of_model, &model, error) ||
//!         recurrent_model_init(model, &seed, weights, WEIGHTS, error) ||
//!         recurrent_model_set_weights(model, weights, WEIGHTS, error)) return NULL;
//!     return model;
//! }
//! ```
//! The fields of `recurrent_layer` have the options of the cells: other activations, directions, stacks,
//! projections, peepholes, layer normalisation. A description that makes no sense is an error that says why.
//!
//! # 8. A loss of your own
//! `recurrent_forward_train()` gives the outputs. The program computes its loss, and the gradient of the loss
//! in each output. From that, `recurrent_backward()` computes the gradients of the weights, and if asked for,
//! those of the input and of the first state.
//!
//! ```c
//! // The gradients for one recording in which only the end matters: the last scores should be (0, 1).
//! recurrent_status gradients(const recurrent_model *model, const float x[STEPS * 3], recurrent_error *error) {
//!     static float y[STEPS * 2], dy[STEPS * 2];
//!     const recurrent_sequences sequences = {.steps = STEPS, .batch = 1};
//!     const recurrent_own_training training = {
//!         .weights = weights, .weights_len = WEIGHTS, .x = x, .x_len = STEPS * 3, .y = y, .y_len = STEPS * 2,
//!         .state = last, .state_len = 16, .dy = dy, .dy_len = STEPS * 2, .grads = grads, .grads_len = WEIGHTS,
//!         .tape = tape, .tape_len = recurrent_model_tape_len(model, STEPS, 1),
//!         .scratch = room, .scratch_len = SCRATCH,
//!     };
//!     recurrent_status status = recurrent_reset(model, 1, last, 16, error);
//!     if (!status) status = recurrent_forward_train(model, &sequences, &training, error);
//!     dy[STEPS * 2 - 2] = 2 * (y[STEPS * 2 - 2] - 0);
//!     dy[STEPS * 2 - 1] = 2 * (y[STEPS * 2 - 1] - 1);
//!     if (!status) status = recurrent_backward(model, &sequences, &training, error);
//!     return status;
//! }
//! ```
//! `recurrent_ctc_loss()` is such a loss: of labels whose steps are not known, as in speech or Morse code.
//! `examples/c/learn` does both: it learns to predict a sensor, without any file, and then finds a fault.
//!
//! # In an audio plugin
//! - When the plugin loads a model: open it, then call `recurrent_model_pack()` once. It arranges the weights
//!   for the vectors of the CPU, and steps take a fraction of the time.
//! - All voices share the model. Each voice has its own state, scratch and output, and may run on its own
//!   thread.
//! - In the audio thread: `recurrent_forward()` for a block, or `recurrent_step()` for a sample. Blocks of
//!   any length give the same bits. The state carries over from block to block.
//! - When playback starts: `recurrent_reset()`.
//! - Set the CPU's flush-to-zero mode as for all audio code: [`numerics`](super::numerics) says what
//!   subnormal numbers cost.
//!
//! `examples/c/amp` does this for a model of an amplifier, over blocks of 64 samples. `.ci/capi` checks with
//! seccomp that no block makes a system call.
//!
//! # What is not there
//! The library does not read files of other frameworks: convert them with the tool. Attention, beam search and
//! training on several threads are in Rust only. On targets without an operating system it does not run
//! narrow weights.
