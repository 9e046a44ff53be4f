// Plays a sound through a model of an amplifier, in blocks of 64 samples like a plugin, and prints how much
// of the available time it takes.
//
//     amp MODEL.img IN.wav OUT.wav
//
// The input is a WAV file with 16 bits and one channel, the output one with 32-bit floats. All memory is
// allocated before the first block.
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recurrent.h"

enum { BLOCK = 64 };

static void fail(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    exit(1);
}

static void check(recurrent_status status, const recurrent_error *error) {
    if (status == RECURRENT_OK) return;
    char text[300];
    recurrent_error_text(error, text, sizeof text);
    fail(text);
}

// The alignment of malloc() is enough for images and models.
static void *room(size_t bytes) {
    void *to = malloc(bytes ? bytes : 1);
    if (!to) fail("there is not enough memory");
    return to;
}

static uint8_t *load(const char *path, size_t *len) {
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END)) fail(path);
    *len = (size_t)ftell(in);
    rewind(in);
    uint8_t *bytes = room(*len);
    if (fread(bytes, 1, *len, in) != *len) fail(path);
    fclose(in);
    return bytes;
}

static uint32_t word(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

// The samples of a WAV file, from -1 to 1, their number, and the sample rate.
static float *samples_of(const uint8_t *wav, size_t len, size_t *count, uint32_t *rate) {
    if (len < 12 || memcmp(wav, "RIFF", 4) || memcmp(wav + 8, "WAVE", 4)) fail("the input is no WAV file");
    *rate = 0;
    for (size_t at = 12; at + 8 <= len;) {
        size_t size = word(wav + at + 4);
        const uint8_t *chunk = wav + at + 8;
        if (size > len - at - 8) fail("the input is cut off");
        if (!memcmp(wav + at, "fmt ", 4) && size >= 16) {
            // Only PCM with one channel and 16 bits.
            if (word(chunk) != 0x10001 || (word(chunk + 12) >> 16) != 16) fail("the input has not 16 bits and one channel");
            *rate = word(chunk + 4);
        } else if (!memcmp(wav + at, "data", 4) && *rate) {
            *count = size / 2;
            float *x = room(*count * sizeof *x);
            for (size_t i = 0; i < *count; i++) {
                x[i] = (float)(int16_t)(uint16_t)(chunk[2 * i] | chunk[2 * i + 1] << 8) / 32768.0f;
            }
            return x;
        }
        at += 8 + size + size % 2;
    }
    fail("the input has no samples");
    return NULL;
}

static void put(FILE *out, uint32_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) fputc((int)(number >> 8 * i & 255), out);
}

static void save(const char *path, const float *y, size_t count, uint32_t rate) {
    FILE *out = fopen(path, "wb");
    if (!out) fail(path);
    uint32_t bytes = 4 * (uint32_t)count;
    fwrite("RIFF", 1, 4, out), put(out, 36 + bytes, 4), fwrite("WAVEfmt ", 1, 8, out);
    put(out, 16, 4), put(out, 3, 2), put(out, 1, 2), put(out, rate, 4), put(out, 4 * rate, 4), put(out, 4, 2), put(out, 32, 2);
    fwrite("data", 1, 4, out), put(out, bytes, 4);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, y + i, 4);
        put(out, bits, 4);
    }
    if (fclose(out)) fail(path);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 4) fail("usage: amp MODEL.img IN.wav OUT.wav");
    size_t image_len, wav_len, count, size, cells_len;
    uint32_t rate;
    const uint8_t *image = load(argv[1], &image_len), *wav = load(argv[2], &wav_len);
    const float *x = samples_of(wav, wav_len, &count, &rate);
    float *y = room(count * sizeof *y);

    // A plugin has to open any model, so it names all cells.
    recurrent_error error = {0};
    const recurrent_cell *const *cells = recurrent_every_cell(&cells_len);
    check(recurrent_model_size(image, image_len, &size, &error), &error);
    recurrent_model *model = NULL;
    check(recurrent_model_open(image, image_len, cells, cells_len, room(size), size, &model, &error), &error);
    if (recurrent_model_input(model) != 1 || recurrent_model_output(model) != 1) fail("the model has not one input and one output");
    size_t packed_len = recurrent_model_packed_len(model);
    check(recurrent_model_pack(model, room(packed_len * sizeof(float)), packed_len, &error), &error);

    // One voice. Another voice would have its own state and scratch, and use the same model.
    recurrent_buffers buffers = {.state_len = recurrent_model_state_len(model, 1),
                                 .scratch_len = recurrent_model_scratch_len(model, BLOCK, 1)};
    buffers.state = room(buffers.state_len * sizeof(float));
    buffers.scratch = room(buffers.scratch_len * sizeof(float));
    check(recurrent_reset(model, 1, buffers.state, buffers.state_len, &error), &error);

    double total = 0, worst = 0;
    for (size_t i = 0; i < count; i += BLOCK) {
        size_t steps = count - i < BLOCK ? count - i : BLOCK;
        buffers.x = x + i, buffers.x_len = steps;
        buffers.y = y + i, buffers.y_len = steps;
        const recurrent_sequences block = {.steps = steps, .batch = 1};
        double start = now();
        recurrent_status status = recurrent_forward(model, &block, &buffers, &error);
        double took = now() - start;
        check(status, &error);
        total += took;
        if (took > worst) worst = took;
    }
    save(argv[3], y, count, rate);
    printf("%.1f s of sound in %.3f s: %.1f times as fast as real time\n", (double)count / rate, total, (double)count / rate / total);
    printf("worst block of %d samples %.0f us, of %.0f us that it lasts\n", BLOCK, 1e6 * worst, 1e6 * BLOCK / rate);
    return 0;
}
