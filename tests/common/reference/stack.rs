//! Layers on top of each other, each in one direction or both.

use super::{Options, Output, Walk, forward};

/// How the outputs of the two directions are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// For each row, the forward output and then the reverse output.
    Concat,
    Sum,
}

/// Layers of the same kind. The first layer has the input of `options`; the input of the others is the output
/// of the layer below.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    pub options: Options,
    pub layers: usize,
    /// How to merge both directions; `None` for a single direction, that of the walk.
    pub both: Option<Merge>,
    /// Factors of the values between layers: for each layer but the last, in the shape of its `y`.
    pub dropout: Option<&'a [f64]>,
}

impl Stack<'_> {
    pub fn directions(&self) -> usize {
        if self.both.is_some() { 2 } else { 1 }
    }

    /// Numbers in one row of a layer's output.
    pub fn width(&self) -> usize {
        self.options.width() * if self.both == Some(Merge::Concat) { 2 } else { 1 }
    }

    /// The options of one layer, in either direction.
    pub fn layer(&self, layer: usize) -> Options {
        Options { input: if layer == 0 { self.options.input } else { self.width() }, ..self.options }
    }

    pub fn weights_len(&self) -> usize {
        (0..self.layers).map(|layer| self.directions() * self.layer(layer).weights_len()).sum()
    }

    pub fn state_len(&self, batch: usize) -> usize {
        self.layers * self.directions() * self.options.state_len(batch)
    }

    /// Weights and state hold the layers one after the other; for each layer the forward direction, then the
    /// reverse one. `walk.dropout` holds the factors in the same order.
    pub fn forward(&self, walk: &Walk<'_>, weights: &[f64], x: &[f64], state: &[f64]) -> Output {
        assert_eq!(weights.len(), self.weights_len());
        assert_eq!(state.len(), self.state_len(walk.batch));
        let count = self.layers * self.directions();
        let mut out = Output { y: x.to_vec(), state: Vec::new(), margin: f64::INFINITY };
        let (mut weights, mut state, mut factors) = (weights, state, self.dropout.unwrap_or(&[]));
        for layer in 0..self.layers {
            let options = self.layer(layer);
            let mut outputs = Vec::new();
            for direction in 0..self.directions() {
                let which = layer * self.directions() + direction;
                let walk = Walk {
                    reverse: walk.reverse || direction == 1,
                    dropout: walk.dropout.map(|f| &f[which * f.len() / count..(which + 1) * f.len() / count]),
                    ..*walk
                };
                let (w, other_weights) = weights.split_at(options.weights_len());
                let (s, other_state) = state.split_at(options.state_len(walk.batch));
                (weights, state) = (other_weights, other_state);
                let one = forward(&options, &walk, w, &out.y, s);
                out.state.extend(one.state);
                out.margin = out.margin.min(one.margin);
                outputs.push(one.y);
            }
            out.y = self.merged(&outputs);
            if !factors.is_empty() {
                let (here, above) = factors.split_at(out.y.len().min(factors.len()));
                factors = above;
                out.y.iter_mut().zip(here).for_each(|(y, f)| *y *= f);
            }
        }
        out
    }

    fn merged(&self, outputs: &[Vec<f64>]) -> Vec<f64> {
        let width = self.options.width();
        match self.both {
            None => outputs[0].clone(),
            Some(Merge::Sum) => outputs[0].iter().zip(&outputs[1]).map(|(a, b)| a + b).collect(),
            Some(Merge::Concat) => outputs[0]
                .chunks(width)
                .zip(outputs[1].chunks(width))
                .flat_map(|(a, b)| [a, b].concat())
                .collect(),
        }
    }
}
