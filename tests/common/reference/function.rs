//! The activation functions of the ONNX operators RNN, LSTM and GRU, written from the formulas in ONNX'
//! documentation.

/// An activation function. Functions with parameters have ONNX' alpha and beta as fields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Tanh,
    Sigmoid,
    Relu,
    Affine { alpha: f64, beta: f64 },
    LeakyRelu { alpha: f64 },
    ThresholdedRelu { alpha: f64 },
    ScaledTanh { alpha: f64, beta: f64 },
    HardSigmoid { alpha: f64, beta: f64 },
    Elu { alpha: f64 },
    Softsign,
    Softplus,
}

impl Function {
    pub fn value(self, x: f64) -> f64 {
        match self {
            Function::Tanh => x.tanh(),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Function::Relu => x.max(0.0),
            Function::Affine { alpha, beta } => alpha * x + beta,
            Function::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Function::ThresholdedRelu { alpha } => {
                if x >= alpha {
                    x
                } else {
                    0.0
                }
            }
            Function::ScaledTanh { alpha, beta } => alpha * (beta * x).tanh(),
            Function::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Function::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * (x.exp() - 1.0)
                }
            }
            Function::Softsign => x / (1.0 + x.abs()),
            // log(1 + e^x), written so that e^x cannot overflow.
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
        }
    }

    /// Distance of `x` from the nearest point where the function or its first or second derivative jumps.
    /// Across such a point a central difference is wrong or imprecise.
    pub fn margin(self, x: f64) -> f64 {
        match self {
            Function::Tanh
            | Function::Sigmoid
            | Function::Affine { .. }
            | Function::ScaledTanh { .. }
            | Function::Softplus => f64::INFINITY,
            Function::Relu | Function::LeakyRelu { .. } | Function::Elu { .. } | Function::Softsign => {
                x.abs()
            }
            Function::ThresholdedRelu { alpha } => (x - alpha).abs(),
            // The corners are where alpha * x + beta is 0 and 1. A constant function has no corners.
            Function::HardSigmoid { alpha: 0.0, .. } => f64::INFINITY,
            Function::HardSigmoid { alpha, beta } => {
                let corner = |y: f64| (x - (y - beta) / alpha).abs();
                corner(0.0).min(corner(1.0))
            }
        }
    }

    /// The value of the function after clipping `x`, and the distance from a jump: the edges of the clip
    /// count, and the function's own jumps between them.
    pub fn clipped(self, clip: Option<f64>, x: f64) -> (f64, f64) {
        match clip {
            None => (self.value(x), self.margin(x)),
            Some(clip) => {
                let edge = (x.abs() - clip).abs();
                let own = if x.abs() < clip { self.margin(x) } else { f64::INFINITY };
                (self.value(x.clamp(-clip, clip)), edge.min(own))
            }
        }
    }
}
