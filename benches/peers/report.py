"""Makes tables and a bar chart from results.csv: results.md and results.svg beside it, and the figures of the README.

    python report.py results.csv            beside the file
    python report.py results.csv README     and between the marks of this file
    python report.py --check results.csv README    only says whether all of them are up to date
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
    """threads -> (what, cell) -> shape -> contestant -> its row, and the first row."""
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


def markdown(tables, about):
    lines = [
        f"{about['cpu']} ({about['isa']}), commit {about['commit']}. Median microseconds per call. "
        "**Ratio**: the fastest peer's time over this crate's; above 1, this crate is faster. "
        "**Limit**: how much of what the core allows this crate reaches in its best turn, the floor being the larger of "
        "multiply-adds over the core's peak and bytes of weights over the bandwidth of the cache that holds them.",
    ]
    for threads, table in tables.items():
        for what, title in TITLES.items():
            cells = [cell for cell in CELLS if (what, cell) in table]
            if not cells:
                continue
            present = {name for cell in cells for rows in table[what, cell].values() for name in rows}
            names = [OURS, *(name for name in COLOURS if name in present)]
            count = "one thread" if threads == 1 else f"{threads} threads"
            # Results from before this crate had threads are labelled as one thread.
            if threads > 1 and not any(
                f"on {threads} threads" in rows[OURS]["versions"]
                for cell in cells
                for rows in table[what, cell].values()
                if OURS in rows
            ):
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
    width, left, bar, gap, top = 240, 150, 6, 8, 70
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
        f'<rect x="{left + i * 110}" y="30" width="10" height="10" fill="{colour}"/>'
        f'<text x="{left + 14 + i * 110}" y="39">{name}</text>'
        for i, (name, colour) in enumerate(COLOURS.items())
    )
    total = len(CELLS) * (width + left) + 20
    title = f"Time per call relative to this crate (right of 1: slower than it), one thread of {about['cpu']}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}">'
        f'<rect width="{total}" height="{height}" fill="#fff"/>'
        '<g font-family="sans-serif" font-size="10" fill="#222">'
        f'<text x="10" y="18" {bold}>{title}</text>{legend}'
        + "\n".join(out)
        + "</g></svg>\n"
    )


START, END = "<!-- made by benches/peers/report.py -->", "<!-- end -->"
# All cells of each of these cases.
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
    ("step", "I1 H16", "one step of 16 units over one input, streaming"),
    ("infer", "B1 T1 H32", "a call of one step of 32 units"),
    ("infer", "B1 T100 H128", "100 steps of 128 units"),
    ("train", "B32 T100 H128", "training, 32 rows, 100 steps, 128 units"),
]


def bars(table, cell):
    """Times as bars of text, which every page can show."""
    width, peers = 44, 4
    lines = []
    for what, shape, title in BARS:
        rows = table[what, cell][shape]
        lines += [*([""] if lines else []), f"{cell.upper()}, {title}, microseconds"]
        times = sorted((median(row), name) for name, row in rows.items())[: peers + 1]
        for time, name in times:
            eighths = max(1, round(8 * width * time / times[-1][0]))
            bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
            lines.append(f"  {name:<12} {bar} {number(time)}")
    return ["```text", *lines, "```"]


def ratios(table):
    """Time of this crate, and how many times as long the fastest peer takes."""
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
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def readme(text, table, about):
    """The text with what is between its marks made anew: first the bars, then the table."""
    cases = [rows for (_, cell), shapes in table.items() for rows in shapes.values() if fastest(rows)]
    ahead = sum(fastest(rows)[1] > median(rows[OURS]) for rows in cases)
    said = f"One thread of {about['cpu']} ({about['isa']}); ahead of the fastest peer in {ahead} of {len(cases)} cases."
    parts = [bars(table, "lstm"), [said, "", *ratios(table)]]
    first, *rest = text.split(START)
    assert len(rest) == len(parts), f"{len(parts)} pairs of marks are needed"
    for i, part in enumerate(parts):
        rest[i] = "\n" + "\n".join(["", *part, ""]) + "\n" + END + rest[i].split(END, 1)[1]
    return START.join([first, *rest])


def main():
    arguments = sys.argv[1:]
    check = "--check" in arguments
    path, *targets = [pathlib.Path(argument) for argument in arguments if argument != "--check"]
    tables, about = read(path)
    made = {path.with_suffix(".md"): markdown(tables, about), path.with_suffix(".svg"): svg(tables[1], about)}
    for target in targets:
        made[target] = readme(target.read_text(encoding="utf-8"), tables[1], about)
    for file, text in made.items():
        if not check:
            file.write_text(text, encoding="utf-8")
        elif file.read_text(encoding="utf-8") != text:
            sys.exit(f"{file} is not what report.py makes of {path}")
    if not check:
        print(made[path.with_suffix(".md")])


main()
