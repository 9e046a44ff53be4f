//! Time loops: a cell over the steps of a batch of sequences, forward and backward.
//!
//! A pass gets slices whose lengths the layer above has checked, splits its scratch, and runs the whole
//! loop inside one dispatch to an instruction set. It may import `cell`, `kernel` and `simd`.

pub(crate) mod any;
pub(crate) mod backward;
pub(crate) mod form;
pub(crate) mod forward;
pub(crate) mod gradient;
pub(crate) mod narrow;
mod normalised;
mod packing;
pub(crate) mod sizes;
pub(crate) mod step;
pub(crate) mod table;

/// Rows of input that are projected at once: enough for whole tiles, and few enough that the block stays in
/// the cache. A batch of this many rows or more is not projected ahead, because each of its steps fills the
/// tiles.
const BLOCK_ROWS: usize = 32;

/// Steps that are projected at once.
pub(crate) const fn block_steps(steps: usize, batch: usize) -> usize {
    if !crate::simd::HAS_VECTORS || batch == 0 || batch >= BLOCK_ROWS {
        return 1;
    }
    let block = BLOCK_ROWS.div_ceil(batch);
    if block < steps { block } else { steps }
}

/// The batch rows of a state `[B, width]`, numbered.
fn state_rows(state: &mut [f32], batch: usize) -> impl Iterator<Item = (usize, &mut [f32])> {
    let width = state.len().checked_div(batch).unwrap_or(0).max(1);
    state.chunks_exact_mut(width).enumerate()
}
