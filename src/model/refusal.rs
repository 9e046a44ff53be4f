//! Error texts for layers that do not fit together. Constants fail with these texts, because formatting does
//! not run in constants.

use crate::error::Error;

/// Text of at most 160 bytes.
pub(super) struct Text {
    bytes: [u8; 160],
    len: usize,
}

impl Text {
    /// The text that `Display` gives for the error, if it is about layers.
    pub(super) const fn of(error: &Error) -> Self {
        let text = Text { bytes: [0; 160], len: 0 };
        match *error {
            Error::Layers { layer, what } => text.str("layer ").number(layer).str(" of the model ").str(what),
            Error::Features { layer, takes, given } => text
                .str("layer ")
                .number(layer)
                .str(" of the model takes ")
                .number(takes)
                .str(" features, but the one below it gives ")
                .number(given),
            _ => text.str("the layers do not fit together"),
        }
    }

    const fn str(mut self, text: &str) -> Self {
        let (text, mut i) = (text.as_bytes(), 0);
        while i < text.len() && self.len < self.bytes.len() {
            self.bytes[self.len] = text[i];
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn number(self, n: usize) -> Self {
        let before = if n > 9 { self.number(n / 10) } else { self };
        let digit = [b'0' + (n % 10) as u8];
        match core::str::from_utf8(&digit) {
            Ok(digit) => before.str(digit),
            Err(_) => before,
        }
    }

    pub(super) const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::Text;
    use crate::error::Error;

    #[test]
    fn constants_fail_with_the_words_of_the_error() {
        for error in [
            Error::Layers { layer: 12, what: "is an embedding, which must be the first layer" },
            Error::Features { layer: 0, takes: usize::MAX, given: 10 },
        ] {
            assert_eq!(Text::of(&error).as_str(), error.to_string());
        }
    }
}
