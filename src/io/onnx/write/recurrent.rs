//! Recurrent operators: one for each level of a stack.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::super::schema::Attribute;
use super::{At, STRING, STRINGS, Writer, float, floats, function, int, ints};
use crate::io::error::Result;
use crate::io::layout::{Kind, ONNX};
use crate::{Activation, Cell, Merge, Stack};

/// The description of a cell for a recurrent operator.
pub(super) struct Operator {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    pub(super) functions: Vec<Activation>,
    pub(super) clip: f32,
    pub(super) attributes: Vec<Attribute>,
}

impl Writer {
    /// Writes one operator for each level of a stack.
    pub(super) fn stack<C: Cell>(
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

    /// The initial states of a level, the same for all rows: `h`, and `c` for an LSTM. Names are empty for
    /// zeros.
    fn initial(&mut self, kind: Kind, hidden: usize, directions: usize, states: &mut &[f32]) -> [String; 2] {
        if states.is_empty() {
            return [String::new(), String::new()];
        }
        let count = if kind == Kind::Lstm { 2 } else { 1 };
        // For each direction `h`, then `c`.
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

    /// Converts `[T, D, B, H]` to the output of a level.
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
