//! What this CPU has, of x86-64. It is asked at run time, with or without the standard library.

/// Whether this CPU has a feature, and the operating system saves its registers. Asked at run time, with or
/// without the standard library.
macro_rules! cpu_has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        {
            std::arch::is_x86_feature_detected!($feature)
        }
        #[cfg(not(feature = "std"))]
        {
            cpufeatures::new!(feature, $feature);
            feature::get()
        }
    }};
}
pub(super) use cpu_has;

/// The dot products of bytes that this CPU has: AVX-512 VNNI, and AVX-VNNI. Neither implies the other.
/// `cpufeatures` detects neither.
#[cfg(not(feature = "std"))]
#[allow(unused_unsafe, reason = "later versions of Rust than the oldest supported one have a safe CPUID")]
pub(super) fn dots() -> (bool, bool) {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
    const UNKNOWN: u8 = 4;
    // CPUID is slow, so the answer is stored.
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    if ANSWER.load(Relaxed) == UNKNOWN {
        // SAFETY: a CPU on which AVX2 was found has CPUID and its leaf 7. The second part exists if the first
        // one says so.
        let (first, second) = unsafe {
            let first = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0) } else { return (false, false) };
            (first.ecx >> 11 & 1, if first.eax >= 1 { __cpuid_count(7, 1).eax >> 4 & 1 } else { 0 })
        };
        ANSWER.store((first | second << 1) as u8, Relaxed);
    }
    let answer = ANSWER.load(Relaxed);
    (answer & 1 != 0, answer & 2 != 0)
}

/// The same, asked of the standard library.
#[cfg(feature = "std")]
#[inline]
pub(super) fn dots() -> (bool, bool) {
    (cpu_has!("avx512vnni"), cpu_has!("avxvnni"))
}
