//! Views of bytes as floats, and of floats as bytes.

/// The floats of native byte order in `bytes`, without a copy. `None` if the bytes are not aligned, or not a
/// whole number of floats.
pub(crate) fn floats(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every bit pattern is an `f32`, and the lifetime is that of `bytes`.
    let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
    (before.is_empty() && after.is_empty()).then_some(floats)
}

/// The bytes of floats.
pub(crate) fn bytes(floats: &[f32]) -> &[u8] {
    // SAFETY: a byte needs no alignment, and every bit pattern is a byte. The lifetime is that of `floats`.
    unsafe { core::slice::from_raw_parts(floats.as_ptr().cast(), size_of_val(floats)) }
}

/// The same for writing.
pub(crate) fn bytes_mut(floats: &mut [f32]) -> &mut [u8] {
    // SAFETY: as above, and every bit pattern is an `f32`.
    unsafe { core::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), size_of_val(floats)) }
}
