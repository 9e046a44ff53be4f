//! The sizes of a layer that a pass needs, and the scratch of a step.

use crate::kernel::Narrow;
use crate::kernel::narrow::PACKS;
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::rows::list::MOST;
use crate::kernel::step::batch::room_len;
use crate::kernel::step::normalised;
use crate::simd::HAS_VECTORS;

/// The sizes of a layer that a pass needs, and the options that need memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) dims: Dims,
    /// Length of the peepholes, which follow the packed weights.
    pub(crate) peepholes: usize,
    /// Whether the output goes through a projection.
    pub(crate) projects: bool,
    /// Whether the hidden state may be multiplied by dropout factors before it meets its weights.
    pub(crate) drops: bool,
    /// The narrow format of the matrices in inference, and the length of the widest row that is multiplied
    /// with them.
    pub(crate) narrow: Option<(Narrow, usize)>,
    /// The gates of a layer with layer normalisation; 0 without it.
    pub(crate) normalised: usize,
    /// Parts that the units of a step are cut into, for threads.
    pub(crate) parts: usize,
}

/// The layout of a matrix alone, as one gate of hidden weights: of a projection, one gate of R units over the
/// cell's H outputs.
pub(crate) const PROJECTION: Layout = normalised::MATRIX;

/// The projection's sizes, seen as a layer of R units whose hidden state has H elements.
pub(crate) const fn projection(dims: Dims) -> Dims {
    Dims { input: 0, hidden: dims.width, width: dims.hidden }
}

/// Scratch of a step, besides the next hidden state.
pub(super) struct Stage<'a> {
    /// `[B, width]`: the hidden state times the dropout factors.
    pub(super) seen: &'a mut [f32],
    /// `[B, sums * H]`: what a cell with two stages stores if there is no tape.
    pub(super) planes: &'a mut [f32],
    /// `[B, H]`: the output before its projection.
    pub(super) output: &'a mut [f32],
    /// Room for sums, on sets with vectors, and for rows that are converted to integers.
    pub(super) sums: &'a mut [f32],
}

/// Lengths of the parts of a [`Stage`]. `planes` is the number of vectors of H that the tape holds for each
/// row.
const fn parts(planes: usize, two_stages: bool, sizes: &Sizes, batch: usize) -> [usize; 4] {
    let Dims { hidden, width, .. } = sizes.dims;
    // In firmware these lengths are constants only if this function is inlined, so it has to stay short.
    let sums = HAS_VECTORS || (PACKS && sizes.narrow.is_some());
    let codes = match sizes.narrow {
        Some((narrow, widest)) => {
            codes_len(narrow, widest, if hidden > width { hidden } else { width }, batch)
        }
        None => 0,
    };
    let state = batch.saturating_mul(hidden);
    [
        if sizes.drops { batch.saturating_mul(width) } else { 0 },
        if two_stages { state.saturating_mul(planes) } else { 0 },
        if sizes.projects { state } else { 0 },
        match sizes.normalised {
            0 => codes.saturating_add(if sums && !two_stages { rooms_len(planes, batch, sizes) } else { 0 }),
            gates => normalised::room_len(gates, batch, hidden),
        },
    ]
}

/// Length of the room for the sums of a step, of all parts of the units.
const fn rooms_len(planes: usize, batch: usize, sizes: &Sizes) -> usize {
    let room = room_len(planes, batch, sizes.dims.hidden);
    if cfg!(target_os = "none") { room } else { room.saturating_mul(sizes.parts) }
}

/// Length of the room for the inputs and hidden states of a step as integers.
const fn codes_len(narrow: Narrow, input: usize, hidden: usize, batch: usize) -> usize {
    // Weights in place are multiplied by one row after the other.
    let most = if PACKS { MOST } else { 1 };
    let rows = if batch < most { batch } else { most };
    let widened = narrow.widened_len(input, rows).saturating_add(narrow.widened_len(hidden, rows));
    rows.saturating_mul(narrow.room_len(input).saturating_add(narrow.room_len(hidden)))
        .saturating_add(widened)
}

/// Length of the scratch of a step, besides the next hidden state.
pub(crate) const fn stage_len(planes: usize, two_stages: bool, sizes: &Sizes, batch: usize) -> usize {
    let [seen, planes, output, sums] = parts(planes, two_stages, sizes, batch);
    seen.saturating_add(planes).saturating_add(output).saturating_add(sums)
}

impl<'a> Stage<'a> {
    /// Splits the scratch. If it is too short, parts are empty, which the kernels report.
    #[inline(always)]
    pub(super) fn new(
        stage: &'a mut [f32],
        layout: &Layout,
        two_stages: bool,
        sizes: &Sizes,
        batch: usize,
    ) -> Self {
        let [seen, planes, output, sums] = parts(layout.tape_planes(), two_stages, sizes, batch);
        let mut rest = stage;
        let mut take = |len: usize| {
            let (part, others) = core::mem::take(&mut rest).split_at_mut_checked(len).unwrap_or_default();
            rest = others;
            part
        };
        Stage { seen: take(seen), planes: take(planes), output: take(output), sums: take(sums) }
    }
}

/// Length of a row of the tape.
pub(super) fn tape_row(layout: &Layout, sizes: &Sizes) -> usize {
    // After the planes there is room for the gradient of the projection's output.
    let planes = layout.tape_planes().saturating_mul(sizes.dims.hidden);
    planes + if sizes.projects { sizes.dims.width } else { 0 }
}
