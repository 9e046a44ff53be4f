//! Prints the name of each instruction set, whether it is fused, and its checksums.
//! Fails unless all fused ones are equal, and all others.

use bits::{CELLS, ROOM, SIZES, checksum};
use recurrent::Isa;

fn main() {
    let mut room = vec![0.0; ROOM];
    let mut equal = true;
    for (cell, name) in CELLS.iter().enumerate() {
        for size in 0..SIZES.len() {
            let mut first = [None; 2];
            for isa in Isa::available() {
                let sum = checksum(cell, size, isa, &mut room).expect("the sizes are right");
                let rounding = if isa.is_fused() { "fused" } else { "separate" };
                let [i, h, t, b] = SIZES[size];
                println!("{name} {i}x{h}x{t}x{b} {rounding} {sum:016x} {}", isa.name());
                equal &= *first[usize::from(isa.is_fused())].get_or_insert(sum) == sum;
            }
        }
    }
    assert!(equal, "instruction sets differ");
}
