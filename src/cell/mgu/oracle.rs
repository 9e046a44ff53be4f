//! The minimal gated unit in f64, the reference for tests. It is written from the equations in `mod.rs` and
//! shares no code with the library, which does not compile this file.

/// The result of a sequence.
pub struct Output {
    /// `[T, B, H]`
    pub y: Vec<f64>,
    /// `[B, H]`, the last state.
    pub h: Vec<f64>,
}

/// Runs a batch of sequences `x [T, B, I]` from the states `h [B, H]`, with weights `w_ih [2*H, I]`,
/// `w_hh [2*H, H]`, `b_ih [2*H]`, `b_hh [2*H]`, gates in the order `f n`.
pub fn forward(
    (steps, batch, input, hidden): (usize, usize, usize, usize),
    weights: &[f64],
    x: &[f64],
    h: &[f64],
) -> Output {
    let rows = 2 * hidden;
    let (w_ih, rest) = weights.split_at(rows * input);
    let (w_hh, rest) = rest.split_at(rows * hidden);
    let (b_ih, b_hh) = rest.split_at(rows);
    let product = |w: &[f64], row: usize, v: &[f64]| -> f64 {
        let w = &w[row * v.len()..(row + 1) * v.len()];
        w.iter().zip(v).map(|(w, v)| w * v).sum()
    };
    let mut last = h.to_vec();
    let mut y = Vec::new();
    for t in 0..steps {
        for b in 0..batch {
            let x = &x[(t * batch + b) * input..][..input];
            let h = last[b * hidden..][..hidden].to_vec();
            let mut f = Vec::new();
            for row in 0..hidden {
                let a = product(w_ih, row, x) + b_ih[row] + product(w_hh, row, &h) + b_hh[row];
                f.push(1.0 / (1.0 + (-a).exp()));
            }
            let fh: Vec<f64> = f.iter().zip(&h).map(|(f, h)| f * h).collect();
            for unit in 0..hidden {
                let row = hidden + unit;
                let a = product(w_ih, row, x) + b_ih[row] + product(w_hh, row, &fh) + b_hh[row];
                last[b * hidden + unit] = (1.0 - f[unit]) * h[unit] + f[unit] * a.tanh();
            }
        }
        y.extend_from_slice(&last);
    }
    Output { y, h: last }
}
