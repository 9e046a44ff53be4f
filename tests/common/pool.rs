//! A pool of threads for tests, and batches large enough to be cut.

use std::sync::atomic::{AtomicUsize, Ordering};

use recurrent::{Isa, Join, Masked, Sequences};

/// A pool that claims the given number of threads and starts one for each part. It counts how often a pass
/// was cut.
pub struct Scoped(usize, AtomicUsize);

impl Scoped {
    pub fn new(threads: usize) -> Scoped {
        Scoped(threads, AtomicUsize::new(0))
    }

    pub fn cuts(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }
}

impl Join for Scoped {
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        self.1.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(second);
            first();
        });
    }

    fn threads(&self) -> usize {
        self.0
    }
}

/// Numbers of threads. The last cuts `BATCH` rows into unequal parts.
pub const THREADS: [usize; 4] = [1, 2, 3, 8];
pub const BATCH: usize = 35;

/// The number of steps that makes eight parts worthwhile for a layer with `weights` weights.
pub fn steps(weights: usize) -> usize {
    (8 << 22) / (weights * BATCH) + 1
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
