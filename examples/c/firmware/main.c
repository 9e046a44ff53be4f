// Recognises gestures in the stream of a synthetic accelerometer, with a model from an image in flash. Only
// the state changes.
//
// It does the same as examples/firmware/src/bin/infer.rs, and computes the same bits.
#include <stdbool.h>

#include "board.h"
#include "recurrent.h"

enum { AXES = 3, UNITS = 16, GESTURES = 5, LAYERS = 2 };
static const char *const names[GESTURES] = {"rest", "shake", "circle", "lift", "tap"};

// Defined in data.S.
extern const uint8_t gestures[], gestures_end[];
extern const float recording[], recording_end[];

static uint64_t memory[(RECURRENT_MODEL_SIZE(LAYERS) + 7) / 8];
static float state[UNITS], scratch[2 * UNITS], scores[GESTURES];

// FNV-1a over the bits of floats. The expected value is the host's result, from
// examples/firmware/models/expected.rs.
static const uint64_t EXPECTED = 0x53642a06cf986bfcu;
static uint64_t add(uint64_t sum, const float *x, size_t len) {
    const uint8_t *bytes = (const uint8_t *)x;
    for (size_t i = 0; i < 4 * len; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

static recurrent_model *open_model(recurrent_error *error) {
    const recurrent_cell *const cells[] = {
#if defined WITH_TRAINING || defined WITH_HALVES
        recurrent_gru_training(),
#elif defined WITH_FORWARD
        recurrent_gru(),
#else
        recurrent_gru_steps(),
#endif
#ifdef WITH_CELL
        WITH_CELL(),
#endif
    };
    recurrent_model *model = NULL;
    recurrent_model_open(gestures, (size_t)(gestures_end - gestures), cells, sizeof cells / sizeof *cells, memory,
                         sizeof memory, &model, error);
#ifdef WITH_BUILD
    // The same layers without an image, which shows the size of its code.
    static uint64_t more[(RECURRENT_MODEL_SIZE(LAYERS) + 7) / 8];
    const recurrent_layer layers[LAYERS] = {RECURRENT_LAYER(GRU, AXES, UNITS), RECURRENT_LAYER(DENSE, UNITS, GESTURES)};
    recurrent_model *described = NULL;
    if (recurrent_model_build(layers, LAYERS, cells, sizeof cells / sizeof *cells, more, sizeof more, &described, error) !=
            RECURRENT_OK ||
        recurrent_model_set_weights(described, (const float *)(gestures + 192), recurrent_model_weights_len(described),
                                    error) != RECURRENT_OK)
        return NULL;
    model = described;
#endif
    return model;
}

// Reads the recording like a sensor, one sample at a time. Returns a checksum of all scores, or 0 if
// something failed.
static uint64_t run(const recurrent_model *model, bool report, recurrent_error *error) {
    if (recurrent_reset(model, 1, state, UNITS, error) != RECURRENT_OK) return 0;
    uint64_t sum = 0xcbf29ce484222325u;
    size_t last = GESTURES, samples = (size_t)(recording_end - recording) / AXES;
    recurrent_buffers buffers = {.x_len = AXES,
                                 .y = scores,
                                 .y_len = GESTURES,
                                 .state = state,
                                 .state_len = UNITS,
                                 .scratch = scratch,
                                 .scratch_len = sizeof scratch / sizeof *scratch};
    for (size_t i = 0; i < samples; i++) {
        size_t gesture = 0;
        buffers.x = recording + AXES * i;
        if (recurrent_step(model, &buffers, error) != RECURRENT_OK) return 0;
        if (recurrent_argmax(scores, GESTURES, &gesture, error) != RECURRENT_OK) return 0;
        sum = add(sum, scores, GESTURES);
        if (report && gesture != last) {
            board_print("sample ");
            board_number((uint32_t)i);
            board_print(": ");
            board_print(names[gesture]);
            board_print("\n");
        }
        last = gesture;
    }
#ifdef WITH_FORWARD
    // A call of recurrent_forward(), which shows the size of its code.
    static float more[4096];
    const recurrent_sequences sequences = {.steps = 1, .batch = 1};
    buffers.scratch = more, buffers.scratch_len = sizeof more / sizeof *more;
    if (recurrent_forward(model, &sequences, &buffers, error) != RECURRENT_OK) return 0;
#endif
#ifdef WITH_HALVES
    // Both halves of a pass, with a loss of the program.
    static float weights[2048], grads[2048], tape[4096], room[8192];
    const recurrent_sequences one = {.steps = 1, .batch = 1};
    const size_t len = recurrent_model_weights_len(model);
    recurrent_sgd sgd = RECURRENT_SGD(0.001f);
    const recurrent_own_training training = {.weights = weights,
                                             .weights_len = len,
                                             .x = buffers.x,
                                             .x_len = AXES,
                                             .tape = tape,
                                             .tape_len = recurrent_model_tape_len(model, 1, 1),
                                             .scratch = room,
                                             .scratch_len = sizeof room / sizeof *room,
                                             .y = scores,
                                             .y_len = GESTURES,
                                             .state = state,
                                             .state_len = UNITS,
                                             .dy = buffers.x,
                                             .dy_len = GESTURES,
                                             .grads = grads,
                                             .grads_len = len};
    if (recurrent_model_copy_weights(model, weights, len, error) != RECURRENT_OK ||
        recurrent_forward_train(model, &one, &training, error) != RECURRENT_OK ||
        recurrent_backward(model, &one, &training, error) != RECURRENT_OK ||
        recurrent_sgd_update(&sgd, weights, len, grads, len, NULL, 0, 1, error) != RECURRENT_OK)
        return 0;
#endif
#ifdef WITH_TRAINING
    // A pass and an update, which show the size of their code.
    static float weights[2048], grads[2048], moments[4096], tape[4096], room[8192];
    const recurrent_sequences one = {.steps = 1, .batch = 1};
    const uint32_t right = 0;
    const size_t len = recurrent_model_weights_len(model);
    recurrent_adam adam = RECURRENT_ADAMW(0.001f);
    float loss = 0, scale = 0;
    const recurrent_training training = {.loss = RECURRENT_LOSS_CROSS_ENTROPY,
                                         .weights = weights,
                                         .weights_len = len,
                                         .x = buffers.x,
                                         .x_len = AXES,
                                         .target_classes = &right,
                                         .target_classes_len = 1,
                                         .grads = grads,
                                         .grads_len = len,
                                         .state = state,
                                         .state_len = UNITS,
                                         .tape = tape,
                                         .tape_len = recurrent_model_tape_len(model, 1, 1),
                                         .scratch = room,
                                         .scratch_len = sizeof room / sizeof *room};
    if (recurrent_model_copy_weights(model, weights, len, error) != RECURRENT_OK ||
        recurrent_forward_backward(model, &one, &training, &loss, error) != RECURRENT_OK ||
        recurrent_clip_scale(grads, len, 1.0f, &scale, NULL, error) != RECURRENT_OK ||
        recurrent_adamw_update(&adam, weights, len, grads, len, moments, 2 * len, scale, error) != RECURRENT_OK)
        return 0;
#endif
    return sum;
}

int main(void) {
    recurrent_error error = {0};
    uint32_t *top = board_paint();
    recurrent_model *model = open_model(&error);
    uint32_t stack_of_open = board_used(top);
    top = board_paint();
    uint64_t sum = model ? run(model, false, &error) : 0;
    uint32_t stack_of_steps = board_used(top);
    if (sum == 0) {
        board_print("FAILED: ");
        board_print(recurrent_status_name(error.status));
        board_print("\n");
        return 1;
    }
    run(model, true, &error);
    board_print(sum == EXPECTED ? "the same bits as on the host\n" : "FAILED: other bits than on the host\n");
    board_print("stack of opening ");
    board_number(stack_of_open);
    board_print(", of a step ");
    board_number(stack_of_steps);
    board_print("\n");
    return sum == EXPECTED ? 0 : 1;
}
