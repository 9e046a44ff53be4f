"""Runs ONNX' checker and ONNX Runtime on the files that this crate writes, and compares the outputs with its own.

    RECURRENT_WRITE=FOLDER cargo test --features io --test formats written
    python check_onnx.py FOLDER
"""

import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def main(folder):
    files = sorted(folder.glob("*.onnx"))
    assert files, f"no file in {folder}"
    for file in files:
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        worst = 0.0
        runs = sorted(folder.glob(f"{file.stem}.*.x"))
        assert len(runs) == 2, file
        for run in runs:
            steps, batch = map(int, re.search(r"\.(\d+)x(\d+)\.x$", run.name).groups())
            x = np.fromfile(run, "<f4").reshape(steps, batch, -1)
            x = x[..., 0].astype(np.int64) if given.type == "tensor(int64)" else x
            (y,) = session.run(["y"], {"x": x})
            expected = np.fromfile(run.with_suffix(".y"), "<f4").reshape(y.shape)
            worst = max(worst, np.abs(y - expected).max() / max(1.0, np.abs(expected).max()))
        print(f"{file.name}: checked, outputs within {worst:.1e}")
        assert worst < 1e-6, file


if __name__ == "__main__":
    main(Path(sys.argv[1]))
