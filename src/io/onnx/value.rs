//! What is known about the values of a graph without any input.

use std::rc::Rc;
use std::vec::Vec;

use super::super::tensor::Tensor;
use crate::Pool;

/// An axis of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// The first two axes of the graph's input. A recurrent layer determines which of them is time.
    First,
    Second,
    Direction,
    Feature,
    /// The axis of size 1 that is left of the steps.
    One,
    /// The first two axes merged into one.
    Rows {
        /// Whether the second axis comes first.
        swapped: bool,
    },
}

/// A size: a number, or the size of an axis that depends on the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Known(i64),
    Free(Axis),
    /// The product of the sizes of the first two axes.
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

/// The outputs of one of two directions, or one step of them.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) direction: usize,
    pub(super) axes: Vec<Axis>,
    /// Which step; `None` for all steps.
    pub(super) step: Option<Pool>,
    pub(super) version: usize,
}

impl Half {
    /// The last state of a direction. For the reverse direction it is the output of the first step.
    pub(super) fn state(direction: usize, axes: Vec<Axis>, version: usize) -> Self {
        let step = Some(if direction == 0 { Pool::Last } else { Pool::First });
        Half { direction, axes, step, version }
    }
}

/// What is known about a value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// The data that flows through the layers. `version` tells whether it is current.
    Data {
        axes: Vec<Axis>,
        version: usize,
    },
    /// The last states of the previous layer: outputs of its last step, or of its first step in reverse.
    Last {
        axes: Vec<Axis>,
        version: usize,
    },
    Half(Half),
    /// One step of a recurrent layer's outputs. It becomes the data when it is used, if `version` is current.
    Step {
        axes: Vec<Axis>,
        pool: Pool,
        version: usize,
    },
    /// States of several layers, one after the other.
    States(Rc<[Value]>),
    /// Another state of a layer.
    State,
    /// Floats. They are shared, because a node such as `Identity` takes little room in a file and must not
    /// copy them.
    Floats(Rc<Tensor>),
    Ints(Ints),
    /// Equal integers, one for each sequence.
    Lengths(Size),
    /// Floats that are all zero. The shape may be unknown, or depend on the input.
    Zeros(Option<Rc<[Size]>>),
    /// Another input of the graph, or a part of one: a state, or lengths.
    Input,
    /// Anything else. No layer accepts it.
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
