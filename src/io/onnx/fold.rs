//! Constant folding: what nodes make of constants and of shapes, as exporters leave it in their graphs.

use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::super::tensor::{Tensor, elements};
use super::schema::{Node, element};
use super::shape::position;
use super::value::{Axis, Ints, Size, Value};
use super::{Attributes, Walk, constant, show};

/// Axes of a constant; layers have fewer.
const MAX_RANK: usize = 8;

/// A constant of any type, as what moves its elements about sees it.
#[derive(Clone)]
struct Array<T> {
    shape: Vec<usize>,
    data: Vec<T>,
}

impl<T: Copy> Array<T> {
    /// Elements by a function from positions in the result to positions here.
    fn gather(&self, shape: Vec<usize>, at: impl Fn(&[usize]) -> Option<Vec<usize>>) -> Option<Self> {
        let len = elements(&shape)?;
        let mut data = Vec::new();
        let mut index = vec![0; shape.len()];
        for _ in 0..len {
            let from = at(&index)?;
            let flat = from.iter().zip(&self.shape).try_fold(0, |flat, (&i, &n)| (i < n).then_some(flat * n + i))?;
            data.push(*self.data.get(flat)?);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Some(Array { shape, data })
    }

    fn transpose(&self, perm: &[usize]) -> Option<Self> {
        let shape = perm.iter().map(|&p| self.shape.get(p).copied()).collect::<Option<Vec<_>>>()?;
        (shape.len() == self.shape.len()).then_some(())?;
        self.gather(shape, |index| {
            let mut from = vec![0; index.len()];
            perm.iter().zip(index).for_each(|(&p, &i)| from[p] = i);
            Some(from)
        })
    }

    /// Every `step`-th element of an axis.
    fn slice(&self, axis: usize, start: usize, count: usize, step: usize) -> Option<Self> {
        let mut shape = self.shape.clone();
        *shape.get_mut(axis)? = count;
        self.gather(shape, |index| {
            let mut from = index.to_vec();
            from[axis] = start.checked_add(index[axis].checked_mul(step)?)?;
            Some(from)
        })
    }

    fn expand(&self, to: &[usize]) -> Option<Self> {
        let rank = self.shape.len().max(to.len());
        let padded = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
        let (own, to) = (padded(&self.shape), padded(to));
        let fits = own.iter().zip(&to).all(|(a, b)| a == b || *a == 1 || *b == 1);
        let shape: Vec<usize> = own.iter().zip(&to).map(|(a, b)| if *a == 1 { *b } else { *a }).collect();
        let wide = Array { shape: own.clone(), data: self.data.clone() };
        fits.then_some(())?;
        wide.gather(shape, |index| Some(index.iter().zip(&own).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect()))
    }

    fn concat(parts: &[Self], axis: usize) -> Option<Self> {
        let first = parts.first()?;
        let mut shape = first.shape.clone();
        let same = |part: &Self| {
            part.shape.len() == shape.len()
                && part.shape.iter().zip(&shape).enumerate().all(|(i, (a, b))| i == axis || a == b)
        };
        parts.iter().all(same).then_some(())?;
        let outer = elements(shape.get(..axis)?)?;
        let inner = |part: &Self| elements(&part.shape[axis..]);
        *shape.get_mut(axis)? = parts.iter().try_fold(0usize, |n, part| n.checked_add(part.shape[axis]))?;
        let mut data = Vec::new();
        for row in 0..outer {
            for part in parts {
                let n = inner(part)?;
                data.extend_from_slice(part.data.get(row * n..(row + 1) * n)?);
            }
        }
        Some(Array { shape, data })
    }

    fn reshape(mut self, to: &[i64], allow_zero: bool) -> Option<Self> {
        let mut shape = Vec::new();
        let mut open = None;
        for (axis, &n) in to.iter().enumerate() {
            shape.push(match n {
                -1 if open.replace(axis).is_none() => 1,
                0 if !allow_zero => *self.shape.get(axis)?,
                n => usize::try_from(n).ok()?,
            });
        }
        let known = elements(&shape)?;
        if let Some(axis) = open {
            shape[axis] = self.data.len().checked_div(known)?;
        }
        (elements(&shape) == Some(self.data.len())).then_some(())?;
        self.shape = shape;
        Some(self)
    }

    fn unsqueeze(mut self, axes: &[i64]) -> Option<Self> {
        let rank = self.shape.len() + axes.len();
        let mut at: Vec<usize> = axes.iter().map(|&a| position(a, rank)).collect::<Option<_>>()?;
        at.sort_unstable();
        at.dedup();
        (rank <= MAX_RANK && at.len() == axes.len()).then_some(())?;
        at.into_iter().for_each(|axis| self.shape.insert(axis, 1));
        Some(self)
    }

    fn squeeze(mut self, axes: Option<&[i64]>) -> Option<Self> {
        let rank = self.shape.len();
        let gone: Vec<usize> = match axes {
            Some(axes) => axes.iter().map(|&a| position(a, rank)).collect::<Option<_>>()?,
            None => (0..rank).filter(|&axis| self.shape[axis] == 1).collect(),
        };
        gone.iter().all(|&axis| self.shape[axis] == 1).then_some(())?;
        let mut axis = 0;
        self.shape.retain(|_| {
            axis += 1;
            !gone.contains(&(axis - 1))
        });
        Some(self)
    }
}

/// The attributes and inputs that say how a node moves elements.
struct Moves {
    axis: Option<i64>,
    axes: Option<Vec<i64>>,
    perm: Option<Vec<i64>>,
    /// The known integers of each input.
    inputs: Vec<Option<Vec<i64>>>,
    /// The shape of the second input.
    index_shape: Vec<usize>,
    /// `starts` and `ends` of old slices.
    bounds: Option<(Vec<i64>, Vec<i64>)>,
    allow_zero: bool,
    shape: Option<Vec<i64>>,
}

impl Moves {
    fn input(&self, index: usize) -> Option<&[i64]> {
        self.inputs.get(index)?.as_deref()
    }

    /// What a node makes of constants of one type.
    fn apply<T: Copy>(&self, op: &str, arrays: &[Array<T>]) -> Option<Array<T>> {
        let first = arrays.first()?;
        let rank = first.shape.len();
        let axes = self.axes.as_deref().or(self.input(1));
        match op {
            "Identity" | "Cast" => Some(first.clone()),
            "Transpose" => {
                let perm = match &self.perm {
                    Some(perm) => perm.iter().map(|&p| position(p, rank)).collect::<Option<Vec<_>>>()?,
                    None => (0..rank).rev().collect(),
                };
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                sorted.into_iter().eq(0..rank).then(|| first.transpose(&perm))?
            }
            "Unsqueeze" => first.clone().unsqueeze(axes?),
            "Squeeze" => first.clone().squeeze(axes),
            "Reshape" => first.clone().reshape(self.shape.as_deref().or(self.input(1))?, self.allow_zero),
            "Flatten" => {
                let at = position(self.axis.unwrap_or(1), rank + 1)?;
                let outer = elements(&first.shape[..at])?;
                first.clone().reshape(&[i64::try_from(outer).ok()?, -1], true)
            }
            "Expand" => {
                let to = self.input(1)?.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
                first.expand(&to)
            }
            "Concat" => Array::concat(arrays, position(self.axis?, rank)?),
            "Gather" => {
                let axis = position(self.axis.unwrap_or(0), rank)?;
                let n = i64::try_from(first.shape[axis]).ok()?;
                let index = self.input(1)?.iter().map(|&i| usize::try_from(if i < 0 { i + n } else { i }).ok());
                let index = index.collect::<Option<Vec<_>>>()?;
                let (before, after) = (&first.shape[..axis], &first.shape[axis + 1..]);
                let shape = [before, &self.index_shape, after].concat();
                let inner = self.index_shape.len();
                first.gather(shape, |at| {
                    let place = at[axis..axis + inner].iter().zip(&self.index_shape).fold(0, |p, (i, n)| p * n + i);
                    Some([&at[..axis], &[*index.get(place)?], &at[axis + inner..]].concat())
                })
            }
            "Slice" => {
                let (starts, ends) = match &self.bounds {
                    Some((starts, ends)) => (&starts[..], &ends[..]),
                    None => (self.input(1)?, self.input(2)?),
                };
                let axes = match self.axes.as_deref().or(self.input(3)) {
                    Some(axes) => axes.to_vec(),
                    None => (0..starts.len() as i64).collect(),
                };
                let steps = self.input(4).map_or(vec![1; starts.len()], <[i64]>::to_vec);
                (starts.len() == ends.len() && axes.len() == starts.len() && steps.len() == starts.len())
                    .then_some(())?;
                let mut found = first.clone();
                for i in 0..starts.len() {
                    let axis = position(axes[i], rank)?;
                    let n = i64::try_from(found.shape[axis]).ok()?;
                    let bound = |at: i64| if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
                    let (start, end) = (bound(starts[i]), bound(ends[i]));
                    let step = usize::try_from(steps[i]).ok().filter(|&step| step > 0)?;
                    let count = usize::try_from(end - start).unwrap_or(0).div_ceil(step);
                    found = found.slice(axis, usize::try_from(start).ok()?, count, step)?;
                }
                Some(found)
            }
            _ => None,
        }
    }

    /// The elements that a node would make, so that no memory is asked for first.
    fn len<T: Copy>(&self, op: &str, arrays: &[Array<T>]) -> Option<usize> {
        let first = arrays.first()?;
        match op {
            "Expand" => {
                let to = self.input(1)?.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))?;
                to.checked_mul(first.data.len())
            }
            "Gather" => elements(&self.index_shape)?.checked_mul(first.data.len()),
            _ => arrays.iter().try_fold(0usize, |n, array| n.checked_add(array.data.len())),
        }
    }
}

impl Walk<'_> {
    /// What a node makes of constants and shapes.
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
            ("ConstantOfShape", _) => {
                let fill = constant::fill(node)?;
                return one(match (&fill, inputs.first()) {
                    (Value::Zeros, _) => Value::Zeros,
                    (Value::Floats(t), _) if t.data.iter().all(|&x| x == 0.0) => Value::Zeros,
                    (Value::Ints(n), Some(Value::Ints(shape))) => {
                        let len = shape.known().and_then(|s| s.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?)));
                        match (len, n.data.first()) {
                            (Some(len), Some(&n)) if shape.data.len() == 1 && self.spend(len) => Value::Ints(Ints::list(vec![n; len])),
                            _ => Value::Other,
                        }
                    }
                    _ => Value::Other,
                });
            }
            ("Range", _) => return one(self.range(&inputs).unwrap_or(Value::Other)),
            ("Split", Some(value)) => return self.split(node, &value.clone()),
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
            "Identity", "Cast", "Transpose", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Expand", "Concat", "Gather",
            "Slice",
        ];
        if !moves.contains(&op) && op != "Tile" {
            return one(Value::Other);
        }
        one(match inputs.first() {
            Some(Value::Input) => Value::Input,
            Some(Value::State) => Value::State,
            Some(value) if op != "Concat" && value.is_zero() => Value::Zeros,
            Some(Value::States(_) | Value::Other) | None => Value::Other,
            Some(_) if op == "Tile" => Value::Other,
            Some(_) => self.moved(op, node, &inputs)?,
        })
    }

    /// What a node that moves elements makes of constants.
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
        // All parts of a `Concat`; of the others the first input is what moves.
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

    /// Takes memory for a constant from what the graph may use.
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
        (step == 1 && self.spend(len)).then(|| Value::Ints(Ints::list((start..end).map(Size::Known).collect())))
    }

    /// Sums and products of constants, and of sizes.
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
                    ("Add", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_add(b)?)),
                    ("Sub", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_sub(b)?)),
                    ("Div", Size::Known(a), Size::Known(b)) => Some(Size::Known(a.checked_div(b)?)),
                    _ => None,
                };
                if a.shape != b.shape && a.data.len().max(b.data.len()) != 1 {
                    return None;
                }
                let shape = if a.shape.len() >= b.shape.len() { &a.shape } else { &b.shape };
                let data = a.data.iter().zip(b.data.iter()).map(|(a, b)| f(*a, *b)).collect::<Option<Vec<_>>>()?;
                Some(Value::Ints(Ints { shape: shape.clone(), data: data.into() }))
            }
            _ => None,
        }
    }

    /// The parts of a constant, or of a state.
    fn split(&mut self, node: &Node, value: &Value) -> Result<Vec<Value>> {
        let count = node.output.len();
        let Value::Floats(t) = value else {
            let part = match value {
                Value::Input | Value::Zeros | Value::State => value.clone(),
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
            (sizes.len() == count && sizes.iter().try_fold(0usize, |a, s| a.checked_add(*s)) == Some(n)).then_some(())?;
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
    pub(super) fn shape_of(&self, node: &Node, axes: &[Axis]) -> Value {
        let known = |n: usize, axis: Axis| match i64::try_from(n) {
            Ok(n) if n > 0 => Size::Known(n),
            _ => Size::Free(axis),
        };
        let sizes: Vec<Size> = axes
            .iter()
            .map(|&axis| match axis {
                Axis::First => self.sizes[0].map_or(Size::Free(axis), Size::Known),
                Axis::Second => self.sizes[1].map_or(Size::Free(axis), Size::Known),
                Axis::Direction => known(self.directions, axis),
                Axis::Feature => known(self.width, axis),
                Axis::One => Size::Known(1),
            })
            .collect();
        let mut attributes = Attributes::new(node);
        let n = sizes.len() as i64;
        let bound = |at: i64| usize::try_from(if at < 0 { at.saturating_add(n) } else { at }.clamp(0, n)).unwrap_or(0);
        let (start, end) = (bound(attributes.int("start", 0)), bound(attributes.int("end", n)));
        Value::Ints(Ints::list(sizes.get(start..end).unwrap_or(&[]).to_vec()))
    }
}

impl Walk<'_> {
    /// A name as it stands in a message about a constant that could not be folded.
    pub(super) fn not_constant(&self, name: &str) -> &'static str {
        match self.values.get(name) {
            Some(Value::Input) => "an input of the graph",
            Some(Value::Data { .. } | Value::Last { .. }) => "the data",
            Some(Value::Ints(_)) => "integers",
            None => "nothing of that name",
            _ => {
                "something that the graph computes: fold its constants, with `onnxsim model.onnx folded.onnx` or \
                 `onnxruntime`'s `session_options.optimized_model_filepath`"
            }
        }
    }
}
