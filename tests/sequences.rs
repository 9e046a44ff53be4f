//! Padded batches compared with their rows run one by one. With any lengths, masks, resets, direction and
//! layout, a row gives the same bits as its steps alone, and the contents of the padding have no influence.

mod common;

use common::{Kind, Layer, Random, Trained, assert_bits, random_weights, sets};
use recurrent::{Backward, Forward, ForwardTrain, Gradients, Isa, Masked, Sequences};

/// A batch: the settings of its sequences, and its arguments.
struct Batch {
    steps: usize,
    batch: usize,
    batch_major: bool,
    reverse: bool,
    lengths: Option<Vec<usize>>,
    mask: Option<(Vec<bool>, Masked)>,
    resets: Option<Vec<bool>>,
    dropout: Option<Vec<f32>>,
    weights: Vec<f32>,
    x: Vec<f32>,
    dy: Vec<f32>,
    state: Vec<f32>,
    dstate: Vec<f32>,
}

impl Batch {
    fn new(layer: Layer, (steps, batch): (usize, usize), options: usize, seed: u64) -> Batch {
        let mut random = Random::new(seed);
        let on = |bit: usize| options >> bit & 1 == 1;
        let mut bools = |share: f32| -> Vec<bool> {
            random.uniform(steps * batch, 1.0).iter().map(|v| *v < 2.0 * share - 1.0).collect()
        };
        let (mask, resets) = (bools(0.7), bools(0.2));
        let lengths: Vec<usize> = random
            .uniform(batch, 1.0)
            .iter()
            .map(|v| ((v + 1.0) * 0.5 * (steps + 1) as f32) as usize)
            .map(|v| v.min(steps))
            .collect();
        let masked = if on(5) { Masked::Zero } else { Masked::Carry };
        let mut out = Batch {
            steps,
            batch,
            batch_major: on(0),
            reverse: on(1),
            lengths: on(2).then_some(lengths),
            mask: on(3).then_some((mask, masked)),
            resets: on(4).then_some(resets),
            dropout: None,
            weights: random_weights(layer, &mut random),
            x: random.uniform(steps * batch * layer.input(), 1.0),
            dy: random.uniform(steps * batch * layer.width(), 1.0),
            state: random.uniform(layer.state_len(batch), 0.9),
            dstate: random.uniform(layer.state_len(batch), 1.0),
        };
        // Fill the padding with NaN. The output of a masked step that carries the state keeps its gradient:
        // it is added to other gradients, with rounding. Another test checks that.
        for b in 0..batch {
            for time in 0..steps {
                if !out.active(time, b) {
                    let carried = out.mask.is_some() && time < out.len(b) && masked == Masked::Carry;
                    let row = out.row(time, b);
                    let (input, width) = (layer.input(), layer.width());
                    out.x[row * input..][..input].fill(f32::NAN);
                    out.dy[row * width..][..width].fill(if carried { 0.0 } else { f32::NAN });
                }
            }
        }
        out
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

    fn len(&self, b: usize) -> usize {
        self.lengths.as_ref().map_or(self.steps, |l| l[b])
    }

    fn row(&self, time: usize, b: usize) -> usize {
        if self.batch_major { b * self.steps + time } else { time * self.batch + b }
    }

    fn active(&self, time: usize, b: usize) -> bool {
        time < self.len(b) && self.mask.as_ref().is_none_or(|(mask, _)| mask[self.row(time, b)])
    }

    fn directed(&self, layer: Layer) -> Layer {
        if self.reverse { layer.reverse() } else { layer }
    }

    fn train(&self, layer: Layer) -> Trained {
        let mut out = Trained {
            y: vec![f32::NAN; self.dy.len()],
            state: self.state.clone(),
            grads: vec![f32::NAN; self.weights.len()],
            dx: vec![f32::NAN; self.x.len()],
            dstate: self.dstate.clone(),
        };
        let mut tape = vec![f32::NAN; layer.tape_len(self.steps, self.batch)];
        let mut scratch = vec![f32::NAN; layer.train_scratch_len(self.batch)];
        let sequences = self.sequences();
        let (x, y, state) = (&self.x, &mut out.y, &mut out.state);
        let args = ForwardTrain {
            sequences,
            x,
            y,
            state,
            recurrent_dropout: self.dropout.as_deref(),
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.forward_train(&self.weights, args).unwrap();
        scratch.fill(f32::NAN);
        let args = Backward {
            sequences,
            x,
            y: &out.y,
            dy: &self.dy,
            dstate: &mut out.dstate,
            dx: Some(&mut out.dx),
            grads: Some(&mut out.grads),
            mode: Gradients::Overwrite,
            recurrent_dropout: self.dropout.as_deref(),
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.backward(&self.weights, args).unwrap();
        out
    }

    /// Runs batch row `b` alone: its steps in order, cut at the resets, without padding or masked steps. Adds
    /// the weight gradients to `grads`.
    fn alone(&self, layer: Layer, b: usize, want: &mut Trained, grads: &mut [f64]) {
        let (input, width) = (layer.input(), layer.width());
        let mut times: Vec<usize> = (0..self.len(b)).collect();
        if self.reverse {
            times.reverse();
        }
        // Groups of steps between resets.
        let mut runs: Vec<(bool, Vec<usize>)> = vec![(false, vec![])];
        let mut outputs: Vec<(usize, usize)> = vec![];
        for time in times {
            let row = self.row(time, b);
            if self.resets.as_ref().is_some_and(|r| r[row]) {
                runs.push((true, vec![]));
            }
            if self.active(time, b) {
                runs.last_mut().unwrap().1.push(row);
            } else {
                outputs.push((row, runs.len() - 1));
            }
        }
        let dropout = self.dropout.as_ref().map(|d| &d[b * width..][..width]);
        let mut state = layer.state_row(&self.state, self.batch, b);
        let mut tapes = vec![];
        let gather = |of: &[f32], steps: &[usize], n: usize| -> Vec<f32> {
            steps.iter().flat_map(|row| of[row * n..][..n].to_vec()).collect()
        };
        let mut scratch = vec![f32::NAN; layer.train_scratch_len(1)];
        for (index, (reset, steps)) in runs.iter().enumerate() {
            if *reset {
                state.fill(0.0);
            }
            // The output of masked steps before these steps.
            let before = state[..width].to_vec();
            let (x, mut y) = (gather(&self.x, steps, input), vec![f32::NAN; steps.len() * width]);
            let mut tape = vec![f32::NAN; layer.tape_len(steps.len(), 1)];
            let sequences = Sequences::new(steps.len(), 1);
            let args = ForwardTrain {
                sequences,
                x: &x,
                y: &mut y,
                state: &mut state,
                recurrent_dropout: dropout,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            layer.forward_train(&self.weights, args).unwrap();
            for (step, row) in steps.iter().enumerate() {
                want.y[row * width..][..width].copy_from_slice(&y[step * width..][..width]);
            }
            for (row, _) in outputs.iter().filter(|(_, run)| *run == index) {
                let order = |row: usize| {
                    let time = if self.batch_major { row % self.steps } else { row / self.batch };
                    if self.reverse { self.steps - time } else { time }
                };
                let last = steps.iter().rposition(|step| order(*step) < order(*row));
                let carried = last.map_or(&before[..], |step| &y[step * width..][..width]);
                let carry = self.mask.as_ref().is_some_and(|(_, m)| *m == Masked::Carry);
                if carry {
                    want.y[row * width..][..width].copy_from_slice(carried);
                }
            }
            tapes.push((x, y, tape));
        }
        layer.set_state_row(&mut want.state, self.batch, b, &state);
        let mut dstate = layer.state_row(&self.dstate, self.batch, b);
        for ((reset, steps), (x, y, mut tape)) in runs.iter().zip(tapes).rev() {
            let (dy, mut dx) = (gather(&self.dy, steps, width), vec![f32::NAN; x.len()]);
            let mut own = vec![f32::NAN; self.weights.len()];
            let args = Backward {
                sequences: Sequences::new(steps.len(), 1),
                x: &x,
                y: &y,
                dy: &dy,
                dstate: &mut dstate,
                dx: Some(&mut dx),
                grads: Some(&mut own),
                mode: Gradients::Overwrite,
                recurrent_dropout: dropout,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            layer.backward(&self.weights, args).unwrap();
            for (step, row) in steps.iter().enumerate() {
                want.dx[row * input..][..input].copy_from_slice(&dx[step * input..][..input]);
            }
            grads.iter_mut().zip(own).for_each(|(sum, g)| *sum += f64::from(g));
            if *reset {
                dstate.fill(0.0);
            }
        }
        layer.set_state_row(&mut want.dstate, self.batch, b, &dstate);
    }
}

/// Sizes around the panels and tiles. The last one projects several steps ahead, and has more steps than
/// that.
const SIZES: [(usize, usize, usize, usize); 4] = [(3, 5, 7, 4), (2, 17, 5, 9), (0, 8, 6, 3), (2, 3, 3, 29)];

fn for_all(check: impl Fn(Layer, &mut Batch, &str)) {
    for kind in Kind::ALL {
        for (input, hidden, batch, steps) in SIZES {
            for isa in sets() {
                for options in 0..64 {
                    let layer = kind.layer(input, hidden, isa);
                    let mut batch = Batch::new(layer, (steps, batch), options, options as u64);
                    if kind.recurrent_dropout() && options % 3 != 0 {
                        let keep = Random::new(options as u64).uniform(batch.batch * layer.width(), 1.0);
                        batch.dropout =
                            Some(keep.iter().map(|v| if *v < -0.4 { 0.0 } else { 1.0 / 0.7 }).collect());
                    }
                    check(
                        layer,
                        &mut batch,
                        &format!("{kind:?} {input} {hidden} {options:06b} {}", isa.name()),
                    );
                }
            }
        }
    }
}

#[test]
fn rows_of_a_padded_batch_are_what_they_are_alone() {
    for_all(|layer, batch, name| {
        let got = batch.train(batch.directed(layer));
        let mut want = Trained {
            y: vec![0.0; got.y.len()],
            state: vec![f32::NAN; got.state.len()],
            grads: vec![],
            dx: vec![0.0; got.dx.len()],
            dstate: vec![f32::NAN; got.dstate.len()],
        };
        let mut grads = vec![0.0; got.grads.len()];
        for b in 0..batch.batch {
            batch.alone(layer, b, &mut want, &mut grads);
        }
        assert_bits(&got.y, &want.y, &format!("{name}: y"));
        assert_bits(&got.state, &want.state, &format!("{name}: state"));
        assert_bits(&got.dx, &want.dx, &format!("{name}: dx"));
        assert_bits(&got.dstate, &want.dstate, &format!("{name}: dstate"));
        let largest = grads.iter().fold(1e-30, |m: f64, g| m.max(g.abs()));
        for (i, (g, w)) in got.grads.iter().zip(&grads).enumerate() {
            // The sums have the same terms in another order.
            assert!((f64::from(*g) - w).abs() <= 2e-6 * largest, "{name}: grads[{i}] is {g}, should be {w}");
        }
    });
}

#[test]
fn inference_gives_the_same_bits() {
    for_all(|layer, batch, name| {
        let layer = batch.directed(layer);
        // Dropout is only for training.
        batch.dropout = None;
        let want = batch.train(layer);
        let packed = layer.pack(&batch.weights).unwrap();
        let mut scratch = vec![f32::NAN; layer.scratch_len(batch.steps, batch.batch)];
        for with_y in [true, false] {
            for in_place in [true, false] {
                let mut y = vec![f32::NAN; if with_y { want.y.len() } else { 0 }];
                let mut state = batch.state.clone();
                let args = Forward {
                    sequences: batch.sequences(),
                    x: &batch.x,
                    y: &mut y,
                    state: &mut state,
                    scratch: &mut scratch,
                };
                match in_place {
                    true => layer.forward(&batch.weights[..], args).unwrap(),
                    false => layer.forward(&packed, args).unwrap(),
                }
                assert_bits(&state, &want.state, name);
                if with_y {
                    assert_bits(&y, &want.y, name);
                }
            }
        }
    });
}

/// The output of a masked step repeats the output of an earlier step, and its gradient is passed on to that
/// step.
#[test]
fn a_carried_output_passes_its_gradient_on() {
    for kind in Kind::ALL {
        for isa in sets() {
            let layer = kind.layer(2, 9, isa);
            let mut batch = Batch::new(layer, (3, 2), 0, 5);
            let plain = batch.train(layer);
            batch.mask = Some((vec![true, true, false, true, true, true], Masked::Carry));
            let mut moved = Batch::new(layer, (3, 2), 0, 5);
            moved.mask = batch.mask.clone();
            // Move the gradient in row 0 from the masked step to the step before it.
            let width = layer.width();
            for unit in 0..width {
                let dy = std::mem::take(&mut moved.dy[2 * width + unit]);
                moved.dy[unit] += dy;
            }
            let (got, want) = (batch.train(layer), moved.train(layer));
            for (g, w) in got.dx.iter().zip(&want.dx).chain(got.dstate.iter().zip(&want.dstate)) {
                assert!((g - w).abs() < 1e-6, "{kind:?} on {}: {g} and {w}", isa.name());
            }
            assert_ne!(got.dx, plain.dx);
        }
    }
}

#[test]
fn each_option_changes_the_result() {
    for kind in Kind::ALL {
        let layer = kind.layer(3, 5, Isa::SCALAR);
        let plain = Batch::new(layer, (6, 4), 0, 1).train(layer);
        for option in 1..5 {
            let mut batch = Batch::new(layer, (6, 4), 1 << option, 1);
            // The same numbers as in `plain`, without NaN.
            let finite = Batch::new(layer, (6, 4), 0, 1);
            (batch.x, batch.dy) = (finite.x, finite.dy);
            let got = batch.train(if option == 1 { layer.reverse() } else { layer });
            assert!(got.y.iter().chain(&got.dx).all(|v| v.is_finite()));
            assert_ne!((got.y, got.state, got.dx), (plain.y.clone(), plain.state.clone(), plain.dx.clone()));
        }
    }
}

/// Batch-major buffers give the transposed results, to the bit.
#[test]
fn layouts_agree() {
    for kind in Kind::ALL {
        for isa in sets() {
            let (steps, rows, input) = (7, 3, 4);
            let layer = kind.layer(input, 9, isa);
            let width = layer.width();
            let time = Batch::new(layer, (steps, rows), 0, 9);
            let mut batch = Batch::new(layer, (steps, rows), 1, 9);
            let swap = |of: &[f32], width: usize| -> Vec<f32> {
                let at = |b: usize, t: usize| of[(t * rows + b) * width..][..width].to_vec();
                (0..rows).flat_map(|b| (0..steps).flat_map(move |t| at(b, t))).collect()
            };
            (batch.x, batch.dy) = (swap(&time.x, input), swap(&time.dy, width));
            let (time, batch) = (time.train(layer), batch.train(layer));
            assert_bits(&batch.y, &swap(&time.y, width), "y");
            assert_bits(&batch.dx, &swap(&time.dx, input), "dx");
            assert_bits(&batch.state, &time.state, "state");
            assert_bits(&batch.dstate, &time.dstate, "dstate");
        }
    }
}
