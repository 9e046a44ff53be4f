//! Rows of integers of 8 bits on cores with the DSP extension of Arm's M profile: Cortex-M4 and M7, and most
//! M33.
//!
//! `SXTB16` widens two of four weights, which are two bytes apart, and `SMLAD` adds two products to a sum. So
//! the integers of the other operand lie in the order 0 2 1 3. Several rows of weights share their loads:
//! with four rows, sixteen multiply-adds take 22 or 23 instructions.

use core::arch::naked_asm;

use super::ByteRows;

/// Sums that are passed and returned in the registers of the FPU.
#[repr(C)]
struct Sums([f32; 4]);

/// Like [`Simd::byte_rows`](super::Simd::byte_rows).
/// # Safety
/// As for [`Simd::byte_rows`](super::Simd::byte_rows).
#[inline(always)]
pub(super) unsafe fn byte_rows(acc: &mut [f32; 4], n: usize, row: *const f32, w: ByteRows) {
    let ByteRows { codes, scales, step, k } = w;
    // SAFETY: the caller's promise: `n <= 4` rows exist, and whole fours can be read.
    unsafe {
        match n {
            4 => *acc = rows_4(Sums(*acc), row, codes, scales, step, k).0,
            3 => *acc = rows_3(Sums(*acc), row, codes, scales, step, k).0,
            _ => {
                for j in 0..n.min(2) {
                    let (codes, scales) = (codes.wrapping_add(j * step * k), scales.wrapping_add(j * step));
                    acc[j] = rows_1(Sums([acc[j]; 4]), row, codes, scales, 1, k).0[0];
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
            "\n sxtb16 r3, r2\n sxtb16 r2, r2, ror #8\n",
            concat!("smlad ", $sum, ", r3, r12, ", $sum, "\n"),
            concat!("smlad ", $sum, ", r2, lr, ", $sum)
        )
    };
}

/// Defines a function for some rows.
macro_rules! rows {
    (
        $name:ident, [$($setup:literal)*], [$($load:literal $sum:literal)*], [$($float:literal)*],
        [$first:literal $($scale:literal)*], [$($fma:literal)*]
    ) => {
        /// `s0` to `s3` are the sums, `r0` to `r3` the arguments up to `step`; the last is on the stack.
        /// # Safety
        /// As for [`byte_rows`]. `step` is the distance between two rows of weights, in rows.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            acc: Sums,
            row: *const f32,
            codes: *const i8,
            scales: *const f32,
            step: usize,
            k: usize,
        ) -> Sums {
            naked_asm!(
                // The assembler does not know the FPU of the target here.
                ".fpu fpv4-sp-d16",
                "push {{r5-r11, lr}}",
                "ldr r5, [sp, #32]",
                "vldmia r0!, {{s8}}",
                "vmov s9, s10, r2, r3",
                // Bytes between two rows.
                "mul r6, r3, r5",
                $($setup,)*
                $(concat!("mov ", $sum, ", #0"),)*
                "adds r5, r5, #3",
                "lsrs r5, r5, #2",
                "subs r5, r5, #2",
                "blo 3f",
                "2:",
                "ldrd r12, lr, [r0], #8",
                $(row!($load, $sum),)*
                "ldrd r12, lr, [r0], #8",
                $(row!($load, $sum),)*
                "subs r5, r5, #2",
                "bhs 2b",
                "3:",
                "lsls r5, r5, #31",
                "beq 4f",
                "ldrd r12, lr, [r0], #8",
                $(row!($load, $sum),)*
                "4:",
                $($float,)*
                "vmov r2, r3, s9, s10",
                "lsls r3, r3, #2",
                concat!("vldr ", $first, ", [r2]"),
                $("add r2, r2, r3", concat!("vldr ", $scale, ", [r2]"),)*
                concat!("vmul.f32 ", $first, ", ", $first, ", s8"),
                $(concat!("vmul.f32 ", $scale, ", ", $scale, ", s8"),)*
                $($fma,)*
                "pop {{r5-r11, pc}}",
            )
        }
    };
}

rows!(
    rows_4,
    ["add r7, r6, r6, lsl #1" "add r7, r7, r1"],
    ["ldr r2, [r7], #4" "r11" "ldr r2, [r1, r6, lsl #1]" "r10" "ldr r2, [r1, r6]" "r9" "ldr r2, [r1], #4" "r8"],
    ["vmov s4, s5, r8, r9" "vmov s6, s7, r10, r11" "vcvt.f32.s32 s4, s4" "vcvt.f32.s32 s5, s5"
     "vcvt.f32.s32 s6, s6" "vcvt.f32.s32 s7, s7"],
    ["s9" "s10" "s11" "s12"],
    ["vfma.f32 s0, s4, s9" "vfma.f32 s1, s5, s10" "vfma.f32 s2, s6, s11" "vfma.f32 s3, s7, s12"]
);
rows!(
    rows_3,
    [],
    ["ldr r2, [r1, r6, lsl #1]" "r10" "ldr r2, [r1, r6]" "r9" "ldr r2, [r1], #4" "r8"],
    ["vmov s4, s5, r8, r9" "vmov s6, r10" "vcvt.f32.s32 s4, s4" "vcvt.f32.s32 s5, s5" "vcvt.f32.s32 s6, s6"],
    ["s9" "s10" "s11"],
    ["vfma.f32 s0, s4, s9" "vfma.f32 s1, s5, s10" "vfma.f32 s2, s6, s11"]
);
rows!(
    rows_1,
    [],
    ["ldr r2, [r1], #4" "r8"],
    ["vmov s4, r8" "vcvt.f32.s32 s4, s4"],
    ["s9"],
    ["vfma.f32 s0, s4, s9"]
);
