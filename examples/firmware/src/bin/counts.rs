//! Instructions and stack of a step: of inference, of the training forward, and backward.
//!
//! It checks itself against ceilings: CMSIS-NN's f32 LSTM takes about twice as many instructions.
#![no_std]
#![no_main]

use firmware::board::{Counter, entry, exit, with_stack};
use recurrent::{Activation, Backward, Error, ForwardTrain, Gradients, Gru, Lstm, Rnn, Sequences};
use semihosting::println;

/// Input and hidden, and the most instructions that a step of an LSTM may take. A GRU may take four fifths of that.
const SIZES: [(usize, usize, u32); 4] = [(8, 16, 7_500), (22, 11, 6_500), (32, 32, 26_000), (64, 64, 90_000)];
/// Bytes of stack that a step may take.
const STACK: usize = 576;
/// Steps of a chunk.
const STEPS: usize = 10;
/// The layer that the buffers have room for.
const LARGEST: Lstm = Lstm::new(64, 64);

/// Numbers of no meaning.
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

/// All that is written.
struct Buffers {
    state: [f32; LARGEST.state_len(1)],
    y: [f32; STEPS * 64],
    tape: [f32; LARGEST.tape_len(STEPS, 1)],
    scratch: [f32; LARGEST.train_scratch_len(1)],
    grads: [f32; LARGEST.weights_len()],
}

static mut BUFFERS: Buffers =
    Buffers { state: [0.0; _], y: [0.0; _], tape: [0.0; _], scratch: [0.0; _], grads: [0.0; _] };

/// Instructions of a step, and the deepest stack of a step of inference.
struct Measured {
    step: u32,
    forward: u32,
    backward: u32,
    stack: usize,
}

// The passes of a layer are bounded by a private trait, so this cannot be one generic function.
macro_rules! measure {
    ($($name:ident: $layer:ty,)*) => {$(
        #[inline(always)]
        fn $name(layer: $layer, counter: &mut Counter, b: &mut Buffers) -> Result<Measured, Error> {
            let (input, hidden, sequences) = (layer.input(), layer.hidden(), Sequences::new(STEPS, 1));
            let weights = &WEIGHTS[..layer.weights_len()];
            let (x, dy) = (&X[..STEPS * input], &DY[..STEPS * hidden]);
            let (tape, y) = (&mut b.tape[..layer.tape_len(STEPS, 1)], &mut b.y[..STEPS * hidden]);
            let (state, scratch) = (&mut b.state[..layer.state_len(1)], &mut b.scratch);
            let grads = Some(&mut b.grads[..layer.weights_len()]);
            let (recurrent_dropout, layer_dropout, mode) = (None, None, Gradients::Overwrite);
            let mut run = Ok(());
            let step = counter.count(|| {
                for x in x.chunks_exact(input) {
                    run = run.and_then(|()| layer.step(weights, x, state, scratch));
                }
            });
            run?;
            state.fill(0.0);
            let (outcome, stack) = with_stack(|| layer.step(weights, &x[..input], state, scratch));
            outcome?;
            state.fill(0.0);
            let mut result = Ok(());
            let args = ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch };
            let forward = counter.count(|| result = layer.forward_train(weights, args));
            result?;
            let dstate = state;
            dstate.fill(0.0);
            let args =
                Backward { sequences, x, y, dy, dstate, dx: None, grads, mode, recurrent_dropout, layer_dropout, tape, scratch };
            let backward = counter.count(|| result = layer.backward(weights, args));
            result?;
            let [step, forward, backward] = [step, forward, backward].map(|count| count / STEPS as u32);
            Ok(Measured { step, forward, backward, stack })
        }
    )*};
}
measure! {
    rnn: Rnn,
    lstm: Lstm,
    gru: Gru,
}

fn report(name: &str, (input, hidden): (usize, usize), measured: &Measured, most: Option<u32>) -> bool {
    let Measured { step, forward, backward, stack } = measured;
    let fits = *stack <= STACK && most.is_none_or(|most| *step <= most);
    let most = most.unwrap_or(0);
    let sign = if fits { "" } else { "FAILED: too many" };
    println!("{name:9} {input:2} {hidden:2} {step:7} {most:7} {forward:7} {backward:8} {stack:5} {sign}");
    fits
}

fn run(counter: &mut Counter, b: &mut Buffers) -> Result<bool, Error> {
    let mut fits = true;
    println!("cell       I  H    step    most   train backward stack");
    for (input, hidden, most) in SIZES {
        let size = (input, hidden);
        let tanh = rnn(Rnn::new(input, hidden), counter, b)?;
        let relu = rnn(Rnn::new(input, hidden).activation(Activation::Relu), counter, b)?;
        fits &= report("rnn", size, &tanh, None);
        fits &= report("lstm", size, &lstm(Lstm::new(input, hidden), counter, b)?, Some(most));
        fits &= report("gru", size, &gru(Gru::new(input, hidden), counter, b)?, Some(most / 5 * 4));
        // Besides the call, a relu takes four instructions.
        let each = (tanh.step.saturating_sub(relu.step)) / hidden as u32;
        println!("tanh takes {each} instructions more than relu");
        fits &= each <= 41;
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
