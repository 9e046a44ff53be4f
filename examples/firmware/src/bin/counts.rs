//! Instructions of a step, forward and backward.
#![no_std]
#![no_main]

use firmware::board::{Counter, entry, exit, with_stack};
use recurrent::{Error, Gru, Lstm, Rnn};
use semihosting::println;

/// Input and hidden.
const SIZES: [(usize, usize); 4] = [(8, 16), (22, 11), (32, 32), (64, 64)];
/// Steps of a chunk.
const STEPS: usize = 10;
/// Room of the largest.
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
    dstate: [f32; LARGEST.state_len(1)],
    y: [f32; STEPS * 64],
    dx: [f32; STEPS * 64],
    tape: [f32; LARGEST.tape_len(STEPS, 1)],
    scratch: [f32; 5 * 64],
    grads: [f32; LARGEST.weights_len()],
}

static mut BUFFERS: Buffers = Buffers {
    state: [0.0; _],
    dstate: [0.0; _],
    y: [0.0; _],
    dx: [0.0; _],
    tape: [0.0; _],
    scratch: [0.0; _],
    grads: [0.0; _],
};

macro_rules! measure {
    ($($name:ident: $layer:ty, $new:expr;)*) => {$(
        fn $name(layer: $layer, counter: &mut Counter, b: &mut Buffers) -> Result<(), Error> {
            let (input, hidden) = (layer.input(), layer.hidden());
            let weights = &WEIGHTS[..layer.weights_len()];
            let x = &X[..STEPS * input];
            let state = &mut b.state[..layer.state_len(1)];
            let mut error = Ok(());
            let (steps, stack) = with_stack(|| {
                counter.count(|| {
                    for x in x.chunks_exact(input) {
                        if let Err(e) = layer.step(weights, x, state, &mut b.scratch) {
                            error = Err(e);
                        }
                    }
                })
            });
            error?;
            println!("{} {input} {hidden}: {} instructions a step, {stack} bytes of stack", stringify!($name), steps / STEPS as u32);
            Ok(())
        }
    )*};
}
measure! {
    rnn: Rnn, Rnn::new;
    lstm: Lstm, Lstm::new;
    gru: Gru, Gru::new;
}

fn run() -> Result<(), Error> {
    // SAFETY: the only reference, and the program has one thread.
    let buffers = unsafe { &mut *(&raw mut BUFFERS) };
    let Some(mut counter) = Counter::take() else { return Ok(()) };
    for (input, hidden) in SIZES {
        rnn(Rnn::new(input, hidden), &mut counter, buffers)?;
        lstm(Lstm::new(input, hidden), &mut counter, buffers)?;
        gru(Gru::new(input, hidden), &mut counter, buffers)?;
    }
    Ok(())
}

#[entry]
fn main() -> ! {
    match run() {
        Ok(()) => exit(0),
        Err(e) => {
            println!("{e}");
            exit(1)
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    exit(101)
}
