//! Choosing among the likeliest classes.

use rand_core::Rng;

use super::sample::{LOGITS, argmax, check_temperature, sample};
use crate::error::{Error, Result, check_room};
use crate::kernel::softmax::{BLOCK, exp_sum};
use crate::simd::{Isa, Op, Simd, dispatch};

/// How a class is drawn from logits: with a temperature, from the `top_k` greatest, and of these from the smallest set whose
/// probability is at least `top_p` (nucleus sampling, Holtzman et al. 2020, arXiv:1904.09751). In this order, so that
/// `top_p` is a share of what the other two leave.
///
/// Of equal logits at the edge of a set the first are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the greatest.
    pub temperature: f32,
    /// How many classes are left; `usize::MAX` for all.
    pub top_k: usize,
    /// The probability of the classes that are left, 0 to 1.
    pub top_p: f32,
}

impl Sampling {
    /// The greatest logit.
    pub const GREEDY: Sampling = Sampling::new(0.0);

    /// From all classes.
    pub const fn new(temperature: f32) -> Self {
        Sampling { temperature, top_k: usize::MAX, top_p: 1.0 }
    }

    /// The same from the `k` greatest.
    pub const fn top_k(mut self, k: usize) -> Self {
        self.top_k = k;
        self
    }

    /// The same from the smallest set whose probability is at least `p`; from the greatest alone if `p` is 0.
    pub const fn top_p(mut self, p: f32) -> Self {
        self.top_p = p;
        self
    }

    /// Length of the scratch for so many classes: as many, or none if all classes are left, or one.
    pub const fn scratch_len(&self, classes: usize) -> usize {
        if self.temperature == 0.0 || (self.top_k >= classes && self.top_p == 1.0) { 0 } else { classes }
    }

    /// Refuses numbers that no class can be drawn with.
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

    /// A class: `logits [classes]`, `scratch` at least [`scratch_len`](Self::scratch_len).
    ///
    /// A logit may be minus infinity: that class is never drawn. One number of 64 bits is taken from `rng`, and none with
    /// temperature 0. What is left is sorted.
    ///
    /// # Errors
    /// [`Error::Length`] if there are no logits, or the scratch is too short; [`Error::Value`] if the temperature is negative,
    /// infinite or NaN, `top_k` is 0, `top_p` not in `0..=1`, a logit NaN, all of them minus infinity, or, for a temperature above 0, one infinity.
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

    /// The `top_k` greatest, in descending order.
    fn sorted<'a>(&self, logits: &[f32], scratch: &'a mut [f32]) -> Result<&'a [f32]> {
        // It finds NaN.
        let most = logits[argmax(logits)?];
        if most.is_infinite() {
            return Err(LOGITS);
        }
        let (classes, sorted) = (logits.len(), &mut scratch[..logits.len()]);
        // Without the sign of zero, so that equal numbers have the same bits.
        sorted.iter_mut().zip(logits).for_each(|(to, from)| *to = from + 0.0);
        let count = self.top_k.min(classes);
        if count < classes {
            sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
        }
        let sorted = &mut sorted[..count];
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        Ok(sorted)
    }

    /// The class at a share of the probability of what is left.
    fn choose(&self, logits: &[f32], sorted: &[f32], at: f64) -> usize {
        let Sampling { temperature, top_p, .. } = *self;
        let rank = dispatch(Isa::detect(), Draw { sorted, temperature, top_p, at });
        // The same number among those that are equal.
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
    /// A position in the order.
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
            // The last of the set is the one that reaches the goal.
            kept = reach(s, sorted, temperature, f64::from(top_p) * total, true).0;
        }
        let sorted = &sorted[..kept];
        let mass = reach(s, sorted, temperature, f64::INFINITY, false).1;
        reach(s, sorted, temperature, at * mass, false).0.saturating_sub(1)
    }
}

/// How many of the first exponentials it takes for a sum above the goal (or equal to it), and the sum. Those that are 0
/// do not count.
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
