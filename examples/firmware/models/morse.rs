// Written by examples/morse.

/// The text in the recording.
pub const TEXT: &[u8] = b"CQ DE GRU 74 K ";

/// The checksum of the scores after each frame.
pub const SCORES: u64 = 0x79d87782cd8b456;
