//! Random layers over random sequences.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use recurrent::{Isa, Masked, Sequences};

use crate::common::{Layer, Random};
use crate::options;
use crate::reference::{Cell, FUNCTIONS, Function, Norm, Options, Walk};

/// A layer, and the settings of its sequences.
#[derive(Clone, Debug)]
pub struct Case {
    pub options: Options,
    /// Index into the available instruction sets.
    pub isa: usize,
    pub steps: usize,
    pub batch: usize,
    pub reverse: bool,
    pub batch_major: bool,
    pub lengths: Option<Vec<usize>>,
    pub mask: Option<Vec<bool>>,
    pub zero: bool,
    pub resets: Option<Vec<bool>>,
    pub dropout: bool,
    pub seed: u64,
}

/// The arguments of a case's passes.
#[derive(Clone)]
pub struct Data {
    pub weights: Vec<f32>,
    pub x: Vec<f32>,
    pub state: Vec<f32>,
    pub dy: Vec<f32>,
    pub dstate: Vec<f32>,
    pub dropout: Option<Vec<f32>>,
}

/// Upper bounds of a case's sizes. Every size may be zero.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub input: usize,
    pub hidden: usize,
    pub batch: usize,
    pub steps: usize,
}

impl Limits {
    /// More units than two panels of the widest set, and more rows than a tile.
    pub const ALL: Limits = Limits { input: 20, hidden: 37, batch: 9, steps: 8 };
}

/// Small sizes, and sizes around panels.
fn size(most: usize) -> impl Strategy<Value = usize> {
    let edges: Vec<usize> =
        [0, 1, 4, 7, 8, 9, 15, 16, 17, 32, 33].into_iter().filter(|e| *e <= most).collect();
    prop_oneof![0..=most.min(5), prop::sample::select(edges), 0..=most]
}

/// A cell with any options. Half of the cells have no options, because those use other kernels.
pub fn cells(limits: Limits) -> impl Strategy<Value = Options> {
    let cells = vec![Cell::Rnn, Cell::Lstm, Cell::GruResetAfter, Cell::GruResetBefore, Cell::Mgu];
    let cell = prop::sample::select(cells);
    let sizes = (size(limits.input), size(limits.hidden));
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.3));
    let norm = option::weighted(0.2, prop::sample::select(vec![Norm::Paper, Norm::State]));
    let rest = (option::weighted(0.3, 0.3..1.5), option::weighted(0.3, size(limits.hidden)), norm);
    let slots = [0, 1, 2].map(|_| 0..2 * FUNCTIONS.len());
    (cell, sizes, flags, rest, slots).prop_map(
        |(cell, (input, hidden), (plain, bias, peepholes, coupled), (clip, projection, norm), slots)| {
            let mut options = Options { bias, ..Options::new(cell, input, hidden) };
            // Layer normalisation excludes the options below.
            if matches!(cell, Cell::Lstm | Cell::GruResetAfter) && norm.is_some() {
                return Options { norm, ..options };
            }
            if plain || cell == Cell::Mgu {
                if cell == Cell::Rnn && coupled {
                    options.functions = [Function::Relu; 3];
                }
                return options;
            }
            for (of, slot) in options.functions.iter_mut().zip(slots) {
                // Half of the slots keep the default function.
                *of = *FUNCTIONS.get(slot).unwrap_or(of);
            }
            let lstm = cell == Cell::Lstm;
            // Rounded, because the library's clip is an f32.
            let clip = clip.map(|clip: f64| f64::from(clip as f32));
            Options {
                clip,
                peepholes: lstm && peepholes,
                coupled: lstm && coupled,
                projection: projection.filter(|_| lstm),
                ..options
            }
        },
    )
}

pub fn cases(limits: Limits) -> impl Strategy<Value = Case> {
    (cells(limits), 0..=limits.steps, size(limits.batch)).prop_flat_map(|(options, steps, batch)| {
        let rows = steps * batch;
        let said = (
            option::of(vec(0..=steps, batch)),
            option::of(vec(prop::bool::weighted(0.7), rows)),
            option::of(vec(prop::bool::weighted(0.2), rows)),
        );
        let flags = [0.5, 0.5, 0.5, 0.2].map(prop::bool::weighted);
        (said, flags, 0..8_usize, any::<u64>()).prop_map(
            move |((lengths, mask, resets), [reverse, batch_major, zero, dropout], isa, seed)| Case {
                options,
                isa,
                steps,
                batch,
                reverse,
                batch_major,
                lengths,
                mask,
                zero,
                resets,
                dropout,
                seed,
            },
        )
    })
}

impl Case {
    pub fn layer(&self) -> Layer {
        let isas: Vec<Isa> = Isa::available().collect();
        self.layer_on(isas[self.isa % isas.len()])
    }

    pub fn layer_on(&self, isa: Isa) -> Layer {
        let layer = options::layer(&self.options, self.dropout, isa);
        if self.reverse { layer.reverse() } else { layer }
    }

    pub fn data(&self) -> Data {
        let (options, random) = (&self.options, &mut Random::new(self.seed));
        let (rows, width) = (self.steps * self.batch, options.width());
        let states = options.state_len(self.batch);
        let scale = 1.4 / ((options.input + width) as f32).sqrt().max(1.0);
        let keep = |v: &f32| if *v < -0.5 { 0.0 } else { 1.0 / 0.75 };
        Data {
            weights: random.uniform(options.weights_len(), scale),
            x: random.uniform(rows * options.input, 1.0),
            state: random.uniform(states, 0.9),
            dy: random.uniform(rows * width, 1.0),
            dstate: random.uniform(states, 1.0),
            dropout: self.dropout.then(|| random.uniform(self.batch * width, 1.0).iter().map(keep).collect()),
        }
    }

    pub fn sequences(&self) -> Sequences<'_> {
        let mut sequences = Sequences::new(self.steps, self.batch);
        if self.batch_major {
            sequences = sequences.batch_major();
        }
        if let Some(lengths) = &self.lengths {
            sequences = sequences.lengths(lengths);
        }
        if let Some(mask) = &self.mask {
            sequences = sequences.mask(mask, if self.zero { Masked::Zero } else { Masked::Carry });
        }
        if let Some(resets) = &self.resets {
            sequences = sequences.resets(resets);
        }
        sequences
    }

    pub fn walk(&self) -> Walk<'_> {
        Walk {
            lengths: self.lengths.as_deref(),
            mask: self.mask.as_deref(),
            masked: if self.zero { crate::reference::Masked::Zero } else { crate::reference::Masked::Carry },
            resets: self.resets.as_deref(),
            reverse: self.reverse,
            batch_major: self.batch_major,
            ..Walk::new(self.steps, self.batch)
        }
    }

    /// The index of step `t` of row `b` among the rows.
    pub fn row(&self, t: usize, b: usize) -> usize {
        if self.batch_major { b * self.steps + t } else { t * self.batch + b }
    }

    pub fn len(&self, b: usize) -> usize {
        self.lengths.as_ref().map_or(self.steps, |lengths| lengths[b])
    }

    pub fn active(&self, t: usize, b: usize) -> bool {
        t < self.len(b) && self.mask.as_ref().is_none_or(|mask| mask[self.row(t, b)])
    }

    /// Some steps of some batch rows as a case of their own, and the rows that they have in this case.
    /// [`pick`](Self::pick) gathers `x`, `y` and other buffers of rows.
    pub fn part(&self, times: std::ops::Range<usize>, batch: &[usize]) -> (Case, Vec<usize>) {
        let (steps, rows) = (times.len(), batch.len());
        let at = |t: usize, b: usize| self.row(times.start + t, batch[b]);
        let order: Vec<usize> = if self.batch_major {
            (0..rows).flat_map(|b| (0..steps).map(move |t| (t, b))).map(|(t, b)| at(t, b)).collect()
        } else {
            (0..steps).flat_map(|t| (0..rows).map(move |b| (t, b))).map(|(t, b)| at(t, b)).collect()
        };
        let said = |of: &Option<Vec<bool>>| of.as_ref().map(|of| order.iter().map(|row| of[*row]).collect());
        let part = Case {
            steps,
            batch: rows,
            lengths: self.lengths.as_ref().map(|_| {
                batch.iter().map(|b| self.len(*b).clamp(times.start, times.end) - times.start).collect()
            }),
            mask: said(&self.mask),
            resets: said(&self.resets),
            ..self.clone()
        };
        (part, order)
    }

    /// The state of these batch rows.
    pub fn state_rows(&self, of: &[f32], batch: &[usize]) -> Vec<f32> {
        let layer = self.layer();
        let mut out = vec![f32::NAN; layer.state_len(batch.len())];
        for (to, from) in batch.iter().enumerate() {
            layer.set_state_row(&mut out, batch.len(), to, &layer.state_row(of, self.batch, *from));
        }
        out
    }
}

/// Gathers these rows of `width` elements.
pub fn pick(of: &[f32], rows: &[usize], width: usize) -> Vec<f32> {
    rows.iter().flat_map(|row| of[row * width..][..width].to_vec()).collect()
}

/// Scatters rows of `width` elements: the inverse of `pick`.
pub fn put(to: &mut [f32], rows: &[usize], width: usize, from: &[f32]) {
    for (n, row) in rows.iter().enumerate() {
        to[row * width..][..width].copy_from_slice(&from[n * width..][..width]);
    }
}
