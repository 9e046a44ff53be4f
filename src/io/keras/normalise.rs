//! Normalisations with constants, which are a scale and a shift for each feature.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::Model;
use super::config::Config;
use super::weights::Place;
use crate::Scale;

impl Model {
    /// A scale and a shift for each feature.
    pub(super) fn scale(
        &mut self,
        place: &str,
        name: String,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Result<()> {
        if self.width == 0 {
            return unsupported(place, "takes an input whose features the file does not say");
        }
        self.network.weights.extend(scale);
        self.network.weights.extend(shift);
        self.network.push(name, Scale::new(self.width));
        Ok(())
    }

    /// Refuses a normalisation along another axis than the features.
    fn last_axis(&self, config: &mut Config<'_>) -> Result<()> {
        let last = if self.pooled { 1 } else { 2 };
        match config.axis()? {
            -1 => Ok(()),
            axis if axis == last => Ok(()),
            axis => {
                unsupported(&config.place, format!("normalises along axis {axis}, not along the features"))
            }
        }
    }

    /// What batch normalisation does once it is trained: a scale and a shift.
    pub(super) fn batch_normalisation(
        &mut self,
        mut config: Config<'_>,
        place: &Place,
        name: String,
    ) -> Result<()> {
        self.last_axis(&mut config)?;
        let epsilon = config.number("epsilon")?;
        let (has_scale, has_shift) = (config.flag("scale")?, config.flag("center")?);
        config.has_to_be("renorm", false)?;
        config.skip(&["momentum", "synchronized", "fused", "virtual_batch_size", "quantization_config"]);
        config.skip(&["renorm_clipping", "renorm_momentum"]);
        config.skip_training(&["gamma", "beta", "moving_mean", "moving_variance"]);
        config.finish()?;
        let (width, mut index) = (self.width, 0);
        let mut take = |is_there: bool, otherwise: f32| -> Result<Vec<f32>> {
            match is_there {
                true => {
                    index += 1;
                    self.weights.take(place, index - 1, &[width])
                }
                false => Ok(vec![otherwise; width]),
            }
        };
        let (gamma, beta) = (take(has_scale, 1.0)?, take(has_shift, 0.0)?);
        let (mean, variance) = (take(true, 0.0)?, take(true, 1.0)?);
        let by = |j: usize| f64::from(gamma[j]) / libm::sqrt(f64::from(variance[j]) + epsilon);
        let scale = (0..width).map(|j| by(j) as f32).collect();
        let shift = (0..width).map(|j| (f64::from(beta[j]) - f64::from(mean[j]) * by(j)) as f32).collect();
        self.scale(&config.place, name, scale, shift)
    }

    /// A mean and a variance that were adapted to a data set.
    pub(super) fn normalisation(
        &mut self,
        mut config: Config<'_>,
        place: &Place,
        name: String,
    ) -> Result<()> {
        self.last_axis(&mut config)?;
        if config.flag_or("invert", false)? || config.given("mean") || config.given("variance") {
            return unsupported(config.place, "is inverted, or has constants in its configuration");
        }
        config.skip(&["mean", "variance"]);
        config.finish()?;
        let (mean, variance) =
            (self.weights.take(place, 0, &[self.width])?, self.weights.take(place, 1, &[self.width])?);
        // Keras keeps the deviation above this.
        let by = |j: usize| 1.0 / libm::sqrt(f64::from(variance[j])).max(1e-7);
        let scale = (0..self.width).map(|j| by(j) as f32).collect();
        let shift = (0..self.width).map(|j| (-f64::from(mean[j]) * by(j)) as f32).collect();
        self.scale(&config.place, name, scale, shift)
    }
}
