//! Matrices of 8 bits as ONNX Runtime's `quantize_dynamic` writes them: `DynamicQuantizeLSTM`, and a `MatMulInteger` with its scales around it.
//!
//! Both become the operators that they were made of, with constants in `f32` that are integers times the scale of their row. The layers of these
//! are narrow. A scale is rounded to 17 bits, by at most 2^-17 of it, so that each product is exactly an `f32`; integers stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use super::super::error::{Result, damaged, unsupported};
use super::super::tensor::{Tensor, check_sizes};
use super::schema::Node;
use super::value::Value;
use super::{FORMAT, Walk, show};

const ADVICE: &str = "only int8 around 0 is read: quantise with `weight_type=QuantType.QInt8`, or convert the f32 model with \
                      `--weights int8`";

/// A scale with its lowest seven bits rounded away.
fn rounded(scale: f32) -> f32 {
    f32::from_bits((scale.to_bits() + 0x40) & !0x7f)
}

/// The nodes that make `y` of quantised data and of a quantised matrix.
struct Product<'a> {
    quantise: &'a Node,
    multiply: &'a Node,
    cast: &'a Node,
    /// Multiplies the scales of both.
    scales: &'a Node,
}

/// The node of this kind that makes an input of another one, and the other input.
fn maker<'a>(by: &BTreeMap<&str, &'a Node>, node: &'a Node, op: &str) -> Option<(&'a Node, &'a str)> {
    let [a, b] = &node.input[..] else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(from, other)| {
        let found = by.get(&from[..]).filter(|n| n.op_type == op)?;
        Some((*found, &other[..]))
    })
}

impl<'a> Product<'a> {
    /// What a multiplication by scales ends.
    fn of(by: &BTreeMap<&str, &'a Node>, node: &'a Node) -> Option<Self> {
        let (cast, other) = maker(by, node, "Cast").filter(|_| node.op_type == "Mul")?;
        let scales = *by.get(other).filter(|n| n.op_type == "Mul")?;
        let multiply = *by.get(&cast.input.first()?[..]).filter(|n| n.op_type == "MatMulInteger")?;
        let (quantise, _) = maker(by, scales, "DynamicQuantizeLinear")?;
        let same = |input: usize, output: usize| multiply.input.get(input) == quantise.output.get(output);
        (same(0, 0) && same(2, 2)).then_some(Product { quantise, multiply, cast, scales })
    }
}

impl Walk<'_> {
    /// The nodes of a graph, those of quantised layers as if they were not.
    pub(super) fn unquantised(&mut self, nodes: &[Node]) -> Result<Vec<Node>> {
        let mut by = BTreeMap::new();
        for node in nodes {
            by.extend(node.output.iter().map(|name| (&name[..], node)));
        }
        let mut inner = BTreeSet::new();
        let mut made = Vec::new();
        for node in nodes {
            if node.op_type == "DynamicQuantizeLSTM" {
                let mut plain = node.clone();
                let matrices = [(1, 8, 9), (2, 10, 11)];
                for (codes, scale, zero) in matrices {
                    plain.input[codes.min(node.input.len() - 1)] =
                        self.matrix(node, [codes, scale, zero].map(|i| node.input.get(i)), true)?;
                }
                plain.input.truncate(8);
                (plain.op_type, plain.domain) = ("LSTM".into(), String::new());
                made.push(plain);
                continue;
            }
            let Some(product) = Product::of(&by, node) else {
                made.push(node.clone());
                continue;
            };
            let Product { quantise, multiply, cast, scales } = product;
            let scale = scales.input.iter().find(|name| quantise.output.get(1) != Some(*name));
            let matrix =
                self.matrix(multiply, [multiply.input.get(1), scale, multiply.input.get(3)], false)?;
            let input = [quantise.input.first().cloned().unwrap_or_default(), matrix].into();
            inner.extend([quantise, multiply, cast, scales].iter().flat_map(|n| &n.output));
            let attribute = Vec::new();
            let (name, output) = (multiply.name.clone(), node.output.clone());
            made.push(Node {
                input,
                output,
                name,
                op_type: "MatMul".into(),
                attribute,
                domain: String::new(),
            });
        }
        made.retain(|node| node.output.first().is_none_or(|name| !inner.contains(name)));
        Ok(made)
    }

    /// Keeps the constant of a quantised matrix, and tells its name. The codes of a layer's direction are `[k, rows]`, and become `[rows, k]` if it
    /// is `transposed`; there is a scale for each row, or for all of them.
    fn matrix(&mut self, node: &Node, inputs: [Option<&String>; 3], transposed: bool) -> Result<String> {
        let [codes, scale, zero] = inputs.map(|name| name.map_or("", |name| &name[..]));
        let refuse = |why: &str| unsupported(format!("matrix `{codes}` of the {}", show(node)), why);
        let Some(Value::Ints(matrix)) = self.values.get(codes) else { return refuse("is not constant") };
        let Some(Value::Floats(scales)) = self.values.get(scale) else {
            return refuse("has scales that are not constant");
        };
        match self.values.get(zero) {
            None if zero.is_empty() => {}
            Some(Value::Ints(zeros)) if zeros.known().is_some_and(|all| all.iter().all(|n| *n == 0)) => {}
            _ => return refuse(&format!("has a zero point that is not 0; {ADVICE}")),
        }
        check_sizes(codes, &matrix.shape)?;
        let &[ref outer @ .., k, rows] = &matrix.shape[..] else { return refuse("is no matrix") };
        let directions = outer.iter().product::<usize>();
        let each = match scales.data.len() {
            n if n == directions => 1,
            n if Some(n) == directions.checked_mul(rows) => rows,
            n => return refuse(&format!("has {n} scales for {directions} times {rows} rows")),
        };
        if scales.data.iter().any(|s| !s.is_normal() || *s < 0.0 || *s > f32::MAX / 256.0) {
            return refuse("has a scale that is not above 0, or too large");
        }
        let known = matrix.known().unwrap_or_default();
        if known.iter().any(|n| n.abs() > 127) {
            return refuse(&format!("has integers beyond -127 to 127; {ADVICE}"));
        }
        let Some(budget) = self.budget.checked_sub(known.len()) else {
            return damaged(FORMAT, format!("`{codes}` is quantised in more ways than a model has layers"));
        };
        let mut data = std::vec![0.0; known.len()];
        for (at, code) in known.into_iter().enumerate() {
            let (direction, i, row) = (at / (k * rows), at / rows % k, at % rows);
            let scale = scales.data[direction * each + row % each];
            let to = if transposed { (direction * rows + row) * k + i } else { at };
            data[to] = code as f32 * rounded(scale);
        }
        let mut shape = outer.to_vec();
        shape.extend(if transposed { [rows, k] } else { [k, rows] });
        let name = format!("{codes} times {scale}{}", if transposed { " by rows" } else { "" });
        self.budget = budget;
        self.values.insert(name.clone(), Value::Floats(Rc::new(Tensor { shape, data })));
        self.int8.insert(name.clone());
        Ok(name)
    }

    /// The narrow layer, if the matrix of its node was quantised.
    pub(super) fn is_int8(&self, node: &Node) -> bool {
        node.input.get(1).is_some_and(|name| self.int8.contains(name))
    }
}
