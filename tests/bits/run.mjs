// Prints what the native program prints, from a module: node run.mjs MODULE CELL... -- SIZE...
import { readFileSync } from "node:fs";

const [path, ...rest] = process.argv.slice(2);
const cut = rest.indexOf("--");
const [cells, sizes] = [rest.slice(0, cut), rest.slice(cut + 1)];
const { exports } = (await WebAssembly.instantiate(readFileSync(path))).instance;
const name = (set) => {
  let text = "";
  for (let at = 0, byte; (byte = exports.name(set, at)) !== 0; at++) text += String.fromCharCode(byte);
  return text;
};
for (const [cell, cellName] of cells.entries())
  for (const [size, sizeName] of sizes.entries())
    for (let set = 0; set < exports.sets(); set++) {
      const sum = BigInt.asUintN(64, exports.sum(set, cell, size)).toString(16).padStart(16, "0");
      console.log(`${cellName} ${sizeName} ${exports.fused(set) ? "fused" : "separate"} ${sum} ${name(set)}`);
    }
