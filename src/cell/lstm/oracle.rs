//! The LSTM in f64, the reference for tests. It is written from the equations in `mod.rs` and shares no code
//! with the library, which does not compile this file.

/// The result of a sequence.
pub struct Output {
    /// `[T, B, H]`
    pub y: Vec<f64>,
    /// `[B, H]`, the last hidden state.
    pub h: Vec<f64>,
    /// `[B, H]`, the last cell state.
    pub c: Vec<f64>,
}

/// Runs a batch of sequences `x [T, B, I]` from the states `h [B, H]` and `c [B, H]`, with weights
/// `w_ih [4*H, I]`, `w_hh [4*H, H]`, `b_ih [4*H]`, `b_hh [4*H]`, gates in the order `i f g o`.
pub fn forward(
    (steps, batch, input, hidden): (usize, usize, usize, usize),
    weights: &[f64],
    x: &[f64],
    h: &[f64],
    c: &[f64],
) -> Output {
    let rows = 4 * hidden;
    let w_ih = &weights[..rows * input];
    let w_hh = &weights[rows * input..rows * (input + hidden)];
    let b_ih = &weights[rows * (input + hidden)..rows * (input + hidden + 1)];
    let b_hh = &weights[rows * (input + hidden + 1)..];
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    let mut out = Output { y: Vec::new(), h: h.to_vec(), c: c.to_vec() };
    for t in 0..steps {
        let before = out.h.clone();
        for b in 0..batch {
            for unit in 0..hidden {
                let mut a = [0.0; 4];
                for gate in 0..4 {
                    let row = gate * hidden + unit;
                    a[gate] = b_ih[row] + b_hh[row];
                    for k in 0..input {
                        a[gate] += w_ih[row * input + k] * x[(t * batch + b) * input + k];
                    }
                    for k in 0..hidden {
                        a[gate] += w_hh[row * hidden + k] * before[b * hidden + k];
                    }
                }
                let (i, f, g, o) = (sigmoid(a[0]), sigmoid(a[1]), a[2].tanh(), sigmoid(a[3]));
                let c = &mut out.c[b * hidden + unit];
                *c = f * *c + i * g;
                out.h[b * hidden + unit] = o * c.tanh();
            }
        }
        out.y.extend_from_slice(&out.h);
    }
    out
}
