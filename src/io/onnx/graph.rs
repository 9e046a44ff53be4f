//! The inputs, outputs and states of a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::note::Note;
use super::constant::{self, is_integer};
use super::schema::{Graph, Node, ValueInfo};
use super::shape::transpose;
use super::value::{Axis, Half, Value};
use super::{Attributes, FORMAT, Walk, is_half, quantised, show};
use crate::model::Layer;

/// The input that becomes the data of the first layer: the one that the first recurrent layer, or otherwise
/// the first output, is computed from.
fn data<'a>(graph: &'a Graph, inputs: &[&'a ValueInfo]) -> Option<&'a ValueInfo> {
    let made: BTreeMap<&str, &Node> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (&name[..], node))).collect();
    let kinds = ["RNN", "LSTM", "GRU", quantised::LSTM];
    let recurrent = graph.node.iter().find(|node| kinds.contains(&&node.op_type[..]));
    let from = match recurrent {
        Some(node) => node.input.first(),
        None => graph.output.first().map(|output| &output.name),
    };
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = from.into_iter().map(|name| &name[..]).collect();
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        if let Some(input) = inputs.iter().find(|input| input.name == name) {
            return Some(input);
        }
        // Nodes that only read the size of the data do not count.
        if let Some(node) = made.get(name).filter(|node| node.op_type != "Shape") {
            open.extend(node.input.iter().map(|name| &name[..]));
        }
    }
    inputs.first().copied()
}

/// Sorts nodes so that each comes after the nodes that make its inputs. Files should be sorted, but ONNX
/// Runtime's converter to 16 bits appends some nodes. Sorted nodes stay where they are.
pub(super) fn put_in_order(nodes: &mut Vec<Node>) {
    let mut makers = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        makers.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (&name[..], index)));
    }
    let (mut order, mut seen) = (Vec::new(), vec![false; nodes.len()]);
    // Stack of nodes to visit, with the number of inputs already visited.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for index in 0..nodes.len() {
        open.push((index, 0));
        while let Some((node, looked)) = open.pop() {
            if looked == 0 && core::mem::replace(&mut seen[node], true) {
                continue;
            }
            match nodes[node].input.get(looked) {
                Some(name) => {
                    open.push((node, looked + 1));
                    open.extend(
                        makers.get(&name[..]).filter(|maker| !seen[**maker]).map(|maker| (*maker, 0)),
                    );
                }
                None => order.push(node),
            }
        }
    }
    if order.iter().enumerate().any(|(place, node)| place != *node) {
        let mut all: Vec<Option<Node>> = core::mem::take(nodes).into_iter().map(Some).collect();
        nodes.extend(order.into_iter().filter_map(|node| all[node].take()));
    }
}

impl Walk<'_> {
    pub(super) fn constants(&mut self, graph: &Graph) -> Result<()> {
        for tensor in &graph.initializer {
            let name = &tensor.name[..];
            let value = constant::value(name, tensor, self.data)?;
            if self.values.contains_key(name) {
                return damaged(FORMAT, format!("it has two constants `{name}`"));
            }
            self.value(name, value);
        }
        Ok(())
    }

    pub(super) fn inputs(&mut self, graph: &Graph) -> Result<()> {
        let inputs: Vec<&ValueInfo> =
            graph.input.iter().filter(|i| !self.values.contains_key(&i.name)).collect();
        let Some(first) = data(graph, &inputs) else { return damaged(FORMAT, "the graph has no input") };
        let others: Vec<String> =
            inputs.iter().map(|i| i.name.clone()).filter(|name| *name != first.name).collect();
        others.iter().for_each(|name| self.value(name, Value::Input));
        self.first_input(first)
    }

    fn first_input(&mut self, input: &ValueInfo) -> Result<()> {
        let name = input.name.clone();
        let tensor = input.r#type.as_ref().and_then(|t| t.tensor.as_ref());
        let ids = tensor.is_some_and(|t| is_integer(t.element));
        if tensor.is_some_and(|t| is_half(t.element.into())) {
            self.note_rounding();
        }
        let shape = tensor.and_then(|t| t.shape.as_ref());
        let mut axes = vec![Axis::First, Axis::Second];
        // Keras passes ids as floats, too, and casts them.
        if !ids && shape.is_none_or(|shape| shape.dim.len() != 2) {
            axes.push(Axis::Feature);
        }
        if let Some(shape) = shape {
            if shape.dim.len() != axes.len() {
                return Err(Error::Tensor {
                    name,
                    expected: format!("{} axes", axes.len()),
                    found: format!("{}", shape.dim.len()),
                });
            }
            let sizes: Vec<Option<i64>> = shape.dim.iter().map(|dim| dim.value.filter(|&n| n > 0)).collect();
            self.sizes = [sizes[0], sizes[1]];
            self.width = sizes.get(2).copied().flatten().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            if self.width > self.room {
                let what =
                    format!("the input has {} features, more than the file can have weights for", self.width);
                return damaged(FORMAT, what);
            }
        }
        self.value(&name, Value::Data { axes, version: 0 });
        Ok(())
    }

    /// The error for a loop over the steps that an exporter made from a layer.
    pub(super) fn looped(&mut self, op: &str, node: &Node) -> Result<()> {
        match op {
            "If" => unsupported(show(node), "chooses between two graphs at run time, which is not supported"),
            _ => unsupported(
                show(node),
                "is a loop that an exporter made of a layer: export the layer as RNN, LSTM or GRU (torch.onnx does it for whole \
                 `nn.RNN`, `nn.LSTM` and `nn.GRU` layers, tf2onnx for Keras' layers with standard activations), or give the file \
                 that the graph was made of",
            ),
        }
    }

    /// Handles nodes that combine states, as PyTorch does for several layers, and that take one of them out
    /// again.
    pub(super) fn states(&mut self, op: &str, node: &Node) -> Result<bool> {
        let value = |name: &String| self.values.get(name);
        let is_state =
            |v: &Value| matches!(v, Value::Last { .. } | Value::Half(_) | Value::State | Value::States(_));
        let inputs: Vec<Value> = node.input.iter().filter_map(value).cloned().collect();
        // The position that a node takes of `count` along the first axis, and the axes that remain.
        let taken = |axes: &[Axis], count: usize| {
            let cut = self.cut(op, node, axes.len()).filter(|cut| cut.axis == 0)?;
            let at = cut.one_of(count).filter(|_| axes.first() == Some(&Axis::Direction))?;
            Some((at, cut.left(axes.to_vec())))
        };
        let directions = self.states.1.max(1);
        let made = match (op, &inputs[..]) {
            ("Concat", parts)
                if !parts.is_empty() && parts.len() == node.input.len() && parts.iter().all(is_state) =>
            {
                let first = Attributes::new(node).int("axis", 0) == 0;
                match parts.iter().all(|part| matches!(part, Value::Last { .. })) && first {
                    true => Value::States(parts.into()),
                    false => Value::State,
                }
            }
            ("Gather" | "Slice", [Value::States(parts), ..]) => {
                let axes = match parts.first() {
                    Some(Value::Last { axes, .. }) => &axes[..],
                    _ => &[],
                };
                // The layers are assumed to have as many directions as the last one.
                match taken(axes, parts.len() * directions) {
                    Some((at, axes)) => match parts[at / directions] {
                        Value::Last { version, .. } => last_state(at % directions, directions, axes, version),
                        _ => Value::State,
                    },
                    None => Value::State,
                }
            }
            // The result is still a state; it does not have to become the data.
            ("Squeeze", [Value::Last { axes, version }, ..]) => match self.squeezed(node, axes, false)? {
                Some(axes) => Value::Last { axes, version: *version },
                None => return Ok(false),
            },
            ("Transpose", [Value::Last { axes, version }]) => {
                Value::Last { axes: transpose(node, axes.clone())?, version: *version }
            }
            ("Identity", [Value::Last { .. }]) => inputs[0].clone(),
            // For a layer with one direction, this removes the axis of directions.
            ("Gather" | "Slice", [Value::Last { axes, version }, ..]) => match taken(axes, directions) {
                Some((at, axes)) => last_state(at, directions, axes, *version),
                None => return Ok(false),
            },
            (
                "Transpose" | "Squeeze" | "Unsqueeze" | "Reshape" | "Identity" | "Gather" | "Slice" | "Split"
                | "Cast",
                [Value::Half(_) | Value::State | Value::States(_), ..],
            ) => Value::State,
            _ => return Ok(false),
        };
        for output in &node.output {
            self.value(output, made.clone());
        }
        Ok(true)
    }

    pub(super) fn outputs(&mut self, graph: &Graph) -> Result<()> {
        if graph.output.is_empty() {
            return damaged(FORMAT, "the graph has no output");
        }
        let value = |name: &str| self.values.get(name);
        let is_data =
            |name: &str| matches!(value(name), Some(Value::Data { version, .. }) if *version == self.version);
        let is_last = |name: &str| match value(name) {
            Some(Value::Last { version, .. } | Value::Step { version, .. }) => *version == self.version,
            _ => false,
        };
        // The outputs of the last layer take precedence over its states, in any order of the graph's outputs.
        let main = graph.output.iter().position(|o| is_data(&o.name));
        let main = main.or_else(|| graph.output.iter().position(|o| is_last(&o.name)));
        for (index, output) in graph.output.iter().enumerate() {
            let name = &output.name[..];
            match self.values.get(name) {
                _ if main == Some(index) => {}
                // States as additional outputs.
                Some(Value::Last { .. } | Value::Half(_) | Value::State | Value::States(_))
                    if main.is_some() => {}
                _ => return unsupported(format!("output `{name}`"), "is not an output of the last layer"),
            }
        }
        match main.and_then(|index| self.values.get(&graph.output[index].name)) {
            Some(&Value::Step { pool, .. }) => self.push("", Layer::Pool(pool)),
            Some(Value::Last { .. }) => {
                self.push("", Layer::Pool(self.pool))?;
                if self.states.1 == 2 {
                    self.note_caller(
                        "the last states of both directions, [2, B, H] in the graph, are side by side: [B, 2*H]",
                    );
                }
                Ok(())
            }
            _ if self.reversed => unsupported("the graph", "gives the outputs of all steps backwards"),
            _ => Ok(()),
        }
    }

    /// Adds a note that a layer takes something from the caller.
    pub(super) fn note_caller(&mut self, what: &str) {
        self.note(Note::Assumed(what.to_string()));
    }

    /// Adds a note that the graph rounds values to 16 bits between its nodes.
    pub(super) fn note_rounding(&mut self) {
        let what = "the rounding of values between layers to 16 bits; they stay f32";
        self.note(Note::LeftOut(what.to_string()));
    }

    fn note(&mut self, note: Note) {
        if !self.network.notes.contains(&note) {
            self.network.notes.push(note);
        }
    }
}

/// A last state, taken from the states of all directions.
fn last_state(direction: usize, directions: usize, axes: Vec<Axis>, version: usize) -> Value {
    match directions {
        2 => Value::Half(Half::state(direction, axes, version)),
        _ => Value::Last { axes, version },
    }
}
