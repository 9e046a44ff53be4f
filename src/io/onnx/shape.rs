//! Nodes that move axes, and nodes that reduce the steps to one row.

use std::format;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Result, unsupported};
use super::value::{Axis, Size, Value};
use super::{Attributes, Walk, show};
use crate::Pool;
use crate::model::Layer;

const ONE_STEP: &str = "takes other steps than the last or the first one";
const ONE_DIRECTION: &str = "takes one direction of two: only both together are read";

/// The position of an axis. Negative numbers count from the end.
pub(super) fn position(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis.checked_add(i64::try_from(rank).ok()?)? } else { axis };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

pub(super) fn transpose(node: &Node, axes: Vec<Axis>) -> Result<Vec<Axis>> {
    let mut attributes = Attributes::new(node);
    let perm = attributes.get("perm").map(|a| a.ints.clone());
    attributes.finish()?;
    let perm = perm.unwrap_or_else(|| (0..axes.len() as i64).rev().collect());
    let moved: Option<Vec<Axis>> =
        perm.iter().map(|&p| axes.get(usize::try_from(p).ok()?).copied()).collect();
    match moved {
        Some(moved) if is_permutation(&perm, axes.len()) => Ok(moved),
        _ => unsupported(
            show(node),
            format!("permutes {} axes by {perm:?}, which is not supported", axes.len()),
        ),
    }
}

fn is_permutation(perm: &[i64], rank: usize) -> bool {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    sorted.len() == rank && sorted.into_iter().zip(0..).all(|(p, i)| p == i)
}

impl Walk<'_> {
    /// Integers that are an attribute in older operators, and an input in newer ones.
    pub(super) fn ints(
        &self,
        node: &Node,
        attributes: &mut Attributes<'_>,
        name: &'static str,
    ) -> Option<Vec<i64>> {
        match attributes.get(name) {
            Some(attribute) => Some(attribute.ints.clone()),
            None => match self.values.get(node.input.get(1)?) {
                Some(Value::Ints(ints)) => ints.known(),
                _ => None,
            },
        }
    }

    /// The axes that remain after a `Squeeze`. `None` if it removes axes other than the direction of a layer
    /// with one direction, what is left of its steps, or, if `may` is set, a single feature.
    pub(super) fn squeezed(&self, node: &Node, axes: &[Axis], may: bool) -> Result<Option<Vec<Axis>>> {
        let mut attributes = Attributes::new(node);
        let squeezed = self.ints(node, &mut attributes, "axes");
        attributes.finish()?;
        let single = |axis: &Axis| match axis {
            Axis::One => true,
            Axis::Direction => self.states.1 == 1,
            Axis::Feature => may,
            _ => false,
        };
        let place = |&a: &i64| position(a, axes.len()).filter(|&at| single(&axes[at]));
        let gone: Option<Vec<usize>> = squeezed.iter().flatten().map(place).collect();
        let left = |gone: Vec<usize>| {
            let kept = axes.iter().enumerate().filter(|(at, _)| !gone.contains(at));
            kept.map(|(_, axis)| *axis).collect()
        };
        Ok(gone.filter(|gone| !gone.is_empty()).map(left))
    }

    pub(super) fn squeeze(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        // Models with one output may drop the axis of features.
        match self.squeezed(node, &axes, self.width == 1 && self.layers > 0)? {
            Some(left) => self.goes_on(node, left),
            None => unsupported(
                show(node),
                "squeezes an axis other than a layer's single direction, its reduced steps, or a single feature",
            ),
        }
    }

    pub(super) fn unsqueeze(&mut self, node: &Node, mut axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let added = self.ints(node, &mut attributes, "axes");
        attributes.finish()?;
        let at = match added.as_deref() {
            Some(&[axis]) => position(axis, axes.len() + 1),
            _ => None,
        };
        match at {
            Some(at) => {
                axes.insert(at, Axis::One);
                self.goes_on(node, axes)
            }
            None => unsupported(show(node), "adds several axes, or axes that are not constant"),
        }
    }

    pub(super) fn flatten(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let axis = attributes.int("axis", 1);
        attributes.finish()?;
        let kept: Vec<Axis> = axes.iter().copied().filter(|axis| *axis != Axis::One).collect();
        match kept[..] {
            [_, Axis::Feature] if axis == 1 && axes.first() != Some(&Axis::One) => self.goes_on(node, kept),
            _ => unsupported(
                show(node),
                "joins the features of several steps, which no layer of this crate does",
            ),
        }
    }

    /// Merges directions and features into one axis. Axes of size 1 are added and removed.
    pub(super) fn reshape(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let allow_zero = attributes.int("allowzero", 0) != 0;
        let named =
            attributes.get("shape").map(|a| a.ints.iter().map(|&n| Size::Known(n)).collect::<Vec<_>>());
        attributes.finish()?;
        let shape = named.or_else(|| match self.values.get(node.input.get(1)?) {
            Some(Value::Ints(ints)) => Some(ints.data.to_vec()),
            _ => None,
        });
        let Some(shape) = shape else {
            return unsupported(
                show(node),
                "has a shape that is not constant, nor made of the sizes of the data",
            );
        };
        // The axes that stay, and their sizes.
        let joins = axes.ends_with(&[Axis::Direction, Axis::Feature]);
        let single =
            |axis: Axis| axis == Axis::One || axis == Axis::Direction && (joins || self.directions == 1);
        let kept: Vec<Axis> = axes.iter().copied().filter(|&axis| !single(axis)).collect();
        let width = if joins { self.width.saturating_mul(self.directions) } else { self.width };
        let size = |axis: Axis| match axis {
            Axis::First | Axis::Second | Axis::Rows { .. } => self.size(axis),
            Axis::Direction => i64::try_from(self.directions).map_or(Size::Free(axis), Size::Known),
            _ => i64::try_from(width).ok().filter(|&n| n > 0).map_or(Size::Free(axis), Size::Known),
        };
        if let Some(made) = self.rows(&kept, size(Axis::Feature), &shape) {
            if joins {
                (self.width, self.directions) = (width, 1);
            }
            return self.goes_on(node, made);
        }
        let (mut made, mut rest) = (Vec::new(), kept.iter().copied().peekable());
        let mut open = false;
        for (at, &n) in shape.iter().enumerate() {
            let next = rest.peek().copied();
            let copied = n == Size::Known(0) && !allow_zero;
            let takes = match next {
                Some(axis) if n == Size::Known(-1) && !open => {
                    open = true;
                    Some(axis)
                }
                Some(axis) if copied && axes.get(at) == Some(&axis) && !(joins && axis == Axis::Feature) => {
                    Some(axis)
                }
                Some(axis) if n == size(axis) => Some(axis),
                _ => None,
            };
            match takes {
                Some(axis) => {
                    rest.next();
                    made.push(axis);
                }
                None if n == Size::Known(1) || copied && axes.get(at) == Some(&Axis::One) => {
                    made.push(Axis::One)
                }
                None => return self.no_reshape(node, &shape),
            }
        }
        if rest.next().is_some() {
            return self.no_reshape(node, &shape);
        }
        if joins {
            (self.width, self.directions) = (width, 1);
        }
        self.goes_on(node, made)
    }

    fn no_reshape(&self, node: &Node, shape: &[Size]) -> Result<()> {
        let words: Vec<_> = shape
            .iter()
            .map(|n| match n {
                Size::Known(n) => format!("{n}"),
                Size::Free(_) | Size::Rows => "?".into(),
            })
            .collect();
        unsupported(
            show(node),
            format!(
                "makes [{}] of the data: only joining the directions of a layer is supported",
                words.join(", ")
            ),
        )
    }

    /// Whether an index on an axis is the last step.
    pub(super) fn is_last(&self, index: i64, axis: Axis) -> bool {
        index == -1 || self.size(axis).known().is_some_and(|steps| index == steps - 1)
    }

    /// Whether a slice with this end reaches the end of the axis.
    pub(super) fn is_end(&self, end: i64, axis: Axis) -> bool {
        let size = match axis {
            Axis::One => Some(1),
            Axis::Direction => i64::try_from(self.states.1).ok(),
            Axis::Feature => i64::try_from(self.width).ok().filter(|&n| n > 0),
            _ => self.size(axis).known(),
        };
        end >= i64::from(i32::MAX) || size.is_some_and(|n| end >= n)
    }

    /// The pool that takes the step at an index, if that is the last or the first.
    fn one_step(&self, index: i64, axis: Axis) -> Option<Pool> {
        match index {
            _ if self.is_last(index, axis) => Some(Pool::Last),
            0 => Some(Pool::First),
            _ => None,
        }
    }

    /// Takes one step by an index: the last or the first.
    pub(super) fn step(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let axis = attributes.int("axis", 0);
        attributes.finish()?;
        let index = match node.input.get(1).and_then(|name| self.values.get(name)) {
            Some(Value::Ints(index)) => index.known().map(|n| (n, index.shape.len())),
            _ => None,
        };
        let at = position(axis, axes.len());
        match (index, at.map(|at| axes[at])) {
            // The element of an axis of size 1 can be taken, too.
            (Some((index, rank)), Some(Axis::One)) if matches!(index[..], [0 | -1]) && rank <= 1 => {
                let mut axes = axes;
                if let (0, Some(at)) = (rank, at) {
                    axes.remove(at);
                }
                self.goes_on(node, axes)
            }
            (Some((index, rank)), Some(of)) if index.len() == 1 && rank <= 1 => {
                match self.one_step(index[0], of) {
                    Some(pool) => self.pool(node, axes, axis, pool, rank == 1),
                    None => unsupported(show(node), ONE_STEP),
                }
            }
            _ => unsupported(show(node), ONE_STEP),
        }
    }

    /// Takes one step by a list of one index: `GatherND` along the first axis.
    pub(super) fn step_by_list(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let batch = attributes.int("batch_dims", 0);
        attributes.finish()?;
        let index = match node.input.get(1).and_then(|name| self.values.get(name)) {
            Some(Value::Ints(ints)) => ints.known().map(|n| (n, ints.shape.clone())),
            _ => None,
        };
        match (index, axes.first()) {
            (Some((index, shape)), Some(&of)) if batch == 0 && index.len() == 1 && shape.len() <= 2 => {
                match self.one_step(index[0], of) {
                    Some(pool) => self.pool(node, axes, 0, pool, shape.len() == 2),
                    None => unsupported(show(node), ONE_STEP),
                }
            }
            _ => unsupported(show(node), ONE_STEP),
        }
    }

    /// Takes one step by a slice, which keeps the axis.
    pub(super) fn slice(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let mut given = |name: &'static str, input: usize| match attributes.get(name) {
            Some(attribute) => Some(attribute.ints.clone()),
            None => match self.values.get(node.input.get(input)?) {
                Some(Value::Ints(ints)) => ints.known(),
                _ => None,
            },
        };
        let (starts, ends, of, by) =
            (given("starts", 1), given("ends", 2), given("axes", 3), given("steps", 4));
        attributes.finish()?;
        let by = by.unwrap_or_default();
        let none = node.input.get(3).is_none_or(|name| name.is_empty());
        let of = of.or_else(|| none.then(|| (0..starts.as_ref().map_or(0, |s| s.len() as i64)).collect()));
        let (Some(starts), Some(ends), Some(of)) = (starts, ends, of) else {
            return unsupported(show(node), "slices at positions that are not constant");
        };
        if by.iter().any(|&step| step != 1) || starts.len() != ends.len() || of.len() != starts.len() {
            return unsupported(show(node), ONE_STEP);
        }
        let mut taken = None;
        for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&of) {
            let Some(at) = position(axis, axes.len()) else {
                return unsupported(show(node), "slices an axis that does not exist");
            };
            let to_end = self.is_end(end, axes[at]);
            if axes[at] == Axis::Direction && !(start == 0 && to_end) {
                return unsupported(show(node), ONE_DIRECTION);
            }
            match start {
                0 if to_end => {}
                start if to_end && self.is_last(start, axes[at]) && taken.is_none() => {
                    taken = Some((axis, Pool::Last));
                }
                0 if end == 1 && self.time == Some(axes[at]) && taken.is_none() => {
                    taken = Some((axis, Pool::First));
                }
                _ => return unsupported(show(node), ONE_STEP),
            }
        }
        match taken {
            Some((axis, pool)) => self.pool(node, axes, axis, pool, true),
            None => self.goes_on(node, axes),
        }
    }

    /// Adds both directions of the previous layer.
    pub(super) fn sum_directions(&mut self, node: &Node, mut axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let over = self.ints(node, &mut attributes, "axes");
        let keep = attributes.int("keepdims", 1);
        attributes.int("noop_with_empty_axes", 0);
        attributes.finish()?;
        let at = over.and_then(|over| match over[..] {
            [axis] => position(axis, axes.len()).filter(|&at| axes[at] == Axis::Direction),
            _ => None,
        });
        let Some(at) = at.filter(|_| self.directions == 2 && self.network.sum_directions()) else {
            return unsupported(show(node), "sums over an axis other than the two directions of a layer");
        };
        self.directions = 1;
        if keep != 0 {
            axes[at] = Axis::One;
        } else {
            axes.remove(at);
        }
        self.goes_on(node, axes)
    }

    pub(super) fn reduce(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let over = self.ints(node, &mut attributes, "axes");
        let keep = attributes.int("keepdims", 1);
        attributes.int("noop_with_empty_axes", 0);
        attributes.finish()?;
        match over.as_deref() {
            Some(&[axis]) => {
                let pool = if op == "ReduceMean" { Pool::Mean } else { Pool::Max };
                self.pool(node, axes, axis, pool, keep != 0)
            }
            _ => unsupported(show(node), "reduces an axis other than time"),
        }
    }

    fn pool(&mut self, node: &Node, mut axes: Vec<Axis>, axis: i64, pool: Pool, keep: bool) -> Result<()> {
        if self.padded {
            return unsupported(show(node), "includes the zeros after the ends of sequences");
        }
        match position(axis, axes.len()) {
            Some(at) if self.time == Some(axes[at]) => {
                if keep {
                    axes[at] = Axis::One;
                } else {
                    axes.remove(at);
                }
                let pool = self.in_order(pool);
                self.push("", Layer::Pool(pool))?;
                self.goes_on(node, axes)
            }
            _ => unsupported(show(node), "works on an axis other than time"),
        }
    }
}
