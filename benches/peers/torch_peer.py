"""PyTorch's part of the comparison, `torch_peer.py FOLDER THREADS`: reads requests from stdin, answers each with a line.

    infer|train CELL BATCH STEPS INPUT HIDDEN    builds the layer from the files `weights` and `x` (and `dy`) in
                                                 the folder, and leaves its output in `out`
    run N                                        nanoseconds of N calls

Files are raw f32. The output is `y [T, B, H]`, and for training after it `dx` and the gradients of the weights.
"""

import pathlib
import sys
import time

import numpy as np
import torch

threads = int(sys.argv[2])
# Like the other contestants: see `now` in src/contestants/mod.rs.
now = time.process_time_ns if threads == 1 else time.perf_counter_ns
torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
folder = pathlib.Path(sys.argv[1])


def read(name, *shape):
    return torch.from_numpy(np.fromfile(folder / name, dtype=np.float32).reshape(shape))


class Layer:
    def __init__(self, what, cell, batch, steps, inputs, hidden):
        self.train = what == "train"
        self.layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](inputs, hidden)
        self.layer.train(self.train)
        weights = read("weights", -1)
        with torch.no_grad():
            for p in self.layer.parameters():  # in the order of the flat buffer
                p.copy_(weights[: p.numel()].view_as(p))
                weights = weights[p.numel() :]
        self.x = read("x", steps, batch, inputs)
        self.dy = read("dy", steps, batch, hidden) if self.train else None
        self.x.requires_grad_(self.train)

    def call(self):
        if not self.train:
            return self.layer(self.x)[0]
        self.x.grad = None
        for p in self.layer.parameters():
            p.grad = None
        y, _ = self.layer(self.x)
        y.backward(self.dy)
        return y

    def output(self):
        parts = [self.call()]
        if self.train:
            parts += [self.x.grad, *(p.grad for p in self.layer.parameters())]
        return np.concatenate([p.detach().numpy().ravel() for p in parts])

    def run(self, calls):
        start = now()
        for _ in range(calls):
            self.call()
        return now() - start


def main():
    print(torch.__version__, flush=True)
    layer = None
    for line in sys.stdin:
        request, *rest = line.split()
        if request == "end":
            break
        if request != "run":
            cell, *sizes = rest
            layer = Layer(request, cell, *map(int, sizes))
            with torch.inference_mode(not layer.train):
                layer.output().tofile(folder / "out")
            print("ready", flush=True)
        else:
            with torch.inference_mode(not layer.train):
                print(layer.run(int(rest[0])), flush=True)


main()
