//! Optimisers, one file each. Settings are public fields. Moments are a buffer of the caller. An update is
//! one pass over memory.

mod adam;
mod rmsprop;
mod sgd;

pub use adam::{Adam, AdamW};
pub use rmsprop::RmsProp;
pub use sgd::Sgd;

use crate::error::{Error, Result, check_len};
use crate::kernel::Checked;
use crate::kernel::update::{Rule, update};
use crate::simd::{Op, Simd};

/// Rejects a number that is negative, infinite or NaN.
fn not_negative(argument: &'static str, value: f32) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(Error::Value { argument, expected: "a finite number that is not negative" })
    }
}

/// Rejects a decay that is not in `0..1`.
fn decays(argument: &'static str, value: f32) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(Error::Value { argument, expected: "at least 0 and below 1" })
    }
}

/// Checks the lengths of the buffers of an update, and the factor of the gradients.
fn check(weights: &[f32], grads: &[f32], moments: (usize, &[f32]), scale: f32) -> Result<()> {
    check_len("grads", weights.len(), grads.len())?;
    check_len("moments", moments.0, moments.1.len())?;
    if scale.is_finite() {
        Ok(())
    } else {
        Err(Error::Value { argument: "scale", expected: "a finite number" })
    }
}

/// An update. All lengths have been checked.
struct Update<'a, R> {
    rule: R,
    scale: f32,
    weights: &'a mut [f32],
    grads: &'a [f32],
    moments: &'a mut [f32],
}

impl<R: Rule> Op for Update<'_, R> {
    type Output = Checked;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        update(s, self.rule, self.scale, self.weights, self.grads, self.moments)
    }
}
