//! Loops over a few vectors or lanes, written out.
//!
//! Each equation has many operations, and each operation is such a loop. LLVM took a sixth of its time for the
//! crate to rotate and unroll them. Loops of tiles stay loops, because LLVM takes as long for them if they are
//! written out.

/// `unrolled!(i, N, { ... })` is `for i in 0..N { ... }` for a constant `N` of up to 16.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! unrolled {
    ($i:ident, $n:expr, $body:block) => {{
        const { assert!($n <= 16) };
        unrolled!(@ $i, $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }};
    (@ $i:ident, $n:expr, $body:block, $($at:literal)*) => {$(
        if const { $n > $at } {
            let $i = $at;
            $body
        }
    )*};
}

/// The same as a loop. On these targets programs are compiled for size, and a loop is smaller.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
macro_rules! unrolled {
    ($i:ident, $n:expr, $body:block) => {
        for $i in 0..$n $body
    };
}
