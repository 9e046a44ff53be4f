"""Writes the golden files of `sequences/` from PyTorch, Keras, the ONNX reference evaluator and ONNX Runtime.

    pip install torch tensorflow-cpu onnx onnxruntime safetensors numpy
    python generate_sequences.py            # the committed files, into sequences/
    python generate_sequences.py --out D    # into D

sequences/README.md describes the tensors and names the versions that made the committed files. Running again with
these versions on the same kind of processor gives the same bytes; elsewhere the inputs stay the same and the
expected values may move in their last bits. The tests read the files only; nobody needs Python to run them.
"""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent / "sequences"
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--only", choices=["torch", "keras", "onnx"], nargs="*", default=["torch", "keras", "onnx"])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    total = 0
    if "torch" in args.only:
        import from_torch
        import torch

        torch.set_num_threads(1)
        print(f"torch {torch.__version__}")
        total += from_torch.generate(args.out)
    if "keras" in args.only:
        import from_keras
        import keras
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        print(f"keras {keras.__version__}, tensorflow {tf.__version__}")
        total += from_keras.generate(args.out)
    if "onnx" in args.only:
        import from_onnx
        import onnx
        import onnxruntime

        print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
        total += from_onnx.generate(args.out)
    print(f"{total} bytes written")


if __name__ == "__main__":
    main()
