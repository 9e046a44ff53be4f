//! Masks made from the input.

use super::args::Input;
use crate::error::{Error, Result, check_len};

/// Recognises padding by its content, for batches without lengths. Steps of padding do not take part.
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
    /// A step is padding if all of its features have this value, as in Keras' `Masking`.
    Value(f32),
    /// A step is padding if it has this id, as in Keras' `Embedding` with `mask_zero`.
    Id(u32),
}

impl InputMask {
    /// Writes to `mask` whether each step of each row takes part, in the order of `x`.
    ///
    /// # Errors
    /// [`Error::Length`] if the length of `x` is not a multiple of that of `mask`; [`Error::Value`] for ids
    /// instead of values, or the reverse.
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
                Err(Error::Value { argument: "x", expected: "values, because the mask is a value" })
            }
            (InputMask::Id(_), _) => {
                Err(Error::Value { argument: "x", expected: "ids, because the mask is an id" })
            }
        }
    }
}
