//! How good the outputs of a model are: the loss, and measures that are easier to interpret.

/// Means over the targets of one batch or of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// How many targets counted.
    pub targets: usize,
    /// The mean loss; 0 if no target counts.
    pub loss: f32,
    /// For classes: the fraction of targets with the greatest logit. Row weights count, class weights do not.
    pub accuracy: Option<f32>,
    /// For classes: the exponential of the mean negative log-likelihood, without label smoothing and without
    /// class weights.
    pub perplexity: Option<f32>,
}

/// Sums of measures, each multiplied by its weight.
#[derive(Default)]
pub(super) struct Sums {
    targets: usize,
    loss: f64,
    weight: f64,
    accuracy: f64,
    likelihood: f64,
    /// Total weight of accuracy and negative log-likelihood.
    plain: f64,
    classes: bool,
}

impl Sums {
    /// Adds a batch: its mean loss, and for classes accuracy, negative log-likelihood and their weight.
    pub(super) fn add(&mut self, targets: usize, loss: f64, weight: f64, of_classes: Option<[f64; 3]>) {
        self.targets += targets;
        // The mean over no targets may be NaN.
        if weight > 0.0 {
            self.loss += loss * weight;
            self.weight += weight;
        }
        if let Some([accuracy, likelihood, weight]) = of_classes {
            self.accuracy += accuracy * weight;
            self.likelihood += likelihood * weight;
            self.plain += weight;
            self.classes = true;
        }
    }

    pub(super) fn means(&self) -> Measures {
        let mean = |sum: f64, weight: f64| if weight > 0.0 { sum / weight } else { 0.0 };
        let of_classes = |value: f64| self.classes.then_some(value as f32);
        Measures {
            targets: self.targets,
            loss: mean(self.loss, self.weight) as f32,
            accuracy: of_classes(mean(self.accuracy, self.plain)),
            perplexity: of_classes(libm::exp(mean(self.likelihood, self.plain))),
        }
    }
}
