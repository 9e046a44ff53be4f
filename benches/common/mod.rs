//! Shared by the benches: random buffers, counts of multiply-adds, and a loop over the cells.
#![allow(dead_code, unused_macros, unused_imports, reason = "every bench uses a part of it")]

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use recurrent::Isa;

mod shapes;

pub use shapes::{SEQUENCES, TRAINING};

/// Input and hidden units for single steps.
pub const STEPS: [(usize, usize); 13] = [
    (1, 8),
    (1, 16),
    (1, 32),
    (1, 64),
    (8, 8),
    (16, 16),
    (32, 32),
    (64, 64),
    (128, 128),
    (256, 256),
    (512, 512),
    (768, 768),
    (1024, 1024),
];

/// Runs a block for every cell: `$layer` is the type of its layer, `$cell` its name, `$gates` its number of
/// gates.
macro_rules! for_each_cell {
    ($layer:ident, $cell:ident, $gates:ident => $body:block) => {
        for_each_cell!(@ recurrent::Rnn, "rnn", 1, $layer, $cell, $gates, $body);
        for_each_cell!(@ recurrent::Lstm, "lstm", 4, $layer, $cell, $gates, $body);
        for_each_cell!(@ recurrent::Gru, "gru", 3, $layer, $cell, $gates, $body);
    };
    (@ $type:ty, $name:literal, $count:literal, $layer:ident, $cell:ident, $gates:ident, $body:block) => {{
        type $layer = $type;
        let ($cell, $gates) = ($name, $count);
        $body
    }};
}
pub(crate) use for_each_cell;

/// Random numbers in `-bound .. bound`, the same in every run.
pub fn random(len: usize, bound: f32) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(len as u64);
    (0..len).map(|_| ((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * bound).collect()
}

/// Weights as PyTorch initialises them.
pub fn weights(len: usize, hidden: usize) -> Vec<f32> {
    random(len, 1.0 / (hidden as f32).sqrt())
}

/// Multiply-adds of the products of one step of one batch row.
pub fn step_madds(gates: usize, input: usize, hidden: usize) -> u64 {
    (gates * hidden * (input + hidden)) as u64
}

/// Whether to measure an iteration of `madds` multiply-adds: slow instruction sets get only small shapes.
pub fn affordable(isa: Isa, madds: u64) -> bool {
    match isa.name() {
        "fused" => madds <= 1 << 20,
        "scalar" => madds <= 1 << 28,
        _ => true,
    }
}
