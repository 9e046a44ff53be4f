//! Two layers over the same data, one of them in reverse, are joined to one layer with both directions.

use std::string::ToString;
use std::vec::Vec;

use super::super::error::Result;
use super::super::layout::Kind;
use super::super::network::Frame;
use super::recurrent::{Options, options};
use super::schema::Node;
use super::value::{Axis, Half, Value};
use super::{Walk, show};
use crate::{Merge, Pool};

impl Walk<'_> {
    /// Joins a node with the layer before it, if they are the two directions of one layer. `false` if they
    /// are not.
    pub(super) fn beside(&mut self, op: &str, node: &Node) -> Result<bool> {
        let Some(alone) = self.alone.clone().filter(|alone| alone.version == self.version) else {
            return Ok(false);
        };
        let data = match node.input.first().and_then(|name| Some((name, self.values.get(name)?))) {
            Some((name, Value::Data { version, .. })) => (name.to_string(), *version),
            _ => return Ok(false),
        };
        let Some(kind) = Kind::of(op).filter(|kind| *kind == alone.kind && data == alone.data) else {
            return Ok(false);
        };
        let options = options(kind, node, self.is_int8(node))?;
        let (reverse, mut other) = (options.reverse, options.clone());
        other.reverse = alone.options.reverse;
        let alike = other == alone.options;
        let Some(time) = self.time.filter(|_| alike && reverse != alone.options.reverse) else {
            return Ok(false);
        };
        self.given(node, time)?;
        let start = self.network.weights.len();
        let sizes = self.directions_of(kind, node, &options)?;
        let (own, state) = (self.network.weights.len() - start, self.network.state_len() - alone.state);
        if sizes != alone.sizes {
            return super::unsupported(show(node), "has sizes that differ from the layer beside it");
        }
        self.initial_state(kind, node, (1, sizes.1))?;
        if !reverse {
            // The forward direction comes first.
            self.network.weights[start - own..].rotate_right(own);
            let initial = &mut self.network.initial_state;
            if initial.len() > alone.state {
                initial.resize(alone.state + 2 * state, 0.0);
                initial[alone.state..].rotate_right(state);
            }
        }
        let frame = Frame { depth: 1, merge: Some(Merge::Concat), reverse: false, bias: sizes.2 };
        let layer = self.layer(kind, node, &options, (sizes.0, sizes.1), frame);
        if let Some(last) = self.network.last() {
            *last = layer;
        }
        self.version += 1;
        (self.states, self.directions, self.pool, self.alone) = ((sizes.1, 2), 2, Pool::Ends, None);
        self.half(usize::from(alone.options.reverse), alone.version);
        let version = self.version;
        self.made_by(node, &options, data_axes(&options, time));
        self.half(usize::from(reverse), version);
        Ok(true)
    }

    /// Marks the values that belong to version `of` of the data: they hold only one of the two directions.
    fn half(&mut self, direction: usize, of: usize) {
        let version = self.version;
        let single = |axes: &[Axis]| -> Vec<Axis> {
            axes.iter().map(|&axis| if axis == Axis::Direction { Axis::One } else { axis }).collect()
        };
        for value in self.values.values_mut() {
            let half = match value {
                Value::Data { axes, version: v } if *v == of => {
                    Half { direction, axes: single(axes), step: None, version }
                }
                Value::Step { axes, pool, version: v } if *v == of => {
                    Half { direction, axes: single(axes), step: Some(*pool), version }
                }
                Value::Last { axes, version: v } if *v == of => Half::state(direction, single(axes), version),
                _ => continue,
            };
            *value = Value::Half(half);
        }
    }
}

/// The axes of time and batch.
fn data_axes(options: &Options, time: Axis) -> [Axis; 2] {
    let batch = if time == Axis::First { Axis::Second } else { Axis::First };
    if options.batch_major { [batch, time] } else { [time, batch] }
}
