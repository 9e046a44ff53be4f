// What the tests in C share: checks of results and of errors, buffers of exact lengths.
#ifndef CHECK_H
#define CHECK_H

#include "recurrent.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures, checks;

#define CHECK(condition)                                                                                                \
    do {                                                                                                                \
        checks++;                                                                                                       \
        if (!(condition)) {                                                                                             \
            failures++;                                                                                                 \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                      \
        }                                                                                                               \
    } while (0)

static recurrent_error error;

static inline const char *text(void) {
    static char room[400];
    recurrent_error_text(&error, room, sizeof room);
    return room;
}

// Checks that a call fails with a code, and that the text of the error contains these words.
static inline void refused(int line, recurrent_status came, recurrent_status expected, const char *words) {
    checks++;
    if (came != expected || error.status != (int32_t)expected || !strstr(text(), words)) {
        failures++;
        printf("line %d: %s where %s was expected: %s\n", line, recurrent_status_name((int32_t)came),
               recurrent_status_name((int32_t)expected), text());
    }
    memset(&error, 0, sizeof error);
}
#define REFUSED(call, code, words) refused(__LINE__, (call), RECURRENT_ERROR_##code, words)
#define OK(call) CHECK((call) == RECURRENT_OK)

typedef struct {
    uint8_t *bytes;
    size_t len;
} file;

// Reads a file to an address that is a multiple of 16.
static inline file load(const char *path) {
    file f = {NULL, 0};
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END)) exit(printf("cannot read %s\n", path));
    f.len = (size_t)ftell(in);
    rewind(in);
    f.bytes = aligned_alloc(16, (f.len + 15) / 16 * 16 + 16);
    if (!f.bytes || fread(f.bytes, 1, f.len, in) != f.len) exit(printf("cannot read %s\n", path));
    fclose(in);
    return f;
}

static inline float *floats(size_t len) {
    // The exact length lets a sanitizer detect one element too many. NaN shows elements that are read before
    // they are written.
    float *to = malloc(len ? len * sizeof(float) : 1);
    if (!to) exit(printf("no memory\n"));
    for (size_t i = 0; i < len; i++) to[i] = NAN;
    return to;
}

// A random number in -1..1.
static inline float uniform(uint64_t *seed) { return (float)(recurrent_random(seed) >> 40) / 8388608.0f - 1.0f; }

#endif
