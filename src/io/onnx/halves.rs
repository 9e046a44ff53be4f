//! The directions of a bidirectional layer as separate values. Exporters split them, and join them as Keras
//! or PyTorch does.

use std::vec::Vec;

use super::super::error::Result;
use super::schema::Node;
use super::shape::{position, transpose};
use super::value::{Axis, Half, Value};
use super::{Attributes, Walk, leaves};
use crate::model::Layer;
use crate::{Merge, Pool};

/// A node that takes a part along one axis.
pub(super) struct Cut {
    pub(super) axis: usize,
    start: i64,
    /// The end, for a `Slice`.
    end: Option<i64>,
    /// Whether the axis remains, with size 1.
    pub(super) keeps: bool,
}

impl Cut {
    /// The element that the node takes of `count`, if it takes exactly one.
    pub(super) fn one_of(&self, count: usize) -> Option<usize> {
        let count = i64::try_from(count).ok()?;
        let at = |n: i64| if n < 0 { n.saturating_add(count) } else { n };
        let start = at(self.start);
        let single = self.end.is_none_or(|end| at(end).min(count) == start.saturating_add(1));
        usize::try_from(start).ok().filter(|_| single && start < count)
    }

    /// The axes that remain.
    pub(super) fn left(&self, mut axes: Vec<Axis>) -> Vec<Axis> {
        if self.keeps {
            axes[self.axis] = Axis::One;
        } else {
            axes.remove(self.axis);
        }
        axes
    }
}

impl Walk<'_> {
    /// The part that a `Gather` or a `Slice` takes from a value of this rank, if it cuts along one axis.
    pub(super) fn cut(&self, op: &str, node: &Node, rank: usize) -> Option<Cut> {
        let ints = |input: usize| match self.values.get(node.input.get(input)?) {
            Some(Value::Ints(ints)) => Some(ints),
            _ => None,
        };
        let given = |name: &str, input: usize| match node.attribute.iter().find(|a| a.name == name) {
            Some(attribute) => Some(attribute.ints.clone()),
            None => ints(input)?.known(),
        };
        match op {
            "Gather" => {
                let (axis, index) = (Attributes::new(node).int("axis", 0), ints(1)?);
                match index.known()?[..] {
                    [start] if index.shape.len() <= 1 => {
                        let keeps = !index.shape.is_empty();
                        Some(Cut { axis: position(axis, rank)?, start, end: None, keeps })
                    }
                    _ => None,
                }
            }
            "Slice" => {
                let (starts, ends) = (given("starts", 1)?, given("ends", 2)?);
                let axes = given("axes", 3).unwrap_or_else(|| [0].into());
                let by_one = given("steps", 4).is_none_or(|steps| steps == [1]);
                match (&starts[..], &ends[..], &axes[..]) {
                    (&[start], &[end], &[axis]) if by_one => {
                        Some(Cut { axis: position(axis, rank)?, start, end: Some(end), keeps: true })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The pool that takes the same step, if a node takes the last or the first step.
    fn end_of(&self, cut: &Cut, axis: Axis) -> Option<Pool> {
        if self.time != Some(axis) || self.padded {
            return None;
        }
        let to_end = cut.end.is_none_or(|end| self.is_end(end, axis));
        match self.is_last(cut.start, axis) && to_end {
            true => Some(Pool::Last),
            false => (cut.start == 0 && cut.end.is_none_or(|end| end == 1)).then_some(Pool::First),
        }
    }

    /// Handles a node that works on one direction, or takes one from the data. Returns `false` for other
    /// nodes.
    pub(super) fn halves(&mut self, op: &str, node: &Node) -> Result<bool> {
        let inputs: Vec<Value> =
            node.input.iter().filter_map(|name| self.values.get(name)).cloned().collect();
        let made = match (op, &inputs[..]) {
            ("Concat" | "Add", [Value::Half(first), Value::Half(second)]) => {
                return self.join(op, node, first, second);
            }
            ("Slice" | "Gather", [Value::Data { axes, version }, ..]) if *version == self.version => {
                return match self.part_of_data(op, node, axes) {
                    Some(part) => self.made(node, part).map(|()| true),
                    None => Ok(false),
                };
            }
            ("Squeeze", [Value::Step { axes, pool, version }, ..]) => {
                return match self.squeezed(node, axes, false)? {
                    Some(axes) => {
                        let step = Value::Step { axes, pool: *pool, version: *version };
                        self.made(node, step).map(|()| true)
                    }
                    None => Ok(false),
                };
            }
            ("Slice", [Value::Step { axes, pool, version }, ..])
                if *version == self.version && self.side_by_side() =>
            {
                self.cut(op, node, axes.len()).and_then(|cut| self.side(&cut, axes, Some(*pool)))
            }
            ("Slice" | "Gather", [Value::Half(half), ..]) => self.part(op, node, half),
            ("Squeeze", [Value::Half(half), ..]) => {
                let left = self.squeezed(node, &half.axes, false)?;
                left.map(|axes| Half { axes, ..half.clone() })
            }
            ("Transpose", [Value::Half(half)]) => {
                Some(Half { axes: transpose(node, half.axes.clone())?, ..half.clone() })
            }
            ("Identity" | "Cast", [Value::Half(half)]) => {
                leaves(op, node, &half.axes)?;
                Some(half.clone())
            }
            _ => None,
        };
        match made {
            Some(half) => self.made(node, Value::Half(half)).map(|()| true),
            None => Ok(false),
        }
    }

    /// Takes one of the two directions, or one step of a recurrent layer.
    fn part_of_data(&mut self, op: &str, node: &Node, axes: &[Axis]) -> Option<Value> {
        let cut = self.cut(op, node, axes.len())?;
        let version = self.version;
        match axes[cut.axis] {
            Axis::Direction if self.states.1 == 2 => {
                let (direction, axes) = (cut.one_of(2)?, cut.left(axes.to_vec()));
                Some(Value::Half(Half { direction, axes, step: None, version }))
            }
            Axis::Feature if self.side_by_side() => self.side(&cut, axes, None).map(Value::Half),
            of if !self.reversed && self.network.last().is_some_and(|layer| layer.levels().is_some()) => {
                let pool = self.end_of(&cut, of)?;
                Some(Value::Step { axes: cut.left(axes.to_vec()), pool, version })
            }
            _ => None,
        }
    }

    /// Whether the data is the output of a layer with both directions side by side.
    fn side_by_side(&mut self) -> bool {
        let (units, directions) = self.states;
        let apart = directions != 2 || self.directions != 1 || self.width != units * 2 || self.reversed;
        let is_stack = |layer: &mut Layer| layer.levels().is_some_and(|l| l.both == Some(Merge::Concat));
        !apart && self.network.last().is_some_and(is_stack)
    }

    /// The half of the features that belongs to one direction.
    fn side(&self, cut: &Cut, axes: &[Axis], step: Option<Pool>) -> Option<Half> {
        let units = i64::try_from(self.states.0).ok()?;
        let end = cut.end.filter(|_| axes[cut.axis] == Axis::Feature)?;
        let direction = match cut.start {
            0 if end == units || end == -units => 0,
            start if (start == units || start == -units) && self.is_end(end, Axis::Feature) => 1,
            _ => return None,
        };
        Some(Half { direction, axes: axes.to_vec(), step, version: self.version })
    }

    /// Takes a step of one direction, or the element of an axis of size 1.
    fn part(&self, op: &str, node: &Node, half: &Half) -> Option<Half> {
        let cut = self.cut(op, node, half.axes.len())?;
        let step = match (half.axes[cut.axis], half.step) {
            // An axis of size 1 that is left of the steps or the directions.
            (Axis::One, step) => cut.one_of(1).map(|_| step)?,
            (axis, None) => Some(self.end_of(&cut, axis)?),
            _ => return None,
        };
        Some(Half { axes: cut.left(half.axes.clone()), step, ..half.clone() })
    }

    /// Joins both directions. The result becomes the data.
    fn join(&mut self, op: &str, node: &Node, first: &Half, second: &Half) -> Result<bool> {
        let apart = (first.direction, second.direction) == (0, 1)
            || op == "Add" && (first.direction, second.direction) == (1, 0);
        let (forward, backward) = if first.direction == 0 { (first, second) } else { (second, first) };
        let current = forward.version == self.version && backward.version == self.version;
        let rank = first.axes.len();
        if !apart || !current || first.axes != second.axes || first.axes.last() != Some(&Axis::Feature) {
            return Ok(false);
        }
        if op == "Concat" && position(Attributes::new(node).int("axis", 0), rank) != rank.checked_sub(1) {
            return Ok(false);
        }
        let pool = match (forward.step, backward.step) {
            (None, None) => None,
            (Some(Pool::Last), Some(Pool::First)) => Some(Pool::Ends),
            (Some(a), Some(b)) if a == b => Some(a),
            _ => return Ok(false),
        };
        // The last states of both directions are taken first and added afterwards.
        if op == "Add" && pool != Some(Pool::Ends) {
            self.network.sum_directions();
            self.version += 1;
            (self.width, self.directions) = (self.states.0, 1);
        } else {
            (self.width, self.directions) = (self.states.0 * 2, 1);
        }
        if let Some(pool) = pool {
            self.push("", Layer::Pool(pool))?;
        }
        if op == "Add" && pool == Some(Pool::Ends) {
            self.width = self.states.0;
            let (name, sum) = (self.name(node, "sum"), self.network.sum_of_halves(self.width));
            self.push(&name, sum)?;
        }
        self.goes_on(node, first.axes.clone())?;
        Ok(true)
    }
}
