"""Makes tables and a bar chart from results.csv: results.md and results.svg beside it, and the figures of the README.

    python report.py results.csv                   writes results.md and results.svg; so for results-avx2.csv
    python report.py results.csv README            also rewrites the figures between the marks in README
    python report.py --check results.csv README    writes nothing; fails if one of these files is out of date

results-narrow.csv, made by narrow.py, has tables of its own: `python report.py [--check] results-narrow.csv` writes
results-narrow.md.
"""

import collections
import csv
import math
import pathlib
import sys

OURS = "recurrent"
COLOURS = {
    "onnxruntime": "#4477aa",
    "openvino": "#ee8866",
    "torch": "#ee6677",
    "tract": "#228833",
    "nexus": "#aa3377",
    "rtneural": "#999933",
    "candle": "#ccbb44",
    "burn": "#66ccee",
}
TITLES = {
    "infer": "Inference, from zero state to all outputs",
    "step": "Streaming, one step at a time",
    "train": "Training, forward and backward with all gradients",
}
CELLS = ["lstm", "gru", "rnn"]


def read(path):
    """Returns threads -> (what, cell) -> shape -> contestant -> row, and the first row."""
    tables = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(dict)))
    first = None
    for row in csv.DictReader(open(path, encoding="utf-8")):
        first = first or row
        if row["what"] == "step":
            shape = f"I{row['input']} H{row['hidden']}"
        else:
            shape = f"B{row['batch']} T{row['steps']} H{row['hidden']}"
        tables[int(row["threads"])][row["what"], row["cell"]][shape][row["contestant"]] = row
    return tables, first


def median(row):
    return float(row["median_us"])


def number(us):
    if us >= 100:
        return f"{us:,.0f}"
    return f"{us:.1f}" if us >= 10 else f"{us:.3f}" if us < 1 else f"{us:.2f}"


def fastest(rows):
    """(name, time) of the fastest peer, or None."""
    peers = [(median(row), name) for name, row in rows.items() if name != OURS]
    return min(peers)[::-1] if peers else None


def on_all_threads(table, threads):
    """Whether this crate used all the threads. It did not in measurements made before it had threads."""
    return threads == 1 or any(
        f"on {threads} threads" in rows[OURS]["versions"]
        for shapes in table.values()
        for rows in shapes.values()
        if OURS in rows
    )


def markdown(tables, about):
    lines = [
        f"{about['cpu']} ({about['isa']}), commit {about['commit']}. Median microseconds per call. "
        "**Ratio**: the time of the fastest peer divided by the time of this crate. Above 1, this crate is faster. "
        "**Limit**: the shortest possible time on this core divided by the shortest time of this crate. The shortest possible "
        "time is the larger of two: multiply-adds divided by the peak rate of the core, and bytes of weights divided by the "
        "bandwidth of the cache that holds them.",
    ]
    for threads, table in tables.items():
        for what, title in TITLES.items():
            cells = [cell for cell in CELLS if (what, cell) in table]
            if not cells:
                continue
            present = {name for cell in cells for rows in table[what, cell].values() for name in rows}
            names = [OURS, *(name for name in COLOURS if name in present)]
            count = "one thread" if threads == 1 else f"{threads} threads"
            if not on_all_threads(table, threads):
                count += " for the others, this crate on one"
            lines += ["", f"### {title}: {count}", ""]
            lines += ["| | " + " | ".join(names) + " | ratio | limit |", "|---" + "|--:" * (len(names) + 2) + "|"]
            for cell in cells:
                for shape, rows in table[what, cell].items():
                    best, ours = fastest(rows), rows.get(OURS)
                    ratio = f"**{best[1] / median(ours):.2f}**" if best and ours else "-"
                    limit = f"{float(ours['floor_us']) / float(ours['min_us']):.0%}" if ours else "-"
                    values = " | ".join(number(median(rows[name])) if name in rows else "-" for name in names)
                    lines.append(f"| {cell} {shape} | {values} | {ratio} | {limit} |")
    return "\n".join(lines) + "\n"


def svg(table, about):
    low, high = 0.5, 128.0
    width, left, bar, gap, top = 240, 150, 6, 8, 86
    names = list(COLOURS)

    def x(ratio):
        ratio = min(max(ratio, low), high)
        return width * math.log(ratio / low) / math.log(high / low)

    bold = 'font-size="13" font-weight="bold"'
    out, height = [], 0
    for column, cell in enumerate(CELLS):
        x0, y = left + column * (width + left), top
        out.append(f'<text x="{x0 + width / 2}" y="{top - 12}" text-anchor="middle" {bold}>{cell.upper()}</text>')
        for what in TITLES:
            for shape, rows in table.get((what, cell), {}).items():
                times = {name: median(row) for name, row in rows.items()}
                peers = [name for name in names if name in times]
                if OURS not in times or not peers:
                    continue
                start_of_row, middle = y, y + len(peers) * bar / 2 + 3
                out.append(f'<text x="{x0 - 6}" y="{middle}" text-anchor="end">{what} {shape}</text>')
                for name in peers:
                    ratio = times[name] / times[OURS]
                    start, end = sorted((x(1.0), x(ratio)))
                    out.append(
                        f'<rect x="{x0 + start:.1f}" y="{y}" width="{max(end - start, 0.5):.1f}" height="{bar - 1}" '
                        f'fill="{COLOURS[name]}"><title>{name}: {ratio:.2f}</title></rect>'
                    )
                    y += bar
                y = max(y, start_of_row + 10) + gap
        for ratio in (0.5, 1, 2, 4, 8, 16, 32, 64, 128):
            colour = "#222" if ratio == 1 else "#ddd"
            at = f"{x0 + x(ratio):.1f}"
            out.append(f'<line x1="{at}" x2="{at}" y1="{top - 4}" y2="{y}" stroke="{colour}"/>')
            out.append(f'<text x="{at}" y="{y + 12}" text-anchor="middle">{ratio:g}</text>')
        height = max(height, y + 24)
    legend = "".join(
        f'<rect x="{left + i * 110}" y="46" width="10" height="10" fill="{colour}"/>'
        f'<text x="{left + 14 + i * 110}" y="55">{name}</text>'
        for i, (name, colour) in enumerate(COLOURS.items())
    )
    total = len(CELLS) * (width + left) + 20
    title = f"Time per call divided by the time of recurrent. Right of 1: slower than recurrent. One thread of {about['cpu']}"
    letters = "Cases: B rows (sequences), T steps, H units, I inputs (as many as units if not given). Logarithmic scale."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}">'
        f'<rect width="{total}" height="{height}" fill="#fff"/>'
        '<g font-family="sans-serif" font-size="10" fill="#222">'
        f'<text x="10" y="18" {bold}>{title}</text><text x="10" y="34">{letters}</text>{legend}'
        + "\n".join(out)
        + "</g></svg>\n"
    )


START, END = "<!-- made by benches/peers/report.py -->", "<!-- end -->"
# The rows of the table.
SHOWN = [
    ("step", "I1 H8", "step, 1 input, 8 units"),
    ("step", "I1 H32", "step, 1 input, 32 units"),
    ("step", "I32 H32", "step, 32 inputs, 32 units"),
    ("infer", "B1 T1 H32", "call of one step, 32 units"),
    ("infer", "B1 T1 H128", "call of one step, 128 units"),
    ("infer", "B1 T100 H32", "100 steps, 32 units"),
    ("infer", "B1 T100 H128", "100 steps, 128 units"),
    ("infer", "B1 T100 H512", "100 steps, 512 units"),
    ("infer", "B32 T100 H128", "32 rows, 100 steps, 128 units"),
    ("infer", "B32 T100 H512", "32 rows, 100 steps, 512 units"),
    ("train", "B32 T100 H128", "train 32 rows, 100 steps, 128 units"),
    ("train", "B32 T100 H512", "train 32 rows, 100 steps, 512 units"),
]
BARS = [
    ("step", "I1 H16", "streaming: one step of 16 units, 1 input"),
    ("infer", "B1 T1 H32", "a sequence of one step, 32 units, 32 inputs"),
    ("infer", "B1 T100 H128", "a sequence of 100 steps, 128 units, 128 inputs"),
    ("train", "B32 T100 H128", "forward and backward: 32 sequences of 100 steps, 128 units, 128 inputs"),
]
# A peer whose time differs from ours by less than this factor counts as level.
LEVEL = 1.05


def bars(table, cell, about):
    """A bar chart made of text."""
    width, peers = 44, 4
    lines = [f"Median time per call in microseconds: a shorter bar is better. One thread of {about['cpu']}."]
    for what, shape, title in BARS:
        rows = table[what, cell][shape]
        lines += ["", f"{cell.upper()}, {title}"]
        times = sorted((median(row), name) for name, row in rows.items())[: peers + 1]
        for time, name in times:
            eighths = max(1, round(8 * width * time / times[-1][0]))
            bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
            lines.append(f"  {name:<12} {bar} {number(time)}")
    return ["```text", *lines, "```"]


def ratios(table):
    """For each case: our time, then how many times slower the fastest peer is, and which one."""
    lines = ["| | " + " | ".join(cell.upper() for cell in CELLS) + " |", "|---" * (len(CELLS) + 1) + "|"]
    for what, shape, title in SHOWN:
        cells = []
        for cell in CELLS:
            rows = table.get((what, cell), {}).get(shape)
            if not rows:
                cells.append("")
                continue
            name, time = fastest(rows)
            ours = median(rows[OURS])
            cells.append(f"{number(ours)} µs, **{time / ours:.2f}** {name}")
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def summary(table, threads, about):
    """How often this crate is ahead of the fastest peer, level with it, or behind it."""
    cases = [rows for shapes in table.values() for rows in shapes.values() if OURS in rows and fastest(rows)]
    ratio = [fastest(rows)[1] / median(rows[OURS]) for rows in cases]
    ahead = sum(r >= LEVEL for r in ratio)
    behind = sum(r <= 1 / LEVEL for r in ratio)
    count = "One thread" if threads == 1 else f"{threads} threads"
    return (
        f"{count} of {about['cpu']} ({about['isa']}). Compared with the fastest peer, this crate is ahead in {ahead} of "
        f"{len(cases)} cases, level (within {100 * (LEVEL - 1):.0f} %) in {len(cases) - ahead - behind}, and behind in {behind}."
    )


def readme(text, tables, about):
    """The text with new figures between its marks: first the bars, then the tables."""
    measured = []
    for threads, table in tables.items():
        measured += [""] if measured else []
        if on_all_threads(table, threads):
            measured += [summary(table, threads, about), "", *ratios(table)]
        else:
            measured += [
                f"With {threads} threads only the peers were measured so far, not this crate: the last tables of "
                "`benches/peers/results.md` compare them with one thread of this crate."
            ]
    parts = [bars(tables[1], "lstm", about), measured]
    present = {name for shapes in tables[1].values() for rows in shapes.values() for name in rows}
    missing = [name for name in COLOURS if name not in present]
    if missing:
        measured += ["", f"Not in this measurement: {', '.join(missing)}."]
    first, *rest = text.split(START)
    assert len(rest) == len(parts), f"{len(parts)} pairs of marks are needed"
    for i, part in enumerate(parts):
        rest[i] = "\n" + "\n".join(["", *part, ""]) + "\n" + END + rest[i].split(END, 1)[1]
    return START.join([first, *rest])


def narrow(path):
    """The tables of narrow weights."""
    rows = list(csv.DictReader(open(path, encoding="utf-8")))
    about = rows[0]
    versions = sorted({row["versions"] for row in rows} - {OURS})
    lines = [
        f"{about['cpu']} ({about['isa']}), commit {about['commit']}, {', '.join(versions)}. Median microseconds per call; in "
        "brackets the largest error and the root mean square error of the outputs, against f32. **f32 / a8**: the time of "
        "this crate's f32 divided by that of int8 with 8-bit activations. **Peer / a8**, **peer / a16**: the time of the "
        "fastest peer in int8 divided by that of this crate with 8-bit and with 16-bit activations. The last column is the "
        "cost of a call from Python, which the times of the peers contain.",
    ]
    for cell in dict.fromkeys(row["cell"] for row in rows):
        table = collections.defaultdict(dict)
        for row in rows:
            if row["cell"] == cell:
                shape = f"B{row['batch']} T{row['steps']} H{row['hidden']}"
                table[shape][row["contestant"], row["format"]] = row
        names = list(dict.fromkeys(name for of in table.values() for name in of))
        call = names.pop(names.index(("python", "call")))
        titles = [format if name == OURS else f"{name} {format}" for name, format in names]
        titles += ["f32 / a8", "peer / a8", "peer / a16", "call"]
        lines += ["", f"### {cell.upper()}", "", "| | " + " | ".join(titles) + " |", "|---" + "|--:" * len(titles) + "|"]
        for shape, of in table.items():
            values = []
            for name in names:
                row = of.get(name)
                if not row:
                    values.append("-")
                    continue
                errors = f" ({float(row['largest']):.0e}, {float(row['root_mean_square']):.0e})"
                values.append(number(median(row)) + ("" if name == (OURS, "f32") else errors.replace("e-0", "e-")))
            a16, a8 = (median(of[OURS, format]) for format in ("int8", "int8-a8"))
            peer = min(median(row) for (name, format), row in of.items() if format == "int8" and name != OURS)
            values += [f"{median(of[OURS, 'f32']) / a8:.2f}", f"**{peer / a8:.2f}**", f"**{peer / a16:.2f}**"]
            lines.append(f"| {shape} | " + " | ".join([*values, number(median(of[call]))]) + " |")
    return "\n".join(lines) + "\n"


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    path, *targets = [pathlib.Path(argument) for argument in arguments if argument != "--check"]
    if path.stem == "results-narrow":
        made = {path.with_suffix(".md"): narrow(path)}
    else:
        tables, about = read(path)
        made = {path.with_suffix(".md"): markdown(tables, about), path.with_suffix(".svg"): svg(tables[1], about)}
        for target in targets:
            made[target] = readme(target.read_text(encoding="utf-8"), tables, about)
    for file, text in made.items():
        if not check:
            file.write_text(text, encoding="utf-8")
        elif file.read_text(encoding="utf-8") != text:
            sys.exit(f"{file} is out of date: run report.py on {path}")
    if not check:
        print(made[path.with_suffix(".md")])


main()
