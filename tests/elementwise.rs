//! Layers that compute each feature independently: their equations and derivatives.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{SIZES, assert_close, differences, dot, length, random, wide};
use recurrent::{Activate, Activation, Gradients, Isa, Scale};

#[test]
fn activation_layers_are_their_functions() {
    let functions = [
        (Activation::Tanh, f64::tanh as fn(f64) -> f64),
        (Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
        (Activation::Relu, |x| x.max(0.0)),
        (Activation::LeakyRelu { alpha: 0.25 }, |x| if x < 0.0 { 0.25 * x } else { x }),
        (Activation::Elu { alpha: 2.0 }, |x| if x < 0.0 { 2.0 * x.exp_m1() } else { x }),
        (Activation::Softplus, |x| x.exp().ln_1p()),
    ];
    for (function, exact) in functions {
        for isa in Isa::available() {
            let layer = Activate::new(function).on(isa);
            for len in 0..35 {
                let (x, dy) = (random(len, 70), random(len, 71));
                let (mut y, mut dx) = (vec![f32::NAN; len], vec![f32::NAN; len]);
                layer.forward(&x, &mut y).unwrap();
                layer.backward(&x, &dy, &mut dx).unwrap();
                assert_close("y", &y, &wide(&x).iter().map(|&x| exact(x)).collect::<Vec<_>>(), 1e-6);
                let expected =
                    differences(&wide(&x), |x| dot(&x.iter().map(|&x| exact(x)).collect::<Vec<_>>(), &dy));
                assert_close("dx", &dx, &expected, 1e-5);
            }
        }
    }
    let layer = Activate::new(Activation::Relu);
    assert_eq!(layer.forward(&[0.0; 3], &mut [0.0; 2]), Err(length("y", 3, 2)));
    assert_eq!(layer.backward(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]), Err(length("dy", 3, 2)));
    assert_eq!(layer.backward(&[0.0; 3], &[0.0; 3], &mut [0.0; 4]), Err(length("dx", 3, 4)));
}

#[test]
fn scales_are_their_equation_and_derivative() {
    for width in SIZES {
        let layer = Scale::new(width);
        let rows = 5;
        let (weights, mut x, mut dy) =
            (random(layer.weights_len(), 80), random(rows * width, 81), random(rows * width, 82));
        let exact = |x: &[f64], w: &[f64]| -> Vec<f64> {
            x.iter().enumerate().map(|(i, x)| x * w[i % width] + w[width + i % width]).collect()
        };
        let mut y = vec![f32::NAN; x.len()];
        layer.forward(&weights, &x, &mut y).unwrap();
        assert_close("y", &y, &exact(&wide(&x), &wide(&weights)), 1e-6);

        // Padding: the input may be anything there if its gradient is 0.
        dy[..width].fill(0.0);
        let expected = differences(&wide(&weights), |w| dot(&exact(&wide(&x), w), &dy));
        let expected_dx = differences(&wide(&x), |x| dot(&exact(x, &wide(&weights)), &dy));
        x[..width].fill(f32::NAN);
        for mode in [Gradients::Overwrite, Gradients::Accumulate] {
            let before = if mode == Gradients::Accumulate { 1.0 } else { 0.0 };
            let (mut dx, mut grads) = (vec![f32::NAN; x.len()], vec![1.0; weights.len()]);
            layer.backward(&weights, &x, &dy, Some(&mut dx), Some(&mut grads), mode).unwrap();
            let expected: Vec<f64> = expected.iter().map(|g| g + before).collect();
            assert_close("grads", &grads, &expected, 1e-6);
            assert_close("dx", &dx, &expected_dx, 1e-6);
        }
    }
    let mut weights = [0.0; 4];
    Scale::new(2).normalise(&[1.0, -2.0], &[2.0, 4.0], &mut weights).unwrap();
    let mut y = [0.0; 2];
    Scale::new(2).forward(&weights, &[5.0, -2.0], &mut y).unwrap();
    assert_eq!(y, [2.0, 0.0]);
    assert_eq!(Scale::new(2).forward(&weights[1..], &[], &mut []), Err(length("weights", 4, 3)));
    assert_eq!(Scale::new(2).forward(&weights, &[0.0; 3], &mut [0.0; 3]), Err(length("x", 2, 3)));
    assert_eq!(Scale::new(2).forward(&weights, &[0.0; 2], &mut [0.0; 3]), Err(length("y", 2, 3)));
}
