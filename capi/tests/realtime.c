// Checks that blocks are real-time safe. While they run, the kernel kills the program at any system call
// except write and exit, and allocations and locks are counted. (Since the library is `no_std`, only calls of
// C functions could be locks.)
//
//     realtime MODEL.img [malloc | system]      the last two break the rule on purpose, to test the check
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recurrent.h"

static volatile int watched, calls;

// These replace the functions of the C library.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);
#define COUNT() ((void)(watched ? calls++ : 0))
void *malloc(size_t size) { return COUNT(), __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return COUNT(), __libc_calloc(n, size); }
void *realloc(void *of, size_t size) { return COUNT(), __libc_realloc(of, size); }
void *aligned_alloc(size_t to, size_t size) { return COUNT(), __libc_memalign(to, size); }
int posix_memalign(void **of, size_t to, size_t size) { return COUNT(), !(*of = __libc_memalign(to, size)); }
void free(void *of) { COUNT(), __libc_free(of); }
int pthread_mutex_lock(pthread_mutex_t *mutex) { return COUNT(), (void)mutex, 0; }
int pthread_mutex_trylock(pthread_mutex_t *mutex) { return COUNT(), (void)mutex, 0; }
int pthread_mutex_unlock(pthread_mutex_t *mutex) { return COUNT(), (void)mutex, 0; }

enum { BLOCK = 64, BLOCKS = 500 };
static _Alignas(16) unsigned char image[1 << 20];
static float x[BLOCK], y[BLOCK], *packed;

static void leave(const char *text, int status) {
    if (write(1, text, strlen(text)) < 0) status = 3;
    syscall(SYS_exit, status);
}

int main(int argc, char **argv) {
    const char *broken = argc > 2 ? argv[2] : "";
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!in) return puts("no image"), 2;
    size_t len = fread(image, 1, sizeof image, in), size = 0, cells_len = 0;
    fclose(in);
    recurrent_model *models[2] = {NULL, NULL};
    const recurrent_cell *const *cells = recurrent_every_cell(&cells_len);
    if (recurrent_model_size(image, len, &size, NULL)) return puts("no image"), 2;
    // One model with packed weights, and one with weights in place.
    for (int i = 0; i < 2; i++) {
        if (recurrent_model_open(image, len, cells, cells_len, malloc(size), size, &models[i], NULL)) return puts("not opened"), 2;
    }
    size_t packed_len = recurrent_model_packed_len(models[0]);
    packed = malloc(packed_len * sizeof(float));
    if (recurrent_model_pack(models[0], packed, packed_len, NULL)) return puts("not packed"), 2;
    recurrent_buffers b = {.state_len = recurrent_model_state_len(models[0], 1),
                           .scratch_len = recurrent_model_scratch_len(models[0], BLOCK, 1)};
    b.state = malloc(b.state_len * sizeof(float));
    b.scratch = malloc(b.scratch_len * sizeof(float));
    for (int i = 0; i < BLOCK; i++) x[i] = (float)(i % 9) / 9.0f;

    watched = 1;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) return watched = 0, puts("no seccomp"), 75;
    int failed = 0;
    for (int block = 0; block < BLOCKS; block++) {
        const recurrent_model *model = models[block % 2];
        const recurrent_sequences sequences = {.steps = BLOCK, .batch = 1};
        recurrent_error error;
        b.x = x, b.x_len = BLOCK, b.y = y, b.y_len = BLOCK;
        if (block % 50 == 0) failed |= recurrent_reset(model, 1, b.state, b.state_len, &error);
        failed |= recurrent_forward(model, &sequences, &b, &error);
        b.x_len = b.y_len = 1;
        for (int i = 0; i < BLOCK; i++) failed |= recurrent_step(model, &b, &error);
        // Rejecting a call must be real-time safe, too.
        b.x_len = 0;
        failed |= recurrent_step(model, &b, &error) != RECURRENT_ERROR_LENGTH;
        size_t class_;
        failed |= recurrent_argmax(y, BLOCK, &class_, &error);
        if (block == BLOCKS / 2 && !strcmp(broken, "malloc")) free(malloc(16));
        if (block == BLOCKS / 2 && !strcmp(broken, "system")) syscall(SYS_getpid);
    }
    watched = 0;
    if (failed) leave("a pass failed\n", 1);
    if (calls) leave("allocations or locks in a block\n", 1);
    leave("500 blocks and 32000 steps without an allocation, a lock or a call of the system\n", 0);
}
