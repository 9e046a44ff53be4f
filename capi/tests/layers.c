// Tests models that a program describes: they are those of images with the same layers, and of plain loops.
// Tests training in two halves: gradients beside differences. Tests CTC. Tests the errors of all of these functions.
#include "check.h"

enum { MOST = 7, STEPS = 5, ROWS = 3 };

// A chain of layers, and the same in the words of an image (src/image/mod.rs).
typedef struct {
    const char *name;
    size_t len;
    recurrent_layer layers[MOST];
    uint32_t words[MOST][16];
} chain;

#define NONE {0, 0.0f, 0.0f}
#define OPTIONS(kind, input, output, options, stack, projection, clip, ...)                                             \
    {RECURRENT_LAYER_##kind, input, output, options, stack, projection, clip, 0.0f, {__VA_ARGS__}}
#define STANDARD NONE, NONE, NONE
#define ONLY(kind, alpha, beta) {RECURRENT_ACTIVATION_##kind, alpha, beta}, NONE, NONE
#define DROPOUT(probability)                                                                                            \
    {RECURRENT_LAYER_DROPOUT, 0, 0, 0, 0, 0, 0.0f, probability, {STANDARD}}
// The bits of floats.
#define INF 0x7f800000u
#define F02 0x3e4ccccdu
#define F03 0x3e99999au
#define F05 0x3f000000u
#define F07 0x3f333333u
#define F08 0x3f4ccccdu
#define F15 0x3fc00000u
#define F2 0x40000000u

static const chain chains[] = {
    {"tagger", 6,
     {RECURRENT_LAYER(EMBEDDING, 7, 4), OPTIONS(LSTM, 4, 6, RECURRENT_OPTION_BOTH_CONCAT, 2, 0, 0.0f, STANDARD),
      OPTIONS(DENSE, 12, 5, 0, 0, 0, 0.0f, ONLY(TANH, 0.0f, 0.0f)), DROPOUT(0.3f), RECURRENT_LAYER(GRU, 5, 9),
      RECURRENT_LAYER(DENSE, 9, 7)},
     {{0, 7, 4}, {2, 4, 6, 64, 2, 0, INF, 2, 0, 0, 1, 0, 0, 1}, {4, 12, 5, 0, 0, 0, 0, 1}, {6, 0, 0, 0, 0, 0, F03},
      {3, 5, 9, 0, 1, 0, INF, 2, 0, 0, 1}, {4, 9, 7}}},
    {"classifier", 4,
     {OPTIONS(RNN, 3, 8, 0, 2, 0, 0.0f, STANDARD), RECURRENT_LAYER(POOL_MEAN, 0, 0),
      OPTIONS(DENSE, 8, 6, 0, 0, 0, 0.0f, ONLY(SIGMOID, 0.0f, 0.0f)), RECURRENT_LAYER(DENSE, 6, 4)},
     {{1, 3, 8, 0, 2, 0, INF, 1}, {5, 1}, {4, 8, 6, 0, 0, 0, 0, 2}, {4, 6, 4}}},
    {"reader", 7,
     {RECURRENT_LAYER(SCALE, 3, 0), OPTIONS(ACTIVATION, 0, 0, 0, 0, 0, 0.0f, ONLY(SOFTSIGN, 0.0f, 0.0f)),
      OPTIONS(GRU, 3, 5, RECURRENT_OPTION_BOTH_CONCAT, 2, 0, 0.0f, STANDARD), RECURRENT_LAYER(POOL_ENDS, 0, 0),
      OPTIONS(ACTIVATION, 0, 0, 0, 0, 0, 0.0f, ONLY(ELU, 0.7f, 0.0f)), RECURRENT_LAYER(SCALE, 10, 0),
      RECURRENT_LAYER(DENSE, 10, 4)},
     {{8, 3}, {9, 0, 0, 0, 0, 0, 0, 10}, {3, 3, 5, 64, 2, 0, INF, 2, 0, 0, 1}, {5, 3}, {9, 0, 0, 0, 0, 0, 0, 9, F07},
      {8, 10}, {4, 10, 4}}},
    {"amplifier", 5,
     {OPTIONS(LSTM, 3, 6, 0, 0, 4, 0.0f, STANDARD), RECURRENT_LAYER(DENSE, 4, 3),
      OPTIONS(ACTIVATION, 0, 0, 0, 0, 0, 0.0f, ONLY(SCALED_TANH, 0.8f, 1.5f)), RECURRENT_LAYER(RESIDUAL, 0, 0),
      RECURRENT_LAYER(SCALE, 3, 0)},
     {{2, 3, 6, 0, 1, 4, INF, 2, 0, 0, 1, 0, 0, 1}, {4, 4, 3}, {9, 0, 0, 0, 0, 0, 0, 7, F08, F15}, {10}, {8, 3}}},
    {"no bias, reset before, reverse", 4,
     {OPTIONS(RNN, 3, 5, RECURRENT_OPTION_NO_BIAS, 0, 0, 2.0f, ONLY(SOFTPLUS, 0.0f, 0.0f)),
      OPTIONS(GRU, 5, 4, RECURRENT_OPTION_RESET_BEFORE, 0, 0, 0.0f, STANDARD),
      OPTIONS(MGU, 4, 3, RECURRENT_OPTION_REVERSE, 0, 0, 0.0f, STANDARD), RECURRENT_LAYER(POOL_MAX, 0, 0)},
     {{1, 3, 5, 1, 1, 0, F2, 11}, {3, 5, 4, 32, 1, 0, INF, 2, 0, 0, 1}, {7, 4, 3, 2, 1}, {5, 2}}},
    {"peepholes, coupled, layer normalisation", 3,
     {OPTIONS(LSTM, 3, 4, RECURRENT_OPTION_PEEPHOLES | RECURRENT_OPTION_COUPLED, 0, 0, 0.0f, NONE,
              {RECURRENT_ACTIVATION_SOFTSIGN, 0.0f, 0.0f}, NONE),
      OPTIONS(LSTM, 4, 4, RECURRENT_OPTION_NORM, 0, 0, 0.0f, STANDARD), RECURRENT_LAYER(POOL_LAST, 0, 0)},
     {{2, 3, 4, 24, 1, 0, INF, 2, 0, 0, 10, 0, 0, 1}, {2, 4, 4, 256, 1, 0, INF, 2, 0, 0, 1, 0, 0, 1}, {5, 0}}},
    {"other normalisation, both added", 4,
     {OPTIONS(LSTM, 3, 4, RECURRENT_OPTION_NORM_STATE, 0, 0, 0.0f, STANDARD),
      OPTIONS(GRU, 4, 5, RECURRENT_OPTION_NORM, 0, 0, 0.0f, STANDARD),
      OPTIONS(GRU, 5, 3, RECURRENT_OPTION_RESET_BEFORE | RECURRENT_OPTION_BOTH_SUM, 0, 0, 2.0f,
              {RECURRENT_ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f}, NONE, NONE),
      RECURRENT_LAYER(POOL_FIRST, 0, 0)},
     {{2, 3, 4, 512, 1, 0, INF, 2, 0, 0, 1, 0, 0, 1}, {3, 4, 5, 256, 1, 0, INF, 2, 0, 0, 1},
      {3, 5, 3, 160, 1, 0, F2, 8, F02, F05, 1}, {5, 4}}},
};
enum { CHAINS = sizeof chains / sizeof *chains };

static recurrent_model *built(const recurrent_layer *layers, size_t len, void **memory) {
    size_t cells_len = 0, size = recurrent_model_build_size(len);
    const recurrent_cell *const *cells = recurrent_every_cell(&cells_len);
    recurrent_model *model = NULL;
    CHECK(size <= RECURRENT_MODEL_SIZE(len));
    *memory = malloc(size);
    OK(recurrent_model_build(layers, len, cells, cells_len, *memory, size, &model, &error));
    if (!model) printf("%s\n", text());
    return model;
}

// Writes a number of an image: little-endian.
static void put(uint8_t *to, uint32_t word) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(word >> 8 * i);
}

// An image of version 2 with these layers and weights.
static uint8_t *image_of(const chain *of, const float *weights, size_t weights_len, size_t *len) {
    const size_t records = 80 * of->len;
    *len = 32 + records + 4 * weights_len;
    uint8_t *bytes = calloc(*len, 1);
    if (!bytes) exit(printf("no memory\n"));
    memcpy(bytes, "RECURIMG", 8);
    put(bytes + 8, 2);
    put(bytes + 12, (uint32_t)of->len);
    put(bytes + 16, (uint32_t)weights_len);
    put(bytes + 24, (uint32_t)records);
    for (size_t i = 0; i < of->len; i++) {
        put(bytes + 32 + 80 * i, 1);
        put(bytes + 36 + 80 * i, 68);
        for (size_t word = 0; word < 16; word++) put(bytes + 44 + 80 * i + 4 * word, of->words[i][word]);
    }
    for (size_t i = 0; i < weights_len; i++) {
        uint32_t word;
        memcpy(&word, weights + i, 4);
        put(bytes + 32 + records + 4 * i, word);
    }
    uint32_t crc = ~0u;
    for (size_t i = 0; i < *len; i++) {
        if (i >= 20 && i < 24) continue;
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    put(bytes + 20, ~crc);
    return bytes;
}

// The buffers of both halves, of exactly the lengths that they need, and a random input.
typedef struct {
    recurrent_own_training of;
    recurrent_sequences sequences;
    float *weights, *x, *dropout, *tape, *scratch, *y, *state, *dy, *grads, *dx, *dstate;
    uint32_t *ids;
} lesson;

static lesson lesson_for(const recurrent_model *model) {
    lesson l;
    memset(&l, 0, sizeof l);
    uint64_t seed = 7;
    const size_t classes = recurrent_model_classes(model);
    recurrent_own_training *of = &l.of;
    l.sequences.steps = STEPS;
    l.sequences.batch = ROWS;
    of->weights_len = of->grads_len = recurrent_model_weights_len(model);
    of->x_len = of->dx_len = classes ? 0 : STEPS * ROWS * recurrent_model_input(model);
    of->ids_len = classes ? STEPS * ROWS : 0;
    of->dropout_len = recurrent_model_dropout_len(model, STEPS, ROWS);
    of->tape_len = recurrent_model_tape_len(model, STEPS, ROWS);
    of->scratch_len = recurrent_model_backward_scratch_len(model, STEPS, ROWS);
    CHECK(of->scratch_len >= recurrent_model_train_scratch_len(model, STEPS, ROWS));
    of->y_len = of->dy_len = recurrent_model_output_len(model, STEPS, ROWS);
    of->state_len = of->dstate_len = recurrent_model_state_len(model, ROWS);
    of->weights = l.weights = floats(of->weights_len);
    of->x = l.x = floats(of->x_len);
    of->dropout = l.dropout = floats(of->dropout_len);
    of->tape = l.tape = floats(of->tape_len);
    of->scratch = l.scratch = floats(of->scratch_len);
    of->y = l.y = floats(of->y_len);
    of->state = l.state = floats(of->state_len);
    of->dy = l.dy = floats(of->dy_len);
    of->grads = l.grads = floats(of->grads_len);
    l.dx = floats(of->dx_len);
    of->dx = classes ? NULL : l.dx;
    of->dstate = l.dstate = floats(of->dstate_len);
    of->ids = l.ids = malloc(STEPS * ROWS * sizeof *l.ids);
    if (!l.ids) exit(printf("no memory\n"));
    OK(recurrent_model_init(model, &seed, l.weights, of->weights_len, &error));
    // Initial scales and biases of some layers are constants, which would hide mistakes.
    for (size_t i = 0; i < of->weights_len; i++) l.weights[i] = l.weights[i] * 0.7f + 0.3f * uniform(&seed);
    for (size_t i = 0; i < of->x_len; i++) l.x[i] = uniform(&seed);
    for (size_t i = 0; i < of->ids_len; i++) l.ids[i] = (uint32_t)(recurrent_random(&seed) % classes);
    for (size_t i = 0; i < of->y_len; i++) l.dy[i] = uniform(&seed);
    OK(recurrent_draw_dropout(model, STEPS, ROWS, 0, &seed, l.dropout, of->dropout_len, &error));
    return l;
}

static void forget(lesson l) {
    float *all[] = {l.weights, l.x, l.dropout, l.tape, l.scratch, l.y, l.state, l.dy, l.grads, l.dx, l.dstate};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    free(l.ids);
}

static void start(lesson *l) {
    for (size_t i = 0; i < l->of.state_len; i++) l->state[i] = 0.1f + 0.01f * (float)i;
}

// The loss whose gradient in the outputs is `dy`, by the forward half.
static double loss_of(const recurrent_model *model, lesson *l) {
    double sum = 0;
    OK(recurrent_forward_train(model, &l->sequences, &l->of, &error));
    for (size_t i = 0; i < l->of.y_len; i++) sum += (double)l->dy[i] * (double)l->y[i];
    return sum;
}

// Compares a gradient with the difference of two losses.
static void difference(const recurrent_model *model, lesson *l, const char *name, float *at, float gradient, bool is_state) {
    const float by = 2e-3f, before = *at;
    double loss[2];
    for (int side = 0; side < 2; side++) {
        if (!is_state) start(l);
        *at = before + (side ? -by : by);
        loss[side] = loss_of(model, l);
        if (is_state) start(l);
    }
    *at = before;
    const double slope = (loss[0] - loss[1]) / (2.0 * (double)by), off = fabs(slope - (double)gradient);
    checks++;
    if (!(off < 1e-3 + 5e-3 * fabs(slope))) {
        failures++;
        printf("%s: %g where differences give %g\n", name, (double)gradient, slope);
    }
}

// Described layers beside those of an image, all passes; gradients beside differences.
static void same_as_image(const chain *of) {
    void *memory[2] = {NULL, NULL};
    recurrent_model *models[2] = {built(of->layers, of->len, &memory[0]), NULL};
    if (!models[0]) exit(1);
    lesson l = lesson_for(models[0]);
    size_t image_len = 0, cells_len = 0, size = 0;
    uint8_t *image = image_of(of, l.weights, l.of.weights_len, &image_len);
    const recurrent_cell *const *cells = recurrent_every_cell(&cells_len);
    OK(recurrent_model_size(image, image_len, &size, &error));
    CHECK(size == recurrent_model_build_size(of->len));
    memory[1] = malloc(size);
    OK(recurrent_model_open(image, image_len, cells, cells_len, memory[1], size, &models[1], &error));
    if (!models[1]) exit(printf("%s: %s\n", of->name, text()));

    // The model has no weights yet.
    recurrent_buffers b;
    memset(&b, 0, sizeof b);
    b.x = l.x, b.x_len = l.of.x_len, b.ids = l.ids, b.ids_len = l.of.ids_len;
    b.scratch_len = recurrent_model_scratch_len(models[0], STEPS, ROWS);
    b.state_len = l.of.state_len, b.y_len = l.of.y_len;
    float *y[4], *states[4], *packed[2], *copy = floats(l.of.weights_len);
    for (int i = 0; i < 4; i++) y[i] = floats(b.y_len), states[i] = floats(b.state_len);
    b.scratch = floats(b.scratch_len), b.y = y[0], b.state = states[0];
    const size_t packed_len = recurrent_model_packed_len(models[0]);
    for (int i = 0; i < 2; i++) packed[i] = floats(packed_len);
    OK(recurrent_reset(models[0], ROWS, states[0], b.state_len, &error));
    REFUSED(recurrent_forward(models[0], &l.sequences, &b, &error), LENGTH, "`weights` has 0");
    REFUSED(recurrent_model_pack(models[0], packed[0], packed_len, &error), LENGTH, "`weights` has 0");
    REFUSED(recurrent_model_copy_weights(models[0], copy, l.of.weights_len, &error), VALUE, "recurrent_model_set_weights");
    REFUSED(recurrent_model_set_weights(models[0], l.weights, l.of.weights_len - 1, &error), LENGTH, "`weights` has");
    OK(recurrent_model_set_weights(models[0], l.weights, l.of.weights_len, &error));
    REFUSED(recurrent_model_copy_weights(models[0], copy, l.of.weights_len - 1, &error), LENGTH, "`weights` has");
    REFUSED(recurrent_model_copy_weights(models[0], l.weights, l.of.weights_len, &error), OVERLAP, "`weights`");
    OK(recurrent_model_copy_weights(models[0], copy, l.of.weights_len, &error));
    CHECK(!memcmp(copy, l.weights, l.of.weights_len * sizeof(float)));

    // In place and packed.
    for (int run = 0; run < 4; run++) {
        if (run >= 2) OK(recurrent_model_pack(models[run % 2], packed[run % 2], packed_len, &error));
        b.y = y[run], b.state = states[run];
        OK(recurrent_reset(models[run % 2], ROWS, b.state, b.state_len, &error));
        OK(recurrent_forward(models[run % 2], &l.sequences, &b, &error));
        CHECK(!memcmp(y[run], y[0], b.y_len * sizeof(float)) && isfinite(y[run][b.y_len - 1]));
        CHECK(!memcmp(states[run], states[0], b.state_len * sizeof(float)));
        CHECK(recurrent_model_tape_len(models[run % 2], STEPS, ROWS) == l.of.tape_len);
    }
    const recurrent_model *described = models[0];
    CHECK(recurrent_model_ending(described) == 0 && recurrent_model_has_mask(described) == 0);
    CHECK(recurrent_model_class_name(described, 0, NULL) == NULL);
    uint8_t mask[STEPS * ROWS];
    OK(recurrent_model_mask(described, l.of.x, l.of.x_len, l.of.ids, l.of.ids_len, mask, sizeof mask, &error));
    CHECK(mask[0] == 1 && mask[sizeof mask - 1] == 1);

    // Both halves, of both models.
    float *grads[2];
    for (int m = 0; m < 2; m++) {
        start(&l);
        memset(l.dstate, 0, l.of.dstate_len * sizeof(float));
        OK(recurrent_forward_train(models[m], &l.sequences, &l.of, &error));
        OK(recurrent_backward(models[m], &l.sequences, &l.of, &error));
        grads[m] = floats(l.of.grads_len);
        memcpy(grads[m], l.grads, l.of.grads_len * sizeof(float));
    }
    CHECK(!memcmp(grads[0], grads[1], l.of.grads_len * sizeof(float)));
    for (size_t i = 0; i < l.of.weights_len; i += 3)
        difference(models[0], &l, of->name, l.weights + i, grads[0][i], false);
    for (size_t i = 0; i < l.of.x_len; i++) difference(models[0], &l, of->name, l.x + i, l.dx[i], false);
    start(&l);
    for (size_t i = 0; i < l.of.state_len; i++) difference(models[0], &l, of->name, l.state + i, l.dstate[i], true);
    // Twice the gradients, if they are added.
    l.of.accumulate = 1;
    start(&l);
    memset(l.dstate, 0, l.of.dstate_len * sizeof(float));
    OK(recurrent_forward_train(models[0], &l.sequences, &l.of, &error));
    OK(recurrent_backward(models[0], &l.sequences, &l.of, NULL));
    for (size_t i = 0; i < l.of.grads_len; i++)
        CHECK(fabsf(l.grads[i] - 2 * grads[0][i]) < 1e-5f + 1e-5f * fabsf(grads[0][i]));

    for (int i = 0; i < 2; i++) free(grads[i]), free(packed[i]), free(memory[i]);
    for (int i = 0; i < 4; i++) free(y[i]), free(states[i]);
    free(b.scratch);
    free(copy);
    free(image);
    forget(l);
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// The sum of a row of a matrix and its bias, in double.
static double sum_of(const float *w, const float *x, size_t len, float bias) {
    double sum = bias;
    for (size_t i = 0; i < len; i++) sum += (double)w[i] * (double)x[i];
    return sum;
}

// An LSTM with a dense layer, and a GRU alone, beside loops over the equations.
static void same_as_loops(void) {
    enum { I = 3, H = 6, O = 2, T = 20 };
    uint64_t seed = 11;
    for (int gru = 0; gru < 2; gru++) {
        const recurrent_layer layers[2] = {
            {gru ? RECURRENT_LAYER_GRU : RECURRENT_LAYER_LSTM, I, H, 0, 0, 0, 0.0f, 0.0f, {STANDARD}},
            RECURRENT_LAYER(DENSE, H, O),
        };
        const size_t len = gru ? 1 : 2, width = gru ? H : O, gates = gru ? 3 : 4;
        void *memory = NULL;
        recurrent_model *model = built(layers, len, &memory);
        if (!model) exit(1);
        const size_t weights_len = recurrent_model_weights_len(model);
        CHECK(weights_len == gates * H * (I + H + 2) + (gru ? 0 : O * (H + 1)));
        float *weights = floats(weights_len), state[2 * H], scratch[200], x[I], y[H];
        for (size_t i = 0; i < weights_len; i++) weights[i] = uniform(&seed);
        OK(recurrent_model_set_weights(model, weights, weights_len, &error));
        recurrent_buffers b;
        memset(&b, 0, sizeof b);
        b.x = x, b.x_len = I, b.y = y, b.y_len = width, b.state = state, b.scratch = scratch;
        b.state_len = recurrent_model_state_len(model, 1), b.scratch_len = 200;
        CHECK(b.state_len == (gru ? H : 2 * H));
        OK(recurrent_reset(model, 1, state, b.state_len, &error));
        const float *w_ih = weights, *w_hh = w_ih + gates * H * I, *b_ih = w_hh + gates * H * H, *b_hh = b_ih + gates * H,
                    *dense = b_hh + gates * H;
        float h[H] = {0}, new_h[H];
        double c[H] = {0};
        for (int t = 0; t < T; t++) {
            for (size_t i = 0; i < I; i++) x[i] = uniform(&seed);
            OK(recurrent_step(model, &b, &error));
            for (size_t u = 0; u < H; u++) {
                double of_x[4], of_h[4];
                for (size_t g = 0; g < gates; g++) {
                    of_x[g] = sum_of(w_ih + (g * H + u) * I, x, I, b_ih[g * H + u]);
                    of_h[g] = sum_of(w_hh + (g * H + u) * H, h, H, b_hh[g * H + u]);
                }
                if (gru) {
                    const double r = sigmoid(of_x[0] + of_h[0]), z = sigmoid(of_x[1] + of_h[1]);
                    new_h[u] = (float)((1 - z) * tanh(of_x[2] + r * of_h[2]) + z * (double)h[u]);
                } else {
                    const double in = sigmoid(of_x[0] + of_h[0]), forget_gate = sigmoid(of_x[1] + of_h[1]);
                    c[u] = forget_gate * c[u] + in * tanh(of_x[2] + of_h[2]);
                    new_h[u] = (float)(sigmoid(of_x[3] + of_h[3]) * tanh(c[u]));
                }
            }
            memcpy(h, new_h, sizeof h);
            for (size_t o = 0; o < width; o++) {
                const double expected = gru ? (double)h[o] : sum_of(dense + o * H, h, H, dense[O * H + o]);
                CHECK(fabs((double)y[o] - expected) < 2e-6 * (1 + fabs(expected)));
            }
        }
        free(weights);
        free(memory);
    }
}

// A program's own loss: the cells learn to give the mean of their last two inputs, by its absolute error.
static void learning(void) {
    const recurrent_layer layers[] = {RECURRENT_LAYER(GRU, 1, 8), RECURRENT_LAYER(DENSE, 8, 1)};
    void *memory = NULL;
    recurrent_model *model = built(layers, 2, &memory);
    if (!model) exit(1);
    lesson l = lesson_for(model);
    uint64_t seed = 3;
    float *moments = floats(2 * l.of.weights_len), scale = 1;
    memset(moments, 0, 2 * l.of.weights_len * sizeof(float));
    recurrent_adam adam = RECURRENT_ADAM(0.02f);
    double first = 0, last = 0;
    l.of.dstate = NULL, l.of.dstate_len = 0;
    l.of.dx = NULL, l.of.dx_len = 0;
    for (int i = 0; i < 400; i++) {
        for (size_t at = 0; at < l.of.x_len; at++) l.x[at] = uniform(&seed);
        OK(recurrent_reset(model, ROWS, l.state, l.of.state_len, &error));
        OK(recurrent_forward_train(model, &l.sequences, &l.of, &error));
        last = 0;
        for (size_t at = 0; at < l.of.y_len; at++) {
            const float off = at < ROWS ? 0 : l.y[at] - 0.5f * (l.x[at] + l.x[at - ROWS]);
            last += (double)fabsf(off) / (double)l.of.y_len;
            l.dy[at] = (float)((off > 0) - (off < 0)) / (float)l.of.y_len;
        }
        if (i == 0) first = last;
        OK(recurrent_backward(model, &l.sequences, &l.of, &error));
        OK(recurrent_clip_scale(l.grads, l.of.grads_len, 1, &scale, NULL, &error));
        OK(recurrent_adam_update(&adam, l.weights, l.of.weights_len, l.grads, l.of.grads_len, moments,
                                 2 * l.of.weights_len, scale, &error));
    }
    CHECK(first > 0.2 && last < 0.08);
    if (!(last < 0.08)) printf("a loss of %g at first, %g at last\n", first, last);
    free(moments);
    forget(l);
    free(memory);
}

// The errors of building.
static void building(void) {
    const recurrent_layer good[2] = {RECURRENT_LAYER(GRU, 3, 4), RECURRENT_LAYER(DENSE, 4, 2)};
    recurrent_layer bad[3];
    const recurrent_cell *const cells[] = {recurrent_gru_training(), recurrent_lstm_options(), NULL};
    const size_t size = recurrent_model_build_size(2);
    uint64_t memory[(RECURRENT_MODEL_SIZE(3) + 7) / 8];
    recurrent_model *model = NULL;
    CHECK(recurrent_model_build_size(SIZE_MAX) == SIZE_MAX && size < recurrent_model_build_size(3));
#define BUILD(layers, len, cells, cells_len, memory, size, model)                                                       \
    recurrent_model_build(layers, len, cells, cells_len, memory, size, model, &error)
    REFUSED(BUILD(NULL, 2, cells, 1, memory, size, &model), NULL, "`layers` is null");
    REFUSED(BUILD(good, 2, NULL, 1, memory, size, &model), NULL, "`cells` is null");
    REFUSED(BUILD(good, 2, cells, 3, memory, size, &model), NULL, "`cells` is null");
    REFUSED(BUILD(good, 2, cells, 1, NULL, size, &model), NULL, "`memory` is null");
    REFUSED(BUILD(good, 2, cells, 1, memory, size, NULL), NULL, "`model` is null");
    REFUSED(BUILD(good, 2, cells, 1, memory, size - 1, &model), LENGTH, "`memory` has");
    REFUSED(BUILD(good, SIZE_MAX, cells, 1, memory, size, &model), OVERFLOW, "`layers`");
    REFUSED(BUILD(good, 2, cells, 1, (char *)memory + 4, size, &model), ALIGNMENT, "8 bytes");
    REFUSED(BUILD((const recurrent_layer *)(const void *)((const char *)good + 1), 1, cells, 1, memory, size, &model), ALIGNMENT,
            "`layers`");
    REFUSED(BUILD((const recurrent_layer *)(const void *)memory, 2, cells, 1, memory, size, &model), OVERLAP, "`layers`");
    REFUSED(BUILD(NULL, 0, cells, 1, memory, size, &model), LAYERS, "is missing");
    REFUSED(BUILD(good, 2, cells + 1, 1, memory, size, &model), CELL, "layer 0 of the model is of the form GRU, which");
#define DESCRIBED(change, words)                                                                                        \
    do {                                                                                                                \
        memcpy(bad, good, sizeof good);                                                                                 \
        change;                                                                                                         \
        refused(__LINE__, BUILD(bad, 2, cells, 2, memory, size, &model), RECURRENT_ERROR_LAYERS, words);                \
    } while (0)
    DESCRIBED(bad[0].kind = 0, "layer 0 of the model is not described well: the kind");
    DESCRIBED(bad[1].kind = 16, "layer 1 of the model is not described well: the kind");
    DESCRIBED(bad[1].kind = UINT32_MAX, "layer 1 of the model is not described well: the kind");
    DESCRIBED(bad[1].input = 5, "layer 1 of the model takes 5 features, but the layer below it gives 4");
    DESCRIBED(bad[0].options = 1024, "unknown flags");
    DESCRIBED(bad[0].options = RECURRENT_OPTION_PEEPHOLES, "does not use");
    DESCRIBED(bad[1].options = RECURRENT_OPTION_REVERSE, "does not use");
    DESCRIBED(bad[0].options = RECURRENT_OPTION_BOTH_CONCAT | RECURRENT_OPTION_BOTH_SUM, "unknown flags");
    DESCRIBED(bad[0].projection = 2, "does not use");
    DESCRIBED(bad[1].stack = 1, "does not use");
    DESCRIBED(bad[1].clip = 1, "does not use");
    DESCRIBED(bad[0].clip = -1, "the clip is not above 0");
    DESCRIBED(bad[0].clip = NAN, "the clip is not above 0");
    DESCRIBED(bad[0].probability = 0.5f, "only dropout has a `probability`");
    DESCRIBED(bad[0].activations[0].kind = 12, "unknown activation");
    DESCRIBED(bad[0].activations[2].kind = 1, "does not use");
    DESCRIBED(bad[1].activations[0].kind = RECURRENT_ACTIVATION_ELU, "dense layers do not have this activation");
    DESCRIBED((bad[0].activations[0].kind = RECURRENT_ACTIVATION_ELU, bad[0].activations[0].alpha = NAN), "is NaN");
    DESCRIBED(bad[0].activations[0].alpha = 1, "does not use");
    DESCRIBED(bad[1].kind = RECURRENT_LAYER_POOL_LAST, "`input` must be 0");
    DESCRIBED((memset(bad + 1, 0, sizeof *bad), bad[1].kind = RECURRENT_LAYER_DROPOUT), "needs a layer above it");
    DESCRIBED((memset(bad + 1, 0, sizeof *bad), bad[1].kind = RECURRENT_LAYER_DROPOUT, bad[1].probability = 1),
              "the dropout probability is outside");
    DESCRIBED((memset(bad + 1, 0, sizeof *bad), bad[1].kind = RECURRENT_LAYER_DROPOUT, bad[1].clip = 1), "no `clip`");
    DESCRIBED((memset(bad + 1, 0, sizeof *bad), bad[1].kind = RECURRENT_LAYER_ACTIVATION), "unknown activation");
    CHECK(model == NULL);
    // Memory in which building failed is no model.
    REFUSED(recurrent_reset((recurrent_model *)(void *)memory, 1, NULL, 0, &error), MODEL, "that was opened");
    OK(BUILD(good, 2, cells, 1, memory, size, &model));
    CHECK((void *)model == (void *)memory && recurrent_model_input(model) == 3 && recurrent_model_output(model) == 2);
}

// The errors of both halves.
static void halves(void) {
    const recurrent_layer layers[2] = {RECURRENT_LAYER(GRU, 3, 4), RECURRENT_LAYER(DENSE, 4, 2)};
    void *memory = NULL;
    recurrent_model *model = built(layers, 2, &memory);
    if (!model) exit(1);
    lesson l = lesson_for(model);
    memset(l.dstate, 0, l.of.dstate_len * sizeof(float));
    start(&l);
    recurrent_own_training good = l.of, bad;
    const uint32_t ids[STEPS * ROWS] = {0};
    size_t lengths[ROWS] = {STEPS + 1, 1, 1};
    recurrent_sequences longer = l.sequences;
    longer.lengths = lengths, longer.lengths_len = ROWS;
    typedef recurrent_status (*half)(const recurrent_model *, const recurrent_sequences *, const recurrent_own_training *,
                                     recurrent_error *);
    const half both[2] = {recurrent_forward_train, recurrent_backward};
    for (int i = 0; i < 2; i++) {
        const half run = both[i];
        // What fails writes nothing.
#define WRONG(change, code, words)                                                                                      \
    do {                                                                                                                \
        bad = good;                                                                                                     \
        change;                                                                                                         \
        refused(__LINE__, run(model, &l.sequences, &bad, &error), RECURRENT_ERROR_##code, words);                       \
        CHECK(isnan(l.grads[0]) && isnan(l.dx[0]) && l.dstate[0] == 0 && (i == 1 || (isnan(l.y[0]) && isnan(l.tape[0])))); \
    } while (0)
        REFUSED(run(NULL, &l.sequences, &good, &error), NULL, "`model` is null");
        REFUSED(run(model, NULL, &good, &error), NULL, "`sequences` is null");
        REFUSED(run(model, &l.sequences, NULL, &error), NULL, "`training` is null");
        REFUSED(run((const recurrent_model *)(const void *)l.scratch, &l.sequences, &good, &error), MODEL, "model");
        REFUSED(run(model, &longer, &good, &error), INDEX, "`lengths[0]`");
        // A list of lengths in memory that is written.
        longer.lengths = (const size_t *)(const void *)((uintptr_t)l.scratch & ~(uintptr_t)7);
        REFUSED(run(model, &longer, &good, &error), OVERLAP, "`lengths`");
        longer.lengths = lengths;
        WRONG(bad.weights = NULL, NULL, "`weights` is null");
        WRONG(bad.weights_len--, LENGTH, "`weights` has");
        WRONG(bad.weights_len = SIZE_MAX, OVERFLOW, "`weights`");
        WRONG(bad.weights = (const float *)(const void *)((const char *)l.weights + 1), ALIGNMENT, "`weights`");
        WRONG(bad.x = NULL, NULL, "`x` is null");
        WRONG(bad.x_len--, LENGTH, "`x` has");
        WRONG((bad.ids = ids, bad.ids_len = 1), VALUE, "`ids` must be empty");
        WRONG((bad.ids = NULL, bad.ids_len = 1), NULL, "`ids`");
        WRONG((bad.dropout = l.dy, bad.dropout_len = 1), LENGTH, "`dropout` has 1");
        WRONG(bad.tape = NULL, NULL, "`tape` is null");
        WRONG(bad.tape_len--, LENGTH, "`tape` has");
        WRONG(bad.tape = (float *)(void *)((char *)l.tape + 2), ALIGNMENT, "`tape`");
        WRONG((bad.tape = l.weights, bad.tape_len = 1), OVERLAP, "`tape` is written to, but overlaps `weights`");
        WRONG((bad.tape = (float *)memory, bad.tape_len = 1), OVERLAP, "overlaps `model`");
        WRONG(bad.scratch = NULL, NULL, "`scratch` is null");
        WRONG(bad.scratch_len--, LENGTH, "`scratch` has");
        WRONG(bad.scratch = l.tape, OVERLAP, "`scratch`");
        if (i == 0) {
            WRONG(bad.y = NULL, NULL, "`y` is null");
            WRONG(bad.y_len--, LENGTH, "`y` has");
            WRONG(bad.y = (float *)(void *)((char *)l.y + 1), ALIGNMENT, "`y`");
            WRONG(bad.y = l.x, OVERLAP, "`y` is written to, but overlaps `x`");
            WRONG(bad.state = NULL, NULL, "`state` is null");
            WRONG(bad.state_len++, LENGTH, "`state` has");
            WRONG(bad.state = l.scratch, OVERLAP, "`state`");
            OK(run(model, &l.sequences, &good, NULL));
            start(&l);
            OK(run(model, &l.sequences, &good, &error));
        } else {
            WRONG(bad.dy = NULL, NULL, "`dy` is null");
            WRONG(bad.dy_len--, LENGTH, "`dy` has");
            WRONG(bad.dy = (const float *)(const void *)((const char *)l.dy + 1), ALIGNMENT, "`dy`");
            WRONG(bad.dy = l.grads, OVERLAP, "`grads` is written to, but overlaps `dy`");
            WRONG(bad.grads = NULL, NULL, "`grads` is null");
            WRONG(bad.grads_len--, LENGTH, "`grads` has");
            WRONG(bad.dx_len--, LENGTH, "`dx` has");
            WRONG(bad.dx_len = 0, LENGTH, "`dx` has 0");
            WRONG(bad.dx = NULL, NULL, "`dx` is null");
            WRONG(bad.dx = l.x, OVERLAP, "`dx` is written to, but overlaps `x`");
            WRONG(bad.dstate_len--, LENGTH, "`dstate` has");
            WRONG(bad.dstate = l.dx, OVERLAP, "`dx` is written to, but overlaps `dstate`");
            OK(run(model, &l.sequences, &good, &error));
            CHECK(isfinite(l.grads[0]) && isfinite(l.dx[0]) && l.dstate[0] != 0);
        }
        good.scratch_len = i == 0 ? recurrent_model_backward_scratch_len(model, STEPS, ROWS) : good.scratch_len;
    }

    // Ids have no gradient.
    void *second = NULL;
    recurrent_model *of_ids = built(chains[0].layers, chains[0].len, &second);
    if (!of_ids) exit(1);
    lesson ids_lesson = lesson_for(of_ids);
    float one = 0;
    start(&ids_lesson);
    memset(ids_lesson.dstate, 0, ids_lesson.of.dstate_len * sizeof(float));
    OK(recurrent_forward_train(of_ids, &l.sequences, &ids_lesson.of, &error));
    ids_lesson.of.dx = &one;
    REFUSED(recurrent_backward(of_ids, &l.sequences, &ids_lesson.of, &error), VALUE, "`dx` must be absent");
    forget(ids_lesson);
    free(second);

    // Cells that were not named for training.
    const recurrent_cell *const cells[] = {recurrent_gru(), recurrent_gru_steps()};
    for (int i = 0; i < 2; i++) {
        OK(recurrent_model_build(layers, 2, cells + i, 1, memory, recurrent_model_build_size(2), &model, &error));
        for (int which = 0; which < 2; which++)
            REFUSED(both[which](model, &l.sequences, &good, &error), LAYERS, "layer 0 of the model was linked without");
    }
    const recurrent_model *null = NULL;
    CHECK(recurrent_model_backward_scratch_len(null, 1, 1) == 0);
    CHECK(recurrent_model_backward_scratch_len(model, SIZE_MAX, 2) == SIZE_MAX);
    forget(l);
    free(memory);
}

// The loss of CTC beside the sum over all alignments, its gradient beside differences, and its errors.
static void labels(void) {
    enum { T = 5, CLASSES = 3, BLANK = 2, PATHS = 243 };
    uint64_t seed = 17;
    float logits[2 * T * CLASSES], dlogits[2 * T * CLASSES], loss = 7;
    for (int i = 0; i < 2 * T * CLASSES; i++) logits[i] = 2 * uniform(&seed);
    const uint32_t targets[3] = {1, 0, 1};
    const size_t target_lengths[2] = {2, 1}, lengths[2] = {T, T - 1};
    const size_t scratch_len = recurrent_ctc_scratch_len(T, 2);
    float *scratch = floats(scratch_len);
    recurrent_sequences sequences;
    memset(&sequences, 0, sizeof sequences);
    sequences.steps = T, sequences.batch = 2, sequences.lengths = lengths, sequences.lengths_len = 2;
    recurrent_ctc good;
    memset(&good, 0, sizeof good);
    good.logits = logits, good.logits_len = 2 * T * CLASSES, good.dlogits = dlogits, good.dlogits_len = 2 * T * CLASSES;
    good.targets = targets, good.targets_len = 3, good.target_lengths = target_lengths, good.target_lengths_len = 2;
    good.scratch = scratch, good.scratch_len = scratch_len, good.classes = CLASSES, good.blank = BLANK;
    OK(recurrent_ctc_loss(&sequences, &good, &loss, &error));
    double expected = 0;
    for (int row = 0; row < 2; row++) {
        const int steps = (int)lengths[row], first = row ? 2 : 0, count = (int)target_lengths[row];
        double all = 0;
        for (int path = 0, paths = row ? PATHS / 3 : PATHS; path < paths; path++) {
            double p = 1;
            int at = path, found = 0, before = -1;
            bool fits = true;
            for (int t = 0; t < steps; t++, at /= CLASSES) {
                const int class_ = at % CLASSES;
                const float *of = logits + (t * 2 + row) * CLASSES;
                p *= exp((double)of[class_]) / (exp((double)of[0]) + exp((double)of[1]) + exp((double)of[2]));
                if (class_ != BLANK && class_ != before) {
                    fits = fits && found < count && (uint32_t)class_ == targets[first + found];
                    found++;
                }
                before = class_;
            }
            if (fits && found == count) all += p;
        }
        expected -= log(all) / count / 2;
    }
    CHECK(fabs((double)loss - expected) < 1e-5);
    float slopes[2 * T * CLASSES];
    memcpy(slopes, dlogits, sizeof slopes);
    for (int i = 0; i < 2 * T * CLASSES; i++) {
        const float before = logits[i];
        float above = 0, below = 0;
        logits[i] = before + 4e-3f;
        OK(recurrent_ctc_loss(&sequences, &good, &above, &error));
        logits[i] = before - 4e-3f;
        OK(recurrent_ctc_loss(&sequences, &good, &below, NULL));
        logits[i] = before;
        CHECK(fabsf((above - below) / 8e-3f - slopes[i]) < 2e-4f);
    }
    recurrent_ctc bad;
    float kept = 7;
#define LABELS(change, code, words)                                                                                     \
    do {                                                                                                                \
        bad = good;                                                                                                     \
        change;                                                                                                         \
        refused(__LINE__, recurrent_ctc_loss(&sequences, &bad, &kept, &error), RECURRENT_ERROR_##code, words);          \
        CHECK(kept == 7);                                                                                               \
    } while (0)
    const uint32_t wrong[3] = {1, 9, 1};
    REFUSED(recurrent_ctc_loss(NULL, &good, &kept, &error), NULL, "`sequences`");
    REFUSED(recurrent_ctc_loss(&sequences, NULL, &kept, &error), NULL, "`ctc`");
    REFUSED(recurrent_ctc_loss(&sequences, &good, NULL, &error), NULL, "`loss`");
    REFUSED(recurrent_ctc_loss(&sequences, &good, logits, &error), OVERLAP, "`loss` is written to, but overlaps `logits`");
    LABELS(bad.logits = NULL, NULL, "`logits`");
    LABELS(bad.logits_len--, LENGTH, "`logits` has");
    LABELS(bad.targets = NULL, NULL, "`targets`");
    LABELS(bad.targets_len--, LENGTH, "`targets` has");
    LABELS(bad.targets = wrong, INDEX, "`targets[1]` is 9");
    LABELS(bad.target_lengths = NULL, NULL, "`target_lengths`");
    LABELS(bad.target_lengths_len--, LENGTH, "`target_lengths` has");
    LABELS(bad.target_lengths = (const size_t *)(const void *)((const char *)target_lengths + 1), ALIGNMENT, "`target_lengths`");
    LABELS(bad.dlogits_len--, LENGTH, "`dlogits` has");
    LABELS(bad.dlogits = logits, OVERLAP, "`dlogits` is written to, but overlaps `logits`");
    LABELS(bad.scratch = NULL, NULL, "`scratch`");
    LABELS(bad.scratch_len--, LENGTH, "`scratch` has");
    LABELS(bad.blank = 3, VALUE, "`blank`");
    LABELS(bad.blank = 1, VALUE, "`targets`");
    LABELS(bad.classes = SIZE_MAX, OVERFLOW, "`logits`");
    bad = good;
    bad.dlogits = NULL, bad.dlogits_len = 0;
    OK(recurrent_ctc_loss(&sequences, &bad, &kept, &error));
    CHECK(kept == loss);
    // Too short for its labels.
    const size_t few[2] = {1, T};
    sequences.lengths = few;
    OK(recurrent_ctc_loss(&sequences, &good, &loss, &error));
    CHECK(isinf(loss));
    good.zero_infinity = 1;
    OK(recurrent_ctc_loss(&sequences, &good, &loss, &error));
    CHECK(isfinite(loss) && dlogits[0] == 0 && recurrent_ctc_scratch_len(SIZE_MAX, 1) == SIZE_MAX);
    free(scratch);
}

int main(void) {
    for (size_t i = 0; i < CHAINS; i++) same_as_image(&chains[i]);
    same_as_loops();
    learning();
    building();
    halves();
    labels();
    printf("layers: %d checks, %d failures\n", checks, failures);
    return failures != 0;
}
