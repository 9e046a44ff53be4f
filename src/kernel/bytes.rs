//! Floats that stand in bytes.

/// The floats of native byte order in `bytes`, where they are; `None` if the bytes are not aligned or not whole.
pub(crate) fn floats(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every pattern of bits is an `f32`, and the lifetime is that of `bytes`.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(floats)
}
