//! Narrow weights, one lane at a time, for instruction sets without instructions for them.

/// The value of a 16-bit float that is not NaN.
#[inline(always)]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let (exponent, rest) = (bits >> 10 & 31, u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal, in units of 2^-24.
        0 => rest as f32 * f32::from_bits(0x3380_0000),
        31 => f32::from_bits(0x7f80_0000 | rest << 13),
        _ => f32::from_bits((u32::from(exponent) + 112) << 23 | rest << 13),
    };
    f32::from_bits(magnitude.to_bits() | u32::from(bits & 0x8000) << 16)
}

/// The operations of a [`Simd`](super::Simd) of `$n` lanes on integers and 16-bit floats, through arrays.
macro_rules! narrow_in_arrays {
    ($n:expr) => {
        type Ints = [i32; $n];
        type Pairs = [[i16; 2]; $n];

        #[inline(always)]
        fn no_ints(self) -> Self::Ints {
            [0; $n]
        }
        #[inline(always)]
        unsafe fn splat_pair(self, p: *const i16) -> Self::Pairs {
            // SAFETY: the caller's promise: two elements, which may be unaligned.
            [unsafe { p.cast::<[i16; 2]>().read_unaligned() }; $n]
        }
        #[inline(always)]
        unsafe fn load_pairs(self, p: *const i8) -> Self::Pairs {
            let mut out = [[0; 2]; $n];
            unrolled!(i, $n, {
                // SAFETY: the caller's promise: two elements for each lane.
                out[i] = unsafe { [i16::from(*p.add(2 * i)), i16::from(*p.add(2 * i + 1))] };
            });
            out
        }
        #[inline(always)]
        fn dot(self, acc: Self::Ints, a: Self::Pairs, b: Self::Pairs) -> Self::Ints {
            let mut out = acc;
            unrolled!(i, $n, {
                let products = [0, 1].map(|j| i32::from(a[i][j]).wrapping_mul(i32::from(b[i][j])));
                out[i] = acc[i].wrapping_add(products[0]).wrapping_add(products[1]);
            });
            out
        }
        #[inline(always)]
        fn ints_to_f32(self, a: Self::Ints) -> Self::V {
            let mut out = [0.0; $n];
            unrolled!(i, $n, {
                out[i] = a[i] as f32;
            });
            // SAFETY: the array has an element for each lane.
            unsafe { self.load(out.as_ptr()) }
        }
        #[inline(always)]
        unsafe fn store_low(self, p: *mut i16, a: Self::V) {
            let mut lanes = [0.0f32; $n];
            // SAFETY: the array has an element for each lane, and so has `p`, by the caller's promise.
            unsafe {
                self.store(lanes.as_mut_ptr(), a);
                unrolled!(i, $n, {
                    *p.add(i) = lanes[i].to_bits() as i16;
                });
            }
        }
        #[inline(always)]
        unsafe fn load_f16(self, p: *const u16) -> Self::V {
            let mut out = [0.0; $n];
            unrolled!(i, $n, {
                // SAFETY: the caller's promise: an element for each lane.
                out[i] = super::f16_to_f32(unsafe { *p.add(i) });
            });
            // SAFETY: the array has an element for each lane.
            unsafe { self.load(out.as_ptr()) }
        }
        #[inline(always)]
        unsafe fn load_bf16(self, p: *const u16) -> Self::V {
            let mut out = [0.0; $n];
            unrolled!(i, $n, {
                // SAFETY: the caller's promise: an element for each lane.
                out[i] = f32::from_bits(u32::from(unsafe { *p.add(i) }) << 16);
            });
            // SAFETY: the array has an element for each lane.
            unsafe { self.load(out.as_ptr()) }
        }
    };
}
pub(super) use narrow_in_arrays;
