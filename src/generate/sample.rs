//! Drawing a class from logits.

use rand_core::Rng;

use crate::error::{Error, Result, check_room, said};
use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::simd::{Isa, Op, Simd, dispatch};

pub(super) const LOGITS: Error =
    Error::Value { argument: "logits", expected: "numbers below infinity that are not all minus infinity" };

/// Rejects temperatures that logits cannot be divided by. 0 is allowed: it selects the greatest logit.
pub(super) fn check_temperature(temperature: f32) -> Result<()> {
    if temperature >= 0.0 && temperature.is_finite() {
        Ok(())
    } else {
        Err(Error::Value { argument: "temperature", expected: "a finite number that is not negative" })
    }
}

/// The position of the greatest logit; if there are several, the first.
///
/// # Errors
/// [`Error::Length`] if there are no logits; [`Error::Value`] if one is NaN, or if all are minus infinity.
///
/// ```
/// assert_eq!(recurrent::argmax(&[0.5, 2.0, -1.0])?, 1);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn argmax(logits: &[f32]) -> Result<usize> {
    check_room("logits", 1, logits.len())?;
    let (mut best, mut most) = (0, f32::NEG_INFINITY);
    for (i, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return Err(Error::Value { argument: "logits", expected: said("numbers other than NaN") });
        }
        if logit > most {
            (best, most) = (i, logit);
        }
    }
    match most {
        f32::NEG_INFINITY => {
            Err(Error::Value { argument: "logits", expected: said("not all minus infinity") })
        }
        _ => Ok(best),
    }
}

/// Draws a class from `softmax(logits / temperature)`. With temperature 0 it is the [`argmax`].
///
/// A logit may be minus infinity: that class is never drawn. One number of 64 bits is taken from `rng`, and
/// none with temperature 0. Nothing is stored: the exponentials are computed twice, for the sum and for the
/// search up to the class that is drawn.
///
/// # Errors
/// [`Error::Length`] if there are no logits; [`Error::Value`] if the temperature is negative, infinite or
/// NaN, if a logit is NaN, if all are minus infinity, or, for a temperature above 0, if one is infinity.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let class = recurrent::sample(&[0.0, f32::NEG_INFINITY, 1.0], 0.8, &mut rng)?;
/// assert!(class == 0 || class == 2);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn sample(logits: &[f32], temperature: f32, rng: &mut impl Rng) -> Result<usize> {
    if temperature == 0.0 {
        return argmax(logits);
    }
    check_room("logits", 1, logits.len())?;
    check_temperature(temperature)?;
    draw(logits, temperature, (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64)
}

/// The class at which the cumulative probability passes `at`, which is in `0..1`.
fn draw(logits: &[f32], temperature: f32, at: f64) -> Result<usize> {
    dispatch(Isa::detect(), Draw { logits, temperature, at }).ok_or(LOGITS)
}

struct Draw<'a> {
    logits: &'a [f32],
    temperature: f32,
    at: f64,
}

impl Op for Draw<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Option<usize> {
        let Draw { logits, temperature, at } = self;
        let most = max(s, logits);
        let mut total = 0.0;
        for block in logits.chunks(BLOCK) {
            total += exp_sum(s, block, most, Some(temperature), None);
        }
        if total.is_nan() {
            return None;
        }
        // The sums below repeat those above to the bit, and `at < 1`, so some block passes the goal.
        let goal = at * total;
        let mut sum = 0.0;
        let mut terms = [0.0; BLOCK];
        for (i, block) in logits.chunks(BLOCK).enumerate() {
            let here = exp_sum(s, block, most, Some(temperature), Some(&mut terms));
            if sum + here > goal {
                let mut class = 0;
                for (j, &e) in terms[..block.len()].iter().enumerate() {
                    if e > 0.0 {
                        class = j;
                        sum += f64::from(e);
                        if sum > goal {
                            break;
                        }
                    }
                }
                return Some(i * BLOCK + class);
            }
            sum += here;
        }
        None
    }
}
