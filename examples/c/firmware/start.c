// Startup code of a Cortex-M4F, and printing. No C library is linked.
#include "board.h"

#include <stdint.h>

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
int main(void);

// Switches the FPU on, initialises memory, and runs the program.
__attribute__((noreturn)) void reset(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; // CPACR: enable coprocessors 10 and 11
    __asm volatile("dsb\nisb");
    const uint32_t *from = &data_load;
    for (uint32_t *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    board_exit(main());
}

static void fault(void) { board_exit(2); }

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {&stack_top, {reset, fault, fault, fault, fault, fault}};

static int semihosting(int call, const void *argument) {
    register int r0 __asm("r0") = call;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_print(const char *text) { semihosting(0x04, text); }

void board_number(uint32_t n) {
    char digits[11], *at = digits + 10;
    *at = 0;
    do *--at = (char)('0' + n % 10);
    while (n /= 10);
    board_print(at);
}

void board_exit(int status) {
    // ADP_Stopped_ApplicationExit, with the status.
    const uint32_t why[2] = {0x20026, (uint32_t)status};
    semihosting(0x20, why);
    for (;;) {
    }
}

#define PAINT 0xccccccccu

__attribute__((noinline)) uint32_t *board_paint(void) {
    // Starts 16 words below the frame address, to spare the frame of this function.
    uint32_t *top = (uint32_t *)__builtin_frame_address(0) - 16;
    for (volatile uint32_t *at = &bss_end; at < top; at++) *at = PAINT;
    return top;
}

__attribute__((noinline)) uint32_t board_used(const uint32_t *top) {
    const uint32_t *at = &bss_end;
    while (at < top && *at == PAINT) at++;
    return 4 * (uint32_t)(top - at);
}

// Compilers call these functions to copy and fill memory.
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ n) {
    for (__SIZE_TYPE__ i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, __SIZE_TYPE__ n) {
    if ((uintptr_t)to <= (uintptr_t)from) return memcpy(to, from, n);
    while (n--) ((volatile char *)to)[n] = ((const char *)from)[n];
    return to;
}

void *memset(void *to, int c, __SIZE_TYPE__ n) {
    for (__SIZE_TYPE__ i = 0; i < n; i++) ((volatile char *)to)[i] = (char)c;
    return to;
}

int memcmp(const void *a, const void *b, __SIZE_TYPE__ n) {
    for (__SIZE_TYPE__ i = 0; i < n; i++) {
        int d = ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
        if (d) return d;
    }
    return 0;
}
