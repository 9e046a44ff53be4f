//! Iteration over layers. Usually it is a loop over a slice; in firmware, where everything is compiled as a
//! whole, it is unrolled over a constant array.

use super::layer::Layer;
use crate::error::Result;

/// What a pass does for each layer. In firmware it is inlined.
pub(super) trait Visit {
    /// Visits layer `index`, which is below the length of `layers`.
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()>;
}

/// Layers that a pass can visit.
pub(super) trait Layers {
    /// From the input to the output.
    fn up(&self, pass: &mut impl Visit) -> Result<()>;
    /// From the output to the input.
    fn down(&self, pass: &mut impl Visit) -> Result<()>;
}

impl Layers for [Layer] {
    fn up(&self, pass: &mut impl Visit) -> Result<()> {
        (0..self.len()).try_for_each(|index| pass.visit(self, index))
    }

    fn down(&self, pass: &mut impl Visit) -> Result<()> {
        (0..self.len()).rev().try_for_each(|index| pass.visit(self, index))
    }
}

/// If the model is a constant, the compiler knows each layer here, so an image only contains the code of the
/// cells that the model has. The calls are written out, because the compiler does not unroll a loop with such
/// bodies.
#[cfg(target_os = "none")]
impl<const N: usize> Layers for [Layer; N] {
    #[inline(always)]
    fn up(&self, pass: &mut impl Visit) -> Result<()> {
        macro_rules! each {
            ($($index:literal)+) => {
                $(if $index < N {
                    pass.visit(self, $index)?;
                })+
            };
        }
        each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        if 16 < N {
            for index in 16..N {
                pass.visit(self, index)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn down(&self, pass: &mut impl Visit) -> Result<()> {
        macro_rules! each {
            ($($index:literal)+) => {
                $(if $index < N {
                    pass.visit(self, $index)?;
                })+
            };
        }
        if 16 < N {
            for index in (16..N).rev() {
                pass.visit(self, index)?;
            }
        }
        each!(15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0);
        Ok(())
    }
}
