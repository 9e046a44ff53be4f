// A model: one instance of the module, and views of its memory.

// A module with one function that splats a vector. An engine accepts it if it has vectors.
const VECTORS = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** An error with a sentence for the page. */
export class Refusal extends Error {}

/** The name of the fastest module that this browser supports. */
export function bestSet() {
  return WebAssembly.validate(VECTORS) ? "simd" : "scalar";
}

/** Characters of a text: its lines end with a line feed, and halves of surrogate pairs are replaced. */
export function characters(text) {
  return Array.from(text.replace(/\r\n?/g, "\n").replace(/\p{Surrogate}/gu, "\ufffd"));
}

const sentence = (what, why) => `${what}: ${why}.`;

/** The two readers of text: one writes, one shows states. Each has its states and its next character. */
export const WRITER = 0;
export const WATCHER = 1;

export class Model {
  /** @param {WebAssembly.Module} module */
  constructor(module) {
    this.module = module;
    this.exports = new WebAssembly.Instance(module).exports;
    this.vocabulary = [];
    this.ids = new Map();
  }

  /** A new model of the characters of a text. */
  static start(module, text, { embedding, hidden, layers, seed }) {
    const model = new Model(module);
    const vocabulary = [...new Set(text)].map((c) => c.codePointAt(0)).sort((a, b) => a - b);
    if (vocabulary.length > 2000) {
      throw new Refusal(`The text has ${vocabulary.length} different characters; the page takes 2000 at most.`);
    }
    const place = model.put(Uint32Array.from(vocabulary));
    const { exports } = model;
    model.check(
      "The model cannot be made",
      exports.start(place, vocabulary.length, embedding, hidden, layers, seed),
    );
    model.learn();
    return model;
  }

  /** The model of a file. */
  static open(module, bytes) {
    const model = new Model(module);
    const place = model.put(bytes);
    if (model.exports.open(place, bytes.length) !== 0) {
      throw new Refusal(`The file cannot be loaded, and the model here stays as it was: ${model.message()}.`);
    }
    model.learn();
    return model;
  }

  /** Stores the characters. */
  learn() {
    this.vocabulary = Array.from(this.part(2, Uint32Array), (c) => String.fromCodePoint(c));
    this.ids = new Map(this.vocabulary.map((c, id) => [c, id]));
    const [vocabulary, embedding, hidden, layers] = [0, 1, 2, 3].map((i) => this.exports.size(i));
    this.shape = { vocabulary, embedding, hidden, layers };
  }

  /** The last message of the module. */
  message() {
    const { memory, message, message_len } = this.exports;
    return new TextDecoder().decode(new Uint8Array(memory.buffer, message(), message_len()));
  }

  check(what, status) {
    if (status !== 0) throw new Refusal(sentence(what, this.message()));
  }

  /** Copies into memory of the module. */
  put(data) {
    const place = this.exports.alloc(data.byteLength);
    if (place === 0) throw new Refusal("There is too little memory for this.");
    new data.constructor(this.exports.memory.buffer, place, data.length).set(data);
    return place;
  }

  /** A view of a part: 0 weights, 1 logits, 2 characters, 3 and 4 the readers' states. It is valid until memory grows. */
  part(which, type = Float32Array) {
    const { memory, part, part_len } = this.exports;
    return new type(memory.buffer, part(which), part_len(which));
  }

  /** The ids of characters. */
  encode(list, what) {
    const unknown = [...new Set(list.filter((c) => !this.ids.has(c)))];
    if (unknown.length > 0) {
      const names = unknown.slice(0, 5).map((c) => `“${c}”`).join(", ");
      const more = unknown.length > 5 ? ` and ${unknown.length - 5} more` : "";
      throw new Refusal(`${what} has characters that the model does not know: ${names}${more}.`);
    }
    return Uint32Array.from(list, (c) => this.ids.get(c));
  }

  /** Begins a training on a list of characters. */
  train(list, batch, steps) {
    const ids = this.encode(list, "The text");
    // A text that is shorter than one window of a single stream cannot be trained on.
    if (ids.length <= steps) {
      throw new Refusal(
        `The text is too short: it has ${ids.length} characters, and training takes at least ${steps + 1}.`,
      );
    }
    const streams = Math.min(batch, Math.floor((ids.length - 1) / steps));
    this.window = streams * steps;
    this.check("The training cannot begin", this.exports.train(this.put(ids), ids.length, streams, steps));
  }

  /** Makes one update, and returns its loss. */
  update(rate) {
    const loss = this.exports.update(rate);
    if (Number.isNaN(loss)) throw new Refusal(sentence("The training stopped", this.message()));
    return loss;
  }

  rewind(reader) {
    this.exports.rewind(reader);
  }

  read(reader, id) {
    this.check("The model cannot read this", this.exports.read(reader, id));
  }

  /** Draws the next id. */
  draw(temperature, topP) {
    const id = this.exports.draw(temperature, topP);
    if (id < 0) throw new Refusal(sentence("The model cannot write", this.message()));
    return id;
  }

  /** For each character: the states of all layers after it, and the probabilities of the next character. */
  look(list) {
    const { hidden, layers } = this.shape;
    const ids = this.encode(list, "The text to look at");
    // The state of a layer is its output, and then its cells.
    const stride = 2 * hidden;
    const states = new Float32Array(list.length * layers * hidden);
    const guesses = [];
    this.rewind(WATCHER);
    ids.forEach((id, i) => {
      this.read(WATCHER, id);
      const state = this.part(3 + WATCHER);
      for (let layer = 0; layer < layers; layer += 1) {
        states.set(state.subarray(layer * stride, layer * stride + hidden), (i * layers + layer) * hidden);
      }
      guesses.push(this.likeliest(3));
    });
    return { states, guesses };
  }

  /** The likeliest next characters, with their probabilities. */
  likeliest(count) {
    const logits = this.part(1);
    const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const weights = Array.from(logits, (x) => Math.exp(x - most));
    const total = weights.reduce((a, b) => a + b, 0);
    const order = weights.map((_, id) => id).sort((a, b) => weights[b] - weights[a]);
    return order.slice(0, count).map((id) => [this.vocabulary[id], weights[id] / total]);
  }

  /** The bytes of an image. */
  image() {
    const length = this.exports.save();
    if (length === 0) throw new Refusal(sentence("The model cannot be saved", this.message()));
    return new Uint8Array(this.exports.memory.buffer, this.exports.image(), length).slice();
  }

  /** The checksum of the weights. */
  checksum() {
    return BigInt.asUintN(64, this.exports.checksum()).toString(16).padStart(16, "0");
  }
}
