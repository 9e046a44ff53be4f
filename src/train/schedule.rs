//! Learning rates as pure functions of the number of updates. Call them before each update.

/// A linear warm-up, then half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983) down to `floor`.
///
/// ```text
/// lr = peak (step + 1) / warmup                                                  before `warmup`
/// lr = floor + (peak - floor) (1 + cos(pi (step - warmup) / (total - warmup))) / 2    before `total`
/// lr = floor                                                                     from then on
/// ```
///
/// After the warm-up it is PyTorch's `CosineAnnealingLR` with `T_max = total - warmup`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// The greatest learning rate.
    pub peak: f32,
    /// The last learning rate.
    pub floor: f32,
    /// Number of updates until the greatest learning rate.
    pub warmup: u64,
    /// Number of updates until the last learning rate, including the warm-up.
    pub total: u64,
}

impl Cosine {
    /// From `peak` to 0 in `total` updates, without a warm-up.
    pub const fn new(peak: f32, total: u64) -> Self {
        Cosine { peak, floor: 0.0, warmup: 0, total }
    }

    /// The same with a warm-up, which is counted in the total.
    pub const fn warmup(mut self, warmup: u64) -> Self {
        self.warmup = warmup;
        self
    }

    /// The same, ending at `floor`.
    pub const fn floor(mut self, floor: f32) -> Self {
        self.floor = floor;
        self
    }

    /// The learning rate of the next update after `step` updates.
    ///
    /// ```
    /// use recurrent::train::{Adam, Cosine};
    /// const RATE: Cosine = Cosine::new(1e-3, 100).warmup(10);
    /// assert_eq!(RATE.at(9), 1e-3);
    /// assert!((RATE.at(55) - 0.5e-3).abs() < 1e-9);
    /// assert_eq!(RATE.at(100), 0.0);
    /// let mut adam = Adam::new(0.0);
    /// adam.lr = RATE.at(adam.step); // before each update
    /// assert!((adam.lr - 1e-4).abs() < 1e-9);
    /// ```
    pub fn at(&self, step: u64) -> f32 {
        let (peak, floor) = (f64::from(self.peak), f64::from(self.floor));
        if step < self.warmup {
            return (peak * (step as f64 + 1.0) / self.warmup as f64) as f32;
        }
        if step >= self.total {
            return self.floor;
        }
        let gone = (step - self.warmup) as f64 / (self.total - self.warmup) as f64;
        let cosine = libm::cos(core::f64::consts::PI * gone);
        (floor + (peak - floor) * (1.0 + cosine) / 2.0) as f32
    }
}

/// A linear warm-up, then a learning rate that is multiplied by a factor after every `every` updates, as
/// PyTorch's `StepLR`.
///
/// ```text
/// lr = first (step + 1) / warmup                      before `warmup`
/// lr = first gamma^((step - warmup) / every)          from then on; the division rounds down
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steps {
    /// The first learning rate.
    pub first: f32,
    /// The factor by which the learning rate falls.
    pub gamma: f32,
    /// Number of updates with the same learning rate. With 0 it never falls.
    pub every: u64,
    /// Number of updates until the first learning rate is reached.
    pub warmup: u64,
}

impl Steps {
    /// Starts at `first` and multiplies by `gamma` every `every` updates, without a warm-up.
    pub const fn new(first: f32, gamma: f32, every: u64) -> Self {
        Steps { first, gamma, every, warmup: 0 }
    }

    /// The same after a warm-up.
    pub const fn warmup(mut self, warmup: u64) -> Self {
        self.warmup = warmup;
        self
    }

    /// The learning rate of the next update after `step` updates.
    ///
    /// ```
    /// use recurrent::train::Steps;
    /// const RATE: Steps = Steps::new(0.5, 0.5, 10);
    /// assert_eq!([0, 9, 10, 29].map(|step| RATE.at(step)), [0.5, 0.5, 0.25, 0.125]);
    /// assert_eq!([0, 1, 11, 12].map(|step| RATE.warmup(2).at(step)), [0.25, 0.5, 0.5, 0.25]);
    /// ```
    pub fn at(&self, step: u64) -> f32 {
        if step < self.warmup {
            return (f64::from(self.first) * (step as f64 + 1.0) / self.warmup as f64) as f32;
        }
        let falls = (step - self.warmup).checked_div(self.every).unwrap_or(0);
        (f64::from(self.first) * libm::pow(f64::from(self.gamma), falls as f64)) as f32
    }
}
