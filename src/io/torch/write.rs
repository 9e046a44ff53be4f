//! Writes parameters under PyTorch's names.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::super::network::Network;
use super::super::plan::{Function, Item, Plan};
use super::super::tensor::{Tensor, Tensors};
use super::{full, leaf};
use crate::model::Layer;
use crate::{Activation, Cell, GruCell, LstmCell, Merge, Recurrent, Reset, Stack};

/// The parameters of a network under PyTorch's names, and its plan.
pub(in super::super) fn write(network: &Network) -> Result<(Tensors, Plan)> {
    let (mut tensors, mut plan) = (Tensors::default(), Vec::new());
    for (named, weights) in network.parts() {
        let name = &named.name;
        let function = match named.layer {
            Layer::Embedding(l) => {
                insert(&mut tensors, full(name, "weight"), &[l.classes(), l.width()], weights);
                None
            }
            Layer::Dense(l) => {
                let (w, b) = weights.split_at(l.output() * l.input());
                insert(&mut tensors, full(name, "weight"), &[l.output(), l.input()], w);
                insert(&mut tensors, full(name, "bias"), &[l.output()], b);
                function(l.activation())
            }
            Layer::Rnn(stack) => {
                let cell = stack.layer(0, 0).cell();
                let fits = matches!(cell.activation, Activation::Tanh | Activation::Relu);
                split(&mut tensors, name, &stack, weights, fits && cell.clip == f32::INFINITY)?;
                function(Some(cell.activation))
            }
            Layer::Lstm(stack) => {
                let cell = stack.layer(0, 0).cell();
                let standard = LstmCell { projection: cell.projection, ..LstmCell::STANDARD };
                split(&mut tensors, name, &stack, weights, cell == standard)?;
                None
            }
            Layer::Gru(stack) => {
                let cell = stack.layer(0, 0).cell();
                if cell.reset == Reset::Before {
                    return unsupported(
                        format!("layer `{name}`"),
                        "PyTorch has no GRU that resets before the product",
                    );
                }
                split(&mut tensors, name, &stack, weights, cell == GruCell::STANDARD)?;
                None
            }
            Layer::Mgu(_) => {
                return unsupported(format!("layer `{name}`"), "PyTorch has no minimal gated unit");
            }
            Layer::Scale(_) => {
                return unsupported(
                    format!("layer `{name}`"),
                    "PyTorch has no module that only scales and shifts features",
                );
            }
            other @ (Layer::Pool(_) | Layer::Dropout(_) | Layer::Activate(_) | Layer::Residual) => {
                let item = Item::Plain(other);
                if !item.has_word() {
                    let what = super::super::describe(&other);
                    return unsupported(
                        format!("layer `{what}`"),
                        "a plan of PyTorch's modules cannot describe it",
                    );
                }
                plan.push(item);
                continue;
            }
        };
        plan.push(Item::Module(name.clone(), function));
    }
    Ok((tensors, Plan(plan)))
}

fn function(f: Option<Activation>) -> Option<Function> {
    match f {
        Some(Activation::Tanh) => Some(Function::Tanh),
        Some(Activation::Relu) => Some(Function::Relu),
        Some(Activation::Sigmoid) => Some(Function::Sigmoid),
        _ => None,
    }
}

fn insert(tensors: &mut Tensors, name: String, shape: &[usize], data: &[f32]) {
    tensors.0.insert(name, Tensor { shape: shape.to_vec(), data: data.to_vec() });
}

/// Adds the parameters of all layers and directions. `standard` says whether PyTorch has the cell.
fn split<C: Cell>(
    tensors: &mut Tensors,
    name: &str,
    stack: &Stack<C>,
    weights: &[f32],
    standard: bool,
) -> Result<()> {
    let refuse = |why| unsupported(format!("layer `{name}`"), why);
    if !standard {
        return refuse(
            "PyTorch's layer does not have these activations, clip, coupled gates, peepholes or layer normalisation",
        );
    }
    if stack.merge() == Some(Merge::Sum) {
        return refuse("PyTorch cannot add the outputs of two directions");
    }
    if stack.merge().is_none() && stack.layer(0, 0).is_reverse() {
        return refuse("PyTorch has no layer of the reverse direction alone");
    }
    let mut rest = weights;
    for index in 0..stack.depth() {
        for direction in 0..stack.directions() {
            let layer: Recurrent<C> = stack.layer(index, direction);
            let (own, others) = rest.split_at(layer.weights_len());
            rest = others;
            let parts = layer.weights(own)?;
            let rows = layer.gates() * layer.hidden();
            let shapes: [(&str, &[f32], &[usize]); 5] = [
                ("weight_ih", parts.w_ih, &[rows, layer.input()]),
                ("weight_hh", parts.w_hh, &[rows, layer.width()]),
                ("bias_ih", parts.b_ih, &[rows]),
                ("bias_hh", parts.b_hh, &[rows]),
                ("weight_hr", parts.w_hr, &[layer.width(), layer.hidden()]),
            ];
            for (part, data, shape) in shapes.into_iter().filter(|(_, data, _)| !data.is_empty()) {
                insert(tensors, full(name, &leaf(part, index, direction == 1, false)), shape, data);
            }
        }
    }
    Ok(())
}
