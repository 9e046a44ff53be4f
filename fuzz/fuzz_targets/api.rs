//! Calls the public interface with arbitrary sizes, options, lists and buffers. Nothing may panic, and a pass
//! that returns an error must not have written anything.
#![no_main]

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use recurrent::{Activation, Cell, Gru, Isa, Lstm, LstmNorm, Masked, Merge, Mgu, Recurrent, Reset, Rnn, Sequences, Stack};
use recurrent::{Backward, Forward, ForwardTrain, Gradients};
use recurrent_fuzz::buffers::{flags, floats, lengths, pass, size, steps};
use recurrent_fuzz::others;

/// The lists that `Sequences` borrows.
struct Lists {
    steps: usize,
    batch: usize,
    batch_major: bool,
    lengths: Option<Vec<usize>>,
    mask: Option<(Vec<bool>, Masked)>,
    resets: Option<Vec<bool>>,
}

impl Lists {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let (steps, batch) = (steps(u)?, size(u)?);
        let [batch_major, some_lengths, some_mask, some_resets, zero]: [bool; 5] = u.arbitrary()?;
        let rows = steps.saturating_mul(batch);
        let masked = if zero { Masked::Zero } else { Masked::Carry };
        Ok(Lists {
            steps,
            batch,
            batch_major,
            lengths: if some_lengths { Some(lengths(u, steps, batch)?) } else { None },
            mask: if some_mask { Some((flags(u, rows)?, masked)) } else { None },
            resets: if some_resets { Some(flags(u, rows)?) } else { None },
        })
    }

    fn sequences(&self) -> Sequences<'_> {
        let mut sequences = Sequences::new(self.steps, self.batch);
        if self.batch_major {
            sequences = sequences.batch_major();
        }
        if let Some(lengths) = &self.lengths {
            sequences = sequences.lengths(lengths);
        }
        if let Some((mask, masked)) = &self.mask {
            sequences = sequences.mask(mask, *masked);
        }
        if let Some(resets) = &self.resets {
            sequences = sequences.resets(resets);
        }
        sequences
    }
}

fn activation(u: &mut Unstructured<'_>) -> Result<Activation> {
    let [alpha, beta]: [f32; 2] = u.arbitrary()?;
    Ok(*u.choose(&[
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
        Activation::Affine { alpha, beta },
        Activation::LeakyRelu { alpha },
        Activation::ThresholdedRelu { alpha },
        Activation::ScaledTanh { alpha, beta },
        Activation::HardSigmoid { alpha, beta },
        Activation::Elu { alpha },
        Activation::Softsign,
        Activation::Softplus,
    ])?)
}

/// Sets the options that every cell has.
fn options<C: Cell>(layer: Recurrent<C>, u: &mut Unstructured<'_>) -> Result<Recurrent<C>> {
    let isas: Vec<Isa> = Isa::available().collect();
    let mut layer = layer.on(*u.choose(&isas)?).bias(u.ratio(3, 4)?);
    if u.arbitrary()? {
        layer = layer.reverse();
    }
    if u.ratio(1, 4)? {
        layer = layer.recurrent_dropout();
    }
    Ok(layer)
}

fn layer<C: Cell>(layer: Recurrent<C>, u: &mut Unstructured<'_>) -> Result<()> {
    let lists = Lists::new(u)?;
    let (sequences, steps, batch) = (lists.sequences(), lists.steps, lists.batch);
    let rows = steps.saturating_mul(batch);
    let (x_len, y_len) = (rows.saturating_mul(layer.input()), rows.saturating_mul(layer.width()));
    let [weights, x, y] = [layer.weights_len(), x_len, y_len].map(|len| floats(u, len));
    let (weights, x, y, state) = (weights?, x?, y?, floats(u, layer.state_len(batch))?);
    let mut packed = [floats(u, layer.packed_len())?];
    let scratch = floats(u, layer.scratch_len(steps, batch))?;

    // Pack first: the passes borrow their buffers for as long as the packed weights are used.
    let mut buffers = [y, state, scratch];
    pass(&mut packed, |[packed]| layer.pack(&weights, &mut packed[..]).map(drop));
    let [packed] = packed;
    if let Ok(packed) = layer.pack(&weights, packed) {
        pass(&mut buffers, |[y, state, scratch]| {
            layer.forward(&packed, Forward { sequences, x: &x, y, state, scratch })
        });
        pass(&mut buffers, |[_, state, scratch]| layer.step(&packed, &x, state, scratch));
    }
    pass(&mut buffers, |[y, state, scratch]| {
        layer.forward(&weights[..], Forward { sequences, x: &x, y, state, scratch })
    });
    pass(&mut buffers, |[_, state, scratch]| layer.step(&weights[..], &x, state, scratch));

    let factors = if u.ratio(1, 4)? { Some(floats(u, batch.saturating_mul(layer.width()))?) } else { None };
    let recurrent_dropout = factors.as_deref();
    let [y, state, _] = buffers;
    let tape = floats(u, layer.tape_len(steps, batch))?;
    let mut buffers = [y, state, tape, floats(u, layer.train_scratch_len(batch))?];
    pass(&mut buffers, |[y, state, tape, scratch]| {
        let args = ForwardTrain {
            sequences,
            x: &x,
            y,
            state,
            recurrent_dropout,
            layer_dropout: None,
            tape,
            scratch,
        };
        layer.forward_train(&weights, args)
    });
    let [y, _, tape, scratch] = buffers;
    let (dy, dstate) = (floats(u, y_len)?, floats(u, layer.state_len(batch))?);
    let (dx, grads) = (floats(u, x_len)?, floats(u, layer.weights_len())?);
    let [some_dx, some_grads, add]: [bool; 3] = u.arbitrary()?;
    pass(&mut [dstate, dx, grads, tape, scratch], |[dstate, dx, grads, tape, scratch]| {
        let args = Backward {
            sequences,
            x: &x,
            y: &y,
            dy: &dy,
            dstate,
            dx: some_dx.then_some(dx),
            grads: some_grads.then_some(grads),
            mode: if add { Gradients::Accumulate } else { Gradients::Overwrite },
            recurrent_dropout,
            layer_dropout: None,
            tape,
            scratch,
        };
        layer.backward(&weights, args)
    });
    Ok(())
}

fn stack<C: Cell>(layer: Recurrent<C>, u: &mut Unstructured<'_>) -> Result<()> {
    let mut stack = Stack::new(layer).layers(u.int_in_range(0..=3)?);
    if let Some(merge) = *u.choose(&[None, Some(Merge::Concat), Some(Merge::Sum)])? {
        stack = stack.bidirectional(merge);
    }
    let lists = Lists::new(u)?;
    let (sequences, steps, batch) = (lists.sequences(), lists.steps, lists.batch);
    let rows = steps.saturating_mul(batch);
    let (x_len, y_len) = (rows.saturating_mul(stack.input()), rows.saturating_mul(stack.output()));
    let (weights, x) = (floats(u, stack.weights_len())?, floats(u, x_len)?);
    let mut buffers =
        [floats(u, y_len)?, floats(u, stack.state_len(batch))?, floats(u, stack.scratch_len(steps, batch))?];
    let packed = floats(u, stack.packed_len())?;
    if let Ok(packed) = stack.pack(&weights, packed) {
        pass(&mut buffers, |[y, state, scratch]| {
            stack.forward(&packed, Forward { sequences, x: &x, y, state, scratch })
        });
    }
    pass(&mut buffers, |[y, state, scratch]| {
        stack.forward(&weights[..], Forward { sequences, x: &x, y, state, scratch })
    });
    let [y, state, _] = buffers;
    let tape = floats(u, stack.tape_len(steps, batch))?;
    let factors = if u.ratio(1, 4)? { Some(floats(u, stack.layer_dropout_len(steps, batch))?) } else { None };
    let mut buffers = [y, state, tape, floats(u, stack.train_scratch_len(steps, batch))?];
    pass(&mut buffers, |[y, state, tape, scratch]| {
        let layer_dropout = factors.as_deref();
        let args = ForwardTrain {
            sequences,
            x: &x,
            y,
            state,
            recurrent_dropout: None,
            layer_dropout,
            tape,
            scratch,
        };
        stack.forward_train(&weights, args)
    });
    let [y, _, tape, scratch] = buffers;
    let (dy, dstate) = (floats(u, y_len)?, floats(u, stack.state_len(batch))?);
    let (dx, grads) = (floats(u, x_len)?, floats(u, stack.weights_len())?);
    pass(&mut [dstate, dx, grads, tape, scratch], |[dstate, dx, grads, tape, scratch]| {
        let args = Backward {
            sequences,
            x: &x,
            y: &y,
            dy: &dy,
            dstate,
            dx: Some(dx),
            grads: Some(grads),
            mode: Gradients::Overwrite,
            recurrent_dropout: None,
            layer_dropout: factors.as_deref(),
            tape,
            scratch,
        };
        stack.backward(&weights, args)
    });
    Ok(())
}

fn either<C: Cell>(of: Recurrent<C>, u: &mut Unstructured<'_>) -> Result<()> {
    let of = options(of, u)?;
    if u.arbitrary()? { layer(of, u) } else { stack(of, u) }
}

fn call(u: &mut Unstructured<'_>) -> Result<()> {
    let (cell, input, hidden) = (u.int_in_range(0..=5)?, size(u)?, size(u)?);
    let [plain, coupled, peepholes]: [bool; 3] = u.arbitrary()?;
    let clip: Option<f32> = if plain { None } else { u.arbitrary()? };
    macro_rules! clipped {
        ($layer:expr) => {
            if let Some(clip) = clip { $layer.clip(clip) } else { $layer }
        };
    }
    match cell {
        0 => {
            let rnn = Rnn::new(input, hidden);
            let rnn = if plain { rnn } else { rnn.activation(activation(u)?) };
            either(clipped!(rnn), u)
        }
        1 => {
            let mut lstm = Lstm::new(input, hidden);
            if !plain {
                lstm = lstm.activations(activation(u)?, activation(u)?, activation(u)?);
                if coupled {
                    lstm = lstm.coupled();
                }
                if peepholes {
                    lstm = lstm.peepholes();
                }
                if u.arbitrary()? {
                    lstm = lstm.projection(size(u)?);
                }
            }
            // Other options exclude it, which every pass has to notice.
            if u.arbitrary()? {
                lstm = lstm.layer_norm(if coupled { LstmNorm::Output } else { LstmNorm::State });
            }
            either(clipped!(lstm), u)
        }
        2 => {
            let mut gru = Gru::new(input, hidden);
            if coupled {
                gru = gru.reset(Reset::Before);
            }
            if !plain {
                gru = gru.activations(activation(u)?, activation(u)?);
            }
            if u.arbitrary()? {
                gru = gru.layer_norm();
            }
            either(clipped!(gru), u)
        }
        3 => either(Mgu::new(input, hidden), u),
        other => {
            let lists = Lists::new(u)?;
            let call = if other == 4 { others::attention } else { others::call };
            call(u, &lists.sequences())
        }
    }
}

// If the input is too short, the call is not made.
fuzz_target!(|bytes: &[u8]| {
    let _ = call(&mut Unstructured::new(bytes));
});
