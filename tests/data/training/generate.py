"""Writes training.safetensors: PyTorch's optimisers, learning rates, losses and softmax in f64, from f32 inputs.

    pip install torch safetensors numpy
    python generate.py

The committed file is from torch 2.15.0 and numpy 2.4.6. Settings are rounded to f32 before PyTorch gets them,
because the library has them in f32. tests/optim.rs holds the same list of settings.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

N, UPDATES, CLIP = 19, 100, 1.5
KEPT = [1, 10, 50, UPDATES]  # the weights are written after these updates

OPTIMISERS = {
    "sgd": (torch.optim.SGD, dict(lr=0.02)),
    "sgd_decay": (torch.optim.SGD, dict(lr=0.02, weight_decay=0.1)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=0.02, momentum=0.9, weight_decay=0.01)),
    "sgd_nesterov": (torch.optim.SGD, dict(lr=0.02, momentum=0.8, nesterov=True, weight_decay=0.01)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=0.005)),
    "rmsprop_momentum": (torch.optim.RMSprop, dict(lr=0.002, alpha=0.95, momentum=0.5, weight_decay=0.01)),
    "rmsprop_centered": (torch.optim.RMSprop, dict(lr=0.005, alpha=0.9, centered=True)),
    "rmsprop_all": (
        torch.optim.RMSprop,
        dict(lr=0.002, alpha=0.9, eps=1e-4, centered=True, momentum=0.5, weight_decay=0.02),
    ),
    "adam": (torch.optim.Adam, dict(lr=0.01)),
    "adam_decay": (torch.optim.Adam, dict(lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01)),
    "adamw_decay": (torch.optim.AdamW, dict(lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.3)),
}


def rounded(value):
    if isinstance(value, tuple):
        return tuple(rounded(v) for v in value)
    return float(np.float32(value)) if isinstance(value, float) else value


def run(name, w, grads, clip):
    kind, settings = OPTIMISERS[name]
    weights = torch.nn.Parameter(torch.tensor(w, dtype=torch.float64))
    optimiser = kind([weights], **{key: rounded(value) for key, value in settings.items()})
    kept = []
    for update, grad in enumerate(grads, 1):
        weights.grad = torch.tensor(grad, dtype=torch.float64)
        if clip:
            torch.nn.utils.clip_grad_norm_([weights], CLIP)
        optimiser.step()
        if update in KEPT:
            kept.append(weights.detach().numpy().copy())
    return np.stack(kept)


def rates(scheduler, lr, count):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rounded(lr))
    schedule = scheduler(optimiser)
    out = []
    for _ in range(count):
        out.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return np.array(out)


def with_gradient(x, f):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    out = f(x)
    out.backward()
    return out.detach().numpy().reshape(1), x.grad.numpy()


def main():
    rng = np.random.Generator(np.random.PCG64(5))
    draw = lambda bound, *shape: rng.uniform(-bound, bound, shape).astype(np.float32)
    out = {"weights": draw(1, N), "grads": draw(1, UPDATES, N) + draw(0.5, N)}
    for name in OPTIMISERS:
        out[name] = run(name, out["weights"], out["grads"], clip=False)
    for name in ["sgd_momentum", "adamw"]:
        out[f"{name}_clipped"] = run(name, out["weights"], out["grads"], clip=True)
    lr = torch.optim.lr_scheduler
    out["cosine"] = rates(lambda o: lr.CosineAnnealingLR(o, T_max=40, eta_min=rounded(0.001)), 0.1, 41)
    out["steps"] = rates(lambda o: lr.StepLR(o, step_size=7, gamma=rounded(0.3)), 0.1, 41)

    rows, classes = 6, 11
    f = torch.nn.functional
    x, dy = draw(6, rows, classes), draw(1, rows, classes)
    targets = np.array([3, 0, 7, 10, 7, 5])
    out |= {"x": x, "dy": dy, "targets": targets}
    wide = torch.tensor(x, dtype=torch.float64)
    for name in ["softmax", "log_softmax"]:
        function = getattr(f, name)
        out[name] = function(wide, dim=1).numpy()
        _, out[f"{name}_dx"] = with_gradient(x, lambda v: (function(v, dim=1) * torch.tensor(dy)).sum())
    classified = lambda v: f.cross_entropy(v, torch.tensor(targets), ignore_index=7)
    out["cross_entropy"], out["cross_entropy_dx"] = with_gradient(x, classified)
    ones = (rng.uniform(0, 1, x.shape) * 1.25 - 0.125).clip(0, 1).astype(np.float32)
    out["ones"] = ones
    binary = lambda v: f.binary_cross_entropy_with_logits(v, torch.tensor(ones, dtype=torch.float64))
    out["binary"], out["binary_dx"] = with_gradient(x, binary)
    squared = lambda v: f.mse_loss(v, torch.tensor(dy, dtype=torch.float64))
    out["squared"], out["squared_dx"] = with_gradient(x, squared)

    path = Path(__file__).parent / "training.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
    print(f"torch {torch.__version__}, numpy {np.__version__}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
