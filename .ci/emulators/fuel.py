"""Prints the number of WebAssembly instructions that a call of `calls` in the module of tests/bits takes.

    fuel.py MODULE FORMAT HIDDEN ROWS CALLS

wasmtime counts each instruction as one unit of fuel, except `nop`, `drop`, `block` and `loop`.
"""
import sys
import wasmtime

config = wasmtime.Config()
config.consume_fuel = True
config.cache = True
engine = wasmtime.Engine(config)
store = wasmtime.Store(engine)
store.set_fuel(1 << 62)
module = wasmtime.Module.from_file(engine, sys.argv[1])
calls = wasmtime.Instance(store, module, []).exports(store)["calls"]
before = store.get_fuel()
if calls(store, *map(int, sys.argv[2:])):
    sys.exit("error: the call failed")
print("instructions", before - store.get_fuel(), file=sys.stderr)
