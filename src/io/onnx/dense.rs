//! Matrices, biases and activations, which are nodes of their own.

use std::format;
use std::vec;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Error, Result, unsupported};
use super::super::layout::transpose;
use super::super::note::Ending;
use super::super::tensor::{Tensor, show as show_shape};
use super::shape::position;
use super::value::Axis;
use super::{Attributes, Walk, show};
use crate::Dense;
use crate::model::Layer;

/// What may still be said of the last layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Open {
    #[default]
    No,
    /// It is a matrix without a bias.
    Bias,
    /// It is a matrix with one, and without an activation.
    Activation,
}

impl Walk<'_> {
    /// A matrix `[O, I]`, or its transpose, and a bias.
    fn dense(&mut self, node: &Node, axes: Vec<Axis>, transposed: bool, bias: Option<Tensor>) -> Result<()> {
        let matrix = self.floats(node, 1)?.filter(|t| t.shape.len() == 2);
        let Some(matrix) = matrix else { return unsupported(show(node), "has no constant matrix") };
        let (rows, columns) = match transposed {
            true => (matrix.shape[1], matrix.shape[0]),
            false => (matrix.shape[0], matrix.shape[1]),
        };
        if axes.last() != Some(&Axis::Feature) || axes.contains(&Axis::Direction) {
            return unsupported(show(node), "multiplies another axis than the features");
        }
        let w = if transposed { transpose(&matrix.data, rows) } else { matrix.data.clone() };
        self.network.weights.extend(w);
        let open = if bias.is_some() { Open::Activation } else { Open::Bias };
        let bias = bias.unwrap_or_else(|| Tensor { shape: vec![rows], data: vec![0.0; rows] });
        if bias.shape != [rows] && bias.shape != [1, rows] {
            return Err(Error::Tensor {
                name: node.input.get(2).cloned().unwrap_or_default(),
                expected: show_shape(&[rows]),
                found: show_shape(&bias.shape),
            });
        }
        self.network.weights.extend(bias.data);
        let name = self.name(node, "dense");
        self.push(&name, Dense::new(columns, rows))?;
        (self.dense, self.width) = (open, rows);
        self.goes_on(node, axes)
    }

    pub(super) fn matmul(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        self.dense(node, axes, true, None)
    }

    pub(super) fn gemm(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let (alpha, beta) = (attributes.float("alpha"), attributes.float("beta"));
        let (a, b) = (attributes.int("transA", 0), attributes.int("transB", 0));
        attributes.finish()?;
        if alpha.unwrap_or(1.0) != 1.0 || beta.unwrap_or(1.0) != 1.0 || a != 0 || axes.len() != 2 {
            return unsupported(show(node), "scales or transposes its operands");
        }
        let bias = self.floats(node, 2)?.cloned();
        self.dense(node, axes, b == 0, bias)
    }

    pub(super) fn bias(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        let refuse = |why| unsupported(show(node), why);
        if self.dense != Open::Bias || axes.last() != Some(&Axis::Feature) {
            return refuse("adds to something else than the sums of a matrix");
        }
        let Some(bias) = self.floats(node, 0).or_else(|_| self.floats(node, 1))?.cloned() else {
            return refuse("has one operand");
        };
        if bias.shape != [self.width] {
            return refuse(&format!(
                "adds a tensor of {}, not one of [{}]",
                show_shape(&bias.shape),
                self.width
            ));
        }
        let end = self.network.weights.len();
        self.network.weights[end - self.width..].copy_from_slice(&bias.data);
        self.dense = Open::Activation;
        self.version += 1;
        self.goes_on(node, axes)
    }

    pub(super) fn activation(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        if self.network.ending != Ending::None {
            return unsupported(show(node), "follows a softmax, which can only stand at the end here");
        }
        match self.network.last() {
            Some(Layer::Dense(dense)) if self.dense != Open::No => {
                *dense = match op {
                    "Tanh" => dense.tanh(),
                    "Relu" => dense.relu(),
                    _ => dense.sigmoid(),
                };
                self.dense = Open::No;
                self.version += 1;
                self.goes_on(node, axes)
            }
            _ => unsupported(
                show(node),
                "is an activation that does not follow a matrix without one: this crate has none as a layer of its own",
            ),
        }
    }

    /// A softmax over the features, behind which nothing may come.
    pub(super) fn softmax(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        // Older ones work on all axes from theirs on.
        let axis = attributes.int("axis", if self.opset >= 13 { -1 } else { 1 });
        attributes.finish()?;
        let last = axes.len().checked_sub(1);
        if axes.last() != Some(&Axis::Feature) || position(axis, axes.len()) != last {
            return unsupported(show(node), "works on another axis than the features");
        }
        if self.network.ending != Ending::None {
            return unsupported(show(node), "follows another softmax");
        }
        self.network.ending = if op == "Softmax" { Ending::Softmax } else { Ending::LogSoftmax };
        self.version += 1;
        self.goes_on(node, axes)
    }
}

/// Why an operator that the data goes through is refused.
pub(super) fn missing(op: &str) -> &'static str {
    match op {
        "Conv" | "ConvTranspose" => "is a convolution, which this crate does not have",
        "BatchNormalization" | "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" => {
            "scales and shifts the features, which no layer of this crate does: fold it into the matrix beside it"
        }
        "Mul" | "Div" | "Sub" => "scales or shifts the data, which no layer of this crate does",
        "Concat" | "Sum" => "joins branches of the graph, which is not read: only chains of layers are",
        "ArgMax" | "TopK" => "makes indices of the outputs: export the model without it",
        "Attention" | "MultiHeadAttention" => "is attention in a graph, which is not read",
        _ => "the data goes through it, and this crate has no such layer",
    }
}
