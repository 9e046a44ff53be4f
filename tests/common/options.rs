//! Translates the reference's options into a layer of the library.

use recurrent::{Activation, Gru, Isa, Lstm, LstmNorm, Mgu, Reset, Rnn};

use crate::common::Layer;
use crate::reference::{Cell, Function, Norm, Options};

fn activation(function: Function) -> Activation {
    // Both sides hold the parameters as f32.
    let [a, b] = match function {
        Function::Affine { alpha, beta }
        | Function::ScaledTanh { alpha, beta }
        | Function::HardSigmoid { alpha, beta } => [alpha as f32, beta as f32],
        Function::LeakyRelu { alpha } | Function::ThresholdedRelu { alpha } | Function::Elu { alpha } => {
            [alpha as f32, 0.0]
        }
        _ => [0.0; 2],
    };
    match function {
        Function::Tanh => Activation::Tanh,
        Function::Sigmoid => Activation::Sigmoid,
        Function::Relu => Activation::Relu,
        Function::Affine { .. } => Activation::Affine { alpha: a, beta: b },
        Function::LeakyRelu { .. } => Activation::LeakyRelu { alpha: a },
        Function::ThresholdedRelu { .. } => Activation::ThresholdedRelu { alpha: a },
        Function::ScaledTanh { .. } => Activation::ScaledTanh { alpha: a, beta: b },
        Function::HardSigmoid { .. } => Activation::HardSigmoid { alpha: a, beta: b },
        Function::Elu { .. } => Activation::Elu { alpha: a },
        Function::Softsign => Activation::Softsign,
        Function::Softplus => Activation::Softplus,
    }
}

/// The layer with these options. Options at their defaults are not set.
pub fn layer(options: &Options, dropout: bool, isa: Isa) -> Layer {
    let &Options { cell, input, hidden, bias, functions, clip, peepholes, coupled, projection, norm } =
        options;
    let others = functions != Options::new(cell, input, hidden).functions;
    let [f, g, h] = functions.map(activation);
    let clip = clip.map(|clip| clip as f32);
    macro_rules! with {
        ($layer:ident, $($on:expr => $option:ident($($value:expr),*);)*) => {{
            $(if $on { $layer = $layer.$option($($value),*); })*
            if let Some(clip) = clip {
                $layer = $layer.clip(clip);
            }
            if dropout {
                $layer = $layer.recurrent_dropout();
            }
            $layer.bias(bias).on(isa)
        }};
    }
    match cell {
        Cell::Rnn => {
            let mut layer = Rnn::new(input, hidden);
            Layer::Rnn(with!(layer, others => activation(f);))
        }
        Cell::Lstm => {
            let mut layer = Lstm::new(input, hidden);
            if let Some(width) = projection {
                layer = layer.projection(width);
            }
            Layer::Lstm(with!(
                layer,
                others => activations(f, g, h);
                coupled => coupled();
                peepholes => peepholes();
                norm == Some(Norm::Paper) => layer_norm(LstmNorm::Output);
                norm == Some(Norm::State) => layer_norm(LstmNorm::State);
            ))
        }
        Cell::GruResetAfter | Cell::GruResetBefore => {
            let mut layer = Gru::new(input, hidden);
            Layer::Gru(with!(
                layer,
                others => activations(f, g);
                cell == Cell::GruResetBefore => reset(Reset::Before);
                norm.is_some() => layer_norm();
            ))
        }
        Cell::Mgu => {
            let layer = Mgu::new(input, hidden).bias(bias).on(isa);
            Layer::Mgu(if dropout { layer.recurrent_dropout() } else { layer })
        }
    }
}
