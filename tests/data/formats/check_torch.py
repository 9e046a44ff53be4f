"""Loads what `recurrent convert` writes into PyTorch's modules, strictly, and compares their outputs.

    cargo run --features tool --bin recurrent -- ...   is what this calls; give the binary's path as the argument.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from generate import FOLDER, Model

MODELS = {
    "torch_lstm_bidirectional.safetensors": lambda: nn.LSTM(3, 4, 2, bidirectional=True),
    "torch_gru_prefix.safetensors": lambda: Model(
        model=Model(emb=nn.Embedding(7, 4), gru=nn.GRU(4, 3, 2), fc=nn.Linear(3, 2))
    ),
    "torch_lstm_projection.safetensors": lambda: nn.LSTM(3, 5, 2, proj_size=2, bias=False, bidirectional=True),
    "torch_gru_f16.safetensors": lambda: nn.GRU(2, 4),
    "torch_two_lstms.safetensors": lambda: Model(lstm=nn.LSTM(1, 4), lstm2=nn.LSTM(4, 3, 2), dense=nn.Linear(3, 1)),
    "rtneural_keras_lstm.json": lambda: Model(**{"layers_0": nn.LSTM(2, 4), "layers_1": nn.Linear(4, 2)}),
    "rtneural_torch.json": lambda: Model(lstm=nn.LSTM(1, 4), dense=nn.Linear(4, 1)),
    "onnx_gru_bidirectional.onnx": lambda: Model(
        emb=nn.Embedding(7, 4),
        rnn=nn.GRU(4, 3, bidirectional=True),
        rnn_2=nn.GRU(6, 3, bidirectional=True),
        fc=nn.Linear(6, 2),
        act=torch.tanh,
    ),
    "image_gru.img": lambda: Model(gru0=nn.GRU(3, 4), dense1=nn.Linear(4, 2)),
}


def main(tool):
    with tempfile.TemporaryDirectory() as folder:
        for file, make in MODELS.items():
            out = Path(folder) / "out.safetensors"
            subprocess.run([tool, "convert", FOLDER / file, out], check=True, stdout=subprocess.DEVNULL)
            model = make().eval()
            parameters = {name.replace("layers.", "layers_"): value for name, value in load_file(out).items()}
            model.load_state_dict(parameters, strict=True)
            golden = load_file((FOLDER / file).with_suffix(".golden"))
            with torch.no_grad():
                y = model(golden["x"])
            y = y[0] if isinstance(y, tuple) else y
            difference = (y - golden["y"]).abs().max().item()
            assert difference < 1e-6, (file, difference)
            print(f"{file}: loaded with strict=True, outputs within {difference:.1e}")


if __name__ == "__main__":
    main(sys.argv[1])
