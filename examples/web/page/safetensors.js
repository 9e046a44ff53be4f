// A model in the format of safetensors, under PyTorch's names: nn.Embedding, nn.LSTM, nn.Linear.
// The weights of the module have the same order, so the file is a header and a copy of them.

/** Names and shapes of the tensors, in the order of the weights. */
export function tensors({ vocabulary, embedding, hidden, layers }) {
  const rows = 4 * hidden; // four gates
  const recurrent = Array.from({ length: layers }, (_, layer) => [
    [`rnn.weight_ih_l${layer}`, [rows, layer === 0 ? embedding : hidden]],
    [`rnn.weight_hh_l${layer}`, [rows, hidden]],
    [`rnn.bias_ih_l${layer}`, [rows]],
    [`rnn.bias_hh_l${layer}`, [rows]],
  ]);
  return [
    ["embedding.weight", [vocabulary, embedding]],
    ...recurrent.flat(),
    ["linear.weight", [vocabulary, hidden]],
    ["linear.bias", [vocabulary]],
  ];
}

/** The bytes of a file: the length of the header, the header, the weights. */
export function safetensors(shape, characters, weights) {
  const header = {
    __metadata__: {
      "recurrent.layers": "embedding,rnn,linear",
      characters: characters.join(""),
    },
  };
  let end = 0;
  for (const [name, dims] of tensors(shape)) {
    const start = end;
    end += 4 * dims.reduce((a, b) => a * b);
    header[name] = { dtype: "F32", shape: dims, data_offsets: [start, end] };
  }
  if (end !== weights.byteLength) throw new Error("the tensors are not as long as the weights");
  let text = new TextEncoder().encode(JSON.stringify(header));
  // Spaces follow the header, so that the weights begin at a multiple of 8 bytes.
  const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32);
  padded.set(text);
  text = padded;
  const file = new Uint8Array(8 + text.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(new Uint8Array(weights.buffer, weights.byteOffset, end), 8 + text.length);
  return file;
}
