#!/usr/bin/env python3
"""Measures this machine, fits a model of the cost of an update to it, checks the model where it was not fitted, and says what it
expects of 8, 64 and 512 nodes.

    scaling.py PROGRAM CORPUS...            prints tables
    scaling.py --write PROGRAM CORPUS...    puts them into SCALING.md, too

The time of an update on R ranks, of B streams and P parameters:

    T(R) = s (t0 + t1 B / R)        compute: a part for each update, and one for each stream; s is what ranks on one core lose
         + X(R, 4 P)                exchange: the lesser of L (a + b n) and 2 L a + 2 (1 - 1/R) b n, for L = log2 R levels and n bytes
         + d sqrt(2 ln R)           stragglers: the last of R ranks whose times have this deviation

Nothing but the standard library is needed. The two hosts need root and iproute2; without them that check is left out.
"""
import concurrent.futures
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ENV = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMPI_MCA_rmaps_base_oversubscribe="1",
           OMPI_MCA_btl_vader_single_copy_mechanism="none", OMPI_MCA_mpi_yield_when_idle="1",
           # Each `mpirun` binds its first rank to the first core, also where two of them run at once.
           OMPI_MCA_hwloc_base_binding_policy="none")
CORES = len(os.sched_getaffinity(0))
STEPS, SHARDS = 64, 8


def fit(points):
    """Least squares of y = a + b x, of relative errors: (a, b), neither below 0."""
    w = [(1 / y ** 2, x, y) for x, y in points]
    s, sx, sy = (sum(wi * v for wi, v in zip((p[0] for p in w), of)) for of in
                 ([1] * len(w), [p[1] for p in w], [p[2] for p in w]))
    sxx = sum(wi * x * x for wi, x, _ in w)
    sxy = sum(wi * x * y for wi, x, y in w)
    b = (s * sxy - sx * sy) / (s * sxx - sx * sx)
    a = (sy - b * sx) / s
    return (a, b) if a >= 0 else (0.0, sxy / sxx)


def quick(of):
    """The first quartile of the times, because other programs only lengthen them."""
    return statistics.quantiles(of, n=4)[0]


def times(command, warm=4):
    """Seconds of each update, by when its line of progress comes; of each two exchanges, in the mean, because rank 0 finds what it waits
    for at every second one if the other rank is late; and the parameters."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=ENV)
    stamps, exchanged, parameters = [], [0.0], 0
    for line in process.stdout:
        words = line.split()
        if " parameters," in line:
            parameters = int(line.split(" parameters,")[0].split()[-1])
        elif line.startswith("update "):
            stamps.append(time.perf_counter())
            # A mean over all so far.
            exchanged.append(float(words[-1]) / 1e3 * len(stamps))
    if process.wait() != 0:
        sys.exit(process.stderr.read())
    pairs = [(b - a) / 2 for a, b in zip(exchanged[::2], exchanged[2::2])]
    return [b - a for a, b in zip(stamps, stamps[1:])][warm:], pairs[warm // 2:], parameters


def training(program, corpus, batch, updates, steps=STEPS):
    return [program, "--corpus", *corpus, "--batch", str(batch), "--steps", str(steps), "--shards", str(SHARDS),
            "--updates", str(updates), "--progress", "1"]


def mpirun(ranks):
    return ["mpirun", "-n", str(ranks)]


def two_hosts(*args):
    """The output of the program, or None if it cannot run here."""
    run = subprocess.run([HERE / "hosts", *args], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return run.stdout if run.returncode == 0 else None


def exchanges(run, program, corpus):
    """[(bytes, seconds)] of the exchanges of trainings that compute next to nothing, of models of several sizes."""
    found = []
    for hidden in (8, 32, 64, 128, 256, 384):
        _, pairs, parameters = times(run + training(program, corpus, 8, 40, 1) + ["--embedding", "8", "--layers", "1", "--hidden", str(hidden)])
        found.append((4 * parameters, quick(pairs)))
    return found


class Cost:
    """The model."""

    def __init__(self, t0, t1, deviation, a, b, parameters, together=1.0):
        self.t0, self.t1, self.deviation, self.a, self.b = t0, t1, deviation, a, b
        self.parameters, self.together = parameters, together

    def compute(self, ranks, batch):
        return self.together * (self.t0 + self.t1 * batch / ranks)

    def exchange(self, ranks):
        levels, n = math.log2(ranks), 4 * self.parameters
        direct = levels * (self.a + self.b * n)
        return direct if ranks <= 2 else min(direct, 2 * levels * self.a + 2 * (1 - 1 / ranks) * self.b * n)

    def stragglers(self, ranks, batch):
        # In proportion to the work.
        return self.deviation * self.compute(ranks, batch) * math.sqrt(2 * math.log(ranks))

    def update(self, ranks, batch):
        return self.compute(ranks, batch) + self.exchange(ranks) + self.stragglers(ranks, batch)

    def hidden(self, ranks, batch):
        """What of the exchange could go on beside the backward pass: no gradient is complete before the last step of its layer. Of two
        layers, all but the lower one's could be sent while that is computed, in about a third of the time."""
        return min(self.exchange(ranks) / 2, self.compute(ranks, batch) / 3)


def ms(seconds):
    return f"{seconds * 1e3:.2f}" if seconds < 0.1 else f"{seconds * 1e3:.0f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(x) for x in row) + " |" for row in rows])


def measure(program, corpus):
    found, batches = {}, [8, 16, 32, 64]
    points, deviations, parameters = [], [], 0
    for batch in batches:
        of, _, parameters = times(mpirun(1) + training(program, corpus, batch, 800 // batch + 10))
        points.append((batch, quick(of)))
        # Half the distance of the quartiles, as of a normal distribution.
        quartiles = statistics.quantiles(of, n=4)
        deviations.append((quartiles[2] - quartiles[0]) / 1.35 / statistics.median(of))
    found["compute"] = points
    found["deviation"] = statistics.median(deviations)
    found["parameters"] = parameters

    # Two independent trainings at the same time.
    command = mpirun(1) + training(program, corpus, 32, 30)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [pool.submit(times, command) for _ in range(2)]
    found["together"] = statistics.mean(quick(of.result()[0]) for of in both) / dict(points)[32]
    found["memory"] = exchanges(mpirun(2), program, corpus)
    found["ranks"] = {ranks: quick(times(mpirun(ranks) + training(program, corpus, 64, 24))[0]) for ranks in (1, 2)}
    found["links"] = []
    if two_hosts("up") is not None:
        for delay, rate in ((1, 500), (5, 100), (20, 50)):
            if two_hosts("slow", str(delay), str(rate)) is not None:
                run = [str(HERE / "hosts"), "run", "1"]
                of = exchanges(run, program, corpus)
                took = quick(times(run + training(program, corpus, 64, 16))[0])
                found["links"].append((delay, rate, of, took))
        two_hosts("down")
    return found


def report(found):
    parameters = found["parameters"]
    t0, t1 = fit(found["compute"])
    a, b = fit(found["memory"])
    here = Cost(t0, t1, found["deviation"], a, b, parameters)
    two = Cost(t0, t1, found["deviation"], a, b, parameters, max(found["together"], 1.0))
    out = []
    say = out.append
    say(f"Fitted: t0 = {ms(t0)} ms, t1 = {t1 * 1e3:.3f} ms for a stream of {STEPS} characters, {parameters} parameters; deviation {found['deviation'] * 100:.1f} %; "
        f"two trainings at once on this machine's {CORES} processors each take s = {found['together']:.2f} times as long as one alone. "
        f"Exchange in shared memory: a = {a * 1e6:.0f} us, 1 / b = {1 / b / 1e9:.2f} GB/s.\n")
    rows = [[batch, ms(took), ms(t0 + t1 * batch), f"{(t0 + t1 * batch) / took - 1:+.0%}"] for batch, took in found["compute"]]
    say("Compute, 1 rank:\n\n" + table(["streams", "measured, ms", "model, ms", "error"], rows) + "\n")
    rows = [[n // 4, f"{took * 1e6:.0f}", f"{(a + b * n) * 1e6:.0f}", f"{(a + b * n) / took - 1:+.0%}"] for n, took in found["memory"]]
    say("Exchange, 2 ranks, shared memory:\n\n" + table(["gradients", "measured, us", "model, us", "error"], rows) + "\n")

    rows = []
    one = found["ranks"][1] if 1 in found["ranks"] else found["ranks"]["1"]
    for ranks, cost in ((1, here), (2, two)):
        took = found["ranks"].get(ranks, found["ranks"].get(str(ranks)))
        model = cost.update(ranks, 64) if ranks > 1 else cost.compute(1, 64)
        rows.append([ranks, f"{1 / took:.1f}", f"{1 / model:.1f}", f"{one / took / ranks:.0%}", f"{here.compute(1, 64) / model / ranks:.0%}"])
    say(f"Updates per second, 64 streams, on {CORES} processors (not fitted to):\n\n"
        + table(["ranks", "measured", "model", "efficiency", "model's"], rows) + "\n")

    rows = []
    for delay, rate, of, took in found["links"]:
        la, lb = fit(of)
        link = Cost(t0, t1, found["deviation"], la, lb, parameters, two.together)
        # Computed from the settings of the link, without a fit.
        plain_a, plain_b = delay / 1e3, 8 / (rate * 1e6)
        plain = Cost(t0, t1, found["deviation"], plain_a, plain_b, parameters, two.together)
        rows.append([f"{delay} ms, {rate} Mbit/s", ms(la), f"{1 / lb / 1e6:.1f}", f"{1 / plain_b / 1e6:.1f}", ms(took), ms(link.update(2, 64)),
                     ms(plain.update(2, 64)), f"{plain.update(2, 64) / took - 1:+.0%}"])
    if rows:
        say("Two hosts and a slowed link, 64 streams. The last three columns: an update by a model with a and b fitted to exchanges on this link, and by one "
            "that takes the link's delay and rate as they were set:\n\n" + table(
                ["link", "a, ms", "1 / b, MB/s", "set", "measured, ms", "model, ms", "from the settings, ms", "error"], rows) + "\n")

    say(expectation(found, t0, t1))
    return "\n".join(out)


NETWORKS = [("1 Gbit/s Ethernet", 50e-6, 8 / 1e9), ("10 Gbit/s Ethernet", 30e-6, 8 / 10e9), ("100 Gbit/s InfiniBand", 3e-6, 8 / 100e9)]
# A node is as fast as NODE cores like the measured one, and its times have this relative deviation. The deviation
# of this machine comes from other programs, which do not run on the nodes of a cluster.
NODE, DEVIATION = 20, 0.02


def expectation(found, t0, t1):
    out = []
    for name, parameters in (("this model", found["parameters"]), ("a model of 30 million parameters", 30_000_000)):
        scale = parameters / found["parameters"] / NODE
        rows = []
        for network, a, b in NETWORKS:
            cost = Cost(t0 * scale, t1 * scale, DEVIATION, a, b, parameters)
            for nodes in (8, 64, 512, 1024):
                def efficiency(batch):
                    return cost.compute(1, batch) / nodes / cost.update(nodes, batch)
                strong, weak = 4096, 256 * nodes
                per_node = cost.compute(1, 256)
                # The least number of streams for each node that loses a fifth.
                need = next((2 ** k for k in range(0, 21) if
                             cost.compute(1, 2 ** k) / cost.update(nodes, 2 ** k * nodes) >= 0.8), None)
                gain = cost.hidden(nodes, weak) / cost.update(nodes, weak)
                rows.append([network, nodes, ms(cost.exchange(nodes)), f"{efficiency(strong):.0%}",
                             f"{per_node / cost.update(nodes, weak):.0%}", need or "-", f"{gain:.0%}"])
        out.append(f"Expected of {name}, with nodes of {NODE} such cores whose times deviate by {DEVIATION:.0%}:\n\n" + table(
            ["network", "nodes", "exchange, ms", f"efficiency, 4096 streams in all", "256 streams for each node",
             "streams for each node for 80 %", "saved beside the backward pass, at most"], rows) + "\n")
    return "\n".join(out)


def main():
    arguments = [x for x in sys.argv[1:] if x != "--write"]
    if len(arguments) < 2:
        sys.exit(__doc__)
    found = measure(arguments[0], arguments[1:])
    print(json.dumps(found))
    text = report(found)
    print(text)
    if "--write" in sys.argv:
        page = HERE / "SCALING.md"
        before, rest = page.read_text().split("<!-- measured -->\n")
        after = rest.split("<!-- end -->\n")[1]
        page.write_text(f"{before}<!-- measured -->\n{text}\n<!-- end -->\n{after}")


if __name__ == "__main__":
    main()
