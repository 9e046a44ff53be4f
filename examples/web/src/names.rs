//! The characters of a model as class names of an image: one on each line.
//!
//! A line cannot contain a line feed or a carriage return, so these are written `\n` and `\r`. A single
//! backslash stands for the backslash character.

/// The length of the names in bytes.
pub fn len(vocabulary: &[u32]) -> usize {
    vocabulary.iter().map(|&c| name(c, &mut [0; 4]).len() + 1).sum::<usize>().saturating_sub(1)
}

/// The name of a character.
fn name(c: u32, room: &mut [u8; 4]) -> &str {
    match char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\n' => "\\n",
        '\r' => "\\r",
        c => c.encode_utf8(room),
    }
}

/// Writes the names of Unicode scalar values; `out` has [`len`] bytes.
pub fn write(vocabulary: &[u32], out: &mut [u8]) {
    let mut out = out.iter_mut();
    for (i, &c) in vocabulary.iter().enumerate() {
        let mut room = [0; 4];
        let between: &[u8] = if i > 0 { b"\n" } else { b"" };
        let name = name(c, &mut room).as_bytes();
        out.by_ref().zip(between.iter().chain(name)).for_each(|(to, from)| *to = *from);
    }
}

/// The character with this name, if the name is valid.
fn character(name: &str) -> Option<u32> {
    let mut chars = name.chars();
    match (chars.next()?, chars.next(), chars.next()) {
        (c, None, _) => Some(c.into()),
        ('\\', Some('n'), None) => Some('\n'.into()),
        ('\\', Some('r'), None) => Some('\r'.into()),
        _ => None,
    }
}

/// Reads names into Unicode scalar values, one for each element. Returns false unless each name is one
/// character and all are different.
pub fn read(names: &str, vocabulary: &mut [u32]) -> bool {
    if names.split('\n').count() != vocabulary.len() {
        return false;
    }
    for (i, name) in names.split('\n').enumerate() {
        match character(name) {
            Some(c) if !vocabulary[..i].contains(&c) => vocabulary[i] = c,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{len, read, write};

    #[test]
    fn what_is_written_is_read() {
        let vocabulary: Vec<u32> = ['\n', '\r', '\\', 'n', 'ä', '€', '𝄞', ' '].map(u32::from).to_vec();
        let mut bytes = vec![0; len(&vocabulary)];
        write(&vocabulary, &mut bytes);
        let names = String::from_utf8(bytes).unwrap_or_default();
        assert_eq!(names, "\\n\n\\r\n\\\nn\nä\n€\n𝄞\n ");
        let mut back = vec![0; vocabulary.len()];
        assert!(read(&names, &mut back));
        assert_eq!(back, vocabulary);
    }

    #[test]
    fn other_names_are_refused() {
        for names in ["", "a", "a\n", "a\nbc", "a\nb\nc", "a\na", "a\n\\t"] {
            assert!(!read(names, &mut [0; 2]), "{names:?}");
        }
    }
}
