//! What is known of the values of a graph before any input is there.

use std::rc::Rc;
use std::vec::Vec;

use super::super::tensor::Tensor;
use crate::Pool;

/// An axis of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// The first two of the graph's input: which of them is time, a recurrent layer says.
    First,
    Second,
    Direction,
    Feature,
    /// One that is left of the steps, of size 1.
    One,
    /// The first two as one.
    Rows {
        /// Whether the second comes first.
        swapped: bool,
    },
}

/// A size: a number, or that of an axis which depends on the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Known(i64),
    Free(Axis),
    /// The product of those of the first two axes.
    Rows,
}

impl Size {
    pub(super) fn known(self) -> Option<i64> {
        match self {
            Size::Known(n) => Some(n),
            Size::Free(_) | Size::Rows => None,
        }
    }
}

/// Integers: a scalar, or a tensor of any shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ints {
    pub(super) shape: Vec<usize>,
    pub(super) data: Rc<[Size]>,
}

impl Ints {
    pub(super) fn list(data: Vec<Size>) -> Self {
        Ints { shape: [data.len()].into(), data: data.into() }
    }

    pub(super) fn scalar(n: Size) -> Self {
        Ints { shape: Vec::new(), data: [n].into() }
    }

    /// The numbers, if none depends on the input.
    pub(super) fn known(&self) -> Option<Vec<i64>> {
        self.data.iter().map(|n| n.known()).collect()
    }
}

/// The outputs of one direction of two, or one step of them.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) direction: usize,
    pub(super) axes: Vec<Axis>,
    /// Which step; none for all.
    pub(super) step: Option<Pool>,
    pub(super) version: usize,
}

impl Half {
    /// The last state of a direction, which in reverse is the output of the first step.
    pub(super) fn state(direction: usize, axes: Vec<Axis>, version: usize) -> Self {
        let step = Some(if direction == 0 { Pool::Last } else { Pool::First });
        Half { direction, axes, step, version }
    }
}

/// What is known of a value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// The data, as of a version.
    Data {
        axes: Vec<Axis>,
        version: usize,
    },
    /// The last states of the layer before: outputs of its last step, in reverse of its first.
    Last {
        axes: Vec<Axis>,
        version: usize,
    },
    Half(Half),
    /// One step of what a recurrent layer gives; it becomes the data when it is used, as of a version.
    Step {
        axes: Vec<Axis>,
        pool: Pool,
        version: usize,
    },
    /// States of several layers, one after the other.
    States(Rc<[Value]>),
    /// Another state of a layer.
    State,
    /// Shared, because a node `Identity` costs a file next to nothing.
    Floats(Rc<Tensor>),
    Ints(Ints),
    /// Integers that are all the same, as many as there are sequences.
    Lengths(Size),
    /// Floats that are all zero, of a shape that may depend on the input, if it is known.
    Zeros(Option<Rc<[Size]>>),
    /// Another input of the graph, or a part of it: a state, or lengths.
    Input,
    /// Anything else. No layer takes it.
    Other,
}

impl Value {
    /// The shape of a constant.
    pub(super) fn shape(&self) -> Option<Vec<Size>> {
        let known = |shape: &[usize]| {
            shape.iter().map(|&n| i64::try_from(n).ok().map(Size::Known)).collect::<Option<Vec<_>>>()
        };
        match self {
            Value::Zeros(shape) => shape.as_deref().map(<[Size]>::to_vec),
            Value::Floats(t) => known(&t.shape),
            Value::Ints(ints) => known(&ints.shape),
            _ => None,
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        match self {
            Value::Zeros(_) => true,
            Value::Floats(t) => t.data.iter().all(|&x| x == 0.0),
            _ => false,
        }
    }
}
