// A Cortex-M4F in QEMU: printing, leaving, and how much stack was used.
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_print(const char *text);
void board_number(uint32_t n);
__attribute__((noreturn)) void board_exit(int status);

// Paints the memory between static memory and the stack, and returns where the stack begins that board_used() measures.
uint32_t *board_paint(void);
uint32_t board_used(const uint32_t *top);

#endif
