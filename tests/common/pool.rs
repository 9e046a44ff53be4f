//! A pool of threads for tests, and batches large enough to be cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use recurrent::{Forward, Isa, Join, Masked, Sequences, WeightSource};

use super::{Kind, Layer};

/// A pool that claims the given number of threads and starts one for each part. It counts how often a pass
/// was cut.
pub struct Scoped {
    threads: usize,
    cuts: AtomicUsize,
    is_quick: bool,
}

impl Scoped {
    pub fn new(threads: usize) -> Scoped {
        Scoped { threads, cuts: AtomicUsize::new(0), is_quick: false }
    }

    /// Claims to be quick, so that the steps of large layers are cut, too.
    pub fn quick(threads: usize) -> Scoped {
        Scoped { is_quick: true, ..Scoped::new(threads) }
    }

    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Join for Scoped {
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(second);
            first();
        });
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn is_quick(&self) -> bool {
        self.is_quick
    }
}

/// Numbers of threads. The last cuts `BATCH` rows into unequal parts.
pub const THREADS: [usize; 4] = [1, 2, 3, 8];
pub const BATCH: usize = 35;

/// The number of steps that makes eight parts worthwhile for a layer with `weights` weights.
pub fn steps(weights: usize) -> usize {
    (8 << 22) / (weights * BATCH) + 1
}

/// A layer of `kind` with 5 inputs whose steps are large enough to cut their units into `parts` parts.
pub fn large(kind: Kind, parts: usize, isa: Isa) -> Layer {
    let layer = |hidden: usize| kind.layer(5, hidden, isa);
    let work = |hidden: usize| kind.gates() * hidden * layer(hidden).width();
    // Not a multiple of any vector.
    let hidden = (101..).step_by(2).find(|hidden| work(*hidden) >= parts * (3 << 16));
    layer(hidden.unwrap_or_default())
}

/// Lists for few rows of three steps.
pub struct FewRows<const B: usize> {
    lengths: [usize; B],
    mask: Vec<bool>,
    resets: Vec<bool>,
}

impl<const B: usize> FewRows<B> {
    pub const STEPS: usize = 3;

    pub fn new() -> Self {
        let all = Self::STEPS * B;
        FewRows {
            lengths: core::array::from_fn(|b| Self::STEPS - b % 2),
            mask: (0..all).map(|i| i % 3 != 1).collect(),
            resets: (0..all).map(|i| i % 4 == 2).collect(),
        }
    }

    pub fn all(&self) -> [(&'static str, Sequences<'_>); 2] {
        let plain = Sequences::new(Self::STEPS, B);
        let lists = plain.lengths(&self.lengths).mask(&self.mask, Masked::Carry).resets(&self.resets);
        [("plain", plain), ("lists", lists)]
    }
}

/// The instruction sets that are fast enough for such batches.
pub fn vectors() -> impl Iterator<Item = Isa> {
    Isa::available().filter(|isa| isa.is_fused() && isa.name() != "fused")
}

/// Lengths, mask and resets, so that rows differ in every way that they can.
pub struct Lists {
    lengths: Vec<usize>,
    mask: Vec<bool>,
    resets: Vec<bool>,
}

impl Lists {
    pub fn new(steps: usize) -> Lists {
        Lists {
            lengths: (0..BATCH).map(|b| if b == 5 { 0 } else { steps - b * 7 % (steps / 4 + 1) }).collect(),
            mask: (0..steps * BATCH).map(|i| i * 7 % 11 > 2).collect(),
            resets: (0..steps * BATCH).map(|i| i * 5 % 13 == 0).collect(),
        }
    }

    pub fn all<'a>(&'a self, steps: usize) -> [(&'static str, Sequences<'a>); 5] {
        let plain = Sequences::new(steps, BATCH);
        [
            ("plain", plain),
            ("batch-major", plain.batch_major()),
            ("lengths", plain.lengths(&self.lengths)),
            ("mask", plain.batch_major().mask(&self.mask, Masked::Carry)),
            ("everything", plain.lengths(&self.lengths).mask(&self.mask, Masked::Zero).resets(&self.resets)),
        ]
    }
}

/// Runs a layer, on a pool if there is one, and returns its outputs and last states.
pub fn forward<'w>(
    join: Option<&dyn Join>,
    layer: Layer,
    weights: impl Into<WeightSource<'w>>,
    sequences: Sequences<'_>,
    x: &[f32],
    state: &[f32],
) -> [Vec<f32>; 2] {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (mut y, mut state) = (vec![f32::NAN; steps * batch * layer.width()], state.to_vec());
    let len = join
        .map_or(layer.scratch_len(steps, batch), |join| layer.scratch_len_with(join.threads(), steps, batch));
    let mut scratch = vec![f32::NAN; len];
    let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
    match join {
        None => layer.forward(weights, args),
        Some(join) => layer.forward_with(join, weights, args),
    }
    .unwrap();
    [y, state]
}
