//! The activation functions of the ONNX operators, with their derivatives.
//!
//! Largest errors in units of 2^-23, on every instruction set. The error of a value is relative to the value
//! itself; for the sigmoids and for `Affine`, to their terms. The error of a derivative is relative to its
//! largest value.
//!
//! | | value | derivative |
//! |---|---|---|
//! | `Tanh`, `Sigmoid` | 1.0, 0.8 | 1.0 |
//! | `Relu`, `ThresholdedRelu` | 0 | 0 |
//! | `LeakyRelu`, `HardSigmoid` | 0.5 | 0 |
//! | `Affine` | 1.0 | 0 |
//! | `ScaledTanh` | 1.4 | 1.4 |
//! | `Elu` | 1.7 | 0.8 |
//! | `Softsign` | 1.0 | 1.7 |
//! | `Softplus` | 1.1 | 0.8 |
//!
//! To add an activation, change these places. The compiler points out those marked "found", where a match on
//! [`Activation`] lacks the new variant:
//! 1. here: the variant, `value` and `derivative` (found), its errors above, and the largest of them in the
//!    guide's `numerics`;
//! 2. `image/record.rs`: `number` (found) and `function`, with the list of numbers in `image/mod.rs`;
//! 3. its names in files: `io/onnx/recurrent.rs`, `io/onnx/dense.rs` and the list of operators in
//!    `io/onnx/mod.rs`, `io/onnx/write/mod.rs` (found), `io/keras/mod.rs`, `io/plan.rs`, and
//!    `bin/recurrent/main.rs`;
//! 4. `activation_tests.rs`: `exact` (found) and `PROMISES`;
//! 5. the f64 reference: `function.rs` and `combinations.rs` in `tests/common/reference/`,
//!    `tests/common/options.rs`, and `grows` in `tests/sequence_gradients` if it has no bound;
//! 6. golden data, if ONNX has it: `tests/common/golden.rs` and `tests/data/sequences/from_onnx.py`;
//! 7. its curve: `examples/activations.rs`.

use super::math::{exp, sigmoid, tanh};
use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};
use crate::simd::{HAS_VECTORS, MAX_LANES, Region, Simd};

/// An activation function, as the ONNX operators RNN, LSTM and GRU name and define them.
///
/// ```
/// use recurrent::{Activation, Rnn};
/// const UNIT: Rnn = Rnn::new(1, 1).activation(Activation::LeakyRelu { alpha: 0.5 });
/// let (mut h, mut scratch) = ([0.0], [0.0; UNIT.scratch_len(1, 1)]);
/// UNIT.step(&[1.0, 0.0, 0.0, 0.0], &[-4.0], &mut h, &mut scratch)?;
/// assert_eq!(h, [-2.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `max(0, x)`
    Relu,
    /// `alpha * x + beta`
    Affine {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// `x`, and `alpha * x` below 0.
    LeakyRelu {
        /// Slope below 0; ONNX' default is 0.01.
        alpha: f32,
    },
    /// `x` from `alpha` on, and 0 below.
    ThresholdedRelu {
        /// Threshold. If a graph does not give it, it is 1, which is how this crate reads the text of ONNX.
        /// ONNX Runtime 1.32 uses 0 in recurrent operators.
        alpha: f32,
    },
    /// `alpha * tanh(beta * x)`
    ScaledTanh {
        /// Largest value.
        alpha: f32,
        /// Scale of the argument.
        beta: f32,
    },
    /// `alpha * x + beta`, clipped to 0 and 1.
    HardSigmoid {
        /// Slope; ONNX' default is 0.2.
        alpha: f32,
        /// Value at 0; ONNX' default is 0.5.
        beta: f32,
    },
    /// `x`, and `alpha * (e^x - 1)` below 0.
    Elu {
        /// Limit below 0; ONNX' default is 1.
        alpha: f32,
    },
    /// `x / (1 + |x|)`, and +-1 for infinity.
    Softsign,
    /// `log(1 + e^x)`
    Softplus,
}

/// An activation of a cell: the function, and how far its argument is clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) f: Activation,
    /// Arguments are clipped to `-clip` and `clip`.
    pub(crate) clip: f32,
}

/// An activation of a vector, compiled once per instruction set. Eleven functions are too much code to inline
/// at every place that may use one of them.
struct Value<S: Simd>(S, Activation, S::V);

impl<S: Simd> Region for Value<S> {
    type Output = S::V;
    #[inline(always)]
    fn run(self) -> S::V {
        let Value(s, f, x) = self;
        if const { is_apart::<S>() } { value_apart(s, f, x) } else { value(s, f, x) }
    }
}

/// Whether functions are shared, instead of inlined. Without vectors a region is inlined, so in firmware
/// whose layers are not constants, each place would have the code of all functions.
const fn is_apart<S: Simd>() -> bool {
    !HAS_VECTORS && S::LANES == 1 && cfg!(all(target_os = "none", feature = "named-forms"))
}

#[inline(never)]
fn tanh_apart<S: Simd>(s: S, x: S::V) -> S::V {
    tanh(s, x)
}

#[inline(never)]
fn value_apart<S: Simd>(s: S, f: Activation, x: S::V) -> S::V {
    value(s, f, x)
}

/// The derivative, computed from the argument and the value.
struct Derivative<S: Simd>(S, Activation, S::V, S::V);

impl<S: Simd> Region for Derivative<S> {
    type Output = S::V;
    #[inline(always)]
    fn run(self) -> S::V {
        derivative(self.0, self.1, self.2, self.3)
    }
}

/// `y = f(x)` of each element.
#[inline(always)]
pub(crate) fn activate<S: Simd>(s: S, f: Activation, x: &[f32], y: &mut [f32]) -> Checked {
    check(x.len() == y.len(), "activation")?;
    let (n, x, y) = (x.len(), x.as_ptr(), y.as_mut_ptr());
    let mut i = 0;
    while i < n {
        // SAFETY: `n - i` elements are left in both.
        unsafe { store(s, y.add(i), s.call(Value(s, f, load(s, x.add(i), n - i))), n - i) };
        i += S::LANES;
    }
    Ok(())
}

/// `dx = dy f'(x)` of each element.
#[inline(always)]
pub(crate) fn deactivate<S: Simd>(s: S, f: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) -> Checked {
    check(x.len() == dy.len() && x.len() == dx.len(), "gradient of an activation")?;
    let (n, x, dy, dx) = (x.len(), x.as_ptr(), dy.as_ptr(), dx.as_mut_ptr());
    let mut i = 0;
    while i < n {
        // SAFETY: `n - i` elements are left in all three.
        unsafe {
            let at = load(s, x.add(i), n - i);
            let slope = s.call(Derivative(s, f, at, s.call(Value(s, f, at))));
            store(s, dx.add(i), s.mul(load(s, dy.add(i), n - i), slope), n - i);
        }
        i += S::LANES;
    }
    Ok(())
}

impl Slot {
    /// The function's value.
    #[inline(always)]
    pub(crate) fn value<S: Simd>(self, s: S, x: S::V) -> S::V {
        s.call(Value(s, self.f, self.clamp(s, x)))
    }

    /// The function's value and its derivative, which is 0 if the argument is clipped.
    #[inline(always)]
    pub(crate) fn both<S: Simd>(self, s: S, x: S::V) -> (S::V, S::V) {
        let clamped = self.clamp(s, x);
        let y = s.call(Value(s, self.f, clamped));
        let d = s.call(Derivative(s, self.f, clamped, y));
        (y, s.lt_select(s.splat(self.clip), s.abs(x), s.splat(0.0), d))
    }

    /// NaN stays NaN.
    #[inline(always)]
    fn clamp<S: Simd>(self, s: S, x: S::V) -> S::V {
        s.max(s.splat(-self.clip), s.min(s.splat(self.clip), x))
    }
}

#[inline(always)]
fn value<S: Simd>(s: S, f: Activation, x: S::V) -> S::V {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    // Three functions share the code of a tanh.
    let of_tanh = match f {
        Activation::ScaledTanh { beta, .. } => s.mul(s.splat(beta), x),
        Activation::Elu { .. } => s.mul(s.splat(0.5), x),
        _ => x,
    };
    match f {
        Activation::Tanh | Activation::ScaledTanh { .. } | Activation::Elu { .. } => {
            let t = if const { is_apart::<S>() } { tanh_apart(s, of_tanh) } else { tanh(s, of_tanh) };
            match f {
                Activation::ScaledTanh { alpha, .. } => s.mul(s.splat(alpha), t),
                Activation::Elu { alpha } => {
                    // e^x - 1 = 2t / (1 - t) with t = tanh(x / 2), without cancellation near 0.
                    let below = s.div(s.mul(s.splat(2.0 * alpha), t), s.sub(one, t));
                    s.lt_select(x, zero, below, x)
                }
                _ => t,
            }
        }
        Activation::Sigmoid => sigmoid(s, x),
        Activation::Relu => s.lt_select(x, zero, zero, x),
        Activation::Affine { alpha, beta } => s.fma(s.splat(alpha), x, s.splat(beta)),
        Activation::LeakyRelu { alpha } => s.lt_select(x, zero, s.mul(s.splat(alpha), x), x),
        Activation::ThresholdedRelu { alpha } => s.lt_select(x, s.splat(alpha), zero, x),
        Activation::HardSigmoid { alpha, beta } => {
            let line = s.fma(s.splat(alpha), x, s.splat(beta));
            s.max(zero, s.min(one, line))
        }
        Activation::Softsign => {
            let x = s.max(s.splat(-f32::MAX), s.min(s.splat(f32::MAX), x));
            s.div(x, s.add(one, s.abs(x)))
        }
        Activation::Softplus => {
            let tail = exp(s, s.sub(zero, s.abs(x)));
            s.add(s.lt_select(x, zero, zero, x), ln_1p(s, tail))
        }
    }
}

/// The derivative, computed from the argument and the value. At a kink it is the derivative from the right.
/// For ReLU and the hard sigmoid, as everywhere, it is 0 there.
#[inline(always)]
fn derivative<S: Simd>(s: S, f: Activation, x: S::V, y: S::V) -> S::V {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    match f {
        Activation::Tanh => tanh_slope(s, x, y),
        Activation::Sigmoid => sigmoid_slope(s, x, y),
        Activation::Relu => s.lt_select(zero, x, one, zero),
        Activation::Affine { alpha, .. } => s.splat(alpha),
        Activation::LeakyRelu { alpha } => s.lt_select(x, zero, s.splat(alpha), one),
        Activation::ThresholdedRelu { alpha } => s.lt_select(x, s.splat(alpha), zero, one),
        Activation::ScaledTanh { alpha, beta } => {
            let x = s.mul(s.splat(beta), x);
            s.mul(s.splat(alpha * beta), tanh_slope(s, x, tanh(s, x)))
        }
        Activation::HardSigmoid { alpha, beta } => {
            let line = s.fma(s.splat(alpha), x, s.splat(beta));
            let slope = s.lt_select(line, one, s.splat(alpha), zero);
            s.lt_select(zero, line, slope, zero)
        }
        Activation::Elu { alpha } => s.lt_select(x, zero, s.mul(s.splat(alpha), exp(s, x)), one),
        Activation::Softsign => {
            let d = s.add(one, s.abs(x));
            s.div(one, s.mul(d, d))
        }
        Activation::Softplus => sigmoid(s, x),
    }
}

/// Beyond this, where the function is close to its limit, the derivative is not computed from the value:
/// there `1 - y^2` contains little more than the rounding error of `y`.
const STEEP: f32 = 1.5;

/// The derivative of tanh: `1 - y^2`, and for large `|x|` `4 e / (1 + e)^2` with `e = exp(-2 |x|)`.
#[inline(always)]
fn tanh_slope<S: Simd>(s: S, x: S::V, y: S::V) -> S::V {
    let (one, size) = (s.splat(1.0), s.abs(x));
    let e = exp(s, s.mul(s.splat(-2.0), size));
    let d = s.add(one, e);
    let far = s.div(s.mul(s.splat(4.0), e), s.mul(d, d));
    s.lt_select(s.splat(STEEP), size, far, s.fnma(y, y, one))
}

/// The derivative of the sigmoid: `y - y^2`, and for large `|x|` `e / (1 + e)^2` with `e = exp(-|x|)`.
#[inline(always)]
fn sigmoid_slope<S: Simd>(s: S, x: S::V, y: S::V) -> S::V {
    let (one, size) = (s.splat(1.0), s.abs(x));
    let e = exp(s, s.sub(s.splat(0.0), size));
    let d = s.add(one, e);
    s.lt_select(s.splat(STEEP), size, s.div(e, s.mul(d, d)), s.fnma(y, y, y))
}

/// `log(1 + x)` by `libm`, one lane after the other: the same bits everywhere.
#[inline(always)]
fn ln_1p<S: Simd>(s: S, x: S::V) -> S::V {
    const { assert!(S::LANES <= 8 * MAX_LANES) };
    let mut lanes = [0.0; 8 * MAX_LANES];
    // SAFETY: `S::LANES` elements fit, as just asserted.
    unsafe { s.store(lanes.as_mut_ptr(), x) };
    for lane in &mut lanes[..S::LANES] {
        *lane = libm::log1pf(*lane);
    }
    // SAFETY: as above.
    unsafe { s.load(lanes.as_ptr()) }
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
