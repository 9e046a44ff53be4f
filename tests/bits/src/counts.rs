//! Calls whose instructions are counted: an LSTM with `f32` weights and with integers. See `.ci/instructions`.

use recurrent::{Error, Forward, Isa, Lstm, Narrow, Result, Sequences};

use crate::Buffers;

/// Steps of a call. The script divides by the multiply-adds of as many.
const STEPS: usize = 4;

/// Elements that the buffers of the largest layer need together: 512 units, 32 rows.
pub const ROOM: usize = 1 << 23;

/// Runs a layer with `hidden` units and inputs on `rows` rows. Weights are `f32` for format 0, and int8 or
/// int8-a8 for 1 and 2; these without the dot product of bytes for 3 and 4. An error says that this CPU does
/// not have it.
pub fn calls(format: u32, (hidden, rows): (usize, usize), calls: u32, room: &mut [f32]) -> Result<()> {
    let isa = Isa::detect();
    let wide = Lstm::new(hidden, hidden);
    let layer = match format {
        0 => wide.on(isa),
        1 | 2 if !isa.has_dot_product() => {
            return Err(Error::Value { argument: "format", expected: "3 or 4: this CPU has no dot product" });
        }
        _ => {
            let narrow = if format % 2 == 1 { Narrow::W8A16 } else { Narrow::W8A8 };
            wide.narrow(narrow).on(if format < 3 { isa } else { isa.without_dot_product() })
        }
    };
    let mut buffers = Buffers::new(room);
    let weights = &*buffers.random(layer.weights_len(), 0.1);
    let x = &*buffers.random(STEPS * rows * hidden, 1.0);
    let state = buffers.random(layer.state_len(rows), 1.0);
    let y = buffers.blank(STEPS * rows * hidden);
    let scratch = buffers.blank(layer.scratch_len(STEPS, rows));
    let packed = layer.pack(weights, buffers.blank(layer.packed_len()))?;
    for _ in 0..calls {
        let sequences = Sequences::new(STEPS, rows);
        layer.forward(&packed, Forward { sequences, x, y, state, scratch })?;
    }
    Ok(())
}
