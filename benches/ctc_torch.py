"""PyTorch's part of benches/ctc.rs: `python benches/ctc_torch.py`, one thread, log_softmax and ctc_loss, forward and backward."""

import time

import torch

torch.set_num_threads(1)
f = torch.nn.functional
for steps, batch, classes, labels in [(150, 32, 60, 30), (2000, 1, 60, 200)]:
    x = torch.randn(steps, batch, classes, requires_grad=True)
    targets = torch.randint(1, classes, (batch, labels))
    lengths = torch.full((batch,), steps), torch.full((batch,), labels)
    times = []
    for _ in range(30):
        x.grad = None
        start = time.perf_counter()
        f.ctc_loss(f.log_softmax(x, 2), targets, *lengths).backward()
        times.append(time.perf_counter() - start)
    print(f"T{steps} B{batch} C{classes} S{labels}: {1e3 * sorted(times)[len(times) // 2]:.2f} ms, best {1e3 * min(times):.2f} ms")
