//! Calls of everything other than recurrent layers.

use arbitrary::{Result, Unstructured};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{self, Input, Layer, Loss, Model, Training};
use recurrent::train::{Adam, RmsProp, Sgd, clip_norm, clip_value, dropout, orthogonal};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, CrossEntropy, Dense, DenseBackward, Embedding, Gradients,
    KeysBackward, Pool, Sampling, Sequences, binary_cross_entropy, cross_entropy, log_softmax,
    log_softmax_backward, mean_squared_error, softmax, softmax_backward,
};

use crate::buffers::{floats, ids, pass, size, steps};

/// Calls all passes of an attention layer.
pub fn attention(u: &mut Unstructured<'_>, encoder: &Sequences<'_>) -> Result<()> {
    let (query, input) = (size(u)?, size(u)?);
    let layer = match u.int_in_range(0..=3)? {
        0 => Attention::dot(input),
        1 => Attention::scaled_dot(input),
        2 => Attention::general(query, input),
        _ => Attention::additive(query, input, size(u)?),
    };
    let (steps_of, batch, queries) = (encoder.steps(), encoder.batch(), steps(u)?);
    let decoder = Sequences::new(queries, if u.ratio(9, 10)? { batch } else { size(u)? });
    let (rows, asked) = (steps_of.saturating_mul(batch), queries.saturating_mul(batch));
    let (weights, x) = (floats(u, layer.weights_len())?, floats(u, rows.saturating_mul(input))?);
    let mut buffers =
        [floats(u, layer.keys_len(steps_of, batch))?, floats(u, layer.scratch_len(0, steps_of, batch))?];
    let made = pass(&mut buffers, |[keys, scratch]| {
        layer.keys(&weights, *encoder, &x, &mut keys[..], scratch).map(drop)
    });
    let [keys, mut scratch] = buffers;
    if !made {
        return Ok(());
    }
    let keys = layer.keys(&weights, *encoder, &x, keys, &mut scratch).expect("what was accepted before");
    let q = floats(u, asked.saturating_mul(layer.query()))?;
    let mut buffers = [
        floats(u, asked.saturating_mul(input))?,
        floats(u, asked.saturating_mul(steps_of))?,
        floats(u, layer.scratch_len(queries, steps_of, batch))?,
    ];
    pass(&mut buffers, |[context, alignments, scratch]| {
        let args = AttentionForward { sequences: decoder, queries: &q, context, alignments, scratch };
        layer.forward(&weights, &keys, args)
    });
    let [dcontext, alignments, _] = buffers;
    let mut buffers = [
        floats(u, q.len())?,
        floats(u, layer.dkeys_len(steps_of, batch))?,
        floats(u, weights.len())?,
        floats(u, layer.train_scratch_len(queries, steps_of, batch))?,
    ];
    pass(&mut buffers, |[dqueries, dkeys, grads, scratch]| {
        let args = AttentionBackward {
            sequences: decoder,
            queries: &q,
            alignments: &alignments,
            dcontext: &dcontext,
            dqueries,
            dkeys,
            grads: Some(grads),
            mode: Gradients::Overwrite,
            scratch,
        };
        layer.backward(&weights, &keys, args)
    });
    let [_, dkeys, grads, scratch] = buffers;
    pass(&mut [dkeys, floats(u, x.len())?, grads, scratch], |[dkeys, dx, grads, scratch]| {
        let args =
            KeysBackward { x: &x, dkeys, dx, grads: Some(grads), mode: Gradients::Accumulate, scratch };
        layer.keys_backward(&weights, &keys, args)
    });
    Ok(())
}

/// Calls one of the other functions.
pub fn call(u: &mut Unstructured<'_>, sequences: &Sequences<'_>) -> Result<()> {
    let rows = sequences.steps().saturating_mul(sequences.batch());
    match u.int_in_range(0..=5)? {
        0 => dense(u),
        1 => losses(u, sequences, rows),
        2 => tables(u, sequences, rows),
        3 => training(u),
        4 => drawing(u),
        _ => of_model(u, sequences, rows),
    }
}

fn dense(u: &mut Unstructured<'_>) -> Result<()> {
    let (input, output, rows) = (size(u)?, size(u)?, size(u)?);
    let layer = Dense::new(input, output);
    let layer = [layer, layer.tanh(), layer.relu(), layer.sigmoid()][u.int_in_range(0..=3)?];
    let (weights, x) = (floats(u, layer.weights_len())?, floats(u, rows.saturating_mul(input))?);
    let mut buffers = [floats(u, rows.saturating_mul(output))?, floats(u, layer.scratch_len())?];
    pass(&mut buffers, |[y, scratch]| layer.forward(&weights[..], rows, &x, y, scratch));
    let packed = floats(u, layer.packed_len())?;
    if let Ok(packed) = layer.pack(&weights, packed) {
        pass(&mut buffers, |[y, scratch]| layer.forward(&packed, rows, &x, y, scratch));
    }
    let [y, scratch] = buffers;
    let mut buffers = [floats(u, y.len())?, floats(u, x.len())?, floats(u, weights.len())?, scratch];
    pass(&mut buffers, |[dy, dx, grads, scratch]| {
        let (dx, grads, mode) = (Some(&mut dx[..]), Some(&mut grads[..]), Gradients::Overwrite);
        layer.backward(&weights, DenseBackward { rows, x: &x, y: &y, dy, dx, grads, mode, scratch })
    });
    Ok(())
}

fn losses(u: &mut Unstructured<'_>, sequences: &Sequences<'_>, rows: usize) -> Result<()> {
    let classes = size(u)?;
    let len = rows.saturating_mul(classes);
    let (x, other) = (floats(u, len)?, floats(u, len)?);
    let (targets, mut d) = (ids(u, rows, classes)?, [floats(u, len)?]);
    pass(&mut d, |[d]| cross_entropy(classes, &x, &targets, Some(d)));
    let loss = CrossEntropy::new(classes).over(*sequences);
    pass(&mut d, |[d]| loss.ignore(1).loss(&x, &targets, Some(d)));
    pass(&mut d, |[d]| binary_cross_entropy(&x, &other, Some(d)));
    pass(&mut d, |[d]| mean_squared_error(&x, &other, Some(d)));
    pass(&mut d, |[d]| softmax(classes, &x, d));
    pass(&mut d, |[d]| log_softmax(classes, &x, d));
    pass(&mut d, |[d]| softmax_backward(classes, &x, &other, d));
    pass(&mut d, |[d]| log_softmax_backward(classes, &x, &other, d));
    Ok(())
}

fn tables(u: &mut Unstructured<'_>, sequences: &Sequences<'_>, rows: usize) -> Result<()> {
    let (classes, width) = (size(u)?, size(u)?);
    let table = Embedding::new(classes, width);
    let (weights, of) = (floats(u, table.weights_len())?, ids(u, rows, classes)?);
    let mut y = [floats(u, of.len().saturating_mul(width))?];
    pass(&mut y, |[y]| table.forward(&weights[..], &of, y));
    let mut grads = [weights];
    pass(&mut grads, |[grads]| table.backward(&of, &y[0], grads, Gradients::Accumulate));
    let x = floats(u, rows.saturating_mul(width))?;
    for pool in [Pool::Last, Pool::Mean, Pool::Max] {
        let mut y = [floats(u, sequences.batch().saturating_mul(width))?];
        pass(&mut y, |[y]| pool.forward(width, *sequences, &x, y));
        let mut dx = [floats(u, x.len())?];
        pass(&mut dx, |[dx]| pool.backward(width, *sequences, &x, &y[0], dx));
    }
    Ok(())
}

fn training(u: &mut Unstructured<'_>) -> Result<()> {
    let n = size(u)?;
    let (grads, [lr, a, b, scale]) = (floats(u, n)?, u.arbitrary::<[f32; 4]>()?);
    let mut buffers = [floats(u, n)?, floats(u, Adam::moments_len(n))?];
    let mut adam = Adam { beta1: a, beta2: b, step: u.arbitrary()?, ..Adam::new(lr) };
    pass(&mut buffers, |[weights, moments]| adam.update_scaled(weights, &grads, moments, scale));
    let sgd = Sgd::new(lr).momentum(a).weight_decay(b);
    let mut buffers = [floats(u, n)?, floats(u, sgd.moments_len(n))?];
    pass(&mut buffers, |[weights, moments]| sgd.update_scaled(weights, &grads, moments, scale));
    let rms = RmsProp::new(lr).momentum(a).centered();
    let mut buffers = [floats(u, n)?, floats(u, rms.moments_len(n))?];
    pass(&mut buffers, |[weights, moments]| rms.update_scaled(weights, &grads, moments, scale));
    let mut grads = [grads];
    pass(&mut grads, |[grads]| clip_norm(grads, a));
    pass(&mut grads, |[grads]| clip_value(grads, b));
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    pass(&mut grads, |[factors]| dropout(factors, scale, rng));
    let (rows, cols) = (size(u)?, size(u)?);
    let mut w = [floats(u, rows.saturating_mul(cols))?];
    pass(&mut w, |[w]| orthogonal(w, rows, cols, rng));
    Ok(())
}

fn drawing(u: &mut Unstructured<'_>) -> Result<()> {
    let mut sampling = Sampling::new(u.arbitrary()?);
    if u.arbitrary()? {
        sampling = sampling.top_k(size(u)?);
    }
    if u.arbitrary()? {
        sampling = sampling.top_p(u.arbitrary()?);
    }
    let classes = size(u)?;
    let logits = floats(u, classes)?;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(u.arbitrary()?);
    let mut scratch = [floats(u, sampling.scratch_len(classes))?];
    pass(&mut scratch, |[scratch]| {
        sampling.draw(&logits, scratch, rng).inspect(|id| assert!(*id < logits.len(), "an id of no class"))
    });
    Ok(())
}

fn of_model(u: &mut Unstructured<'_>, sequences: &Sequences<'_>, rows: usize) -> Result<()> {
    let (classes, width, hidden, output) = (size(u)?, size(u)?, size(u)?, size(u)?);
    let first = if u.arbitrary()? { Layer::embedding(classes, width) } else { Layer::dense(classes, width) };
    let middle = match u.int_in_range(0..=3)? {
        0 => Layer::rnn(width, hidden),
        1 => Layer::lstm(width, hidden),
        2 => Layer::mgu(width, hidden),
        _ => Layer::gru(width, hidden),
    };
    let third = [Layer::Pool(Pool::Mean), Layer::Dropout(u.arbitrary()?), Layer::dense(hidden, hidden)];
    let third = third[u.int_in_range(0..=2)?];
    let Ok(model) = Model::checked([first, middle, third, Layer::dense(hidden, output)]) else {
        return Ok(());
    };
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let weights = floats(u, model.weights_len())?;
    let (of_ids, values) = (ids(u, rows, classes)?, floats(u, rows.saturating_mul(model.input()))?);
    let x = if u.arbitrary::<u8>()? < 128 { Input::Ids(&of_ids) } else { Input::Values(&values) };
    let mut buffers = [
        floats(u, model.output_len(steps, batch))?,
        floats(u, model.state_len(batch))?,
        floats(u, model.scratch_len(steps, batch))?,
    ];
    pass(&mut buffers, |[y, state, scratch]| {
        model.forward(&weights[..], model::Forward { sequences: *sequences, x, y, state, scratch })
    });
    let [targets, state, _] = buffers;
    let factors = floats(u, model.dropout_len(steps, batch))?;
    let dropout = u.ratio(1, 2)?.then_some(&factors[..]);
    let mut buffers = [
        floats(u, model.weights_len())?,
        state,
        floats(u, model.tape_len(steps, batch))?,
        floats(u, model.train_scratch_len(steps, batch))?,
    ];
    pass(&mut buffers, |[grads, state, tape, scratch]| {
        let loss = Loss::MeanSquaredError { targets: &targets };
        let mode = Gradients::Overwrite;
        let total_targets = None;
        let sequences = *sequences;
        let dstate = None;
        let args = Training { sequences, x, loss, total_targets, grads, mode, state, dstate, dropout, tape, scratch };
        model.forward_backward(&weights, args)
    });
    Ok(())
}
