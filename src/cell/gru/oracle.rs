//! Both forms of the GRU in f64, the reference for tests. They are written from the equations in `mod.rs` and
//! share no code with the library, which does not compile this file.

/// The result of a sequence.
pub struct Output {
    /// `[T, B, H]`
    pub y: Vec<f64>,
    /// `[B, H]`, the last state.
    pub h: Vec<f64>,
}

/// Runs a batch of sequences `x [T, B, I]` from the states `h [B, H]`, with weights `w_ih [3*H, I]`,
/// `w_hh [3*H, H]`, `b_ih [3*H]`, `b_hh [3*H]`, gates in the order `r z n`.
pub fn forward(
    reset_before: bool,
    (steps, batch, input, hidden): (usize, usize, usize, usize),
    weights: &[f64],
    x: &[f64],
    h: &[f64],
) -> Output {
    let rows = 3 * hidden;
    let w_ih = &weights[..rows * input];
    let w_hh = &weights[rows * input..rows * (input + hidden)];
    let b_ih = &weights[rows * (input + hidden)..rows * (input + hidden + 1)];
    let b_hh = &weights[rows * (input + hidden + 1)..];
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    let mut out = Output { y: Vec::new(), h: h.to_vec() };
    for t in 0..steps {
        for b in 0..batch {
            let x = &x[(t * batch + b) * input..(t * batch + b + 1) * input];
            let h = out.h[b * hidden..(b + 1) * hidden].to_vec();
            let from_x = |row: usize| {
                let mut a = b_ih[row];
                for k in 0..input {
                    a += w_ih[row * input + k] * x[k];
                }
                a
            };
            let from_h = |row: usize, h: &[f64]| {
                let mut a = 0.0;
                for k in 0..hidden {
                    a += w_hh[row * hidden + k] * h[k];
                }
                a
            };
            let mut r = vec![0.0; hidden];
            let mut r_times_h = vec![0.0; hidden];
            for unit in 0..hidden {
                r[unit] = sigmoid(from_x(unit) + from_h(unit, &h) + b_hh[unit]);
                r_times_h[unit] = r[unit] * h[unit];
            }
            for unit in 0..hidden {
                let update = hidden + unit;
                let new = 2 * hidden + unit;
                let z = sigmoid(from_x(update) + from_h(update, &h) + b_hh[update]);
                let n = if reset_before {
                    (from_x(new) + from_h(new, &r_times_h) + b_hh[new]).tanh()
                } else {
                    (from_x(new) + r[unit] * (from_h(new, &h) + b_hh[new])).tanh()
                };
                out.h[b * hidden + unit] = (1.0 - z) * n + z * h[unit];
            }
        }
        out.y.extend_from_slice(&out.h);
    }
    out
}
