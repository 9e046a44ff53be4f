//! Fused multiply-adds on any other target: by an instruction if the target always has it, otherwise by a
//! function of the mathematical library.

use super::Region;
use super::scalar::MulAdd;

/// One rounding.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

impl MulAdd for Fused {
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        #[cfg(feature = "std")]
        {
            a.mul_add(b, c)
        }
        #[cfg(not(feature = "std"))]
        {
            libm::fmaf(a, b, c)
        }
    }

    #[inline(never)]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }
}
