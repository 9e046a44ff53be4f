//! Keys: what attention computes from the encoder's outputs once, for any number of queries.

use super::{Attention, Parts, batch_rows, gather, scatter};
use crate::error::{Need, Result, check_len, check_room, check_shape};
use crate::kernel::elementwise::column_sums;
use crate::kernel::gemm::outer;
use crate::kernel::pack::{pack_columns, pack_rows};
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::taken::Rows;
use crate::kernel::view::Columns;
use crate::kernel::{Checked, Walk};
use crate::layer::buffer::take_mut;
use crate::layer::gradients::Gradients;
use crate::layer::packed::check_packing;
use crate::layer::sequences::Sequences;
use crate::simd::{Isa, Op, Simd, dispatch};

/// An encoder's outputs, arranged for [`Attention`]. Made by [`Attention::keys`].
///
/// The storage is the caller's: a `Vec`, an array, a mutable slice. The layout depends on the instruction set
/// and is not documented. The keys record which steps take part.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a, B> {
    pub(super) isa: Isa,
    pub(super) layer: Attention,
    pub(super) walk: Walk<'a>,
    pub(super) steps: usize,
    pub(super) data: B,
}

impl<'a, B> Keys<'a, B> {
    /// The instruction set that the keys were made for, and that passes over them run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Gives the storage back.
    pub fn into_inner(self) -> B {
        self.data
    }
}

impl<'a> Keys<'a, ()> {
    fn with<B>(self, data: B) -> Keys<'a, B> {
        let Keys { isa, layer, walk, steps, .. } = self;
        Keys { isa, layer, walk, steps, data }
    }
}

impl Keys<'_, &[f32]> {
    /// Rejects keys of another layer.
    pub(super) fn check(&self, layer: &Attention) -> Result<()> {
        check_packing(Attention { isa: None, ..*layer } == self.layer, "keys", self.isa, layer.isa)?;
        check_room("keys", layer.keys_len(self.steps, self.walk.batch()), self.data.len())
    }
}

impl<'a, B: AsRef<[f32]>> Keys<'a, B> {
    /// The same keys, borrowed.
    pub fn as_ref(&self) -> Keys<'a, &[f32]> {
        let Keys { isa, layer, walk, steps, .. } = *self;
        Keys { isa, layer, walk, steps, data: self.data.as_ref() }
    }
}

/// Arguments of [`Attention::keys_backward`].
#[derive(Debug)]
pub struct KeysBackward<'a> {
    /// The encoder's outputs, `[S, B, M]`.
    pub x: &'a [f32],
    /// The sum that the backward passes have added up. This pass overwrites it.
    pub dkeys: &'a mut [f32],
    /// Receives the gradient of the encoder's outputs, `[S, B, M]`.
    pub dx: &'a mut [f32],
    /// If given, receives the gradients of the weights that keys are made with, in the layout of all weights.
    /// The other weights' gradients are left as they are.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// At least [`train_scratch_len`](Attention::train_scratch_len) elements, for any number of queries.
    pub scratch: &'a mut [f32],
}

impl Attention {
    /// Arranges an encoder's outputs `x [S, B, M]` (or batch-major, as `sequences` says) for any number of
    /// queries, in a buffer of [`keys_len`](Self::keys_len) elements.
    ///
    /// `scratch` has at least [`scratch_len(0, S, B)`](Self::scratch_len) elements. Resets are ignored.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer (or of a list in the sequences); [`Error::Index`](crate::Error::Index) for a length
    /// above the steps.
    pub fn keys<'a, B: AsMut<[f32]>>(
        &self,
        weights: &[f32],
        sequences: Sequences<'a>,
        x: &[f32],
        mut keys: B,
        scratch: &mut [f32],
    ) -> Result<Keys<'a, B>> {
        Ok(self.fill(weights, sequences, x, keys.as_mut(), scratch)?.with(keys))
    }

    /// Writes the keys. The returned value has no storage yet.
    fn fill<'a>(
        &self,
        weights: &[f32],
        sequences: Sequences<'a>,
        x: &[f32],
        keys: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<Keys<'a, ()>> {
        let (walk, steps, batch) = (sequences.walk(false)?, sequences.steps, sequences.batch);
        check_len("weights", self.weights_len(), weights.len())?;
        check_shape("x", Need::STEPS_ROWS_INPUTS, walk.rows().saturating_mul(self.input), x.len())?;
        check_room("keys", self.keys_len(steps, batch), keys.len())?;
        check_room("scratch", self.scratch_len(0, steps, batch), scratch.len())?;
        let layer = Attention { isa: None, ..*self };
        let (isa, parts) = (self.isa(), self.split(weights)?);
        dispatch(isa, Forward { layer, walk: &walk, steps, parts, x, keys, scratch })?;
        Ok(Keys { isa, layer, walk, steps, data: () })
    }

    /// Computes the gradient of the encoder's outputs and of the weights `w`, or `w_k` and `b`, from the
    /// gradient of the keys, which [`backward`](Self::backward) has summed up.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Packing`](crate::Error::Packing) for another layer's keys.
    pub fn keys_backward(
        &self,
        weights: &[f32],
        keys: &Keys<'_, impl AsRef<[f32]>>,
        args: KeysBackward<'_>,
    ) -> Result<()> {
        self.keys_backward_from(weights, keys.as_ref(), args)
    }

    fn keys_backward_from(
        &self,
        weights: &[f32],
        keys: Keys<'_, &[f32]>,
        args: KeysBackward<'_>,
    ) -> Result<()> {
        let Keys { isa, walk, steps, .. } = keys;
        let KeysBackward { x, dkeys, dx, grads, mode, scratch } = args;
        keys.check(self)?;
        check_len("weights", self.weights_len(), weights.len())?;
        check_shape("x", Need::STEPS_ROWS_INPUTS, walk.rows().saturating_mul(self.input), x.len())?;
        check_len("dkeys", self.dkeys_len(steps, walk.batch()), dkeys.len())?;
        check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        check_room("scratch", self.train_scratch_len(0, steps, walk.batch()), scratch.len())?;
        let (layer, parts) = (Attention { isa: None, ..*self }, self.split(weights)?);
        let grads = grads.and_then(|flat| self.split_mut(flat));
        let add = mode == Gradients::Accumulate;
        dispatch(isa, Backward { layer, walk: &walk, steps, parts, x, dkeys, dx, grads, add, scratch })?;
        Ok(())
    }
}

/// All arguments have been checked.
struct Forward<'a> {
    layer: Attention,
    walk: &'a Walk<'a>,
    steps: usize,
    parts: Parts<&'a [f32]>,
    x: &'a [f32],
    keys: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Op for Forward<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Forward { layer, walk, steps, parts, x, mut keys, mut scratch } = self;
        let Attention { query, input, width, .. } = layer;
        let compact = take_mut(&mut scratch, steps * input);
        let projected = take_mut(&mut scratch, steps * width);
        if layer.projects() {
            pack_rows(S::LANES, input, parts.w_k, scratch);
        }
        let init = if layer.is_additive() { Init::Bias(parts.b) } else { Init::Zero };
        for b in batch_rows(walk, layer.keys_row(steps) == 0) {
            let count = gather(walk, b, input, x, compact);
            let x = &compact[..count * input];
            let mut k = x;
            if layer.projects() {
                let projected = &mut projected[..count * width];
                let right = Right::panels(scratch, input, width);
                product(s, Left::plain(x, count, input), right, projected, init)?;
                k = projected;
            }
            pack_rows(S::LANES, width, k, take_mut(&mut keys, layer.key_panels(steps)));
            pack_columns(s, input, x, take_mut(&mut keys, layer.keys_row(steps) - layer.key_panels(steps)));
        }
        if layer.is_additive() {
            pack_rows(S::LANES, query, parts.w_q, keys);
        }
        Ok(())
    }
}

/// All arguments have been checked.
struct Backward<'a> {
    layer: Attention,
    walk: &'a Walk<'a>,
    steps: usize,
    parts: Parts<&'a [f32]>,
    x: &'a [f32],
    dkeys: &'a mut [f32],
    dx: &'a mut [f32],
    grads: Option<Parts<&'a mut [f32]>>,
    add: bool,
    scratch: &'a mut [f32],
}

impl Op for Backward<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Backward { layer, walk, steps, parts, x, mut dkeys, dx, mut grads, add, mut scratch } = self;
        let Attention { input, width, .. } = layer;
        if let Some(grads) = &mut grads
            && !add
        {
            grads.w_k.fill(0.0);
            grads.b.fill(0.0);
        }
        if !walk.is_dense() {
            dx.fill(0.0);
        }
        let compact = take_mut(&mut scratch, steps * input);
        let right = if layer.projects() { Some(Right::of(s, parts.w_k, input, scratch)) } else { None };
        for b in batch_rows(walk, layer.dkeys_row(steps) == 0) {
            let count = walk.count(b);
            let row = take_mut(&mut dkeys, layer.dkeys_row(steps));
            let (sum, dk) = row.split_at_mut(steps * input);
            let sum = &mut sum[..count * input];
            if let Some(right) = right {
                let dk = &dk[..count * width];
                product(s, Left::plain(dk, count, width), right, sum, Init::Accumulate)?;
                if let Some(grads) = &mut grads {
                    gather(walk, b, input, x, compact);
                    let x = &compact[..count * input];
                    outer(s, Columns::all(dk, width), Columns::all(x, input), grads.w_k, true, &mut [])?;
                    column_sums(s, dk, width, Rows::all(count), 0, grads.b, true)?;
                }
            }
            scatter(walk, b, input, sum, dx);
        }
        Ok(())
    }
}
