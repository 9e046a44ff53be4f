//! How a pass goes through layers: by a loop over a slice, or, where everything is compiled as a whole, one by one over a constant array.

use super::layer::Layer;
use crate::error::Result;

/// What a pass does with one layer after the other. In firmware it is inlined.
pub(super) trait Visit {
    /// `layers` has more than `index`.
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()>;
}

/// Layers to go through.
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

/// Of a model that is a constant the compiler then knows each layer, and an image has the code of the cells that are in it; it does not
/// unroll a loop of such bodies.
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
