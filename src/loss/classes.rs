//! The pass of the loss of classes, and the settings that it needs.

use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::kernel::taken::Rows;
use crate::simd::{Op, Simd};

/// Which rows and classes count, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) classes: usize,
    /// Rows with this target do not count.
    pub(super) ignored: Option<u32>,
    pub(super) class_weights: Option<&'a [f32]>,
    pub(super) row_weights: Option<&'a [f32]>,
    pub(super) smoothing: f32,
}

impl Settings<'_> {
    /// The weight of a row, without that of its class.
    pub(super) fn of_row(&self, row: usize) -> f64 {
        self.row_weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    fn of_class(&self, class: usize) -> f64 {
        self.class_weights.map_or(1.0, |weights| f64::from(weights[class]))
    }

    /// The sum of the weights of the rows that count. `count` is the number of these rows.
    pub(super) fn total(&self, rows: &Rows<'_>, count: usize, targets: &[u32]) -> f64 {
        if self.class_weights.is_none() && self.row_weights.is_none() {
            return count as f64;
        }
        let counted = rows.iter().filter(|row| Some(targets[*row]) != self.ignored);
        counted.map(|row| self.of_row(row) * self.of_class(targets[row] as usize)).sum()
    }
}

/// The pass over checked arguments: there are rows that count, and so there are classes.
pub(super) struct Pass<'a> {
    pub(super) of: &'a Settings<'a>,
    pub(super) logits: &'a [f32],
    pub(super) targets: &'a [u32],
    pub(super) rows: Rows<'a>,
    /// The sum of the rows' weights; not zero.
    pub(super) total: f64,
    pub(super) dlogits: Option<&'a mut [f32]>,
}

impl Op for Pass<'_> {
    /// The weighted sum of the rows' losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Pass { of, logits, targets, rows, total, mut dlogits } = self;
        let Settings { classes, ignored, .. } = *of;
        // The part that smoothing gives to a class with a weight of 1, and to all classes together.
        let smoothing = f64::from(of.smoothing);
        let each = smoothing / classes as f64;
        let all =
            if each > 0.0 { each * (0..classes).map(|class| of.of_class(class)).sum::<f64>() } else { 0.0 };
        let mut loss = 0.0;
        for row in rows.iter() {
            let target = targets[row];
            if Some(target) == ignored {
                continue;
            }
            let (logits, target) = (&logits[row * classes..][..classes], target as usize);
            let mut d = dlogits.as_deref_mut().map(|d| &mut d[row * classes..][..classes]);
            let own = of.of_row(row);
            if own == 0.0 {
                if let Some(d) = d {
                    d.fill(0.0);
                }
                continue;
            }
            let most = max(s, logits);
            let mut sum = 0.0;
            for (i, block) in logits.chunks(BLOCK).enumerate() {
                let terms = d.as_deref_mut().map(|d| &mut d[i * BLOCK..]);
                sum += exp_sum(s, block, most, None, terms);
            }
            let at_target = own * (1.0 - smoothing) * of.of_class(target);
            let norm = libm::log(sum);
            let unlikely = |logit: f32| norm + (f64::from(most) - f64::from(logit));
            loss += at_target * unlikely(logits[target]);
            if each > 0.0 {
                let spread = |(class, logit): (usize, &f32)| of.of_class(class) * unlikely(*logit);
                loss += own * each * logits.iter().enumerate().map(spread).sum::<f64>();
            }
            if let Some(d) = d {
                let scale = (at_target + own * all) / (sum * total);
                let of_target = f64::from(d[target]) * scale - at_target / total;
                for d in d.iter_mut() {
                    *d *= scale as f32;
                }
                d[target] = of_target as f32;
                if each > 0.0 {
                    let less = own * each / total;
                    for (class, d) in d.iter_mut().enumerate() {
                        *d -= (less * of.of_class(class)) as f32;
                    }
                }
            }
        }
        loss
    }
}
