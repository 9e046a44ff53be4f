// Compares the library for C with the same chains in Rust, and with RTNeural's C++, in one process: medians of
// rounds that take turns. The run script passes the shared libraries.
//
//   speed RUST RTNEURAL...      prints a table in Markdown
#define _POSIX_C_SOURCE 199309L
#include "recurrent.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 41, SAMPLES = 1024, MOST = 8 };
static const double ROUND_NS = 1.5e6;

typedef struct {
    bool is_lstm;
    uint32_t hidden, outputs;
    size_t steps;
} shape;

static const shape shapes[] = {
    {false, 8, 1, 1},   {false, 8, 0, 1},  {true, 40, 0, 1},   {true, 40, 1, 1},  {false, 64, 0, 1},
    {false, 64, 1, 1},  {true, 128, 0, 1}, {true, 128, 1, 1},  {false, 8, 1, 64}, {true, 40, 1, 64},
    {false, 64, 1, 64}, {true, 128, 1, 64}, {true, 128, 1, 512},
};

static float x[SAMPLES];

// Memory at a cache line.
static void *memory_for(size_t bytes) {
    const size_t size = (bytes + 64) / 64 * 64;
    void *at = aligned_alloc(64, size);
    if (!at) exit(printf("no memory\n"));
    return memset(at, 0, size);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The chain in C.
typedef struct {
    recurrent_model *model;
    recurrent_buffers buffers;
    recurrent_sequences sequences;
    float *packed;
} chain;

static void check(recurrent_status status, const recurrent_error *error) {
    char text[200];
    if (status == RECURRENT_OK) return;
    recurrent_error_text(error, text, sizeof text);
    exit(printf("%s\n", text));
}

static chain chain_of(const shape *s, const float *weights, size_t weights_len) {
    const recurrent_layer layers[] = {
        {s->is_lstm ? RECURRENT_LAYER_LSTM : RECURRENT_LAYER_GRU, 1, s->hidden, 0, 0, 0, 0, 0, {{0, 0, 0}, {0, 0, 0}, {0, 0, 0}}},
        RECURRENT_LAYER(DENSE, s->hidden, s->outputs),
    };
    const size_t len = s->outputs ? 2 : 1;
    const recurrent_cell *const cells[] = {recurrent_lstm(), recurrent_gru()};
    chain c;
    memset(&c, 0, sizeof c);
    recurrent_error error;
    const size_t size = recurrent_model_build_size(len);
    check(recurrent_model_build(layers, len, cells, 2, memory_for(size), size, &c.model, &error), &error);
    check(recurrent_model_set_weights(c.model, weights, weights_len, &error), &error);
    const size_t packed_len = recurrent_model_packed_len(c.model);
    c.packed = memory_for(4 * packed_len);
    check(recurrent_model_pack(c.model, c.packed, packed_len, &error), &error);
    c.sequences.steps = s->steps, c.sequences.batch = 1;
    c.buffers.x_len = s->steps;
    c.buffers.y_len = recurrent_model_output_len(c.model, s->steps, 1);
    c.buffers.state_len = recurrent_model_state_len(c.model, 1);
    c.buffers.scratch_len = recurrent_model_scratch_len(c.model, s->steps, 1);
    c.buffers.y = memory_for(4 * c.buffers.y_len);
    c.buffers.state = memory_for(4 * c.buffers.state_len);
    c.buffers.scratch = memory_for(4 * c.buffers.scratch_len);
    return c;
}

static float run(chain *c, size_t calls) {
    float sum = 0;
    const size_t steps = c->sequences.steps;
    size_t at = 0;
    for (size_t i = 0; i < calls; i++) {
        c->buffers.x = x + at;
        const recurrent_status status = steps == 1 ? recurrent_step(c->model, &c->buffers, NULL)
                                                   : recurrent_forward(c->model, &c->sequences, &c->buffers, NULL);
        if (status != RECURRENT_OK) return NAN;
        sum += c->buffers.y[0];
        at = at + steps == SAMPLES ? 0 : at + steps;
    }
    return sum;
}

// The functions of the shared libraries.
typedef struct bench bench;
typedef struct layer layer;
typedef struct {
    bool is_lstm;
    size_t input, hidden, outputs, steps;
    const float *weights;
    float *packed, *y, *state, *scratch;
} given;
static bench *(*rust_new)(const given *);
static float (*rust_run)(bench *, const float *, size_t, size_t);
typedef struct {
    const char *name;
    layer *(*create)(bool, size_t, size_t, const float *, const float *, const float *, const float *);
    void (*run)(layer *, const float *, size_t, size_t);
    layer *at;
} peer;

static void load(void *to, const char *path, const char *name) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) exit(printf("%s\n", dlerror()));
    void *function = dlsym(library, name);
    if (!function) exit(printf("%s\n", dlerror()));
    memcpy(to, &function, sizeof function);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 2 + MOST) return printf("usage: speed RUST RTNEURAL...\n");
    load(&rust_new, argv[1], "rust_new");
    load(&rust_run, argv[1], "rust_run");
    peer peers[MOST] = {{0}};
    const int count = argc - 2;
    for (int i = 0; i < count; i++) {
        load(&peers[i].create, argv[2 + i], "rtneural_new");
        load(&peers[i].run, argv[2 + i], "rtneural_run");
        const char *name = strstr(argv[2 + i], "librtneural-");
        peers[i].name = name ? name + strlen("librtneural-") : argv[2 + i];
    }
    uint64_t seed = 1;
    for (int i = 0; i < SAMPLES; i++) x[i] = (float)(recurrent_random(&seed) >> 40) / 8388608.0f - 1.0f;

    bool slow = false;
    printf("| chain | call | C, ns a step | Rust, ns a step | C / Rust | RTNeural, ns a step | its fastest build |\n");
    printf("|---|---|---|---|---|---|---|\n");
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++) {
        const shape *s = &shapes[n];
        const size_t gates = s->is_lstm ? 4 : 3, h = s->hidden, cell = gates * h * (1 + h + 2);
        const size_t len = cell + s->outputs * (h + 1);
        float *weights = memory_for(4 * len);
        for (size_t i = 0; i < len; i++)
            weights[i] = ((float)(recurrent_random(&seed) >> 40) / 8388608.0f - 1.0f) / sqrtf((float)h);
        chain c = chain_of(s, weights, len);
        // With the same buffers: where they start may change a step by a tenth.
        const given of = {s->is_lstm, 1, h, s->outputs, s->steps, weights, c.packed, c.buffers.y, c.buffers.state, c.buffers.scratch};
        bench *rust = rust_new(&of);
        if (!rust) return printf("no chain in Rust\n");
        const float *w_hh = weights + gates * h, *b_ih = w_hh + gates * h * h, *b_hh = b_ih + gates * h;
        for (int i = 0; i < count; i++)
            peers[i].at = s->outputs || s->steps > 1 ? NULL : peers[i].create(s->is_lstm, 1, h, weights, w_hh, b_ih, b_hh);

        // Both give the same bits.
        const size_t chunks = SAMPLES / s->steps;
        const float ours = run(&c, chunks);
        memset(c.buffers.state, 0, 4 * c.buffers.state_len);
        const float theirs = rust_run(rust, x, SAMPLES, chunks);
        if (!(ours == theirs)) return printf("%g in C, %g in Rust\n", (double)ours, (double)theirs);

        double begin = now();
        run(&c, chunks);
        const size_t calls = (size_t)(ROUND_NS * (double)chunks / (now() - begin)) + 1;
        double times[2 + MOST][ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            for (int turn = 0; turn < 2 + count; turn++) {
                // Nobody is always first.
                const int who = (turn + round) % (2 + count);
                if (who >= 2 && !peers[who - 2].at) continue;
                begin = now();
                if (who == 0) run(&c, calls);
                if (who == 1) rust_run(rust, x, SAMPLES, calls);
                if (who >= 2) peers[who - 2].run(peers[who - 2].at, x, SAMPLES, calls);
                times[who][round] = (now() - begin) / (double)(calls * s->steps);
            }
        }
        double medians[2 + MOST], best = INFINITY;
        const char *fastest = "";
        for (int who = 0; who < 2 + count; who++) {
            if (who >= 2 && !peers[who - 2].at) continue;
            qsort(times[who], ROUNDS, sizeof(double), ascending);
            medians[who] = times[who][ROUNDS / 2];
            if (who >= 2 && medians[who] < best) best = medians[who], fastest = peers[who - 2].name;
        }
        const double per_call = (medians[0] - medians[1]) * (double)s->steps;
        slow = slow || (medians[0] > 1.05 * medians[1] && per_call > 5);
        printf("| %s(1, %u)%s | %s", s->is_lstm ? "LSTM" : "GRU", s->hidden, s->outputs ? " + dense" : "",
               s->steps == 1 ? "step" : "forward");
        if (s->steps > 1) printf(" of %zu", s->steps);
        printf(" | %.1f | %.1f | %.3f |", medians[0], medians[1], medians[0] / medians[1]);
        if (isfinite(best)) printf(" %.1f | %.*s |\n", best, (int)strcspn(fastest, "."), fastest);
        else printf(" | |\n");
        fflush(stdout);
    }
    printf("\n%s\n", slow ? "C is slower than Rust by more than 5 % and 5 ns" : "C is as fast as Rust, within 5 % or 5 ns a call");
    return slow;
}
