//! Matrices, biases and activations, which are nodes of their own.

use std::format;
use std::vec;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Error, Result, unsupported};
use super::super::layout::transpose;
use super::super::tensor::{Tensor, show as show_shape};
use super::{Attributes, Axis, Walk, show};
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

impl Walk {
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
        self.data(node, axes)
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
        self.data(node, axes)
    }

    pub(super) fn activation(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        match self.network.last() {
            Some(Layer::Dense(dense)) if self.dense != Open::No => {
                *dense = match op {
                    "Tanh" => dense.tanh(),
                    "Relu" => dense.relu(),
                    _ => dense.sigmoid(),
                };
                self.dense = Open::No;
                self.version += 1;
                self.data(node, axes)
            }
            _ => unsupported(show(node), "an activation has to follow a matrix"),
        }
    }
}
