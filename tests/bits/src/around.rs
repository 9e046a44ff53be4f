//! Dense layers, attention, and models of several layers.

use core::fmt::{self, Write};

use recurrent::model::{self, Layer, Loss, Model, Training};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Dense, DenseBackward, Gradients, Gru, Isa, KeysBackward,
    Lstm, Merge, Mgu, Pool, Reset, Result, Rnn, Sequences, Stack,
};

use crate::{Buffers, Sum, line};

const DENSE: [&str; 4] = ["dense", "dense_tanh", "dense_relu", "dense_sigmoid"];
const ATTENTION: [&str; 4] = ["attention_dot", "attention_scaled", "attention_general", "attention_additive"];
const MODELS: [&str; 3] = ["model_ids", "model_pool", "model_steps"];
/// Input (for attention: features of a query), output, steps, batch.
const SIZES: [[usize; 4]; 4] = [[1, 1, 3, 1], [3, 7, 5, 2], [5, 17, 4, 3], [16, 33, 3, 7]];

pub(super) fn report(out: &mut impl Write, room: &mut [f32]) -> fmt::Result {
    for size in SIZES {
        for isa in Isa::available() {
            for (kind, name) in DENSE.iter().enumerate() {
                line(out, name, size, isa, dense(kind, size, isa, room))?;
            }
            for (kind, name) in ATTENTION.iter().enumerate() {
                line(out, name, size, isa, attention(kind, size, isa, room))?;
            }
            line(out, MODELS[0], size, isa, ids(size, isa, room))?;
            line(out, MODELS[1], size, isa, pool(size, isa, room))?;
            line(out, MODELS[2], size, isa, steps(size, isa, room))?;
        }
    }
    Ok(())
}

fn dense(kind: usize, [i, o, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let plain = Dense::new(i, o).on(isa);
    let layer = match kind {
        0 => plain,
        1 => plain.tanh(),
        2 => plain.relu(),
        _ => plain.sigmoid(),
    };
    let (mut sum, mut buffers, rows) = (Sum::NEW, Buffers::new(room), t * b);
    let weights = &*buffers.random(layer.weights_len(), 0.7);
    let x = &*buffers.random(rows * i, 2.0);
    let dy = buffers.random(rows * o, 1.0);
    let grads = buffers.random(weights.len(), 1.0);
    let y = buffers.blank(rows * o);
    let dx = buffers.blank(x.len());
    let scratch = buffers.blank(layer.scratch_len());
    let packed = layer.pack(weights, buffers.blank(layer.packed_len()))?;
    layer.forward(&packed, rows, x, y, scratch)?;
    sum.add(y);
    // One row, then all rows.
    layer.forward(weights, 1, &x[..i], &mut y[..o], scratch)?;
    sum.add(y);
    layer.forward(weights, rows, x, y, scratch)?;
    sum.add(y);
    let mode = Gradients::Accumulate;
    let args = DenseBackward { rows, x, y, dy, dx: Some(&mut *dx), grads: Some(&mut *grads), mode, scratch };
    layer.backward(weights, args)?;
    sum.add(dx);
    sum.add(grads);
    Ok(sum.0)
}

fn attention(kind: usize, [q, w, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let layer = match kind {
        0 => Attention::dot(w),
        1 => Attention::scaled_dot(w),
        2 => Attention::general(q, w),
        _ => Attention::additive(q, w, w + 1),
    };
    let layer = layer.on(isa);
    let (mut sum, mut buffers, s) = (Sum::NEW, Buffers::new(room), t + 2);
    let lengths: [usize; 7] = core::array::from_fn(|b| s - b % 3);
    let (encoder, decoder) = (Sequences::new(s, b).lengths(&lengths[..b]), Sequences::new(t, b));
    let weights = &*buffers.random(layer.weights_len(), 0.7);
    let x = &*buffers.random(s * b * layer.input(), 1.0);
    let queries = &*buffers.random(t * b * layer.query(), 1.0);
    let dcontext = &*buffers.random(t * b * layer.input(), 1.0);
    let grads = buffers.random(weights.len(), 1.0);
    let context = buffers.blank(dcontext.len());
    let alignments = buffers.blank(t * b * s);
    let dqueries = buffers.blank(queries.len());
    let dkeys = buffers.blank(layer.dkeys_len(s, b));
    dkeys.fill(0.0);
    let dx = buffers.blank(x.len());
    let scratch = buffers.blank(layer.train_scratch_len(t, s, b).max(layer.train_scratch_len(0, s, b)));
    let keys = layer.keys(weights, encoder, x, buffers.blank(layer.keys_len(s, b)), scratch)?;
    layer.forward(
        weights,
        &keys,
        AttentionForward { sequences: decoder, queries, context, alignments, scratch },
    )?;
    sum.add(context);
    sum.add(alignments);
    let mode = Gradients::Accumulate;
    layer.backward(
        weights,
        &keys,
        AttentionBackward {
            sequences: decoder,
            queries,
            alignments,
            dcontext,
            dqueries,
            dkeys,
            grads: Some(&mut *grads),
            mode,
            scratch,
        },
    )?;
    sum.add(dqueries);
    layer.keys_backward(
        weights,
        &keys,
        KeysBackward { x, dkeys, dx, grads: Some(&mut *grads), mode, scratch },
    )?;
    sum.add(dx);
    sum.add(grads);
    Ok(sum.0)
}

/// Forward and backward, then inference with in-place and with packed weights.
macro_rules! model {
    ($model:ident, $sequences:ident, $x:expr, $loss:expr, $buffers:ident, $sum:ident) => {{
        let (t, b) = ($sequences.steps(), $sequences.batch());
        let weights = &*$buffers.random($model.weights_len(), 0.7);
        let initial = &*$buffers.random($model.state_len(b), 1.0);
        let factors = $buffers.random($model.dropout_len(t, b), 1.0);
        factors.iter_mut().for_each(|f| *f = f.max(0.0) * 2.0);
        let grads = $buffers.random(weights.len(), 1.0);
        let state = $buffers.blank(initial.len());
        state.copy_from_slice(initial);
        let tape = $buffers.blank($model.tape_len(t, b));
        let scratch = $buffers.blank($model.train_scratch_len(t, b).max($model.scratch_len(t, b)));
        let y = $buffers.blank($model.output_len(t, b));
        let packed = $buffers.blank($model.packed_len());
        let training = Training {
            total_targets: None,
            sequences: $sequences,
            x: $x.into(),
            loss: $loss,
            grads: &mut *grads,
            mode: Gradients::Accumulate,
            state: &mut *state,
            dstate: None,
            dropout: Some(&*factors),
            tape,
            scratch: &mut *scratch,
        };
        $sum.add(&[$model.forward_backward(weights, training)?]);
        $sum.add(grads);
        $sum.add(state);
        let packed = $model.pack(weights, packed)?;
        for forms in 0..2 {
            state.copy_from_slice(initial);
            let args = model::Forward {
                sequences: $sequences,
                x: $x.into(),
                y: &mut *y,
                state: &mut *state,
                scratch: &mut *scratch,
            };
            if forms == 0 {
                $model.forward(weights, args)?;
            } else {
                $model.forward(&packed, args)?;
            }
            $sum.add(y);
            $sum.add(state);
        }
        (weights, packed, initial, state, scratch, y)
    }};
}

/// Ids in, classes out, through a bidirectional stack.
fn ids([i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let classes = i + 2;
    let stack = Stack::new(Gru::new(i, h).recurrent_dropout()).layers(2).bidirectional(Merge::Concat);
    let model = Model::checked([
        Layer::embedding(classes, i),
        stack.on(isa).into(),
        Layer::Dropout(0.5),
        Dense::new(2 * h, classes).on(isa).into(),
    ])?;
    let (mut sum, mut buffers) = (Sum::NEW, Buffers::new(room));
    let x: [u32; 21] = core::array::from_fn(|n| (n * 7 % classes) as u32);
    let targets: [u32; 21] = core::array::from_fn(|n| (n * 5 % classes) as u32);
    let (lengths, rows) = (core::array::from_fn::<_, 7, _>(|b| t - b % 3), t * b);
    let sequences = Sequences::new(t, b).lengths(&lengths[..b]);
    model!(model, sequences, &x[..rows], Loss::classes(&targets[..rows]), buffers, sum);
    Ok(sum.0)
}

/// A model with one output for each sequence.
fn pool([i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let model = Model::checked([
        Rnn::new(i, h).on(isa).into(),
        Lstm::new(h, h).reverse().on(isa).into(),
        Pool::Mean.into(),
        Dense::new(h, 2).tanh().on(isa).into(),
    ])?;
    let (mut sum, mut buffers) = (Sum::NEW, Buffers::new(room));
    let (x, targets) = (&*buffers.random(t * b * i, 1.0), &*buffers.random(2 * b, 1.0));
    let (lengths, loss) =
        (core::array::from_fn::<_, 7, _>(|b| t - b % 3), Loss::MeanSquaredError { targets });
    let sequences = Sequences::new(t, b).lengths(&lengths[..b]);
    model!(model, sequences, x, loss, buffers, sum);
    Ok(sum.0)
}

/// A model that can also run step by step.
fn steps([i, h, t, b]: [usize; 4], isa: Isa, room: &mut [f32]) -> Result<u64> {
    let model = Model::checked([
        Dense::new(i, h).relu().on(isa).into(),
        Mgu::new(h, h).on(isa).into(),
        Gru::new(h, h).reset(Reset::Before).on(isa).into(),
        Lstm::new(h, h).projection(h.div_ceil(2)).on(isa).into(),
        Dense::new(h.div_ceil(2), 1).sigmoid().on(isa).into(),
    ])?;
    let (mut sum, mut buffers) = (Sum::NEW, Buffers::new(room));
    let x = &*buffers.random(t * b * i, 1.0);
    let targets = buffers.random(t * b, 1.0);
    targets.iter_mut().for_each(|y| *y = f32::from(u8::from(*y > 0.0)));
    let (loss, sequences) = (Loss::BinaryCrossEntropy { targets }, Sequences::new(t, b));
    let (weights, packed, initial, state, scratch, y) = model!(model, sequences, x, loss, buffers, sum);
    for forms in 0..2 {
        state.copy_from_slice(initial);
        for x in x.chunks_exact(b * i) {
            if forms == 0 {
                model.step(weights, x, &mut y[..b], state, scratch)?;
            } else {
                model.step(&packed, x, &mut y[..b], state, scratch)?;
            }
            sum.add(&y[..b]);
            sum.add(state);
        }
    }
    Ok(sum.0)
}
