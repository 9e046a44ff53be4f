"""Code that the generators share: the places of files, random numbers, and the index."""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
T, B = 4, 2


def numbers(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def values(name, *shape):
    return numbers(name).uniform(-1, 1, shape).astype(np.float32)


def safetensors(path, tensors):
    """The format by hand, so that old environments need no package for it."""
    header, data = {}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        kind = {"f": "F32", "i": "I64"}[array.dtype.kind]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def golden(file, x, y):
    """`x` and `y` are time-major."""
    x, y = np.asarray(x), np.asarray(y, dtype=np.float32)
    x = x.astype(np.int64 if x.dtype.kind == "i" else np.float32)
    assert np.isfinite(y).all() and np.abs(y).max() > 0.01, file
    safetensors(FOLDER / f"{file}.golden", {"x": x, "y": y})


LINES = []


def entry(file, framework, layers, plan="", refused=""):
    """A line of the index: the contents of a file, and the reason if it is rejected."""
    LINES.append("\t".join([file, framework, layers, plan, refused]))


def finish(tag):
    """Replaces the lines of a tag in the index."""
    index = FOLDER / "index.tsv"
    old = index.read_text().splitlines() if index.exists() else []
    kept = [line for line in old if not line.startswith(tag + "_")]
    index.write_text("\n".join(sorted(kept + LINES)) + "\n")
    print(len(LINES), "files of", tag, file=sys.stderr)
