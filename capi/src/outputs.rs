//! Functions over outputs: the most likely class, probabilities, sampling.

use core::convert::Infallible;

use rand_core::TryRng;
use recurrent_core::Sampling;

use crate::border::{self, apart, Given};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};

/// Writes the class with the greatest of `logits` to `class_`; of equal ones, the first.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _LENGTH (no logits), _VALUE (NaN, or all are minus infinity).
#[no_mangle]
pub extern "C" fn recurrent_argmax(
    logits: *const f32,
    logits_len: usize,
    class_: *mut usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let logits = border::read("logits", logits, logits_len)?;
        let out = border::result("class_", class_)?;
        out.put(recurrent_core::argmax(logits)?);
        Ok(())
    };
    answer(error, run())
}

fn rows(
    x: *const f32,
    y: *mut f32,
    len: usize,
    with: impl FnOnce(&[f32], &mut [f32]) -> recurrent_core::Result<()>,
) -> Outcome {
    let (x, y) = (Given::reading("x", x, len)?, Given::new("y", y, len)?);
    apart([y.place()], [x.place()])?;
    Ok(with(x.slice(), y.slice_mut())?)
}

/// The softmax of each row: `x` and `y` are `[rows, classes]`, `len` elements each. A row with NaN or
/// infinity gives NaN.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (`len` is no multiple of `classes`).
#[no_mangle]
pub extern "C" fn recurrent_softmax(
    classes: usize,
    x: *const f32,
    y: *mut f32,
    len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    answer(error, rows(x, y, len, |x, y| recurrent_core::softmax(classes, x, y)))
}

/// The logarithm of the softmax of each row; arguments and errors are those of recurrent_softmax().
#[no_mangle]
pub extern "C" fn recurrent_log_softmax(
    classes: usize,
    x: *const f32,
    y: *mut f32,
    len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    answer(error, rows(x, y, len, |x, y| recurrent_core::log_softmax(classes, x, y)))
}

/// Settings for drawing a class from logits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_sampling {
    /// The logits are divided by this; 0 takes the greatest logit.
    pub temperature: f32,
    /// Keeps the likeliest classes up to this share of the probability; 1 keeps all.
    pub top_p: f32,
    /// Keeps this number of likeliest classes; SIZE_MAX keeps all.
    pub top_k: usize,
}

impl recurrent_sampling {
    fn sampling(self) -> Sampling {
        Sampling { temperature: self.temperature, top_k: self.top_k, top_p: self.top_p }
    }
}

/// Elements of the scratch of recurrent_sample() for `classes` classes. 0 if the settings keep all classes or
/// only one, or if `sampling` is null.
#[no_mangle]
pub extern "C" fn recurrent_sample_scratch_len(sampling: *const recurrent_sampling, classes: usize) -> usize {
    border::get(sampling).map_or(0, |sampling| sampling.sampling().scratch_len(classes))
}

/// A generator that returns the given number.
struct One(u64);

impl TryRng for One {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0 as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(self.0 as u8);
        Ok(())
    }
}

/// Draws a class from `logits`, and writes it to `class_`. `random` is 64 random bits, for example from
/// recurrent_random(); the highest 53 are used. `scratch` has at least recurrent_sample_scratch_len()
/// elements. A class whose logit is minus infinity is never drawn.
///
/// Real time: if the settings do not keep all classes, the classes that they keep are sorted.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (no logits, scratch too short), _VALUE (a
/// negative, infinite or NaN temperature, `top_k` 0, `top_p` not in 0..1, a logit that is NaN or plus
/// infinity, or all logits minus infinity).
#[no_mangle]
pub extern "C" fn recurrent_sample(
    sampling: *const recurrent_sampling,
    logits: *const f32,
    logits_len: usize,
    scratch: *mut f32,
    scratch_len: usize,
    random: u64,
    class_: *mut usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let sampling = border::arguments("sampling", sampling)?.sampling();
        let (logits, scratch) =
            (Given::reading("logits", logits, logits_len)?, Given::new("scratch", scratch, scratch_len)?);
        let out = border::result("class_", class_)?;
        apart([scratch.place()], [logits.place()])?;
        out.put(sampling.draw(logits.slice(), scratch.slice_mut(), &mut One(random))?);
        Ok(())
    };
    answer(error, run())
}

/// Returns the next 64 random bits of a sequence. `seed` holds the position in it, and may start with any
/// value (SplitMix64, Steele et al. 2014). Not for secrets. Returns 0 if `seed` is null or not aligned.
#[no_mangle]
pub extern "C" fn recurrent_random(seed: *mut u64) -> u64 {
    let Some(at) = border::get(seed.cast_const()) else { return 0 };
    let mut random = Random(at);
    let bits = random.next();
    if let Ok(out) = border::result("seed", seed) {
        out.put(random.0);
    }
    bits
}

/// The sequence of recurrent_random(), at a position.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for part in to.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            part.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
        }
        Ok(())
    }
}
