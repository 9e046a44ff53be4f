//! The model that all formats are read into and written from.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::error::{Result, unsupported};
use super::note::{Ending, Note};
use super::size;
use crate::model::{Chain, InputMask, Layer};
use crate::{Activate, Activation, Cell, Merge, Recurrent, Scale, Stack};

/// A layer and its name in the file: the prefix of PyTorch's parameters, or the name of a Keras layer or an
/// ONNX node.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The name; empty for a PyTorch module that is saved on its own.
    pub name: String,
    /// The layer.
    pub layer: Layer,
}

/// A model in memory: layers that fit together, and their weights in the layout of this crate.
///
/// ```
/// use recurrent::{io::{self, Format, Named, Network}, model::Layer};
/// let layers = [("gru", Layer::gru(2, 3)), ("fc", Layer::dense(3, 1))];
/// let weights = vec![0.5; layers.iter().map(|(_, layer)| layer.weights_len()).sum()];
/// let named = layers.map(|(name, layer)| Named { name: name.into(), layer });
/// let network = Network::new(named.into(), weights)?;
/// let file = io::write(&network, Format::Safetensors)?; // for PyTorch
/// assert_eq!(io::read(&file, Format::Safetensors, None)?, network);
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) layers: Vec<Named>,
    pub(super) weights: Vec<f32>,
    ending: Ending,
    initial_state: Vec<f32>,
    classes: Vec<String>,
    mask: Option<InputMask>,
    notes: Vec<Note>,
}

/// Notes are not compared: they say how a network was read, not what it is.
impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        (&self.layers, &self.weights, self.ending) == (&other.layers, &other.weights, other.ending)
            && (&self.initial_state, &self.classes, self.mask)
                == (&other.initial_state, &other.classes, other.mask)
    }
}

impl Network {
    /// A network of layers, from the input to the output, and their weights, layer after layer.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the layers do not fit together, or the weights have another
    /// length; [`Error::Unsupported`](super::Error::Unsupported) if two layers have the same name, or one has
    /// a size of 0.
    pub fn new(layers: Vec<Named>, weights: Vec<f32>) -> Result<Self> {
        // The weights bound every other size. Without them, a small file could ask for gigabytes.
        let plain = |l: &Layer| {
            matches!(l, Layer::Pool(_) | Layer::Dropout(_) | Layer::Activate(_) | Layer::Residual)
        };
        if let Some(l) = layers.iter().find(|l| !plain(&l.layer) && l.layer.weights_len() == 0) {
            return unsupported(format!("layer `{}`", l.name), "has a size of 0, and no weights");
        }
        let network = Network {
            layers,
            weights,
            ending: Ending::None,
            initial_state: Vec::new(),
            classes: Vec::new(),
            mask: None,
            notes: Vec::new(),
        };
        let expected = size::weights_len(&network.layers().collect::<Vec<_>>())?;
        crate::error::check_len("weights", expected, network.weights.len())?;
        let mut names = BTreeSet::new();
        let with_weights = network.layers.iter().filter(|l| l.layer.weights_len() > 0);
        match with_weights.map(|l| &l.name).find(|&name| !names.insert(name)) {
            Some(name) => unsupported(format!("layer `{name}`"), "has the name of another layer"),
            None => Ok(network),
        }
    }

    /// The layers with their names.
    pub fn named(&self) -> &[Named] {
        &self.layers
    }

    /// The layers.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> + '_ {
        self.layers.iter().map(|l| l.layer)
    }

    /// The weights, layer after layer.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The same with an initial state of one row. An empty one means zeros.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if it is not as long as the state of the layers.
    pub fn with_initial_state(mut self, state: Vec<f32>) -> Result<Self> {
        if !state.is_empty() {
            let layers: Vec<Layer> = self.layers().collect();
            crate::error::check_len("initial_state", Chain::state_of(&layers), state.len())?;
        }
        // A state of zeros is stored as an empty one.
        self.initial_state = if state.iter().all(|x| *x == 0.0) { Vec::new() } else { state };
        Ok(self)
    }

    /// The initial state of one row; empty for zeros. Images and ONNX files can hold it.
    pub fn initial_state(&self) -> &[f32] {
        &self.initial_state
    }

    /// The same with names of the classes, one for each output.
    ///
    /// # Errors
    /// [`Error::Unsupported`](super::Error::Unsupported) if the number of names differs from that of the
    /// outputs, or if a name is empty or has a line break.
    pub fn with_classes(mut self, classes: Vec<String>) -> Result<Self> {
        let layers: Vec<Layer> = self.layers().collect();
        let outputs = Chain::new(&layers)?.output();
        if !classes.is_empty() && classes.len() != outputs {
            let found = format!("are {}, and the model has {outputs} outputs", classes.len());
            return unsupported("the names of the classes", found);
        }
        if let Some(name) = classes.iter().find(|name| name.is_empty() || name.contains(['\n', '\r'])) {
            return unsupported(format!("the name {name:?} of a class"), "is empty or has a line break");
        }
        self.classes = classes;
        Ok(self)
    }

    /// Names of the classes, one for each output; empty if they are not known.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The function after the last layer. [`run`](Self::run) computes it.
    /// [`Format::holds_endings`](super::Format::holds_endings) says which formats hold it.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The same with steps that are masked by their input.
    pub fn with_mask(self, mask: Option<InputMask>) -> Self {
        Network { mask, ..self }
    }

    /// Which steps are masked by their input. [`run`](Self::run) and instances apply the mask. Only images
    /// hold it.
    pub fn mask(&self) -> Option<InputMask> {
        self.mask
    }

    /// The same with this ending after its last layer.
    pub fn with_ending(self, ending: Ending) -> Self {
        Network { ending, ..self }
    }

    /// The network without the function after its last layer: it gives logits instead of probabilities.
    pub fn logits(self) -> Self {
        Network { ending: Ending::None, ..self }
    }

    /// What was assumed or left out when the network was read.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Each layer with its weights.
    pub fn parts(&self) -> impl Iterator<Item = (&Named, &[f32])> {
        let mut rest = &self.weights[..];
        self.layers.iter().map(move |l| {
            let (own, others) = rest.split_at(l.layer.weights_len());
            rest = others;
            (l, own)
        })
    }

    /// The same with other layers and weights, which have to fit together.
    pub(super) fn with_parts(self, parts: Vec<(Named, Vec<f32>)>) -> Self {
        let (layers, weights): (Vec<Named>, Vec<Vec<f32>>) = parts.into_iter().unzip();
        Network { layers, weights: weights.concat(), ..self }
    }
}

/// A network that is being built.
#[derive(Debug, Default)]
pub(super) struct Builder {
    layers: Vec<Named>,
    pub(super) weights: Vec<f32>,
    pub(super) ending: Ending,
    pub(super) initial_state: Vec<f32>,
    pub(super) mask: Option<InputMask>,
    pub(super) notes: Vec<Note>,
}

impl Builder {
    /// Adds a layer. The caller appends its weights, before or after.
    pub(super) fn push(&mut self, name: impl ToString, layer: impl Into<Layer>) {
        self.layers.push(Named { name: name.to_string(), layer: layer.into() });
    }

    /// Adds a scale and a shift for each feature.
    pub(super) fn scale(&mut self, name: impl ToString, [scale, shift]: [Vec<f32>; 2]) {
        let width = scale.len();
        self.weights.extend(scale);
        self.weights.extend(shift);
        self.push(name, Scale::new(width));
    }

    /// Makes the last layer add up its two directions. Returns `false` if the last layer has no directions.
    pub(super) fn sum_directions(&mut self) -> bool {
        match self.last() {
            Some(Layer::Rnn(stack)) => *stack = stack.bidirectional(Merge::Sum),
            Some(Layer::Lstm(stack)) => *stack = stack.bidirectional(Merge::Sum),
            Some(Layer::Gru(stack)) => *stack = stack.bidirectional(Merge::Sum),
            _ => return false,
        }
        true
    }

    /// Appends the weights of a dense layer that adds the two halves of its input: a matrix of two
    /// identities.
    pub(super) fn sum_of_halves(&mut self, units: usize) -> Layer {
        let row = |row: usize| (0..2 * units).map(move |i| f32::from(u8::from(i % units == row)));
        self.weights.extend((0..units).flat_map(row));
        self.weights.resize(self.weights.len() + units, 0.0);
        Layer::dense(2 * units, units)
    }

    /// Length of the state of the layers so far.
    pub(super) fn state_len(&self) -> usize {
        let layers: Vec<Layer> = self.layers.iter().map(|l| l.layer).collect();
        Chain::state_of(&layers)
    }

    /// Adds an activation: to the last layer if that is dense, has none and supports it, otherwise as a
    /// separate layer.
    pub(super) fn activate(&mut self, function: Activation) {
        if let Some(Layer::Dense(dense)) = self.last()
            && dense.activation().is_none()
        {
            match function {
                Activation::Tanh => *dense = dense.tanh(),
                Activation::Relu => *dense = dense.relu(),
                Activation::Sigmoid => *dense = dense.sigmoid(),
                _ => {}
            }
            if dense.activation().is_some() {
                return;
            }
        }
        self.push("", Activate::new(function));
    }

    /// Features of the input, if a layer specifies them.
    pub(super) fn input(&self) -> Option<usize> {
        self.layers.first()?.layer.input()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    pub(super) fn last(&mut self) -> Option<&mut Layer> {
        self.layers.last_mut().map(|l| &mut l.layer)
    }

    /// Makes the network. Dropout at either end has no effect and is removed.
    pub(super) fn finish(mut self) -> Result<Network> {
        let dropout = |l: &Named| matches!(l.layer, Layer::Dropout(_));
        while self.layers.last().is_some_and(dropout) {
            self.layers.pop();
        }
        let leading = self.layers.iter().take_while(|l| dropout(l)).count();
        self.layers.drain(..leading);
        let network = Network::new(self.layers, self.weights)?;
        let mut initial_state = self.initial_state;
        if !initial_state.is_empty() {
            initial_state.resize(Chain::state_of(&network.layers().collect::<Vec<_>>()), 0.0);
        }
        let network = network.with_initial_state(initial_state)?;
        Ok(Network { ending: self.ending, mask: self.mask, notes: self.notes, ..network })
    }
}

/// The options of a stack that do not depend on its cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) depth: usize,
    pub(super) merge: Option<Merge>,
    pub(super) reverse: bool,
    pub(super) bias: bool,
}

impl Frame {
    pub(super) fn stack<C: Cell>(self, first: Recurrent<C>) -> Stack<C> {
        let first = first.bias(self.bias);
        let stack = Stack::new(if self.reverse { first.reverse() } else { first }).layers(self.depth);
        match self.merge {
            Some(merge) => stack.bidirectional(merge),
            None => stack,
        }
    }
}
