//! One entry point for the oracles of all cells.

use super::Kind;

#[path = "../../src/cell/gru/oracle.rs"]
mod gru;
#[path = "../../src/cell/lstm/oracle.rs"]
mod lstm;
#[path = "../../src/cell/mgu/oracle.rs"]
mod mgu;
#[path = "../../src/cell/rnn/oracle.rs"]
mod rnn;

/// The results of a sequence: all hidden states, and the last state in the order of the layers (`h`, then for
/// an LSTM `c`).
pub struct Output {
    pub y: Vec<f64>,
    pub state: Vec<f64>,
    /// Distance of the sequence from the nearest point where a derivative jumps.
    pub margin: f64,
}

/// `dims` is steps, batch, input, hidden.
pub fn forward(
    kind: Kind,
    dims: (usize, usize, usize, usize),
    weights: &[f64],
    x: &[f64],
    state: &[f64],
) -> Output {
    let smooth = f64::INFINITY;
    match kind {
        Kind::RnnTanh | Kind::RnnRelu => {
            let relu = kind == Kind::RnnRelu;
            let rnn::Output { y, h, margin } = rnn::forward(relu, dims, weights, x, state);
            Output { y, state: h, margin: if relu { margin } else { smooth } }
        }
        Kind::Lstm => {
            let (h, c) = state.split_at(dims.1 * dims.3);
            let lstm::Output { y, mut h, c } = lstm::forward(dims, weights, x, h, c);
            h.extend(c);
            Output { y, state: h, margin: smooth }
        }
        Kind::Gru | Kind::GruResetBefore => {
            let gru::Output { y, h } = gru::forward(kind == Kind::GruResetBefore, dims, weights, x, state);
            Output { y, state: h, margin: smooth }
        }
        Kind::Mgu => {
            let mgu::Output { y, h } = mgu::forward(dims, weights, x, state);
            Output { y, state: h, margin: smooth }
        }
        _ => unreachable!("{kind:?} has options, which are the reference's"),
    }
}
