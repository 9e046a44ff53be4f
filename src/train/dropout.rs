//! Factors of dropout for the training passes (Srivastava et al. 2014).

use rand_core::Rng;

use crate::error::{Error, Result};

/// Fills `factors` with 0, with probability `p`, and otherwise with `1 / (1 - p)`. Takes one 32-bit number
/// for each factor.
///
/// The training passes of a [`Stack`](crate::Stack) take such factors for the outputs between its layers and
/// for the hidden states ([recurrent dropout](crate::Recurrent::recurrent_dropout), one mask for all steps).
/// Pass the same factors to the forward and the backward pass. For layers of another kind, multiply their
/// output and the gradient of that output by the factors.
///
/// # Errors
/// [`Error::Value`] unless `0 <= p < 1`.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// let mut factors = [0.0; 1000];
/// recurrent::train::dropout(&mut factors, 0.2, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
/// assert!(factors.iter().all(|f| *f == 0.0 || *f == 1.25));
/// let dropped = factors.iter().filter(|f| **f == 0.0).count();
/// assert!((150..250).contains(&dropped));
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn dropout(factors: &mut [f32], p: f32, rng: &mut impl Rng) -> Result<()> {
    if !(0.0..1.0).contains(&p) {
        return Err(Error::Value { argument: "p", expected: "at least 0 and below 1" });
    }
    // The share of 32-bit numbers below this is `p`.
    let dropped = (f64::from(p) * 4_294_967_296.0) as u64;
    let kept = 1.0 / (1.0 - p);
    for factor in factors {
        *factor = if u64::from(rng.next_u32()) < dropped { 0.0 } else { kept };
    }
    Ok(())
}
