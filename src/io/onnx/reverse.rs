//! Steps in reverse order, as with Keras' `go_backwards`: a layer over them runs in reverse, and its last
//! step is the first.

use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::schema::Node;
use super::shape::position;
use super::value::{Axis, Value};
use super::{Attributes, Walk, show};
use crate::Pool;

impl Walk<'_> {
    /// Reverses the steps of whole sequences: `ReverseSequence`.
    pub(super) fn reverse_sequence(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        let mut attributes = Attributes::new(node);
        let [time, batch] = [("time_axis", 0), ("batch_axis", 1)]
            .map(|(name, default)| position(attributes.int(name, default), axes.len()).map(|at| axes[at]));
        attributes.finish()?;
        let (Some(time @ (Axis::First | Axis::Second)), Some(Axis::First | Axis::Second)) = (time, batch)
        else {
            return unsupported(show(node), "reverses an axis other than time");
        };
        let steps = self.size(time);
        let whole = match node.input.get(1).and_then(|name| self.values.get(name)) {
            Some(Value::Lengths(n)) => *n == steps,
            Some(Value::Ints(lengths)) => lengths.data.iter().all(|n| *n == steps),
            _ => false,
        };
        if !whole {
            return unsupported(show(node), "reverses with lengths other than those of the sequences");
        }
        self.reverse(node, axes, time)
    }

    /// Whether a `Slice` takes a whole axis from its end to its beginning.
    pub(super) fn is_reversal(&self, node: &Node) -> bool {
        let one = |input: usize| match self.values.get(node.input.get(input)?) {
            Some(Value::Ints(ints)) => ints.known().filter(|known| known.len() == 1).map(|known| known[0]),
            _ => None,
        };
        // The end has to be before the first element, which no ordinary index expresses.
        one(1) == Some(-1) && one(2).is_some_and(|end| end <= i64::from(i32::MIN) + 1) && one(4) == Some(-1)
    }

    pub(super) fn reverse_slice(&mut self, node: &Node, axes: Vec<Axis>) -> Result<()> {
        Attributes::new(node).finish()?;
        let axis = match node.input.get(3).and_then(|name| self.values.get(name)) {
            Some(Value::Ints(ints)) => ints.known().and_then(|known| known.first().copied()),
            _ => Some(0),
        };
        match axis.and_then(|axis| position(axis, axes.len())).map(|at| axes[at]) {
            Some(time @ (Axis::First | Axis::Second)) => self.reverse(node, axes, time),
            _ => unsupported(show(node), "reverses an axis other than time"),
        }
    }

    fn reverse(&mut self, node: &Node, axes: Vec<Axis>, time: Axis) -> Result<()> {
        if *self.time.get_or_insert(time) != time {
            return unsupported(show(node), "reverses an axis other than time");
        }
        if self.padded || axes.contains(&Axis::Direction) {
            return unsupported(show(node), "reverses steps of a layer with lengths or directions");
        }
        self.reversed = !self.reversed;
        self.version += 1;
        self.dense = super::dense::Open::No;
        self.goes_on(node, axes)
    }

    /// Converts a pool over the graph's steps to the equivalent pool over the steps in their original order.
    /// After it there are no steps.
    pub(super) fn in_order(&mut self, pool: Pool) -> Pool {
        match (core::mem::take(&mut self.reversed), pool) {
            (true, Pool::Last) => Pool::First,
            (true, Pool::First) => Pool::Last,
            (_, pool) => pool,
        }
    }
}
