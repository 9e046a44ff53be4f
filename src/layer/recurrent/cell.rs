//! The trait of the cells that a layer can have.

use crate::cell::{Gate, GruCell, GruGate, LstmCell, LstmGate, MguCell, MguGate, RnnCell, RnnGate};

/// A recurrent cell. Code that works with a layer of any cell uses it as a bound.
///
/// Implemented by [`RnnCell`], [`LstmCell`], [`GruCell`] and [`MguCell`]. It is sealed, because a layer's
/// passes support only these.
///
/// ```
/// use recurrent::{Cell, Gru, Lstm, Recurrent, Result};
/// /// The state after one step from zero.
/// fn first<C: Cell>(layer: Recurrent<C>, weights: &[f32], x: &[f32]) -> Result<Vec<f32>> {
///     let (mut state, mut scratch) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.scratch_len(1, 1)]);
///     layer.step(weights, x, &mut state, &mut scratch)?;
///     Ok(state)
/// }
/// let (gru, lstm) = (Gru::new(1, 2), Lstm::new(1, 2));
/// assert_eq!(first(gru, &vec![0.0; gru.weights_len()], &[1.0])?, [0.0; 2]);
/// assert_eq!(first(lstm, &vec![0.0; lstm.weights_len()], &[1.0])?, [0.0; 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub trait Cell: Closed + Copy + Send + Sync {
    /// The gates, in canonical order.
    type Gate: Gate;
}

/// Seals [`Cell`]: other crates cannot name this trait.
pub trait Closed {}

macro_rules! cells {
    ($($cell:ident: $gate:ident),+) => {$(
        impl Closed for $cell {}

        impl Cell for $cell {
            type Gate = $gate;
        }
    )+};
}
cells!(RnnCell: RnnGate, LstmCell: LstmGate, GruCell: GruGate, MguCell: MguGate);
