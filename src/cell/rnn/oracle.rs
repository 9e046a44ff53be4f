//! The simple recurrent network in f64, the reference for tests. It is written from the equations in `mod.rs`
//! and shares no code with the library, which does not compile this file.

/// The result of a sequence.
pub struct Output {
    /// `[T, B, H]`
    pub y: Vec<f64>,
    /// `[B, H]`, the last state.
    pub h: Vec<f64>,
    /// The smallest magnitude of any pre-activation: how far the sequence stays away from ReLU's kink.
    pub margin: f64,
}

/// Runs a batch of sequences `x [T, B, I]` from the states `h [B, H]`, with weights `w_ih [H, I]`,
/// `w_hh [H, H]`, `b_ih [H]`, `b_hh [H]`.
pub fn forward(
    relu: bool,
    (steps, batch, input, hidden): (usize, usize, usize, usize),
    weights: &[f64],
    x: &[f64],
    h: &[f64],
) -> Output {
    let w_ih = &weights[..hidden * input];
    let w_hh = &weights[hidden * input..hidden * (input + hidden)];
    let b_ih = &weights[hidden * (input + hidden)..hidden * (input + hidden + 1)];
    let b_hh = &weights[hidden * (input + hidden + 1)..];
    let mut out = Output { y: Vec::new(), h: h.to_vec(), margin: f64::INFINITY };
    for t in 0..steps {
        let before = out.h.clone();
        for b in 0..batch {
            for unit in 0..hidden {
                let mut a = b_ih[unit] + b_hh[unit];
                for k in 0..input {
                    a += w_ih[unit * input + k] * x[(t * batch + b) * input + k];
                }
                for k in 0..hidden {
                    a += w_hh[unit * hidden + k] * before[b * hidden + k];
                }
                out.margin = out.margin.min(a.abs());
                out.h[b * hidden + unit] = if relu { a.max(0.0) } else { a.tanh() };
            }
        }
        out.y.extend_from_slice(&out.h);
    }
    out
}
