//! Names as UTF-8.

/// Whether bytes are UTF-8. (`core`'s function takes 0.6 KB of flash more, for a record that most images do
/// not have.)
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    // The bytes that the character still needs, and the range of the next one.
    let (mut more, mut first, mut last) = (0, 0x80, 0xbf);
    for &byte in bytes {
        if more > 0 {
            if byte < first || byte > last {
                return false;
            }
            (more, first, last) = (more - 1, 0x80, 0xbf);
            continue;
        }
        more = match byte {
            0..=0x7f => 0,
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            _ => return false,
        };
        // These would begin longer forms of shorter characters, surrogates, and numbers above U+10FFFF.
        match byte {
            0xe0 => first = 0xa0,
            0xed => last = 0x9f,
            0xf0 => first = 0x90,
            0xf4 => last = 0x8f,
            _ => {}
        }
    }
    more == 0
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn utf8_is_that_of_core() {
        let edges = [0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1];
        let more = [0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff];
        let all: [u8; 24] = core::array::from_fn(|i| *edges.get(i).unwrap_or_else(|| &more[i - edges.len()]));
        let mut bytes = [0; 5];
        for len in 0..=5 {
            for n in 0..24usize.pow(len) {
                let bytes = &mut bytes[..len as usize];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = all[n / 24usize.pow(i as u32) % 24];
                }
                assert_eq!(is_utf8(bytes), core::str::from_utf8(bytes).is_ok(), "{bytes:x?}");
            }
        }
    }
}
