//! Truncated backpropagation through time: a GRU learns to predict the next sample of a signal, chunk after
//! chunk of a stream that never repeats.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::train::{Adam, clip_norm};
use recurrent::{Backward, Dense, DenseBackward, ForwardTrain, Gradients, Gru, Result, Sequences};

const HIDDEN: usize = 8;
const CELL: Gru = Gru::new(1, HIDDEN);
const HEAD: Dense = Dense::new(HIDDEN, 1);
/// Steps of a chunk.
const STEPS: usize = 16;
pub const UPDATES: usize = 300;

const WEIGHTS: usize = CELL.weights_len() + HEAD.weights_len();
const SCRATCH: usize = {
    let (cell, head) = (CELL.train_scratch_len(1), HEAD.scratch_len());
    if cell > head { cell } else { head }
};

/// Two oscillators. Sums and products only, so that every machine has the same samples.
struct Signal([[f32; 2]; 2]);

impl Signal {
    const fn new() -> Self {
        Signal([[0.6, 0.0], [0.3, 0.0]])
    }

    fn next(&mut self) -> f32 {
        // Cosine and sine of 0.31 and of 0.83.
        for ([x, y], (c, s)) in
            self.0.iter_mut().zip([(0.952_333_6, 0.305_058_63), (0.674_875_8, 0.737_931_4)])
        {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
        self.0[0][1] + self.0[1][1]
    }
}

/// The buffers of the training. They are zero at first, so that a `static` takes no flash.
pub struct Learner {
    pub weights: [f32; WEIGHTS],
    grads: [f32; WEIGHTS],
    moments: [f32; Adam::moments_len(WEIGHTS)],
    state: [f32; CELL.state_len(1)],
    dstate: [f32; CELL.state_len(1)],
    /// The chunk, and the sample after it.
    x: [f32; STEPS + 1],
    y: [f32; STEPS * HIDDEN],
    dy: [f32; STEPS * HIDDEN],
    out: [f32; STEPS],
    dout: [f32; STEPS],
    tape: [f32; CELL.tape_len(STEPS, 1)],
    scratch: [f32; SCRATCH],
}

impl Learner {
    pub const fn new() -> Self {
        Learner {
            weights: [0.0; _],
            grads: [0.0; _],
            moments: [0.0; _],
            state: [0.0; _],
            dstate: [0.0; _],
            x: [0.0; _],
            y: [0.0; _],
            dy: [0.0; _],
            out: [0.0; _],
            dout: [0.0; _],
            tape: [0.0; _],
            scratch: [0.0; _],
        }
    }

    /// Makes all updates, and calls `report` with the number of each and its mean squared error.
    pub fn run(&mut self, mut report: impl FnMut(usize, f32)) -> Result<()> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let (cell, head) = self.weights.split_at_mut(CELL.weights_len());
        CELL.init(cell, &mut rng)?;
        HEAD.init(head, &mut rng)?;
        let (mut adam, mut signal) = (Adam::new(0.01), Signal::new());
        self.x[STEPS] = signal.next();
        for update in 1..=UPDATES {
            self.x[0] = self.x[STEPS];
            self.x[1..].iter_mut().for_each(|x| *x = signal.next());
            report(update, self.update(&mut adam)?);
        }
        Ok(())
    }

    /// One update. It is a separate function, so that its stack frame is gone while `report` prints.
    #[inline(never)]
    fn update(&mut self, adam: &mut Adam) -> Result<f32> {
        let (w_cell, w_head) = self.weights.split_at(CELL.weights_len());
        let (g_cell, g_head) = self.grads.split_at_mut(CELL.weights_len());
        let (x, targets) = (&self.x[..STEPS], &self.x[1..]);
        let (sequences, mode) = (Sequences::new(STEPS, 1), Gradients::Overwrite);
        let (recurrent_dropout, layer_dropout) = (None, None);
        let Learner { state, dstate, y, dy, out, dout, tape, scratch, .. } = self;
        CELL.forward_train(
            w_cell,
            ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch },
        )?;
        HEAD.forward(w_head, STEPS, y, out, scratch)?;
        let mut loss = 0.0;
        for ((dout, out), target) in dout.iter_mut().zip(&*out).zip(targets) {
            let error = out - target;
            loss += error * error;
            *dout = error * (2.0 / STEPS as f32);
        }
        let (dx, grads) = (Some(&mut dy[..]), Some(g_head));
        HEAD.backward(
            w_head,
            DenseBackward { rows: STEPS, x: y, y: out, dy: dout, dx, grads, mode, scratch },
        )?;
        dstate.fill(0.0);
        let (dx, grads) = (None, Some(g_cell));
        CELL.backward(
            w_cell,
            Backward {
                sequences,
                x,
                y,
                dy,
                dstate,
                dx,
                grads,
                mode,
                recurrent_dropout,
                layer_dropout,
                tape,
                scratch,
            },
        )?;
        if clip_norm(&mut self.grads, 1.0)?.is_some() {
            adam.update(&mut self.weights, &self.grads, &mut self.moments)?;
        }
        Ok(loss / STEPS as f32)
    }
}

impl Default for Learner {
    fn default() -> Self {
        Learner::new()
    }
}
