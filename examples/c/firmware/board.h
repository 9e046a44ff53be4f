// A Cortex-M4F in QEMU: printing, exiting, and measuring the stack.
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

void board_print(const char *text);
void board_number(uint32_t n);
__attribute__((noreturn)) void board_exit(int status);

// Fills the free memory below the stack with a pattern. Returns the top of the stack for board_used().
uint32_t *board_paint(void);
uint32_t board_used(const uint32_t *top);

#endif
