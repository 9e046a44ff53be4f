//! What a model's outputs are worth: the loss, and what says more to people.

/// Means over the targets of one batch or of several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// How many targets counted.
    pub targets: usize,
    /// The mean loss; 0 if no target counts.
    pub loss: f32,
    /// Of classes: the part that had the greatest logit. Rows count by their weights, not by those of
    /// classes.
    pub accuracy: Option<f32>,
    /// Of classes: the exponential of the mean negative log-likelihood, without smoothing and without weights
    /// of classes.
    pub perplexity: Option<f32>,
}

/// Sums of measures, each times its weight.
#[derive(Default)]
pub(super) struct Sums {
    targets: usize,
    loss: f64,
    weight: f64,
    accuracy: f64,
    likelihood: f64,
    /// The weight of the last two.
    plain: f64,
    classes: bool,
}

impl Sums {
    /// Adds a batch with its mean loss, and for classes accuracy, negative log-likelihood, and their weight.
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
