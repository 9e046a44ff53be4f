//! Masks that are made from the input.

use super::args::Input;
use crate::error::{Error, Result, check_len};

/// Tells padding by its content, for batches without lengths: such steps do not take part.
///
/// ```
/// use recurrent::model::InputMask;
/// let x = [1.0, 0.0, /**/ 0.0, 0.0, /**/ 0.5, 0.5]; // three steps of two features
/// let mut mask = [false; 3];
/// InputMask::Value(0.0).fill(&x, &mut mask)?;
/// assert_eq!(mask, [true, false, true]); // for `Sequences::mask`
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum InputMask {
    /// Steps all of whose features have this value, as Keras' `Masking` has it.
    Value(f32),
    /// Steps of this id, as Keras' `Embedding` has it with `mask_zero`.
    Id(u32),
}

impl InputMask {
    /// Whether each step of each row takes part; `mask` has an element for each, in the order of `x`.
    ///
    /// # Errors
    /// [`Error::Length`] if `x` has no whole number of features for each of them; [`Error::Value`] for ids where values are meant, or the reverse.
    pub fn fill<'x>(self, x: impl Into<Input<'x>>, mask: &mut [bool]) -> Result<()> {
        let rows = mask.len();
        match (self, x.into()) {
            (InputMask::Value(value), Input::Values(x)) => {
                let width = x.len().checked_div(rows).unwrap_or(0);
                check_len("x", rows * width, x.len())?;
                for (step, mask) in mask.iter_mut().enumerate() {
                    *mask = x[step * width..][..width].iter().any(|x| *x != value);
                }
                Ok(())
            }
            (InputMask::Id(id), Input::Ids(x)) => {
                check_len("x", rows, x.len())?;
                mask.iter_mut().zip(x).for_each(|(mask, x)| *mask = *x != id);
                Ok(())
            }
            (InputMask::Value(_), _) => {
                Err(Error::Value { argument: "x", expected: "values for a mask of a value" })
            }
            (InputMask::Id(_), _) => Err(Error::Value { argument: "x", expected: "ids for a mask of an id" }),
        }
    }
}
