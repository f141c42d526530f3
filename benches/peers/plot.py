#!/usr/bin/env python3
"""plot.py [RESULTS.json [PLOT.svg]]: time against peak memory, a dot for each tool, a panel for each workload.

Both axes are logarithmic: left is less memory, below is less time. The dashed line is the budget that the bounded tools were given.
"""

import json
import math
import pathlib
import sys

import report
import tools
import workloads

MIB = 1 << 20
COLUMNS = 4
WIDTH, HEIGHT = 250, 190
LEFT, TOP, RIGHT, BOTTOM = 34, 24, 14, 26
LEGEND = 72
COLOURS = {
    "rezarr": "#d62728",
    "ideal-ram": "#000000",
    "zarrs-blocks": "#ff7f0e",
    "zarrs_reencode": "#8c564b",
    "zarrs_reencode-cache": "#c49c94",
    "zarrs_reencode-bigcache": "#e377c2",
    "ts-blocks": "#1f77b4",
    "ts-whole": "#aec7e8",
    "zarr-blocks": "#2ca02c",
    "zarr-whole": "#98df8a",
    "dask-tasks": "#9467bd",
    "rechunker": "#bcbd22",
}
SCALES = {"memory": [4, 16, 64, 256, 1024, 4096, 16384], "time": [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256]}


def text(x, y, content, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{content}</text>'


class Scale:
    """Numbers on a logarithmic axis, between the marks that enclose them all."""

    def __init__(self, values, marks, start, end):
        low, high = max([m for m in marks if m <= min(values)], default=marks[0]), min([m for m in marks if m >= max(values)], default=marks[-1])
        self.marks = [mark for mark in marks if low <= mark <= high]
        self.start, self.end = start, end

    def __call__(self, value):
        low, high = math.log(self.marks[0]), math.log(self.marks[-1])
        return self.start + (self.end - self.start) * (math.log(value) - low) / (high - low)


def dots(cell):
    """(way, MiB, times the limit) of all that can be drawn; of rezarr with smaller budgets, too."""
    floor, out = report.limit(cell), []
    for way, runs in cell.items():
        wall = report.seconds(cell, way)
        if way.partition("@")[0] in COLOURS and wall is not None and floor:
            out.append((way, max(run["peak"] for run in runs) / MIB, wall / floor))
    return out


def panel(name, cell, scales, at):
    x0, y0 = at
    memory, time = scales
    out = [f'<g transform="translate({x0},{y0})">', text(LEFT, 14, f'<tspan font-weight="bold">{name}</tspan> {workloads.WORKLOADS[name].what}', "start")]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    for mark in memory.marks:
        x = memory(mark)
        out.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#ddd"/>' + text(x, bottom + 11, f"{mark}"))
    for mark in time.marks:
        y = time(mark)
        out.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{"#999" if mark == 1 else "#ddd"}"/>' + text(LEFT - 3, y + 3, f"{mark}x", "end"))
    given = [runs[0]["budget"] for way, runs in cell.items() if "@" not in way and "budget" in runs[0]]
    if given:
        budget = memory(given[0] / MIB)
        out.append(f'<path d="M{budget:.1f} {TOP}V{bottom}" stroke="#777" stroke-dasharray="3 3"/>')
    # Ours last, so that nothing covers it.
    for way, mib, slower in sorted(dots(cell), key=lambda dot: dot[0].startswith("rezarr")):
        tool, _, fraction = way.partition("@")
        size = 3.2 if fraction or tool != "rezarr" else 5
        title = f"{way}: {mib:.0f} MiB, {slower:.2f} x limit"
        out.append(f'<circle cx="{memory(mib):.1f}" cy="{time(slower):.1f}" r="{size}" fill="{COLOURS[tool]}" stroke="#fff" stroke-width=".6"><title>{title}</title></circle>')
    return "\n".join([*out, "</g>"])


def legend(shown, heading, y):
    out = []
    for place, tool in enumerate(shown):
        x = 20 + (place % 6) * (COLUMNS * WIDTH - 20) / 6
        row = y + 16 * (place // 6)
        out.append(f'<circle cx="{x:.1f}" cy="{row - 3}" r="{5 if tool == "rezarr" else 3.2}" fill="{COLOURS[tool]}"/>' + text(x + 8, row, tool, "start"))
    note = "Time in multiples of the limit against peak resident memory in MiB; both logarithmic. Dashed: the budget. Small red dots: rezarr with a quarter and a sixteenth of it."
    return "\n".join([*out, text(20, y + 36, note, "start"), text(20, y + 50, heading, "start", ' fill="#777"')])


def drawing(cells, heading):
    every = [dot for cell in cells.values() for dot in dots(cell)]
    if not every:
        raise SystemExit("nothing to draw: the results have no workload with the limit and a tool")
    memory = Scale([mib for _, mib, _ in every], SCALES["memory"], LEFT, WIDTH - RIGHT)
    time = Scale([1, *(slower for _, _, slower in every)], SCALES["time"], HEIGHT - BOTTOM, TOP)
    drawn = [name for name, cell in cells.items() if dots(cell)]
    panels = [panel(name, cells[name], (memory, time), (WIDTH * (at % COLUMNS), HEIGHT * (at // COLUMNS))) for at, name in enumerate(drawn)]
    height = HEIGHT * math.ceil(len(drawn) / COLUMNS)
    present = {way.partition("@")[0] for way, _, _ in every}
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * COLUMNS} {height + LEGEND}" font-family="sans-serif" font-size="9">'
    background = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, background, *panels, legend([tool for tool in COLOURS if tool in present], heading, height + 16), "</svg>\n"])


def write(results, plot):
    found = json.loads(pathlib.Path(results).read_text(encoding="utf-8"))
    pathlib.Path(plot).write_text(drawing(found["cells"], found["heading"]), encoding="utf-8")


if __name__ == "__main__":
    defaults = [tools.PEERS / "results/results.json", tools.ROOT / "benches/peers.svg"]
    given = sys.argv[1:]
    write(*given, *defaults[len(given) :])
