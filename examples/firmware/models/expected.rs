// Written by examples/firmware_models.

/// The checksum of all scores over the recording.
pub const GESTURES_FUSED: u64 = 0x53642a06cf986bfc;

/// The checksum of all scores over the recording, from weights of 8 bits.
pub const GESTURES_INT8_FUSED: u64 = 0x646ff2835f1d3ab5;

/// The same where products and sums are rounded one after the other.
pub const GESTURES_SEPARATE: u64 = 0x68e80403e69ab596;

/// The same where products and sums are rounded one after the other, from weights of 8 bits.
pub const GESTURES_INT8_SEPARATE: u64 = 0x17eb07753e50e757;

/// The characters of the character model.
pub const VOCABULARY: &[u8] =
    b"\n !\"%\'(),-./0123456789:;ABCDEFGHIJKLMNOPRSTUVWXY[]abcdefghijklmnopqrstuvwxyz";

/// The checksum of the text that it writes.
pub const TEXT: u64 = 0x1c3c8c260fef0322;

/// The same of its last logits and state.
pub const TEXT_NUMBERS: u64 = 0x9be26ee55527b754;

/// The checksum of its text from weights of 8 bits.
pub const TEXT_INT8: u64 = 0x83e98ea0bd9c9143;

/// The same of the last logits and state.
pub const TEXT_INT8_NUMBERS: u64 = 0x1264bfb15267134c;

/// The checksum of the weights after training.
pub const LEARNED: u64 = 0xf477ee66e3008176;

/// The mean squared error of the last 50 updates.
pub const LEARNED_LOSS: f32 = 5.899125e-4;
