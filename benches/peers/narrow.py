"""Compares this crate's narrow weights with those of other libraries: `narrow.py RESULTS`, started by `run`.

All contestants have the same weights (those that PyTorch initialises a layer with) and normally distributed
inputs. They take turns for 11 rounds, each turn at least 15 ms; the medians of their processor time are
reported. Errors are differences from this crate's f32 outputs, which are those of PyTorch's f32 within 1e-5: the
largest, and the root mean square, over ten models. One thread.

This crate runs in a child, `cargo bench --bench narrow -- serve`, and measures itself. The others are called from
Python, which takes a part of the time of short calls: the contestant `python` calls ONNX Runtime with a model
that only returns a vector of the case's size.
"""

import csv
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
import ncnn
import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

ROUNDS, TURN, SEEDS = 11, 15e6, 10
FORMATS = ["f32", "f16", "bf16", "int8", "int8-a8"]
# Rows, steps, hidden units, which are also the inputs.
SHAPES = [(1, 1, 32), (1, 1, 128), (1, 1, 512), (1, 100, 32), (1, 100, 128), (1, 100, 512), (32, 100, 128), (32, 100, 512)]
GATES = {"lstm": 4, "gru": 3}
torch.set_num_threads(1)
torch.set_grad_enabled(False)
torch.set_num_interop_threads(1)
folder = pathlib.Path(tempfile.mkdtemp())
now = time.process_time_ns


class Case:
    def __init__(self, cell, batch, steps, hidden, seed):
        self.cell, self.batch, self.steps, self.hidden = cell, batch, steps, hidden
        rng = np.random.default_rng(seed)
        rows, bound = GATES[cell] * hidden, hidden**-0.5
        draw = lambda *shape: rng.uniform(-bound, bound, shape).astype(np.float32)
        self.w_ih, self.w_hh = draw(rows, hidden), draw(rows, hidden)
        self.b_ih, self.b_hh = draw(rows), draw(rows)
        self.x = rng.standard_normal((steps, batch, hidden)).astype(np.float32)

    def __str__(self):
        return f"{self.cell} B{self.batch} T{self.steps} H{self.hidden}"

    def gates(self, order, of):
        return np.concatenate([np.split(of, GATES[self.cell])[i] for i in order])


class Ours:
    """All formats, in one child."""

    def __init__(self):
        command = os.environ["PEERS_NARROW"].split() + ["serve", str(folder)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.isa = self.child.stdout.readline().strip()

    def ask(self, request):
        self.child.stdin.write(request + "\n")
        self.child.stdin.flush()
        answer = self.child.stdout.readline().strip()
        assert answer, "the child has ended"
        return answer

    def set_up(self, case):
        weights = np.concatenate([p.ravel() for p in (case.w_ih, case.w_hh, case.b_ih, case.b_hh)])
        weights.tofile(folder / "weights")
        case.x.tofile(folder / "x")
        self.ask(f"case {case.cell} {case.batch} {case.steps} {case.hidden}")

    def of(self, format):
        return OursOf(self, format)


class OursOf:
    def __init__(self, ours, format):
        self.ours, self.name, self.format, self.version = ours, "recurrent", format, "recurrent"

    def set_up(self, case):
        return True

    def output(self):
        self.ours.ask(f"output {self.format}")
        return np.fromfile(folder / "out", dtype=np.float32)

    def run(self, calls):
        return int(self.ours.ask(f"run {self.format} {calls}"))


class InPython:
    def run(self, calls):
        call, start = self.call, now()
        for _ in range(calls):
            call()
        return now() - start


def onnx_model(case):
    """One operator, with a state of zeros as a constant, as the other comparison has it."""
    cell, hidden, batch = case.cell, case.hidden, case.batch
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}[cell]
    tensor = lambda name, data: numpy_helper.from_array(np.ascontiguousarray(data), name)
    zeros = np.zeros((1, batch, hidden), np.float32)
    b = np.concatenate([case.gates(order, case.b_ih), case.gates(order, case.b_hh)])
    initial = [
        tensor("w", case.gates(order, case.w_ih)[None]),
        tensor("r", case.gates(order, case.w_hh)[None]),
        tensor("b", b[None]),
        tensor("h0", zeros),
    ]
    inputs = ["x", "w", "r", "b", "", "h0"]
    options = {"hidden_size": hidden}
    if cell == "lstm":
        initial.append(tensor("c0", zeros))
        inputs.append("c0")
    else:
        options["linear_before_reset"] = 1
    node = helper.make_node(cell.upper(), inputs, ["y"], **options)
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    y = value("y", case.steps, 1, batch, hidden)
    graph = helper.make_graph([node], "g", [value("x", case.steps, batch, hidden)], [y], initial)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


class OnnxRuntime(InPython):
    name, format = "onnxruntime", "int8"
    version = f"onnxruntime {onnxruntime.__version__}"

    def start(self, path, x):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        binding = self.session.io_binding()
        self.x = onnxruntime.OrtValue.ortvalue_from_numpy(x)
        binding.bind_ortvalue_input("x", self.x)
        binding.bind_output("y")
        self.binding = binding
        self.call = lambda: self.session.run_with_iobinding(binding)

    def set_up(self, case):
        if case.cell != "lstm":
            return False
        onnx.save(onnx_model(case), folder / "wide.onnx")
        quantize_dynamic(
            folder / "wide.onnx", folder / "narrow.onnx", per_channel=True, weight_type=QuantType.QInt8,
            op_types_to_quantize=["LSTM"],
        )
        assert any(n.op_type == "DynamicQuantizeLSTM" for n in onnx.load(folder / "narrow.onnx").graph.node)
        self.start(folder / "narrow.onnx", case.x)
        return True

    def output(self):
        self.call()
        return self.binding.copy_outputs_to_cpu()[0].ravel()


class Python(OnnxRuntime):
    """The cost of a call."""

    name, format = "python", "call"

    def set_up(self, case):
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, case.hidden])
        node = helper.make_node("Identity", ["x"], ["y"])
        graph = helper.make_graph([node], "g", [value("x")], [value("y")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), folder / "call.onnx")
        self.start(folder / "call.onnx", case.x[:1, :1])
        return True

    def output(self):
        return None


class Torch(InPython):
    name = "torch"
    version = f"torch {torch.__version__}"

    def __init__(self, format):
        self.format = format

    def set_up(self, case):
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case.cell](case.hidden, case.hidden)
        for p, data in zip(layer.parameters(), (case.w_ih, case.w_hh, case.b_ih, case.b_hh)):
            p.copy_(torch.from_numpy(data))
        self.x = torch.from_numpy(case.x)
        if self.format == "int8":
            model = torch.nn.Sequential(layer)
            layer = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM, torch.nn.GRU}, dtype=torch.qint8)[0]
        elif self.format == "bf16":
            layer, self.x = layer.bfloat16(), self.x.bfloat16()
        self.layer = layer.eval()
        self.call = lambda: self.layer(self.x)[0]
        return True

    def output(self):
        return self.call().float().numpy().ravel()


class OpenVino(InPython):
    name, format = "openvino", "bf16"
    version = f"openvino {openvino.__version__.split('-')[0]}"

    def __init__(self):
        self.core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16"}
        self.core.set_property("CPU", {**settings, "ENABLE_CPU_PINNING": False})

    def set_up(self, case):
        onnx.save(onnx_model(case), folder / "openvino.onnx")
        self.compiled = self.core.compile_model(self.core.read_model(folder / "openvino.onnx"), "CPU")
        self.request = self.compiled.create_infer_request()
        self.x = openvino.Tensor(case.x)
        self.request.set_input_tensor(self.x)
        self.call = self.request.infer
        return True

    def output(self):
        self.call()
        return self.request.get_output_tensor().data.ravel().copy()


class Ncnn(InPython):
    name, format = "ncnn", "int8"
    version = f"ncnn {ncnn.__version__}"

    def set_up(self, case):
        """Writes the layer in ncnn's own format: int8 with a scale for each row."""
        if case.batch > 1:
            return False
        hidden, lstm = case.hidden, case.cell == "lstm"
        # Gates are in the order i f o g, and r z n.
        order = [0, 1, 3, 2] if lstm else [0, 1, 2]
        data = io.BytesIO()
        scales = []

        def codes(w):
            w = case.gates(order, w)
            scale = 127 / np.abs(w).max(axis=1)
            scales.append(scale.astype(np.float32))
            data.write(np.uint32(0x000D4B38).tobytes() + np.rint(w * scale[:, None]).astype(np.int8).tobytes())
            data.write(bytes(-w.size % 4))

        codes(case.w_ih)
        b_ih, b_hh = case.gates(order, case.b_ih), case.gates(order, case.b_hh)
        if lstm:
            bias = b_ih + b_hh
        else:
            bias = np.concatenate([(b_ih + b_hh)[: 2 * hidden], b_ih[2 * hidden :], b_hh[2 * hidden :]])
        data.write(np.uint32(0).tobytes() + bias.astype(np.float32).tobytes())
        codes(case.w_hh)
        for scale in scales:
            data.write(scale.tobytes())
        (folder / "ncnn.bin").write_bytes(data.getvalue())
        kind, size = ("LSTM", 4) if lstm else ("GRU", 3)
        (folder / "ncnn.param").write_text(
            f"7767517\n2 2\nInput x 0 1 x\n{kind} l 1 1 x y 0={hidden} 1={size * hidden * hidden} 2=0 8=2\n"
        )
        self.net = ncnn.Net()
        self.net.opt.num_threads = 1
        self.net.load_param(str(folder / "ncnn.param"))
        self.net.load_model(str(folder / "ncnn.bin"))
        self.x = ncnn.Mat(np.ascontiguousarray(case.x[:, 0])).clone()

        def call():
            extractor = self.net.create_extractor()
            extractor.input("x", self.x)
            return extractor.extract("y")[1]

        self.call = call
        return True

    def output(self):
        return np.array(self.call()).ravel().copy()


def errors(contestant, case, wide):
    output = contestant.output()
    if output is None:
        return None
    difference = output.astype(np.float64) - wide
    return np.abs(difference).max(), np.square(difference).sum(), difference.size


def measure(case_of, ours, contestants):
    """Rows of the contestants that can run the case: times, largest error, root of the mean square error."""
    found = {}
    for seed in range(SEEDS):
        case = case_of(seed)
        ours.set_up(case)
        wide = ours.of("f32").output().astype(np.float64)
        part = [c for c in contestants if c.set_up(case)]
        for c in part:
            found.setdefault(c, []).append(errors(c, case, wide))
    # The last case is set up.
    calls, times = {}, {c: [] for c in part}
    for c in part:
        calls[c] = 1
        while c.run(calls[c]) < TURN:
            calls[c] *= 2
    for _ in range(ROUNDS):
        for c in part:
            times[c].append(c.run(calls[c]) / calls[c] / 1e3)
    for c in part:
        largest = root = ""
        if None not in found[c]:
            largest = f"{max(e[0] for e in found[c]):.3g}"
            root = f"{(sum(e[1] for e in found[c]) / sum(e[2] for e in found[c])) ** 0.5:.3g}"
        yield c, sorted(times[c]), largest, root


def main():
    path, *wanted = sys.argv[1:]
    ours = Ours()
    contestants = [ours.of(format) for format in FORMATS]
    contestants += [OnnxRuntime(), Torch("int8"), Ncnn(), Torch("bf16"), OpenVino(), Python()]
    env = lambda name: os.environ.get(name, "").replace(",", "")
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(
            "machine cpu isa versions commit cell batch steps hidden contestant format median_us min_us rounds largest "
            "root_mean_square".split()
        )
        for cell in GATES:
            for shape in SHAPES:
                case_of = lambda seed: Case(cell, *shape, seed)
                if wanted and not any(word in str(case_of(0)) for word in wanted):
                    continue
                for c, times, largest, root in measure(case_of, ours, contestants):
                    median = times[len(times) // 2]
                    about = [env("PEERS_MACHINE"), env("PEERS_CPU"), ours.isa, c.version, env("PEERS_COMMIT")]
                    out.writerow([*about, cell, *shape, c.name, c.format, f"{median:.4f}", f"{times[0]:.4f}", ROUNDS, largest, root])
                    print(f"{case_of(0)!s:<22} {c.name:<12} {c.format:<8} {median:>12.3f} us  {largest:>9} {root:>9}", flush=True)
                file.flush()
    ours.ask("end")


main()
