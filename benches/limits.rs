//! Measures what the core can do, and how much of it the passes use: `cargo bench --bench limits`.
//!
//! Pin it to a core of a quiet machine (`taskset -c 0`). [`machine`] explains the floor of a pass.

use std::time::Duration;

use recurrent::{Backward, Forward, ForwardTrain, Gradients, Isa, Sequences};

mod common;
#[path = "common/machine.rs"]
mod machine;
use common::{SEQUENCES, STEPS, TRAINING, for_each_cell, random, weights};
use machine::{Core, Effort, Work};

/// Prints a row of the table: `seconds` compared with the floor.
fn row(core: &mut Core, what: &str, shape: &str, seconds: f64, work: Work) {
    let (compute, stream) = core.floors(work);
    let (floor, bound) = if compute > stream { (compute, "compute") } else { (stream, "weights") };
    println!(
        "{what:<14} {shape:<14} {:>12.3} {:>12.3} {:>12.3}  {bound:<8} {:>5.0} %",
        seconds * 1e6,
        compute * 1e6,
        stream * 1e6,
        100.0 * floor / seconds
    );
}

/// Size of the first core's cache of this level, as the kernel reports it.
fn cache(level: usize) -> Option<usize> {
    (0..8).find_map(|index| {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"))
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let wanted = read("level")? == level.to_string() && read("type")? != "Instruction";
        wanted.then(|| read("size")?.strip_suffix('K')?.parse::<usize>().ok().map(|kib| kib << 10)).flatten()
    })
}

fn main() {
    // Like criterion, `cargo test --benches` only checks that it runs.
    let full = std::env::args().any(|arg| arg == "--bench");
    let effort = if full {
        Effort { sample: Duration::from_millis(10), samples: 15 }
    } else {
        Effort { sample: Duration::ZERO, samples: 1 }
    };

    let mut core = Core::new(effort);
    println!("fused multiply-adds, {}: {:.1} GFLOP/s", core.name, core.peak / 1e9);
    let l3 = cache(3).unwrap_or(8 << 20);
    let levels = [
        ("L1", cache(1).unwrap_or(32 << 10) / 2),
        ("L2", cache(2).unwrap_or(512 << 10) / 2),
        ("L3", l3 / 4),
        ("memory", (8 * l3).min(1 << 28)),
    ];
    for (name, bytes) in levels {
        println!("reads, {name} ({} KiB): {:.1} GB/s", bytes >> 10, core.bandwidth(bytes) / 1e9);
    }

    println!(
        "\n{:<14} {:<14} {:>12} {:>12} {:>12}  {:<8} {:>7}",
        "pass", "shape", "us", "compute us", "weights us", "bound", "of it"
    );
    for_each_cell!(Layer, cell, gates => {
        for (input, hidden) in STEPS {
            let layer = Layer::new(input, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
            let x = random(input, 1.0);
            let mut state = vec![0.0; layer.state_len(1)];
            let mut scratch = vec![0.0; layer.scratch_len(1, 1)];
            let seconds = effort.time(|| layer.step(&packed, &x, &mut state, &mut scratch).unwrap());
            let work = Work::forward(gates, 1, 1, input, hidden);
            row(&mut core, &format!("{cell}_step"), &format!("{input}x{hidden}"), seconds, work);
        }
        for (batch, steps, hidden) in SEQUENCES {
            let layer = Layer::new(hidden, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
            let x = random(steps * batch * hidden, 1.0);
            let mut y = vec![0.0; steps * batch * hidden];
            let mut state = vec![0.0; layer.state_len(batch)];
            let mut scratch = vec![0.0; layer.scratch_len(steps, batch)];
            let seconds = effort.time(|| {
                let (x, y, state, scratch) = (&x[..], &mut y[..], &mut state[..], &mut scratch[..]);
                layer.forward(&packed, Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch }).unwrap();
            });
            let work = Work::forward(gates, batch, steps, hidden, hidden);
            row(&mut core, &format!("{cell}_forward"), &format!("b{batch}t{steps}h{hidden}"), seconds, work);
        }
        for (batch, steps, hidden) in TRAINING {
            let layer = Layer::new(hidden, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let x = random(steps * batch * hidden, 1.0);
            let dy = random(steps * batch * hidden, 0.1);
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            let mut grads = vec![0.0; weights.len()];
            let mut state = vec![0.0; layer.state_len(batch)];
            let mut dstate = vec![0.0; layer.state_len(batch)];
            let mut tape = vec![0.0; layer.tape_len(steps, batch)];
            let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
            let seconds = effort.time(|| {
                let (x, state, tape, scratch) = (&x[..], &mut state[..], &mut tape[..], &mut scratch[..]);
                let forward = ForwardTrain { sequences: Sequences::new(steps, batch), x, y: &mut y, state, recurrent_dropout: None, layer_dropout: None, tape, scratch };
                layer.forward_train(&weights, forward).unwrap();
                dstate.fill(0.0);
                let backward = Backward {
                    sequences: Sequences::new(steps, batch),
                    x,
                    y: &y,
                    dy: &dy,
                    dstate: &mut dstate,
                    dx: Some(&mut dx),
                    grads: Some(&mut grads),
                    mode: Gradients::Overwrite,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape,
                    scratch,
                };
                layer.backward(&weights, backward).unwrap();
            });
            let work = Work::train(gates, batch, steps, hidden, hidden);
            row(&mut core, &format!("{cell}_train"), &format!("b{batch}t{steps}h{hidden}"), seconds, work);
        }
    });
    println!("\ninstruction set: {}", Isa::detect().name());
}
