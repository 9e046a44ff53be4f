// The page in a real browser: node test.mjs PAGE OUT [NAME=VALUE...]
//
//   PAGE             the folder that examples/web/build has made
//   OUT              where pictures and saved models go
//   checkpoint=FILE  a model that the example char_rnn has saved, and
//   exported=FILE    the image of the same
//   checksum=HEX     the host's result of the training in `SETTING`
//   native=NUMBER    characters per second of the host's scalar set
//
// Every check is printed; the first that fails ends the test.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Browser, serve, sleep } from "./browser.mjs";

const [page, out, ...rest] = process.argv.slice(2);
const given = Object.fromEntries(rest.map((word) => word.split("=")));
/** The training that the host makes, too. */
const SETTING = { embedding: 32, hidden: 64, layers: 2, batch: 16, steps: 32, seed: 1, rate: 0.005, updates: 40 };
/** The ceiling of a module's size, and the goal. The README says why the goal is not reached. */
const CEILING = 320 * 1024;
const AIM = 150 * 1024;
/**
 * The loss after 300 updates, in nats per character. The best table of pairs of characters has 2.41 on this text, so
 * the network must have learned more than pairs. The example char_rnn gets 2.19 with these sizes.
 */
const BOUND = 2.35;

function check(what, holds, more = "") {
  if (!holds) throw new Error(`${what}${more === "" ? "" : `: ${more}`}`);
  console.log(`ok: ${what}${more === "" ? "" : ` (${more})`}`);
}

// Tasks of the page's own thread that take longer than 50 ms.
const WATCH = `globalThis.long = [];
new PerformanceObserver((list) => list.getEntries().forEach((e) => long.push([e.startTime, e.duration].map(Math.round))))
  .observe({ type: "longtask", buffered: true });`;
const READY = "document.documentElement.dataset.set";
const error = "document.getElementById('error').textContent";
const text = (id) => `document.getElementById(${JSON.stringify(id)}).textContent`;
const click = (id) => `document.getElementById(${JSON.stringify(id)}).click()`;
const set = (id, value) =>
  `{ const e = document.getElementById(${JSON.stringify(id)}); e.value = ${JSON.stringify(value)}; e.dispatchEvent(new Event("input")); }`;

async function sizes() {
  for (const name of ["simd.wasm", "scalar.wasm"]) {
    const { size } = statSync(join(page, name));
    check(`${name} has at most ${CEILING / 1024} KB`, size <= CEILING, `${size} bytes`);
    if (size > AIM) console.log(`NOT REACHED: ${AIM / 1024} KB for ${name}`);
  }
}

async function trains(browser, url) {
  const tab = await browser.open(url, { before: WATCH });
  await tab.until(READY);
  check("vectors are used", (await tab.eval(READY)) === "simd");
  await tab.eval(`${set("hidden", "64")} ${set("updates", "300")} ${set("prompt", "Elizabeth ")}`);
  await tab.tab("train");
  await tab.key("Enter");
  await tab.until("page.losses().updates > 20");
  check("it writes while it trains", (await tab.eval(text("written"))).startsWith("Elizabeth "));
  check("it says how fast it is, and for how long", /^[\d,]+$/.test(await tab.eval(text("speed"))) && / s$/.test(await tab.eval(text("left"))));
  await tab.key("Enter");
  await tab.until(`${text("train")} === "Train on"`);
  const paused = await tab.eval("page.losses().updates");
  await sleep(300);
  check("it pauses by the keyboard", (await tab.eval("page.losses().updates")) === paused, `after ${paused} updates`);
  await tab.eval(set("updates", String(300 - paused)));
  await tab.key("Enter");
  await tab.until(`${text("left")} === "done"`, 120);
  const loss = await tab.eval("page.losses().recent");
  check(`the loss is below ${BOUND}`, loss < BOUND, loss.toFixed(3));
  check("all updates are counted", (await tab.eval("page.losses().updates")) === 300);
  return tab;
}

async function writes(tab) {
  await tab.eval(`${set("length", "120")} document.getElementById("always").click(); page.order("hush")`);
  await tab.tab("go");
  await tab.key("Enter");
  await tab.until(`${text("go")} === "Stop"`);
  await tab.until(`${text("go")} === "Write"`);
  const written = await tab.eval(text("written"));
  check("it writes as much as it is asked", Array.from(written).length === 130, JSON.stringify(written.slice(0, 60)));
  await tab.tab("states");
  await tab.key("ArrowRight");
  await tab.key("ArrowDown");
  await tab.until(`${text("cursor")}.startsWith("After character 2, “t”, unit 2 of layer 2")`);
  const states = await tab.eval("Array.from(page.seen().states)");
  const { length } = Array.from("It is a truth universally acknowledged");
  const inside = states.every((x) => Math.abs(x) <= 1) && states.some((x) => x !== 0);
  check("it shows its states by the keyboard", states.length === length * 2 * 64 && inside);
}

async function pictures(tab) {
  for (const [width, height] of [[1200, 900], [360, 740]]) {
    for (const scheme of ["light", "dark"]) {
      await tab.look(width, height, scheme);
      await sleep(300);
      writeFileSync(join(out, `${width}-${scheme}.png`), await tab.picture());
      const wide = await tab.eval("document.documentElement.scrollWidth");
      check(`nothing is wider than ${width} pixels, ${scheme}`, wide <= width, `${wide}`);
    }
  }
  await tab.look(1200, 900, "light");
}

async function saves(browser, tab) {
  await browser.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: resolve(out) });
  for (const [id, name] of [["image", "model.img"], ["safetensors", "model.safetensors"]]) {
    rmSync(join(out, name), { force: true });
    await tab.eval(click(id));
    for (let i = 0; i < 100 && !existsSync(join(out, name)); i += 1) await sleep(50);
    check(`${name} is saved`, existsSync(join(out, name)), `${statSync(join(out, name)).size} bytes`);
  }
  return tab.eval("document.documentElement.dataset.checksum");
}

async function checksumOf(tab) {
  await tab.eval(`delete document.documentElement.dataset.checksum;
    globalThis.caught = page.said.saved; page.said.saved = (m) => { document.documentElement.dataset.checksum = m.checksum; };
    page.order("save", { format: "image" })`);
  await tab.until("document.documentElement.dataset.checksum");
  await tab.eval("page.said.saved = caught");
  return tab.eval("document.documentElement.dataset.checksum");
}

async function loads(browser, url, checksum) {
  const tab = await browser.open(url, { before: WATCH });
  await tab.until(READY);
  const image = resolve(out, "model.img");
  await tab.files("#file", [image]);
  await tab.until(`${text("model")}.startsWith("LSTM of 2 × 64 units")`);
  check("a saved image is loaded, to the bit", (await checksumOf(tab)) === checksum, checksum);

  const damaged = join(out, "damaged.img");
  const bytes = readFileSync(image);
  bytes[bytes.length - 9] ^= 1;
  writeFileSync(damaged, bytes);
  for (const [name, content] of [["damaged", bytes], ["cut", bytes.subarray(0, 1000)], ["other", Buffer.from("not a model")]]) {
    writeFileSync(damaged, content);
    await tab.eval("document.getElementById('error').textContent = ''");
    await tab.files("#file", [resolve(damaged)]);
    await tab.until(`${error} !== ""`);
    const sentence = await tab.eval(error);
    check(`a file that is ${name} is refused`, /cannot be loaded/.test(sentence), sentence);
  }
  check("the model stayed", (await checksumOf(tab)) === checksum);

  await tab.eval(`${set("updates", "5")} ${click("train")}`);
  await tab.until(`${text("left")} === "done"`);
  check("a loaded model is trained further", (await checksumOf(tab)) !== checksum);
  await tab.eval(`${set("text", "ÄÖÜ and so on, ".repeat(100))} ${click("train")}`);
  await tab.until(`${error} !== ""`);
  check("characters that it does not know are named", /does not know: “Ä”/.test(await tab.eval(error)), await tab.eval(error));

  if (given.checkpoint) {
    await tab.eval("document.getElementById('error').textContent = ''");
    await tab.files("#file", [resolve(given.checkpoint)]);
    await tab.until(`${error} !== ""`);
    check("a training of char_rnn is refused, with advice", /--image/.test(await tab.eval(error)), await tab.eval(error));
    await tab.files("#file", [resolve(given.exported)]);
    await tab.until(`${text("model")}.startsWith("LSTM of 2 × 32 units")`);
    check("an image of char_rnn is loaded", true, await checksumOf(tab));
    await tab.eval(`${set("prompt", "")} ${set("length", "20")} ${click("go")}`);
    await tab.until(`Array.from(${text("written")}).length === 20`);
    check("and it writes", true, JSON.stringify(await tab.eval(text("written"))));
  }
  check("no script failed", tab.faults.length === 0, tab.faults.join("; "));
  await tab.close();
}

async function refuses(browser, url) {
  const tab = await browser.open(url);
  await tab.until(READY);
  const sentence = async (what, how, pattern) => {
    await tab.eval(`document.getElementById("error").textContent = ""; ${how}`);
    await tab.until(`${error} !== ""`);
    check(what, pattern.test(await tab.eval(error)), await tab.eval(error));
  };
  await sentence("a text that is too short", `${set("text", "Too short.")} ${click("train")}`, /^The text is too short: it has 10 characters/);
  await sentence("no text", `${set("text", "")} ${click("train")}`, /^There is no text/);
  await sentence("no model", click("go"), /^There is no model yet/);
  const huge = `document.getElementById("hidden").add(new Option("30000", "30000")); ${set("hidden", "30000")}`;
  await sentence("too little memory", `${set("text", "a text. ".repeat(100))} ${huge} ${click("train")}`, /too little memory/);
  await sentence("no updates", `${set("hidden", "32")} ${set("updates", "0")} ${click("train")}`, /^The number of updates/);
  check("no script failed", tab.faults.length === 0, tab.faults.join("; "));
  await tab.close();
  const without = await browser.open(url, { before: "delete globalThis.WebAssembly" });
  await without.until(`${error} !== ""`);
  check("no WebAssembly", /does not have WebAssembly/.test(await without.eval(error)), await without.eval(error));
  await without.close();
}

/** The same training in both modules, beside the host's. */
async function measures(browser, url) {
  const rates = {};
  for (const name of ["simd", "scalar"]) {
    const tab = await browser.open(`${url}?set=${name}`);
    await tab.until(`${READY} === "${name}"`);
    await tab.eval(`page.said.measured = (m) => { globalThis.measured = m; };
      page.order("measure", { text: document.getElementById("text").value, ...${JSON.stringify(SETTING)} })`);
    await tab.until("globalThis.measured", 120);
    const { checksum, rate } = await tab.eval("measured");
    rates[name] = rate;
    if (given.checksum) check(`${name}: the weights are those of the host's scalar set`, checksum === given.checksum, checksum);
    else console.log(`${name}: checksum ${checksum}`);
    await tab.close();
  }
  console.log(`characters per second in the browser: ${rates.simd.toFixed(0)} with vectors, ${rates.scalar.toFixed(0)} without`);
  if (given.native) {
    const ratio = rates.simd / Number(given.native);
    check("training has a third of the speed of the portable set on the host", ratio >= 1 / 3, `${ratio.toFixed(2)} of ${given.native}`);
  }
}

mkdirSync(out, { recursive: true });
if (!given.nosize) await sizes();
const server = await serve(page);
const url = `http://127.0.0.1:${server.address().port}/`;
const browser = new Browser();
let failed = false;
try {
  await browser.trace();
  const tab = await trains(browser, url);
  await writes(tab);
  const checksum = await saves(browser, tab);
  // The observer's time goes on while another process has the CPU, and that of the thread does not.
  const [long, tasks] = [await tab.eval("long"), await browser.longest(url)];
  check(
    "no task of the page's thread takes 50 ms",
    tasks.length > 100 && tasks[0] <= 50,
    `${tasks.length} tasks, the longest ${tasks.slice(0, 3).map((ms) => ms.toFixed(0)).join(", ")} ms of CPU; ${long.length} over 50 ms of the clock`,
  );
  await pictures(tab);
  check("no script failed", tab.faults.length === 0, tab.faults.join("; "));
  await tab.close();
  await loads(browser, url, checksum);
  await refuses(browser, url);
  await measures(browser, url);
} catch (fault) {
  console.log(`FAILED: ${fault.message}`);
  failed = true;
}
await browser.close();
server.close();
process.exit(failed ? 1 : 0);
