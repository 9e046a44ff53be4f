//! Keras v3 archives: a zip file with the configuration in JSON and the weights in HDF5.
//!
//! The layers are a chain. Masks, states and dropout are no weights, and no part of the configuration is left unread: a key that is not
//! known to be without effect on the output is refused.

mod archive;
mod config;

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::error::{Result, SOFTMAX, damaged, unsupported};
use super::layout::{Direction, KERAS, Kind, transpose};
use super::network::{Builder, Frame, Network};
use crate::model::Layer;
use crate::{Activation, Dense, Embedding, Gru, Lstm, Merge, Pool, Reset, Rnn};
use archive::Weights;
use config::{Config, FORMAT};

/// The model of an archive.
pub(super) fn read(bytes: &[u8]) -> Result<Network> {
    let archive::Archive { config, weights } = archive::open(bytes)?;
    let mut model =
        Model { weights, counts: BTreeMap::new(), network: Builder::default(), width: 0, pooled: false };
    for layer in config::layers(&config)? {
        model.layer(layer)?;
    }
    model.network.finish()
}

/// A model on its way.
struct Model {
    weights: Weights,
    /// Layers of each class so far, which name the groups of the weights.
    counts: BTreeMap<String, usize>,
    network: Builder,
    /// Features so far; 0 before the first layer that says them.
    width: usize,
    /// Whether there is one row for each sequence.
    pooled: bool,
}

/// What a recurrent layer's configuration says.
struct Recurrent {
    kind: Kind,
    units: usize,
    activations: Vec<Activation>,
    bias: bool,
    reset: Reset,
    backwards: bool,
    sequences: bool,
}

/// `SimpleRNN` becomes `simple_rnn`, as the groups of the weights are named.
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

fn activation(config: &mut Config<'_>, key: &str) -> Result<Option<Activation>> {
    Ok(Some(match config.text(key)? {
        "linear" => return Ok(None),
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "elu" => Activation::Elu { alpha: 1.0 },
        // Keras 3 divides by 6, where Keras 2 and ONNX have 0.2.
        "hard_sigmoid" => Activation::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 },
        "softmax" => return unsupported(&config.place, SOFTMAX),
        other => {
            return unsupported(format!("`{key}` of {}", config.place), format!("`{other}` is not known"));
        }
    }))
}

fn recurrent(kind: Kind, config: &mut Config<'_>) -> Result<Recurrent> {
    let units = config.size("units")?;
    let identity = Activation::Affine { alpha: 1.0, beta: 0.0 };
    let f = activation(config, "activation")?.unwrap_or(identity);
    let activations = match kind {
        Kind::Rnn => vec![f],
        _ => vec![activation(config, "recurrent_activation")?.unwrap_or(identity), f],
    };
    let this = Recurrent {
        kind,
        units,
        activations,
        bias: config.flag("use_bias")?,
        reset: match kind == Kind::Gru && !config.flag("reset_after")? {
            true => Reset::Before,
            false => Reset::After,
        },
        backwards: config.flag("go_backwards")?,
        sequences: config.flag("return_sequences")?,
    };
    config.has_to_be("return_state", false)?;
    // The state of the first sequence is zero either way, and what becomes of the last is the caller's business.
    config.skip(&[
        "stateful",
        "unroll",
        "zero_output_for_mask",
        "dropout",
        "recurrent_dropout",
        "seed",
        "unit_forget_bias",
    ]);
    config.skip(&["implementation", "time_major"]);
    config.skip_training(&["kernel", "recurrent", "bias", "activity"]);
    config.finish()?;
    Ok(this)
}

impl Recurrent {
    fn layer(&self, input: usize, frame: Frame) -> Layer {
        let f = &self.activations;
        match self.kind {
            Kind::Rnn => Layer::Rnn(frame.stack(Rnn::new(input, self.units).activation(f[0]))),
            Kind::Lstm => {
                let layer = Lstm::new(input, self.units);
                let standard = f[..] == [Activation::Sigmoid, Activation::Tanh];
                Layer::Lstm(frame.stack(if standard { layer } else { layer.activations(f[0], f[1], f[1]) }))
            }
            Kind::Gru => {
                let layer = Gru::new(input, self.units).reset(self.reset);
                let standard = f[..] == [Activation::Sigmoid, Activation::Tanh];
                Layer::Gru(frame.stack(if standard { layer } else { layer.activations(f[0], f[1]) }))
            }
        }
    }

    /// Reads the weights of a direction from a group.
    fn weights(&self, from: &mut Weights, group: &str, input: usize) -> Result<Direction> {
        let rows = self.kind.gates().saturating_mul(self.units);
        let mut take =
            |index: usize, shape: &[usize]| from.take(&format!("{group}/cell/vars/{index}"), shape);
        let (w_ih, w_hh) = (take(0, &[input, rows])?, take(1, &[self.units, rows])?);
        let bias = match (self.bias, self.kind == Kind::Gru && self.reset == Reset::After) {
            (false, _) => None,
            (true, false) => Some((take(2, &[rows])?, None)),
            (true, true) => {
                let mut both = take(2, &[2, rows])?;
                let second = both.split_off(rows);
                Some((both, Some(second)))
            }
        };
        Ok(Direction { w_ih, w_hh, bias, ..Direction::default() })
    }
}

impl Model {
    fn layer(&mut self, mut config: Config<'_>) -> Result<()> {
        let class = config.class.to_string();
        let name = config.name()?;
        let group = self.group(&class, &name)?;
        config.common()?;
        match &class[..] {
            "InputLayer" => {
                config.skip(&["sparse", "ragged", "optional"]);
                let shape = config.shape("batch_shape")?;
                config.finish()?;
                match shape[..] {
                    // Ids.
                    [_, _] => {}
                    [_, _, Some(width)] => self.width = width,
                    _ => {
                        return unsupported(
                            format!("the input `{name}`"),
                            "is not of batch, steps and features",
                        );
                    }
                }
                Ok(())
            }
            "Embedding" => {
                let (classes, width) = (config.size("input_dim")?, config.size("output_dim")?);
                config.has_to_be("mask_zero", false)?;
                config.skip(&["quantization_config", "input_length", "lora_rank"]);
                config.skip_training(&["embeddings", "activity"]);
                config.finish()?;
                let table = self.weights.take(&format!("{group}/vars/0"), &[classes, width])?;
                self.network.weights.extend(table);
                self.network.push(name, Embedding::new(classes, width));
                self.width = width;
                Ok(())
            }
            "SimpleRNN" => self.recurrent(Kind::Rnn, config, &group, name),
            "LSTM" => self.recurrent(Kind::Lstm, config, &group, name),
            "GRU" => self.recurrent(Kind::Gru, config, &group, name),
            "Bidirectional" => self.bidirectional(config, &group, name),
            "Dense" => self.dense(config, &group, name),
            "TimeDistributed" => {
                let mut inner = config.inner("layer")?;
                config.finish()?;
                if inner.class != "Dense" || self.pooled {
                    return unsupported(inner.place, "is not a dense layer over steps");
                }
                inner.common()?;
                self.dense(inner, &format!("{group}/layer"), name)
            }
            "Dropout" => {
                config.skip(&["seed", "noise_shape"]);
                let rate = config.number("rate")?;
                config.finish()?;
                self.network.push(name, Layer::Dropout(rate as f32));
                Ok(())
            }
            "Activation" => {
                let f = activation(&mut config, "activation")?;
                let place = config.place.clone();
                config.finish()?;
                match (self.network.last(), f) {
                    (_, None) => {}
                    (Some(Layer::Dense(dense)), Some(_)) if dense.activation().is_none() => {
                        *dense = with_activation(*dense, f, &place)?;
                    }
                    _ => {
                        return unsupported(place, "an activation has to follow a dense layer that has none");
                    }
                }
                Ok(())
            }
            "GlobalAveragePooling1D" | "GlobalMaxPooling1D" => {
                config.has_to_be("keepdims", false)?;
                if config.text("data_format")? != "channels_last" {
                    return unsupported(config.place, "its features are not the last axis");
                }
                config.finish()?;
                let pool = if class == "GlobalMaxPooling1D" { Pool::Max } else { Pool::Mean };
                self.pool(name, pool);
                Ok(())
            }
            _ => unsupported(config.place, "this crate has no such layer"),
        }
    }

    /// The group of a layer's weights, which has to be the one that says its name.
    fn group(&mut self, class: &str, name: &str) -> Result<String> {
        let class = snake_case(class);
        let count = self.counts.entry(class.clone()).or_default();
        let group = if *count == 0 { format!("layers/{class}") } else { format!("layers/{class}_{count}") };
        *count += 1;
        match self.weights.name(&group)? {
            Some(other) if other != name => {
                damaged(FORMAT, format!("the weights in `{group}` are those of `{other}`, not of `{name}`"))
            }
            _ => Ok(group),
        }
    }

    fn pool(&mut self, name: impl ToString, pool: Pool) {
        self.network.push(name, Layer::Pool(pool));
        self.pooled = true;
    }

    fn recurrent(&mut self, kind: Kind, mut config: Config<'_>, group: &str, name: String) -> Result<()> {
        let place = config.place.clone();
        let layer = recurrent(kind, &mut config)?;
        if layer.backwards {
            // Its outputs come in the order in which they are computed, and its last state is that of the first step.
            return unsupported(place, "goes backwards outside of a Bidirectional");
        }
        let direction = layer.weights(&mut self.weights, group, self.width)?;
        KERAS.append(kind, layer.units, direction, &mut self.network.weights);
        let frame = Frame { depth: 1, merge: None, reverse: false, bias: layer.bias };
        self.network.push(&name, layer.layer(self.width, frame));
        self.width = layer.units;
        if !layer.sequences {
            self.pool("", Pool::Last);
        }
        Ok(())
    }

    fn bidirectional(&mut self, mut config: Config<'_>, group: &str, name: String) -> Result<()> {
        let merge = match config.text("merge_mode")? {
            "concat" => Merge::Concat,
            "sum" => Merge::Sum,
            other => return unsupported(config.place, format!("there is no merge mode `{other}`")),
        };
        let mut both = Vec::new();
        for key in ["layer", "backward_layer"] {
            let mut inner = config.inner(key)?;
            let kind = match inner.class {
                "SimpleRNN" => Kind::Rnn,
                "LSTM" => Kind::Lstm,
                "GRU" => Kind::Gru,
                _ => return unsupported(inner.place, "is not a recurrent layer"),
            };
            inner.common()?;
            both.push(recurrent(kind, &mut inner)?);
        }
        let place = config.place.clone();
        config.finish()?;
        let [forward, backward] = &both[..] else {
            return damaged(FORMAT, "a Bidirectional without two layers");
        };
        let same = forward.kind == backward.kind
            && forward.units == backward.units
            && forward.activations == backward.activations
            && (forward.bias, forward.reset) == (backward.bias, backward.reset);
        if !same || forward.backwards || !backward.backwards {
            return unsupported(place, "its two layers are not the same in opposite directions");
        }
        if !forward.sequences || !backward.sequences {
            return unsupported(
                place,
                "gives the last outputs of both directions, which stand at different steps",
            );
        }
        for (layer, part) in [(forward, "forward_layer"), (backward, "backward_layer")] {
            let direction = layer.weights(&mut self.weights, &format!("{group}/{part}"), self.width)?;
            KERAS.append(layer.kind, layer.units, direction, &mut self.network.weights);
        }
        let frame = Frame { depth: 1, merge: Some(merge), reverse: false, bias: forward.bias };
        self.network.push(name, forward.layer(self.width, frame));
        self.width = if merge == Merge::Concat { forward.units.saturating_mul(2) } else { forward.units };
        Ok(())
    }

    fn dense(&mut self, mut config: Config<'_>, group: &str, name: String) -> Result<()> {
        let units = config.size("units")?;
        let bias = config.flag("use_bias")?;
        let f = activation(&mut config, "activation")?;
        config.skip(&["quantization_config", "lora_rank", "lora_alpha"]);
        config.skip_training(&["kernel", "bias", "activity"]);
        let place = config.place.clone();
        config.finish()?;
        let w = self.weights.take(&format!("{group}/vars/0"), &[self.width, units])?;
        let b =
            if bias { self.weights.take(&format!("{group}/vars/1"), &[units])? } else { vec![0.0; units] };
        let dense = with_activation(Dense::new(self.width, units), f, &place)?;
        self.network.weights.extend(transpose(&w, units));
        self.network.weights.extend(b);
        self.network.push(name, dense);
        self.width = units;
        Ok(())
    }
}

fn with_activation(dense: Dense, f: Option<Activation>, place: &str) -> Result<Dense> {
    Ok(match f {
        None => dense,
        Some(Activation::Tanh) => dense.tanh(),
        Some(Activation::Relu) => dense.relu(),
        Some(Activation::Sigmoid) => dense.sigmoid(),
        Some(other) => {
            return unsupported(place, format!("dense layers do not have the activation {other:?}"));
        }
    })
}
