//! The way out: a network as a graph of standard operators, for sequences `[T, B, I]` of any lengths.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use prost::Message;

use super::super::error::{Result, unsupported};
use super::super::layout::{Kind, ONNX, transpose};
use super::super::network::{Named, Network};
use super::schema::{
    Attribute, Dimension, Graph, Model, Node, Opset, Shape, Tensor, TensorType, Type, ValueInfo, element,
};
use crate::model::{Ending, Layer};
use crate::{Activation, Cell, GruCell, LstmCell, Merge, Pool, Reset, RnnCell, Stack};

/// The operators' version: the first in which all of these stand as they do today, and what ONNX Runtime reads since 1.12.
const OPSET: i64 = 17;
/// The version of the file format that belongs to it.
const IR: i64 = 8;

/// Types of attributes.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const STRING: i32 = 3;
const FLOATS: i32 = 6;
const INTS: i32 = 7;
const STRINGS: i32 = 8;

/// The file of a network: its input is `x`, `[steps, batch, features]` or ids `[steps, batch]`, and its output `y`.
pub(in super::super) fn write(network: &Network) -> Result<Vec<u8>> {
    let mut writer = Writer { graph: Graph { name: "recurrent".into(), ..Graph::default() }, count: 0 };
    let first = network.named().first().map(|named| named.layer);
    let (is_ids, features) = match first {
        Some(Layer::Embedding(_)) => (true, None),
        Some(layer) => (false, Some(layer)),
        None => (false, None),
    };
    let input = features.map(|layer| width_of(&layer));
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

/// Features that a first layer takes.
fn width_of(layer: &Layer) -> usize {
    crate::model::Chain::new(&[*layer]).map_or(0, |chain| chain.input())
}

/// How far the graph has come.
struct At {
    value: String,
    width: usize,
    pooled: bool,
    /// The last states of both directions, `[2, B, H]`, if the layer before has them side by side.
    ends: Option<String>,
}

struct Writer {
    graph: Graph,
    /// Values so far, which have numbers for names.
    count: usize,
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

/// A function's name as an operator, with its alpha and beta if it has them.
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

/// What a recurrent operator is told of its cell.
struct Operator {
    kind: Kind,
    name: &'static str,
    functions: Vec<Activation>,
    clip: f32,
    attributes: Vec<Attribute>,
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

    /// Some of the features.
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
            Layer::Residual => same(self.node("Add", &[&value, "x"], vec![])),
            Layer::Dropout(_) => At { value, width, pooled, ends },
            Layer::Pool(pool) => {
                let value = match pool {
                    Pool::Last => self.step_of(&value, -1),
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
                let LstmCell { gates, cell, hidden, clip, coupled, projection, .. } =
                    stack.layer(0, 0).cell();
                if projection {
                    return unsupported(format!("layer `{}`", named.name), "ONNX' LSTM has no projection");
                }
                let attributes = if coupled { vec![int("input_forget", 1)] } else { vec![] };
                let functions = vec![gates, cell, hidden];
                let operator = Operator { kind: Kind::Lstm, name: "LSTM", functions, clip, attributes };
                self.stack(&operator, &stack, weights, value, states)?
            }
            Layer::Gru(stack) => {
                let GruCell { gates, new, clip, reset, .. } = stack.layer(0, 0).cell();
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

    /// The operator of each level of a stack.
    fn stack<C: Cell>(
        &mut self,
        operator: &Operator,
        stack: &Stack<C>,
        weights: &[f32],
        input: String,
        states: &mut &[f32],
    ) -> Result<At> {
        let (first, directions) = (stack.layer(0, 0), stack.directions());
        let hidden = first.hidden();
        let (mut value, mut rest, mut ends) = (input, weights, None);
        for index in 0..stack.depth() {
            let (mut w, mut r, mut b, mut p) = (vec![], vec![], vec![], vec![]);
            for direction in 0..directions {
                let layer = stack.layer(index, direction);
                let (own, others) = rest.split_at(layer.weights_len());
                rest = others;
                let parts = layer.weights(own)?;
                ONNX.unblock(operator.kind, parts.w_ih, &mut w);
                ONNX.unblock(operator.kind, parts.w_hh, &mut r);
                for bias in [parts.b_ih, parts.b_hh] {
                    ONNX.unblock(operator.kind, bias, &mut b);
                }
                ONNX.unblock_peepholes(parts.peepholes, &mut p);
            }
            let rows = operator.kind.gates() * hidden;
            let columns = stack.layer(index, 0).input();
            let w = self.constant(&[directions, rows, columns], &w);
            let r = self.constant(&[directions, rows, hidden], &r);
            let b = if b.is_empty() { String::new() } else { self.constant(&[directions, 2 * rows], &b) };
            let p = match p.is_empty() {
                true => String::new(),
                false => self.constant(&[directions, 3 * hidden], &p),
            };
            let [h, c] = self.initial(operator.kind, hidden, directions, states);
            let mut inputs = vec![&value[..], &w, &r, &b, "", &h];
            if operator.kind == Kind::Lstm {
                inputs.extend([&c[..], &p]);
            }
            while inputs.last().is_some_and(|name| name.is_empty()) {
                inputs.pop();
            }
            let direction = match (directions, first.is_reverse()) {
                (2, _) => "bidirectional",
                (_, true) => "reverse",
                _ => "forward",
            };
            let attributes = self.attributes(operator, hidden, directions, direction);
            let y = self.node(operator.name, &inputs, attributes);
            if index + 1 == stack.depth() && stack.merge() == Some(Merge::Concat) {
                let states = self.fresh();
                self.graph.node.last_mut().into_iter().for_each(|node| node.output.push(states.clone()));
                ends = Some(states);
            }
            value = self.join(stack, &y);
        }
        Ok(At { value, width: stack.output(), pooled: false, ends })
    }

    /// The attributes of a recurrent operator.
    fn attributes(
        &self,
        operator: &Operator,
        hidden: usize,
        directions: usize,
        direction: &str,
    ) -> Vec<Attribute> {
        let text = |s: &str| Attribute {
            name: "direction".into(),
            s: s.into(),
            kind: STRING,
            ..Attribute::default()
        };
        let mut attributes = operator.attributes.clone();
        attributes.extend([int("hidden_size", hidden as i64), text(direction)]);
        if operator.clip < f32::INFINITY {
            attributes.push(float("clip", operator.clip));
        }
        let functions: Vec<_> = operator.functions.iter().map(|f| function(*f)).collect();
        let all = || functions.iter().cycle().take(functions.len() * directions);
        attributes.push(Attribute {
            name: "activations".into(),
            strings: all().map(|f| f.0.to_string()).collect(),
            kind: STRINGS,
            ..Attribute::default()
        });
        let parameters = [
            ("activation_alpha", all().filter_map(|f| f.1).collect::<Vec<_>>()),
            ("activation_beta", all().filter_map(|f| f.2).collect()),
        ];
        attributes.extend(
            parameters.into_iter().filter(|(_, of)| !of.is_empty()).map(|(name, of)| floats(name, of)),
        );
        attributes
    }

    /// The initial states of a level, the same for all rows: `h`, and of an LSTM `c`; empty names for zeros.
    fn initial(&mut self, kind: Kind, hidden: usize, directions: usize, states: &mut &[f32]) -> [String; 2] {
        if states.is_empty() {
            return [String::new(), String::new()];
        }
        let count = if kind == Kind::Lstm { 2 } else { 1 };
        // Direction after direction, `h` and `c`.
        let (own, others) = states.split_at(directions * count * hidden);
        *states = others;
        let shape = self.node("Shape", &["x"], vec![]);
        let [one, two, axis] = [1, 2, 0].map(|n| self.integers(&[n]));
        let batch = self.node("Slice", &[&shape, &one, &two, &axis], vec![]);
        let [front, back] = [directions, hidden].map(|n| self.integers(&[n as i64]));
        let shape = self.node("Concat", &[&front, &batch, &back], vec![int("axis", 0)]);
        [0, 1].map(|part| {
            if part >= count {
                return String::new();
            }
            let rows: Vec<f32> =
                own.chunks(count * hidden).flat_map(|own| &own[part * hidden..][..hidden]).copied().collect();
            let state = self.constant(&[directions, 1, hidden], &rows);
            self.node("Expand", &[&state, &shape], vec![])
        })
    }

    /// From `[T, D, B, H]` to the output of a level.
    fn join<C: Cell>(&mut self, stack: &Stack<C>, y: &str) -> String {
        match stack.merge() {
            None => {
                let axis = self.integers(&[1]);
                self.node("Squeeze", &[y, &axis], vec![])
            }
            Some(Merge::Sum) => {
                let axis = self.integers(&[1]);
                self.node("ReduceSum", &[y, &axis], vec![int("keepdims", 0)])
            }
            Some(Merge::Concat) => {
                let swapped = self.node("Transpose", &[y], vec![ints("perm", &[0, 2, 1, 3])]);
                let shape = self.integers(&[0, 0, -1]);
                self.node("Reshape", &[&swapped, &shape], vec![])
            }
        }
    }
}
