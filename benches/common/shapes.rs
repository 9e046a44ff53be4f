//! The shapes that the benches and the comparison with other libraries have in common.

/// The shapes (batch, steps, hidden) of inference; as many inputs as hidden units.
pub const SEQUENCES: [(usize, usize, usize); 8] = [
    (1, 1, 32),
    (1, 1, 128),
    (1, 1, 512),
    (1, 100, 32),
    (1, 100, 128),
    (1, 100, 512),
    (32, 100, 128),
    (32, 100, 512),
];

/// Those of training.
pub const TRAINING: [(usize, usize, usize); 3] = [(32, 100, 128), (64, 50, 256), (32, 100, 512)];
