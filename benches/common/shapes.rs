//! The shapes that the benches share with the comparison of libraries.

/// Batch, steps and hidden units for inference. There are as many inputs as hidden units.
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

/// The same for training.
pub const TRAINING: [(usize, usize, usize); 3] = [(32, 100, 128), (64, 50, 256), (32, 100, 512)];
