//! Where a graph begins and ends: its inputs, its outputs, and its states.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::note::Note;
use super::constant::{self, is_integer};
use super::schema::{Graph, Node, ValueInfo};
use super::value::{Axis, Value};
use super::{Attributes, FORMAT, Walk, show};
use crate::Pool;
use crate::model::Layer;

/// The input that becomes the data of the first layer: that from which its first recurrent layer, or else its embedding or first output, is made.
fn data<'a>(graph: &'a Graph, inputs: &[&'a ValueInfo]) -> Option<&'a ValueInfo> {
    let made: BTreeMap<&str, &Node> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (&name[..], node))).collect();
    let recurrent = graph.node.iter().find(|node| ["RNN", "LSTM", "GRU"].contains(&&node.op_type[..]));
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
        // Sizes of the data are not the data.
        if let Some(node) = made.get(name).filter(|node| node.op_type != "Shape") {
            open.extend(node.input.iter().map(|name| &name[..]));
        }
    }
    inputs.first().copied()
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
        let shape = tensor.and_then(|t| t.shape.as_ref());
        let mut axes = vec![Axis::First, Axis::Second];
        // Keras gives ids as floats, too, and casts them.
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

    /// A loop over the steps that an exporter made of a layer.
    pub(super) fn looped(&mut self, op: &str, node: &Node) -> Result<()> {
        match op {
            "If" => unsupported(show(node), "chooses between two graphs when it runs, which is not read"),
            _ => unsupported(
                show(node),
                "is a loop that an exporter made of a layer: export the layer as RNN, LSTM or GRU (torch.onnx does it for whole \
                 `nn.RNN`, `nn.LSTM` and `nn.GRU` layers, tf2onnx for Keras' layers with standard activations), or give the file \
                 that the graph was made of",
            ),
        }
    }

    /// States that are put together, as PyTorch gives those of several layers, and one of them taken out again.
    pub(super) fn states(&mut self, op: &str, node: &Node) -> Result<bool> {
        let value = |name: &String| self.values.get(name);
        let is_state = |v: &Value| {
            matches!(v, Value::Last { .. } | Value::Half { .. } | Value::State | Value::States(_))
        };
        let inputs: Vec<Value> = node.input.iter().filter_map(value).cloned().collect();
        if op == "Concat" && self.ends(node, &inputs)? {
            return Ok(true);
        }
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
            ("Gather" | "Slice" | "Split", [Value::States(parts), ..]) => {
                // The layers are assumed to have as many directions as the last one.
                let directions = self.states.1.max(1);
                match self.taken(op, node, parts.len() * directions) {
                    Some(at) => match (&parts[at / directions], directions) {
                        (Value::Last { axes, version }, 2) => {
                            Value::Half { direction: at % 2, axes: axes.clone(), version: *version }
                        }
                        (part, _) => part.clone(),
                    },
                    None => Value::State,
                }
            }
            ("Gather" | "Slice", [Value::Last { axes, version }, ..])
                if axes.first() == Some(&Axis::Direction) && self.states.1 == 2 =>
            {
                match self.taken(op, node, 2) {
                    Some(direction) => Value::Half { direction, axes: axes.clone(), version: *version },
                    None => return Ok(false),
                }
            }
            // One direction's, whose first axis may come and go.
            ("Squeeze" | "Unsqueeze", [Value::Half { .. }, ..]) => inputs[0].clone(),
            (
                "Transpose" | "Squeeze" | "Unsqueeze" | "Reshape" | "Identity" | "Gather" | "Slice" | "Cast",
                [Value::State | Value::States(_), ..],
            ) => Value::State,
            // The state of a layer with one direction, out of its axis.
            ("Gather" | "Slice", [Value::Last { axes, version }, ..])
                if axes.first() == Some(&Axis::Direction) && self.taken(op, node, 1) == Some(0) =>
            {
                let mut axes = axes.clone();
                if op == "Slice" || self.keeps(node) {
                    axes[0] = Axis::One;
                } else {
                    axes.remove(0);
                }
                Value::Last { axes, version: *version }
            }
            _ => return Ok(false),
        };
        // What is taken out of several layers has lost the axis, or has it with size 1.
        let made = match (made, op) {
            (Value::Last { mut axes, version }, "Gather" | "Slice")
                if axes.first() == Some(&Axis::Direction) =>
            {
                if op == "Slice" || self.keeps(node) {
                    axes[0] = Axis::One;
                } else {
                    axes.remove(0);
                }
                Value::Last { axes, version }
            }
            (Value::Half { direction, mut axes, version }, "Gather" | "Slice") => {
                match op == "Slice" || self.keeps(node) {
                    true => axes[0] = Axis::One,
                    false => _ = axes.remove(0),
                }
                Value::Half { direction, axes, version }
            }
            (Value::Half { direction, mut axes, version }, "Squeeze") => {
                axes.retain(|axis| *axis != Axis::One);
                Value::Half { direction, axes, version }
            }
            (Value::Half { .. }, "Unsqueeze") => Value::State,
            (made, _) => made,
        };
        for output in &node.output {
            self.value(output, made.clone());
        }
        Ok(true)
    }

    /// `Concat` of the last states of both directions: from here on they are the data.
    fn ends(&mut self, node: &Node, inputs: &[Value]) -> Result<bool> {
        let &[
            Value::Half { direction: 0, axes: ref first, version },
            Value::Half { direction: 1, axes: ref second, version: other },
        ] = inputs
        else {
            return Ok(false);
        };
        let (axes, rank) = (first.clone(), first.len() as i64);
        let axis = Attributes::new(node).int("axis", 0);
        if first != second || version != self.version || other != version || ![-1, rank - 1].contains(&axis) {
            return Ok(false);
        }
        self.push("", Layer::Pool(Pool::Ends))?;
        (self.width, self.directions) = (self.states.0 * 2, 1);
        self.goes_on(node, axes)?;
        Ok(true)
    }

    /// Whether an index is a list, which keeps the axis.
    fn keeps(&self, node: &Node) -> bool {
        matches!(node.input.get(1).and_then(|name| self.values.get(name)), Some(Value::Ints(i)) if !i.shape.is_empty())
    }

    /// Which of `count` parts along the first axis a node takes, if it takes one.
    fn taken(&self, op: &str, node: &Node, count: usize) -> Option<usize> {
        let mut attributes = Attributes::new(node);
        let numbers = |input: usize| match self.values.get(node.input.get(input)?) {
            Some(Value::Ints(ints)) => ints.known(),
            _ => None,
        };
        let count = i64::try_from(count).ok()?;
        let at = |n: i64| if n < 0 { n.saturating_add(count) } else { n };
        let start = match op {
            "Gather" if attributes.int("axis", 0) == 0 => match numbers(1)?[..] {
                [index] => at(index),
                _ => return None,
            },
            "Slice" => {
                let given = |name, input| attributes_of(node, name).or_else(|| numbers(input));
                let axes = given("axes", 3).unwrap_or_else(|| vec![0]);
                match (&given("starts", 1)?[..], &given("ends", 2)?[..], &axes[..]) {
                    ([start], [end], [0]) if at(*end).min(count) == at(*start) + 1 => at(*start),
                    _ => return None,
                }
            }
            _ => return None,
        };
        usize::try_from(start).ok().filter(|_| start < count)
    }

    pub(super) fn outputs(&mut self, graph: &Graph) -> Result<()> {
        if graph.output.is_empty() {
            return damaged(FORMAT, "the graph has no output");
        }
        let value = |name: &str| self.values.get(name);
        let is_data =
            |name: &str| matches!(value(name), Some(Value::Data { version, .. }) if *version == self.version);
        // Those of both directions are apart in the graph, and side by side here.
        let is_last = |name: &str| {
            matches!(value(name), Some(Value::Last { version, .. }) if *version == self.version)
                && self.states.1 < 2
        };
        // The outputs of the last layer come before its states, in whatever order the graph has them.
        let main = graph.output.iter().position(|o| is_data(&o.name));
        let main = main.or_else(|| graph.output.iter().position(|o| is_last(&o.name)));
        for (index, output) in graph.output.iter().enumerate() {
            let name = &output.name[..];
            match self.values.get(name) {
                _ if main == Some(index) => {}
                // States that are given out besides.
                Some(Value::Last { .. } | Value::Half { .. } | Value::State | Value::States(_))
                    if main.is_some() => {}
                _ => return unsupported(format!("output `{name}`"), "is not what the last layer makes"),
            }
        }
        if main.is_some_and(|index| !is_data(&graph.output[index].name)) {
            self.push("", Layer::Pool(Pool::Last))?;
        }
        Ok(())
    }

    /// Notes that a layer takes something from the caller.
    pub(super) fn note_caller(&mut self, what: &str) {
        let note = Note::Assumed(what.to_string());
        if !self.network.notes.contains(&note) {
            self.network.notes.push(note);
        }
    }
}

fn attributes_of(node: &Node, name: &str) -> Option<Vec<i64>> {
    node.attribute.iter().find(|a| a.name == name).map(|a| a.ints.clone())
}
