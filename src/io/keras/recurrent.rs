//! Recurrent layers in one direction or in both.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::super::error::{Result, damaged, unsupported};
use super::super::layout::{Direction, KERAS, Kind};
use super::super::network::Frame;
use super::config::{Config, FORMAT};
use super::weights::{Place, Weights};
use super::{Model, Version, activation};
use crate::model::Layer;
use crate::{Activation, Gru, Lstm, Merge, Pool, Reset, Rnn};

/// The configuration of a recurrent layer.
struct Recurrent {
    kind: Kind,
    units: usize,
    activations: Vec<Activation>,
    bias: bool,
    reset: Reset,
    backwards: bool,
    sequences: bool,
}

fn recurrent(kind: Kind, config: &mut Config<'_>, version: Version) -> Result<Recurrent> {
    let units = config.size("units")?;
    let identity = Activation::Affine { alpha: 1.0, beta: 0.0 };
    let f = activation(config, "activation", version)?.unwrap_or(identity);
    let activations = match kind {
        Kind::Rnn => vec![f],
        _ => vec![activation(config, "recurrent_activation", version)?.unwrap_or(identity), f],
    };
    let this = Recurrent {
        kind,
        units,
        activations,
        bias: config.flag("use_bias")?,
        // Before Keras 2.1 there was only the form that resets before the product.
        reset: match kind == Kind::Gru && !config.flag_or("reset_after", false)? {
            true => Reset::Before,
            false => Reset::After,
        },
        backwards: config.flag("go_backwards")?,
        sequences: config.flag("return_sequences")?,
    };
    config.has_to_be("return_state", false)?;
    config.has_to_be("time_major", false)?;
    // `stateful` is ignored: the first state is zero either way, and the caller decides what to do with the
    // last.
    config.skip(&[
        "stateful",
        "unroll",
        "zero_output_for_mask",
        "dropout",
        "recurrent_dropout",
        "seed",
        "unit_forget_bias",
    ]);
    config.skip(&["implementation", "input_length", "input_dim", "batch_input_shape", "reset_after"]);
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

    /// The number of weights of a direction.
    fn count(&self) -> usize {
        if self.bias { 3 } else { 2 }
    }

    /// Reads the weights of a direction.
    fn weights(&self, from: &mut Weights, place: &Place, input: usize) -> Result<Direction> {
        let rows = self.kind.gates().saturating_mul(self.units);
        let place = from.part(place, "cell", 0);
        let mut take = |index: usize, shape: &[usize]| from.take(&place, index, shape);
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
    pub(super) fn recurrent(
        &mut self,
        kind: Kind,
        mut config: Config<'_>,
        place: &Place,
        name: String,
    ) -> Result<()> {
        let layer_name = config.place.clone();
        let layer = recurrent(kind, &mut config, self.version)?;
        if layer.backwards && layer.sequences {
            // Keras gives these outputs in the order of computation, this crate at the step of each input.
            return unsupported(
                layer_name,
                "goes backwards outside of a Bidirectional, and gives the outputs of all steps",
            );
        }
        let direction = layer.weights(&mut self.weights, place, self.width)?;
        KERAS.append(kind, layer.units, direction, &mut self.network.weights);
        let frame = Frame { depth: 1, merge: None, reverse: layer.backwards, bias: layer.bias };
        self.network.push(&name, layer.layer(self.width, frame));
        self.width = layer.units;
        if !layer.sequences {
            self.pool("", if layer.backwards { Pool::First } else { Pool::Last });
        }
        Ok(())
    }

    pub(super) fn bidirectional(
        &mut self,
        mut config: Config<'_>,
        place: &Place,
        name: String,
    ) -> Result<()> {
        let mode = config.function("merge_mode")?;
        let merge = match mode {
            "concat" => Merge::Concat,
            "sum" | "ave" => Merge::Sum,
            other => {
                return unsupported(
                    config.place,
                    format!(
                        "`merge_mode` is `{other}`: this crate joins directions by \"concat\", \"sum\" and \"ave\""
                    ),
                );
            }
        };
        let mut both = Vec::new();
        // Keras 2 writes the second layer only if it was given.
        let same = !config.has("backward_layer");
        for key in if same { ["layer", "layer"] } else { ["layer", "backward_layer"] } {
            let mut inner = config.inner(key)?;
            let kind = match inner.class {
                "SimpleRNN" => Kind::Rnn,
                "LSTM" => Kind::Lstm,
                "GRU" => Kind::Gru,
                _ => return unsupported(inner.place, "is not a recurrent layer"),
            };
            inner.common()?;
            both.push(recurrent(kind, &mut inner, self.version)?);
        }
        if let (true, [_, backward]) = (same, &mut both[..]) {
            backward.backwards = !backward.backwards;
        }
        let layer_name = config.place.clone();
        config.finish()?;
        let [forward, backward] = &both[..] else {
            return damaged(FORMAT, "a Bidirectional without two layers");
        };
        let alike = forward.kind == backward.kind
            && forward.units == backward.units
            && forward.activations == backward.activations
            && (forward.bias, forward.reset) == (backward.bias, backward.reset);
        if !alike || forward.backwards || !backward.backwards {
            return unsupported(layer_name, "its two layers are not the same in opposite directions");
        }
        if forward.sequences != backward.sequences {
            return unsupported(
                layer_name,
                "gives all outputs of one direction, but only the last output of the other",
            );
        }
        let parts = [(forward, "forward_layer", 0), (backward, "backward_layer", forward.count())];
        for (layer, part, skip) in parts {
            let place = self.weights.part(place, part, skip);
            let direction = layer.weights(&mut self.weights, &place, self.width)?;
            KERAS.append(layer.kind, layer.units, direction, &mut self.network.weights);
        }
        let (units, sequences) = (forward.units, forward.sequences);
        // The last outputs of the directions are at different steps, so they are taken first and added
        // afterwards.
        let within = if sequences { merge } else { Merge::Concat };
        let frame = Frame { depth: 1, merge: Some(within), reverse: false, bias: forward.bias };
        self.network.push(&name, forward.layer(self.width, frame));
        self.width = if within == Merge::Concat { units.saturating_mul(2) } else { units };
        if !sequences {
            self.pool("", Pool::Ends);
            if merge == Merge::Sum {
                let sum = self.network.sum_of_halves(units);
                self.network.push(format!("{name}_sum"), sum);
                self.width = units;
            }
        }
        if mode == "ave" {
            self.network.scale(format!("{name}_mean"), [vec![0.5; units], vec![0.0; units]]);
        }
        Ok(())
    }
}
