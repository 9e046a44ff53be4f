//! The forward-backward algorithm, row by row.

use super::{Ctc, CtcBatch, step_len, width};
use crate::error::Result;
use crate::kernel::Walk;
use crate::kernel::alignment::{Emissions, PAD, PLANES, backward, emissions, forward};
use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::layer::buffer::take_mut;
use crate::simd::{Op, Simd};

/// The pass over checked arguments.
pub(super) struct Pass<'a> {
    pub(super) ctc: &'a Ctc,
    pub(super) walk: &'a Walk<'a>,
    pub(super) batch: CtcBatch<'a>,
}

/// One row with its part of the scratch.
struct Row<'a> {
    ctc: &'a Ctc,
    walk: &'a Walk<'a>,
    b: usize,
    labels: &'a [u32],
    width: usize,
    skip: &'a mut [f32],
    ways: &'a mut [f32],
    through: &'a mut [f32],
    /// What is kept of each step. The first entry is the state before the first step.
    steps: &'a mut [f32],
}

/// Splits what is kept of a step: the emissions with the blank's, the scale of the softmax, and the states.
fn parts(step: &[f32], width: usize) -> (Emissions<'_>, f32, &[f32]) {
    let (m, rest) = step.split_at(width);
    let (e, rest) = rest.split_at(width);
    let (head, states) = rest.split_at(3);
    (Emissions { m, e, blank: [head[0], head[1]] }, head[2], states)
}

/// Sets all planes to zero: mantissas to 0, exponents to minus infinity.
fn clear(states: &mut [f32], plane: usize) {
    for (i, plane) in states.chunks_exact_mut(plane).enumerate() {
        plane.fill(if i % 2 == 0 { 0.0 } else { f32::NEG_INFINITY });
    }
}

impl Op for Pass<'_> {
    type Output = Result<f64>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Result<f64> {
        let Pass { ctc, walk, batch } = self;
        let CtcBatch { sequences, logits, targets, target_lengths, mut dlogits, mut losses, scratch } = batch;
        if let Some(dlogits) = dlogits.as_deref_mut().filter(|_| !walk.is_dense()) {
            dlogits.fill(0.0);
        }
        let (mut total, mut rest) = (0.0, targets);
        for (b, &count) in target_lengths.iter().enumerate() {
            let (labels, others) = rest.split_at(count);
            rest = others;
            let width = width(count);
            let mut scratch = &mut *scratch;
            let mut row = Row {
                ctc,
                walk,
                b,
                labels,
                width,
                skip: take_mut(&mut scratch, width + PAD),
                ways: take_mut(&mut scratch, PLANES * (width + PAD)),
                through: take_mut(&mut scratch, width),
                steps: scratch,
            };
            let (last, loss, peak) = row.forward(s, logits, dlogits.as_deref_mut())?;
            let zeroed = ctc.zero_infinity && loss == f64::INFINITY;
            let loss = if zeroed { 0.0 } else { loss };
            if let Some(losses) = losses.as_deref_mut() {
                losses[b] = loss as f32;
            }
            let divisor = ctc.divisor(sequences.batch(), count);
            total += loss / divisor;
            let Some(dlogits) = dlogits.as_deref_mut() else { continue };
            if zeroed || !loss.is_finite() {
                row.fill(dlogits, if zeroed { 0.0 } else { f32::NAN });
            } else {
                row.backward(s, dlogits, (1.0 / divisor) as f32, last, peak)?;
            }
        }
        Ok(total)
    }
}

impl Row<'_> {
    fn active(&self) -> impl Iterator<Item = usize> {
        (0..self.walk.len(self.b)).filter(|&t| self.walk.active(t, self.b))
    }

    /// Returns the number of steps that take part, the loss, and the exponent of the labels' probability.
    /// Writes the terms of each step's softmax to `dlogits`.
    #[inline(always)]
    fn forward<S: Simd>(
        &mut self,
        s: S,
        logits: &[f32],
        mut dlogits: Option<&mut [f32]>,
    ) -> Result<(usize, f64, f32)> {
        let Row { ctc, walk, b, labels, width, .. } = *self;
        let (plane, len) = (width + PAD, step_len(width));
        self.skip.fill(f32::NEG_INFINITY);
        for (i, pair) in labels.windows(2).enumerate() {
            if pair[0] != pair[1] {
                self.skip[i + 1] = 0.0;
            }
        }
        // Before the first step all alignments are at the first blank.
        let first = &mut self.steps[..len][2 * width + 3..];
        clear(first, plane);
        (first[0], first[plane]) = (1.0, 0.0);
        let mut count = 0;
        for t in 0..walk.len(b) {
            if !walk.active(t, b) {
                continue;
            }
            let logits = ctc.row_of(walk, logits, t, b);
            let most = max(s, logits);
            let mut terms =
                dlogits.as_deref_mut().map(|d| &mut d[walk.row(t, b) * ctc.classes..][..ctc.classes]);
            let mut sum = 0.0;
            for (i, block) in logits.chunks(BLOCK).enumerate() {
                sum += exp_sum(s, block, most, None, terms.as_deref_mut().map(|d| &mut d[i * BLOCK..]));
            }
            let (scale, exponent) = libm::frexp(1.0 / sum);

            let (before, step) = self.steps[count * len..][..2 * len].split_at_mut(len);
            let before = &before[2 * width + 3..];
            let (m, rest) = step.split_at_mut(width);
            let (e, rest) = rest.split_at_mut(width);
            let (head, states) = rest.split_at_mut(3);
            // The blank uses the last place, which no label uses.
            let (blank, places) = m.split_last_mut().unwrap_or((&mut head[0], &mut []));
            *blank = logits[ctc.blank as usize] - most;
            let (to, padding) = places.split_at_mut(labels.len());
            for (to, &label) in to.iter_mut().zip(labels) {
                *to = logits[label as usize] - most;
            }
            padding.fill(f32::NEG_INFINITY);
            emissions(s, m, e, [scale as f32, exponent as f32])?;
            head.copy_from_slice(&[m[width - 1], e[width - 1], (1.0 / sum) as f32]);
            e[width - 1] = f32::NEG_INFINITY;
            // There is no label before the first blank.
            (states[2 * plane], states[3 * plane]) = (0.0, f32::NEG_INFINITY);
            let y = Emissions { m, e, blank: [head[0], head[1]] };
            forward(s, y, self.skip, before, states)?;
            count += 1;
        }
        // Alignments end at the last label, or at the blank after it.
        let (_, _, states) = parts(&self.steps[count * len..][..len], width);
        let n = labels.len();
        let ends = [(states[n], states[plane + n]), (states[2 * plane + n], states[3 * plane + n])];
        let peak = ends[0].1.max(ends[1].1);
        let mut sum = 0.0;
        for (m, e) in ends {
            if e > f32::NEG_INFINITY || m.is_nan() {
                sum += f64::from(m) * libm::exp2(f64::from(e - peak));
            }
        }
        let loss = match sum == 0.0 {
            true => f64::INFINITY,
            false => -(libm::log(sum) + f64::from(peak) * core::f64::consts::LN_2),
        };
        Ok((count, loss, peak))
    }

    /// Computes the gradient, times `scale`, from the terms of the softmax in `dlogits`.
    #[inline(always)]
    fn backward<S: Simd>(
        &mut self,
        s: S,
        dlogits: &mut [f32],
        scale: f32,
        mut count: usize,
        peak: f32,
    ) -> Result<()> {
        let Row { ctc, walk, b, labels, width, .. } = *self;
        let (plane, len) = (width + PAD, step_len(width));
        // After the last step all alignments have to be at the last label or at the blank after it: one
        // further step from either.
        clear(self.ways, plane);
        (self.ways[labels.len()], self.ways[plane + labels.len()]) = (1.0, 0.0);
        for t in (0..walk.len(b)).rev() {
            if !walk.active(t, b) {
                continue;
            }
            let (y, softmax, states) = parts(&self.steps[count * len..][..len], width);
            let sums = backward(s, y, self.skip, states, self.ways, peak, self.through)?;
            count -= 1;
            // The parts of all states should sum to 1. Divide by their sum as it was rounded, so that the
            // gradients of a step sum to 0.
            let part = scale / (sums[0] + sums[1]);
            let d = &mut dlogits[walk.row(t, b) * ctc.classes..][..ctc.classes];
            let softmax = softmax * scale;
            d.iter_mut().for_each(|d| *d *= softmax);
            d[ctc.blank as usize] -= sums[0] * part;
            for (through, &label) in self.through.iter().zip(labels) {
                d[label as usize] -= through * part;
            }
        }
        Ok(())
    }

    /// Sets the gradient of all steps that take part to one value.
    fn fill(&self, dlogits: &mut [f32], value: f32) {
        let classes = self.ctc.classes;
        for t in self.active() {
            dlogits[self.walk.row(t, self.b) * classes..][..classes].fill(value);
        }
    }
}
