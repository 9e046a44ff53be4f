//! A program with one pass of a model and nothing else, to measure the flash that the pass takes.
//! `.ci/firmware` builds it for each pass and each model, chosen by `--cfg`, and measures the code. It is not
//! run.
#![no_std]
#![no_main]

use core::hint::black_box;

use firmware::board::entry;
use recurrent::Sequences;
use recurrent::model::{Forward, Input, Layer, Loss, Model, Training};

#[cfg(not(any(flash_model = "bidirectional", flash_model = "normalised", flash_model = "nine")))]
const MODEL: Model<2> = Model::new([Layer::gru(1, 8), Layer::dense(8, 1)]);

#[cfg(flash_model = "bidirectional")]
const MODEL: Model<2> = {
    use recurrent::{Lstm, Merge, Stack};
    let stack = Stack::new(Lstm::new(1, 8)).layers(2).bidirectional(Merge::Concat);
    Model::new([Layer::Lstm(stack), Layer::dense(16, 1)])
};

#[cfg(flash_model = "normalised")]
const MODEL: Model<2> = {
    use recurrent::{Lstm, LstmNorm, Stack};
    let stack = Stack::new(Lstm::new(1, 8).layer_norm(LstmNorm::Output));
    Model::new([Layer::Lstm(stack), Layer::dense(8, 1)])
};

#[cfg(flash_model = "nine")]
const MODEL: Model<9> = Model::new([
    Layer::dense(1, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::gru(8, 8),
    Layer::dense(8, 1),
]);

const T: usize = 4;
const B: usize = 1;

static mut WEIGHTS: [f32; MODEL.weights_len()] = [0.0; _];
static mut GRADS: [f32; MODEL.weights_len()] = [0.0; _];
static mut STATE: [f32; MODEL.state_len(B)] = [0.0; _];
static mut TAPE: [f32; MODEL.tape_len(T, B)] = [0.0; _];
static mut SCRATCH: [f32; MODEL.train_scratch_len(T, B) + MODEL.scratch_len(T, B)] = [0.0; _];
static mut X: [f32; T * B] = [0.0; _];
static mut Y: [f32; T * B] = [0.0; _];

#[entry]
fn main() -> ! {
    // SAFETY: the only references, and the program has one thread.
    let (weights, grads, state, tape, scratch, x, y) = unsafe {
        (
            &*(&raw const WEIGHTS),
            &mut *(&raw mut GRADS),
            &mut *(&raw mut STATE),
            &mut *(&raw mut TAPE),
            &mut *(&raw mut SCRATCH),
            &mut *(&raw mut X),
            &mut *(&raw mut Y),
        )
    };
    let sequences = Sequences::new(T, B);
    loop {
        // To the compiler, values and addresses are unknown; the model and all lengths are constants.
        let (weights, x) = (black_box(weights), black_box(&mut *x));
        let done = if cfg!(flash_pass = "none") {
            Ok(())
        } else if cfg!(flash_pass = "forward_backward") {
            let training = Training {
                sequences,
                x: Input::Values(x),
                loss: Loss::MeanSquaredError { targets: y },
                grads,
                state,
                tape,
                scratch,
                ..Default::default()
            };
            MODEL.forward_backward(weights, training).map(|loss| _ = black_box(loss))
        } else if cfg!(flash_pass = "forward") {
            MODEL.forward(weights, Forward { sequences, x: Input::Values(x), y, state, scratch })
        } else {
            MODEL.step(weights, &x[..B], &mut y[..B], state, scratch)
        };
        _ = black_box((done.is_ok(), &mut *y, &mut *state, &mut *grads));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
