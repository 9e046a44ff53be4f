"""Code that the generators of this folder share: random inputs, the canonical order of weights and states, and files."""

import zlib

import numpy as np
from safetensors.numpy import save_file

GATES = {"rnn": 1, "lstm": 4, "gru_reset_after": 3, "gru_reset_before": 3}


class Random:
    """f32 inputs that are the same in every run of the case of that name."""

    def __init__(self, name, attempt=0):
        self.rng = np.random.Generator(np.random.PCG64([zlib.crc32(name.encode()), attempt]))

    def uniform(self, bound, *shape):
        return self.rng.uniform(-bound, bound, shape).astype(np.float32)

    def ragged(self, batch, steps):
        """Lengths from 1 to steps, in no order. Both 1 and steps occur."""
        lengths = self.rng.integers(1, steps + 1, batch)
        lengths[self.rng.permutation(batch)[:2]] = [1, steps]
        return lengths.astype(np.int64)

    def mask(self, batch, steps):
        """About two thirds are true. Every row has some false elements, and no row has only false ones."""
        while True:
            mask = self.rng.random((steps, batch)) < 0.65
            if mask.any(axis=0).all() and not mask.all(axis=0).any():
                return mask


def parts(cell, i, h, weights, bias=True, peepholes=False):
    """The matrices and vectors of one layer and direction without projection."""
    rows = GATES[cell] * h
    shapes = {"w_ih": (rows, i), "w_hh": (rows, h)}
    if bias:
        shapes |= {"b_ih": (rows,), "b_hh": (rows,)}
    if peepholes:
        shapes |= {"p": (3 * h,)}
    ends = np.cumsum([np.prod(s) for s in shapes.values()])
    assert ends[-1] == weights.size
    pieces = np.split(weights, ends[:-1])
    return {name: piece.reshape(shape) for (name, shape), piece in zip(shapes.items(), pieces)}


def reorder(rows, order):
    """The blocks of rows, one for each gate, in another order."""
    blocks = np.split(rows, len(order))
    return np.concatenate([blocks[gate] for gate in order])


def flat(*arrays):
    return np.concatenate([np.asarray(a).ravel() for a in arrays])


def save(folder, name, case, **tensors):
    """`case` becomes words `key=value` in the metadata: one entry, since the order of several is not kept."""
    words = " ".join(f"{key}={value}" for key, value in case.items() if value is not None)
    path = folder / f"{name}.safetensors"
    tensors = {n: np.ascontiguousarray(t) for n, t in tensors.items() if t is not None}
    for tensor in tensors.values():
        assert tensor.dtype == bool or np.isfinite(tensor).all()
    save_file(tensors, path, {"case": words})
    path.chmod(0o644)
    return path.stat().st_size
