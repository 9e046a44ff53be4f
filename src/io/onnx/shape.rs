//! Nodes that move axes about, and those that make one row out of the steps.

use std::format;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Result, unsupported};
use super::{Attributes, Axis, Value, Walk, show};
use crate::Pool;
use crate::model::Layer;

/// The position that an axis means, which counts from the end if it is negative.
fn position(axis: i64, rank: usize) -> Option<usize> {
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
        Some(moved) if moved.len() == axes.len() && axes.iter().all(|a| moved.contains(a)) => Ok(moved),
        _ => unsupported(show(node), format!("permutes {} axes by {perm:?}", axes.len())),
    }
}

impl Walk {
    /// Integers that are an attribute in older operators, and an input in newer ones.
    fn ints(&self, node: &Node, attributes: &mut Attributes<'_>, name: &'static str) -> Option<Vec<i64>> {
        match attributes.get(name) {
            Some(attribute) => Some(attribute.ints.clone()),
            None => match self.values.get(node.input.get(1)?) {
                Some(Value::Ints(ints)) => Some(ints.to_vec()),
                _ => None,
            },
        }
    }

    pub(super) fn squeeze(&mut self, node: &Node, mut axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let squeezed = self.ints(node, &mut attributes, "axes");
        attributes.finish()?;
        let at = match squeezed.as_deref() {
            Some(&[axis]) => position(axis, axes.len()),
            _ => None,
        };
        match at {
            Some(at) if axes[at] == Axis::Direction && self.directions == 1 => {
                axes.remove(at);
                self.data(node, axes)
            }
            _ => unsupported(show(node), "squeezes something else than the one direction of a layer"),
        }
    }

    /// Directions and features become one axis.
    pub(super) fn reshape(&mut self, node: &Node, mut axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let allow_zero = attributes.int("allowzero", 0) != 0;
        let shape = self.ints(node, &mut attributes, "shape").unwrap_or_default();
        attributes.finish()?;
        let refuse = || unsupported(show(node), "does something else than to join the directions of a layer");
        if !axes.ends_with(&[Axis::Direction, Axis::Feature]) {
            return refuse();
        }
        axes.remove(axes.len() - 2);
        if shape.len() != axes.len() || allow_zero && shape.contains(&0) {
            return refuse();
        }
        let joined = self.width.saturating_mul(self.directions);
        for (&size, axis) in shape.iter().zip(&axes) {
            let known = match axis {
                Axis::First => self.sizes[0],
                Axis::Second => self.sizes[1],
                _ => i64::try_from(joined).ok(),
            };
            let copied = size == 0 && *axis != Axis::Feature;
            if !(size == -1 || copied || known == Some(size)) {
                return refuse();
            }
        }
        self.width = joined;
        self.directions = 1;
        self.data(node, axes)
    }

    /// One step out of all: the last.
    pub(super) fn step(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let axis = attributes.int("axis", 0);
        attributes.finish()?;
        let index = node.input.get(1).and_then(|name| self.values.get(name));
        match index {
            Some(Value::Ints(index)) if index[..] == [-1] => self.pool(node, axes, axis, Pool::Last),
            _ => unsupported(show(node), "takes something else than the last step"),
        }
    }

    pub(super) fn reduce(&mut self, op: &str, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let over = self.ints(node, &mut attributes, "axes");
        let keep = attributes.int("keepdims", 1);
        attributes.int("noop_with_empty_axes", 0);
        attributes.finish()?;
        match over.as_deref() {
            Some(&[axis]) if keep == 0 => {
                self.pool(node, axes, axis, if op == "ReduceMean" { Pool::Mean } else { Pool::Max })
            }
            _ => unsupported(show(node), "reduces something else than the steps"),
        }
    }

    fn pool(&mut self, node: &Node, mut axes: Vec<Axis>, axis: i64, pool: Pool) -> Result<()> {
        if self.padded {
            return unsupported(show(node), "takes the zeros after the ends of sequences for steps");
        }
        match position(axis, axes.len()) {
            Some(at) if self.time == Some(axes[at]) => {
                axes.remove(at);
                self.push("", Layer::Pool(pool))?;
                self.data(node, axes)
            }
            _ => unsupported(show(node), "works on another axis than time"),
        }
    }
}
