//! The most common first use: the steps of a GRU.

use recurrent::{Gru, Result};

const CELL: Gru = Gru::new(3, 24);

fn main() -> Result<()> {
    let weights = vec![0.01; CELL.weights_len()];
    let mut state = vec![0.0; CELL.state_len(1)];
    let mut scratch = vec![0.0; CELL.scratch_len(1, 1)];
    for _ in 0..5 {
        CELL.step(&weights, &[1.0; 3], &mut state, &mut scratch)?;
    }
    println!("{}", state[0]);
    Ok(())
}
