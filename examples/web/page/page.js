// The page: sends what the user types and clicks to the worker as orders, and draws the worker's answers.

import { Losses, colours, drawLosses, drawStates, mapSizes, shown } from "./draw.js";

const $ = (id) => document.getElementById(id);

let worker = null;
let losses = new Losses();
let total = 0;
let running = false;
let writing = false;
/** The last states that arrived, and which of them is selected. */
let seen = null;
const cursor = { character: 0, unit: 0 };
/** What has to be drawn again in the next frame. */
let stale = { chart: false, states: false };
/** The text that comes with the page. */
let novel = "";

function refuse(sentence) {
  $("error").textContent = sentence;
  $("error").hidden = sentence === "";
  if (sentence !== "") $("error").scrollIntoView({ block: "nearest" });
}

function order(type, more = {}, transfer = []) {
  worker?.postMessage({ type, ...more }, transfer);
}

/** Draws at most once in a frame. */
function redraw(what) {
  const waiting = stale.chart || stale.states;
  stale[what] = true;
  if (waiting) return;
  requestAnimationFrame(() => {
    const { chart, states } = stale;
    stale = { chart: false, states: false };
    if (chart) drawLosses($("chart"), losses, total);
    if (states) drawSeen();
  });
}

// --- messages of the worker

const number = new Intl.NumberFormat("en");

function time(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

let lookedAt = 0;

const said = {
  ready({ set }) {
    $("set").textContent =
      set === "simd" ? "This browser’s 128-bit vectors are used." : "The module without vectors is used.";
    document.documentElement.dataset.set = set;
    for (const id of ["train", "go", "load"]) $(id).disabled = false;
    sendHow();
  },
  begin() {
    losses = new Losses();
    redraw("chart");
  },
  model({ shape, weights, vocabulary }) {
    $("model").textContent =
      `LSTM of ${shape.layers} × ${shape.hidden} units over ${vocabulary.length} characters, ` +
      `${number.format(weights)} weights.`;
    for (const id of ["image", "safetensors"]) $(id).disabled = false;
    $("anew").disabled = false;
    $("anew").hidden = false;
    const chosen = Math.min(Number($("layer").value || shape.layers), shape.layers);
    $("layer").replaceChildren(...Array.from({ length: shape.layers }, (_, i) => new Option(i + 1, i + 1)));
    $("layer").value = chosen;
    trainingIs(running);
    look();
  },
  progress({ done, total: all, losses: more, rate, left, running: goesOn }) {
    total = all;
    losses.add(more);
    $("progress").max = all;
    $("progress").value = done;
    $("done").textContent = `${number.format(done)} / ${number.format(all)}`;
    $("loss").textContent = Number.isNaN(losses.recent) ? "–" : losses.recent.toFixed(3);
    $("speed").textContent = number.format(Math.round(rate));
    $("left").textContent = goesOn ? time(left) : done >= all ? "done" : "paused";
    const from = losses.points[0]?.toFixed(2) ?? "–";
    $("chart").setAttribute("aria-label", `Loss over ${done} updates: from ${from} to ${losses.recent.toFixed(2)}`);
    trainingIs(goesOn);
    redraw("chart");
    if (!goesOn || performance.now() - lookedAt > 1000) look();
  },
  written({ text, begins, ends }) {
    const place = $("written");
    if (begins) {
      const prompt = document.createElement("span");
      prompt.className = "prompt";
      prompt.textContent = text;
      place.replaceChildren(prompt, document.createTextNode(""));
    } else {
      place.lastChild?.appendData?.(text);
      place.scrollTop = place.scrollHeight;
    }
    writing = !ends;
    $("go").textContent = writing && !running ? "Stop" : "Write";
  },
  states(message) {
    seen = message;
    cursor.character = Math.min(cursor.character, Math.max(message.list.length - 1, 0));
    cursor.unit = Math.min(cursor.unit, message.shape.hidden - 1);
    redraw("states");
  },
  opened() {
    losses = new Losses();
    total = 0;
    for (const id of ["done", "loss", "speed", "left"]) $(id).textContent = "–";
    $("progress").value = 0;
    trainingIs(false);
    redraw("chart");
  },
  saved({ format, bytes, checksum }) {
    const name = format === "image" ? "model.img" : "model.safetensors";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    document.documentElement.dataset.checksum = checksum;
    refuse("");
  },
  error({ sentence }) {
    refuse(sentence);
  },
};

function trainingIs(now) {
  running = now;
  const exists = !$("anew").hidden;
  $("train").textContent = now ? "Pause" : exists ? "Train on" : "Train";
  for (const id of ["hidden", "layers"]) $(id).disabled = now;
  document.documentElement.dataset.running = now;
  // During training the numbers change all the time.
  $("cursor").setAttribute("aria-live", now ? "off" : "polite");
}

// --- input of the user

function train(fresh) {
  refuse("");
  order("train", {
    text: $("text").value,
    hidden: Number($("hidden").value),
    embedding: Math.max(16, Number($("hidden").value) / 2),
    layers: Number($("layers").value),
    updates: Math.round(Number($("updates").value)),
    rate: Number($("rate").value),
    seed: 1,
    fresh,
  });
}

function how() {
  const length = Math.max(1, Math.round(Number($("length").value)) || 1);
  return {
    prompt: $("prompt").value,
    temperature: Number($("temperature").value),
    topP: Number($("top-p").value),
    length,
    always: $("always").checked,
  };
}

function sendHow() {
  const { temperature, topP } = how();
  $("temperature-is").textContent = temperature.toFixed(2);
  $("top-p-is").textContent = topP.toFixed(2);
  order("how", { how: how() });
}

function look() {
  lookedAt = performance.now();
  order("look", { text: $("probe").value });
}

function counted() {
  const { length } = $("text").value;
  $("count").textContent = `${number.format(length)} characters.`;
}

$("train").addEventListener("click", () => (running ? order("stop") : train(false)));
$("anew").addEventListener("click", () => train(true));
$("go").addEventListener("click", () => {
  refuse("");
  if (writing && !running) order("hush");
  else order("write");
});
for (const id of ["prompt", "temperature", "top-p", "length", "always"]) $(id).addEventListener("input", sendHow);
$("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter") $("go").click();
});
$("text").addEventListener("input", counted);
function showNovel() {
  $("text").value = novel;
  $("text").setSelectionRange(0, 0);
  $("text").scrollTop = 0;
  counted();
}
$("novel").addEventListener("click", showNovel);
$("image").addEventListener("click", () => order("save", { format: "image" }));
$("safetensors").addEventListener("click", () => order("save", { format: "safetensors" }));
$("load").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  const [file] = $("file").files;
  if (!file) return;
  refuse("");
  try {
    const bytes = await file.arrayBuffer();
    order("open", { bytes }, [bytes]);
  } catch (error) {
    refuse(`The file cannot be read: ${error.message}.`);
  }
  $("file").value = "";
});

// --- the states

let waiting;
$("probe").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    refuse("");
    look();
  }, 150);
});
$("layer").addEventListener("change", () => redraw("states"));

function drawSeen() {
  if (!seen) return;
  const { list, states, guesses, shape } = seen;
  const layer = Math.min(Number($("layer").value || 1), shape.layers) - 1;
  drawStates($("map"), seen, layer, cursor);
  const value = (i) => states[(i * shape.layers + layer) * shape.hidden + cursor.unit];
  const colour = colours();
  $("unit").replaceChildren(
    ...list.map((c, i) => {
      const span = document.createElement("span");
      span.textContent = c;
      span.style.backgroundColor = `rgb(${colour(value(i)).join(" ")})`;
      if (Math.abs(value(i)) > 0.6) span.style.color = "var(--on-accent)";
      if (i === cursor.character) span.className = "chosen";
      return span;
    }),
  );
  if (list.length === 0) {
    $("cursor").textContent = "Type a text to read.";
    return;
  }
  const next = guesses[cursor.character]
    .map(([c, share]) => `${shown(c)} ${(100 * share).toFixed(0)} %`)
    .join(", ");
  $("cursor").textContent =
    `After character ${cursor.character + 1}, “${shown(list[cursor.character])}”, unit ${cursor.unit + 1} of layer ${layer + 1} ` +
    `is at ${value(cursor.character).toFixed(2)}. What comes next: ${next}. Below, the text in the colours of this unit.`;
}

function choose(character, unit) {
  if (!seen) return;
  cursor.character = Math.max(0, Math.min(seen.list.length - 1, character));
  cursor.unit = Math.max(0, Math.min(seen.shape.hidden - 1, unit));
  const place = $("states");
  const { column } = mapSizes(seen.list.length, seen.shape.hidden, place.clientWidth);
  const at = cursor.character * column;
  if (at < place.scrollLeft) place.scrollLeft = at;
  else if (at + column > place.scrollLeft + place.clientWidth) place.scrollLeft = at + column - place.clientWidth;
  redraw("states");
}

$("states").addEventListener("keydown", (event) => {
  const { character, unit } = cursor;
  const to = {
    ArrowLeft: [character - 1, unit],
    ArrowRight: [character + 1, unit],
    ArrowUp: [character, unit - 1],
    ArrowDown: [character, unit + 1],
    Home: [0, unit],
    End: [Infinity, unit],
    PageUp: [character, unit - 10],
    PageDown: [character, unit + 10],
  }[event.key];
  if (!to) return;
  event.preventDefault();
  choose(...to);
});
$("map").addEventListener("click", ({ offsetX, offsetY }) => {
  if (!seen) return;
  const { column, row, head } = mapSizes(seen.list.length, seen.shape.hidden, $("states").clientWidth);
  choose(Math.floor(offsetX / column), Math.floor((offsetY - head) / row));
});

// --- start

addEventListener("resize", () => {
  redraw("chart");
  redraw("states");
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redraw("chart");
  redraw("states");
});

async function begin() {
  if (typeof WebAssembly !== "object") {
    refuse("This browser does not have WebAssembly, or it is turned off. The page cannot compute without it.");
    return;
  }
  try {
    worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  } catch (error) {
    refuse(`This browser cannot start the worker that computes: ${error.message}.`);
    return;
  }
  worker.addEventListener("message", ({ data }) => said[data.type]?.(data));
  worker.addEventListener("error", (event) => {
    refuse(`The worker that computes does not run in this browser: ${event.message ?? "it cannot be loaded"}.`);
  });
  order("start", { set: new URLSearchParams(location.search).get("set") ?? undefined });
  try {
    const answer = await fetch(new URL("pride_and_prejudice.txt", import.meta.url));
    if (!answer.ok) throw new Error(String(answer.status));
    novel = await answer.text();
    if ($("text").value === "") showNovel();
  } catch {
    refuse("The text that comes with the page is missing on the server. Paste one of your own.");
  }
  counted();
  redraw("chart");
}

// For the tests.
globalThis.page = { order, said, losses: () => losses, seen: () => seen };

begin();
