//! Sums over so many similar terms that a plain chain of f32 additions would be imprecise.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::random;
use recurrent::{
    Backward, Dense, DenseBackward, Embedding, ForwardTrain, Gradients, Isa, Lstm, Pool, Result, Sequences,
};

/// The bound that README.md promises for outputs and gradients.
const TOLERANCE: f64 = 1e-5;

#[track_caller]
fn close(got: f32, want: f64, what: &str) {
    let off = (f64::from(got) - want).abs() / want.abs();
    assert!(off < TOLERANCE, "{what}: {got}, should be {want}, off by {off:e}");
}

#[test]
fn means_of_equal_steps_are_the_step() -> Result<()> {
    for (steps, width) in [(10_000, 1), (10_000, 17), (1_000_000, 1)] {
        let x = vec![0.1f32; steps * width];
        let mut y = vec![f32::NAN; width];
        Pool::Mean.forward(width, Sequences::new(steps, 1), &x, &mut y)?;
        y.iter().for_each(|y| close(*y, f64::from(0.1f32), &format!("{steps} steps")));
    }
    // A plain f32 sum of ones stops growing at 2^24.
    let ones = vec![1.0f32; 20_000_000];
    let mut y = [f32::NAN];
    Pool::Mean.forward(1, Sequences::new(ones.len(), 1), &ones, &mut y)?;
    assert_eq!(y, [1.0]);
    // Numbers that almost cancel.
    let x: Vec<f32> = (0..40_001).map(|i| if i % 2 == 0 { 1e4 } else { -1e4 } + i as f32 * 1e-3).collect();
    Pool::Mean.forward(1, Sequences::new(x.len(), 1), &x, &mut y)?;
    close(y[0], x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64, "alternating");
    Ok(())
}

#[test]
fn what_is_not_finite_stays_in_a_mean() -> Result<()> {
    let mut y = [0.0; 3];
    let x = [1.0, f32::INFINITY, f32::NAN, /**/ 3.0, 2.0, 2.0, /**/ 5.0, f32::INFINITY, 2.0];
    Pool::Mean.forward(3, Sequences::new(3, 1), &x, &mut y)?;
    assert!(y[0] == 3.0 && y[1] == f32::INFINITY && y[2].is_nan(), "{y:?}");
    Ok(())
}

#[test]
fn gradients_of_biases_over_ten_million_rows() -> Result<()> {
    // The sum of the rounding errors is itself long here. If these were only added up and applied at the end,
    // the result would be off by 9e-5.
    const ROWS: usize = 10_000_000;
    let layer = Dense::new(1, 2);
    let x = vec![0.0; ROWS];
    let mut dy: Vec<f32> = random(2 * ROWS, 1).iter().map(|x| 0.1 + 1e-3 * x).collect();
    let want = [0, 1].map(|j| dy.iter().skip(j).step_by(2).map(|x| f64::from(*x)).sum::<f64>());
    let (weights, mut grads) = (vec![0.5; layer.weights_len()], vec![f32::NAN; layer.weights_len()]);
    layer.backward(
        &weights,
        DenseBackward {
            rows: ROWS,
            x: &x,
            y: &[],
            dy: &mut dy,
            dx: None,
            grads: Some(&mut grads),
            mode: Gradients::Overwrite,
            scratch: &mut vec![0.0; layer.scratch_len()],
        },
    )?;
    close(grads[2], want[0], "dense");
    close(grads[3], want[1], "dense");
    Ok(())
}

/// Without weights every step of a recurrent layer is the same, so a bias gradient is that of one step times
/// the number of steps.
#[test]
fn gradients_of_a_recurrent_bias() -> Result<()> {
    const ROWS: usize = 200_000;
    let layer = Lstm::new(1, 2);
    let weights = vec![0.0; layer.weights_len()];
    let run = |steps: usize, batch: usize| -> Result<Vec<f32>> {
        let sequences = Sequences::new(steps, batch);
        let x = vec![0.3; steps * batch];
        let mut y = vec![0.0; steps * batch * 2];
        let mut tape = vec![0.0; layer.tape_len(steps, batch)];
        let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
        layer.forward_train(
            &weights,
            ForwardTrain {
                sequences,
                x: &x,
                y: &mut y,
                state: &mut vec![0.0; layer.state_len(batch)],
                tape: &mut tape,
                scratch: &mut scratch,
                ..Default::default()
            },
        )?;
        let mut grads = vec![0.0; layer.weights_len()];
        layer.backward(
            &weights,
            Backward {
                sequences,
                x: &x,
                y: &y,
                dy: &vec![0.1; y.len()],
                dstate: &mut vec![0.0; layer.state_len(batch)],
                grads: Some(&mut grads),
                tape: &mut tape,
                scratch: &mut scratch,
                ..Default::default()
            },
        )?;
        Ok(grads[layer.weights_len() - 8..].to_vec())
    };
    let (one, many) = (run(1, 1)?, run(1, ROWS)?);
    assert!(one.iter().any(|g| *g != 0.0));
    for (one, many) in one.iter().zip(&many).filter(|(one, _)| **one != 0.0) {
        close(*many, ROWS as f64 * f64::from(*one), "one step of many rows");
    }
    Ok(())
}

/// Gradients of weights and embeddings are chains over all rows. If terms are similar they are no better than
/// guide/numerics.rs states: off by `rows * 1.5e-8` of themselves.
#[test]
fn gradients_of_weights_lose_what_is_stated() -> Result<()> {
    for rows in [1_000, 30_000, 1_000_000] {
        let bound = 1.5e-8 * rows as f64 + 1e-6;
        let (x, terms) =
            (vec![1.0; rows], random(rows, 1).iter().map(|x| 0.1 + 1e-3 * x).collect::<Vec<f32>>());
        let want = terms.iter().map(|x| f64::from(*x)).sum::<f64>();
        let mut off = Vec::new();
        for isa in Isa::available() {
            let layer = Dense::new(1, 1).on(isa);
            let mut grads = vec![f32::NAN; layer.weights_len()];
            layer.backward(
                &vec![0.5; layer.weights_len()],
                DenseBackward {
                    rows,
                    x: &x,
                    y: &[],
                    dy: &mut terms.clone(),
                    dx: None,
                    grads: Some(&mut grads),
                    mode: Gradients::Overwrite,
                    scratch: &mut vec![0.0; layer.scratch_len()],
                },
            )?;
            off.push((f64::from(grads[0]) - want).abs() / want);
        }
        let mut grads = [f32::NAN];
        Embedding::new(1, 1).backward(&vec![0; rows], &terms, &mut grads, Gradients::Overwrite)?;
        off.push((f64::from(grads[0]) - want).abs() / want);
        println!("{rows} rows: off by {:.1e}", off.iter().fold(0.0f64, |most, off| most.max(*off)));
        assert!(off.iter().all(|off| *off < bound), "{rows} rows: {off:?}");
    }
    Ok(())
}
