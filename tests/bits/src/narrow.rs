//! Narrow weights: integers in every cell, and all formats in a dense layer. Targets without an operating
//! system use them in place, the others pack them.

use core::fmt::{self, Write};

use recurrent::{
    Cell, Dense, Forward, Gru, Isa, Lstm, Mgu, Narrow, Recurrent, Reset, Result, Rnn, Sequences,
};

use crate::{Buffers, Sum, line};

const DENSE: [(&str, Narrow); 4] = [
    ("dense_f16", Narrow::F16),
    ("dense_bf16", Narrow::Bf16),
    ("dense_int8", Narrow::W8A16),
    ("dense_int8_a8", Narrow::W8A8),
];
const CELLS: [&str; 6] =
    ["rnn_int8", "lstm_int8", "lstm_int8_projection", "gru_int8", "gru_int8_reset_before", "mgu_int8"];
/// Input, hidden, steps, batch.
const SIZES: [[usize; 4]; 4] = [[1, 1, 3, 1], [3, 7, 5, 2], [5, 17, 4, 3], [16, 33, 9, 5]];

pub(super) fn report(out: &mut impl Write, room: &mut [f32]) -> fmt::Result {
    for size in SIZES {
        for isa in Isa::available() {
            for (name, format) in DENSE {
                let sum = dense(format, size, isa, room);
                line(out, name, size, isa, sum)?;
                plain(out, (name, size, isa), sum, |isa| dense(format, size, isa, room))?;
            }
            for (cell, name) in CELLS.iter().enumerate() {
                let sum = of_cell(cell, size, isa, room);
                line(out, name, size, isa, sum)?;
                plain(out, (name, size, isa), sum, |isa| of_cell(cell, size, isa, room))?;
            }
        }
    }
    Ok(())
}

/// Computes the bits without a dot product of bytes. They are only printed where they differ: then the check
/// finds them.
fn plain(
    out: &mut impl Write,
    (name, size, isa): (&str, [usize; 4], Isa),
    sum: Result<u64>,
    mut of: impl FnMut(Isa) -> Result<u64>,
) -> fmt::Result {
    let plain = isa.without_dot_product();
    if isa.has_dot_product() {
        let without = of(plain);
        if without != sum {
            return line(out, name, size, plain, without);
        }
    }
    Ok(())
}

fn dense(format: Narrow, [i, o, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let layer = Dense::new(i, o).on(isa).narrow(format);
    let (mut sum, mut buffers, rows) = (Sum::NEW, Buffers::new(room), t * b);
    let weights = &*buffers.random(layer.weights_len(), 0.7);
    let x = &*buffers.random(rows * i, 2.0);
    let y = buffers.blank(rows * o);
    let scratch = buffers.blank(layer.scratch_len());
    #[cfg(not(target_os = "none"))]
    let packed = &layer.pack(weights, buffers.blank(layer.packed_len()))?;
    #[cfg(target_os = "none")]
    let packed = {
        let narrow = buffers.bytes(layer.narrow_len());
        layer.round(weights, narrow)?;
        &*narrow
    };
    layer.forward(packed, rows, x, y, scratch)?;
    sum.add(y);
    Ok(sum.0)
}

fn of_cell(cell: usize, [i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let (lstm, gru) = (Lstm::new(i, h).on(isa), Gru::new(i, h).on(isa));
    match cell {
        0 => recurrent(Rnn::new(i, h).on(isa), (t, b), room),
        1 => recurrent(lstm, (t, b), room),
        2 => recurrent(lstm.projection(h.div_ceil(2)), (t, b), room),
        3 => recurrent(gru, (t, b), room),
        4 => recurrent(gru.reset(Reset::Before), (t, b), room),
        _ => recurrent(Mgu::new(i, h).on(isa), (t, b), room),
    }
}

/// Sequences of several lengths, and single steps, with activations of 16 and of 8 bits.
fn recurrent<C: Cell>(wide: Recurrent<C>, (t, b): (usize, usize), room: &mut [f32]) -> Result<u64> {
    let (mut sum, mut buffers) = (Sum::NEW, Buffers::new(room));
    let weights = &*buffers.random(wide.weights_len(), 0.7);
    let x = &*buffers.random(t * b * wide.input(), 2.0);
    let y = buffers.blank(t * b * wide.width());
    let state = buffers.blank(wide.state_len(b));
    let lengths: [usize; 5] = core::array::from_fn(|b| t - b % 3);
    for format in [Narrow::W8A16, Narrow::W8A8] {
        let layer = wide.narrow(format);
        let scratch = buffers.blank(layer.scratch_len(t, b));
        #[cfg(not(target_os = "none"))]
        let packed = &layer.pack(weights, buffers.blank(layer.packed_len()))?;
        #[cfg(target_os = "none")]
        let packed = {
            let narrow = buffers.bytes(layer.narrow_len());
            layer.round(weights, narrow)?;
            &*narrow
        };
        let sequences = Sequences::new(t, b).lengths(&lengths[..b]);
        state.fill(0.25);
        layer.forward(packed, Forward { sequences, x, y, state, scratch })?;
        sum.add(y);
        sum.add(state);
        for x in x.chunks_exact(b * wide.input()) {
            layer.step(packed, x, state, scratch)?;
            sum.add(state);
        }
    }
    Ok(sum.0)
}
