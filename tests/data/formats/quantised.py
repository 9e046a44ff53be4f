"""LSTMs with a dense layer that ONNX Runtime quantised, and what it computes with them and with the models that they were made of.

Run it with Python 3.11, onnx, onnxruntime and numpy; README.md has the versions. NAME.onnx is what `quantize_dynamic` makes; NAME.golden
has `x`, `y` (of the quantised model) and `y_f32` (of the model before), in the raw form of safetensors.
"""

import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

FOLDER = Path(__file__).parent
T, B, I, H, O = 12, 3, 5, 8, 4


def save(path, **arrays):
    """A safetensors file of 32-bit floats."""
    header, offset = {}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.astype("<f4").tobytes() for a in arrays.values()))


def model(directions):
    rng = np.random.Generator(np.random.PCG64(22 + directions))

    def constant(name, *shape):
        return numpy_helper.from_array(rng.uniform(-0.5, 0.5, shape).astype(np.float32), name)

    d = directions
    constants = [constant("w", d, 4 * H, I), constant("r", d, 4 * H, H), constant("b", d, 8 * H),
                 constant("m", d * H, O), constant("n", O)]
    constants.append(numpy_helper.from_array(np.array([0, 0, -1], np.int64), "joined"))
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["y4"], name="lstm", hidden_size=H,
                         direction="bidirectional" if d == 2 else "forward"),
        helper.make_node("Transpose", ["y4"], ["yt"], name="turn", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["yt", "joined"], ["ys"], name="join"),
        helper.make_node("MatMul", ["ys", "m"], ["p"], name="fc/MatMul"),
        helper.make_node("Add", ["p", "n"], ["y"], name="fc/Add"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", "batch", I])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["steps", "batch", O])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(path, x):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def main():
    for name, directions, options in [
        ("onnx_int8_channel", 1, dict(weight_type=QuantType.QInt8, per_channel=True)),
        ("onnx_int8_tensor", 2, dict(weight_type=QuantType.QInt8)),
        ("onnx_uint8", 1, dict(weight_type=QuantType.QUInt8)),
    ]:
        with tempfile.TemporaryDirectory() as folder:
            wide = Path(folder) / "wide.onnx"
            onnx.save(model(directions), wide)
            quantize_dynamic(wide, FOLDER / f"{name}.onnx", extra_options={"DisableShapeInference": True}, **options)
            x = np.random.Generator(np.random.PCG64(7)).standard_normal((T, B, I)).astype(np.float32)
            save(FOLDER / f"{name}.golden", x=x, y=run(FOLDER / f"{name}.onnx", x), y_f32=run(wide, x))


main()
