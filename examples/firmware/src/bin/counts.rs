//! Counts the instructions and the stack of a step: in inference, in the forward pass of training, and
//! backward.
//!
//! It checks itself against ceilings: CMSIS-NN's f32 LSTM takes about twice as many instructions. On a core
//! without an FPU, it checks that weights of 8 bits save most of them.
#![no_std]
#![no_main]

use firmware::Aligned;
use firmware::board::{Counter, entry, exit, with_stack};
use recurrent::{
    Activation, Backward, Error, ForwardTrain, Gradients, Gru, Lstm, Narrow, Rnn, Sequences, WeightSource,
};
use semihosting::println;

const HAS_FPU: bool = cfg!(target_abi = "eabihf");
/// Bytes of stack that a step of inference may take.
const STACK: usize = if HAS_FPU { 512 } else { 640 };
const STACK_INT8: usize = if HAS_FPU { 544 } else { 896 };
/// Instructions that a hyperbolic tangent may take.
const TANH: u32 = 45;
/// Steps of a chunk.
const STEPS: usize = 10;
/// The layer that the buffers have room for.
const LARGEST: Lstm = Lstm::new(64, 64);
const LARGEST_INT8: Lstm = LARGEST.narrow(Narrow::W8A16);
const SCRATCH: usize = {
    let (train, step) = (LARGEST.train_scratch_len(1), LARGEST_INT8.scratch_len(1, 1));
    if train > step { train } else { step }
};

/// Arbitrary numbers.
const fn noise<const N: usize>() -> [f32; N] {
    let (mut out, mut x, mut i) = ([0.0; N], 1u32, 0);
    while i < N {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out[i] = ((x >> 8) as f32 / 8_388_608.0 - 1.0) * 0.3;
        i += 1;
    }
    out
}

static WEIGHTS: [f32; LARGEST.weights_len()] = noise();
static X: [f32; STEPS * 64] = noise();
static DY: [f32; STEPS * 64] = noise();

/// The buffers that the passes write.
struct Buffers {
    state: [f32; LARGEST.state_len(1)],
    y: [f32; STEPS * 64],
    tape: [f32; LARGEST.tape_len(STEPS, 1)],
    scratch: [f32; SCRATCH],
    grads: [f32; LARGEST.weights_len()],
    narrow: Aligned<{ LARGEST_INT8.narrow_len() }>,
}

static mut BUFFERS: Buffers = Buffers {
    state: [0.0; _],
    y: [0.0; _],
    tape: [0.0; _],
    scratch: [0.0; _],
    grads: [0.0; _],
    narrow: Aligned([0; _]),
};

/// Instructions of a step, and the deepest stack of a step of inference.
struct Measured {
    step: u32,
    forward: u32,
    backward: u32,
    stack: usize,
}

// Layers are constants, as in firmware that runs them: inline ones, because closures would capture a value.
macro_rules! measure {
    ($($name:ident: $layer:expr,)*) => {$(
        fn $name<const I: usize, const H: usize>(counter: &mut Counter, b: &mut Buffers) -> Result<Measured, Error> {
            let sequences = Sequences::new(STEPS, 1);
            let weights = &WEIGHTS[..(const { $layer }).weights_len()];
            let (x, dy) = (&X[..STEPS * I], &DY[..STEPS * H]);
            let (tape, y) = (&mut b.tape[..(const { $layer }).tape_len(STEPS, 1)], &mut b.y[..STEPS * H]);
            let (state, scratch) = (&mut b.state[..(const { $layer }).state_len(1)], &mut b.scratch);
            let grads = Some(&mut b.grads[..(const { $layer }).weights_len()]);
            let (recurrent_dropout, layer_dropout, mode) = (None, None, Gradients::Overwrite);
            let mut run = Ok(());
            let step = counter.count(|| {
                for x in x.chunks_exact(I) {
                    run = run.and_then(|()| (const { $layer }).step(weights, x, state, scratch));
                }
            });
            run?;
            state.fill(0.0);
            let (outcome, stack) = with_stack(|| (const { $layer }).step(weights, &x[..I], state, scratch));
            outcome?;
            state.fill(0.0);
            let mut result = Ok(());
            let args = ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch };
            let forward = counter.count(|| result = (const { $layer }).forward_train(weights, args));
            result?;
            let dstate = state;
            dstate.fill(0.0);
            let args =
                Backward { sequences, x, y, dy, dstate, dx: None, grads, mode, recurrent_dropout, layer_dropout, tape, scratch };
            let backward = counter.count(|| result = (const { $layer }).backward(weights, args));
            result?;
            let [step, forward, backward] = [step, forward, backward].map(|count| count / STEPS as u32);
            Ok(Measured { step, forward, backward, stack })
        }
    )*};
}
measure! {
    rnn: Rnn::new(I, H),
    lstm: Lstm::new(I, H),
    gru: Gru::new(I, H),
}

// The same layers from weights of 8 bits in place: instructions of a step and its deepest stack.
macro_rules! measure_int8 {
    ($($name:ident: $layer:expr,)*) => {$(
        fn $name<const I: usize, const H: usize>(
            counter: &mut Counter,
            b: &mut Buffers,
        ) -> Result<(u32, usize), Error> {
            let narrow = &mut b.narrow.0[..(const { $layer }).narrow_len()];
            (const { $layer }).round(&WEIGHTS[..(const { $layer }).weights_len()], narrow)?;
            let weights = WeightSource::Narrow(narrow);
            let (state, scratch) = (&mut b.state[..(const { $layer }).state_len(1)], &mut b.scratch);
            state.fill(0.0);
            let mut run = Ok(());
            let step = counter.count(|| {
                for x in X[..STEPS * I].chunks_exact(I) {
                    run = run.and_then(|()| (const { $layer }).step(weights, x, state, scratch));
                }
            });
            run?;
            state.fill(0.0);
            let (outcome, stack) = with_stack(|| (const { $layer }).step(weights, &X[..I], state, scratch));
            outcome?;
            Ok((step / STEPS as u32, stack))
        }
    )*};
}
measure_int8! {
    rnn_int8: Rnn::new(I, H).narrow(Narrow::W8A16),
    lstm_int8: Lstm::new(I, H).narrow(Narrow::W8A16),
    gru_int8: Gru::new(I, H).narrow(Narrow::W8A16),
}

fn report_int8(
    name: &str,
    (input, hidden): (usize, usize),
    (step, stack): (u32, usize),
    most: Option<u32>,
) -> bool {
    let fits = stack <= STACK_INT8 && most.is_none_or(|most| step <= most);
    let (most, sign) = (most.unwrap_or(0), if fits { "" } else { "FAILED: too many" });
    println!("int8 {name:9} {input:2} {hidden:2} {step:7} {most:7} {stack:5} {sign}");
    fits
}

fn report(name: &str, (input, hidden): (usize, usize), measured: &Measured, most: Option<[u32; 2]>) -> bool {
    let Measured { step, forward, backward, stack } = measured;
    let fits = *stack <= STACK
        && most.is_none_or(|[most, most_backward]| *step <= most && *backward <= most_backward);
    let most = most.map_or(0, |[most, _]| most);
    let sign = if fits { "" } else { "FAILED: too many" };
    println!("{name:9} {input:2} {hidden:2} {step:7} {most:7} {forward:7} {backward:8} {stack:5} {sign}");
    fits
}

/// All cells of a size. `most` are the instructions that an LSTM may take for a step, for a step backward,
/// and for a step from weights of 8 bits. A GRU may take four fifths of them. Without an FPU, the last may take
/// a third of those in `f32` from 32 units on, otherwise half.
fn size<const I: usize, const H: usize>(
    [most, most_backward, most_int8]: [u32; 3],
    counter: &mut Counter,
    b: &mut Buffers,
) -> Result<bool, Error> {
    let most = [most, most_backward];
    let of = |most| if HAS_FPU { Some(most) } else { None };
    let (lstm, gru) = (lstm::<I, H>(counter, b)?, gru::<I, H>(counter, b)?);
    let mut fits = report("rnn", (I, H), &rnn::<I, H>(counter, b)?, None);
    fits &= report("lstm", (I, H), &lstm, of(most));
    fits &= report("gru", (I, H), &gru, of(most.map(|most| most / 5 * 4)));
    fits &= report_int8("rnn", (I, H), rnn_int8::<I, H>(counter, b)?, None);
    let part = |step: u32| step / if H >= 32 { 3 } else { 2 };
    let (most, most_gru) =
        if HAS_FPU { (most_int8, most_int8 / 50 * 41) } else { (part(lstm.step), part(gru.step)) };
    fits &= report_int8("lstm", (I, H), lstm_int8::<I, H>(counter, b)?, Some(most));
    fits &= report_int8("gru", (I, H), gru_int8::<I, H>(counter, b)?, Some(most_gru));
    Ok(fits)
}

/// Instructions of a tanh, by its argument: the difference between a step of units that compute only a tanh
/// and one of units that compute only a ReLU, which takes four.
fn tanh(counter: &mut Counter, b: &mut Buffers) -> Result<bool, Error> {
    const UNITS: usize = 64;
    const UNIT: Rnn = Rnn::new(1, UNITS);
    let ranges = [
        ("tiny", 1e-30),
        ("small", 0.5),
        ("middle", 2.0),
        ("large", -8.5),
        ("saturated", 100.0),
        ("nan", f32::NAN),
    ];
    let mut fits = true;
    for (range, argument) in ranges {
        let weights = &mut b.grads[..UNIT.weights_len()];
        weights.fill(0.0);
        UNIT.weights_mut(weights)?.b_ih.fill(argument);
        let (state, scratch) = (&mut b.state[..UNITS], &mut b.scratch);
        let mut result = Ok(());
        state.fill(0.0);
        let tanh = counter.count(|| result = UNIT.step(&*weights, &[0.0], state, scratch));
        result?;
        state.fill(0.0);
        let relu = counter
            .count(|| result = UNIT.activation(Activation::Relu).step(&*weights, &[0.0], state, scratch));
        result?;
        let each = (tanh + 4 * UNITS as u32).saturating_sub(relu).div_ceil(UNITS as u32);
        let sign = if each <= TANH { "" } else { "FAILED: too many" };
        println!("tanh {range:9} {each:3} {sign}");
        fits &= each <= TANH;
    }
    Ok(fits)
}

fn run(counter: &mut Counter, b: &mut Buffers) -> Result<bool, Error> {
    println!("cell       I  H    step    most   train backward stack");
    let mut fits = size::<3, 24>([12_000, 27_000, 11_700], counter, b)?;
    fits &= size::<8, 16>([7500, 12_000, 7600], counter, b)?;
    fits &= size::<22, 11>([6500, 17_800, 6350], counter, b)?;
    fits &= size::<32, 32>([26_000, 41_000, 22_000], counter, b)?;
    fits &= size::<64, 64>([90_000, 146_000, 67_000], counter, b)?;
    if HAS_FPU {
        fits &= tanh(counter, b)?;
    }
    Ok(fits)
}

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let buffers = unsafe { &mut *(&raw mut BUFFERS) };
    let Some(mut counter) = Counter::take() else { exit(1) };
    let (result, stack) = with_stack(|| run(&mut counter, buffers));
    match result {
        Ok(fits) => {
            println!("stack {stack}");
            exit(if fits { 0 } else { 1 })
        }
        Err(e) => {
            println!("FAILED: {e}");
            exit(1)
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    exit(101)
}
