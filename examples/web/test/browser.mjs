// Headless Chromium, driven by its DevTools protocol over two pipes: no package is needed.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".txt": "text/plain" };

/** Serves a folder, as any static server does. */
export function serve(folder) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://here").pathname;
    try {
      const file = readFileSync(join(folder, path === "/" ? "index.html" : path.replaceAll("..", "")));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html" }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Browser {
  constructor(command = "chromium") {
    this.data = mkdtempSync(join(tmpdir(), "recurrent-web-"));
    const flags = [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
      "--no-first-run", "--hide-scrollbars", "--remote-debugging-pipe", `--user-data-dir=${this.data}`, "about:blank",
    ];
    this.process = spawn(command, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.calls = new Map();
    this.listeners = [];
    this.last = 0;
    let rest = "";
    this.process.stdio[4].setEncoding("utf8").on("data", (data) => {
      const messages = (rest + data).split("\0");
      rest = messages.pop();
      messages.forEach((message) => this.hear(JSON.parse(message)));
    });
    this.ended = new Promise((resolve) => this.process.on("exit", resolve));
  }

  hear(message) {
    const call = this.calls.get(message.id);
    if (!call) {
      this.listeners.forEach((listener) => listener(message));
      return;
    }
    this.calls.delete(message.id);
    if (message.error) call.reject(new Error(`${call.method}: ${message.error.message}`));
    else call.resolve(message.result);
  }

  send(method, params = {}, sessionId) {
    this.last += 1;
    const id = this.last;
    this.process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.calls.set(id, { method, resolve, reject }));
  }

  /** A new page; `before` is run in it before its own scripts. */
  async open(url, { width = 1200, height = 900, scheme = "light", before = "" } = {}) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, targetId, sessionId);
    await tab.send("Page.enable");
    await tab.send("Runtime.enable");
    await tab.look(width, height, scheme);
    if (before) await tab.send("Page.addScriptToEvaluateOnNewDocument", { source: before });
    await tab.send("Page.navigate", { url });
    await tab.until("document.readyState === 'complete'");
    return tab;
  }

  /** Begins to record the durations of the tasks of all threads. */
  async trace() {
    this.events = [];
    this.listeners.push(({ method, params }) => {
      if (method === "Tracing.dataCollected") this.events.push(...params.value);
      if (method === "Tracing.tracingComplete") this.traced = true;
    });
    const includedCategories = ["toplevel", "devtools.timeline"];
    await this.send("Tracing.start", { traceConfig: { includedCategories }, transferMode: "ReportEvents" });
  }

  /** The longest CPU times that tasks of the main thread of pages of `url` took since then, in milliseconds. */
  async longest(url) {
    await this.send("Tracing.end");
    while (!this.traced) await sleep(20);
    const { events } = this;
    const pages = new Set(events.filter((e) => e.args?.beginData?.url?.startsWith(url)).map((e) => e.pid));
    const main = events.filter((e) => e.args?.name === "CrRendererMain" && pages.has(e.pid)).map((e) => `${e.pid} ${e.tid}`);
    const tasks = events.filter((e) => e.name.endsWith("RunTask") && main.includes(`${e.pid} ${e.tid}`) && e.tdur >= 0);
    return tasks.map((e) => e.tdur / 1000).sort((a, b) => b - a);
  }

  async close() {
    await this.send("Browser.close").catch(() => {});
    await this.ended;
    rmSync(this.data, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Tab {
  constructor(browser, targetId, sessionId) {
    Object.assign(this, { browser, targetId, sessionId, faults: [] });
    browser.listeners.push((message) => {
      if (message.sessionId !== sessionId) return;
      if (message.method === "Runtime.exceptionThrown") {
        const { exception, text } = message.params.exceptionDetails;
        this.faults.push(exception?.description ?? text);
      }
    });
  }

  send(method, params = {}) {
    return this.browser.send(method, params, this.sessionId);
  }

  /** A size and a colour scheme. */
  async look(width, height, scheme) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  async eval(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression, returnByValue: true, awaitPromise: true,
    });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression, seconds = 60) {
    const end = Date.now() + 1000 * seconds;
    while (!(await this.eval(expression).catch(() => false))) {
      if (Date.now() > end) throw new Error(`not after ${seconds} s: ${expression}`);
      await sleep(50);
    }
  }

  async key(key, code = key, windowsVirtualKeyCode = { Tab: 9, Enter: 13, ArrowRight: 39, ArrowDown: 40 }[key]) {
    const text = key === "Enter" ? "\r" : undefined;
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, windowsVirtualKeyCode, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, windowsVirtualKeyCode });
  }

  /** Moves the focus to an element with the tabulator key alone. */
  async tab(id) {
    for (let i = 0; i < 60; i += 1) {
      if (await this.eval(`document.activeElement?.id === ${JSON.stringify(id)}`)) return;
      await this.key("Tab");
    }
    throw new Error(`no way to #${id} by the keyboard`);
  }

  async files(selector, files) {
    const { root } = await this.send("DOM.getDocument");
    const { nodeId } = await this.send("DOM.querySelector", { nodeId: root.nodeId, selector });
    await this.send("DOM.setFileInputFiles", { nodeId, files });
  }

  /** A picture of the whole page. */
  async picture() {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    return Buffer.from(data, "base64");
  }

  async close() {
    await this.browser.send("Target.closeTarget", { targetId: this.targetId });
  }
}
