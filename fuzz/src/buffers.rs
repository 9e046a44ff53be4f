//! Buffers of a pass, most of them with the right lengths.

use arbitrary::{Result, Unstructured};

/// The maximal length of a buffer, whatever is needed.
const MOST: usize = 1 << 14;

/// A size of a layer or a batch: usually small, and sometimes so large that products overflow.
pub fn size(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.arbitrary::<u8>()? {
        tag @ 0..=215 => usize::from(tag % 24),
        216..=239 => usize::from(u.arbitrary::<u8>()?),
        240..=249 => 1 << u.int_in_range(0..=usize::BITS - 1)?,
        250..=253 => usize::MAX - usize::from(u.arbitrary::<u8>()?),
        _ => u.arbitrary()?,
    })
}

/// A number of steps, either small or near overflow. A layer without elements would run every step of a
/// number in between.
pub fn steps(u: &mut Unstructured<'_>) -> Result<usize> {
    let steps = size(u)?;
    Ok(if steps < 1 << 12 || steps > usize::MAX >> 4 { steps } else { steps % 64 })
}

/// A length for a buffer that needs `expected` elements: usually right, sometimes wrong.
fn len(u: &mut Unstructured<'_>, expected: usize) -> Result<usize> {
    let len = match u.arbitrary::<u8>()? {
        0..=229 => expected,
        230..=239 => expected.wrapping_add(1),
        240..=246 => expected.wrapping_sub(1),
        247..=249 => 0,
        _ => usize::from(u.arbitrary::<u16>()?),
    };
    Ok(len.min(MOST))
}

/// Special numbers, which appear among ordinary ones.
const STRANGE: [f32; 8] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, 1e-45, 1e30, -88.0];

/// Elements for a buffer that needs `expected` of them.
pub fn floats(u: &mut Unstructured<'_>, expected: usize) -> Result<Vec<f32>> {
    let len = len(u, expected)?;
    let mut seed = u.arbitrary::<u16>()?;
    let strange = u.arbitrary::<u8>()?;
    Ok((0..len)
        .map(|_| {
            seed = seed.wrapping_mul(25173).wrapping_add(13849);
            let strange = strange >= 224 && seed % 16 == 0;
            if strange { STRANGE[usize::from(seed / 16) % 8] } else { f32::from(seed) / 32768.0 - 1.0 }
        })
        .collect())
}

/// Ids or targets, mostly below `limit`.
pub fn ids(u: &mut Unstructured<'_>, expected: usize, limit: usize) -> Result<Vec<u32>> {
    let len = len(u, expected)?;
    let limit = limit.clamp(1, 1 << 20) as u32;
    let wrong = u.arbitrary::<u8>()? >= 240;
    (0..len).map(|_| if wrong { u.arbitrary() } else { Ok(u.arbitrary::<u32>()? % limit) }).collect()
}

/// Lengths of sequences, mostly at most `steps`.
pub fn lengths(u: &mut Unstructured<'_>, steps: usize, batch: usize) -> Result<Vec<usize>> {
    let len = len(u, batch)?;
    let wrong = u.arbitrary::<u8>()? >= 240;
    (0..len).map(|_| if wrong { size(u) } else { Ok(size(u)?.min(steps)) }).collect()
}

pub fn flags(u: &mut Unstructured<'_>, expected: usize) -> Result<Vec<bool>> {
    let len = len(u, expected)?;
    let mut bits = u.arbitrary::<u32>()?;
    Ok((0..len)
        .map(|_| {
            bits = bits.rotate_left(5) ^ 0x9e37;
            bits & 1 == 1
        })
        .collect())
}

/// Runs a pass, and checks that buffers are unchanged if it returns an error.
pub fn pass<const N: usize, T, E>(
    buffers: &mut [Vec<f32>; N],
    run: impl FnOnce([&mut Vec<f32>; N]) -> std::result::Result<T, E>,
) -> bool {
    let before = buffers.clone();
    let accepted = run(buffers.each_mut()).is_ok();
    if !accepted {
        for (now, before) in buffers.iter().zip(&before) {
            let same = now.iter().zip(before).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "something was written by a pass that was refused");
        }
    }
    accepted
}
