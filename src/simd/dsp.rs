//! Rows of integers of 8 bits on cores with the DSP extension of Arm's M profile: Cortex-M4 and M7, and most
//! M33.
//!
//! `SXTB16` widens two of four weights, which are two bytes apart, and `SMLAD` adds two products to a sum. So
//! the integers of the other operand lie in the order 0 2 1 3. Several rows of weights share their loads:
//! with four rows, sixteen multiply-adds take 22 or 23 instructions.

use core::arch::naked_asm;

use super::ByteRows;

/// Like [`Simd::byte_rows`](super::Simd::byte_rows).
/// # Safety
/// As for [`Simd::byte_rows`](super::Simd::byte_rows).
#[inline(always)]
pub(super) unsafe fn byte_rows(acc: &mut [f32; 4], n: usize, row: *const f32, w: ByteRows) {
    let (to, ByteRows { codes, scales, step, k }) = (acc.as_mut_ptr(), w);
    // SAFETY: the caller's promise: `n <= 4` rows exist, and whole fours can be read.
    unsafe {
        match n {
            4 => rows_4(to, row, codes, scales, step, k),
            3 => rows_3(to, row, codes, scales, step, k),
            _ => {
                for j in 0..n.min(2) {
                    let (codes, scales) = (codes.wrapping_add(j * step * k), scales.wrapping_add(j * step));
                    rows_1(to.add(j), row, codes, scales, 1, k);
                }
            }
        }
    }
}

/// Four products of one row. The four integers are in `r12` and `lr`.
macro_rules! row {
    ($load:literal, $sum:literal) => {
        concat!(
            $load,
            "\n sxtb16 r3, r0\n sxtb16 r0, r0, ror #8\n",
            concat!("smlad ", $sum, ", r3, r12, ", $sum, "\n"),
            concat!("smlad ", $sum, ", r0, lr, ", $sum)
        )
    };
}

/// Defines a function for some rows.
macro_rules! rows {
    (
        $name:ident, [$($setup:literal)*], [$($load:literal $sum:literal)*], [$($float:literal)*],
        [$first:literal $($scale:literal)*], [$($fma:literal)*], $acc:literal
    ) => {
        /// `r0` to `r3` are the arguments up to `scales`; the others are on the stack.
        /// # Safety
        /// As for [`byte_rows`]. `step` is the distance between two rows of weights, in rows.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            acc: *mut f32,
            row: *const f32,
            codes: *const i8,
            scales: *const f32,
            step: usize,
            k: usize,
        ) {
            naked_asm!(
                // The assembler does not know the FPU of the target here.
                ".fpu fpv4-sp-d16",
                "push {{r4-r11, lr}}",
                "ldrd r4, r5, [sp, #36]",
                "vldmia r1!, {{s8}}",
                "vmov s9, s10, r0, r3",
                // Bytes between two rows.
                "mul r6, r4, r5",
                $($setup,)*
                $(concat!("mov ", $sum, ", #0"),)*
                "adds r5, r5, #3",
                "lsrs r5, r5, #2",
                "subs r5, r5, #2",
                "blo 3f",
                "2:",
                "ldrd r12, lr, [r1], #8",
                $(row!($load, $sum),)*
                "ldrd r12, lr, [r1], #8",
                $(row!($load, $sum),)*
                "subs r5, r5, #2",
                "bhs 2b",
                "3:",
                "lsls r5, r5, #31",
                "beq 4f",
                "ldrd r12, lr, [r1], #8",
                $(row!($load, $sum),)*
                "4:",
                $($float,)*
                "vmov r0, r3, s9, s10",
                "lsls r4, r4, #2",
                concat!("vldr ", $first, ", [r3]"),
                $("add r3, r3, r4", concat!("vldr ", $scale, ", [r3]"),)*
                concat!("vmul.f32 ", $first, ", ", $first, ", s8"),
                $(concat!("vmul.f32 ", $scale, ", ", $scale, ", s8"),)*
                concat!("vldmia r0, {{", $acc, "}}"),
                $($fma,)*
                concat!("vstmia r0, {{", $acc, "}}"),
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

rows!(
    rows_4,
    ["add r7, r6, r6, lsl #1" "add r7, r7, r2"],
    ["ldr r0, [r7], #4" "r11" "ldr r0, [r2, r6, lsl #1]" "r10" "ldr r0, [r2, r6]" "r9" "ldr r0, [r2], #4" "r8"],
    ["vmov s0, s1, r8, r9" "vmov s2, s3, r10, r11" "vcvt.f32.s32 s0, s0" "vcvt.f32.s32 s1, s1"
     "vcvt.f32.s32 s2, s2" "vcvt.f32.s32 s3, s3"],
    ["s4" "s5" "s6" "s7"],
    ["vfma.f32 s12, s0, s4" "vfma.f32 s13, s1, s5" "vfma.f32 s14, s2, s6" "vfma.f32 s15, s3, s7"],
    "s12-s15"
);
rows!(
    rows_3,
    [],
    ["ldr r0, [r2, r6, lsl #1]" "r10" "ldr r0, [r2, r6]" "r9" "ldr r0, [r2], #4" "r8"],
    ["vmov s0, s1, r8, r9" "vmov s2, r10" "vcvt.f32.s32 s0, s0" "vcvt.f32.s32 s1, s1" "vcvt.f32.s32 s2, s2"],
    ["s4" "s5" "s6"],
    ["vfma.f32 s12, s0, s4" "vfma.f32 s13, s1, s5" "vfma.f32 s14, s2, s6"],
    "s12-s14"
);
rows!(
    rows_1,
    [],
    ["ldr r0, [r2], #4" "r8"],
    ["vmov s0, r8" "vcvt.f32.s32 s0, s0"],
    ["s4"],
    ["vfma.f32 s12, s0, s4"],
    "s12"
);
