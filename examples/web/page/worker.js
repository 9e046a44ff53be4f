// The worker trains, writes and reads; the page only draws. Each message of the page is an order. The worker
// answers with messages, at most about twenty in a second.

import { Model, Refusal, WRITER, bestSet, characters } from "./model.js";
import { safetensors } from "./safetensors.js";

/** Streams that are read in parallel, and characters of each in an update. */
const BATCH = 16;
const STEPS = 32;
/** Milliseconds of updates before the worker checks for orders of the page. */
const SLICE = 40;
/** Milliseconds between two messages about the training. */
const REPORT = 100;
/** Milliseconds between two characters if the worker does nothing else. */
const PACE = 12;
/** The number of characters whose states are shown. */
const MOST = 600;

let module;
let model = null;
/** The text of the training, as one string, if there is a training. */
let text = null;
/** The training that is running or paused. */
let training = null;
/** What is written now: how many characters are left, and the last one's id, which has not been read. */
let writing = null;
/** How to write: { prompt, temperature, topP, length, always }. */
let how = { prompt: "", temperature: 0.7, topP: 0.95, length: 300, always: false };
let busy = false;

const post = (message, transfer = []) => postMessage(message, transfer);

/** A sentence that describes an error. */
function refuse(error, what) {
  let sentence = `Something went wrong in the page: ${error?.message ?? error}.`;
  if (error instanceof Refusal) {
    sentence = error.message;
  } else if (error instanceof RangeError) {
    sentence = "There is too little memory for this.";
  } else if (error instanceof WebAssembly.RuntimeError) {
    sentence = `The module stopped, which is a bug of the page: ${error.message}. Reload it to go on.`;
  }
  post({ type: "error", what, sentence });
}

function told() {
  post({ type: "model", shape: model.shape, weights: model.part(0).length, vocabulary: model.vocabulary });
}

/** Begins to train a new model, or the current one. */
function train(order) {
  const list = characters(order.text);
  const { updates, rate, fresh } = order;
  if (list.length === 0) throw new Refusal("There is no text to train on.");
  if (!(updates >= 1)) throw new Refusal("The number of updates has to be 1 or more.");
  if (!(rate > 0)) throw new Refusal("The learning rate has to be above 0.");
  const joined = list.join("");
  const first = fresh || model === null;
  if (first || joined !== text) {
    // The old instance has no room for another text: a new one continues with its weights.
    const made = first ? Model.start(module, list, order) : Model.open(module, model.image());
    made.train(list, BATCH, STEPS);
    take(made);
  }
  text = joined;
  const before = training?.done ?? 0;
  training = { running: true, done: before, total: before + updates, rate, losses: [], chars: 0, seconds: 0, told: 0 };
  if (before === 0) post({ type: "begin" });
  told();
  beginBeside();
  work();
}

/** Begins to write. */
function begin() {
  const list = characters(how.prompt);
  const ids = list.length > 0 ? model.encode(list, "The prompt") : [model.ids.get("\n") ?? 0];
  model.rewind(WRITER);
  ids.slice(0, -1).forEach((id) => model.read(WRITER, id));
  writing = { left: how.length, last: ids.at(-1) };
  post({ type: "written", text: how.prompt, begins: true });
}

/** Begins to write during a training, if requested. An error here does not end the training. */
function beginBeside() {
  if (!how.always) return;
  try {
    begin();
  } catch (error) {
    how.always = false;
    refuse(error, "write");
  }
}

/** Writes some characters. */
function write(count) {
  let written = "";
  for (let i = 0; i < count && writing.left > 0; i += 1) {
    model.read(WRITER, writing.last);
    writing.last = model.draw(how.temperature, how.topP);
    writing.left -= 1;
    written += model.vocabulary[writing.last];
  }
  if (writing.left <= 0) writing = null;
  post({ type: "written", text: written, ends: writing === null });
}

/** Ends the text that is written now, also for the page. */
function hush() {
  if (writing) post({ type: "written", text: "", ends: true });
  writing = null;
}

/** Replaces the model. This ends the training and the writing of the old one. */
function take(made) {
  hush();
  model = made;
  training = null;
}

/** Updates for a while. */
function updates() {
  const started = performance.now();
  let now = started;
  let made = 0;
  do {
    training.losses.push(model.update(training.rate));
    training.done += 1;
    made += 1;
    now = performance.now();
  } while (now - started < SLICE && training.done < training.total);
  training.chars += made * model.window;
  training.seconds += (now - started) / 1000;
  const ends = training.done >= training.total;
  if (ends) training.running = false;
  if (ends || now - training.told > REPORT) report(now);
}

function report(now = performance.now()) {
  const { done, total, losses, chars, seconds, running } = training;
  const rate = seconds > 0 ? chars / seconds : 0;
  // Updates get a part of the time, also while the worker writes.
  const left = rate > 0 ? ((total - done) * model.window) / rate : 0;
  training.losses = [];
  training.told = now;
  post({ type: "progress", done, total, losses: Float32Array.from(losses), rate, left, running });
}

/** Lets orders of the page arrive. */
const channel = new MessageChannel();
function turn(milliseconds) {
  return new Promise((resolve) => {
    if (milliseconds > 0) {
      setTimeout(resolve, milliseconds);
    } else {
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(null);
    }
  });
}

/** Trains and writes until there is nothing left to do. */
async function work() {
  if (busy) return;
  busy = true;
  try {
    while (training?.running || writing) {
      if (training?.running) {
        updates();
        if (writing) write(2);
        // Texts are written one after the other, the last one after the training.
        if (!writing || !training.running) beginBeside();
        await turn(0);
      } else {
        write(1);
        await turn(PACE);
      }
    }
  } catch (error) {
    if (training?.running) {
      training.running = false;
      report();
    }
    hush();
    refuse(error, "work");
  }
  busy = false;
}

const orders = {
  async start({ set }) {
    const name = set ?? bestSet();
    const answer = await fetch(new URL(`${name}.wasm`, import.meta.url));
    if (!answer.ok) throw new Refusal(`The module ${name}.wasm is missing on the server (${answer.status}).`);
    module = await WebAssembly.compile(await answer.arrayBuffer());
    post({ type: "ready", set: name });
  },
  train,
  stop() {
    if (training?.running) {
      training.running = false;
      report();
    }
  },
  how(order) {
    how = { ...how, ...order.how };
  },
  write() {
    if (model === null) throw new Refusal("There is no model yet: train one, or load one.");
    begin();
    work();
  },
  hush,
  look(order) {
    if (model === null) return;
    const list = characters(order.text).slice(0, MOST);
    const { states, guesses } = model.look(list);
    post({ type: "states", list, states, guesses, shape: model.shape }, [states.buffer]);
  },
  open({ bytes }) {
    take(Model.open(module, new Uint8Array(bytes)));
    text = null;
    told();
    post({ type: "opened" });
  },
  save({ format }) {
    if (model === null) throw new Refusal("There is no model to save yet.");
    const { shape, vocabulary } = model;
    const bytes = format === "image" ? model.image() : safetensors(shape, vocabulary, model.part(0));
    post({ type: "saved", format, bytes, checksum: model.checksum() }, [bytes.buffer]);
  },
  /** Makes some updates at once, for the tests. Returns the checksum after them, and characters per second. */
  measure(order) {
    const list = characters(order.text);
    const made = Model.start(module, list, order);
    made.train(list, order.batch, order.steps);
    const started = performance.now();
    for (let i = 0; i < order.updates; i += 1) made.update(order.rate);
    const rate = (order.updates * made.window) / ((performance.now() - started) / 1000);
    post({ type: "measured", checksum: made.checksum(), rate });
  },
};

onmessage = async ({ data }) => {
  try {
    await orders[data.type](data);
  } catch (error) {
    refuse(error, data.type);
  }
};
