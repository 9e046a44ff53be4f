//! Errors and special values of the activation functions and of their derivatives, on every instruction set.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::{Activation, Slot};
use crate::kernel::vector::{load, store};
use crate::simd::{Isa, Op, Simd, dispatch};

/// 1 ulp of 1.
const EPSILON: f64 = f32::EPSILON as f64;

/// The promised errors of one function.
struct Promise {
    f: Activation,
    /// Largest error of the value in `EPSILON`, relative to the larger of its magnitude and `floor`.
    value: f64,
    floor: f64,
    /// Largest error of the derivative in `EPSILON`, relative to its largest value, `steepest`.
    slope: f64,
    steepest: f64,
    /// Where the derivative jumps; NaN if it does not.
    kinks: [f64; 2],
}

/// One entry per function, with parameters that differ from the defaults. The errors were measured over
/// `points` and rounded up, as the module's documentation states them.
const PROMISES: [Promise; 11] = {
    const fn of(f: Activation, value: f64, slope: f64) -> Promise {
        Promise { f, value, floor: 0.0, slope, steepest: 1.0, kinks: [f64::NAN; 2] }
    }
    use Activation::*;
    [
        of(Tanh, 1.0, 1.0),
        // The error of a sigmoid is absolute.
        Promise { floor: 1.0, ..of(Sigmoid, 0.8, 1.0) },
        Promise { kinks: [0.0, 0.0], ..of(Relu, 0.0, 0.0) },
        // Near the line's zero, its error is relative to its terms.
        Promise { floor: 0.15, steepest: 0.75, ..of(Affine { alpha: 0.75, beta: -0.15 }, 1.0, 0.0) },
        Promise { kinks: [0.0, 0.0], ..of(LeakyRelu { alpha: 0.3 }, 0.5, 0.0) },
        Promise { kinks: [0.25, 0.25], ..of(ThresholdedRelu { alpha: 0.25 }, 0.0, 0.0) },
        Promise { steepest: 0.75, ..of(ScaledTanh { alpha: 1.25, beta: 0.6 }, 1.4, 1.4) },
        Promise {
            floor: 1.0,
            steepest: 0.35,
            kinks: [-0.4 / 0.35, 0.6 / 0.35],
            ..of(HardSigmoid { alpha: 0.35, beta: 0.4 }, 0.5, 0.0)
        },
        Promise { kinks: [0.0, 0.0], ..of(Elu { alpha: 0.8 }, 1.7, 0.8) },
        of(Softsign, 1.0, 1.7),
        of(Softplus, 1.1, 0.8),
    ]
};

/// Value and derivative in `f64`, by the formulas of the ONNX operators.
fn exact(f: Activation, x: f64) -> (f64, f64) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match f {
        Activation::Tanh => (x.tanh(), x.cosh().powi(-2)),
        Activation::Sigmoid => (sigmoid(x), sigmoid(x) * sigmoid(-x)),
        Activation::Relu => {
            if x > 0.0 {
                (x, 1.0)
            } else {
                (0.0, 0.0)
            }
        }
        Activation::Affine { alpha, beta } => (f64::from(alpha) * x + f64::from(beta), f64::from(alpha)),
        Activation::LeakyRelu { alpha } => {
            if x < 0.0 {
                (f64::from(alpha) * x, f64::from(alpha))
            } else {
                (x, 1.0)
            }
        }
        Activation::ThresholdedRelu { alpha } => {
            if x < f64::from(alpha) {
                (0.0, 0.0)
            } else {
                (x, 1.0)
            }
        }
        Activation::ScaledTanh { alpha, beta } => {
            let (alpha, beta) = (f64::from(alpha), f64::from(beta));
            (alpha * (beta * x).tanh(), alpha * beta * (beta * x).cosh().powi(-2))
        }
        Activation::HardSigmoid { alpha, beta } => {
            let line = f64::from(alpha) * x + f64::from(beta);
            (line.clamp(0.0, 1.0), if line > 0.0 && line < 1.0 { f64::from(alpha) } else { 0.0 })
        }
        Activation::Elu { alpha } => {
            if x < 0.0 {
                (f64::from(alpha) * x.exp_m1(), f64::from(alpha) * x.exp())
            } else {
                (x, 1.0)
            }
        }
        Activation::Softsign if x.is_infinite() => (x.signum(), 0.0),
        Activation::Softsign => (x / (1.0 + x.abs()), (1.0 + x.abs()).powi(-2)),
        Activation::Softplus => (x.max(0.0) + (-x.abs()).exp().ln_1p(), sigmoid(x)),
    }
}

struct Apply<'a>(Slot, &'a [f32], [&'a mut [f32]; 3]);

impl Op for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Apply(slot, x, mut out) = self;
        for i in (0..x.len()).step_by(S::LANES) {
            let left = x.len() - i;
            // SAFETY: all slices have the same length, and `left` elements from `i` on.
            unsafe {
                let v = load(s, x.as_ptr().add(i), left);
                let (y, d) = slot.both(s, v);
                for (out, v) in out.iter_mut().zip([slot.value(s, v), y, d]) {
                    store(s, out.as_mut_ptr().add(i), v, left);
                }
            }
        }
    }
}

/// Value and derivative at every point.
fn apply(isa: Isa, slot: Slot, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut out = [vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]];
    let [value, y, d] = &mut out;
    dispatch(isa, Apply(slot, x, [value, y, d]));
    let [value, y, d] = out;
    let bits = |of: &[f32]| -> Vec<u32> { of.iter().map(|v| v.to_bits()).collect() };
    assert_eq!(
        bits(&value),
        bits(&y),
        "{slot:?} on {}: the value beside the derivative is another",
        isa.name()
    );
    (y, d)
}

/// Floats of all magnitudes, evenly spaced ones between -20 and 20, and special values.
fn points() -> Vec<f32> {
    let all = (0..=u32::MAX).step_by(64_007).map(f32::from_bits).filter(|x| x.is_finite());
    let middle = (-40_000..=40_000).map(|i| i as f32 * 5e-4);
    let special = [0.0, f32::MIN_POSITIVE, 1e-45, 1.0, 88.7, 89.0, 104.0, 1e19, f32::MAX, f32::INFINITY];
    all.chain(middle).chain(special).chain(special.map(|x: f32| -x)).collect()
}

fn slot(f: Activation) -> Slot {
    Slot { f, clip: f32::INFINITY }
}

#[test]
fn errors_are_within_the_promise() {
    let (x, mut broken) = (points(), Vec::new());
    for Promise { f, value, floor, slope, steepest, kinks } in PROMISES {
        for isa in Isa::available() {
            let (y, d) = apply(isa, slot(f), &x);
            let (mut worst, mut worst_slope) = ((0.0, 0.0), (0.0, 0.0));
            for ((x, y), d) in x.iter().map(|x| f64::from(*x)).zip(y).zip(d) {
                let (want, want_d) = exact(f, x);
                let (y, d) = (f64::from(y), f64::from(d));
                // A result too large for `f32` is infinite.
                let off = if want.abs() > f64::from(f32::MAX) && y == want.signum() * f64::INFINITY {
                    0.0
                } else {
                    (y - want).abs() / want.abs().max(floor).max(f64::from(f32::MIN_POSITIVE)) / EPSILON
                };
                assert!(!off.is_nan() && !d.is_nan(), "{f:?} of {x}: {y}, {d}");
                if off > worst.0 {
                    worst = (off, x);
                }
                let off = (d - want_d).abs() / steepest / EPSILON;
                // Next to a kink, rounding to `f32` may move the argument to the other side.
                let beside = kinks.iter().any(|kink| (x - kink).abs() < 1e-6 * kink.abs());
                if off > worst_slope.0 && !beside {
                    worst_slope = (off, x);
                }
            }
            let text = std::format!("{f:?} on {}: value {worst:?}, derivative {worst_slope:?}", isa.name());
            std::println!("{text}");
            if worst.0 > value || worst_slope.0 > slope {
                broken.push(text);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Where a function saturates, its derivative keeps its relative accuracy: growing states multiply it by
/// large numbers.
#[test]
fn derivatives_keep_their_digits_far_out() {
    let x = points();
    let scaled = Activation::ScaledTanh { alpha: 1.25, beta: 0.6 };
    // `ScaledTanh` rounds its argument `beta x` first, and the derivative falls by a factor of `e^2` for each
    // increase of the argument by 1.
    let cases = [
        (Activation::Tanh, 0.0),
        (Activation::Sigmoid, 0.0),
        (scaled, 0.6 * EPSILON),
        (Activation::Elu { alpha: 0.8 }, 0.0),
    ];
    for (f, of_argument) in cases {
        for isa in Isa::available() {
            let (_, d) = apply(isa, slot(f), &x);
            let mut most = (0.0f64, 0.0);
            for (x, d) in x.iter().zip(d) {
                let (_, want) = exact(f, f64::from(*x));
                // Below this the exponential itself is subnormal.
                if want > 1e-36 {
                    let off = (f64::from(d) - want).abs() / want - of_argument * f64::from(x.abs());
                    most = if off > most.0 { (off, *x) } else { most };
                }
            }
            std::println!("{f:?} on {}: {most:?}", isa.name());
            assert!(most.0 < 2e-6, "{f:?} on {}: {most:?}", isa.name());
        }
    }
}

#[test]
fn not_a_number_stays_one() {
    for Promise { f, .. } in PROMISES {
        for isa in Isa::available() {
            for clip in [f32::INFINITY, 0.5] {
                let (y, _) = apply(isa, Slot { f, clip }, &[f32::NAN, -f32::NAN, 1.0]);
                assert!(y[0].is_nan() && y[1].is_nan() && !y[2].is_nan(), "{f:?} on {}: {y:?}", isa.name());
            }
        }
    }
}

/// Beyond the clip, the value is that at the clip, to the bit, and the derivative is 0. Inside and at the
/// clip nothing changes.
#[test]
fn clipped_arguments() {
    let x = points();
    for Promise { f, .. } in PROMISES {
        for isa in Isa::available() {
            for clip in [0.7, 3.0] {
                let edge: Vec<f32> = x.iter().map(|x| x.clamp(-clip, clip)).collect();
                let (want, slope) = apply(isa, slot(f), &edge);
                let (y, d) = apply(isa, Slot { f, clip }, &x);
                for (i, x) in x.iter().enumerate() {
                    let want_d = if x.abs() > clip { 0.0 } else { slope[i] };
                    let same = y[i].to_bits() == want[i].to_bits() && d[i].to_bits() == want_d.to_bits();
                    assert!(same, "{f:?} of {x} clipped at {clip} on {}: {}, {}", isa.name(), y[i], d[i]);
                }
            }
        }
    }
}

#[test]
fn derivatives_at_kinks() {
    let at = |f, x| apply(Isa::SCALAR, slot(f), &[x]).1[0];
    for zero in [0.0, -0.0] {
        assert_eq!(at(Activation::Relu, zero), 0.0);
        assert_eq!(at(Activation::LeakyRelu { alpha: 0.3 }, zero), 1.0);
        assert_eq!(at(Activation::Elu { alpha: 0.3 }, zero), 1.0);
    }
    assert_eq!(at(Activation::ThresholdedRelu { alpha: 0.25 }, 0.25), 1.0);
    // These numbers have no rounding error.
    let f = Activation::HardSigmoid { alpha: 0.25, beta: 0.5 };
    assert_eq!([-2.0, 2.0, 1.0].map(|x| at(f, x)), [0.0, 0.0, 0.25]);
}

#[test]
fn fused_instruction_sets_give_the_same_bits() {
    let x = points();
    for Promise { f, .. } in PROMISES {
        let bits = |isa| {
            let (y, d) = apply(isa, slot(f), &x);
            y.into_iter().chain(d).map(f32::to_bits).collect::<Vec<u32>>()
        };
        let want = bits(Isa::FUSED);
        for isa in Isa::available().filter(|isa| isa.is_fused()) {
            assert!(bits(isa) == want, "{f:?} on {}", isa.name());
        }
    }
}
