//! The choice of an instruction set, and the entry into code that is compiled for it.

#[allow(unused_imports, reason = "not every target has vectors")]
use super::Vectors;
use super::scalar::Scalar;
use super::{On, Op, Simd, scalar};

/// Runs `op` on vectors of `S`.
#[inline]
#[allow(dead_code, reason = "not every target has vectors")]
fn run_on<S: Simd, O: Op>(s: S, op: O) -> O::Output {
    s.call(On(op, s))
}

/// The same for instruction sets without target features. The whole operation is compiled into this function.
#[inline(never)]
#[allow(dead_code, reason = "not every target has a portable set")]
fn run_portable<S: Simd, O: Op>(s: S, op: O) -> O::Output {
    s.call(On(op, s))
}

/// An instruction set that this CPU has.
///
/// The choice is made once per pass: [`Isa::detect`] selects the best one. (Layers of up to 8 units use AVX2,
/// and not AVX-512.) For tests and measurements, `on` sets the instruction set of a layer.
///
/// ```
/// use recurrent::Isa;
/// println!("best: {}", Isa::detect().name());
/// for isa in Isa::available() {
///     println!("can run {}", isa.name());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind, Dot);

/// Whether passes use the dot product of bytes, which only some CPUs with an instruction set have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dot {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    used: bool,
    /// Whether the instruction set takes four integers together without it.
    #[cfg(target_arch = "aarch64")]
    fours: bool,
}

impl Dot {
    const NONE: Dot = Dot {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        used: false,
        #[cfg(target_arch = "aarch64")]
        fours: false,
    };

    /// What an offset of a row of weights is, times their sum: it undoes what was added to the bytes of `x`.
    pub(crate) const OFFSET: i32 = if cfg!(target_arch = "aarch64") { 128 } else { -128 };

    /// The dot product of a set, if this CPU has it.
    #[inline]
    #[allow(dead_code, reason = "not every target has vectors")]
    fn of<S: Vectors>() -> Dot {
        Dot {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            used: S::DOT && S::has_dot(),
            #[cfg(target_arch = "aarch64")]
            fours: S::FOURS,
        }
    }

    /// If this is true, the CPU has the dot product of the instruction set.
    #[inline(always)]
    pub(crate) const fn is_used(self) -> bool {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        return self.used;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        false
    }

    /// Whether sums of integers take four elements of a row together without the dot product.
    #[inline(always)]
    pub(crate) const fn has_fours(self) -> bool {
        #[cfg(target_arch = "aarch64")]
        return self.fours;
        #[cfg(not(target_arch = "aarch64"))]
        false
    }

    const fn without(self) -> Dot {
        Dot {
            #[cfg(target_arch = "aarch64")]
            fours: self.fours,
            ..Dot::NONE
        }
    }
}

impl Isa {
    /// Whether integers of 8 bits are multiplied by an instruction that sums four products (AVX-512 VNNI,
    /// AVX-VNNI, or NEON's extension `dotprod`). Only weights of the formats [`W8A16`](crate::Narrow::W8A16)
    /// and [`W8A8`](crate::Narrow::W8A8) use it. The bits of results do not depend on it. Without `std`, an
    /// aarch64 CPU is not asked for it: it is used in programs that are compiled with
    /// `-C target-feature=+dotprod`.
    pub const fn has_dot_product(self) -> bool {
        self.1.is_used()
    }

    /// The same instruction set as on a CPU without this instruction, for tests and measurements.
    #[must_use]
    pub const fn without_dot_product(self) -> Isa {
        Isa(self.0, self.1.without())
    }

    #[inline(always)]
    pub(crate) const fn dot(self) -> Dot {
        self.1
    }
}

/// The vectors of portable code whose products and sums round separately.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const PORTABLE: super::sse2::Sse2 = super::sse2::Sse2;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const _: () = assert!(<super::sse2::Sse2 as Simd>::LANES == scalar::LANES);
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
#[allow(dead_code, reason = "not every target has a portable set")]
const PORTABLE: Scalar<scalar::Separate, { scalar::LANES }> = Scalar(scalar::Separate);

macro_rules! vector_sets {
    (
        // Targets whose FPU always fuses, and those that always have vectors. Their passes do not use another
        // portable set, so it exists only for tests and with the feature `reference`.
        fused: $fused:meta;
        vectors: $vectors:meta;
        $($(#[$cfg:meta])* $kind:ident: $token:ty,)*
    ) => {
        #[cfg(any(test, feature = "reference", $fused))]
        use super::fused::Fused;
        #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
        use super::scalar::Separate;

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Kind {
            #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
            Scalar,
            #[cfg(any(test, feature = "reference", $fused))]
            Fused,
            $($(#[$cfg])* $kind,)*
        }

        /// Lanes of the instruction sets of this target.
        const TARGET_LANES: &[usize] = &[scalar::LANES, $($(#[$cfg])* <$token>::LANES,)*];

        impl Isa {
            /// The best instruction set of this CPU. If the target leaves a choice, the CPU is asked at run
            /// time.
            #[inline]
            pub fn detect() -> Isa {
                $($(#[$cfg])* if <$token>::available() {
                    return Isa(Kind::$kind, Dot::of::<$token>());
                })*
                Isa::PORTABLE
            }

            /// The best instruction set for `units` units. Units that fit into a narrower vector take longer
            /// in a wider one (LSTM(1, 8): 47 ns, and 61).
            #[inline]
            #[allow(unused_mut, unused_variables, reason = "not every target has vectors")]
            pub(crate) fn detect_for(units: usize) -> Isa {
                let mut best = Isa::detect();
                $($(#[$cfg])* if units <= <$token>::LANES && <$token>::LANES < best.lanes() && <$token>::available() {
                    best = Isa(Kind::$kind, Dot::of::<$token>());
                })*
                best
            }

            /// Every instruction set that this CPU can run, the slowest first.
            pub fn available() -> impl Iterator<Item = Isa> {
                [
                    $($(#[$cfg])* <$token>::available().then(|| Isa(Kind::$kind, Dot::of::<$token>())),)*
                    #[cfg(any(test, feature = "reference", $fused))]
                    Some(Isa::FUSED),
                    #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                    Some(Isa::SCALAR),
                ]
                .into_iter()
                .rev()
                .flatten()
            }

            /// The lower-case name that the benchmarks print.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                    Kind::Scalar => "scalar",
                    #[cfg(any(test, feature = "reference", $fused))]
                    Kind::Fused => "fused",
                    $($(#[$cfg])* Kind::$kind => <$token>::NAME,)*
                }
            }

            /// Whether multiplications and additions round once.
            ///
            /// All instruction sets for which this is true give the same bits. All others also give the same
            /// bits as each other.
            pub const fn is_fused(self) -> bool {
                match self.0 {
                    #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                    Kind::Scalar => false,
                    #[cfg(any(test, feature = "reference", $fused))]
                    Kind::Fused => true,
                    $($(#[$cfg])* Kind::$kind => <$token as Simd>::FUSED,)*
                }
            }

            /// The number of `f32` lanes of a vector, which is the width of a panel of packed weights.
            pub const fn lanes(self) -> usize {
                match self.0 {
                    #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                    Kind::Scalar => scalar::LANES,
                    #[cfg(any(test, feature = "reference", $fused))]
                    Kind::Fused => scalar::LANES,
                    $($(#[$cfg])* Kind::$kind => <$token>::LANES,)*
                }
            }
        }

        /// Runs `op` on vectors of the instruction set.
        #[inline(always)]
        pub(crate) fn dispatch<O: Op>(isa: Isa, op: O) -> O::Output {
            match isa.0 {
                #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                Kind::Scalar => run_portable(PORTABLE, op),
                #[cfg(any(test, feature = "reference", $fused))]
                Kind::Fused => run_portable(Scalar::<_, { scalar::LANES }>(Fused), op),
                // SAFETY: `Isa`'s field is private to this module. Only `detect`, `detect_for` and
                // `available` make one of this kind, after `available()` of the token.
                $($(#[$cfg])* Kind::$kind => run_on(unsafe { <$token>::new() }, op),)*
            }
        }

        /// Runs `op` one element at a time, with the instruction set's rounding: for weights that are not
        /// packed.
        #[inline(always)]
        pub(crate) fn dispatch_single<O: Op>(isa: Isa, op: O) -> O::Output {
            match isa.0 {
                #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
                Kind::Scalar => run_portable(Scalar::<_, 1>(Separate), op),
                #[cfg(any(test, feature = "reference", $fused))]
                Kind::Fused => run_portable(Scalar::<_, 1>(Fused), op),
                // SAFETY: `Isa`'s field is private to this module. Only `detect`, `detect_for` and
                // `available` make one of this kind, after `available()` of the token.
                $($(#[$cfg])* Kind::$kind => run_on(Scalar::<_, 1>(unsafe { <$token>::new() }.single()), op),)*
            }
        }

        impl Isa {
            /// Portable code with separate multiplications and additions. It is used where the CPU has no
            /// fused multiply-add. If every CPU of the target has one (a Cortex-M with an FPU), and in
            /// WebAssembly that is compiled with vectors, this instruction set exists only with the feature
            /// `reference`.
            #[cfg(any(test, feature = "reference", not(any($fused, $vectors))))]
            pub const SCALAR: Isa = Isa(Kind::Scalar, Dot::NONE);
            /// Portable code with fused multiply-adds. It is used on a Cortex-M with an FPU. It gives the
            /// same bits as every instruction set that has them. On other targets it is slow, with a function
            /// call for each operation, and exists only with the feature `reference`.
            #[cfg(any(test, feature = "reference", $fused))]
            pub const FUSED: Isa = Isa(Kind::Fused, Dot::NONE);
        }

        impl Isa {
            /// The portable instruction set that is used on this target.
            pub(crate) const PORTABLE: Isa = Isa(Kind::PORTABLE, Dot::NONE);
        }

        impl Kind {
            /// The portable instruction set that is used on this target.
            #[cfg(not(any($fused, $vectors)))]
            const PORTABLE: Kind = Kind::Scalar;
            /// Every engine that runs the module has its vectors, so that no portable set is used.
            #[cfg($vectors)]
            const PORTABLE: Kind = Kind::Simd128;
            /// The portable instruction set that is used on this target.
            #[cfg($fused)]
            const PORTABLE: Kind = Kind::Fused;
        }
    };
}

// The best first.
vector_sets! {
    fused: all(target_arch = "arm", target_abi = "eabihf", target_has_atomic = "32", not(target_has_atomic = "64"));
    vectors: all(target_arch = "wasm32", target_feature = "simd128");
    #[cfg(target_arch = "x86_64")]
    Avx512: super::avx512::Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2: super::avx2::Avx2,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon: super::neon::Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128: super::wasm::Simd128,
}

/// The widest vector of this target, in lanes. Lengths of packed buffers are rounded up to it, so that they
/// do not depend on the detected instruction set.
pub(crate) const MAX_LANES: usize = {
    let (mut most, mut i) = (0, 0);
    while i < TARGET_LANES.len() {
        if TARGET_LANES[i] > most {
            most = TARGET_LANES[i];
        }
        i += 1;
    }
    most
};

/// Whether the target has vectors, so that a packed copy of the weights in scratch pays. (On a
/// microcontroller, saving the memory is better.)
pub(crate) const HAS_VECTORS: bool = TARGET_LANES.len() > 1;
