"""PyTorch's part of benches/options.rs: `python benches/normalised_torch.py`, one thread.

A layer of 64 units over 64 inputs, 16 rows of 50 steps: torch.nn, and cells with layer normalisation as loops that are
compiled by torch.jit.script, as in PyTorch's benchmarks/fastrnns/custom_lstms.py. `forward` is without gradients,
`train` is forward and backward.
"""

import time

import torch
from torch import Tensor

torch.set_num_threads(1)
STEPS, BATCH, HIDDEN = 50, 16, 64


class Normalised(torch.nn.Module):
    def __init__(self, gates: int):
        super().__init__()
        rows = gates * HIDDEN
        self.w_ih = torch.nn.Parameter(torch.rand(rows, HIDDEN) / 4 - 0.125)
        self.w_hh = torch.nn.Parameter(torch.rand(rows, HIDDEN) / 4 - 0.125)
        norm = torch.nn.LayerNorm
        self.x, self.h, self.c = norm(rows), norm(rows), norm(HIDDEN)
        self.x_gates, self.h_gates, self.x_new, self.h_new = norm(2 * HIDDEN), norm(2 * HIDDEN), norm(HIDDEN), norm(HIDDEN)


class Lstm(Normalised):
    def __init__(self):
        super().__init__(4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[1], 64)
        c = torch.zeros(x.shape[1], 64)
        y = []
        for t in range(x.shape[0]):
            a = self.x(torch.mm(x[t], self.w_ih.t())) + self.h(torch.mm(h, self.w_hh.t()))
            i, f, g, o = a.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.c(c))
            y.append(h)
        return torch.stack(y)


class Gru(Normalised):
    def __init__(self):
        super().__init__(3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[1], 64)
        y = []
        for t in range(x.shape[0]):
            a, b = torch.mm(x[t], self.w_ih.t()), torch.mm(h, self.w_hh.t())
            r, z = torch.sigmoid(self.x_gates(a[:, :128]) + self.h_gates(b[:, :128])).chunk(2, 1)
            n = torch.tanh(self.x_new(a[:, 128:]) + r * self.h_new(b[:, 128:]))
            h = (1 - z) * n + z * h
            y.append(h)
        return torch.stack(y)


def measure(name, run):
    times = []
    for _ in range(60):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    times = sorted(times[20:])
    print(f"{name:24} {1e6 * times[len(times) // 2]:8.0f} us, best {1e6 * times[0]:8.0f} us")


x = torch.randn(STEPS, BATCH, HIDDEN, requires_grad=True)
layers = {
    "lstm": torch.nn.LSTM(HIDDEN, HIDDEN),
    "lstm_layer_norm": torch.jit.script(Lstm()),
    "gru": torch.nn.GRU(HIDDEN, HIDDEN),
    "gru_layer_norm": torch.jit.script(Gru()),
}
for name, layer in layers.items():
    output = lambda: layer(x)[0] if isinstance(layer, torch.nn.RNNBase) else layer(x)

    def forward():
        with torch.no_grad():
            output()

    measure(f"{name} forward", forward)
    measure(f"{name} train", lambda: output().sum().backward())
