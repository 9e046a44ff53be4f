//! Options of the cells, stacks, sequences of several lengths, and single steps.

use core::fmt::{self, Write};

use recurrent::{
    Activation, Backward, Forward, ForwardTrain, Gradients, Gru, GruCell, Isa, Lstm, LstmCell, LstmNorm,
    Masked, Merge, Mgu, Reset, Result, Rnn, Sequences, Stack,
};

use crate::{Buffers, Sum, line};

const HARD: Activation = Activation::HardSigmoid { alpha: 0.2, beta: 0.5 };
const CELLS: [&str; 20] = [
    "rnn_softsign_clip",
    "lstm_activations",
    "lstm_clip",
    "lstm_coupled",
    "lstm_peepholes",
    "lstm_projection",
    "gru_activations",
    "gru_clip",
    "gru_reset_before_activations",
    "gru_reset_before_clip",
    "rnn_dropout",
    "lstm_dropout",
    "gru_dropout",
    "gru_reset_before_dropout",
    "mgu_dropout",
    "lstm_reverse",
    "gru_no_bias",
    "lstm_norm",
    "lstm_norm_state_dropout",
    "gru_norm",
];
/// Input, hidden, steps, batch.
const SIZES: [[usize; 4]; 4] = [[1, 1, 3, 1], [3, 7, 5, 2], [5, 17, 4, 3], [7, 33, 3, 13]];

const STACKS: [&str; 4] = ["lstm_concat", "gru_sum", "lstm_reverse_stack", "gru_reset_before_concat"];
const STACK_SIZES: [[usize; 4]; 3] = [[3, 7, 5, 2], [5, 17, 4, 3], [4, 33, 6, 5]];

pub(super) fn report(out: &mut impl Write, room: &mut [f32]) -> fmt::Result {
    for (cell, name) in CELLS.iter().enumerate() {
        for size in SIZES {
            for isa in Isa::available() {
                line(out, name, size, isa, layer(cell, size, isa, room))?;
            }
        }
    }
    for (stack, name) in STACKS.iter().enumerate() {
        for size in STACK_SIZES {
            for isa in Isa::available() {
                line(out, name, size, isa, stacked(stack, size, isa, room))?;
            }
        }
    }
    Ok(())
}

fn layer(cell: usize, [i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let (rnn_, lstm_, gru_) = (Rnn::new(i, h).on(isa), Lstm::new(i, h).on(isa), Gru::new(i, h).on(isa));
    let (before, size) = (gru_.reset(Reset::Before), (t, b));
    match cell {
        0 => rnn(rnn_.activation(Activation::Softsign).clip(1.5), size, room),
        1 => lstm(
            lstm_.activations(HARD, Activation::Softsign, Activation::LeakyRelu { alpha: 0.1 }),
            size,
            room,
        ),
        2 => lstm(lstm_.clip(1.5), size, room),
        3 => lstm(lstm_.coupled(), size, room),
        4 => lstm(lstm_.peepholes(), size, room),
        5 => lstm(lstm_.projection(h.div_ceil(2)), size, room),
        6 => gru(gru_.activations(HARD, Activation::Elu { alpha: 0.7 }), size, room),
        7 => gru(gru_.clip(1.5), size, room),
        8 => gru(before.activations(HARD, Activation::Relu), size, room),
        9 => gru(before.clip(1.5), size, room),
        10 => rnn(rnn_.recurrent_dropout(), size, room),
        11 => lstm(lstm_.recurrent_dropout(), size, room),
        12 => gru(gru_.recurrent_dropout(), size, room),
        13 => gru(before.recurrent_dropout(), size, room),
        14 => mgu(Mgu::new(i, h).on(isa).recurrent_dropout(), size, room),
        15 => lstm(lstm_.reverse(), size, room),
        16 => gru(gru_.bias(false), size, room),
        17 => lstm(lstm_.layer_norm(LstmNorm::Output), size, room),
        18 => lstm(lstm_.layer_norm(LstmNorm::State).recurrent_dropout(), size, room),
        _ => gru(gru_.layer_norm(), size, room),
    }
}

fn stacked(stack: usize, [i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let (of_lstm, of_gru) = (Stack::new(Lstm::new(i, h)).layers(2), Stack::new(Gru::new(i, h)).layers(2));
    match stack {
        0 => lstm_stack(of_lstm.bidirectional(Merge::Concat).on(isa), (t, b), room),
        1 => gru_stack(of_gru.bidirectional(Merge::Sum).on(isa), (t, b), room),
        2 => lstm_stack(Stack::new(Lstm::new(i, h).reverse()).layers(2).on(isa), (t, b), room),
        _ => {
            let before = Stack::new(Gru::new(i, h).reset(Reset::Before)).layers(2);
            gru_stack(before.bidirectional(Merge::Concat).on(isa), (t, b), room)
        }
    }
}

/// The number of steps of each batch row.
fn lengths(steps: usize) -> [usize; 13] {
    core::array::from_fn(|b| steps.saturating_sub(b % 3))
}

macro_rules! passes {
    ($($name:ident: $layer:ty, $l:ident $width:expr, $dropout:expr, ($t:ident, $b:ident) $train_scratch:expr, $can_step:expr;)*) => {$(
        fn $name($l: $layer, ($t, $b): (usize, usize), room: &mut [f32]) -> Result<u64> {
            let mut sum = Sum::NEW;
            let (rows, width, dropout, can_step) = ($t * $b, $width, $dropout, $can_step);
            let mut buffers = Buffers::new(room);
            let weights = &*buffers.random($l.weights_len(), 0.7);
            let x = &*buffers.random(rows * $l.input(), 2.0);
            let dy = &*buffers.random(rows * width, 1.0);
            let initial = &*buffers.random($l.state_len($b), 1.0);
            let (factors, layer_factors) = dropout;
            let factors = buffers.random(factors, 1.0);
            // Include zeros, as dropout does.
            factors.iter_mut().for_each(|f| *f = f.max(0.0) * 2.0);
            let recurrent_dropout = (!factors.is_empty()).then_some(&*factors);
            let layer_factors = &*buffers.random(layer_factors, 1.0);
            let layer_dropout = (!layer_factors.is_empty()).then_some(layer_factors);
            let state = buffers.blank(initial.len());
            let dstate = buffers.blank(initial.len());
            let grads = buffers.blank(weights.len());
            let y = buffers.blank(rows * width);
            let dx = buffers.blank(x.len());
            let tape = buffers.blank($l.tape_len($t, $b));
            let scratch = buffers.blank($train_scratch.max($l.scratch_len($t, $b)));
            let packed = buffers.blank($l.packed_len());
            let lengths = lengths($t);
            let resets: [bool; 64] = core::array::from_fn(|i| i % 5 == 4);
            let mask: [bool; 64] = core::array::from_fn(|i| i % 7 != 3);
            let whole = Sequences::new($t, $b);
            let kinds = [
                whole,
                whole.lengths(&lengths[..$b]),
                whole.batch_major().resets(&resets[..rows]),
                whole.mask(&mask[..rows], Masked::Carry),
            ];

            for sequences in kinds {
                state.copy_from_slice(initial);
                dstate.copy_from_slice(initial);
                let args = ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch };
                $l.forward_train(weights, args)?;
                sum.add(y);
                sum.add(state);
                let (dx, grads) = (Some(&mut *dx), Some(&mut *grads));
                let mode = Gradients::Overwrite;
                $l.backward(
                    weights,
                    Backward {
                        sequences, x, y, dy, dstate, dx, grads, mode, recurrent_dropout, layer_dropout, tape, scratch,
                    },
                )?;
                sum.add(dstate);
            }
            sum.add(dx);
            sum.add(grads);

            for sequences in kinds {
                state.copy_from_slice(initial);
                $l.forward(weights, Forward { sequences, x, y, state, scratch })?;
                sum.add(y);
                sum.add(state);
            }
            let packed = $l.pack(weights, packed)?;
            for sequences in kinds {
                state.copy_from_slice(initial);
                $l.forward(&packed, Forward { sequences, x, y, state, scratch })?;
                sum.add(y);
                sum.add(state);
            }
            for forms in 0..if can_step { 2 } else { 0 } {
                state.copy_from_slice(initial);
                for x in x.chunks_exact($b * $l.input()) {
                    if forms == 0 {
                        $l.step(weights, x, state, scratch)?;
                    } else {
                        $l.step(&packed, x, state, scratch)?;
                    }
                    sum.add(state);
                }
            }
            Ok(sum.0)
        }
    )*};
}

/// Numbers of dropout factors: those of a layer's recurrent dropout, and none between layers.
macro_rules! factors {
    ($l:ident, $b:ident) => {
        (if $l.has_recurrent_dropout() { $b * $l.width() } else { 0 }, 0)
    };
}

passes! {
    rnn: Rnn, l l.width(), factors!(l, b), (t, b) l.train_scratch_len(b), true;
    lstm: Lstm, l l.width(), factors!(l, b), (t, b) l.train_scratch_len(b), true;
    gru: Gru, l l.width(), factors!(l, b), (t, b) l.train_scratch_len(b), true;
    mgu: Mgu, l l.width(), factors!(l, b), (t, b) l.train_scratch_len(b), true;
    lstm_stack: Stack<LstmCell>, l l.output(), (0, l.layer_dropout_len(t, b)), (t, b) l.train_scratch_len(t, b),
        l.directions() == 1;
    gru_stack: Stack<GruCell>, l l.output(), (0, l.layer_dropout_len(t, b)), (t, b) l.train_scratch_len(t, b),
        l.directions() == 1;
}
