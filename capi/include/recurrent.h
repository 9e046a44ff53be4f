/* Recurrent networks in C: open an image, and run it in buffers that you own. License: MIT or Apache-2.0.
 *
 * Made by cbindgen from capi/src; do not edit.
 *
 * What holds for all functions:
 *
 * - Memory: the library allocates nothing and keeps no state of its own. All buffers are the caller's. A pointer that is given is used during
 *   the call only, with one exception, which its function names: a model goes on using its image, its memory and its packed weights.
 * - Pointers and lengths: `..._len` counts elements, not bytes. Where a length is 0 the pointer is not looked at, and may be null. Buffers have
 *   the alignment of their type; what needs more says so. Buffers that are written do not overlap any other. All of this is checked, as far as
 *   it can be: that a pointer points to as much memory as its length says is up to the caller.
 * - Errors: a function that can fail returns RECURRENT_OK or the code of an error, and then nothing has been written (RECURRENT_ERROR_INTERNAL
 *   alone, which is a bug of the library, may come later). `error` takes what is wrong, where and what was expected, for
 *   recurrent_error_text(); it may be null.
 * - Threads: any number of threads may use the same model at a time, each with its own state, scratch and output. What opens or packs a model
 *   needs it alone.
 * - Real time: every function is bounded by its lengths, and none allocates, locks, waits or calls the system. (On x86-64 the instruction set of
 *   the CPU is asked for once, by the first pass.)
 * - Floats are IEEE 754 binary32. The results do not depend on the thread, on the batch, nor on how a sequence is cut into calls.
 */


#ifndef RECURRENT_H
#define RECURRENT_H

#include <stddef.h>
#include <stdint.h>

/* An upper bound of the bytes that a model of `layers` layers needs, for a static buffer. recurrent_model_size() gives the exact number. */
#define RECURRENT_MODEL_SIZE(layers) (sizeof(void *) * (64u + 56u * (size_t)(layers)))
/* What the memory of a model is aligned to, in bytes. */
#define RECURRENT_MODEL_ALIGN 8u
/* What an image is aligned to, in bytes, so that its weights are used where they are. */
#define RECURRENT_IMAGE_ALIGN 4u


// Whether a function has done its work, or why not.
enum recurrent_status
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Done.
  RECURRENT_OK = 0,
  // A pointer is null.
  RECURRENT_ERROR_NULL = 1,
  // A pointer is not aligned.
  RECURRENT_ERROR_ALIGNMENT = 2,
  // A buffer that is written overlaps another one.
  RECURRENT_ERROR_OVERLAP = 3,
  // A buffer has another length than is needed.
  RECURRENT_ERROR_LENGTH = 4,
  // A length does not fit into memory.
  RECURRENT_ERROR_OVERFLOW = 5,
  // An id is too large.
  RECURRENT_ERROR_INDEX = 6,
  // A number is out of its range, or an argument of the wrong kind.
  RECURRENT_ERROR_VALUE = 7,
  // The layers of the image do not fit together, or do not have the pass that is asked for.
  RECURRENT_ERROR_LAYERS = 8,
  // The bytes are not those of an image, or damaged.
  RECURRENT_ERROR_IMAGE = 9,
  // The image has a cell that the program did not name.
  RECURRENT_ERROR_CELL = 10,
  // The memory of a model is not that of a model that was opened.
  RECURRENT_ERROR_MODEL = 11,
  // Weights were packed for something else.
  RECURRENT_ERROR_PACKING = 12,
  // A weight is one that a narrow format cannot hold.
  RECURRENT_ERROR_NARROW = 13,
  // A bug of the library.
  RECURRENT_ERROR_INTERNAL = 14,
};
#ifndef __cplusplus
typedef int32_t recurrent_status;
#endif // __cplusplus

// A form of a cell, with passes over it: what recurrent_model_open() takes. The linker keeps the cells whose
// functions a program calls, and no others: call them by name. Those that end in `_steps` have
// recurrent_step() alone, the others recurrent_forward(), too.
//
// The functions return constants of the library, and never null. Errors name the forms without `recurrent_`,
// in capitals.
typedef struct recurrent_cell recurrent_cell;

// A model that was opened: its layers, and where its weights are. It stands in the caller's memory and
// refers to its image, so that neither moves or changes as long as it is used. Nothing has to be closed.
typedef struct recurrent_model recurrent_model;

// What is wrong, for recurrent_error_text(). The caller owns it; its texts are constants of the library,
// without a 0 at their end.
typedef struct recurrent_error {
  // The code.
  int32_t status;
  // The argument, or the part, that is wrong.
  const char *subject;
  // Bytes of `subject`.
  size_t subject_len;
  // What is wrong with it, or what was expected.
  const char *what;
  // Bytes of `what`.
  size_t what_len;
  // Numbers of the text: of RECURRENT_ERROR_LENGTH what was expected, and what came.
  size_t numbers[3];
} recurrent_error;

// How a class is drawn from logits.
typedef struct recurrent_sampling {
  // Divides the logits; 0 takes the greatest.
  float temperature;
  // The share of probability that is left, from the greatest on: 1 for all.
  float top_p;
  // How many classes are left, the greatest: SIZE_MAX for all.
  size_t top_k;
} recurrent_sampling;

// What a pass is given, and what it writes: the input, as values or as ids, and the caller's buffers. What
// is not used is null, with length 0.
//
// Shapes are row-major: `T` steps, `B` rows of the batch, `I` and `O` features of the input and the output.
typedef struct recurrent_buffers {
  // The input of a model that takes values, `[T, B, I]`.
  const float *x;
  size_t x_len;
  // The input of a model that takes ids, `[T, B]`, each below recurrent_model_classes().
  const uint32_t *ids;
  size_t ids_len;
  // Takes the output, `[T, B, O]`, or `[B, O]` of a pooled model: recurrent_model_output_len() elements.
  float *y;
  size_t y_len;
  // The state: that before the pass, and then that after it. recurrent_model_state_len() elements.
  float *state;
  size_t state_len;
  // Garbage before and after: at least recurrent_model_scratch_len() elements.
  float *scratch;
  size_t scratch_len;
} recurrent_buffers;

// A batch of sequences: its size, and which steps take part. Zeros are the usual case for all but the first
// two.
typedef struct recurrent_sequences {
  // Steps, `T`.
  size_t steps;
  // Rows, `B`.
  size_t batch;
  // The steps of each row, `[B]`, or null if all rows have all steps. A row does nothing after its end,
  // and its output is 0 there.
  const size_t *lengths;
  size_t lengths_len;
  // Which steps take part, 0 or 1 for each row of `x`, or null if all do. Others leave the state as it is,
  // and the output as it was.
  const uint8_t *mask;
  size_t mask_len;
  // Before which steps the state is set to zero, 0 or 1 for each row of `x`, or null.
  const uint8_t *resets;
  size_t resets_len;
  // Not 0 for `x` and `y` as `[B, T, I]` and `[B, T, O]`.
  uint8_t batch_major;
} recurrent_sequences;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A simple recurrent layer of tanh units.
const struct recurrent_cell *recurrent_rnn_tanh(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_rnn_tanh_steps(void);

// A simple recurrent layer of rectified linear units.
const struct recurrent_cell *recurrent_rnn_relu(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_rnn_relu_steps(void);

// A simple recurrent layer with another activation, or a clip.
const struct recurrent_cell *recurrent_rnn_options(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_rnn_options_steps(void);

// An LSTM as PyTorch has it.
const struct recurrent_cell *recurrent_lstm(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_lstm_steps(void);

// An LSTM with other activations, a clip, coupled gates, peepholes, or a projection.
const struct recurrent_cell *recurrent_lstm_options(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_lstm_options_steps(void);

// A GRU as PyTorch has it: it resets after the product.
const struct recurrent_cell *recurrent_gru(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_gru_steps(void);

// The same with other activations, or a clip.
const struct recurrent_cell *recurrent_gru_options(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_gru_options_steps(void);

// A GRU that resets before the product.
const struct recurrent_cell *recurrent_gru_reset_before(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_gru_reset_before_steps(void);

// The same with other activations, or a clip.
const struct recurrent_cell *recurrent_gru_reset_before_options(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_gru_reset_before_options_steps(void);

// A minimal gated unit.
const struct recurrent_cell *recurrent_mgu(void);

// The same for steps alone.
const struct recurrent_cell *recurrent_mgu_steps(void);

// All cells, each with all passes, for programs that do not mind their size: an array of `*len` pointers, a
// constant of the library. `len` may be null, or is written.
const struct recurrent_cell *const *recurrent_every_cell(size_t *len);

// Writes what an error says into `text`, at most `text_len` bytes with a 0 at the end, and returns the bytes
// of the whole text without the 0, as snprintf() does. `error` is one that a function of this library has
// filled in. Returns 0 if `error` is null.
//
// It is the only function that links the formatting of numbers: some kilobytes in firmware.
size_t recurrent_error_text(const struct recurrent_error *error, char *text, size_t text_len);

// The name of a code, as in this header: a constant of the library that ends with a 0. Never null.
const char *recurrent_status_name(int32_t status);

// Writes to `size` how many bytes of memory recurrent_model_open() needs for this image, of `image_len`
// bytes. Only the image's header is looked at. `image` need not be aligned for this.
//
// Fails with RECURRENT_ERROR_NULL, RECURRENT_ERROR_ALIGNMENT (of `size`) and RECURRENT_ERROR_IMAGE.
recurrent_status recurrent_model_size(const uint8_t *image,
                                      size_t image_len,
                                      size_t *size,
                                      struct recurrent_error *error);

// Opens an image: checks all of it once, makes its table of layers in `memory`, and writes the model to
// `model`, which points into `memory`.
//
// - `image`, `image_len` bytes, is aligned to RECURRENT_IMAGE_ALIGN bytes. It is not copied: image and
//   memory stay where they are and as they are until the model is used for the last time.
// - `cells`, `cells_len` pointers, are the cells that the image may have: an image with another is refused
//   by its name.
// - `memory`, `size` bytes, is aligned to RECURRENT_MODEL_ALIGN bytes and has at least the bytes that
//   recurrent_model_size() says.
//
// It takes time for each byte of the image, for the checksum: it is for the start of a program. Afterwards
// any number of threads may use the model.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (of `memory`), _IMAGE, _CELL, and _LAYERS
// for layers that do not fit together.
recurrent_status recurrent_model_open(const uint8_t *image,
                                      size_t image_len,
                                      const struct recurrent_cell *const *cells,
                                      size_t cells_len,
                                      void *memory,
                                      size_t size,
                                      struct recurrent_model **model,
                                      struct recurrent_error *error);

// The elements of recurrent_model_pack(): 0 on targets without an operating system, where weights are used
// in place. 0 if `model` is null.
size_t recurrent_model_packed_len(const struct recurrent_model *model);

// Arranges the weights for the CPU's vectors, in `packed`, `packed_len` elements of which
// recurrent_model_packed_len() are needed. Passes of the model run from them from then on, which is several
// times as fast; all threads and all states share this one copy. An image with narrow weights has to be
// packed before it is run. The results have the same bits as those from the image in place.
//
// `packed` stays where it is and as it is as long as the model is used. Nobody else uses the model during
// this call. Where 0 elements are needed, nothing happens.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _MODEL, _NARROW.
recurrent_status recurrent_model_pack(struct recurrent_model *model,
                                      float *packed,
                                      size_t packed_len,
                                      struct recurrent_error *error);

// Features of the input, `I`; 1 of a model that takes ids. 0 if `model` is null.
size_t recurrent_model_input(const struct recurrent_model *model);

// Features of the output, `O`. 0 if `model` is null.
size_t recurrent_model_output(const struct recurrent_model *model);

// The ids that a model takes are below this; 0 for a model that takes values, and if `model` is null.
size_t recurrent_model_classes(const struct recurrent_model *model);

// 1 for a model that has one output for each sequence, 0 for one that has an output for each step, and if
// `model` is null.
int32_t recurrent_model_is_pooled(const struct recurrent_model *model);

// Elements of the weights. 0 if `model` is null.
size_t recurrent_model_weights_len(const struct recurrent_model *model);

// Elements of the state of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if `model` is null.
size_t recurrent_model_state_len(const struct recurrent_model *model, size_t batch);

// Elements of the output of `steps` steps of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if
// `model` is null.
size_t recurrent_model_output_len(const struct recurrent_model *model, size_t steps, size_t batch);

// Elements of the scratch of recurrent_forward() over `steps` steps of `batch` rows, and with `steps` 1 of
// recurrent_step(). SIZE_MAX if they do not fit into memory, 0 if `model` is null.
size_t recurrent_model_scratch_len(const struct recurrent_model *model, size_t steps, size_t batch);

// What follows the last layer, which the passes do not compute: 0 for nothing, 1 for recurrent_softmax(), 2
// for recurrent_log_softmax().
int32_t recurrent_model_ending(const struct recurrent_model *model);

// The name of a class, in UTF-8 without a 0 at its end: a part of the image. Writes its bytes to `name_len`,
// unless that is null. Null if the image has no name for it.
const char *recurrent_model_class_name(const struct recurrent_model *model, size_t class_, size_t *name_len);

// 1 if the image says that steps with a certain input are padding, which recurrent_model_mask() finds; 0 if
// not, and if `model` is null.
int32_t recurrent_model_has_mask(const struct recurrent_model *model);

// The class of the greatest of `logits`, the first of equal ones, written to `class_`.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _LENGTH (there are none), _VALUE (NaN, or all are minus
// infinity).
recurrent_status recurrent_argmax(const float *logits,
                                  size_t logits_len,
                                  size_t *class_,
                                  struct recurrent_error *error);

// The softmax of each row: `x` and `y` are `[rows, classes]`, `len` elements each. A row with NaN or
// infinity gives NaN.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (`len` is no multiple of `classes`).
recurrent_status recurrent_softmax(size_t classes,
                                   const float *x,
                                   float *y,
                                   size_t len,
                                   struct recurrent_error *error);

// The logarithm of the softmax of each row, as recurrent_softmax().
recurrent_status recurrent_log_softmax(size_t classes,
                                       const float *x,
                                       float *y,
                                       size_t len,
                                       struct recurrent_error *error);

// Elements of the scratch of recurrent_sample() for `classes` classes. 0 if the settings keep all classes or
// only one, and if `sampling` is null.
size_t recurrent_sample_scratch_len(const struct recurrent_sampling *sampling, size_t classes);

// Draws a class from `logits`, and writes it to `class_`. `random` is 64 random bits, of which the highest
// 53 count: recurrent_random() gives some. `scratch` has at least recurrent_sample_scratch_len() elements. A
// logit may be minus infinity: that class is never drawn.
//
// Real time: what is left of the classes is sorted, if not all are.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (no logits, too short a scratch), _VALUE (a
// negative, infinite or NaN temperature, `top_k` 0, `top_p` not in 0..1, a logit that is NaN, all of them
// minus infinity, or one infinity).
recurrent_status recurrent_sample(const struct recurrent_sampling *sampling,
                                  const float *logits,
                                  size_t logits_len,
                                  float *scratch,
                                  size_t scratch_len,
                                  uint64_t random,
                                  size_t *class_,
                                  struct recurrent_error *error);

// 64 random bits, the next of a sequence. `seed` holds the position in it; any start value is fine
// (SplitMix64, Steele et al. 2014). Not for secrets. 0 if `seed` is null or not aligned.
uint64_t recurrent_random(uint64_t *seed);

// Puts the states of `batch` rows to where sequences begin: the initial state of the image, or zeros.
// `state` has recurrent_model_state_len() elements.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _MODEL.
recurrent_status recurrent_reset(const struct recurrent_model *model,
                                 size_t batch,
                                 float *state,
                                 size_t state_len,
                                 struct recurrent_error *error);

// Writes which steps of an input take part, 1, and which are padding, 0, to `mask`: an element for each row
// of `x`, or each id. The mask is for recurrent_sequences; a step that is padding is one not to call
// recurrent_step() for. All are 1 for an image that masks nothing.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _VALUE (values for ids, or the reverse),
// _MODEL.
recurrent_status recurrent_model_mask(const struct recurrent_model *model,
                                      const float *x,
                                      size_t x_len,
                                      const uint32_t *ids,
                                      size_t ids_len,
                                      uint8_t *mask,
                                      size_t mask_len,
                                      struct recurrent_error *error);

// One step of each row: as many rows as the input has. This is the way of a stream, sample by sample. `y` is
// `[B, O]`; the scratch is that of 1 step.
//
// A model that ends in a pool of the last step gives at each step what it would say if the sequence ended
// there.
//
// Real time: bounded by the sizes of the model; no allocation, lock, or system call. Any number of threads
// may call it at a time with the same model and different buffers.
//
// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _INDEX (an id), _VALUE (values for ids or
// the reverse, narrow weights that are not packed), _LAYERS (the model needs whole sequences), _MODEL.
recurrent_status recurrent_step(const struct recurrent_model *model,
                                const struct recurrent_buffers *buffers,
                                struct recurrent_error *error);

// A batch of sequences from given states: the outputs, and the last states. Cut into any chunks, the
// sequences give the same bits, if no layer runs in reverse and there is no pool.
//
// Real time: as recurrent_step(), for all of its steps.
//
// Fails as recurrent_step(), but for models that need whole sequences; with RECURRENT_ERROR_LAYERS for a
// cell that was named for steps alone, and RECURRENT_ERROR_INDEX for a length above the steps.
recurrent_status recurrent_forward(const struct recurrent_model *model,
                                   const struct recurrent_sequences *sequences,
                                   const struct recurrent_buffers *buffers,
                                   struct recurrent_error *error);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* RECURRENT_H */
