//! 8-bit matrices as ONNX Runtime's `quantize_dynamic` writes them: `DynamicQuantizeLSTM`, `MatMulInteger`
//! with the nodes for its scales, and `DequantizeLinear` of rows of a table.
//!
//! Their nodes are replaced by the original operators, with `f32` constants that are integers times the scale
//! of their row. The layers of these matrices are narrow. A scale is rounded to 17 bits (by at most 2^-17 of
//! it), so that each product is exactly representable as `f32`. The integers stay the same, except that a
//! whole row may be divided by a common divisor.

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

/// ONNX Runtime's operator for an LSTM with 8-bit weights.
pub(super) const LSTM: &str = "DynamicQuantizeLSTM";

const ADVICE: &str = "only symmetric int8 can be read: quantise with `weight_type=QuantType.QInt8`, or convert the f32 model with \
                      `--weights int8`";

/// Rounds away the lowest seven bits of a scale.
fn rounded(scale: f32) -> f32 {
    f32::from_bits((scale.to_bits() + 0x40) & !0x7f)
}

/// The nodes that multiply quantised data by a quantised matrix to make `y`.
struct Product<'a> {
    quantise: &'a Node,
    multiply: &'a Node,
    cast: &'a Node,
    /// Multiplies the scale of the data by that of the matrix.
    scales: &'a Node,
}

/// The node of type `op` that makes one input of `node`, and the other input.
fn maker<'a>(by: &BTreeMap<&str, &'a Node>, node: &'a Node, op: &str) -> Option<(&'a Node, &'a str)> {
    let [a, b] = &node.input[..] else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(from, other)| {
        let found = by.get(&from[..]).filter(|n| n.op_type == op)?;
        Some((*found, &other[..]))
    })
}

impl<'a> Product<'a> {
    /// The product that ends in this multiplication by scales.
    fn of(by: &BTreeMap<&str, &'a Node>, node: &'a Node) -> Option<Self> {
        let (cast, other) = maker(by, node, "Cast").filter(|_| node.op_type == "Mul")?;
        let scales = *by.get(other).filter(|n| n.op_type == "Mul")?;
        let multiply = *by.get(&cast.input.first()?[..]).filter(|n| n.op_type == "MatMulInteger")?;
        let (quantise, _) = maker(by, scales, "DynamicQuantizeLinear")?;
        let same = |input: usize, output: usize| multiply.input.get(input) == quantise.output.get(output);
        (same(0, 0) && same(2, 2)).then_some(Product { quantise, multiply, cast, scales })
    }

    /// The outputs of the product's inner nodes.
    fn inner(&self) -> impl Iterator<Item = &'a String> {
        [self.quantise, self.multiply, self.cast, self.scales].into_iter().flat_map(|node| &node.output)
    }
}

/// The node that looks up rows of a table, if `last` dequantises them.
fn table<'a>(by: &BTreeMap<&str, &'a Node>, last: &'a Node) -> Option<&'a Node> {
    let gather = *by.get(&last.input.first()?[..])?;
    (last.op_type == "DequantizeLinear" && gather.op_type == "Gather").then_some(gather)
}

fn check_len(name: &str, shape: &[usize], len: usize) -> Result<()> {
    match shape.iter().try_fold(1, |product: usize, n| product.checked_mul(*n)) == Some(len) {
        true => Ok(()),
        false => damaged(FORMAT, format!("`{name}` has {len} elements, which does not match its shape")),
    }
}

/// Whether a graph has 8-bit layers.
pub(super) fn is_quantised(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| [LSTM, "MatMulInteger", "DequantizeLinear"].contains(&&node.op_type[..]))
}

/// Creates a node without attributes.
fn node(op: &str, name: &str, input: [String; 2], output: &[String]) -> Node {
    Node {
        input: input.into(),
        output: output.into(),
        name: name.into(),
        op_type: op.into(),
        attribute: Vec::new(),
        domain: String::new(),
    }
}

impl Walk<'_> {
    /// The nodes of a graph, with quantised layers replaced by the original operators.
    pub(super) fn unquantised(&mut self, nodes: &[Node]) -> Result<Vec<Node>> {
        let mut by = BTreeMap::new();
        for node in nodes {
            by.extend(node.output.iter().map(|name| (&name[..], node)));
        }
        let mut inner = BTreeSet::new();
        let mut made = Vec::new();
        for node in nodes {
            made.push(match Product::of(&by, node) {
                Some(product) => {
                    inner.extend(product.inner());
                    self.plain_product(&product, node)?
                }
                None if node.op_type == LSTM => self.plain_lstm(node)?,
                None => match table(&by, node) {
                    Some(gather) => {
                        inner.extend(&gather.output);
                        self.plain_table(gather, node)?
                    }
                    None => node.clone(),
                },
            });
        }
        made.retain(|node| node.output.first().is_none_or(|name| !inner.contains(name)));
        Ok(made)
    }

    fn plain_lstm(&mut self, node: &Node) -> Result<Node> {
        let mut plain = node.clone();
        for (codes, scale, zero) in [(1, 8, 9), (2, 10, 11)] {
            let name = self.matrix(node, [codes, scale, zero].map(|i| node.input.get(i)), true)?;
            if let Some(input) = plain.input.get_mut(codes) {
                *input = name;
            }
        }
        plain.input.truncate(8);
        (plain.op_type, plain.domain) = ("LSTM".into(), String::new());
        // ONNX Runtime appends this to the name.
        if let Some(name) = plain.name.strip_suffix("_quant") {
            plain.name = name.into();
        }
        Ok(plain)
    }

    fn plain_product(&mut self, of: &Product<'_>, last: &Node) -> Result<Node> {
        let &Product { quantise, multiply, scales, .. } = of;
        let scale = scales.input.iter().find(|name| quantise.output.get(1) != Some(*name));
        let matrix = self.matrix(multiply, [multiply.input.get(1), scale, multiply.input.get(3)], false)?;
        let input = quantise.input.first().cloned().unwrap_or_default();
        Ok(node("MatMul", &multiply.name, [input, matrix], &last.output))
    }

    /// A table of integers with any zero point. Converts the integers to f32. Nothing is summed first, so the
    /// layer is an ordinary f32 table.
    fn plain_table(&mut self, gather: &Node, last: &Node) -> Result<Node> {
        let [codes, scale, zero] = [gather.input.first(), last.input.get(1), last.input.get(2)]
            .map(|name| name.map_or("", |name| &name[..]));
        let refuse = |why: &str| unsupported(format!("table `{codes}` of the {}", show(last)), why);
        let (shape, known) = match self.values.get(codes) {
            Some(Value::Ints(table)) => (table.shape.clone(), table.known().unwrap_or_default()),
            _ => return refuse("is not an integer constant of the graph"),
        };
        let scale = match self.values.get(scale) {
            Some(Value::Floats(scales)) if scales.data.len() == 1 => scales.data[0],
            _ => return refuse("does not have a single constant scale"),
        };
        let zero = match self.values.get(zero) {
            None if zero.is_empty() => 0,
            Some(Value::Ints(zeros)) => match zeros.known().as_deref() {
                Some(&[zero]) => zero,
                _ => return refuse("does not have a single constant zero point"),
            },
            _ => return refuse("does not have a single constant zero point"),
        };
        let data = known.iter().map(|n| n.wrapping_sub(zero) as f32 * scale).collect();
        let table = self.constant(codes, last, Tensor { shape, data })?;
        let ids = gather.input.get(1).cloned().unwrap_or_default();
        let attribute = gather.attribute.clone();
        Ok(Node { attribute, ..node("Gather", &gather.name, [table, ids], &last.output) })
    }

    /// Stores floats made from integers as a constant for a node, and returns its name.
    fn constant(&mut self, codes: &str, node: &Node, tensor: Tensor) -> Result<String> {
        check_len(codes, &tensor.shape, tensor.data.len())?;
        self.budget = match self.budget.checked_sub(tensor.data.len()) {
            Some(budget) => budget,
            None => return damaged(FORMAT, format!("`{codes}` serves more nodes than a model has layers")),
        };
        // An LSTM may use the same integers twice, with two scales.
        let name = format!("{codes} of {}, {}", show(node), self.values.len());
        self.values.insert(name.clone(), Value::Floats(Rc::new(tensor)));
        Ok(name)
    }

    /// Stores a quantised matrix as an `f32` constant, and returns its name. For each direction the integers
    /// are `[k, rows]`; if `transposed`, the constant is `[rows, k]`. There is one scale for each row, or one
    /// for all rows.
    fn matrix(&mut self, node: &Node, inputs: [Option<&String>; 3], transposed: bool) -> Result<String> {
        let [codes, scale, zero] = inputs.map(|name| name.map_or("", |name| &name[..]));
        let refuse = |why: &str| unsupported(format!("matrix `{codes}` of the {}", show(node)), why);
        let Some(Value::Ints(matrix)) = self.values.get(codes) else {
            return refuse("is not an integer constant of the graph");
        };
        let Some(known) = matrix.known() else { return refuse("is not constant") };
        let Some(Value::Floats(scales)) = self.values.get(scale) else {
            return refuse("has scales that are not constant");
        };
        match self.values.get(zero) {
            None if zero.is_empty() => {}
            Some(Value::Ints(zeros)) if zeros.known().is_some_and(|all| all.iter().all(|n| *n == 0)) => {}
            _ => return refuse(&format!("has a zero point that is not 0; {ADVICE}")),
        }
        check_sizes(codes, &matrix.shape)?;
        check_len(codes, &matrix.shape, known.len())?;
        let &[ref outer @ .., k, rows] = &matrix.shape[..] else { return refuse("is no matrix") };
        let directions = outer.iter().product::<usize>();
        let each = match scales.data.len() {
            n if n == directions => 1,
            n if Some(n) == directions.checked_mul(rows) => rows,
            n => return refuse(&format!("has {n} scales for {directions} times {rows} rows")),
        };
        if scales.data.iter().any(|s| !s.is_normal() || *s < 0.0 || *s > f32::MAX / 256.0) {
            return refuse("has a scale that is not a number from 2^-126 to 2^120");
        }
        if known.iter().any(|n| !(-127..=127).contains(n)) {
            return refuse(&format!("has integers beyond -127 to 127; {ADVICE}"));
        }
        let mut data = std::vec![0.0; known.len()];
        for (at, code) in known.into_iter().enumerate() {
            let (direction, i, row) = (at / (k * rows), at / rows % k, at % rows);
            let scale = scales.data[direction * each + row % each];
            let to = if transposed { (direction * rows + row) * k + i } else { at };
            data[to] = code as f32 * rounded(scale);
        }
        let mut shape = outer.to_vec();
        shape.extend(if transposed { [rows, k] } else { [k, rows] });
        let name = self.constant(codes, node, Tensor { shape, data })?;
        self.int8.insert(name.clone());
        Ok(name)
    }

    /// Whether a node's matrix was quantised.
    pub(super) fn is_int8(&self, node: &Node) -> bool {
        node.input.get(1).is_some_and(|name| self.int8.contains(name))
    }
}
