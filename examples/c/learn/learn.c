// Learns on the device, without a file: a GRU learns to predict the next sample of a vibration sensor, with a
// loss of the program's own, and then reports when the machine no longer behaves as before.
//
// All memory is static. Prints what it learned and when it found the fault. Fails if it did not.
#include <math.h>
#include <stdio.h>

#include "recurrent.h"

enum { UNITS = 12, CHUNK = 32, CHUNKS = 800, WATCHED = 3000, FAULT = 2000 };
enum { WEIGHTS = 3 * UNITS * (1 + UNITS + 2) + UNITS + 1, TAPE = 4096, SCRATCH = 4096 };

static uint64_t memory[(RECURRENT_MODEL_SIZE(2) + 7) / 8];
static float weights[WEIGHTS], grads[WEIGHTS], moments[2 * WEIGHTS], state[UNITS], tape[TAPE], scratch[SCRATCH];
static float samples[CHUNK + 1], predicted[CHUNK], slopes[CHUNK];

// The sensor: a rotating shaft with noise. A broken bearing adds a faster vibration.
static float sensor(long at, uint64_t *seed) {
    const double t = (double)at, noise = (double)(recurrent_random(seed) >> 40) / 16777216.0 - 0.5;
    const double fault = at >= (long)CHUNKS * CHUNK + FAULT ? 0.25 * sin(1.9 * t) : 0;
    return (float)(0.6 * sin(0.21 * t) + 0.3 * sin(0.063 * t + 1) + 0.05 * noise + fault);
}

// Huber's loss of a chunk, which single outliers do not dominate. Writes its gradient in each prediction.
static float huber(const float *y, const float *targets, float *dy) {
    const float edge = 0.1f;
    float sum = 0;
    for (int t = 0; t < CHUNK; t++) {
        const float off = y[t] - targets[t], size = fabsf(off);
        sum += size < edge ? 0.5f * off * off : edge * (size - 0.5f * edge);
        dy[t] = (size < edge ? off : off > 0 ? edge : -edge) / CHUNK;
    }
    return sum / CHUNK;
}

static int failed(const recurrent_error *error) {
    char text[200];
    recurrent_error_text(error, text, sizeof text);
    fprintf(stderr, "%s: %s\n", recurrent_status_name(error->status), text);
    return 1;
}

int main(void) {
    // The layers, and the only cell that is linked.
    const recurrent_layer layers[] = {RECURRENT_LAYER(GRU, 1, UNITS), RECURRENT_LAYER(DENSE, UNITS, 1)};
    const recurrent_cell *const cells[] = {recurrent_gru_training()};
    recurrent_error error;
    recurrent_model *model;
    uint64_t seed = 1;
    if (recurrent_model_build(layers, 2, cells, 1, memory, sizeof memory, &model, &error)) return failed(&error);
    if (recurrent_model_init(model, &seed, weights, WEIGHTS, &error)) return failed(&error);
    if (recurrent_reset(model, 1, state, UNITS, &error)) return failed(&error);

    const recurrent_sequences chunk = {.steps = CHUNK, .batch = 1};
    const recurrent_own_training training = {
        .weights = weights, .weights_len = WEIGHTS, .x = samples, .x_len = CHUNK, .y = predicted, .y_len = CHUNK,
        .state = state, .state_len = UNITS, .dy = slopes, .dy_len = CHUNK, .grads = grads, .grads_len = WEIGHTS,
        .tape = tape, .tape_len = recurrent_model_tape_len(model, CHUNK, 1), .scratch = scratch, .scratch_len = SCRATCH,
    };
    if (training.tape_len > TAPE) return 1;
    recurrent_adam adam = RECURRENT_ADAM(0.01f);
    long now = 0;
    float first = 0, usual = 0;
    samples[CHUNK] = sensor(now++, &seed);
    for (int i = 0; i < CHUNKS; i++) {
        // Each input is a sample, and its target the sample that follows. The state goes on from chunk to chunk.
        samples[0] = samples[CHUNK];
        for (int t = 1; t <= CHUNK; t++) samples[t] = sensor(now++, &seed);
        float scale;
        if (recurrent_forward_train(model, &chunk, &training, &error)) return failed(&error);
        const float loss = huber(predicted, samples + 1, slopes);
        if (recurrent_backward(model, &chunk, &training, &error)) return failed(&error);
        if (recurrent_clip_scale(grads, WEIGHTS, 1.0f, &scale, NULL, &error)) return failed(&error);
        if (i > CHUNKS / 2) adam.lr = 0.002f;
        if (recurrent_adam_update(&adam, weights, WEIGHTS, grads, WEIGHTS, moments, 2 * WEIGHTS, scale, &error))
            return failed(&error);
        if (i == 0) first = loss;
        // The mean over the last chunks.
        if (i >= CHUNKS - 50) usual += loss / 50;
    }
    printf("the loss was %.5f at first, and is %.5f\n", (double)first, (double)usual);

    // Watch with what was learned: an error that stays above the usual one is a fault.
    if (recurrent_model_set_weights(model, weights, WEIGHTS, &error)) return failed(&error);
    float y, next = samples[CHUNK], mean = usual;
    recurrent_buffers buffers = {.x = &samples[0], .x_len = 1, .y = &y, .y_len = 1, .state = state, .state_len = UNITS,
                                 .scratch = scratch, .scratch_len = SCRATCH};
    for (int i = 0; i < WATCHED; i++) {
        samples[0] = next;
        if (recurrent_step(model, &buffers, &error)) return failed(&error);
        next = sensor(now++, &seed);
        const float off = y - next;
        mean += (0.5f * off * off - mean) / 32;
        if (mean > 4 * usual) {
            printf("a fault, %d samples after it began\n", i - FAULT);
            return i < FAULT || i > FAULT + 100 || usual > 0.1f * first;
        }
    }
    printf("no fault was found\n");
    return 1;
}
