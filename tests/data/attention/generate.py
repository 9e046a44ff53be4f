"""Writes attention.safetensors: attention by PyTorch in f64, from f32 inputs, with all gradients.

    pip install torch safetensors numpy
    python generate.py

The committed file is from torch 2.15.0 and numpy 2.4.6. Buffers are time-major. The gradient `dy` is that of
the context. `d_w` are the gradients of all weights, in the order of the library.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

STEPS, QUERIES, BATCH = 7, 4, 3
LENGTHS = [7, 3, 5]


def scores(kind, q, x, weights):
    """[B, T, S] from q [B, T, Q] and x [B, S, M]."""
    if kind == "dot":
        return q @ x.mT
    if kind == "general":
        pairs = q.unsqueeze(2).expand(-1, -1, x.shape[1], -1), x.unsqueeze(1).expand(-1, q.shape[1], -1, -1)
        return torch.nn.functional.bilinear(*(p.contiguous() for p in pairs), weights[0].unsqueeze(0)).squeeze(-1)
    w_q, w_k, b, v = weights
    linear = torch.nn.functional.linear
    return linear(torch.tanh(linear(q, w_q).unsqueeze(2) + linear(x, w_k, b).unsqueeze(1)), v.unsqueeze(0)).squeeze(-1)


def main():
    rng = np.random.Generator(np.random.PCG64(7))
    draw = lambda *shape: rng.uniform(-1, 1, shape).astype(np.float32)
    taken = torch.arange(STEPS) < torch.tensor(LENGTHS).unsqueeze(1)  # [B, S]
    out = {}
    for kind in ["dot", "scaled_dot", "general", "additive"]:
        same = kind in ["dot", "scaled_dot"]
        query, memory, units = (9, 9, 9) if same else (5, 9, 6)
        shapes = {"general": [(query, memory)], "additive": [(units, query), (units, memory), (units,), (units,)]}
        arrays = [draw(*shape) for shape in shapes.get(kind, [])]
        q, x, dy = draw(QUERIES, BATCH, query), draw(STEPS, BATCH, memory), draw(QUERIES, BATCH, memory)
        leaf = lambda a: torch.tensor(a, dtype=torch.float64, requires_grad=True)
        weights, q_, x_ = [leaf(a) for a in arrays], leaf(q), leaf(x)
        by_row = q_.transpose(0, 1), x_.transpose(0, 1)
        if kind == "scaled_dot":
            attend = lambda values: torch.nn.functional.scaled_dot_product_attention(
                *by_row, values, attn_mask=taken.unsqueeze(1)
            )
            context = attend(by_row[1])
            alignments = attend(torch.eye(STEPS, dtype=torch.float64).expand(BATCH, -1, -1))
        else:
            masked = scores(kind, *by_row, weights).masked_fill(~taken.unsqueeze(1), -torch.inf)
            alignments = torch.softmax(masked, -1)
            context = alignments @ by_row[1]
        (context.transpose(0, 1) * torch.tensor(dy)).sum().backward()
        flat = lambda tensors: np.concatenate([np.zeros(0)] + [t.detach().numpy().ravel() for t in tensors])
        out |= {
            f"{kind}.w": flat(weights).astype(np.float32),
            f"{kind}.q": q,
            f"{kind}.x": x,
            f"{kind}.dy": dy,
            f"{kind}.context": context.transpose(0, 1).detach().numpy(),
            f"{kind}.alignments": alignments.transpose(0, 1).detach().numpy(),
            f"{kind}.d_w": flat(w.grad for w in weights),
            f"{kind}.d_q": q_.grad.numpy(),
            f"{kind}.d_x": x_.grad.numpy(),
        }
    path = Path(__file__).parent / "attention.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
    print(f"torch {torch.__version__}, numpy {np.__version__}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
