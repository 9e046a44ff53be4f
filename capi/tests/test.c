// Tests the results and the errors of every function in recurrent.h. The arguments are images. The first one
// is the gesture recogniser of examples/firmware/models, with the recording beside it.
#include "check.h"

static recurrent_model *opened(file image, void **memory) {
    size_t cells = 0, size = 0;
    const recurrent_cell *const *every = recurrent_every_cell(&cells);
    OK(recurrent_model_size(image.bytes, image.len, &size, &error));
    *memory = malloc(size);
    recurrent_model *model = NULL;
    OK(recurrent_model_open(image.bytes, image.len, every, cells, *memory, size, &model, &error));
    if (!model) printf("%s\n", text());
    return model;
}

typedef struct {
    recurrent_buffers of;
    float *x, *y, *state, *scratch;
} buffers;

// Allocates buffers of exactly the lengths that a pass needs.
static buffers buffers_for(const recurrent_model *model, size_t steps, size_t batch) {
    buffers b;
    memset(&b, 0, sizeof b);
    b.of.x_len = steps * batch * recurrent_model_input(model);
    b.of.y_len = recurrent_model_output_len(model, steps, batch);
    b.of.state_len = recurrent_model_state_len(model, batch);
    b.of.scratch_len = recurrent_model_scratch_len(model, steps, batch);
    b.of.x = b.x = floats(b.of.x_len);
    b.of.y = b.y = floats(b.of.y_len);
    b.of.state = b.state = floats(b.of.state_len);
    b.of.scratch = b.scratch = floats(b.of.scratch_len);
    return b;
}

static void release(buffers b) {
    free(b.x);
    free(b.y);
    free(b.state);
    free(b.scratch);
}

// Steps, whole sequences and batches, packed and in place, give the same bits.
static void passes(file image) {
    enum { STEPS = 17 };
    void *memory[2];
    recurrent_model *models[2] = {opened(image, &memory[0]), opened(image, &memory[1])};
    if (!models[0] || !models[1]) return;
    size_t packed_len = recurrent_model_packed_len(models[1]);
    float *packed = floats(packed_len);
    OK(recurrent_model_pack(models[1], packed, packed_len, &error));
    buffers whole = buffers_for(models[0], STEPS, 1);
    for (size_t i = 0; i < whole.of.x_len; i++) whole.x[i] = (float)sin(0.3 * (double)i);
    OK(recurrent_reset(models[0], 1, whole.state, whole.of.state_len, &error));
    recurrent_sequences sequences;
    memset(&sequences, 0, sizeof sequences);
    sequences.steps = STEPS;
    sequences.batch = 1;
    OK(recurrent_forward(models[0], &sequences, &whole.of, &error));
    for (size_t i = 0; i < whole.of.y_len; i++) CHECK(isfinite(whole.y[i]));

    for (int m = 0; m < 2; m++) {
        buffers one = buffers_for(models[m], 1, 1);
        OK(recurrent_reset(models[m], 1, one.state, one.of.state_len, &error));
        for (size_t t = 0; t < STEPS; t++) {
            memcpy(one.x, whole.x + t * one.of.x_len, one.of.x_len * sizeof(float));
            OK(recurrent_step(models[m], &one.of, &error));
            CHECK(!memcmp(one.y, whole.y + t * one.of.y_len, one.of.y_len * sizeof(float)));
        }
        CHECK(!memcmp(one.state, whole.state, one.of.state_len * sizeof(float)));
        release(one);
        // Three batch-major rows; the second one ends early.
        buffers rows = buffers_for(models[m], STEPS, 3);
        for (size_t row = 0; row < 3; row++) memcpy(rows.x + row * whole.of.x_len, whole.x, whole.of.x_len * sizeof(float));
        OK(recurrent_reset(models[m], 3, rows.state, rows.of.state_len, &error));
        const size_t lengths[3] = {STEPS, 5, STEPS};
        recurrent_sequences padded = sequences;
        padded.batch = 3;
        padded.lengths = lengths;
        padded.lengths_len = 3;
        padded.batch_major = 1;
        OK(recurrent_forward(models[m], &padded, &rows.of, &error));
        CHECK(!memcmp(rows.y, whole.y, whole.of.y_len * sizeof(float)));
        CHECK(!memcmp(rows.y + 2 * whole.of.y_len, whole.y, whole.of.y_len * sizeof(float)));
        CHECK(!memcmp(rows.y + whole.of.y_len, whole.y, 5 * recurrent_model_output(models[m]) * sizeof(float)));
        release(rows);
    }
    // A mask of all steps has no effect, and a mask of no step keeps the state.
    uint8_t flags[STEPS];
    memset(flags, 1, sizeof flags);
    buffers again = buffers_for(models[1], STEPS, 1);
    memcpy(again.x, whole.x, whole.of.x_len * sizeof(float));
    OK(recurrent_reset(models[1], 1, again.state, again.of.state_len, &error));
    sequences.mask = flags;
    sequences.mask_len = STEPS;
    OK(recurrent_forward(models[1], &sequences, &again.of, &error));
    CHECK(!memcmp(again.y, whole.y, whole.of.y_len * sizeof(float)));
    memset(flags, 0, sizeof flags);
    OK(recurrent_forward(models[1], &sequences, &again.of, &error));
    CHECK(!memcmp(again.state, whole.state, whole.of.state_len * sizeof(float)));
    flags[3] = 2;
    REFUSED(recurrent_forward(models[1], &sequences, &again.of, &error), VALUE, "`mask` must be bytes that are 0 or 1");
    release(again);
    release(whole);
    free(packed);
    free(memory[0]);
    free(memory[1]);
}

// The errors of opening a model.
static void opening(file image) {
    size_t cells_len = 0, size = 0;
    const recurrent_cell *const *cells = recurrent_every_cell(&cells_len);
    CHECK(cells_len == 12 && recurrent_every_cell(NULL) == cells);
    recurrent_model *model = NULL;
    REFUSED(recurrent_model_size(NULL, image.len, &size, &error), NULL, "`image` is null");
    REFUSED(recurrent_model_size(image.bytes, image.len, NULL, &error), NULL, "`size` is null");
    REFUSED(recurrent_model_size(image.bytes, 31, &size, &error), IMAGE, "byte 31 of the image");
    REFUSED(recurrent_model_size(image.bytes, 0, &size, &error), IMAGE, "incomplete");
    REFUSED(recurrent_model_size(image.bytes, SIZE_MAX, &size, &error), OVERFLOW, "`image`");
    size_t two[2];
    REFUSED(recurrent_model_size(image.bytes, image.len, (size_t *)(void *)((char *)two + 1), &error), ALIGNMENT, "`size`");
    OK(recurrent_model_size(image.bytes, image.len, &size, NULL));
    // Firmware uses a static buffer of this size.
    CHECK(size <= RECURRENT_MODEL_SIZE(2));
    uint64_t *memory = malloc(size + 8);
#define OPEN(bytes, len, cells, cells_len, memory, size, model)                                                         \
    recurrent_model_open(bytes, len, cells, cells_len, memory, size, model, &error)
    REFUSED(OPEN(NULL, image.len, cells, cells_len, memory, size, &model), NULL, "`image` is null");
    REFUSED(OPEN(image.bytes, image.len, NULL, cells_len, memory, size, &model), NULL, "`cells` is null");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, NULL, size, &model), NULL, "`memory` is null");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, memory, size, NULL), NULL, "`model` is null");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, memory, size - 1, &model), LENGTH, "`memory` has");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, memory, 0, &model), LENGTH, "`memory` has 0");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, (char *)memory + 4, size, &model), ALIGNMENT, "8 bytes");
    REFUSED(OPEN(image.bytes, image.len, cells, cells_len, image.bytes, image.len, &model), OVERLAP, "`image`");
    const recurrent_cell *const none[] = {recurrent_lstm(), NULL};
    REFUSED(OPEN(image.bytes, image.len, none, 2, memory, size, &model), NULL, "`cells` is null");
    REFUSED(OPEN(image.bytes, image.len, none, 1, memory, size, &model), CELL, "layer 0 of the model is of the form GRU");
    REFUSED(OPEN(image.bytes, image.len, NULL, 0, memory, size, &model), CELL, "GRU, which the program did not name");
    REFUSED(OPEN(image.bytes, image.len - 1, cells, cells_len, memory, size, &model), IMAGE, "shorter");
    // Images shifted by one to three bytes.
    uint8_t *shifted = aligned_alloc(16, (image.len + 31) / 16 * 16);
    for (size_t shift = 1; shift < 4; shift++) {
        memcpy(shifted + shift, image.bytes, image.len);
        REFUSED(OPEN(shifted + shift, image.len, cells, cells_len, memory, size, &model), ALIGNMENT, "4 bytes");
    }
    // Every flipped bit is detected.
    memcpy(shifted, image.bytes, image.len);
    for (size_t i = 0; i < image.len; i++) {
        shifted[i] ^= (uint8_t)(1u << i % 8);
        CHECK(OPEN(shifted, image.len, cells, cells_len, memory, size, &model) == RECURRENT_ERROR_IMAGE);
        shifted[i] ^= (uint8_t)(1u << i % 8);
    }
    CHECK(model == NULL);
    free(shifted);
    OK(OPEN(image.bytes, image.len, cells, cells_len, memory, size, &model));
    CHECK((void *)model == (void *)memory);
    // Memory that was overwritten is no longer a model.
    memset(memory, 0xff, size);
    REFUSED(recurrent_reset(model, 1, NULL, 0, &error), MODEL, "that was opened");
    REFUSED(recurrent_step(model, NULL, &error), MODEL, "that was opened");
    CHECK(recurrent_model_input(model) == 0);
    // A cell named only for steps supports no other pass.
    const recurrent_cell *const steps[] = {recurrent_gru_steps()};
    OK(OPEN(image.bytes, image.len, steps, 1, memory, size, &model));
    buffers b = buffers_for(model, 1, 1);
    memset(b.x, 0, b.of.x_len * sizeof(float));
    OK(recurrent_reset(model, 1, b.state, b.of.state_len, &error));
    OK(recurrent_step(model, &b.of, &error));
    recurrent_sequences sequences;
    memset(&sequences, 0, sizeof sequences);
    sequences.steps = sequences.batch = 1;
    REFUSED(recurrent_forward(model, &sequences, &b.of, &error), LAYERS, "linked without this pass");
    release(b);
    free(memory);
}

// The errors of all functions that take a model.
static void arguments(file image) {
    void *memory = NULL;
    recurrent_model *model = opened(image, &memory);
    if (!model) return;
    buffers b = buffers_for(model, 2, 1);
    b.of.x_len /= 2;
    b.of.y_len /= 2;
    memset(b.x, 0, b.of.x_len * sizeof(float));
    const recurrent_buffers good = b.of;
    recurrent_buffers bad;
    OK(recurrent_reset(model, 1, b.state, b.of.state_len, &error));
    OK(recurrent_step(model, &good, &error));
    OK(recurrent_step(model, &good, NULL));
    REFUSED(recurrent_step(NULL, &good, &error), NULL, "`model` is null");
    REFUSED(recurrent_step((const recurrent_model *)(const void *)((char *)memory + 1), &good, &error), ALIGNMENT, "`model`");
    REFUSED(recurrent_step(model, NULL, &error), NULL, "`buffers` is null");
#define BAD(change, code, words)                                                                                        \
    do {                                                                                                                \
        bad = good;                                                                                                     \
        change;                                                                                                         \
        refused(__LINE__, recurrent_step(model, &bad, &error), RECURRENT_ERROR_##code, words);                          \
    } while (0)
    BAD(bad.x = NULL, NULL, "`x` is null");
    BAD(bad.y = NULL, NULL, "`y` is null");
    BAD(bad.state = NULL, NULL, "`state` is null");
    BAD(bad.scratch = NULL, NULL, "`scratch` is null");
    BAD((bad.ids = NULL, bad.ids_len = 1), NULL, "`ids` is null");
    BAD(bad.x_len--, LENGTH, "`x` has");
    BAD(bad.x_len = 0, LENGTH, "has");
    BAD(bad.y_len--, LENGTH, "`y` has");
    BAD(bad.y_len++, LENGTH, "`y` has");
    BAD(bad.state_len--, LENGTH, "`state` has");
    BAD(bad.state_len++, LENGTH, "`state` has");
    BAD(bad.scratch_len = recurrent_model_scratch_len(model, 1, 1) - 1, LENGTH, "`scratch` has");
    BAD(bad.x = (const float *)(const void *)((char *)b.x + 1), ALIGNMENT, "`x` is not aligned to 4 bytes");
    BAD(bad.y = (float *)(void *)((char *)b.y + 2), ALIGNMENT, "`y`");
    BAD(bad.state = (float *)(void *)((char *)b.state + 3), ALIGNMENT, "`state`");
    BAD(bad.scratch = (float *)(void *)((char *)b.scratch + 1), ALIGNMENT, "`scratch`");
    BAD(bad.y = b.scratch, OVERLAP, "`y` is written to, but overlaps `scratch`");
    BAD(bad.state = b.scratch, OVERLAP, "`state` is written to, but overlaps `scratch`");
    BAD(bad.x = b.y, OVERLAP, "`y` is written to, but overlaps `x`");
    BAD(bad.x = b.state + 1, OVERLAP, "`state` is written to, but overlaps `x`");
    BAD(bad.y = (float *)(void *)image.bytes + image.len / 4 - 5, OVERLAP, "overlaps `image`");
    BAD((bad.scratch = (float *)memory, bad.scratch_len = 4), OVERLAP, "overlaps `model`");
    BAD(bad.x_len = SIZE_MAX, OVERFLOW, "`x`");
    BAD(bad.scratch_len = SIZE_MAX / 4, OVERFLOW, "`scratch`");
    const uint32_t ids[1] = {0};
    BAD((bad.ids = ids, bad.ids_len = 1), VALUE, "`ids` must be empty");
    // A failing call writes nothing.
    float *state = floats(good.state_len);
    memcpy(state, b.state, good.state_len * sizeof(float));
    bad = good;
    bad.y_len--;
    REFUSED(recurrent_step(model, &bad, &error), LENGTH, "`y`");
    CHECK(!memcmp(state, b.state, good.state_len * sizeof(float)));
    free(state);

    recurrent_sequences sequences;
    memset(&sequences, 0, sizeof sequences);
    sequences.steps = sequences.batch = 1;
    OK(recurrent_forward(model, &sequences, &good, &error));
    REFUSED(recurrent_forward(model, NULL, &good, &error), NULL, "`sequences` is null");
    REFUSED(recurrent_forward(NULL, &sequences, &good, &error), NULL, "`model` is null");
    REFUSED(recurrent_forward(model, &sequences, NULL, &error), NULL, "`buffers` is null");
    sequences.steps = 2;
    REFUSED(recurrent_forward(model, &sequences, &good, &error), LENGTH, "`x` has");
    sequences.steps = SIZE_MAX / 2;
    sequences.batch = 3;
    CHECK(recurrent_forward(model, &sequences, &good, &error) == RECURRENT_ERROR_OVERFLOW);
    sequences.steps = sequences.batch = 1;
    size_t lengths[2] = {2, 1};
    sequences.lengths = lengths;
    sequences.lengths_len = 1;
    REFUSED(recurrent_forward(model, &sequences, &good, &error), INDEX, "`lengths[0]` is 2");
    sequences.lengths_len = 2;
    REFUSED(recurrent_forward(model, &sequences, &good, &error), LENGTH, "`lengths` has 2");
    sequences.lengths = NULL;
    REFUSED(recurrent_forward(model, &sequences, &good, &error), NULL, "`lengths` is null");
    sequences.lengths = (const size_t *)(const void *)((char *)lengths + 1);
    sequences.lengths_len = 1;
    REFUSED(recurrent_forward(model, &sequences, &good, &error), ALIGNMENT, "`lengths`");
    sequences.lengths = (const size_t *)(const void *)b.scratch;
    if ((uintptr_t)b.scratch % sizeof(size_t) == 0) {
        REFUSED(recurrent_forward(model, &sequences, &good, &error), OVERLAP, "`lengths`");
    }

    REFUSED(recurrent_reset(NULL, 1, b.state, good.state_len, &error), NULL, "`model`");
    REFUSED(recurrent_reset(model, 1, NULL, good.state_len, &error), NULL, "`state`");
    REFUSED(recurrent_reset(model, 2, b.state, good.state_len, &error), LENGTH, "`state` has");
    REFUSED(recurrent_reset(model, SIZE_MAX, b.state, good.state_len, &error), OVERFLOW, "`state`");
    REFUSED(recurrent_reset(model, 1, (float *)(void *)((char *)b.state + 1), good.state_len, &error), ALIGNMENT, "`state`");
    REFUSED(recurrent_reset(model, 1, (float *)memory, good.state_len, &error), OVERLAP, "`model`");

    size_t packed_len = recurrent_model_packed_len(model);
    float *packed = floats(packed_len + 1);
    REFUSED(recurrent_model_pack(NULL, packed, packed_len, &error), NULL, "`model`");
    REFUSED(recurrent_model_pack(model, NULL, packed_len, &error), NULL, "`packed`");
    REFUSED(recurrent_model_pack(model, packed, packed_len - 1, &error), LENGTH, "`packed` has");
    REFUSED(recurrent_model_pack(model, (float *)(void *)((char *)packed + 1), packed_len, &error), ALIGNMENT, "`packed`");
    REFUSED(recurrent_model_pack(model, (float *)(void *)image.bytes, packed_len, &error), OVERLAP, "`image`");
    REFUSED(recurrent_model_pack(model, (float *)memory, packed_len, &error), OVERLAP, "`packed` is written to, but overlaps");
    OK(recurrent_model_pack(model, packed, packed_len, &error));
    BAD(bad.scratch = packed, OVERLAP, "overlaps `packed`");
    OK(recurrent_step(model, &good, &error));
    free(packed);

    const recurrent_model *null = NULL;
    CHECK(recurrent_model_input(null) + recurrent_model_output(null) + recurrent_model_classes(null) == 0);
    CHECK(recurrent_model_state_len(null, 1) + recurrent_model_scratch_len(null, 1, 1) == 0);
    CHECK(recurrent_model_output_len(null, 1, 1) + recurrent_model_weights_len(null) + recurrent_model_packed_len(null) == 0);
    CHECK(recurrent_model_is_pooled(null) + recurrent_model_ending(null) + recurrent_model_has_mask(null) == 0);
    size_t len = 1;
    CHECK(recurrent_model_class_name(null, 0, &len) == NULL && len == 0);
    CHECK(recurrent_model_class_name(model, 0, NULL) == NULL);
    CHECK(recurrent_model_state_len(model, SIZE_MAX) == SIZE_MAX);
    CHECK(recurrent_model_scratch_len(model, SIZE_MAX, SIZE_MAX) == SIZE_MAX);

    uint8_t mask[2] = {7, 7};
    OK(recurrent_model_mask(model, b.x, good.x_len, NULL, 0, mask, 1, &error));
    CHECK(mask[0] == 1 && mask[1] == 7);
    REFUSED(recurrent_model_mask(model, b.x, good.x_len, NULL, 0, mask, 2, &error), LENGTH, "`mask` has 2");
    REFUSED(recurrent_model_mask(model, b.x, good.x_len, NULL, 0, NULL, 1, &error), NULL, "`mask`");
    REFUSED(recurrent_model_mask(model, NULL, 3, NULL, 0, mask, 1, &error), NULL, "`x`");
    REFUSED(recurrent_model_mask(NULL, b.x, good.x_len, NULL, 0, mask, 1, &error), NULL, "`model`");
    REFUSED(recurrent_model_mask(model, b.x, good.x_len, ids, 1, mask, 1, &error), VALUE, "`ids`");
    REFUSED(recurrent_model_mask(model, b.x, good.x_len, NULL, 0, (uint8_t *)b.x, 1, &error), OVERLAP, "`x`");
    OK(recurrent_model_mask(model, NULL, 0, NULL, 0, NULL, 0, &error));
    release(b);
    free(memory);
}

static void outputs(void) {
    const float logits[4] = {0.0f, 2.0f, -1.0f, 2.0f};
    size_t class_ = 9;
    OK(recurrent_argmax(logits, 4, &class_, &error));
    CHECK(class_ == 1);
    REFUSED(recurrent_argmax(NULL, 4, &class_, &error), NULL, "`logits`");
    REFUSED(recurrent_argmax(logits, 4, NULL, &error), NULL, "`class_`");
    REFUSED(recurrent_argmax(logits, 0, &class_, &error), LENGTH, "`logits` has 0 elements, and needs 1 or more");
    const float nan_[2] = {0.0f, NAN};
    REFUSED(recurrent_argmax(nan_, 2, &class_, &error), VALUE, "NaN");
    REFUSED(recurrent_argmax((const float *)(const void *)((const char *)logits + 1), 2, &class_, &error), ALIGNMENT, "`logits`");

    float y[4], sum = 0;
    OK(recurrent_softmax(4, logits, y, 4, &error));
    for (int i = 0; i < 4; i++) sum += y[i];
    CHECK(fabsf(sum - 1) < 1e-6f && y[1] == y[3] && y[0] > y[2]);
    float logs[4];
    OK(recurrent_log_softmax(4, logits, logs, 4, &error));
    for (int i = 0; i < 4; i++) CHECK(fabsf(expf(logs[i]) - y[i]) < 1e-6f);
    REFUSED(recurrent_softmax(3, logits, y, 4, &error), LENGTH, "`x`");
    REFUSED(recurrent_softmax(0, logits, y, 4, &error), LENGTH, "`x`");
    REFUSED(recurrent_softmax(4, NULL, y, 4, &error), NULL, "`x`");
    REFUSED(recurrent_log_softmax(4, logits, NULL, 4, &error), NULL, "`y`");
    REFUSED(recurrent_softmax(2, y, y + 1, 2, &error), OVERLAP, "`y` is written to, but overlaps `x`");
    OK(recurrent_softmax(4, NULL, NULL, 0, &error));

    recurrent_sampling sampling = {0.7f, 0.9f, 3};
    size_t scratch_len = recurrent_sample_scratch_len(&sampling, 4), counts[4] = {0, 0, 0, 0};
    CHECK(scratch_len == 4 && recurrent_sample_scratch_len(NULL, 4) == 0);
    float scratch[4];
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++) {
        OK(recurrent_sample(&sampling, logits, 4, scratch, 4, recurrent_random(&seed), &class_, &error));
        counts[class_ & 3]++;
    }
    CHECK(counts[1] > 400 && counts[3] > 400 && counts[2] == 0);
    REFUSED(recurrent_sample(NULL, logits, 4, scratch, 4, 0, &class_, &error), NULL, "`sampling`");
    REFUSED(recurrent_sample(&sampling, NULL, 4, scratch, 4, 0, &class_, &error), NULL, "`logits`");
    REFUSED(recurrent_sample(&sampling, logits, 4, NULL, 4, 0, &class_, &error), NULL, "`scratch`");
    REFUSED(recurrent_sample(&sampling, logits, 4, scratch, 3, 0, &class_, &error), LENGTH, "`scratch`");
    REFUSED(recurrent_sample(&sampling, logits, 4, scratch, 4, 0, NULL, &error), NULL, "`class_`");
    REFUSED(recurrent_sample(&sampling, scratch, 4, scratch, 4, 0, &class_, &error), OVERLAP, "`logits`");
    sampling.temperature = -1;
    REFUSED(recurrent_sample(&sampling, logits, 4, scratch, 4, 0, &class_, &error), VALUE, "`temperature`");
    sampling.temperature = 0;
    OK(recurrent_sample(&sampling, logits, 4, NULL, 0, 0, &class_, &error));
    CHECK(class_ == 1 && recurrent_random(NULL) == 0);
    // The first numbers of SplitMix64 from seed 1234567, as its reference implementation gives them.
    seed = 1234567;
    CHECK(recurrent_random(&seed) == 6457827717110365317u && recurrent_random(&seed) == 3203168211198807973u);

    char room[12];
    memset(&error, 0, sizeof error);
    recurrent_argmax(NULL, 4, &class_, &error);
    CHECK(recurrent_error_text(&error, NULL, 0) == strlen("`logits` is null"));
    memset(room, 'x', sizeof room);
    CHECK(recurrent_error_text(&error, room, 11) == strlen("`logits` is null"));
    CHECK(!strcmp(room, "`logits` i") && room[11] == 'x');
    CHECK(recurrent_error_text(NULL, room, sizeof room) == 0);
    memset(&error, 0, sizeof error);
    CHECK(!strcmp(text(), "no error") && !strcmp(recurrent_status_name(99), "an unknown status"));
    CHECK(!strcmp(recurrent_status_name(-1), "an unknown status") && !strcmp(recurrent_status_name(0), "RECURRENT_OK"));
    CHECK(!strcmp(recurrent_status_name(RECURRENT_ERROR_INTERNAL), "RECURRENT_ERROR_INTERNAL"));
}

// The buffers of a training pass of exactly the lengths that it needs, and random inputs and targets.
typedef struct {
    recurrent_training of;
    recurrent_sequences sequences;
    float *weights, *x, *targets, *grads, *state, *tape, *scratch;
    uint32_t *classes;
} lesson;

static lesson lesson_for(const recurrent_model *model, size_t steps, size_t batch) {
    lesson l;
    memset(&l, 0, sizeof l);
    uint64_t seed = 5;
    const size_t classes = recurrent_model_output(model), rows = steps * batch;
    l.sequences.steps = steps;
    l.sequences.batch = batch;
    l.of.weights_len = l.of.grads_len = recurrent_model_weights_len(model);
    l.of.x_len = rows * recurrent_model_input(model);
    l.of.state_len = recurrent_model_state_len(model, batch);
    l.of.tape_len = recurrent_model_tape_len(model, steps, batch);
    l.of.scratch_len = recurrent_model_train_scratch_len(model, steps, batch);
    l.of.target_classes_len = rows;
    l.of.loss = RECURRENT_LOSS_CROSS_ENTROPY;
    l.of.weights = l.weights = floats(l.of.weights_len);
    l.of.x = l.x = floats(l.of.x_len);
    l.of.grads = l.grads = floats(l.of.grads_len);
    l.of.state = l.state = floats(l.of.state_len);
    l.of.tape = l.tape = floats(l.of.tape_len);
    l.of.scratch = l.scratch = floats(l.of.scratch_len);
    l.targets = floats(rows * classes);
    l.of.target_classes = l.classes = malloc(rows * sizeof *l.classes);
    if (!l.classes) exit(printf("no memory\n"));
    for (size_t i = 0; i < l.of.x_len; i++) l.x[i] = uniform(&seed);
    for (size_t i = 0; i < rows * classes; i++) l.targets[i] = 0.5f + 0.5f * uniform(&seed);
    for (size_t i = 0; i < rows; i++) l.classes[i] = (uint32_t)(recurrent_random(&seed) % classes);
    OK(recurrent_model_copy_weights(model, l.weights, l.of.weights_len, &error));
    return l;
}

static void numbers(lesson *l, int32_t loss, size_t len) {
    l->of.loss = loss;
    l->of.target_classes = NULL;
    l->of.target_classes_len = 0;
    l->of.targets = l->targets;
    l->of.targets_len = len;
}

static void forget(lesson l) {
    free(l.weights);
    free(l.x);
    free(l.targets);
    free(l.grads);
    free(l.state);
    free(l.tape);
    free(l.scratch);
    free(l.classes);
}

// The loss by the equations in double, of outputs of the forward pass with the weights of the lesson.
static double loss_of(recurrent_model *model, const lesson *l) {
    const size_t rows = l->sequences.steps * l->sequences.batch, width = recurrent_model_output(model);
    buffers b = buffers_for(model, l->sequences.steps, l->sequences.batch);
    b.of.x = l->x;
    OK(recurrent_model_set_weights(model, l->weights, l->of.weights_len, &error));
    OK(recurrent_reset(model, l->sequences.batch, b.state, b.of.state_len, &error));
    OK(recurrent_forward(model, &l->sequences, &b.of, &error));
    double sum = 0;
    for (size_t row = 0; row < rows; row++) {
        const float *y = b.y + row * width, *targets = l->targets + row * width;
        double total = 0;
        for (size_t i = 0; i < width; i++) {
            const double z = y[i], t = targets[i];
            if (l->of.loss == RECURRENT_LOSS_CROSS_ENTROPY) total += exp(z);
            if (l->of.loss == RECURRENT_LOSS_MEAN_SQUARED_ERROR) sum += (z - t) * (z - t) / (double)width;
            if (l->of.loss == RECURRENT_LOSS_BINARY_CROSS_ENTROPY) sum += (log1p(exp(z)) - t * z) / (double)width;
        }
        if (l->of.loss == RECURRENT_LOSS_CROSS_ENTROPY) sum += log(total) - (double)y[l->classes[row]];
    }
    release(b);
    return sum / (double)rows;
}

// Losses and gradients, beside losses in double and central differences.
static void gradients(file image) {
    void *memory;
    recurrent_model *model = opened(image, &memory);
    if (!model) return;
    lesson l = lesson_for(model, 7, 3);
    const size_t rows = 7 * 3, outputs = rows * recurrent_model_output(model);
    for (int32_t kind = RECURRENT_LOSS_CROSS_ENTROPY; kind <= RECURRENT_LOSS_BINARY_CROSS_ENTROPY; kind++) {
        if (kind != RECURRENT_LOSS_CROSS_ENTROPY) numbers(&l, kind, outputs);
        float loss = NAN;
        OK(recurrent_reset(model, 3, l.state, l.of.state_len, &error));
        OK(recurrent_forward_backward(model, &l.sequences, &l.of, &loss, &error));
        const double expected = loss_of(model, &l);
        CHECK(fabs(loss - expected) < 1e-5 * (1 + fabs(expected)));
        for (size_t i = 0; i < l.of.weights_len; i += 5) {
            const float before = l.weights[i], by = 4e-3f;
            l.weights[i] = before + by;
            const double above = loss_of(model, &l), up = l.weights[i];
            l.weights[i] = before - by;
            const double slope = (above - loss_of(model, &l)) / (up - l.weights[i]);
            l.weights[i] = before;
            if (!(fabs(slope - l.grads[i]) < 2e-4 + 5e-3 * fabs(slope)))
                printf("loss %d, weight %zu: %g where differences give %g\n", kind, i, (double)l.grads[i], slope);
            CHECK(fabs(slope - l.grads[i]) < 2e-4 + 5e-3 * fabs(slope));
        }
    }
    // The gradients of a batch, as two halves of it that are added up, are twice the same.
    float *once = floats(l.of.grads_len), loss = NAN, half = NAN;
    OK(recurrent_reset(model, 3, l.state, l.of.state_len, &error));
    OK(recurrent_forward_backward(model, &l.sequences, &l.of, &loss, &error));
    memcpy(once, l.grads, l.of.grads_len * sizeof(float));
    l.of.total_targets = 2.0 * (double)rows;
    for (uint8_t add = 0; add < 2; add++) {
        l.of.accumulate = add;
        OK(recurrent_reset(model, 3, l.state, l.of.state_len, &error));
        OK(recurrent_forward_backward(model, &l.sequences, &l.of, &half, &error));
        CHECK(fabsf(2 * half - loss) < 1e-6f * (1 + loss));
    }
    for (size_t i = 0; i < l.of.grads_len; i++) CHECK(fabsf(l.grads[i] - once[i]) < 1e-6f + 1e-5f * fabsf(once[i]));
    free(once);
    forget(l);
    free(memory);
}

enum { PLAIN, ADAM, ADAMW };

// A model that starts from random weights learns to say whether the input before was above 0.
static void learning(file image, int optimiser) {
    enum { STEPS = 10, ROWS = 4 };
    void *memory;
    recurrent_model *model = opened(image, &memory);
    if (!model) return;
    lesson l = lesson_for(model, STEPS, ROWS);
    const size_t input = recurrent_model_input(model);
    for (size_t row = 0; row < STEPS * ROWS; row++)
        l.classes[row] = row >= ROWS && l.x[(row - ROWS) * input] > 0;
    uint64_t seed = 1;
    OK(recurrent_model_init(model, &seed, l.weights, l.of.weights_len, &error));
    CHECK(seed != 1);
    recurrent_sgd sgd = RECURRENT_SGD(0.2f);
    sgd.momentum = 0.9f;
    recurrent_adam adam = RECURRENT_ADAM(0.02f), adamw = RECURRENT_ADAMW(0.02f);
    CHECK(adamw.weight_decay == 0.01f && adam.weight_decay == 0.0f && sgd.nesterov == 0);
    const size_t moments_len = optimiser == PLAIN ? recurrent_sgd_moments_len(&sgd, l.of.weights_len)
                                                  : recurrent_adam_moments_len(l.of.weights_len);
    float *moments = floats(moments_len), loss = NAN, first = NAN, scale, norm;
    memset(moments, 0, moments_len * sizeof(float));
    for (int i = 0; i < 300; i++) {
        OK(recurrent_reset(model, ROWS, l.state, l.of.state_len, &error));
        OK(recurrent_forward_backward(model, &l.sequences, &l.of, &loss, &error));
        if (i == 0) first = loss;
        OK(recurrent_clip_scale(l.grads, l.of.grads_len, 1.0f, &scale, &norm, &error));
        CHECK(scale > 0 && scale <= 1 && norm * scale < 1.001f);
#define UPDATE(function, settings)                                                                                      \
    function(settings, l.weights, l.of.weights_len, l.grads, l.of.grads_len, moments, moments_len, scale, &error)
        if (optimiser == PLAIN) OK(UPDATE(recurrent_sgd_update, &sgd));
        if (optimiser == ADAM) OK(UPDATE(recurrent_adam_update, &adam));
        if (optimiser == ADAMW) OK(UPDATE(recurrent_adamw_update, &adamw));
    }
    CHECK(first > 0.3f && loss < 0.05f);
    if (!(loss < 0.05f)) printf("optimiser %d: a loss of %g at first, %g at last\n", optimiser, (double)first, (double)loss);
    CHECK(adam.step == (optimiser == ADAM ? 300 : 0) && adamw.step == (optimiser == ADAMW ? 300 : 0));

    // The model runs with what was learned, in place and packed, and then with its own weights again.
    const float before = (float)loss_of(model, &l);
    CHECK(before < 0.05f);
    buffers trained = buffers_for(model, 1, 1), packed_run = buffers_for(model, 1, 1), own = buffers_for(model, 1, 1);
    const size_t packed_len = recurrent_model_packed_len(model);
    float *packed = floats(packed_len);
    buffers *runs[3] = {&trained, &packed_run, &own};
    for (int run = 0; run < 3; run++) {
        if (run == 1) OK(recurrent_model_pack(model, packed, packed_len, &error));
        if (run == 2) OK(recurrent_model_set_weights(model, NULL, 0, &error));
        OK(recurrent_reset(model, 1, runs[run]->state, runs[run]->of.state_len, &error));
        memcpy(runs[run]->x, l.x, input * sizeof(float));
        OK(recurrent_step(model, &runs[run]->of, &error));
    }
    CHECK(!memcmp(trained.y, packed_run.y, trained.of.y_len * sizeof(float)));
    CHECK(memcmp(trained.y, own.y, trained.of.y_len * sizeof(float)));
    release(trained);
    release(packed_run);
    release(own);
    free(packed);
    free(moments);
    forget(l);
    free(memory);
}

// The errors of the functions that train.
static void training(file image) {
    void *memory;
    recurrent_model *model = opened(image, &memory);
    if (!model) return;
    lesson l = lesson_for(model, 2, 2);
    const recurrent_training good = l.of;
    recurrent_training bad;
    const size_t len = good.weights_len;
    float loss = 7;
    OK(recurrent_reset(model, 2, l.state, good.state_len, &error));
    // What fails writes nothing.
#define PASS(m, s, t, l) recurrent_forward_backward(m, s, t, l, &error)
#define LESSON(change, code, words)                                                                                     \
    do {                                                                                                                \
        bad = good;                                                                                                     \
        change;                                                                                                         \
        refused(__LINE__, PASS(model, &l.sequences, &bad, &loss), RECURRENT_ERROR_##code, words);                       \
        CHECK(loss == 7 && isnan(l.grads[0]) && isnan(l.tape[0]) && l.state[0] == 0);                                   \
    } while (0)
    REFUSED(PASS(NULL, &l.sequences, &good, &loss), NULL, "`model` is null");
    REFUSED(PASS(model, NULL, &good, &loss), NULL, "`sequences` is null");
    REFUSED(PASS(model, &l.sequences, NULL, &loss), NULL, "`training` is null");
    REFUSED(PASS(model, &l.sequences, &good, NULL), NULL, "`loss` is null");
    REFUSED(PASS(model, &l.sequences, &good, (float *)(void *)((char *)&loss + 1)), ALIGNMENT, "`loss`");
    REFUSED(PASS(model, &l.sequences, &good, l.weights), OVERLAP, "`loss` is written to, but overlaps `weights`");
    LESSON(bad.weights = NULL, NULL, "`weights` is null");
    LESSON(bad.x = NULL, NULL, "`x` is null");
    LESSON(bad.target_classes = NULL, NULL, "`target_classes` is null");
    LESSON(bad.grads = NULL, NULL, "`grads` is null");
    LESSON(bad.state = NULL, NULL, "`state` is null");
    LESSON(bad.tape = NULL, NULL, "`tape` is null");
    LESSON(bad.scratch = NULL, NULL, "`scratch` is null");
    LESSON(bad.weights_len--, LENGTH, "`weights` has");
    LESSON(bad.x_len--, LENGTH, "`x` has");
    LESSON(bad.target_classes_len--, LENGTH, "`targets` has");
    LESSON(bad.grads_len--, LENGTH, "`grads` has");
    LESSON(bad.state_len--, LENGTH, "`state` has");
    LESSON(bad.tape_len--, LENGTH, "`tape` has");
    LESSON(bad.scratch_len--, LENGTH, "`scratch` has");
    LESSON(bad.weights_len = SIZE_MAX, OVERFLOW, "`weights`");
    LESSON(bad.grads = (float *)(void *)((char *)l.grads + 2), ALIGNMENT, "`grads` is not aligned to 4 bytes");
    LESSON(bad.target_classes = (uint32_t *)(void *)((char *)l.classes + 1), ALIGNMENT, "`target_classes`");
    LESSON(bad.grads = l.weights, OVERLAP, "`grads` is written to, but overlaps `weights`");
    REFUSED(PASS(model, &l.sequences, &good, (float *)(void *)l.classes), OVERLAP, "overlaps `target_classes`");
    LESSON(bad.scratch = l.tape, OVERLAP, "`tape` is written to, but overlaps `scratch`");
    LESSON(bad.state = (float *)(void *)image.bytes + image.len / 4 - good.state_len, OVERLAP, "overlaps `image`");
    LESSON((bad.tape = (float *)memory, bad.tape_len = 1), OVERLAP, "overlaps `model`");
    LESSON(bad.loss = 0, VALUE, "`loss` must be one of RECURRENT_LOSS_");
    LESSON(bad.loss = RECURRENT_LOSS_MEAN_SQUARED_ERROR, VALUE, "`target_classes` must be empty");
    LESSON((bad.targets = l.targets, bad.targets_len = 4), VALUE, "`targets` must be empty");
    LESSON((bad.dropout = l.targets, bad.dropout_len = 1), LENGTH, "`dropout` has 1");
    LESSON(bad.total_targets = 1, VALUE, "`total_targets`");
    const uint32_t ids[4] = {0, 0, 0, 0}, large[4] = {0, 99, 0, 0};
    LESSON((bad.ids = ids, bad.ids_len = 4), VALUE, "`ids` must be empty");
    LESSON(bad.target_classes = large, INDEX, "[1]` is 99");
    bad = good;
    bad.target_classes = large;
    bad.ignored = 99;
    bad.has_ignored = 1;
    OK(PASS(model, &l.sequences, &bad, &loss));
    CHECK(isfinite(loss) && loss != 7);
    OK(PASS(model, &l.sequences, &good, &loss));
    OK(recurrent_forward_backward(model, &l.sequences, &good, &loss, NULL));

    // A cell that was not named for training is refused.
    size_t size = 0;
    OK(recurrent_model_size(image.bytes, image.len, &size, &error));
    void *second = malloc(size);
    recurrent_model *other = NULL;
    const recurrent_cell *const cells[] = {recurrent_gru(), recurrent_gru_steps(), recurrent_gru_training()};
    for (size_t i = 0; i < 3; i++) {
        OK(recurrent_model_open(image.bytes, image.len, cells + i, 1, second, size, &other, &error));
        OK(recurrent_reset(other, 2, l.state, good.state_len, &error));
        if (i < 2) REFUSED(PASS(other, &l.sequences, &good, &loss), LAYERS, "layer 0 of the model was linked without");
        if (i == 2) OK(PASS(other, &l.sequences, &good, &loss));
    }

    float *weights = l.weights, *grads = l.grads;
    REFUSED(recurrent_model_copy_weights(NULL, weights, len, &error), NULL, "`model`");
    REFUSED(recurrent_model_copy_weights(model, NULL, len, &error), NULL, "`weights`");
    REFUSED(recurrent_model_copy_weights(model, weights, len - 1, &error), LENGTH, "`weights` has");
    REFUSED(recurrent_model_copy_weights(model, (float *)memory, 1, &error), OVERLAP, "`model`");
    REFUSED(recurrent_model_set_weights(NULL, weights, len, &error), NULL, "`model`");
    REFUSED(recurrent_model_set_weights(model, NULL, len, &error), NULL, "`weights`");
    REFUSED(recurrent_model_set_weights(model, weights, len - 1, &error), LENGTH, "`weights` has");
    REFUSED(recurrent_model_set_weights(model, (float *)(void *)((char *)weights + 1), len, &error), ALIGNMENT, "`weights`");
    REFUSED(recurrent_model_set_weights(model, (float *)memory, len, &error), OVERLAP, "`model`");
    OK(recurrent_model_set_weights(model, weights, len, &error));
    REFUSED(recurrent_reset(model, 2, weights, good.state_len, &error), OVERLAP, "`weights`");
    OK(recurrent_model_set_weights(model, NULL, 0, NULL));
    uint64_t seed = 3;
    REFUSED(recurrent_model_init(NULL, &seed, weights, len, &error), NULL, "`model`");
    REFUSED(recurrent_model_init(model, NULL, weights, len, &error), NULL, "`seed`");
    REFUSED(recurrent_model_init(model, &seed, NULL, len, &error), NULL, "`weights`");
    REFUSED(recurrent_model_init(model, &seed, weights, len + 1, &error), LENGTH, "`weights` has");
    REFUSED(recurrent_draw_dropout(NULL, 2, 2, 0, &seed, NULL, 0, &error), NULL, "`model`");
    REFUSED(recurrent_draw_dropout(model, 2, 2, 0, NULL, NULL, 0, &error), NULL, "`seed`");
    REFUSED(recurrent_draw_dropout(model, 2, 2, 0, &seed, grads, 1, &error), LENGTH, "`factors` has 1");
    REFUSED(recurrent_draw_dropout(model, 2, 2, 0.5f, &seed, NULL, 0, &error), VALUE, "`recurrent_dropout`");
    OK(recurrent_draw_dropout(model, 2, 2, 0, &seed, NULL, 0, &error));
    CHECK(seed == 3 && recurrent_model_dropout_len(model, 2, 2) == 0);

    float scale = 7, norm = 7;
    const float three_four[2] = {3, -4}, infinite[2] = {1, INFINITY};
    REFUSED(recurrent_clip_scale(NULL, 2, 1, &scale, &norm, &error), NULL, "`grads`");
    REFUSED(recurrent_clip_scale(three_four, 2, 1, NULL, &norm, &error), NULL, "`scale`");
    REFUSED(recurrent_clip_scale(three_four, 2, 1, &scale, (float *)(void *)((char *)&norm + 1), &error), ALIGNMENT, "`norm`");
    REFUSED(recurrent_clip_scale(three_four, 2, -1, &scale, &norm, &error), VALUE, "`max`");
    REFUSED(recurrent_clip_scale(infinite, 2, 1, &scale, &norm, &error), VALUE, "`grads` must be finite");
    CHECK(scale == 7 && norm == 7);
    OK(recurrent_clip_scale(three_four, 2, 1, &scale, NULL, &error));
    OK(recurrent_clip_scale(three_four, 2, 1, &scale, &norm, &error));
    CHECK(norm == 5 && fabsf(scale - 0.2f) < 1e-6f);

    // One update, by the equations of the optimisers.
    float w[2] = {1, 1}, moments[4] = {0, 0, 0, 0};
    recurrent_sgd sgd = RECURRENT_SGD(0.5f);
    recurrent_adam adam = RECURRENT_ADAM(0.5f);
    CHECK(recurrent_sgd_moments_len(&sgd, 2) == 0 && recurrent_sgd_moments_len(NULL, 2) == 0);
    CHECK(recurrent_adam_moments_len(2) == 4 && recurrent_adam_moments_len(SIZE_MAX) == SIZE_MAX);
    OK(recurrent_sgd_update(&sgd, w, 2, three_four, 2, NULL, 0, 0.5f, &error));
    CHECK(w[0] == 0.25f && w[1] == 2.0f);
    OK(recurrent_adam_update(&adam, w, 2, three_four, 2, moments, 4, 1, &error));
    CHECK(fabsf(w[0] + 0.25f) < 1e-5f && fabsf(w[1] - 2.5f) < 1e-5f && adam.step == 1);
    adam.weight_decay = 0.5f;
    memset(moments, 0, sizeof moments);
    w[0] = w[1] = 1;
    adam.step = 0;
    OK(recurrent_adamw_update(&adam, w, 2, three_four, 2, moments, 4, 1, &error));
    CHECK(fabsf(w[0] - 0.25f) < 1e-5f && fabsf(w[1] - 1.25f) < 1e-5f && adam.step == 1);
    REFUSED(recurrent_sgd_update(NULL, w, 2, three_four, 2, NULL, 0, 1, &error), NULL, "`sgd`");
    REFUSED(recurrent_sgd_update(&sgd, NULL, 2, three_four, 2, NULL, 0, 1, &error), NULL, "`weights`");
    REFUSED(recurrent_sgd_update(&sgd, w, 2, NULL, 2, NULL, 0, 1, &error), NULL, "`grads`");
    REFUSED(recurrent_sgd_update(&sgd, w, 2, three_four, 1, NULL, 0, 1, &error), LENGTH, "`grads` has 1");
    REFUSED(recurrent_sgd_update(&sgd, w, 2, three_four, 2, moments, 2, 1, &error), LENGTH, "`moments` has 2");
    REFUSED(recurrent_sgd_update(&sgd, w, 2, w, 2, NULL, 0, 1, &error), OVERLAP, "`weights` is written to, but overlaps `grads`");
    REFUSED(recurrent_sgd_update(&sgd, w, 2, three_four, 2, NULL, 0, NAN, &error), VALUE, "`scale`");
    sgd.lr = -1;
    REFUSED(recurrent_sgd_update(&sgd, w, 2, three_four, 2, NULL, 0, 1, &error), VALUE, "`lr`");
    recurrent_status (*const updates[])(recurrent_adam *, float *, size_t, const float *, size_t, float *, size_t, float,
                                        recurrent_error *) = {recurrent_adam_update, recurrent_adamw_update};
    for (int i = 0; i < 2; i++) {
        REFUSED(updates[i](NULL, w, 2, three_four, 2, moments, 4, 1, &error), NULL, "`adam`");
        REFUSED(updates[i](&adam, NULL, 2, three_four, 2, moments, 4, 1, &error), NULL, "`weights`");
        REFUSED(updates[i](&adam, w, 2, NULL, 2, moments, 4, 1, &error), NULL, "`grads`");
        REFUSED(updates[i](&adam, w, 2, three_four, 2, NULL, 4, 1, &error), NULL, "`moments`");
        REFUSED(updates[i](&adam, w, 2, three_four, 2, moments, 3, 1, &error), LENGTH, "`moments` has 3");
        REFUSED(updates[i](&adam, w, 2, three_four, 2, w, 4, 1, &error), OVERLAP, "overlaps `moments`");
        REFUSED(updates[i](&adam, w, 2, &adam.lr, 2, moments, 4, 1, &error), OVERLAP, "`adam` is written to");
        adam.beta1 = 1;
        REFUSED(updates[i](&adam, w, 2, three_four, 2, moments, 4, 1, &error), VALUE, "`beta1`");
        adam.beta1 = 0.9f;
        CHECK(adam.step == 1);
    }

    const recurrent_model *null = NULL;
    CHECK(recurrent_model_tape_len(null, 1, 1) + recurrent_model_train_scratch_len(null, 1, 1) == 0);
    CHECK(recurrent_model_dropout_len(null, 1, 1) == 0 && recurrent_model_tape_len(model, SIZE_MAX, 2) == SIZE_MAX);
    CHECK(recurrent_model_train_scratch_len(model, SIZE_MAX, 2) == SIZE_MAX);
    free(second);
    forget(l);
    free(memory);
}

// Each function for a cell returns a different pointer.
static void cells(void) {
#define CELL(name) recurrent_##name(), recurrent_##name##_steps(), recurrent_##name##_training()
    const recurrent_cell *const all[] = {
        CELL(rnn_tanh),
        CELL(rnn_relu),
        CELL(rnn_options),
        CELL(lstm),
        CELL(lstm_options),
        CELL(lstm_normalised),
        CELL(gru),
        CELL(gru_options),
        CELL(gru_normalised),
        CELL(gru_reset_before),
        CELL(gru_reset_before_options),
        CELL(mgu),
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(all[i] != NULL);
        for (size_t j = 0; j < i; j++) CHECK(all[i] != all[j]);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return printf("usage: %s IMAGE...\n", argv[0]);
    cells();
    outputs();
    for (int i = 1; i < argc; i++) {
        file image = load(argv[i]);
        if (i == 1) {
            opening(image);
            arguments(image);
            training(image);
        }
        gradients(image);
        for (int optimiser = PLAIN; optimiser <= ADAMW; optimiser++) learning(image, optimiser);
        passes(image);
        free(image.bytes);
    }
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}
