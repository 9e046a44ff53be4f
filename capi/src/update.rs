//! Optimisers and clipping of gradients, over the flat buffers of any weights.

use recurrent_core::train::{clip_scale, Adam, AdamW, Sgd};
use recurrent_core::Error;

use crate::border::{self, apart, Given, Place};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};

/// Stochastic gradient descent, also with momentum and with Nesterov's, in PyTorch's form.
/// RECURRENT_SGD(rate) is its initial value. The settings may change between updates.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_sgd {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the velocity, in 0..1; 0 for plain descent, which needs no moments.
    pub momentum: f32,
    /// This times the weights is added to the gradients.
    pub weight_decay: f32,
    /// Not 0 for Nesterov's momentum.
    pub nesterov: u8,
}

/// Adam or AdamW, in PyTorch's form. RECURRENT_ADAM(rate) and RECURRENT_ADAMW(rate) are their initial values.
/// The settings may change between updates. To save an optimiser, save this and the moments.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_adam {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment, in 0..1.
    pub beta1: f32,
    /// Decay of the second moment, in 0..1.
    pub beta2: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Weight decay: through the gradients for Adam, past the moments for AdamW.
    pub weight_decay: f32,
    /// Updates so far; 0 before the first one. The updates count it.
    pub step: u64,
}

impl recurrent_sgd {
    fn sgd(self) -> Sgd {
        let recurrent_sgd { lr, momentum, weight_decay, nesterov } = self;
        Sgd { lr, momentum, nesterov: nesterov != 0, weight_decay }
    }
}

/// Writes to `scale` the factor that limits the Euclidean norm of the gradients to `max`, for the updates.
/// Writes to `norm` the norm before, unless that is null. With INFINITY as `max` it only checks whether the
/// gradients are finite. The gradients do not change.
///
/// Real time: one pass over the gradients; no allocation, lock, or system call.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _VALUE: a negative or NaN `max`, or gradients that are NaN or
/// infinite or have such a norm. Then skip the update.
#[no_mangle]
pub extern "C" fn recurrent_clip_scale(
    grads: *const f32,
    grads_len: usize,
    max: f32,
    scale: *mut f32,
    norm: *mut f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let grads = Given::reading("grads", grads, grads_len)?.slice();
        let to_scale = border::result("scale", scale)?;
        let to_norm = if norm.is_null() { None } else { Some(border::result("norm", norm)?) };
        let Some(clip) = clip_scale(grads, max)? else {
            return Err(
                Error::Value { argument: "grads", expected: "finite, and so must be their norm" }.into()
            );
        };
        to_scale.put(clip.scale);
        if let Some(out) = to_norm {
            out.put(clip.norm);
        }
        Ok(())
    };
    answer(error, run())
}

/// The checked buffers of an update.
struct Update<'a> {
    weights: &'a mut [f32],
    grads: &'a [f32],
    moments: &'a mut [f32],
}

/// Checks the buffers of an update against each other and against the settings.
fn update<'a>(
    settings: Place,
    (weights, weights_len): (*mut f32, usize),
    (grads, grads_len): (*const f32, usize),
    (moments, moments_len): (*mut f32, usize),
) -> Outcome<Update<'a>> {
    let weights = Given::new("weights", weights, weights_len)?;
    let grads = Given::reading("grads", grads, grads_len)?;
    let moments = Given::new("moments", moments, moments_len)?;
    apart([weights.place(), moments.place()], [grads.place(), settings])?;
    Ok(Update { weights: weights.slice_mut(), grads: grads.slice(), moments: moments.slice_mut() })
}

/// Elements of the moments of recurrent_sgd_update(): as many as weights with momentum, otherwise 0. 0 if
/// `sgd` is null.
#[no_mangle]
pub extern "C" fn recurrent_sgd_moments_len(sgd: *const recurrent_sgd, weights_len: usize) -> usize {
    border::get(sgd).map_or(0, |sgd| sgd.sgd().moments_len(weights_len))
}

/// Elements of the moments of recurrent_adam_update() and recurrent_adamw_update(): twice as many as weights.
/// SIZE_MAX if they do not fit into memory.
#[no_mangle]
pub extern "C" fn recurrent_adam_moments_len(weights_len: usize) -> usize {
    Adam::moments_len(weights_len)
}

/// One update of the weights by `scale` times the gradients: 1, or the factor of recurrent_clip_scale().
/// `grads` has as many elements as `weights`. `moments` has recurrent_sgd_moments_len() elements, all zero
/// before the first update. The caller owns all of them.
///
/// Real time: one pass over the weights; no allocation, lock, or system call.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _VALUE (a setting out of its
/// range, a scale that is not finite).
#[no_mangle]
pub extern "C" fn recurrent_sgd_update(
    sgd: *const recurrent_sgd,
    weights: *mut f32,
    weights_len: usize,
    grads: *const f32,
    grads_len: usize,
    moments: *mut f32,
    moments_len: usize,
    scale: f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let settings = border::arguments("sgd", sgd)?;
        let of = Place::of("sgd", core::slice::from_ref(settings));
        let Update { weights, grads, moments } =
            update(of, (weights, weights_len), (grads, grads_len), (moments, moments_len))?;
        Ok(settings.sgd().update_scaled(weights, grads, moments, scale)?)
    };
    answer(error, run())
}

/// Defines the update of Adam or AdamW.
macro_rules! adam {
    ($type:ident, $adam:ident, $weights:expr, $grads:expr, $moments:expr, $scale:ident) => {{
        let settings = Given::new("adam", $adam, 1)?;
        let Update { weights, grads, moments } = update(settings.place(), $weights, $grads, $moments)?;
        apart([settings.place()], [Place::of("grads", grads)])?;
        let of = settings.only()?;
        let recurrent_adam { lr, beta1, beta2, eps, weight_decay, step } = *of;
        let mut adam = $type { lr, beta1, beta2, eps, weight_decay, step };
        adam.update_scaled(weights, grads, moments, $scale)?;
        of.step = adam.step;
        Ok(())
    }};
}

/// One update of the weights by Adam, whose weight decay goes through the gradients. `moments` has
/// recurrent_adam_moments_len() elements, all zero before the first update. Counts `adam->step`. Everything
/// else as in recurrent_sgd_update(). An update that fails is not counted.
#[no_mangle]
pub extern "C" fn recurrent_adam_update(
    adam: *mut recurrent_adam,
    weights: *mut f32,
    weights_len: usize,
    grads: *const f32,
    grads_len: usize,
    moments: *mut f32,
    moments_len: usize,
    scale: f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        adam!(Adam, adam, (weights, weights_len), (grads, grads_len), (moments, moments_len), scale)
    };
    answer(error, run())
}

/// The same by AdamW, whose weight decay does not go through the moments.
#[no_mangle]
pub extern "C" fn recurrent_adamw_update(
    adam: *mut recurrent_adam,
    weights: *mut f32,
    weights_len: usize,
    grads: *const f32,
    grads_len: usize,
    moments: *mut f32,
    moments_len: usize,
    scale: f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        adam!(AdamW, adam, (weights, weights_len), (grads, grads_len), (moments, moments_len), scale)
    };
    answer(error, run())
}
