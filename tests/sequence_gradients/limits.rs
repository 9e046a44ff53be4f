//! Gradients at the limits: saturated units and growing states. guide/numerics.rs says how large the
//! deviations may be.

use recurrent::Isa;

use crate::common::Random;
use crate::common::case::{compare, wide};
use crate::options::layer;
use crate::reference::{Cell, Function, Options};
use crate::{CELLS, Case, GRADIENT_TOLERANCE, MARGIN, Says};

/// How much the gradient of the initial state changes, relative to its largest entry, if every weight changes
/// by half a unit in its last place.
fn moved_by_half_a_place(case: &Case, dstate: &[f64], step: f64) -> f64 {
    let largest = dstate.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    let mut most = 0.0f64;
    for seed in 0..8 {
        let mut weights = wide(&case.weights);
        let signs = Random::new(seed).uniform(weights.len(), 1.0);
        weights
            .iter_mut()
            .zip(signs)
            .for_each(|(w, sign)| *w *= 1.0 + f64::from(sign.signum()) * 0.5f64.powi(24));
        let moved = case.difference([weights, wide(&case.x), wide(&case.state)], 2, step);
        most = moved.iter().zip(dstate).fold(most, |most, (m, d)| most.max((m - d).abs() / largest));
    }
    most
}

/// Gates without a bound, and states of hundreds whose sums go into tanh. Where tanh is steep, the rounding
/// error of such a sum is a large part of its argument. No way to compute the derivative helps: changing the
/// weights by half a unit in the last place changes the gradients as much.
#[test]
fn states_that_grow() {
    // Must be small, because what it changes is multiplied by states of hundreds.
    const STEP: f64 = 1e-7;
    // The factor that guide/numerics.rs states.
    const TIMES: f64 = 6.0;
    let says = Says::all().next().unwrap();
    let (mut off, mut ratio) = (0.0f64, 0.0f64);
    for cell in [Cell::GruResetAfter, Cell::GruResetBefore] {
        let gates = Function::ThresholdedRelu { alpha: 0.1 };
        let plain = Options::new(cell, 3, 9);
        let options = Options { functions: [gates, Function::Tanh, plain.functions[2]], ..plain };
        let mut checked = 0;
        for seed in 0..4000 {
            let mut case = Case::from_seed(seed, options, says, (10, 2));
            case.weights.iter_mut().for_each(|w| *w *= 2.5);
            let arguments = [wide(&case.weights), wide(&case.x), wide(&case.state)];
            let want = case.reference([0, 1, 2].map(|n| &arguments[n][..]));
            let largest = want.y.iter().fold(0.0f64, |most, y| most.max(y.abs()));
            if !(want.margin > MARGIN && (200.0..1000.0).contains(&largest)) {
                continue;
            }
            let dstate = case.difference(arguments, 2, STEP);
            let moved = moved_by_half_a_place(&case, &dstate, STEP);
            for isa in Isa::available() {
                let got = case.library(layer(&options, false, isa));
                let what = format!("{cell:?}, seed {seed}, {}, moved {moved:e}", isa.name());
                let most = compare(&got[4], &dstate, GRADIENT_TOLERANCE + TIMES * moved, &what);
                (off, ratio) = (off.max(most), ratio.max((most - GRADIENT_TOLERANCE) / moved));
            }
            checked += 1;
            if checked == 10 {
                break;
            }
        }
        assert!(checked == 10, "{checked} cases of {cell:?} grow");
    }
    println!(
        "dstate is off by up to {off:.1e}, beyond the tolerance by {ratio:.1} times what half a place in the weights moves"
    );
}

/// The largest deviation of the gradients, each relative to its largest entry.
fn deviation(got: &[Vec<f32>], want: &[Vec<f64>]) -> f64 {
    assert_eq!(got.len(), want.len());
    let of = |(got, want): (&Vec<f32>, &Vec<f64>)| {
        assert_eq!(got.len(), want.len());
        let largest = want.iter().fold(f64::MIN_POSITIVE, |most, w| most.max(w.abs()));
        let off = got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs() / largest);
        // `max` would ignore NaN.
        off.fold(0.0f64, |most, off| if off <= most { most } else { off })
    };
    got.iter().zip(want).map(of).fold(0.0f64, |most, off| if off <= most { most } else { off })
}

/// All gradients of the input go through nearly saturated units. With options, derivatives are computed from
/// the arguments and keep their digits. Without options they are computed from the values and lose digits.
#[test]
fn units_that_saturate() {
    // An argument of 4 to 5 has a rounding error of 1e-6, which the derivative of tanh doubles. So this is
    // twice the usual tolerance.
    const TOLERANCE: f64 = 2.0 * GRADIENT_TOLERANCE;
    let says = Says::all().next().unwrap();
    for cell in CELLS {
        let plain = Options::new(cell, 3, 9);
        let options = Options { clip: Some(50.0), ..plain };
        let gates = plain.weights_len() / (3 + 9 + 2) / 9;
        let (mut most, mut without) = (0.0f64, 0.0f64);
        for seed in 0..10 {
            let mut case = Case::from_seed(seed, options, says, (3, 2));
            case.weights.iter_mut().for_each(|w| *w *= 0.2);
            let biases = gates * 9 * (3 + 9);
            for (i, b) in case.weights[biases..][..gates * 9].iter_mut().enumerate() {
                *b += if (i * 7 + seed as usize).is_multiple_of(3) { -4.5 } else { 4.5 };
            }
            let differences = case.differences();
            for isa in Isa::available() {
                let off = deviation(&case.library(layer(&options, false, isa))[2..], &differences);
                assert!(off <= TOLERANCE, "{cell:?}, seed {seed}, {}: off by {off:e}", isa.name());
                let values = deviation(&case.library(layer(&plain, false, isa))[2..], &differences);
                (most, without) = (most.max(off), without.max(values));
            }
        }
        println!("{cell:?}: gradients are off by up to {most:.1e}, from values by {without:.1e}");
    }
}

/// The tape of cells without options holds values, so a derivative is off by up to 1.2e-7 anywhere, as
/// guide/numerics.rs states.
#[test]
fn derivatives_from_values() {
    let says = Says::all().next().unwrap();
    for (cell, place) in [(Cell::Rnn, 0), (Cell::GruResetAfter, 1), (Cell::GruResetBefore, 1)] {
        let options = Options::new(cell, 1, 1);
        let mut case = Case::from_seed(0, options, says, (1, 1));
        let gates = case.weights.len() / 4;
        (case.x[0], case.state[0], case.dy[0], case.dstate[0]) = (0.0, 1.0, 1.0, 0.0);
        let (mut most, mut relative) = (0.0f64, 0.0f64);
        for n in -1200..=1200 {
            let at = n as f32 * 0.01;
            case.weights.fill(0.0);
            case.weights[2 * gates + place] = at;
            // The gradient of the bias is the derivative: that of tanh, or that of the update gate times h -
            // n = 1.
            let slope = match cell {
                Cell::Rnn => f64::from(at).cosh().powi(-2),
                _ => 0.25 * (0.5 * f64::from(at)).cosh().powi(-2),
            };
            for isa in Isa::available() {
                let got = case.library(layer(&options, false, isa));
                let off = (f64::from(got[2][2 * gates + place]) - slope).abs();
                assert!(off <= 1.2e-7, "{cell:?} at {at} on {}: off by {off:e}", isa.name());
                (most, relative) = (most.max(off), relative.max(off / slope));
            }
        }
        println!("{cell:?}: derivatives are off by {most:.1e}, {relative:.1e} of themselves");
    }
}
