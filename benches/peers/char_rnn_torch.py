"""Reference training of the character model in PyTorch.

    pip install torch numpy
    python char_rnn_torch.py --corpus tinyshakespeare.txt --cell lstm

Embedding, a stack of recurrent layers, a dense layer; truncated back-propagation through time with
the state carried from window to window. A few hundred updates are enough to compare the loss and the
speed of another implementation with this one. What such an implementation has to match:

Data. The vocabulary is the sorted distinct characters of the whole corpus; a character's id is its
index there. The first floor(0.9 * n) characters are for training, the others for validation.

Streams. A part of m characters is cut into B = `--batch` contiguous streams of L = floor((m - 1) / B)
characters. Stream b reads characters b*L .. b*L + L; the target of each is the character after it, so
the last target of a stream is the first input of the next one. The remainder is not used.

Training. Update k reads the next `--steps` characters of all streams at once. State is carried, but no
gradient flows into it. When fewer than `--steps` characters are left, all streams start again
at their beginning with zero state (so the last L % steps characters are never trained on).
The loss is the mean cross-entropy in nats over all B * steps targets. Gradients are clipped to a total norm
of `--clip` over all parameters (g *= min(1, clip / (norm + 1e-6))), then Adam with beta 0.9 and 0.999, eps 1e-8, bias
correction, no weight decay, constant learning rate.

Initial values, PyTorch's own: embedding N(0, 1); every weight and bias of a recurrent layer, b_ih and b_hh alike,
U(-1/sqrt(hidden), 1/sqrt(hidden)) (no forget-gate offset); the dense weight and bias the same, as its input is `hidden`.
No dropout. Initial state zero.

Validation. The other part is cut into streams in the same way, with zero initial state, and read once from beginning
to end with the state carried; the last window is shorter, so every target of every stream counts
once. The figure is the mean over all of them.

Output. One last line, `train NATS val NATS chars_per_s N`: the mean loss of the last 50 updates, the validation
loss after the last update, and B * steps * iters over the wall time of the updates (validation not included).
"""

import argparse
import math
import sys
import time

import torch
from torch import nn


class CharModel(nn.Module):
    def __init__(self, cell, vocabulary, embedding, hidden, layers):
        super().__init__()
        recurrent = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.recurrent = recurrent(embedding, hidden, num_layers=layers)
        self.dense = nn.Linear(hidden, vocabulary)

    def forward(self, ids, state):
        """ids [T, B] -> logits [T, B, V]; `state` None is zero."""
        y, state = self.recurrent(self.embedding(ids), state)
        return self.dense(y), state


def detach(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def streams(ids, batch):
    """Inputs and targets of the parallel streams, both [L, B]."""
    length = (len(ids) - 1) // batch
    used = length * batch
    x = ids[:used].view(batch, length).t().contiguous()
    targets = ids[1 : used + 1].view(batch, length).t().contiguous()
    return x, targets


def validate(model, ids, batch, steps):
    x, targets = streams(ids, batch)
    total, state = 0.0, None
    with torch.no_grad():
        for t in range(0, len(x), steps):
            logits, state = model(x[t : t + steps], state)
            total += nn.functional.cross_entropy(
                logits.flatten(0, 1), targets[t : t + steps].flatten(), reduction="sum"
            ).item()
    return total / targets.numel()


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", required=True, metavar="FILE")
    parser.add_argument("--cell", choices=["rnn", "lstm", "gru"], default="lstm")
    parser.add_argument("--embedding", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--iters", type=int, default=500)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--clip", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    with open(args.corpus, encoding="utf-8", newline="") as f:
        text = f.read()
    vocabulary = sorted(set(text))
    index = {c: i for i, c in enumerate(vocabulary)}
    ids = torch.tensor([index[c] for c in text], dtype=torch.long)
    split = len(ids) * 9 // 10
    x, targets = streams(ids[:split], args.batch)
    if len(x) < args.steps:
        sys.exit("the corpus is too short for one window")

    model = CharModel(args.cell, len(vocabulary), args.embedding, args.hidden, args.layers)
    adam = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.999), eps=1e-8)

    losses, state, t = [], None, 0
    start = time.perf_counter()
    for k in range(args.iters):
        if t + args.steps > len(x):
            state, t = None, 0
        logits, state = model(x[t : t + args.steps], state)
        state = detach(state)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), targets[t : t + args.steps].flatten()
        )
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        adam.step()
        losses.append(loss.item())
        t += args.steps
        if (k + 1) % 100 == 0:
            print(f"update {k + 1} loss {losses[-1]:.4f}", file=sys.stderr)
    seconds = time.perf_counter() - start

    last = losses[-50:]
    train = sum(last) / len(last) if last else math.nan
    val = validate(model, ids[split:], args.batch, args.steps)
    rate = args.batch * args.steps * args.iters / seconds
    print(f"train {train:.4f} val {val:.4f} chars_per_s {rate:.0f}")


if __name__ == "__main__":
    main()
