//! Constant folding: computes the nodes over constants and shapes that exporters leave in their graphs.

use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::super::tensor::Tensor;
use super::array::{Array, MAX_RANK, Moves};
use super::schema::{Node, element};
use super::shape::position;
use super::value::{Axis, Ints, Size, Value};
use super::{Attributes, Walk, constant, show};

impl Walk<'_> {
    /// Computes a node over constants and shapes.
    pub(super) fn without_data(&mut self, op: &str, node: &Node) -> Result<Vec<Value>> {
        let inputs: Vec<Value> = node
            .input
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| self.values.get(name).cloned().unwrap_or(Value::Other))
            .collect();
        let one = |value: Value| Ok([value].into());
        if !matches!(&node.domain[..], "" | "ai.onnx") {
            return one(Value::Other);
        }
        match (op, inputs.first()) {
            ("Constant", _) => return one(constant::node(node, self.data)?),
            ("ConstantOfShape", shape) => return one(self.filled(node, shape)?),
            ("Range", _) => return one(self.range(&inputs).unwrap_or(Value::Other)),
            ("Split", Some(value)) => return self.split(node, &value.clone()),
            ("Concat", Some(_))
                if inputs.iter().any(|v| matches!(v, Value::Zeros(_)))
                    && inputs.iter().all(Value::is_zero) =>
            {
                return one(Value::Zeros(None));
            }
            ("ReduceProd", Some(Value::Ints(list))) => return one(self.product(node, list)),
            ("Shape", Some(value)) => {
                return one(match value.shape() {
                    Some(sizes) => part(node, &sizes),
                    None => Value::Other,
                });
            }
            ("Concat", _) if inputs.iter().any(|v| matches!(v, Value::Input)) => return one(Value::Input),
            ("Mul" | "Add" | "Sub" | "Div", Some(first)) => {
                return one(match inputs.get(1) {
                    Some(second) => self.arithmetic(op, first, second).unwrap_or(Value::Other),
                    None => Value::Other,
                });
            }
            _ => {}
        }
        let moves = [
            "Identity",
            "Cast",
            "Transpose",
            "Unsqueeze",
            "Squeeze",
            "Reshape",
            "Flatten",
            "Expand",
            "Concat",
            "Gather",
            "Slice",
        ];
        if !moves.contains(&op) && op != "Tile" {
            return one(Value::Other);
        }
        one(match inputs.first() {
            Some(Value::Input) => Value::Input,
            Some(Value::State) => Value::State,
            Some(value) if op == "Expand" && value.is_zero() => {
                // A single element takes the requested shape.
                let is_one = |n: &Size| *n == Size::Known(1);
                let single = value.shape().is_some_and(|shape| shape.iter().all(is_one) && shape.len() < 2);
                Value::Zeros(inputs.get(1).filter(|_| single).and_then(sizes))
            }
            Some(Value::Zeros(shape)) if ["Identity", "Cast"].contains(&op) => Value::Zeros(shape.clone()),
            Some(Value::Zeros(_)) if op != "Concat" => Value::Zeros(None),
            Some(Value::Lengths(n)) if ["Identity", "Cast"].contains(&op) => Value::Lengths(*n),
            Some(Value::States(_) | Value::Lengths(_) | Value::Other) | None => Value::Other,
            Some(_) if op == "Tile" => Value::Other,
            Some(first) => match self.moved(op, node, &inputs)? {
                Value::Other if op != "Concat" && first.is_zero() => Value::Zeros(None),
                made => made,
            },
        })
    }

    /// A constant of a given shape, filled with one number.
    fn filled(&mut self, node: &Node, shape: Option<&Value>) -> Result<Value> {
        let fill = constant::fill(node)?;
        if fill.is_zero() {
            return Ok(Value::Zeros(shape.and_then(sizes)));
        }
        let (Value::Ints(number), Some(Value::Ints(shape))) = (fill, shape) else { return Ok(Value::Other) };
        let len = shape
            .known()
            .and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?)));
        Ok(match (len, number.data.first()) {
            (Some(len), Some(&n)) if shape.data.len() == 1 && self.spend(len) => {
                Value::Ints(Ints::list(vec![n; len]))
            }
            _ => Value::Other,
        })
    }

    /// Computes a node that moves the elements of constants.
    fn moved(&mut self, op: &str, node: &Node, inputs: &[Value]) -> Result<Value> {
        let mut attributes = Attributes::new(node);
        let ints = |a: Option<&super::schema::Attribute>| a.map(|a| a.ints.clone());
        let to = attributes.int("to", 0);
        let moves = Moves {
            axis: attributes.get("axis").map(|a| a.i),
            axes: ints(attributes.get("axes")),
            perm: ints(attributes.get("perm")),
            shape: ints(attributes.get("shape")),
            bounds: ints(attributes.get("starts")).zip(ints(attributes.get("ends"))),
            allow_zero: attributes.int("allowzero", 0) != 0,
            inputs: inputs
                .iter()
                .map(|value| match value {
                    Value::Ints(ints) => ints.known(),
                    _ => None,
                })
                .collect(),
            index_shape: match inputs.get(1) {
                Some(Value::Ints(ints)) => ints.shape.clone(),
                _ => Vec::new(),
            },
        };
        // One length, repeated for a batch of unknown size.
        if let ("Expand", [Value::Ints(n), Value::Ints(to)]) = (op, inputs)
            && let (&[length], &[Size::Free(_)]) = (&n.data[..], &to.data[..])
        {
            return Ok(Value::Lengths(length));
        }
        // A state of one row, repeated for a batch of unknown size. It stays as it is.
        if let ("Expand", [Value::Floats(t), Value::Ints(to)]) = (op, inputs)
            && let ([front, 1, back], [first, Size::Free(_), last]) = (&t.shape[..], &to.data[..])
            && [(front, first), (back, last)].iter().all(|(n, to)| to.known() == i64::try_from(**n).ok())
        {
            return Ok(inputs[0].clone());
        }
        // A `Concat` moves all of its inputs, other nodes only the first.
        let moving = if op == "Concat" { inputs } else { &inputs[..inputs.len().min(1)] };
        let floats: Option<Vec<Array<f32>>> = moving
            .iter()
            .map(|value| match value {
                Value::Floats(t) if t.shape.len() <= MAX_RANK => {
                    Some(Array { shape: t.shape.clone(), data: t.data.clone() })
                }
                _ => None,
            })
            .collect();
        if let Some(arrays) = floats {
            if op == "Cast" && to != i64::from(element::FLOAT) {
                return Ok(Value::Other);
            }
            if !moves.len(op, &arrays).is_some_and(|len| self.spend(len)) {
                return unsupported(show(node), "makes a constant that is much larger than the file");
            }
            return Ok(match moves.apply(op, &arrays) {
                Some(Array { shape, data }) => Value::Floats(Rc::new(Tensor { shape, data })),
                None => Value::Other,
            });
        }
        let sizes: Option<Vec<Array<Size>>> = moving
            .iter()
            .map(|value| match value {
                Value::Ints(ints) if ints.shape.len() <= MAX_RANK => {
                    Some(Array { shape: ints.shape.clone(), data: ints.data.to_vec() })
                }
                _ => None,
            })
            .collect();
        let Some(arrays) = sizes else { return Ok(Value::Other) };
        if op == "Cast" && !constant::is_integer(i32::try_from(to).unwrap_or(0)) {
            return Ok(Value::Other);
        }
        if !moves.len(op, &arrays).is_some_and(|len| self.spend(len)) {
            return unsupported(show(node), "makes a constant that is much larger than the file");
        }
        Ok(match moves.apply(op, &arrays) {
            Some(Array { shape, data }) => Value::Ints(Ints { shape, data: data.into() }),
            None => Value::Other,
        })
    }

    /// Takes memory for a constant from the budget of the graph. Returns `false` if not enough is left.
    pub(super) fn spend(&mut self, len: usize) -> bool {
        match self.budget.checked_sub(len) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None => false,
        }
    }

    fn range(&mut self, inputs: &[Value]) -> Option<Value> {
        let number = |value: &Value| match value {
            Value::Ints(ints) => ints.data.first()?.known(),
            _ => None,
        };
        let [start, end, step] = [number(inputs.first()?)?, number(inputs.get(1)?)?, number(inputs.get(2)?)?];
        let len = usize::try_from(end.checked_sub(start)?).ok()?;
        (step == 1 && self.spend(len))
            .then(|| Value::Ints(Ints::list((start..end).map(Size::Known).collect())))
    }

    /// Arithmetic on constants and on sizes.
    fn arithmetic(&mut self, op: &str, first: &Value, second: &Value) -> Option<Value> {
        match (first, second) {
            (Value::Floats(a), Value::Floats(b)) => {
                let f = |a: f32, b: f32| match op {
                    "Mul" => a * b,
                    "Add" => a + b,
                    "Sub" => a - b,
                    _ => a / b,
                };
                let single = |t: &Tensor| (t.data.len() == 1 && t.shape.len() <= 1).then(|| t.data[0]);
                let (shape, data) = match (single(a), single(b)) {
                    _ if a.shape == b.shape => {
                        (&a.shape, a.data.iter().zip(&b.data).map(|(a, b)| f(*a, *b)).collect::<Vec<_>>())
                    }
                    (_, Some(b)) => (&a.shape, a.data.iter().map(|a| f(*a, b)).collect()),
                    (Some(a), _) => (&b.shape, b.data.iter().map(|b| f(a, *b)).collect()),
                    _ => return None,
                };
                self.spend(data.len()).then(|| Value::Floats(Rc::new(Tensor { shape: shape.clone(), data })))
            }
            (Value::Ints(a), Value::Ints(b)) => {
                let f = |a: Size, b: Size| match (op, a, b) {
                    ("Mul", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_mul(b)?)),
                    ("Mul", Size::Known(1), other) | ("Mul" | "Div", other, Size::Known(1)) => Some(other),
                    ("Mul", a, b) => self.rows_of(a, b),
                    ("Add", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_add(b)?)),
                    ("Sub", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_sub(b)?)),
                    ("Div", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_div(b)?)),
                    _ => None,
                };
                if a.shape != b.shape && a.data.len().max(b.data.len()) != 1 {
                    return None;
                }
                let shape = if a.shape.len() >= b.shape.len() { &a.shape } else { &b.shape };
                let data =
                    a.data.iter().zip(b.data.iter()).map(|(a, b)| f(*a, *b)).collect::<Option<Vec<_>>>()?;
                Some(Value::Ints(Ints { shape: shape.clone(), data: data.into() }))
            }
            _ => None,
        }
    }

    /// Splits a constant, or a state, into parts.
    fn split(&mut self, node: &Node, value: &Value) -> Result<Vec<Value>> {
        let count = node.output.len();
        let Value::Floats(t) = value else {
            let part = match value {
                Value::Input | Value::State => value.clone(),
                Value::Zeros(_) => Value::Zeros(None),
                _ => Value::Other,
            };
            return Ok(vec![part; count]);
        };
        let mut attributes = Attributes::new(node);
        let (axis, named) = (attributes.int("axis", 0), attributes.get("split").map(|a| a.ints.clone()));
        let given = named.or_else(|| match self.values.get(node.input.get(1)?) {
            Some(Value::Ints(ints)) => ints.known(),
            _ => None,
        });
        let parts = || -> Option<Vec<Value>> {
            let axis = position(axis, t.shape.len())?;
            let n = t.shape[axis];
            let sizes = match given {
                Some(sizes) => sizes.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<Vec<_>>>()?,
                None => vec![n / count.max(1); count],
            };
            (sizes.len() == count && sizes.iter().try_fold(0usize, |a, s| a.checked_add(*s)) == Some(n))
                .then_some(())?;
            let whole = Array { shape: t.shape.clone(), data: t.data.clone() };
            let mut start = 0;
            sizes
                .into_iter()
                .map(|size| {
                    let Array { shape, data } = whole.slice(axis, start, size, 1)?;
                    start += size;
                    Some(Value::Floats(Rc::new(Tensor { shape, data })))
                })
                .collect()
        };
        if !self.spend(t.data.len()) {
            return unsupported(show(node), "makes constants that are much larger than the file");
        }
        Ok(parts().unwrap_or_else(|| vec![Value::Other; count]))
    }

    /// The shape of the data.
    pub(super) fn shape_of(&self, node: &Node, axes: &[Axis], (width, directions): (usize, usize)) -> Value {
        let known = |n: usize, axis: Axis| match i64::try_from(n) {
            Ok(n) if n > 0 => Size::Known(n),
            _ => Size::Free(axis),
        };
        let sizes: Vec<Size> = axes
            .iter()
            .map(|&axis| match axis {
                Axis::First | Axis::Second | Axis::Rows { .. } => self.size(axis),
                Axis::Direction => known(directions, axis),
                Axis::Feature => known(width, axis),
                Axis::One => Size::Known(1),
            })
            .collect();
        part(node, &sizes)
    }
}

/// The sizes in a list, if the value is one.
fn sizes(list: &Value) -> Option<Rc<[Size]>> {
    match list {
        Value::Ints(ints) if ints.shape.len() == 1 => Some(Rc::clone(&ints.data)),
        _ => None,
    }
}

/// The part of a shape that a node `Shape` requests.
fn part(node: &Node, sizes: &[Size]) -> Value {
    let mut attributes = Attributes::new(node);
    let n = sizes.len() as i64;
    let bound =
        |at: i64| usize::try_from(if at < 0 { at.saturating_add(n) } else { at }.clamp(0, n)).unwrap_or(0);
    let (start, end) = (bound(attributes.int("start", 0)), bound(attributes.int("end", n)));
    Value::Ints(Ints::list(sizes.get(start..end).unwrap_or(&[]).to_vec()))
}

impl Walk<'_> {
    /// Describes a value in a message about a constant that could not be folded.
    pub(super) fn not_constant(&self, name: &str) -> &'static str {
        match self.values.get(name) {
            Some(Value::Input) => "an input of the graph",
            Some(Value::Data { .. } | Value::Last { .. } | Value::Step { .. }) => "the data",
            Some(Value::Ints(_)) => "integers",
            None => "nothing with this name",
            _ => {
                "something that the graph computes: fold its constants, with `onnxsim model.onnx folded.onnx` or \
                 `onnxruntime`'s `session_options.optimized_model_filepath`"
            }
        }
    }
}
