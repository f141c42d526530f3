"""report.py: the results of runs as tables in Markdown."""

import statistics

MIB = 1 << 20


def good(runs):
    return [run for run in runs if "failed" not in run]


def median(runs, key):
    """Of the runs that succeeded; none if a run failed."""
    return statistics.median(run[key] for run in runs) if runs and len(good(runs)) == len(runs) else None


def limit(cell):
    """Seconds below which a workload cannot come on this machine."""
    runs = good(cell.get("limit", []))
    return statistics.median(run["parts"]["limit"] for run in runs) if runs else None


def seconds(cell, way):
    return limit(cell) if way == "limit" else median(cell.get(way, []), "wall")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def ways(cells):
    return list(dict.fromkeys(way for cell in cells.values() for way in cell))


def times(cells):
    rows = []
    for way in ways(cells):
        row = [way]
        for cell in cells.values():
            runs, floor, wall = cell.get(way, []), limit(cell), seconds(cell, way)
            if wall is None:
                row.append(next((run["failed"].split(":")[0] for run in runs if "failed" in run), ""))
            else:
                row.append(f"{wall:.2f}" + (f" ({wall / floor:.1f}x)" if floor and way != "limit" else "") + (" n=1" if len(runs) == 1 else ""))
        rows.append(row)
    return table(["seconds (x limit)", *cells], rows)


def fastest(cell, peers):
    """The fastest of the peers, whatever memory it takes: name and seconds."""
    walls = {way: seconds(cell, way) for way in cell if way.partition("@")[0] in peers}
    walls = {way: wall for way, wall in walls.items() if wall is not None}
    return min(walls.items(), key=lambda item: item[1]) if walls else (None, None)


def verdict(cells, peers):
    """rezarr against the limit, the fastest peer and itself with less memory."""
    rows = []
    for name, cell in cells.items():
        floor, wall, (peer, other) = limit(cell), seconds(cell, "rezarr"), fastest(cell, peers)
        row = [name, f"{wall:.2f}" if wall else "", f"{wall / floor:.2f}" if wall and floor else "", f"{peer} {other:.2f}" if peer else ""]
        row.append(f"{other / wall:.2f}" if wall and peer else "")
        for way in ("rezarr-synced", "rezarr@1/4", "rezarr@1/16"):
            less = seconds(cell, way)
            row.append(f"{less:.2f}" + (f" ({less / wall:.2f}x)" if wall and way != "rezarr-synced" else "") if less else "")
        excess = [max(run["peak"] for run in good(runs)) - runs[0]["budget"] for way, runs in cell.items() if way.startswith("rezarr") and good(runs)]
        row.append(f"{max(excess) / MIB:+.0f}" if excess else "")
        rows.append(row)
    head = ["", "rezarr s", "x limit", "fastest peer s", "peer / rezarr", "until durable s", "with 1/4 s", "with 1/16 s", "peak RSS over budget MiB"]
    return table(head, rows)


def mean(cells, peers):
    """Of the compressed workloads whose chunks change their shape: one number for how much faster than the fastest peer."""
    chosen = [name for name in ("W1z", "W1s", "W2z", "W3z", "W4z") if name in cells]
    pairs = [(fastest(cells[name], peers)[1], seconds(cells[name], "rezarr")) for name in chosen]
    ratios = [peer / wall for peer, wall in pairs if peer and wall]
    if len(ratios) < 2 or len(ratios) < len(chosen):
        return ""
    return f"Geometric mean of fastest peer / rezarr over {', '.join(chosen)}: {statistics.geometric_mean(ratios):.2f}."


def memory(cells):
    def cell_text(runs):
        return f"{max(run['peak'] for run in runs) / MIB:.0f} ({max(run['anonymous'] for run in runs) / MIB:.0f})" if runs else ""

    rows = [[way, *(cell_text(good(cell.get(way, []))) for cell in cells.values())] for way in ways(cells) if way != "limit"]
    return table(["peak MiB, resident (anonymous)", *cells], rows)


def processor(cells):
    """Says more than the clock where other work was on the machine."""
    rows = []
    for way in ways(cells):
        row = [way]
        for cell in cells.values():
            floors = [run["parts"]["processor"] for run in good(cell.get("limit", []))]
            floor = statistics.median(floors) if floors else None
            cpu = floor if way == "limit" else median(cell.get(way, []), "cpu")
            row.append("" if cpu is None else f"{cpu:.1f}" + (f" ({cpu / floor:.1f}x)" if floor and way != "limit" else ""))
        rows.append(row)
    return table(["processor seconds (x limit)", *cells], rows)


def parts(cells):
    if not any(limit(cell) for cell in cells.values()):
        return ""
    steps = ["read", "decode", "scatter", "encode", "write"]
    rows = []
    for step in steps:
        values = [[run["parts"][step] for run in good(cell.get("limit", []))] for cell in cells.values()]
        rows.append([step, *(f"{statistics.median(value):.2f}" if value else "" for value in values)])
    return table(["alone, on one thread, s", *cells], rows)


def failures(cells):
    found = {(name, way): run["failed"] for name, cell in cells.items() for way, runs in cell.items() for run in runs if "failed" in run}
    return "\n".join(f"- {name}, {way}: {why}" for (name, way), why in found.items())


def markdown(results, peers):
    """All tables of one run of the comparison."""
    cells = results["cells"]
    out = [results["heading"], times(cells), parts(cells), verdict(cells, peers), mean(cells, peers), memory(cells), processor(cells), failures(cells)]
    return "\n\n".join(part for part in out if part) + "\n"
