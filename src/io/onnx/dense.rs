//! Matrices, tables, biases and activations, which ONNX has as separate nodes.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Error, Result, unsupported};
use super::super::layout::{normalisation, transpose};
use super::super::note::Ending;
use super::super::tensor::{Tensor, show as show_shape};
use super::shape::position;
use super::value::{Axis, Value};
use super::{Attributes, Walk, show};
use crate::model::Layer;
use crate::{Activate, Activation, Dense, Embedding, Narrow, Scale};

/// What the next node may still add to the last layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Open {
    #[default]
    No,
    /// The last layer is a matrix without a bias.
    Bias,
    /// The last layer is a matrix with a bias but without an activation.
    Activation,
    /// The last layer is a scale whose shift is still zero.
    Shift,
}

impl Walk<'_> {
    /// An embedding: a matrix with one row for each id.
    pub(super) fn embedding(&mut self, node: &Node, mut axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let axis = attributes.int("axis", 0);
        attributes.finish()?;
        let table = self.floats(node, 0)?.cloned();
        let Some(Tensor { shape, data }) = table.filter(|t| t.shape.len() == 2) else {
            return unsupported(show(node), "the table of an embedding must be a constant matrix");
        };
        let (classes, width) = (shape[0], shape[1]);
        if axis != 0 || axes != [Axis::First, Axis::Second] {
            return unsupported(
                show(node),
                "the table of an embedding must be a matrix with a row for each id",
            );
        }
        self.network.weights.extend(data);
        let name = self.name(node, "embedding");
        self.push(&name, Embedding::new(classes, width))?;
        self.width = width;
        axes.push(Axis::Feature);
        self.goes_on(node, axes)
    }

    /// A dense layer: a matrix `[O, I]` or its transpose, and a bias.
    fn dense(&mut self, node: &Node, axes: Vec<Axis>, transposed: bool, bias: Option<Tensor>) -> Result<()> {
        let matrix = self.floats(node, 1)?.filter(|t| t.shape.len() == 2);
        let Some(matrix) = matrix else { return unsupported(show(node), "has no constant matrix") };
        let (rows, columns) = match transposed {
            true => (matrix.shape[1], matrix.shape[0]),
            false => (matrix.shape[0], matrix.shape[1]),
        };
        if axes.last() != Some(&Axis::Feature) || axes.contains(&Axis::Direction) {
            return unsupported(show(node), "multiplies an axis other than the features");
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
        let layer = Layer::Dense(Dense::new(columns, rows));
        self.push(&name, if self.is_int8(node) { layer.narrow(Narrow::W8A16) } else { layer })?;
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
        let (bias, _) = self.operand(node, &axes)?;
        self.shift(node, axes, bias)
    }

    /// The constant operand of a node, with one element for each feature, and whether it is the first
    /// operand.
    fn operand(&self, node: &Node, axes: &[Axis]) -> Result<(Vec<f32>, bool)> {
        let refuse = |why: String| unsupported(show(node), why);
        if axes.last() != Some(&Axis::Feature) || axes.contains(&Axis::Direction) || self.width == 0 {
            return refuse("works on an axis other than the features".into());
        }
        let first = self.floats(node, 0).is_ok();
        let Some(given) = self.floats(node, usize::from(!first))? else {
            return refuse("has one operand".into());
        };
        match given.data[..] {
            [one] => Ok((vec![one; self.width], first)),
            _ if given.data.len() == self.width && given.shape.last() == Some(&self.width) => {
                Ok((given.data.clone(), first))
            }
            _ => {
                let (found, width) = (show_shape(&given.shape), self.width);
                refuse(format!("has a constant of {found}, but the data has {width} features"))
            }
        }
    }

    /// Adds a constant to each feature. It becomes the bias of the matrix before, the shift of the scale
    /// before, or a new scale layer.
    fn shift(&mut self, node: &Node, axes: Vec<Axis>, by: Vec<f32>) -> Result<()> {
        if let Open::Bias | Open::Shift = self.dense {
            let end = self.network.weights.len();
            self.network.weights[end - self.width..].copy_from_slice(&by);
            self.dense = if self.dense == Open::Bias { Open::Activation } else { Open::No };
            self.version += 1;
            return self.goes_on(node, axes);
        }
        let ones = vec![1.0; by.len()];
        self.scale(node, axes, ones, by)
    }

    /// Scales and shifts each feature.
    fn scale(&mut self, node: &Node, axes: Vec<Axis>, by: Vec<f32>, shift: Vec<f32>) -> Result<()> {
        let open = if shift.iter().all(|x| *x == 0.0) { Open::Shift } else { Open::No };
        self.network.weights.extend(by);
        self.network.weights.extend(shift);
        let name = self.name(node, "scale");
        self.push(&name, Scale::new(self.width))?;
        self.dense = open;
        self.goes_on(node, axes)
    }

    /// `Mul`, `Div` and `Sub` with a constant.
    pub(super) fn line(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        let (mut by, first) = self.operand(node, &axes)?;
        let zeros = vec![0.0; by.len()];
        match (op, first) {
            ("Mul", _) => self.scale(node, axes, by, zeros),
            ("Div", false) => {
                by.iter_mut().for_each(|x| *x = 1.0 / *x);
                self.scale(node, axes, by, zeros)
            }
            ("Sub", false) => {
                by.iter_mut().for_each(|x| *x = -*x);
                self.shift(node, axes, by)
            }
            ("Sub", true) => self.scale(node, axes, vec![-1.0; zeros.len()], by),
            _ => unsupported(show(node), "divides by the data, which no layer of this crate does"),
        }
    }

    /// Batch normalisation with constants: a scale and a shift.
    pub(super) fn normalisation(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let epsilon = attributes.float("epsilon").unwrap_or(1e-5);
        let training = attributes.int("training_mode", 0);
        attributes.float("momentum");
        attributes.int("spatial", 1);
        attributes.finish()?;
        if training != 0 {
            return unsupported(show(node), "is in training mode: export the model in evaluation mode");
        }
        if axes.get(1) != Some(&Axis::Feature) {
            return unsupported(show(node), "normalises an axis other than the features");
        }
        let mut parts = [const { Vec::new() }; 4];
        for (i, part) in parts.iter_mut().enumerate() {
            match self.floats(node, i + 1)? {
                Some(given) if given.data.len() == self.width => *part = given.data.clone(),
                _ => return unsupported(show(node), format!("has no constants for {} features", self.width)),
            }
        }
        let parts = parts.each_ref().map(|part| &part[..]);
        let [scale, shift] = normalisation(parts, |v| libm::sqrt(v + f64::from(epsilon)));
        self.scale(node, axes, scale, shift)
    }

    /// A residual: the sum of the data and the graph's input. `false` for any other sum.
    pub(super) fn residual(&mut self, node: &Node) -> Result<bool> {
        let version = |name: &String| match self.values.get(name) {
            Some(Value::Data { axes, version }) => Some((axes.clone(), *version)),
            _ => None,
        };
        let [Some(a), Some(b)] = [0, 1].map(|i| node.input.get(i).and_then(version)) else {
            return Ok(false);
        };
        let (data, input) = if a.1 > b.1 { (a, b) } else { (b, a) };
        if self.reversed || data.1 != self.version || input.1 != 0 || data.1 == 0 || data.0 != input.0 {
            return Ok(false);
        }
        // If the widths differ, the operator would broadcast a single feature.
        if self.network.input() != Some(self.width) {
            return unsupported(show(node), "adds an input with a different number of features");
        }
        Attributes::new(node).finish()?;
        self.push("", Layer::Residual)?;
        self.goes_on(node, data.0)?;
        Ok(true)
    }

    pub(super) fn activation(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let (alpha, beta) = (attributes.float("alpha"), attributes.float("beta"));
        attributes.finish()?;
        if self.network.ending != Ending::None {
            return unsupported(
                show(node),
                "follows a softmax, which this crate has only after the last layer",
            );
        }
        let function = match op {
            "Tanh" => Activation::Tanh,
            "Relu" => Activation::Relu,
            "Sigmoid" => Activation::Sigmoid,
            "Elu" => Activation::Elu { alpha: alpha.unwrap_or(1.0) },
            "LeakyRelu" => Activation::LeakyRelu { alpha: alpha.unwrap_or(0.01) },
            "ThresholdedRelu" => Activation::ThresholdedRelu { alpha: alpha.unwrap_or(1.0) },
            "HardSigmoid" => {
                Activation::HardSigmoid { alpha: alpha.unwrap_or(0.2), beta: beta.unwrap_or(0.5) }
            }
            "Softsign" => Activation::Softsign,
            _ => Activation::Softplus,
        };
        if [alpha, beta].into_iter().flatten().any(f32::is_nan) {
            return unsupported(show(node), "has a parameter that is NaN");
        }
        if let Open::Bias | Open::Activation = self.dense {
            self.network.activate(function);
            self.dense = Open::No;
            self.version += 1;
        } else {
            self.push("", Activate::new(function))?;
        }
        self.goes_on(node, axes)
    }

    /// A softmax over the features. Nothing may follow it.
    pub(super) fn softmax(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        // Before opset 13 it works on all axes from this one on.
        let axis = attributes.int("axis", if self.opset >= 13 { -1 } else { 1 });
        attributes.finish()?;
        let last = axes.len().checked_sub(1);
        if axes.last() != Some(&Axis::Feature) || position(axis, axes.len()) != last {
            return unsupported(show(node), "works on an axis other than the features");
        }
        if self.network.ending != Ending::None {
            return unsupported(show(node), "follows another softmax");
        }
        self.network.ending = if op == "Softmax" { Ending::Softmax } else { Ending::LogSoftmax };
        self.version += 1;
        self.goes_on(node, axes)
    }
}

/// Why an operator on the data is rejected.
pub(super) fn missing(op: &str) -> &'static str {
    match op {
        "Conv" | "ConvTranspose" => "is a convolution, which this crate does not have",
        "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" => {
            "normalises each row by itself, which no layer of this crate does"
        }
        "Concat" | "Sum" => "joins branches of the graph, which is not read: only chains of layers are",
        "DynamicQuantizeLinear" | "MatMulInteger" | "DequantizeLinear" | "QuantizeLinear" => {
            "is part of a quantised layer that is not in the form of `quantize_dynamic` with `weight_type=QuantType.QInt8`: quantise with that, or convert the f32 model with `--weights int8`"
        }
        "ArgMax" | "TopK" => "makes indices of the outputs: export the model without it",
        "Attention" | "MultiHeadAttention" => "is attention in a graph, which is not read",
        _ => "this crate has no such layer",
    }
}
