//! Dense layers with an activation, forward and backward.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{assert_close, differences, dot, length, random, wide};
use recurrent::{Dense, DenseBackward, Error, Gradients, Gru, Isa};

/// The layer with an activation, and its function.
type Kind = (fn(Dense) -> Dense, fn(f64) -> f64);

#[test]
fn dense_layers_with_an_activation() {
    let kinds: [Kind; 3] = [
        (Dense::tanh, f64::tanh),
        (Dense::relu, |x| x.max(0.0)),
        (Dense::sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ];
    for (kind, f) in kinds {
        for (input, output, rows) in [(1, 1, 1), (3, 7, 2), (8, 9, 5), (5, 33, 40), (2, 3, 0)] {
            let plain = Dense::new(input, output);
            let weights = random(plain.weights_len(), 70);
            let (x, dy) = (random(rows * input, 71), random(rows * output, 72));
            let oracle = |weights: &[f64], x: &[f64]| {
                let (w, b) = weights.split_at(output * input);
                let sum = |row: usize, o: usize| -> f64 {
                    b[o] + (0..input).map(|i| w[o * input + i] * x[row * input + i]).sum::<f64>()
                };
                (0..rows * output).map(|i| f(sum(i / output, i % output))).collect::<Vec<_>>()
            };
            let (w64, x64) = (wide(&weights), wide(&x));
            let expected_grads = differences(&w64, |w| dot(&oracle(w, &x64), &dy));
            let expected_dx = differences(&x64, |x| dot(&oracle(&w64, x), &dy));
            let mut fused: Option<[Vec<f32>; 3]> = None;
            for isa in Isa::available() {
                let layer = kind(plain).on(isa);
                let (mut y, mut dx) = (vec![f32::NAN; rows * output], vec![f32::NAN; rows * input]);
                let (mut grads, mut scratch) =
                    (vec![f32::NAN; weights.len()], vec![f32::NAN; layer.scratch_len()]);
                layer.forward(&weights[..], rows, &x, &mut y, &mut scratch).unwrap();
                assert_close("y", &y, &oracle(&w64, &x64), 5e-7);
                let mut ds = dy.clone();
                let args = DenseBackward {
                    rows,
                    x: &x,
                    y: &y,
                    dy: &mut ds,
                    dx: Some(&mut dx),
                    grads: Some(&mut grads),
                    mode: Gradients::Overwrite,
                    scratch: &mut scratch,
                };
                layer.backward(&weights, args).unwrap();
                assert_close("grads", &grads, &expected_grads, 3e-6);
                assert_close("dx", &dx, &expected_dx, 3e-6);
                if isa.is_fused() {
                    let result = [y, dx, grads];
                    assert_eq!(*fused.get_or_insert(result.clone()), result, "{}", isa.name());
                }
            }
        }
    }
    // With an activation, backward needs the output. Without one, `y` must be empty or have its full length.
    for (layer, y) in [(Dense::new(1, 2).tanh(), 0), (Dense::new(1, 2).tanh(), 1), (Dense::new(1, 2), 1)] {
        let (mut dy, mut scratch) = ([7.0; 2], vec![0.0; layer.scratch_len()]);
        let args = DenseBackward {
            rows: 1,
            x: &[1.0],
            y: &[0.5; 2][..y],
            dy: &mut dy,
            dx: None,
            grads: None,
            mode: Gradients::Overwrite,
            scratch: &mut scratch,
        };
        assert_eq!(layer.backward(&[0.0; 4], args), Err(length("y", 2, y)));
        assert_eq!(dy, [7.0; 2]);
    }
}

#[test]
fn packed_weights_give_the_bits_of_canonical_ones() {
    for (input, output) in [(0, 3), (1, 1), (7, 9), (33, 17), (16, 32), (5, 0)] {
        for isa in Isa::available() {
            for kind in [|layer| layer, Dense::tanh] {
                let layer: Dense = kind(Dense::new(input, output).on(isa));
                let weights = random(layer.weights_len(), 73);
                let packed = layer.pack(&weights, vec![f32::NAN; layer.packed_len()]).unwrap();
                for rows in [0, 1, 2, 3, 5, 40] {
                    let (x, mut scratch) = (random(rows * input, 74), vec![f32::NAN; layer.scratch_len()]);
                    let mut y = [vec![f32::NAN; rows * output], vec![f32::NAN; rows * output]];
                    layer.forward(&weights[..], rows, &x, &mut y[0], &mut scratch).unwrap();
                    layer.forward(&packed, rows, &x, &mut y[1], &mut []).unwrap();
                    assert_eq!(y[0], y[1], "{input} x {output}, {rows} rows on {}", isa.name());
                    if rows > 0 {
                        let mut alone = vec![f32::NAN; output];
                        layer.forward(&weights[..], 1, &x[..input], &mut alone, &mut scratch).unwrap();
                        assert_eq!(y[0][..output], alone, "{input} x {output}, one row on {}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn other_layers_packed_weights_are_refused() {
    let layer = Dense::new(3, 2);
    let weights = random(layer.weights_len(), 75);
    let (x, mut y) = ([1.0; 3], [7.0; 2]);
    let len = layer.packed_len();
    assert_eq!(layer.pack(&weights[1..], vec![0.0; len]).unwrap_err(), length("weights", 8, 7));
    assert_eq!(layer.pack(&weights, vec![0.0; len - 1]).unwrap_err(), length("packed", len, len - 1));
    let packed = layer.pack(&weights, vec![0.0; len]).unwrap();
    assert_eq!(layer.forward(&packed, 1, &x[1..], &mut y, &mut []), Err(length("x", 3, 2)));
    assert_eq!(layer.forward(&packed, 1, &x, &mut y[1..], &mut []), Err(length("y", 2, 1)));
    let turned = Dense::new(2, 3).forward(&packed, 1, &x[1..], &mut [7.0; 3], &mut []);
    assert_eq!(turned, Err(Error::Packing { what: "layer" }));
    let other = Isa::available().find(|isa| *isa != layer.isa()).unwrap();
    let result = layer.on(other).forward(&packed, 1, &x, &mut y, &mut []);
    assert_eq!(result, Err(Error::Packing { what: "instruction set" }));
    let gru = Gru::new(3, 2);
    let (of_gru, mut state) = (random(gru.weights_len(), 76), [7.0; 2]);
    let of_gru = gru.pack(&of_gru, vec![0.0; gru.packed_len()]).unwrap();
    let result = layer.forward(&of_gru, 1, &x, &mut y, &mut []);
    assert_eq!(result, Err(Error::Packing { what: "layer" }));
    let mut scratch = vec![0.0; gru.scratch_len(1, 1)];
    let result = gru.step(&packed, &x, &mut state, &mut scratch);
    assert_eq!(result, Err(Error::Packing { what: "layer" }));
    assert_eq!((y, state), ([7.0; 2], [7.0; 2]));
}
