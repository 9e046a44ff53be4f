"""Writes trainer.safetensors: 100 updates of small models in PyTorch, in f64, with each setting of a trainer.

    pip install torch safetensors numpy
    python generate_trainer.py

The committed file is from torch 2.15.0 and numpy 2.4.6. tests/trainer_torch.rs holds the same settings. Of each run the
file has the loss before each update, and the weights after the last one, in the order of the library's layers. Initial
weights are f32; settings are rounded to f32 before PyTorch gets them, because the library has them in f32. Cells with
layer normalisation are those of ../generate_normalised.py.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

sys.path.append(str(Path(__file__).parent.parent))
import generate_normalised as normalised

f = torch.nn.functional
f32 = lambda value: float(np.float32(value))
UPDATES, CLASSES, ROWS, STEPS = 100, 7, 4, 5
LENGTHS = [5, 2, 4, 3]


class Words(torch.nn.Module):
    def __init__(self, padding=None):
        super().__init__()
        self.embedding = torch.nn.Embedding(CLASSES, 6, padding_idx=padding)
        self.gru = torch.nn.GRU(6, 6, batch_first=True)
        self.dense = torch.nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.dense(self.gru(self.embedding(x))[0])


class Series(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.gru = torch.nn.GRU(2, 5, batch_first=True)
        self.dense = torch.nn.Linear(5, outputs)
        self.h0 = None

    def forward(self, x):
        h0 = None if self.h0 is None else self.h0.reshape(1, 1, 5).expand(1, x.shape[0], 5).contiguous()
        return self.dense(self.gru(x, h0)[0])


class Normalised(torch.nn.Module):
    """A recurrent layer with layer normalisation, in one of the three forms."""

    def __init__(self, form, inputs, hidden):
        super().__init__()
        self.form, self.hidden, self.gates = form, hidden, normalised.CELLS[form][1]
        rows = self.gates * hidden
        draw = lambda *shape: torch.nn.Parameter((2 * torch.rand(*shape) - 1) / hidden**0.5)
        ones, zeros = (lambda n, of=of: torch.nn.Parameter(of(n)) for of in (torch.ones, torch.zeros))
        self.parts = torch.nn.ParameterList([draw(rows, inputs), draw(rows, hidden), zeros(rows), zeros(rows), ones(rows), ones(rows)])
        if self.gates == 4:
            self.parts.extend([ones(hidden), zeros(hidden)])

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], self.hidden, dtype=x.dtype)
        y = []
        for t in range(x.shape[1]):
            if self.gates == 4:
                h, c = normalised.lstm(list(self.parts), x[:, t], h, c, self.form == "lstm_norm_state")
            else:
                h = normalised.gru(list(self.parts), x[:, t], h)
            y.append(h)
        return torch.stack(y, 1)


class NormalisedSeries(torch.nn.Module):
    def __init__(self, form, outputs):
        super().__init__()
        self.normalised = Normalised(form, 2, 5)
        self.dense = torch.nn.Linear(5, outputs)

    def forward(self, x):
        return self.dense(self.normalised(x))


def weights_of(model):
    """The parameters in the library's order; a tied matrix occurs twice."""
    names = []
    for part in ("embedding", "gru", "normalised", "dense"):
        layer = getattr(model, part, None)
        if layer is not None:
            names += [parameter for parameter in layer.parameters()]
    return np.concatenate([parameter.detach().numpy().reshape(-1) for parameter in names])


def rounded(model):
    """Initial weights that are f32."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.float().double())
    return model


def groups(model, settings):
    """Parameter groups of the layers with settings, and of the others."""
    return [dict(params=list(getattr(model, part).parameters()), **settings.get(part, {})) for part in ("embedding", "gru", "dense")]


class Run:
    def __init__(self, out):
        self.out = out
        rng = np.random.Generator(np.random.PCG64(28))
        ids = lambda: rng.integers(1, CLASSES, (2, ROWS, STEPS))
        self.ids, self.targets = ids(), ids()
        self.values = rng.uniform(-1, 1, (2, ROWS, STEPS, 2)).astype(np.float32)
        self.numbers = rng.uniform(-1, 1, (2, ROWS, STEPS, 3)).astype(np.float32)
        self.ones = (rng.uniform(0, 1, (2, ROWS, STEPS, 3)) > 0.7).astype(np.float32)
        self.step_weights = rng.uniform(0, 2, (2, ROWS, STEPS)).astype(np.float32)
        self.class_weights = rng.uniform(0.2, 3, CLASSES).astype(np.float32)
        self.positive = rng.uniform(0.5, 4, 3).astype(np.float32)
        self.labels = np.array([[1, 2], [3], [1, 1], [2]], dtype=object)
        self.present = np.array([[t < n for t in range(STEPS)] for n in LENGTHS])
        for b, n in enumerate(LENGTHS):
            self.ids[:, b, n:] = 0
        self.ids[:, 0, 1] = 0  # padding that counts, so that its embedding would learn
        out |= {
            "ids": self.ids,
            "targets": self.targets,
            "values": self.values,
            "numbers": self.numbers,
            "ones": self.ones,
            "step_weights": self.step_weights,
            "class_weights": self.class_weights,
            "positive": self.positive,
        }
        self.mask = torch.tensor(self.present)

    def classes(self, batch, logits, **settings):
        targets = torch.tensor(self.targets[batch])[self.mask]
        return f.cross_entropy(logits[self.mask], targets, **settings)

    def words(self, name, loss=None, optimiser=None, rate=None, clip=None, padding=None, tie=False, freeze=False, average=None):
        torch.manual_seed(7)
        model = rounded(Words(padding).double())
        if tie:
            model.dense.weight = model.embedding.weight
        self.out[f"{name}_before"] = weights_of(model).astype(np.float32)
        if freeze:
            model.embedding.requires_grad_(False)
        optimiser = optimiser(model) if optimiser else torch.optim.Adam(model.parameters(), lr=f32(0.01))
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(f32(average))) if average else None
        first = [group["lr"] for group in optimiser.param_groups]
        losses = []
        for update in range(UPDATES):
            for group, base in zip(optimiser.param_groups, first):
                group["lr"] = rate(update) if rate else base
            optimiser.zero_grad()
            batch = update % 2
            value = (loss or self.classes)(batch, model(torch.tensor(self.ids[batch])))
            value.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimiser.step()
            if averaged:
                averaged.update_parameters(model)
            losses.append(value.item())
        self.out[f"{name}_losses"] = np.array(losses)
        self.out[f"{name}_after"] = weights_of(model).astype(np.float32)
        if averaged:
            self.out[f"{name}_average"] = weights_of(averaged.module).astype(np.float32)

    def series(self, name, outputs, loss, learn=False, form=None):
        torch.manual_seed(8)
        model = rounded((NormalisedSeries(form, outputs) if form else Series(outputs)).double())
        if learn:
            model.h0 = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
        self.out[f"{name}_before"] = weights_of(model).astype(np.float32)
        # Layer normalisation amplifies differences. With larger rates, PyTorch in f32 soon is far from PyTorch in f64.
        optimiser = torch.optim.Adam(model.parameters(), lr=f32(0.002 if form else 0.01))
        losses = []
        for update in range(UPDATES):
            batch = update % 2
            optimiser.zero_grad()
            value = loss(batch, model(torch.tensor(self.values[batch], dtype=torch.float64)))
            value.backward()
            optimiser.step()
            losses.append(value.item())
        self.out[f"{name}_losses"] = np.array(losses)
        after = weights_of(model)
        if learn:
            after = np.concatenate([after, model.h0.detach().numpy()])
        self.out[f"{name}_after"] = after.astype(np.float32)

    def over(self, numbers, loss, **settings):
        wide = lambda a: torch.tensor(a, dtype=torch.float64)
        settings = {key: wide(value) if isinstance(value, np.ndarray) else value for key, value in settings.items()}
        return lambda batch, y: loss(y[self.mask], wide(numbers[batch])[self.mask], **settings)

    def weighted(self, batch, logits):
        each = f.cross_entropy(logits.reshape(-1, CLASSES), torch.tensor(self.targets[batch]).reshape(-1), reduction="none")
        weights = torch.tensor(self.step_weights[batch] * self.present, dtype=torch.float64).reshape(-1)
        return (each * weights).sum() / weights.sum()

    def accumulated(self, batch, logits):
        """Two batches, rows 0 and 1 and the other rows, whose weighted mean is the mean over all rows."""
        return self.classes(batch, logits, weight=torch.tensor(self.class_weights, dtype=torch.float64))

    def ctc(self, batch, logits):
        flat = torch.tensor([label for row in self.labels for label in row])
        lengths = torch.tensor([len(row) for row in self.labels])
        logits = f.log_softmax(logits, 2).transpose(0, 1)
        return f.ctc_loss(logits, flat, torch.tensor(LENGTHS), lengths, blank=0)


def main():
    torch.set_num_threads(1)
    out = {}
    run = Run(out)
    wide = torch.tensor(run.class_weights, dtype=torch.float64)
    run.words("plain", clip=f32(0.5))
    run.words("classes", loss=lambda b, y: run.classes(b, y, weight=wide, label_smoothing=f32(0.1)))
    run.words("steps", loss=run.weighted)
    run.words("accumulated", loss=run.accumulated)
    run.words("frozen", freeze=True, clip=f32(0.5))
    run.words(
        "layers",
        optimiser=lambda m: torch.optim.AdamW(
            groups(
                m,
                {
                    "embedding": dict(lr=f32(0.01) * 0.5, weight_decay=0.0),
                    "gru": dict(weight_decay=f32(0.1)),
                    "dense": dict(lr=f32(0.01) * 2),
                },
            ),
            lr=f32(0.01),
            weight_decay=f32(0.01),
        ),
    )
    sgd = lambda m: torch.optim.SGD(m.parameters(), lr=f32(0.2), momentum=f32(0.9), weight_decay=f32(0.001))
    run.words("tied", optimiser=sgd, tie=True, clip=f32(0.5))
    run.words("padding", padding=0)
    run.words("both", tie=True, padding=0)
    later = lambda step: f32(0.02) / (1 + step / 50)
    run.words("rate", rate=lambda u: later(0) * (u + 1) / 10 if u < 10 else later(u - 10))
    run.words("average", average=0.9)
    run.series("absolute", 3, run.over(run.numbers, f.l1_loss))
    run.series("huber", 3, run.over(run.numbers, f.huber_loss, delta=f32(0.4)))
    run.series("positive", 3, run.over(run.ones, f.binary_cross_entropy_with_logits, pos_weight=run.positive))
    run.series("fourth", 3, run.over(run.numbers, lambda y, t: ((y - t) ** 4).mean()))
    run.series("initial", 3, run.over(run.numbers, f.mse_loss), learn=True)
    run.series("ctc", 4, run.ctc)
    for form in normalised.CELLS:
        run.series(form, 3, run.over(run.numbers, f.mse_loss), form=form)
    path = Path(__file__).parent / "trainer.safetensors"
    save_file({name: np.ascontiguousarray(value) for name, value in out.items()}, path)
    path.chmod(0o644)
    print(f"torch {torch.__version__}, numpy {np.__version__}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
