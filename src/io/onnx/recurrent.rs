//! The operators RNN, LSTM and GRU.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::schema::Node;

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::layout::{Direction, Kind, ONNX};
use super::super::network::Frame;
use super::super::tensor::{check_shape, show as show_shape};
use super::value::{Axis, Value};
use super::{Attributes, FORMAT, Walk, show};
use crate::model::Layer;
use crate::{Activation, Gru, Lstm, Merge, Narrow, Pool, Reset, Rnn};

/// The attributes of a node.
#[derive(Clone, PartialEq)]
pub(super) struct Options {
    directions: usize,
    pub(super) reverse: bool,
    pub(super) batch_major: bool,
    hidden: Option<i64>,
    activations: Vec<Activation>,
    clip: Option<f32>,
    coupled: bool,
    reset: Reset,
    /// Whether the matrices have 8 bits.
    int8: bool,
}

/// The last layer so far, if it has one direction.
#[derive(Clone)]
pub(super) struct Alone {
    /// The name of its input data, and the version of the data.
    pub(super) data: (String, usize),
    /// The version of its output data.
    pub(super) version: usize,
    pub(super) kind: Kind,
    pub(super) options: Options,
    pub(super) sizes: (usize, usize, bool),
    /// Length of the states of the layers below.
    pub(super) state: usize,
}

pub(super) fn options(kind: Kind, node: &Node, int8: bool) -> Result<Options> {
    let mut attributes = Attributes::new(node);
    let direction = attributes.get("direction").map_or("forward", |a| &a.s);
    let directions = match direction {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        other => return unsupported(format!("direction `{other}` of the {}", show(node)), "is not known"),
    };
    let names = attributes.get("activations").map(|a| a.strings.clone());
    let alphas = attributes.get("activation_alpha").map_or(Vec::new(), |a| a.floats.clone());
    let betas = attributes.get("activation_beta").map_or(Vec::new(), |a| a.floats.clone());
    let options = Options {
        directions,
        reverse: direction == "reverse",
        batch_major: attributes.int("layout", 0) != 0,
        hidden: attributes.get("hidden_size").map(|a| a.i),
        activations: activations(kind, node, directions, names, (alphas, betas))?,
        clip: attributes.float("clip"),
        coupled: kind == Kind::Lstm && attributes.int("input_forget", 0) != 0,
        reset: match kind == Kind::Gru && attributes.int("linear_before_reset", 0) != 0 {
            true => Reset::After,
            false => Reset::Before,
        },
        int8,
    };
    attributes.finish()?;
    if options.clip.is_some_and(|clip| clip.is_nan() || clip <= 0.0) {
        return unsupported(format!("attribute `clip` of the {}", show(node)), "is not above 0");
    }
    Ok(options)
}

/// The activations of a direction. Both directions must have the same.
fn activations(
    kind: Kind,
    node: &Node,
    directions: usize,
    names: Option<Vec<String>>,
    (alphas, betas): (Vec<f32>, Vec<f32>),
) -> Result<Vec<Activation>> {
    let standard: &[&str] = match kind {
        Kind::Rnn => &["Tanh"],
        Kind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        Kind::Gru => &["Sigmoid", "Tanh"],
    };
    let names = names.unwrap_or_else(|| {
        standard.iter().cycle().take(standard.len() * directions).map(|name| name.to_string()).collect()
    });
    let refuse = |why: String| unsupported(format!("attribute `activations` of the {}", show(node)), why);
    if names.len() != standard.len() * directions {
        return refuse(format!("has {} names instead of {}", names.len(), standard.len() * directions));
    }
    if alphas.iter().chain(&betas).any(|parameter| parameter.is_nan()) {
        return refuse("have a NaN parameter".to_string());
    }
    let (mut alphas, mut betas) = (alphas.into_iter(), betas.into_iter());
    let mut all = Vec::new();
    for name in &names {
        // Only activations with parameters use up an element of these lists.
        let mut alpha = |default: Option<f32>| alphas.next().or(default);
        let mut beta = |default: Option<f32>| betas.next().or(default);
        let activation = match &name.to_ascii_lowercase()[..] {
            "tanh" => Some(Activation::Tanh),
            "sigmoid" => Some(Activation::Sigmoid),
            "relu" => Some(Activation::Relu),
            "affine" => alpha(None).zip(beta(None)).map(|(alpha, beta)| Activation::Affine { alpha, beta }),
            "leakyrelu" => alpha(Some(0.01)).map(|alpha| Activation::LeakyRelu { alpha }),
            "thresholdedrelu" => alpha(Some(1.0)).map(|alpha| Activation::ThresholdedRelu { alpha }),
            "scaledtanh" => {
                alpha(None).zip(beta(None)).map(|(alpha, beta)| Activation::ScaledTanh { alpha, beta })
            }
            "hardsigmoid" => alpha(Some(0.2))
                .zip(beta(Some(0.5)))
                .map(|(alpha, beta)| Activation::HardSigmoid { alpha, beta }),
            "elu" => alpha(Some(1.0)).map(|alpha| Activation::Elu { alpha }),
            "softsign" => Some(Activation::Softsign),
            "softplus" => Some(Activation::Softplus),
            _ => return refuse(format!("`{name}` is not known")),
        };
        match activation {
            Some(activation) => all.push(activation),
            None => return refuse(format!("`{name}` has no alpha or beta")),
        }
    }
    if alphas.next().is_some() || betas.next().is_some() {
        return refuse("there are more alphas or betas than the activations use".to_string());
    }
    let (first, second) = all.split_at(standard.len());
    if !second.is_empty() && first != second {
        return refuse("the two directions have different activations".to_string());
    }
    all.truncate(standard.len());
    Ok(all)
}

impl Walk<'_> {
    pub(super) fn recurrent(&mut self, op: &str, node: &Node, axes: &[Axis]) -> Result<()> {
        let kind = Kind::of(op).unwrap_or(Kind::Gru);
        let options = options(kind, node, self.is_int8(node))?;
        let &[first, second, Axis::Feature] = axes else {
            return unsupported(show(node), "needs data of steps, batch and features");
        };
        let time = if options.batch_major { second } else { first };
        if *self.time.get_or_insert(time) != time {
            return unsupported(show(node), "uses as time the axis that another layer uses as the batch");
        }
        if [first, second].iter().any(|axis| !matches!(axis, Axis::First | Axis::Second)) {
            return unsupported(show(node), "needs a sequence, but its input has no steps any more");
        }
        self.given(node, time)?;
        if self.reversed && (options.directions == 2 || self.padded) {
            return unsupported(
                show(node),
                "reads the steps backwards and also has both directions or lengths, which is not supported",
            );
        }
        // If the steps are in reverse order, the last one comes first.
        let reverse = options.reverse != self.reversed;
        let (input, hidden, bias) = self.directions_of(kind, node, &options)?;
        let merge = (options.directions == 2).then_some(Merge::Concat);
        let frame = Frame { depth: 1, merge, reverse, bias };
        let name = self.name(node, &op.to_ascii_lowercase());
        let layer = self.layer(kind, node, &options, (input, hidden), frame);
        let (before, state) = (self.version, self.network.state_len());
        self.initial_state(kind, node, (options.directions, hidden))?;
        self.push(&name, layer)?;
        (self.width, self.directions) = (hidden, options.directions);
        self.states = (hidden, options.directions);
        self.pool = match options.directions {
            2 => Pool::Ends,
            _ if reverse => Pool::First,
            _ => Pool::Last,
        };

        self.made_by(node, &options, [first, second]);
        if let (Some(name), 1, false) = (node.input.first(), options.directions, self.reversed) {
            let (data, version, sizes) = ((name.clone(), before), self.version, (input, hidden, bias));
            self.alone = Some(Alone { data, version, kind, options, sizes, state });
        }
        Ok(())
    }

    /// Stores the outputs of a layer over data with these axes.
    pub(super) fn made_by(&mut self, node: &Node, options: &Options, [first, second]: [Axis; 2]) {
        let mut outputs = node.output.iter();
        let (sequence, last) = match options.batch_major {
            false => {
                ([first, Axis::Direction, second, Axis::Feature], [Axis::Direction, second, Axis::Feature])
            }
            true => {
                ([first, second, Axis::Direction, Axis::Feature], [first, Axis::Direction, Axis::Feature])
            }
        };
        let version = self.version;
        if let Some(y) = outputs.next() {
            self.value(y, Value::Data { axes: sequence.to_vec(), version });
        }
        if let Some(y_h) = outputs.next() {
            self.value(y_h, Value::Last { axes: last.to_vec(), version });
        }
        if let Some(y_c) = outputs.next() {
            self.value(y_c, Value::State);
        }
    }

    /// Stores constant initial states. They must be the same for all rows.
    pub(super) fn initial_state(
        &mut self,
        kind: Kind,
        node: &Node,
        (directions, hidden): (usize, usize),
    ) -> Result<()> {
        let count = if kind == Kind::Lstm { 2 } else { 1 };
        let mut parts = [Vec::new(), Vec::new()];
        for (part, input) in parts.iter_mut().zip([5, 6]).take(count) {
            let Some(Value::Floats(given)) = node.input.get(input).and_then(|name| self.values.get(name))
            else {
                continue;
            };
            // [directions, batch, hidden]
            let rows = given.shape.get(1).copied().unwrap_or(0);
            if given.shape != [directions, rows, hidden] || rows == 0 || hidden == 0 {
                return Err(Error::Tensor {
                    name: node.input[input].clone(),
                    expected: format!("[{directions}, batch, {hidden}]"),
                    found: show_shape(&given.shape),
                });
            }
            for direction in given.data.chunks(rows * hidden) {
                let first = &direction[..hidden];
                if direction.chunks(hidden).any(|row| row != first) {
                    return unsupported(
                        show(node),
                        "has an initial state that differs between rows: only one that all rows share can be read",
                    );
                }
                part.extend_from_slice(first);
            }
        }
        if parts.iter().flatten().all(|x| *x == 0.0) {
            return Ok(());
        }
        let before = self.network.state_len();
        let state = &mut self.network.initial_state;
        state.resize(before, 0.0);
        for direction in 0..directions {
            for part in &parts[..count] {
                match part.chunks(hidden).nth(direction) {
                    Some(row) => state.extend_from_slice(row),
                    None => state.resize(state.len() + hidden, 0.0),
                }
            }
        }
        Ok(())
    }

    /// Checks lengths and initial states: they must be inputs of the graph, which the caller sets, or have no
    /// effect. Constant initial states are handled elsewhere.
    pub(super) fn given(&mut self, node: &Node, time: Axis) -> Result<()> {
        let steps = self.size(time);
        for (input, what) in [(4, "lengths"), (5, "an initial state"), (6, "an initial state")] {
            let Some(name) = node.input.get(input).filter(|name| !name.is_empty()) else { continue };
            match self.values.get(name) {
                Some(Value::Input) if input == 4 => {
                    self.padded = true;
                    self.note_caller("the graph takes lengths: they are those of the sequences that are run");
                }
                // All lengths equal the number of steps.
                Some(Value::Ints(lengths)) if input == 4 && lengths.data.iter().all(|n| *n == steps) => {}
                Some(Value::Lengths(n)) if input == 4 && *n == steps => {}
                Some(Value::Ints(_) | Value::Lengths(_)) if input == 4 => {
                    return unsupported(
                        show(node),
                        "has constant lengths that differ from its number of steps",
                    );
                }
                Some(Value::Input) => {
                    self.note_caller("the graph takes initial states: `run` begins with zeros");
                }
                Some(value) if input > 4 && value.is_zero() => {}
                Some(Value::Floats(_)) if input > 4 => {}
                _ => return unsupported(show(node), format!("has {what} that is neither zero nor an input")),
            }
        }
        Ok(())
    }

    /// Appends the weights. Returns input size, hidden size, and whether there are biases.
    pub(super) fn directions_of(
        &mut self,
        kind: Kind,
        node: &Node,
        options: &Options,
    ) -> Result<(usize, usize, bool)> {
        let d = options.directions;
        let tensor = |input: usize, shape: Option<&[usize]>| -> Result<Option<Vec<f32>>> {
            let (Some(tensor), Some(shape)) = (self.floats(node, input)?, shape) else { return Ok(None) };
            check_shape(node.input.get(input).map_or("", |name| name), shape, &tensor.shape)?;
            Ok(Some(tensor.data.clone()))
        };
        let (Some(w), Some(r)) = (self.floats(node, 1)?, self.floats(node, 2)?) else {
            return damaged(FORMAT, format!("the {} has no weights", show(node)));
        };
        let input = w.shape.last().copied().unwrap_or(0);
        let hidden = r.shape.last().copied().unwrap_or(0);
        if options.hidden.is_some_and(|h| usize::try_from(h) != Ok(hidden)) {
            return unsupported(
                format!("attribute `hidden_size` of the {}", show(node)),
                format!("is not {hidden}"),
            );
        }
        let rows = kind.gates().saturating_mul(hidden);
        let w = tensor(1, Some(&[d, rows, input]))?.unwrap_or_default();
        let r = tensor(2, Some(&[d, rows, hidden]))?.unwrap_or_default();
        let b = tensor(3, Some(&[d, rows.saturating_mul(2)]))?;
        let p = match kind {
            Kind::Lstm => tensor(7, Some(&[d, hidden.saturating_mul(3)]))?,
            _ => None,
        };
        let part = |of: &[f32], n: usize| of[n * of.len() / d..(n + 1) * of.len() / d].to_vec();
        for n in 0..d {
            let from = Direction {
                w_ih: part(&w, n),
                w_hh: part(&r, n),
                bias: b.as_ref().map(|b| {
                    let mut both = part(b, n);
                    let second = both.split_off(rows);
                    (both, Some(second))
                }),
                w_hr: Vec::new(),
                peepholes: p.as_ref().map_or(vec![], |p| part(p, n)),
            };
            ONNX.append(kind, hidden, from, &mut self.network.weights);
        }
        Ok((input, hidden, b.is_some()))
    }

    pub(super) fn layer(
        &self,
        kind: Kind,
        node: &Node,
        options: &Options,
        (input, hidden): (usize, usize),
        frame: Frame,
    ) -> Layer {
        let f = &options.activations;
        let layer = match kind {
            Kind::Rnn => {
                let layer = Rnn::new(input, hidden).activation(f[0]);
                Layer::Rnn(frame.stack(match options.clip {
                    Some(clip) => layer.clip(clip),
                    None => layer,
                }))
            }
            Kind::Gru => {
                let mut layer = Gru::new(input, hidden).reset(options.reset);
                if f[..] != [Activation::Sigmoid, Activation::Tanh] {
                    layer = layer.activations(f[0], f[1]);
                }
                Layer::Gru(frame.stack(match options.clip {
                    Some(clip) => layer.clip(clip),
                    None => layer,
                }))
            }
            Kind::Lstm => {
                let mut layer = Lstm::new(input, hidden);
                if f[..] != [Activation::Sigmoid, Activation::Tanh, Activation::Tanh] {
                    layer = layer.activations(f[0], f[1], f[2]);
                }
                if let Some(clip) = options.clip {
                    layer = layer.clip(clip);
                }
                if options.coupled {
                    layer = layer.coupled();
                }
                if node.input.get(7).is_some_and(|name| !name.is_empty()) {
                    layer = layer.peepholes();
                }
                Layer::Lstm(frame.stack(layer))
            }
        };
        if options.int8 { layer.narrow(Narrow::W8A16) } else { layer }
    }
}
