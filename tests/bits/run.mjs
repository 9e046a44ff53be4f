// Prints the report of a module: node run.mjs MODULE
import { readFileSync } from "node:fs";

const { exports } = (await WebAssembly.instantiate(readFileSync(process.argv[2]))).instance;
const length = exports.run();
if (length === 0) throw new Error("a pass was refused");
process.stdout.write(new TextDecoder().decode(new Uint8Array(exports.memory.buffer, exports.text(), length)));
