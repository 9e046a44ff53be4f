//! Choosing among the likeliest classes.

use rand_core::Rng;

use super::sample::{LOGITS, argmax, check_temperature, sample};
use crate::error::{Error, Result, check_room};
use crate::kernel::softmax::{BLOCK, exp_sum};
use crate::simd::{Isa, Op, Simd, dispatch};

/// How a class is drawn from logits. The temperature is applied first. Then the `top_k` greatest logits are
/// kept, and of these the smallest set whose probability is at least `top_p` (nucleus sampling, Holtzman et
/// al. 2020, arXiv:1904.09751). So `top_p` is a share of the probability that is left after the other two.
///
/// If equal logits are at the edge of a set, the first ones are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits. With 0 the greatest logit is taken.
    pub temperature: f32,
    /// How many classes are kept; `usize::MAX` for all.
    pub top_k: usize,
    /// The probability of the classes that are kept, 0 to 1.
    pub top_p: f32,
}

impl Sampling {
    /// Always the greatest logit.
    pub const GREEDY: Sampling = Sampling::new(0.0);

    /// Draws from all classes with this temperature.
    pub const fn new(temperature: f32) -> Self {
        Sampling { temperature, top_k: usize::MAX, top_p: 1.0 }
    }

    /// The same, from the `k` greatest logits.
    pub const fn top_k(mut self, k: usize) -> Self {
        self.top_k = k;
        self
    }

    /// The same, from the smallest set whose probability is at least `p`. With 0 only the greatest logit is
    /// kept.
    pub const fn top_p(mut self, p: f32) -> Self {
        self.top_p = p;
        self
    }

    /// Length of the scratch for this number of classes: `classes`, or 0 if all classes or only the greatest
    /// are kept.
    pub const fn scratch_len(&self, classes: usize) -> usize {
        if self.temperature == 0.0 || (self.top_k >= classes && self.top_p == 1.0) { 0 } else { classes }
    }

    /// Rejects numbers that no class can be drawn with.
    pub(crate) fn check(&self) -> Result<()> {
        let Sampling { temperature, top_k, top_p } = *self;
        if top_k == 0 {
            return Err(Error::Value { argument: "top_k", expected: "at least 1" });
        }
        if !(0.0..=1.0).contains(&top_p) {
            return Err(Error::Value { argument: "top_p", expected: "between 0 and 1" });
        }
        check_temperature(temperature)
    }

    /// Draws a class: `logits [classes]`, `scratch` at least [`scratch_len`](Self::scratch_len).
    ///
    /// A logit may be minus infinity: that class is never drawn. One number of 64 bits is taken from `rng`,
    /// and none with temperature 0. The classes that are kept are sorted.
    ///
    /// # Errors
    /// [`Error::Length`] if there are no logits, or the scratch is too short; [`Error::Value`] if the
    /// temperature is negative, infinite or NaN, `top_k` is 0, `top_p` not in `0..=1`, a logit NaN, all of
    /// them minus infinity, or, for a temperature above 0, one infinity.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::Sampling;
    /// const HOW: Sampling = Sampling::new(0.8).top_k(2).top_p(0.95);
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let class = HOW.draw(&[0.0, 2.0, -1.0, 1.0], &mut [0.0; HOW.scratch_len(4)], &mut rng)?;
    /// assert!(class == 1 || class == 3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn draw(&self, logits: &[f32], scratch: &mut [f32], rng: &mut impl Rng) -> Result<usize> {
        self.check()?;
        check_room("scratch", self.scratch_len(logits.len()), scratch.len())?;
        if self.scratch_len(logits.len()) == 0 {
            return sample(logits, self.temperature, rng);
        }
        let sorted = self.sorted(logits, scratch)?;
        Ok(self.choose(logits, sorted, (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64))
    }

    /// The `top_k` greatest logits, in descending order.
    fn sorted<'a>(&self, logits: &[f32], scratch: &'a mut [f32]) -> Result<&'a [f32]> {
        // `argmax` rejects NaN.
        let most = logits[argmax(logits)?];
        if most.is_infinite() {
            return Err(LOGITS);
        }
        let (classes, sorted) = (logits.len(), &mut scratch[..logits.len()]);
        // Adding 0 turns -0 into 0, so that equal numbers have the same bits.
        sorted.iter_mut().zip(logits).for_each(|(to, from)| *to = from + 0.0);
        let count = self.top_k.min(classes);
        if count < classes {
            sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
        }
        let sorted = &mut sorted[..count];
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        Ok(sorted)
    }

    /// The class at which the cumulative probability of the kept classes passes the share `at`.
    fn choose(&self, logits: &[f32], sorted: &[f32], at: f64) -> usize {
        let Sampling { temperature, top_p, .. } = *self;
        let rank = dispatch(Isa::detect(), Draw { sorted, temperature, top_p, at });
        // Several logits may be equal: count how many of them come before, and take the class with the same
        // count.
        let chosen = sorted[rank].to_bits();
        let before = sorted[..rank].iter().rev().take_while(|logit| logit.to_bits() == chosen).count();
        let mut equal = logits.iter().enumerate().filter(|(_, logit)| (**logit + 0.0).to_bits() == chosen);
        equal.nth(before).map_or(0, |(class, _)| class)
    }
}

/// Logits in descending order; the first is finite.
struct Draw<'a> {
    sorted: &'a [f32],
    temperature: f32,
    top_p: f32,
    at: f64,
}

impl Op for Draw<'_> {
    /// A position in `sorted`.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Draw { sorted, temperature, top_p, at } = self;
        let mut kept = sorted.len();
        if top_p < 1.0 {
            let mut total = 0.0;
            for block in sorted.chunks(BLOCK) {
                total += exp_sum(s, block, sorted[0], Some(temperature), None);
            }
            // The element that reaches the goal is the last one of the set.
            kept = reach(s, sorted, temperature, f64::from(top_p) * total, true).0;
        }
        let sorted = &sorted[..kept];
        let mass = reach(s, sorted, temperature, f64::INFINITY, false).1;
        reach(s, sorted, temperature, at * mass, false).0.saturating_sub(1)
    }
}

/// Adds exponentials until the sum is above the goal (or equal to it, if `equal`). Returns how many were
/// added, and the sum. It stops at the first exponential that is 0.
#[inline(always)]
fn reach<S: Simd>(s: S, sorted: &[f32], temperature: f32, goal: f64, equal: bool) -> (usize, f64) {
    let (mut sum, mut terms) = (0.0, [0.0; BLOCK]);
    for (i, block) in sorted.chunks(BLOCK).enumerate() {
        exp_sum(s, block, sorted[0], Some(temperature), Some(&mut terms));
        for (j, &e) in terms[..block.len()].iter().enumerate() {
            if e == 0.0 {
                return (i * BLOCK + j, sum);
            }
            sum += f64::from(e);
            if sum > goal || (equal && sum == goal) {
                return (i * BLOCK + j + 1, sum);
            }
        }
    }
    (sorted.len(), sum)
}
