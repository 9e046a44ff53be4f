//! Writes a network as a graph of standard operators, for sequences `[T, B, I]` of any length.

mod recurrent;

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use prost::Message;

use super::schema::{
    Attribute, Dimension, Graph, Model, Node, Opset, Shape, Tensor, TensorType, Type, ValueInfo, element,
};
use crate::io::error::{Result, unsupported};
use crate::io::layout::{Kind, transpose};
use crate::io::network::{Named, Network};
use crate::model::{Ending, Layer};
use crate::{Activation, GruCell, LstmCell, Pool, Reset, RnnCell};
use recurrent::Operator;

/// The version of the operators: the first in which all of these have their present form. ONNX Runtime reads
/// it since 1.12.
const OPSET: i64 = 17;
/// The file format version that belongs to it.
const IR: i64 = 8;

/// Types of attributes.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const FLOATS: i32 = 6;
const INTS: i32 = 7;
const STRINGS: i32 = 8;

/// The file of a network. Its input is `x`, `[steps, batch, features]` or ids `[steps, batch]`. Its output is
/// `y`.
pub(in crate::io) fn write(network: &Network) -> Result<Vec<u8>> {
    let first = network.named().first().map(|named| named.layer);
    let is_ids = matches!(first, Some(Layer::Embedding(_)));
    let input = first.and_then(|layer| layer.input()).filter(|_| !is_ids);
    let graph = Graph { name: "recurrent".into(), ..Graph::default() };
    let mut writer = Writer { graph, count: 0, input: input.unwrap_or(1) };
    let mut at = At { value: "x".into(), width: input.unwrap_or(1), pooled: false, ends: None };
    let mut states = network.initial_state();
    for (named, weights) in network.parts() {
        at = writer.layer(named, weights, at, &mut states)?;
    }
    at.value = match network.ending() {
        Ending::None => at.value,
        Ending::Softmax => writer.node("Softmax", &[&at.value], vec![int("axis", -1)]),
        Ending::LogSoftmax => writer.node("LogSoftmax", &[&at.value], vec![int("axis", -1)]),
    };
    writer.put("Identity", &[&at.value], "y".into(), vec![]);

    let named = |name: &str| Dimension { value: None, parameter: name.to_string() };
    let fixed = |n: usize| Dimension { value: Some(n as i64), parameter: String::new() };
    let [steps, batch] = ["steps", "batch"].map(named);
    let mut shape = vec![steps.clone(), batch.clone()];
    shape.extend(input.map(fixed));
    let element = if is_ids { element::INT64 } else { element::FLOAT };
    let mut graph = writer.graph;
    graph.input = vec![value("x", element, shape)];
    let rows = if at.pooled { vec![batch] } else { vec![steps, batch] };
    let shape = rows.into_iter().chain([fixed(at.width)]).collect();
    graph.output = vec![value("y", element::FLOAT, shape)];
    let model = Model {
        ir_version: IR,
        producer: "recurrent".into(),
        graph: Some(graph),
        opset: vec![Opset { domain: String::new(), version: OPSET }],
    };
    Ok(model.encode_to_vec())
}

/// The end of the graph so far.
struct At {
    value: String,
    width: usize,
    pooled: bool,
    /// The last states of both directions, `[2, B, H]`, if the previous layer joins its directions side by
    /// side.
    ends: Option<String>,
}

struct Writer {
    graph: Graph,
    /// The number of values so far. Values are named by number.
    count: usize,
    /// Features of the input.
    input: usize,
}

fn normalised<T>(named: &Named) -> Result<T> {
    unsupported(format!("layer `{}`", named.name), "ONNX' LSTM and GRU have no layer normalisation")
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, kind: INT, ..Attribute::default() }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: ints.to_vec(), kind: INTS, ..Attribute::default() }
}

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.into(), f, kind: FLOAT, ..Attribute::default() }
}

fn floats(name: &str, floats: Vec<f32>) -> Attribute {
    Attribute { name: name.into(), floats, kind: FLOATS, ..Attribute::default() }
}

fn value(name: &str, element: i32, dim: Vec<Dimension>) -> ValueInfo {
    let tensor = Some(TensorType { element, shape: Some(Shape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor }) }
}

/// The ONNX name of an activation, with its alpha and beta if it has them.
fn function(f: Activation) -> (&'static str, Option<f32>, Option<f32>) {
    match f {
        Activation::Tanh => ("Tanh", None, None),
        Activation::Sigmoid => ("Sigmoid", None, None),
        Activation::Relu => ("Relu", None, None),
        Activation::Affine { alpha, beta } => ("Affine", Some(alpha), Some(beta)),
        Activation::LeakyRelu { alpha } => ("LeakyRelu", Some(alpha), None),
        Activation::ThresholdedRelu { alpha } => ("ThresholdedRelu", Some(alpha), None),
        Activation::ScaledTanh { alpha, beta } => ("ScaledTanh", Some(alpha), Some(beta)),
        Activation::HardSigmoid { alpha, beta } => ("HardSigmoid", Some(alpha), Some(beta)),
        Activation::Elu { alpha } => ("Elu", Some(alpha), None),
        Activation::Softsign => ("Softsign", None, None),
        Activation::Softplus => ("Softplus", None, None),
    }
}

impl Writer {
    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("v{}", self.count)
    }

    fn put(&mut self, op: &str, inputs: &[&str], output: String, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![output],
            name: String::new(),
            op_type: op.into(),
            attribute,
            domain: String::new(),
        });
    }

    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = self.fresh();
        self.put(op, inputs, output.clone(), attributes);
        output
    }

    fn tensor(&mut self, dims: &[usize], data_type: i32, raw: Vec<u8>) -> String {
        let name = self.fresh();
        self.graph.initializer.push(Tensor {
            name: name.clone(),
            dims: dims.iter().map(|n| *n as i64).collect(),
            data_type,
            raw_data: Some(raw),
            ..Tensor::default()
        });
        name
    }

    fn constant(&mut self, dims: &[usize], data: &[f32]) -> String {
        self.tensor(dims, element::FLOAT, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn integers(&mut self, data: &[i64]) -> String {
        self.tensor(&[data.len()], element::INT64, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// One step of all sequences, the first or the last.
    fn step_of(&mut self, value: &str, step: i64) -> String {
        let index = self.tensor(&[], element::INT64, step.to_le_bytes().to_vec());
        self.node("Gather", &[value, &index], vec![int("axis", 0)])
    }

    /// A range of the features.
    fn features_of(&mut self, value: &str, from: usize, to: usize) -> String {
        let [start, end, axis] = [from as i64, to as i64, -1].map(|n| self.integers(&[n]));
        self.node("Slice", &[value, &start, &end, &axis], vec![])
    }

    fn layer(&mut self, named: &Named, weights: &[f32], at: At, states: &mut &[f32]) -> Result<At> {
        let At { value, width, pooled, ends } = at;
        let to = |value, width, pooled| At { value, width, pooled, ends: None };
        let same = |value| to(value, width, pooled);
        Ok(match named.layer {
            Layer::Embedding(l) => {
                let table = self.constant(&[l.classes(), l.width()], weights);
                let value = self.node("Gather", &[&table, &value], vec![int("axis", 0)]);
                to(value, l.width(), pooled)
            }
            Layer::Dense(l) => {
                let (w, b) = weights.split_at(l.output() * l.input());
                let w = self.constant(&[l.input(), l.output()], &transpose(w, l.input()));
                let b = self.constant(&[l.output()], b);
                let product = self.node("MatMul", &[&value, &w], vec![]);
                let mut value = self.node("Add", &[&product, &b], vec![]);
                if let Some(f) = l.activation() {
                    value = self.activation(f, &value);
                }
                to(value, l.output(), pooled)
            }
            Layer::Activate(l) => same(self.activation(l.function(), &value)),
            Layer::Scale(l) => {
                let (scale, shift) = weights.split_at(l.width());
                let [scale, shift] = [scale, shift].map(|part| self.constant(&[l.width()], part));
                let scaled = self.node("Mul", &[&value, &scale], vec![]);
                same(self.node("Add", &[&scaled, &shift], vec![]))
            }
            Layer::Residual if width == self.input => same(self.node("Add", &[&value, "x"], vec![])),
            Layer::Residual => {
                let first = self.features_of("x", 0, width);
                same(self.node("Add", &[&value, &first], vec![]))
            }
            Layer::Dropout(_) => At { value, width, pooled, ends },
            Layer::Pool(pool) => {
                let value = match pool {
                    Pool::Last => self.step_of(&value, -1),
                    Pool::First => self.step_of(&value, 0),
                    Pool::Mean | Pool::Max => {
                        let op = if pool == Pool::Mean { "ReduceMean" } else { "ReduceMax" };
                        self.node(op, &[&value], vec![ints("axes", &[0]), int("keepdims", 0)])
                    }
                    Pool::Ends if ends.is_some() => {
                        let states = ends.unwrap_or_default();
                        let swapped = self.node("Transpose", &[&states], vec![ints("perm", &[1, 0, 2])]);
                        let shape = self.integers(&[0, -1]);
                        self.node("Reshape", &[&swapped, &shape], vec![])
                    }
                    Pool::Ends => {
                        let [last, first] = [-1, 0].map(|step| self.step_of(&value, step));
                        let forward = self.features_of(&last, 0, width / 2);
                        let backward = self.features_of(&first, width / 2, width);
                        self.node("Concat", &[&forward, &backward], vec![int("axis", -1)])
                    }
                };
                to(value, width, true)
            }
            Layer::Rnn(stack) => {
                let RnnCell { activation, clip, .. } = stack.layer(0, 0).cell();
                let functions = vec![activation];
                let operator = Operator { kind: Kind::Rnn, name: "RNN", functions, clip, attributes: vec![] };
                self.stack(&operator, &stack, weights, value, states)?
            }
            Layer::Lstm(stack) => {
                let LstmCell { gates, cell, hidden, clip, coupled, projection, norm, .. } =
                    stack.layer(0, 0).cell();
                if norm.is_some() {
                    return normalised(named);
                }
                if projection {
                    return unsupported(format!("layer `{}`", named.name), "ONNX' LSTM has no projection");
                }
                let attributes = if coupled { vec![int("input_forget", 1)] } else { vec![] };
                let functions = vec![gates, cell, hidden];
                let operator = Operator { kind: Kind::Lstm, name: "LSTM", functions, clip, attributes };
                self.stack(&operator, &stack, weights, value, states)?
            }
            Layer::Gru(stack) => {
                let GruCell { gates, new, clip, reset, norm } = stack.layer(0, 0).cell();
                if norm {
                    return normalised(named);
                }
                let after = i64::from(reset == Reset::After);
                let attributes = vec![int("linear_before_reset", after)];
                let functions = vec![gates, new];
                let operator = Operator { kind: Kind::Gru, name: "GRU", functions, clip, attributes };
                self.stack(&operator, &stack, weights, value, states)?
            }
            Layer::Mgu(_) => {
                return unsupported(format!("layer `{}`", named.name), "ONNX has no minimal gated unit");
            }
        })
    }

    fn activation(&mut self, f: Activation, value: &str) -> String {
        let mut line = |value: &str, scale: f32, shift: Option<f32>| {
            let scale = self.constant(&[], &[scale]);
            let scaled = self.node("Mul", &[value, &scale], vec![]);
            match shift {
                Some(shift) => {
                    let shift = self.constant(&[], &[shift]);
                    self.node("Add", &[&scaled, &shift], vec![])
                }
                None => scaled,
            }
        };
        match f {
            Activation::Affine { alpha, beta } => line(value, alpha, Some(beta)),
            Activation::ScaledTanh { alpha, beta } => {
                let inner = line(value, beta, None);
                let tanh = self.node("Tanh", &[&inner], vec![]);
                let alpha = self.constant(&[], &[alpha]);
                self.node("Mul", &[&tanh, &alpha], vec![])
            }
            f => {
                let (name, alpha, beta) = function(f);
                let alpha = alpha.map(|alpha| float("alpha", alpha));
                let attributes = alpha.into_iter().chain(beta.map(|beta| float("beta", beta))).collect();
                self.node(name, &[value], attributes)
            }
        }
    }
}
