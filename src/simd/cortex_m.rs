//! Fused multiply-adds for Arm's M profile with an FPU: Cortex-M4F, M7, M33, M55, M85.
//!
//! Each of these cores has VFMA, but `core` has no multiply-add, and the compiler does not fuse a product and
//! a sum. Also, `rustc` does not know of the FPU, so operands of inline assembly cannot be in floating-point
//! registers. So operands go through integer registers or memory here. The code that takes the time of a step
//! is one block of assembly each: the loops over weights, and the activations.
//!
//! VLDM loads several weights at once; the compiler would load one register at a time. The rows are those of
//! the canonical weights, in place. Panels of interleaved gates would save three loads per sixteen
//! multiply-adds, one instruction in seven, but need a second copy of the weights. This was counted in
//! instructions with QEMU; cycles were not measured on a board. Chains alternate, so a core that can start a
//! VFMA before the last one ends need not wait.

use core::arch::asm;

use super::scalar::MulAdd;
use super::{Region, SIGMOID_LEN, TANH_LEN};

/// One rounding, by the FPU.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

/// One operation `s2, s0, s1`.
macro_rules! three_operands {
    ($operation:literal, $a:ident, $b:ident, $c:ident) => {{
        let mut c = $c;
        // SAFETY: arithmetic on registers, all of which are operands or clobbers; no memory, no stack. The
        // exception flags in FPSCR change, so `preserves_flags` is not set.
        unsafe {
            asm!(
                "vmov s0, {a}",
                "vmov s1, {b}",
                "vmov s2, {c}",
                concat!($operation, " s2, s0, s1"),
                "vmov {c}, s2",
                a = in(reg) $a, b = in(reg) $b, c = inout(reg) c, out("s0") _, out("s1") _, out("s2") _,
                options(pure, nomem, nostack)
            );
        }
        c
    }};
}

impl MulAdd for Fused {
    const CHAINS: usize = 4;
    const SUMS: bool = true;

    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        three_operands!("vfma.f32", a, b, c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        three_operands!("vfms.f32", a, b, c)
    }

    #[inline(always)]
    fn sqrt(self, mut a: f32) -> f32 {
        // SAFETY: arithmetic on registers, all of which are operands or clobbers; no memory, no stack. The
        // exception flags in FPSCR change, so `preserves_flags` is not set.
        unsafe {
            asm!(
                "vmov s0, {a}",
                "vsqrt.f32 s0, s0",
                "vmov {a}, s0",
                a = inout(reg) a, out("s0") _,
                options(pure, nomem, nostack)
            );
        }
        a
    }

    /// 24 instructions for arguments up to 16 in magnitude.
    #[inline]
    fn sigmoid(self, mut x: f32, table: &[f32; SIGMOID_LEN]) -> Option<f32> {
        // SAFETY: reads the eleven elements of the table, whose type has that length, and does not change the
        // table's register. Otherwise it is arithmetic on registers, all of which are operands or clobbers.
        unsafe {
            asm!(
                "vmov s0, {x}",
                "lsl {t}, {x}, #1",
                "vldmia {table}, {{s1-s11}}",
                // Twice the bits of 16.
                "cmp {t}, #0x83000000",
                "bhi 3f",
                "2:",
                "vfma.f32 s1, s0, s2",
                "vsub.f32 s3, s1, s3",
                "vfma.f32 s0, s3, s4",
                "vmov {t}, s1",
                "vmul.f32 s2, s0, s0",
                "vfma.f32 s5, s0, s6",
                "vfma.f32 s7, s0, s8",
                "lsl {t}, {t}, #23",
                "vfma.f32 s7, s2, s9",
                "vmov s1, {t}",
                "vfma.f32 s5, s2, s7",
                "vmov.f32 s3, #1.0",
                "vfma.f32 s0, s2, s5",
                "vmov.f32 s4, s3",
                "vsub.f32 s0, s3, s0",
                "vfma.f32 s4, s0, s1",
                "vdiv.f32 s0, s3, s4",
                "vmov {x}, s0",
                "b 4f",
                "3:",
                "vcmp.f32 s0, s10",
                "vmrs apsr_nzcv, fpscr",
                "it mi",
                "vmovmi.f32 s0, s10",
                "vcmp.f32 s0, s11",
                "vmrs apsr_nzcv, fpscr",
                "it gt",
                "vmovgt.f32 s0, s11",
                "b 2b",
                "4:",
                x = inout(reg) x, t = out(reg) _, table = in(reg) table,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _,
                options(pure, readonly, nostack)
            );
        }
        Some(x)
    }

    /// 16 instructions for the smaller arguments, and 33 for the larger ones up to 8.
    #[inline]
    fn tanh(self, mut x: f32, table: &[f32; TANH_LEN]) -> Option<f32> {
        // SAFETY: reads 1 + 5 + 10 elements of the table, whose type has that length. Otherwise it is
        // arithmetic on registers, all of which are operands or clobbers, including the table's register.
        unsafe {
            asm!(
                "ldr {t}, [{table}], #4",
                "bic {a}, {x}, #0x80000000",
                "vmov s0, {a}",
                "cmp {a}, {t}",
                "bhs 2f",
                "vldmia {table}, {{s1-s5}}",
                "vmul.f32 s6, s0, s0",
                "vfma.f32 s4, s6, s5",
                "vfma.f32 s3, s6, s4",
                "vfma.f32 s2, s6, s3",
                "vfma.f32 s1, s6, s2",
                "vmul.f32 s1, s6, s1",
                "vfma.f32 s0, s0, s1",
                "b 5f",
                "2:",
                "add {table}, {table}, #20",
                "vldmia {table}, {{s1-s10}}",
                // The bits of 8.
                "cmp {a}, #0x41000000",
                "bhi 4f",
                "3:",
                "vfma.f32 s1, s0, s2",
                "vsub.f32 s3, s1, s3",
                "vfms.f32 s0, s3, s4",
                "vmov {t}, s1",
                "vmul.f32 s2, s0, s0",
                "vfma.f32 s5, s0, s6",
                "vfma.f32 s7, s0, s8",
                "lsl {t}, {t}, #23",
                "vfma.f32 s7, s2, s9",
                "vmov s1, {t}",
                "vfma.f32 s5, s2, s7",
                "vmov.f32 s3, #0.5",
                "vfma.f32 s0, s2, s5",
                "vmov.f32 s4, s3",
                "vfma.f32 s4, s1, s3",
                "vfma.f32 s4, s1, s0",
                "vmov.f32 s2, #1.0",
                "vdiv.f32 s0, s2, s4",
                "vsub.f32 s0, s2, s0",
                "b 5f",
                "4:",
                "vcmp.f32 s0, s10",
                "vmrs apsr_nzcv, fpscr",
                "it gt",
                "vmovgt.f32 s0, s10",
                "b 3b",
                "5:",
                "vmov {a}, s0",
                "and {x}, {x}, #0x80000000",
                "orr {x}, {x}, {a}",
                x = inout(reg) x, t = out(reg) _, a = out(reg) _, table = inout(reg) table => _,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _,
                options(pure, readonly, nostack)
            );
        }
        Some(x)
    }

    #[inline(always)]
    unsafe fn chains(self, acc: &mut [f32; 4], n: usize, x: *const f32, w: (*const f32, usize), k: usize) {
        // SAFETY: the caller's promise: `n <= CHAINS` chains of `k` elements.
        unsafe {
            match n {
                4 => chains_4(acc, x, w, k),
                3 => chains_3(acc, x, w, k),
                2 => chains_2(acc, x, w, k),
                1 => chains_1(acc, x, w, k),
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn sums<const N: usize>(
        self,
        acc: &mut [[f32; N]; 4],
        n: usize,
        (x, x_step): (*const f32, usize),
        (w, w_step): (*const f32, usize),
        k: usize,
    ) {
        let acc = acc.as_flattened_mut().as_mut_ptr();
        // SAFETY: the caller's promise; `acc` has `4 * N` elements, and `n * N` of 4, 8 or 16 is the length
        // of the first `n` vectors.
        unsafe {
            match n * N {
                16 => sums_16(acc, x, x_step, w, w_step, k),
                8 => sums_8(acc, x, x_step, w, w_step, k),
                4 => sums_4(acc, x, x_step, w, w_step, k),
                _ => {}
            }
        }
    }

    #[cfg(dsp)]
    #[inline(always)]
    unsafe fn byte_rows(self, acc: &mut [f32; 4], n: usize, row: *const f32, w: super::ByteRows) {
        // SAFETY: the caller's promise.
        unsafe { super::dsp::byte_rows(acc, n, row, w) }
    }

    #[inline]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }
}

/// Defines a function for the chains over the first rows of `w`. Each row is given with the registers of its
/// weights. The elements of x are in `s4` to `s7`. `w0` is the pointer of the first row. The pointers of the
/// other rows are computed in the assembly; computed outside, they would be kept on the stack. The register
/// of the last pointer holds the step on entry.
///
/// The accumulators are passed in integer registers and not in memory, so that the compiler knows that no
/// memory changes.
macro_rules! chains {
    (
        $name:ident, [$($middle:ident)*], [$($last:ident)?], [$($into:literal)*], [$($out_of:literal)*]:
        $($i:literal $row:ident $sum:ident $acc:tt [$a:tt $b:tt $c:tt $d:tt])*
    ) => {
        /// # Safety
        /// `x`, and the rows at distance `step`, are valid for reading `k` elements.
        #[inline]
        unsafe fn $name(acc: &mut [f32; 4], x: *const f32, (w, _step): (*const f32, usize), k: usize) {
            // SAFETY: reads `k` elements of each row.
            unsafe {
                asm!(
                    $($into,)*
                    "subs {k}, #4",
                    "blo 3f",
                    "2:",
                    "vldmia {x}!, {{s4-s7}}",
                    $(concat!("vldmia {", stringify!($row), "}!, {{", $a, "-", $d, "}}"),)*
                    $(concat!("vfma.f32 ", $acc, ", s4, ", $a),)*
                    $(concat!("vfma.f32 ", $acc, ", s5, ", $b),)*
                    $(concat!("vfma.f32 ", $acc, ", s6, ", $c),)*
                    $(concat!("vfma.f32 ", $acc, ", s7, ", $d),)*
                    "subs {k}, #4",
                    "bhs 2b",
                    "3:",
                    "adds {k}, #4",
                    "beq 5f",
                    "4:",
                    "vldmia {x}!, {{s4}}",
                    $(concat!("vldmia {", stringify!($row), "}!, {{", $a, "}}"),)*
                    $(concat!("vfma.f32 ", $acc, ", s4, ", $a),)*
                    "subs {k}, #1",
                    "bne 4b",
                    "5:",
                    $($out_of,)*
                    x = inout(reg) x => _, k = inout(reg) k => _, w0 = inout(reg) w => _,
                    $($middle = out(reg) _,)*
                    $($last = inout(reg) _step => _,)?
                    $(
                        $sum = inout(reg) acc[$i],
                        out($acc) _, out($a) _, out($b) _, out($c) _, out($d) _,
                    )*
                    out("s4") _, out("s5") _, out("s6") _, out("s7") _,
                    options(pure, readonly, nostack)
                );
            }
        }
    };
}

chains!(chains_1, [], [], ["vmov s0, {a0}"], ["vmov {a0}, s0"]:
    0 w0 a0 "s0" ["s8" "s9" "s10" "s11"]);
chains!(chains_2, [], [w1],
    ["add {w1}, {w0}, {w1}, lsl #2" "vmov s0, s1, {a0}, {a1}"],
    ["vmov {a0}, {a1}, s0, s1"]:
    0 w0 a0 "s0" ["s8" "s9" "s10" "s11"]
    1 w1 a1 "s1" ["s12" "s13" "s14" "s15"]);
chains!(chains_3, [w1], [w2],
    ["add {w1}, {w0}, {w2}, lsl #2" "add {w2}, {w1}, {w2}, lsl #2" "vmov s0, s1, {a0}, {a1}" "vmov s2, {a2}"],
    ["vmov {a0}, {a1}, s0, s1" "vmov {a2}, s2"]:
    0 w0 a0 "s0" ["s8" "s9" "s10" "s11"]
    1 w1 a1 "s1" ["s12" "s13" "s14" "s15"]
    2 w2 a2 "s2" ["s16" "s17" "s18" "s19"]);
chains!(chains_4, [w1 w2], [w3],
    ["add {w1}, {w0}, {w3}, lsl #2" "add {w2}, {w1}, {w3}, lsl #2" "add {w3}, {w2}, {w3}, lsl #2"
    "vmov s0, s1, {a0}, {a1}" "vmov s2, s3, {a2}, {a3}"],
    ["vmov {a0}, {a1}, s0, s1" "vmov {a2}, {a3}, s2, s3"]:
    0 w0 a0 "s0" ["s8" "s9" "s10" "s11"]
    1 w1 a1 "s1" ["s12" "s13" "s14" "s15"]
    2 w2 a2 "s2" ["s16" "s17" "s18" "s19"]
    3 w3 a3 "s3" ["s20" "s21" "s22" "s23"]);

/// Defines a function that adds `k` multiples of rows to accumulators. The accumulators are in the last
/// registers. The row's elements are in the first registers, four or eight at a time, and the factor is in
/// `s8`.
macro_rules! sums {
    ($name:ident, [$($acc:tt)*], $first:literal: $([$($sum:literal $element:literal)*] $from:literal)*) => {
        /// # Safety
        /// `acc` is valid for reading and writing, and the `k` rows, at distance `w_step`, for reading that
        /// many elements. The `k` elements of `x`, at distance `x_step`, are valid for reading.
        #[inline]
        unsafe fn $name(acc: *mut f32, x: *const f32, x_step: usize, w: *const f32, w_step: usize, k: usize) {
            // SAFETY: reads and writes just those elements.
            unsafe {
                asm!(
                    "cmp {k}, #0",
                    "beq 3f",
                    concat!("vldmia {acc}, {{", $first, "}}"),
                    "2:",
                    "vldr s8, [{x}]",
                    "add {x}, {x}, {x_step}, lsl #2",
                    "mov {row}, {w}",
                    $(
                        concat!("vldmia {row}!, {{", $from, "}}"),
                        $(concat!("vfma.f32 ", $sum, ", s8, ", $element),)*
                    )*
                    "add {w}, {w}, {w_step}, lsl #2",
                    "subs {k}, #1",
                    "bne 2b",
                    concat!("vstmia {acc}, {{", $first, "}}"),
                    "3:",
                    acc = in(reg) acc, x = inout(reg) x => _, x_step = in(reg) x_step, w = inout(reg) w => _,
                    w_step = in(reg) w_step, k = inout(reg) k => _, row = out(reg) _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, $(out($acc) _,)*
                    options(nostack)
                );
            }
        }
    };
}

sums!(sums_4, ["s12" "s13" "s14" "s15"], "s12-s15":
    ["s12" "s0" "s13" "s1" "s14" "s2" "s15" "s3"] "s0-s3");
sums!(sums_8, ["s16" "s17" "s18" "s19" "s20" "s21" "s22" "s23"], "s16-s23":
    ["s16" "s0" "s17" "s1" "s18" "s2" "s19" "s3" "s20" "s4" "s21" "s5" "s22" "s6" "s23" "s7"] "s0-s7");
sums!(sums_16, ["s16" "s17" "s18" "s19" "s20" "s21" "s22" "s23" "s24" "s25" "s26" "s27" "s28" "s29" "s30" "s31"], "s16-s31":
    ["s16" "s0" "s17" "s1" "s18" "s2" "s19" "s3" "s20" "s4" "s21" "s5" "s22" "s6" "s23" "s7"] "s0-s7"
    ["s24" "s0" "s25" "s1" "s26" "s2" "s27" "s3" "s28" "s4" "s29" "s5" "s30" "s6" "s31" "s7"] "s0-s7");
