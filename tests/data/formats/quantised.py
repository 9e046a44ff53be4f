"""LSTMs with a dense layer in 8 and 16 bits, and the outputs of ONNX Runtime for these and other models.

Run it with Python 3.11, onnx, onnxruntime and numpy; README.md has the versions. NAME.onnx is what `quantize_dynamic`
makes of a model in f32, what ONNX Runtime's converter makes of it in f16, or the model with weights in bf16.
NAME.golden is a safetensors file of 32-bit floats:

| | |
|---|---|
| `x`, `y` | input and output of NAME.onnx |
| `y_f32` | the output of the model that it was made of |
| `y_rounded` | the output of the model in f32 with the weights that NAME.onnx has |

Models that are refused have no golden file.
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
from onnxruntime.transformers.float16 import convert_float_to_float16

FOLDER = Path(__file__).parent
T, B, I, H, O, CLASSES = 12, 3, 5, 8, 4, 11


def save(path, **arrays):
    """A safetensors file of 32-bit floats, and ids."""
    header, offset = {}, 0
    for name, a in arrays.items():
        header[name] = {"dtype": {"f": "F32", "i": "I64"}[a.dtype.kind], "shape": list(a.shape), "data_offsets": [offset, offset + a.nbytes]}
        offset += a.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))


def weights(directions, ids=False):
    """Arrays of the model, by their names."""
    rng = np.random.Generator(np.random.PCG64(22 + directions))
    d = directions
    shapes = {"w": (d, 4 * H, I), "r": (d, 4 * H, H), "b": (d, 8 * H), "m": (d * H, O), "n": (O,)}
    if ids:
        shapes["e"] = (CLASSES, I)
    return {name: rng.uniform(-0.5, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def model(directions, weights, bf16=False):
    constants = [numpy_helper.from_array(np.array([0, 0, -1], np.int64), "joined")]
    nodes = []
    for name, array in weights.items():
        if bf16:
            bits = to_bf16(array)[1].tobytes()
            constants.append(helper.make_tensor(f"{name}16", TensorProto.BFLOAT16, array.shape, bits, raw=True))
            nodes.append(helper.make_node("Cast", [f"{name}16"], [name], name=f"{name}/Cast", to=TensorProto.FLOAT))
        else:
            constants.append(numpy_helper.from_array(array, name))
    kind, shape, first = TensorProto.FLOAT, ["steps", "batch", I], "x"
    if "e" in weights:
        kind, shape, first = TensorProto.INT64, ["steps", "batch"], "xe"
        nodes.append(helper.make_node("Gather", ["e", "x"], ["xe"], name="embedding"))
    nodes += [
        helper.make_node("LSTM", [first, "w", "r", "b"], ["y4"], name="lstm", hidden_size=H,
                         direction="bidirectional" if directions == 2 else "forward"),
        helper.make_node("Transpose", ["y4"], ["yt"], name="turn", perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["yt", "joined"], ["ys"], name="join"),
        helper.make_node("MatMul", ["ys", "m"], ["p"], name="fc/MatMul"),
        helper.make_node("Add", ["p", "n"], ["y"], name="fc/Add"),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["steps", "batch", O])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def to_bf16(array):
    """Rounded to the nearest, ties to even: as floats, and as bits."""
    bits = array.view(np.uint32)
    bits = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32), bits


def of_8_bits(graph):
    """The weights of a graph that `quantize_dynamic` has made, in f32."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {name: arrays[name] for name in ("b", "n")}
    lstm = next(node for node in graph.node if node.op_type == "DynamicQuantizeLSTM")
    for name, codes, scale in [("w", 1, 8), ("r", 2, 10)]:
        codes, scale = arrays[lstm.input[codes]].astype(np.float32), arrays[lstm.input[scale]]
        # [directions, k, rows], and a scale for each row or each direction.
        found[name] = (codes * scale.reshape(codes.shape[0], 1, -1)).transpose(0, 2, 1).copy()
    if "e_quantized" in arrays:
        found["e"] = (arrays["e_quantized"].astype(np.float32) - arrays["e_zero_point"]) * arrays["e_scale"]
    (product,) = (node for node in graph.node if node.op_type == "MatMulInteger")
    codes = product.input[1]
    found["m"] = arrays[codes].astype(np.float32) * arrays[codes.replace("quantized", "scale")]
    return found


def run(file, x):
    session = onnxruntime.InferenceSession(
        file if isinstance(file, bytes) else str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def golden(name, wide, rounded):
    rng = np.random.Generator(np.random.PCG64(7))
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    if name == "onnx_int8_embedding":
        x = rng.integers(0, CLASSES, (T, B))
    save(FOLDER / f"{name}.golden", x=x, y=run(FOLDER / f"{name}.onnx", x), y_f32=run(wide.SerializeToString(), x),
         y_rounded=run(rounded.SerializeToString(), x))


def main():
    for name, directions, weight, options in [
        ("onnx_int8_channel", 1, QuantType.QInt8, dict(per_channel=True)),
        ("onnx_int8_tensor", 2, QuantType.QInt8, {}),
        ("onnx_int8_embedding", 1, QuantType.QInt8, {}),
        ("onnx_int8_asymmetric", 1, QuantType.QInt8, dict(extra_options={"WeightSymmetric": False})),
        ("onnx_uint8", 1, QuantType.QUInt8, {}),
    ]:
        to = FOLDER / f"{name}.onnx"
        wide = model(directions, weights(directions, ids=name == "onnx_int8_embedding"))
        extra = {"DisableShapeInference": True, **options.pop("extra_options", {})}
        with tempfile.TemporaryDirectory() as folder:
            onnx.save(wide, Path(folder) / "wide.onnx")
            quantize_dynamic(Path(folder) / "wide.onnx", to, weight_type=weight, extra_options=extra, **options)
        if name not in ("onnx_int8_asymmetric", "onnx_uint8"):
            golden(name, wide, model(directions, of_8_bits(onnx.load(to).graph)))

    all32 = weights(1)
    wide = model(1, all32)
    # Nothing but the input and the output is left in f32.
    onnx.save(convert_float_to_float16(model(1, all32), keep_io_types=True, op_block_list=[]), FOLDER / "onnx_f16.onnx")
    golden("onnx_f16", wide, model(1, {name: a.astype(np.float16).astype(np.float32) for name, a in all32.items()}))
    onnx.save(model(1, all32, bf16=True), FOLDER / "onnx_bf16.onnx")
    golden("onnx_bf16", wide, model(1, {name: to_bf16(a)[0] for name, a in all32.items()}))


main()
