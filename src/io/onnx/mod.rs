//! ONNX: a graph that is a chain of layers from its first input to its first output.
//!
//! The graph is evaluated before there is any input, with what is known about its values: which axes the data
//! has at each node, and which values are constants or zeros. A node on the data is rejected, unless it is a
//! layer of this crate or leaves the data unchanged.

mod array;
mod attributes;
mod beside;
mod constant;
mod data;
mod dense;
mod fold;
mod graph;
mod halves;
mod quantised;
mod recurrent;
mod reverse;
mod rows;
mod schema;
mod shape;
mod value;
pub(super) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use prost::Message;

use super::External;
use super::error::{Error, Result, damaged, unsupported};
use super::network::{Builder, Network};
use super::note::Ending;
use super::size::SHARED;
use super::tensor::{Tensor, check_sizes};
use crate::Pool;
use crate::model::Layer;
use attributes::{Attributes, show};
use data::Data;
use schema::{Model, Node, element};
use value::{Axis, Value};

const FORMAT: &str = "ONNX file";

/// The state of the walk through a graph.
struct Walk<'a> {
    /// Access to the files beside the model.
    data: &'a Data<'a>,
    values: BTreeMap<String, Value>,
    /// The number of elements that constants may still use.
    budget: usize,
    /// The version of the operator set.
    opset: i64,
    network: Builder,
    names: BTreeSet<String>,
    /// Names of constants that were 8-bit matrices.
    int8: BTreeSet<String>,
    /// Counts the changes of the data. A value with an older version belongs to another branch of the graph.
    version: usize,
    /// Number of layers so far.
    layers: usize,
    /// The largest number of weights, in elements, for a file of this size.
    room: usize,
    /// Which axis is time, once a recurrent layer has been passed.
    time: Option<Axis>,
    /// Whether the steps are in reverse order.
    reversed: bool,
    /// The known sizes of the first two axes.
    sizes: [Option<i64>; 2],
    /// Number of features.
    width: usize,
    /// Directions of the last layer; 1 after they are joined.
    directions: usize,
    /// Units and directions of the last recurrent layer, for its states.
    states: (usize, usize),
    /// The pool that takes the last recurrent layer's final states from its outputs.
    pool: Pool,
    /// The last layer, if it may be one direction of a pair.
    alone: Option<recurrent::Alone>,
    /// Whether sequences have lengths; then `Y` is padded with zeros.
    padded: bool,
    /// Whether the last layer is a matrix that a bias or an activation may follow.
    dense: dense::Open,
}

/// Reads a model from a file.
pub(super) fn read(bytes: &[u8], external: Option<&External<'_>>) -> Result<Network> {
    let model = match Model::decode(bytes) {
        Ok(model) => model,
        Err(e) => return damaged(FORMAT, format!("{e}")),
    };
    let Some(mut graph) = model.graph else { return damaged(FORMAT, "it has no graph") };
    graph::put_in_order(&mut graph.node);
    let data = Data::new(external);
    let own = |opset: &&schema::Opset| matches!(&opset.domain[..], "" | "ai.onnx");
    let mut walk = Walk {
        data: &data,
        values: BTreeMap::new(),
        budget: 0,
        // Models without an operator set are older than operator versions.
        opset: model.opset.iter().find(own).map_or(1, |opset| opset.version),
        network: Builder::default(),
        names: BTreeSet::new(),
        int8: BTreeSet::new(),
        version: 0,
        layers: 0,
        room: 0,
        time: None,
        reversed: false,
        sizes: [None; 2],
        width: 0,
        directions: 0,
        states: (0, 0),
        pool: Pool::Last,
        alone: None,
        padded: false,
        dense: dense::Open::default(),
    };
    walk.constants(&graph)?;
    let len = bytes.len().saturating_add(data.len());
    walk.room = len.saturating_mul(SHARED) / size_of::<f32>();
    // Exporters leave in the graph the steps that rearrange weights.
    walk.budget = len.saturating_mul(2).saturating_add(1 << 16);
    walk.inputs(&graph)?;
    let plain = quantised::is_quantised(&graph.node).then(|| walk.unquantised(&graph.node)).transpose()?;
    for node in plain.as_ref().unwrap_or(&graph.node) {
        walk.node(node)?;
    }
    walk.outputs(&graph)?;
    let network = walk.network.finish()?;
    // Round the weights now, so that they equal those that an image would store.
    if plain.is_some() { network.with_formats(|named| named.layer.narrow_format()) } else { Ok(network) }
}

/// Whether an element type is a 16-bit float.
fn is_half(element: i64) -> bool {
    [element::FLOAT16, element::BFLOAT16].map(i64::from).contains(&element)
}

/// Rejects a node that would change the data. Rounding to 16 bits is accepted, with a note.
fn leaves(op: &str, node: &Node, axes: &[Axis]) -> Result<()> {
    let mut attributes = Attributes::new(node);
    match op {
        "Cast" => {
            let to = attributes.int("to", 0);
            attributes.int("saturate", 1);
            let wide = [element::INT32, element::INT64, element::UINT32, element::UINT64].map(i64::from);
            let kept = match axes.contains(&Axis::Feature) {
                true => to == i64::from(element::FLOAT) || is_half(to),
                false => wide.contains(&to),
            };
            if !kept {
                return unsupported(show(node), format!("casts to an unsupported type: {to}"));
            }
        }
        "Dropout" => {
            attributes.get("ratio");
            attributes.get("seed");
            if node.input.get(2).is_some_and(|mode| !mode.is_empty()) {
                return unsupported(show(node), "is in training mode: export the model in evaluation mode");
            }
        }
        _ => {}
    }
    attributes.finish()
}

impl Walk<'_> {
    fn node(&mut self, node: &Node) -> Result<()> {
        let op = &node.op_type[..];
        if let Some(name) =
            node.output.iter().find(|name| !name.is_empty() && self.values.contains_key(&name[..]))
        {
            return damaged(FORMAT, format!("two nodes make `{name}`"));
        }
        if ["Loop", "Scan", "If", "SequenceMap"].contains(&op) {
            return self.looped(op, node);
        }
        if self.beside(op, node)? || self.halves(op, node)? || self.states(op, node)? {
            return Ok(());
        }
        let is_data = |v: &&String| {
            matches!(
                self.values.get(&v[..]),
                Some(Value::Data { .. } | Value::Last { .. } | Value::Step { .. })
            )
        };
        let Some(data) = node.input.iter().find(is_data) else {
            let states = |v: &String| {
                matches!(self.values.get(v), Some(Value::Half(_) | Value::State | Value::States(_)))
            };
            if node.input.first().is_some_and(states) {
                return unsupported(
                    show(node),
                    "works on one direction, on the last states of several layers, or on cell states, which a chain of layers cannot express",
                );
            }
            let made = self.without_data(op, node)?;
            for (index, output) in node.output.iter().enumerate() {
                let value = made.get(index).or(made.last()).cloned().unwrap_or(Value::Other);
                self.value(output, value);
            }
            return Ok(());
        };
        if !matches!(&node.domain[..], "" | "ai.onnx") {
            return unsupported(
                show(node),
                format!(
                    "is of the domain `{}`: inline its functions (`onnx.inliner`), or export standard operators",
                    node.domain
                ),
            );
        }
        if op == "Shape" {
            let (axes, sizes) = match self.values.get(data) {
                Some(Value::Data { axes, .. } | Value::Step { axes, .. }) => {
                    (axes.clone(), (self.width, self.directions))
                }
                Some(Value::Last { axes, .. }) => (axes.clone(), self.states),
                _ => (Vec::new(), (0, 0)),
            };
            let shape = self.shape_of(node, &axes, sizes);
            return self.made(node, shape);
        }
        if op == "Add" && self.residual(node)? {
            return Ok(());
        }
        let axes = self.current(node, data)?;
        let first = node.input.first() == Some(data);
        match op {
            "RNN" | "LSTM" | "GRU" if first => self.recurrent(op, node, &axes),
            "Gather" if node.input.get(1) == Some(data) => self.embedding(node, axes),
            "MatMul" if first => self.matmul(node, axes),
            "Gemm" if first => self.gemm(node, axes),
            "Add" => self.bias(node, axes),
            "Tanh" | "Relu" | "Sigmoid" | "Elu" | "LeakyRelu" | "ThresholdedRelu" | "HardSigmoid"
            | "Softsign" | "Softplus" => self.activation(op, node, axes),
            "Mul" | "Div" | "Sub" => self.line(op, node, axes),
            "BatchNormalization" if first => self.normalisation(node, axes),
            "Transpose" => shape::transpose(node, axes).and_then(|axes| self.goes_on(node, axes)),
            "Squeeze" if first => self.squeeze(node, axes),
            "Unsqueeze" if first => self.unsqueeze(node, axes),
            "Reshape" if first => self.reshape(node, axes),
            "Flatten" if first => self.flatten(node, axes),
            "Gather" if first => self.step(node, axes),
            "GatherND" if first => self.step_by_list(node, axes),
            "Slice" if first && self.is_reversal(node) => self.reverse_slice(node, axes),
            "Slice" if first => self.slice(node, axes),
            "ReverseSequence" if first => self.reverse_sequence(node, axes),
            "ReduceMean" | "ReduceMax" if first => self.reduce(op, node, axes),
            "ReduceSum" if first => self.sum_directions(node, axes),
            "Softmax" | "LogSoftmax" => self.softmax(op, node, axes),
            "Identity" | "Dropout" | "Cast" if first => {
                leaves(op, node, &axes)?;
                if op == "Cast" && is_half(Attributes::new(node).int("to", 0)) {
                    self.note_rounding();
                }
                self.goes_on(node, axes)
            }
            _ => unsupported(show(node), dense::missing(op)),
        }
    }

    /// The axes of a node's input data. The data must be the output of the last layer.
    fn current(&mut self, node: &Node, name: &str) -> Result<Vec<Axis>> {
        let (axes, version) = match self.values.get(name) {
            Some(
                Value::Data { axes, version }
                | Value::Last { axes, version }
                | Value::Step { axes, version, .. },
            ) => (axes.clone(), *version),
            _ => return damaged(FORMAT, format!("`{name}` is not the output of the last layer")),
        };
        if version != self.version {
            return unsupported(
                show(node),
                "uses the output of an earlier layer: only chains of layers can be read",
            );
        }
        if let Some(Value::Last { .. }) = self.values.get(name) {
            // From here on the last states, of one direction or of both, are the data.
            (self.width, self.directions) = self.states;
            self.push("", Layer::Pool(self.pool))?;
            self.reversed = false;
        }
        if let Some(&Value::Step { pool, .. }) = self.values.get(name) {
            self.push("", Layer::Pool(pool))?;
        }
        Ok(axes)
    }

    /// Adds a layer. The size is limited, because one constant used by many nodes would make a large model
    /// from a small file.
    fn push(&mut self, name: &str, layer: impl Into<Layer>) -> Result<()> {
        if self.network.weights.len() > self.room {
            let why = format!(
                "has more weights than {SHARED} times the bytes of the file: its nodes share constants"
            );
            return unsupported("the graph", why);
        }
        if self.network.ending != Ending::None {
            return unsupported(
                "the graph",
                "continues after a softmax, which this crate has only after the last layer",
            );
        }
        let mut unique = name.to_string();
        let mut n = 1;
        while !name.is_empty() && !self.names.insert(unique.clone()) {
            n += 1;
            unique = format!("{name}_{n}");
        }
        self.network.push(unique, layer);
        self.layers += 1;
        self.version += 1;
        self.dense = dense::Open::No;
        Ok(())
    }

    /// The name of a node's layer: the module's name in PyTorch's exports, otherwise the node's name.
    fn name(&self, node: &Node, kind: &str) -> String {
        let full = node.name.trim_matches('/');
        let name = full.rsplit_once('/').map_or(full, |(module, _)| module);
        let name: String =
            name.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '_' }).collect();
        if name.is_empty() { format!("{kind}{}", self.layers) } else { name.trim_matches('.').to_string() }
    }

    /// Stores a value under its name. Unused outputs have an empty name; it must not be stored, because a
    /// node with an omitted input would find it.
    fn value(&mut self, name: &str, value: Value) {
        if !name.is_empty() {
            self.values.insert(name.to_string(), value);
        }
    }

    /// Stores a node's first output.
    fn made(&mut self, node: &Node, value: Value) -> Result<()> {
        match node.output.first() {
            Some(name) => {
                self.value(name, value);
                Ok(())
            }
            None => damaged(FORMAT, format!("the {} has no output", show(node))),
        }
    }

    /// The node's output is the data, with these axes.
    fn goes_on(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let version = self.version;
        self.made(node, Value::Data { axes, version })
    }

    /// The constant matrix or vector at one of a node's inputs.
    fn floats(&self, node: &Node, input: usize) -> Result<Option<&Tensor>> {
        let Some(name) = node.input.get(input).filter(|name| !name.is_empty()) else { return Ok(None) };
        match self.values.get(name) {
            Some(Value::Floats(tensor)) => {
                check_sizes(name, &tensor.shape)?;
                Ok(Some(&**tensor))
            }
            _ => Err(Error::Tensor {
                name: name.clone(),
                expected: "floats that are constant".to_string(),
                found: self.not_constant(name).to_string(),
            }),
        }
    }
}
