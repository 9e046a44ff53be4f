//! Models of Keras 2 and 3: archives (`.keras`), which are zip files with the configuration in JSON and the
//! weights in HDF5, and HDF5 files with both (`.h5`).
//!
//! The layers have to form a chain. Masks, states and dropout have no weights. The whole configuration is
//! checked: a key is rejected unless it is read here or known to have no effect on the output.

mod archive;
mod config;
mod normalise;
mod recurrent;
mod weights;

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::error::{Result, damaged, unsupported};
use super::layout::{Kind, transpose};
use super::network::{Builder, Network};
use super::note::{Ending, Note};
use crate::model::{InputMask, Layer};
use crate::{Activation, Dense, Embedding, Pool};
use archive::Version;
use config::Config;
use weights::{Place, Weights};

/// Reads the model of a file.
pub(super) fn read(bytes: &[u8]) -> Result<Network> {
    let archive::Archive { config, version, weights } = archive::open(bytes)?;
    let mut model = Model {
        weights,
        version,
        counts: BTreeMap::new(),
        network: Builder::default(),
        width: 0,
        pooled: false,
    };
    for layer in config::layers(&config)? {
        model.layer(layer)?;
    }
    model.network.finish()
}

/// A model that is being read.
struct Model {
    weights: Weights,
    version: Version,
    /// The number of layers of each class so far. The groups of the weights are named by it.
    counts: BTreeMap<String, usize>,
    network: Builder,
    /// The current number of features; 0 until a layer specifies it.
    width: usize,
    /// Whether the steps have been reduced to one row for each sequence.
    pooled: bool,
}

/// Converts `SimpleRNN` to `simple_rnn`, which is how the groups of the weights are named.
fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut name = String::new();
    for (i, &c) in letters.iter().enumerate() {
        let after_small = i > 0 && !letters[i - 1].is_ascii_uppercase();
        let before_small = i > 0 && letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_small || before_small) {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The function that a layer applies to its sums.
enum Function {
    Cell(Activation),
    Ending(Ending),
    Identity,
}

/// The activation of a cell; `None` for the identity.
fn activation(config: &mut Config<'_>, key: &str, version: Version) -> Result<Option<Activation>> {
    match function(config, key, version)? {
        Function::Cell(f) => Ok(Some(f)),
        Function::Identity => Ok(None),
        Function::Ending(_) => unsupported(
            format!("`{key}` of {}", config.place),
            "a softmax is not supported as a function of a cell",
        ),
    }
}

fn function(config: &mut Config<'_>, key: &str, version: Version) -> Result<Function> {
    Ok(Function::Cell(match config.function(key)? {
        "linear" => return Ok(Function::Identity),
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "elu" => Activation::Elu { alpha: 1.0 },
        // Keras 3 divides by 6; Keras 2 and ONNX multiply by 0.2.
        "hard_sigmoid" if version.0 < 3 => Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        "hard_sigmoid" => Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        "softmax" => return Ok(Function::Ending(Ending::Softmax)),
        "log_softmax" => return Ok(Function::Ending(Ending::LogSoftmax)),
        other => {
            return unsupported(
                format!("`{key}` of {}", config.place),
                format!("`{other}` is a function that this crate does not have"),
            );
        }
    }))
}

/// The reason why layers of a class are rejected.
fn missing(class: &str) -> &'static str {
    match class {
        "LayerNormalization" | "UnitNormalization" | "GroupNormalization" => {
            "normalises each row by itself, which no layer of this crate does"
        }
        "Lambda" => "runs Python code, which is not read: use layers of Keras",
        "CuDNNLSTM" | "CuDNNGRU" => {
            "is of another layout: load it with Keras 2, and save it as an LSTM or GRU"
        }
        "RepeatVector" => "repeats a row as the steps of a sequence, which no layer of this crate does",
        "Attention" | "AdditiveAttention" | "MultiHeadAttention" | "GroupQueryAttention" => {
            "is attention in a graph, which is not read: only chains of layers are"
        }
        "Concatenate" | "Add" | "Multiply" | "Average" | "Maximum" | "Subtract" | "Dot" => {
            "joins branches of a graph, which is not read: only chains of layers are"
        }
        "ConvLSTM1D" | "ConvLSTM2D" | "ConvLSTM3D" => {
            "is a convolutional LSTM, which this crate does not have"
        }
        "Sequential" | "Functional" | "Model" => {
            "is a model inside a model, which is not supported: build one model of all their layers"
        }
        "Flatten" => "joins all steps to one row, which no layer of this crate does",
        "Reshape" | "Permute" | "Cropping1D" | "ZeroPadding1D" | "UpSampling1D" => {
            "moves values between steps and features, which no layer of this crate does"
        }
        "PReLU" => "is an activation with weights, which this crate does not have",
        "RNN" | "StackedRNNCells" => "runs custom cells: use an LSTM, GRU or SimpleRNN layer",
        _ if class.contains("Conv") => "is a convolution, which this crate does not have",
        _ if class.contains("Pooling") => "pools over windows: only pooling over all steps is supported",
        _ => "this crate has no such layer",
    }
}

impl Model {
    fn layer(&mut self, mut config: Config<'_>) -> Result<()> {
        let class = config.class.to_string();
        let name = config.name()?;
        let place = self.place(&class, &name)?;
        if self.network.ending != Ending::None && !matches!(&class[..], "Dropout" | "Flatten") {
            return unsupported(
                config.place,
                "follows a softmax, which this crate has only after the last layer",
            );
        }
        if class != "InputLayer" && config.has("batch_input_shape") && self.width == 0 {
            self.input(&mut config, "batch_input_shape")?;
        }
        config.common()?;
        match &class[..] {
            "InputLayer" => {
                config.skip(&["sparse", "ragged", "optional"]);
                let key = if config.has("batch_shape") { "batch_shape" } else { "batch_input_shape" };
                self.input(&mut config, key)?;
                config.finish()
            }
            "Embedding" => {
                let (classes, width) = (config.size("input_dim")?, config.size("output_dim")?);
                if config.flag_or("mask_zero", false)? {
                    self.network.mask = Some(InputMask::Id(0));
                }
                config.skip(&["quantization_config", "input_length", "lora_rank", "lora_alpha"]);
                config.skip_training(&["embeddings", "activity"]);
                config.finish()?;
                let table = self.weights.take(&place, 0, &[classes, width])?;
                self.network.weights.extend(table);
                self.network.push(name, Embedding::new(classes, width));
                self.width = width;
                Ok(())
            }
            "SimpleRNN" => self.recurrent(Kind::Rnn, config, &place, name),
            "LSTM" => self.recurrent(Kind::Lstm, config, &place, name),
            "GRU" => self.recurrent(Kind::Gru, config, &place, name),
            "Bidirectional" => self.bidirectional(config, &place, name),
            "Dense" => self.dense(config, &place, name),
            "TimeDistributed" => {
                let mut inner = config.inner("layer")?;
                config.finish()?;
                inner.common()?;
                match inner.class {
                    _ if self.pooled => {
                        unsupported(inner.place, "needs a sequence, but its input has no steps")
                    }
                    "Dense" => self.dense(inner, &self.weights.part(&place, "layer", 0), name),
                    "Dropout" | "ReLU" | "LeakyReLU" | "ELU" | "ThresholdedReLU" | "Softmax"
                    | "Activation" => self.plain(inner, name),
                    _ => unsupported(inner.place, "is a layer that this crate cannot run over steps"),
                }
            }
            "SpatialDropout1D" | "GaussianNoise" | "GaussianDropout" | "ActivityRegularization" => {
                let what = format!("{}, which only has an effect in training", config.place);
                self.network.notes.push(Note::LeftOut(what));
                Ok(())
            }
            // One row for each sequence is already flat.
            "Flatten" if self.pooled => Ok(()),
            "Dropout" | "ReLU" | "LeakyReLU" | "ELU" | "ThresholdedReLU" | "Softmax" | "Activation" => {
                self.plain(config, name)
            }
            "BatchNormalization" => self.batch_normalisation(config, &place, name),
            "Normalization" => self.normalisation(config, &place, name),
            "Rescaling" => {
                let (scale, offset) = (config.number("scale")?, config.number("offset")?);
                config.finish()?;
                let parts = [scale, offset].map(|x| vec![x as f32; self.width]);
                self.scale(&config.place, name, parts)
            }
            "Masking" => {
                let value = config.number("mask_value")? as f32;
                config.finish()?;
                if !self.network.is_empty() {
                    return unsupported(
                        config.place,
                        "masks the output of a layer: only the input can be masked",
                    );
                }
                if value.is_nan() {
                    return unsupported(config.place, "has the mask value NaN, which equals no input");
                }
                self.network.mask = Some(InputMask::Value(value));
                Ok(())
            }
            "GlobalAveragePooling1D" | "GlobalMaxPooling1D" | "GlobalMaxPool1D" | "GlobalAvgPool1D" => {
                config.has_to_be("keepdims", false)?;
                if config.function("data_format")? != "channels_last" {
                    return unsupported(config.place, "its features are not the last axis");
                }
                config.finish()?;
                if class.contains("Max") && self.network.mask.is_some() {
                    return unsupported(
                        config.place,
                        "would include masked steps, which this crate's pools leave out",
                    );
                }
                self.pool(name, if class.contains("Max") { Pool::Max } else { Pool::Mean });
                Ok(())
            }
            _ => unsupported(config.place, missing(&class)),
        }
    }

    /// A layer that treats each element, or each row, in the same way.
    fn plain(&mut self, mut config: Config<'_>, name: String) -> Result<()> {
        match config.class {
            "Dropout" => {
                config.skip(&["seed", "noise_shape"]);
                let rate = config.number("rate")?;
                config.finish()?;
                self.network.push(name, Layer::Dropout(rate as f32));
                Ok(())
            }
            "ReLU" => {
                let mut number = |key| if config.has(key) { config.number(key) } else { Ok(0.0) };
                let (slope, threshold) = (number("negative_slope")?, number("threshold")?);
                let limited = config.has("max_value") && config.number("max_value").is_ok();
                config.skip(&["max_value"]);
                config.finish()?;
                if limited || slope != 0.0 && threshold != 0.0 {
                    let why =
                        "has a `max_value`, or a `threshold` with a `negative_slope`, which is not supported";
                    return unsupported(config.place, why);
                }
                let f = match (slope, threshold) {
                    (0.0, 0.0) => Activation::Relu,
                    (0.0, threshold) => Activation::ThresholdedRelu { alpha: threshold as f32 },
                    (slope, _) => Activation::LeakyRelu { alpha: slope as f32 },
                };
                self.function(Function::Cell(f), &config.place)
            }
            "LeakyReLU" => {
                // Keras 2 has another name for the key.
                let key = if config.has("negative_slope") { "negative_slope" } else { "alpha" };
                let alpha = config.float(key)?;
                config.finish()?;
                self.function(Function::Cell(Activation::LeakyRelu { alpha }), &config.place)
            }
            "ELU" => {
                let alpha = config.float("alpha")?;
                config.finish()?;
                self.function(Function::Cell(Activation::Elu { alpha }), &config.place)
            }
            "ThresholdedReLU" => {
                let alpha = config.float("theta")?;
                config.finish()?;
                self.function(Function::Cell(Activation::ThresholdedRelu { alpha }), &config.place)
            }
            "Softmax" => {
                let axis = config.number("axis")?;
                config.finish()?;
                match axis == -1.0 {
                    true => self.function(Function::Ending(Ending::Softmax), &config.place),
                    false => unsupported(config.place, "works on an axis other than the features"),
                }
            }
            _ => {
                let f = function(&mut config, "activation", self.version)?;
                config.finish()?;
                self.function(f, &config.place)
            }
        }
    }

    /// Reads the shape of the input.
    fn input(&mut self, config: &mut Config<'_>, key: &str) -> Result<()> {
        match config.shape(key)?[..] {
            // The input is ids.
            [_, _] => Ok(()),
            [_, _, Some(width)] if width > self.weights.most() => damaged(
                config::FORMAT,
                format!("{}: {width} features are more than the weights", config.place),
            ),
            [_, _, Some(width)] => {
                self.width = width;
                Ok(())
            }
            _ => unsupported(&config.place, "its input must have batch, steps and features"),
        }
    }

    /// The place of a layer's weights.
    fn place(&mut self, class: &str, name: &str) -> Result<Place> {
        let class = snake_case(class);
        let count = self.counts.entry(class.clone()).or_default();
        let group = if *count == 0 { class } else { format!("{class}_{count}") };
        *count += 1;
        self.weights.place(&group, name)
    }

    fn pool(&mut self, name: impl ToString, pool: Pool) {
        self.network.push(name, Layer::Pool(pool));
        self.pooled = true;
    }

    /// Adds the function that follows a layer's sums.
    fn function(&mut self, f: Function, place: &str) -> Result<()> {
        match f {
            Function::Identity => {}
            Function::Ending(ending) => self.network.ending = ending,
            Function::Cell(_) if self.network.is_empty() => {
                return unsupported(place, "is an activation before the first layer, which is not supported");
            }
            Function::Cell(f) => self.network.activate(f),
        }
        Ok(())
    }

    fn dense(&mut self, mut config: Config<'_>, place: &Place, name: String) -> Result<()> {
        let units = config.size("units")?;
        let bias = config.flag("use_bias")?;
        if self.width == 0 {
            return unsupported(
                config.place,
                "takes an input without steps: a model here takes batch, steps and features, or ids",
            );
        }
        let f = function(&mut config, "activation", self.version)?;
        config.skip(&["quantization_config", "lora_rank", "lora_alpha", "input_dim"]);
        config.skip_training(&["kernel", "bias", "activity"]);
        config.finish()?;
        let w = self.weights.take(place, 0, &[self.width, units])?;
        let b = if bias { self.weights.take(place, 1, &[units])? } else { vec![0.0; units] };
        self.network.weights.extend(transpose(&w, units));
        self.network.weights.extend(b);
        self.network.push(name, Dense::new(self.width, units));
        self.width = units;
        self.function(f, &config.place)
    }
}
