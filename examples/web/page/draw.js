// The two pictures: the loss over the updates, and the states over the characters.

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const channels = (name) => style(name).split(" ").map(Number);

/** The drawing area of a canvas of this size on the page. */
function area(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** A step between ticks: 1, 2 or 5 times a power of ten, as small as the number of ticks allows. */
function stepOf(range, most) {
  const rough = Math.max(range / most, 1e-9);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((f) => f * power >= rough);
}

/** The losses of a training: a limited number of points, each the mean of some updates. */
export class Losses {
  constructor() {
    this.points = [];
    this.each = 1;
    this.rest = [];
    this.updates = 0;
    /** The mean of the last updates. */
    this.recent = NaN;
  }

  add(losses) {
    for (const loss of losses) {
      this.updates += 1;
      this.recent = this.updates === 1 ? loss : this.recent + (loss - this.recent) / Math.min(this.updates, 20);
      this.rest.push(loss);
      if (this.rest.length < this.each) continue;
      this.points.push(this.rest.reduce((a, b) => a + b) / this.each);
      this.rest = [];
      if (this.points.length < 1000) continue;
      this.points = this.points.flatMap((p, i) => (i % 2 === 0 ? [(p + this.points[i + 1]) / 2] : []));
      this.each *= 2;
    }
  }
}

export function drawLosses(canvas, losses, total) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width === 0) return;
  const context = area(canvas, width, height);
  const [left, right, top, bottom] = [34, width - 8, 10, height - 22];
  const { points, each } = losses;
  const end = Math.max(total, losses.updates, 1);
  const most = points.reduce((a, b) => Math.max(a, b), 0.5) * 1.05;
  const x = (update) => left + ((right - left) * update) / end;
  const y = (loss) => bottom - ((bottom - top) * loss) / most;
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  context.strokeStyle = style("--line");
  context.fillStyle = style("--soft");
  context.textAlign = "right";
  context.textBaseline = "middle";
  const step = stepOf(most, 4);
  for (let loss = 0; loss <= most; loss += step) {
    context.beginPath();
    context.moveTo(left, y(loss));
    context.lineTo(right, y(loss));
    context.stroke();
    context.fillText(String(Math.round(loss * 100) / 100), left - 6, y(loss));
  }
  context.textBaseline = "top";
  const across = stepOf(end, width / 90);
  for (let update = 0; update <= end; update += across) {
    context.textAlign = update === 0 ? "left" : x(update) > right - 20 ? "right" : "center";
    context.fillText(String(update), x(update), bottom + 6);
  }
  if (points.length === 0) return;
  context.strokeStyle = style("--accent");
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  points.forEach((loss, i) => {
    const at = [x((i + 1) * each), y(loss)];
    if (i === 0) context.moveTo(...at);
    else context.lineTo(...at);
  });
  context.stroke();
}

/** A colour between those of -1, of 0 (the background) and of 1; `value` is in -1..1. */
export function colours() {
  const [low, ground, high] = [channels("--low"), channels("--ground"), channels("--high")];
  return (value) => {
    const [to, share] = [value < 0 ? low : high, Math.min(Math.abs(value), 1)];
    return ground.map((from, i) => Math.round(from + (to[i] - from) * share));
  };
}

const NAMES = { "\n": "⏎", "\t": "⇥", " ": "␣" };

/** The form in which a single character is shown. */
export const shown = (c) => NAMES[c] ?? c;

/** The sizes of the map of states, from the numbers of characters and units and the width of its place. */
export function mapSizes(characters, units, width) {
  const column = Math.max(14, Math.min(28, Math.floor(width / Math.max(characters, 1))));
  return { column, row: Math.max(2, Math.min(8, Math.floor(256 / units))), head: 24 };
}

/** Draws the states of one layer: a column for each character, a row for each unit. */
export function drawStates(canvas, { list, states, shape }, layer, cursor) {
  const { hidden, layers } = shape;
  const { column, row, head } = mapSizes(list.length, hidden, canvas.parentElement.clientWidth);
  const [width, height] = [Math.max(list.length * column, 1), head + hidden * row];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = area(canvas, width, height);
  const colour = colours();
  // One pixel for each state; the canvas makes rectangles of them.
  const pixels = new ImageData(Math.max(list.length, 1), hidden);
  list.forEach((_, i) => {
    for (let unit = 0; unit < hidden; unit += 1) {
      const at = 4 * (unit * list.length + i);
      pixels.data.set(colour(states[(i * layers + layer) * hidden + unit]), at);
      pixels.data[at + 3] = 255;
    }
  });
  const small = Object.assign(document.createElement("canvas"), { width: pixels.width, height: hidden });
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, head, width, hidden * row);
  context.font = "13px ui-monospace, monospace";
  context.textAlign = "center";
  context.textBaseline = "middle";
  list.forEach((c, i) => {
    context.fillStyle = style(i === cursor.character ? "--accent" : "--ink");
    context.fillText(shown(c), (i + 0.5) * column, head / 2);
  });
  context.strokeStyle = style("--accent");
  context.lineWidth = 2;
  context.strokeRect(cursor.character * column, head, column, hidden * row);
  context.strokeRect(0, head + cursor.unit * row - 1, width, row + 2);
}
