"""Writes losses.safetensors: PyTorch's losses and their gradients in f64, from f32 inputs.

    pip install torch safetensors numpy
    python generate_losses.py

The committed file is from torch 2.15.0 and numpy 2.4.6. Gradients are kept in f32, but for the ones of single numbers.
Settings are rounded to f32 before PyTorch gets them, because the library has them in f32. tests/ctc.rs and tests/losses.rs hold the
same settings.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

f = torch.nn.functional
f32 = lambda value: float(np.float32(value))


def with_gradient(x, loss):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    out = loss(x)
    out.backward()
    return out.detach().numpy().reshape(1), x.grad.numpy().astype(np.float32)


def ctc(out, rng, name, steps, batch, classes, labels, spread, blank, reduction, lengths=None, zero_infinity=False):
    """Logits within `spread`, and labels. A third of the labels equal the label before."""
    x = rng.uniform(-spread, spread, (steps, batch, classes)).astype(np.float32)
    others = [c for c in range(classes) if c != blank]
    targets = []
    for count in labels:
        row = []
        for _ in range(count):
            row.append(row[-1] if row and rng.random() < 0.33 else int(rng.choice(others)))
        targets.append(row)
    lengths = lengths or [steps] * batch
    flat = np.array([c for row in targets for c in row], dtype=np.int64)
    loss = lambda v: f.ctc_loss(
        f.log_softmax(v, 2),
        torch.tensor(flat),
        torch.tensor(lengths),
        torch.tensor(labels),
        blank=blank,
        reduction=reduction,
        zero_infinity=zero_infinity,
    )
    value, dx = with_gradient(x, loss)
    out |= {
        f"{name}_x": x,
        f"{name}_targets": flat,
        f"{name}_lengths": np.array(lengths, dtype=np.int64),
        f"{name}_labels": np.array(labels, dtype=np.int64),
        f"{name}_loss": value,
        f"{name}_dx": dx,
    }


def classes(out, rng):
    rows, count = 6, 11
    x = rng.uniform(-6, 6, (rows, count)).astype(np.float32)
    targets = np.array([3, 0, 7, 10, 7, 5])
    weights = rng.uniform(0.1, 3, count).astype(np.float32)
    out |= {"classes_x": x, "classes_targets": targets, "classes_weights": weights}
    wide = torch.tensor(weights, dtype=torch.float64)
    for name, settings in {
        "weighted": dict(weight=wide),
        "smoothed": dict(label_smoothing=f32(0.1)),
        "both": dict(weight=wide, label_smoothing=f32(0.25), ignore_index=7),
    }.items():
        loss = lambda v: f.cross_entropy(v, torch.tensor(targets), **settings)
        out[f"classes_{name}"], out[f"classes_{name}_dx"] = with_gradient(x, loss)


def numbers(out, rng):
    shape = (7, 5)
    x, t = (rng.uniform(-3, 3, shape).astype(np.float32) for _ in range(2))
    x[0, 0] = t[0, 0]  # the absolute error has a corner here
    ones = (rng.uniform(0, 1, shape) * 1.25 - 0.125).clip(0, 1).astype(np.float32)
    positive = rng.uniform(0.2, 5, shape[1]).astype(np.float32)
    out |= {"numbers_x": x, "numbers_targets": t, "numbers_ones": ones, "numbers_pos_weight": positive}
    wide = lambda a: torch.tensor(a, dtype=torch.float64)
    for name, loss in {
        "absolute": lambda v: f.l1_loss(v, wide(t)),
        "huber": lambda v: f.huber_loss(v, wide(t), delta=f32(1.3)),
        "positive": lambda v: f.binary_cross_entropy_with_logits(v, wide(ones), pos_weight=wide(positive)),
    }.items():
        out[f"numbers_{name}"], out[f"numbers_{name}_dx"] = with_gradient(x, loss)


def main():
    torch.set_num_threads(1)
    rng = np.random.Generator(np.random.PCG64(28))
    out = {}
    ctc(out, rng, "rows", 12, 5, 7, [3, 0, 5, 1, 4], 3, 0, "mean", lengths=[12, 4, 11, 1, 9])
    ctc(out, rng, "sum", 12, 3, 7, [3, 2, 5], 3, 6, "sum")
    ctc(out, rng, "sharp", 40, 2, 5, [18, 9], 60, 2, "mean")
    ctc(out, rng, "zeroed", 5, 3, 4, [6, 2, 1], 2, 0, "mean", lengths=[5, 5, 0], zero_infinity=True)
    ctc(out, rng, "long", 150, 1, 60, [30], 4, 0, "mean")
    ctc(out, rng, "longest", 2000, 1, 8, [200], 4, 3, "sum")
    classes(out, rng)
    numbers(out, rng)
    path = Path(__file__).parent / "losses.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
    print(f"torch {torch.__version__}, numpy {np.__version__}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
