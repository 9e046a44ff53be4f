//! Steps and sequences of a chain whose layers are in a `Vec`, in Rust, called by `speed.c`.

use recurrent::Sequences;
use recurrent::model::{Chain, Forward, Layer, Packed};

/// A chain with its buffers.
pub struct Bench {
    chain: Chain<'static>,
    packed: Packed<&'static mut [f32]>,
    y: &'static mut [f32],
    state: &'static mut [f32],
    scratch: &'static mut [f32],
    steps: usize,
}

/// What `speed.c` gives: sizes, weights, and the buffers, which are those that it uses itself. Where a buffer
/// starts may change a step by a tenth.
#[repr(C)]
pub struct Given {
    is_lstm: bool,
    input: usize,
    hidden: usize,
    outputs: usize,
    steps: usize,
    weights: *const f32,
    packed: *mut f32,
    y: *mut f32,
    state: *mut f32,
    scratch: *mut f32,
}

/// Makes a chain of a GRU or an LSTM, and of a dense layer unless `outputs` is 0. It takes blocks of up to
/// `steps` steps, and is never freed. Returns null if the layers or the weights do not fit.
///
/// # Safety
/// The buffers have the lengths of such a chain, and nobody uses them while `rust_run` runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_new(given: &Given) -> *mut Bench {
    let Given { is_lstm, input, hidden, outputs, steps, .. } = *given;
    let mut layers = vec![if is_lstm { Layer::lstm(input, hidden) } else { Layer::gru(input, hidden) }];
    if outputs > 0 {
        layers.push(Layer::dense(hidden, outputs));
    }
    let Ok(chain) = Chain::new(layers.leak()) else { return std::ptr::null_mut() };
    // SAFETY: the caller promises it.
    let at = |start: *mut f32, len| unsafe { std::slice::from_raw_parts_mut(start, len) };
    // SAFETY: the caller promises it.
    let weights = unsafe { std::slice::from_raw_parts(given.weights, chain.weights_len()) };
    let Ok(packed) = chain.pack(weights, at(given.packed, chain.packed_len())) else {
        return std::ptr::null_mut();
    };
    let y = at(given.y, chain.output_len(steps, 1));
    let (state, scratch) =
        (at(given.state, chain.state_len(1)), at(given.scratch, chain.scratch_len(steps, 1)));
    Box::into_raw(Box::new(Bench { chain, packed, y, state, scratch, steps }))
}

/// Runs `calls` steps or blocks, taking the samples of `x` in turn: a chunk of `steps` inputs for each call.
/// Returns the sum of the first outputs.
///
/// # Safety
/// `bench` comes from `rust_new`, and `x` points to `len` elements, a multiple of a chunk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rust_run(bench: *mut Bench, x: *const f32, len: usize, calls: usize) -> f32 {
    // SAFETY: the caller promises it.
    let (bench, x) = unsafe { (&mut *bench, std::slice::from_raw_parts(x, len)) };
    let Bench { chain, packed, y, state, scratch, steps } = bench;
    let mut sum = 0.0;
    for x in x.chunks_exact(*steps * chain.input()).cycle().take(calls) {
        let done = if *steps == 1 {
            chain.step(&*packed, x, y, state, scratch)
        } else {
            let sequences = Sequences::new(*steps, 1);
            chain.forward(&*packed, Forward { sequences, x: x.into(), y, state, scratch })
        };
        if done.is_err() {
            return f32::NAN;
        }
        sum += y[0];
    }
    sum
}
