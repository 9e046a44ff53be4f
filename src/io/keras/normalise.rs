//! Normalisations with constants, which become a scale and a shift for each feature.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::super::layout::normalisation;
use super::Model;
use super::config::Config;
use super::weights::Place;

impl Model {
    /// Adds a scale and a shift for each feature.
    pub(super) fn scale(&mut self, place: &str, name: String, parts: [Vec<f32>; 2]) -> Result<()> {
        if self.width == 0 {
            return unsupported(place, "has an input whose number of features is not in the file");
        }
        self.network.scale(name, parts);
        Ok(())
    }

    /// Rejects a normalisation along an axis other than the features.
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

    /// Reads a trained batch normalisation, which is a scale and a shift.
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
        let first = usize::from(has_scale) + usize::from(has_shift);
        // Mean and variance always exist; their lengths bound those of the others.
        let [mean, variance] = [first, first + 1].map(|index| self.weights.take(place, index, &[self.width]));
        let (mean, variance) = (mean?, variance?);
        let mut given = |is_there: bool, index: usize, otherwise: f32| match is_there {
            true => self.weights.take(place, index, &[self.width]),
            false => Ok(vec![otherwise; self.width]),
        };
        let gamma = given(has_scale, 0, 1.0)?;
        let beta = given(has_shift, usize::from(has_scale), 0.0)?;
        let parts = normalisation([&gamma, &beta, &mean, &variance], |v| libm::sqrt(v + epsilon));
        self.scale(&config.place, name, parts)
    }

    /// Reads a normalisation whose mean and variance were adapted to a data set.
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
        let (ones, zeros) = (vec![1.0; self.width], vec![0.0; self.width]);
        // Keras uses at least this deviation.
        let parts = normalisation([&ones, &zeros, &mean, &variance], |v| libm::sqrt(v).max(1e-7));
        self.scale(&config.place, name, parts)
    }
}
