"""From rounds to tables: medians, ratios, Markdown."""

from __future__ import annotations

import statistics

from series import Series

# No peer: what no server can do without.
FLOOR = "floor: no server, only the system calls"
KEYS = ("cpu_us", "per_second", "p50", "p99", "pss_mb")


def summary(results: dict) -> dict:
    """Medians over the rounds, and how far the rounds lie apart."""
    return {
        table: {column: {row: cell(rounds) for row, rounds in rows.items()} for column, rows in columns.items()}
        for table, columns in results.items()
    }


def cell(rounds: list[dict]) -> dict:
    """One cell; a row that cannot take part has a note instead of figures."""
    notes = [one["note"] for one in rounds if "note" in one]
    if notes:
        return {"note": notes[0]}
    good = [one for one in rounds if one["cpu_us"]]
    out: dict = {"failed": sum(one["failed"] for one in rounds)}
    for key in KEYS:
        values = [one[key] for one in good if one[key] is not None]
        out[key] = statistics.median(values) if values else None
        out[f"{key}_range"] = [min(values), max(values)] if values else None
    return out


def markdown(results: dict) -> str:
    """All tables of `summary`."""
    lines: list[str] = []
    for table, columns in results.items():
        for column, rows in columns.items():
            lines += [f"\n### {table}: {column}\n"]
            lines += tail_table(rows) if table == "tail" else cpu_table(rows)
    return "\n".join(lines) + "\n"


def cpu_table(rows: dict) -> list[str]:
    """The cheapest first, each divided by the best peer; then by the floor, where there is one."""
    sound = {row: cell["cpu_us"] for row, cell in rows.items() if not void(cell)}
    best = min((cpu for row, cpu in sound.items() if "propylon" not in row and row != FLOOR), default=None)
    lines = ["| | CPU us/request | lowest to highest | / best peer | req/s | p50 ms | p99 ms | PSS MB |", "|---|---|---|---|---|---|---|---|"]
    for row, cell in sorted(rows.items(), key=lambda item: item[1].get("cpu_us") or 1e9):
        if reason := void(cell):
            lines.append(f"| {row} | {reason} | | | | | | |")
            continue
        ratio = f"{cell['cpu_us'] / best:.2f}" if best else ""
        low, high = cell["cpu_us_range"]
        lines.append(
            f"| {row} | {cell['cpu_us']:.1f} | {low:.1f} to {high:.1f} | {ratio} | {cell['per_second']:.0f} "
            f"| {cell['p50'] or 0:.2f} | {cell['p99'] or 0:.2f} | {cell['pss_mb']:.0f} |"
        )
    return lines + above_floor(sound)


def above_floor(sound: dict[str, float]) -> list[str]:
    """What each row takes for what the floor takes."""
    if FLOOR not in sound:
        return []
    ratios = [f"{row} {cpu / sound[FLOOR]:.2f}" for row, cpu in sorted(sound.items(), key=lambda item: item[1]) if row != FLOOR]
    return ["", f"Divided by the floor: {', '.join(ratios)}."] if ratios else []


def tail_table(rows: dict) -> list[str]:
    """Latencies of the fast view with their spread over the rounds."""
    lines = ["| | p50 ms | lowest to highest | p99 ms | lowest to highest | req/s | CPU us/request |", "|---|---|---|---|---|---|---|"]
    for row, cell in rows.items():
        if reason := void(cell):
            lines.append(f"| {row} | {reason} | | | | | |")
            continue
        spread = {key: "{:.2f} to {:.2f}".format(*cell[f"{key}_range"]) for key in ("p50", "p99")}
        lines.append(
            f"| {row} | {cell['p50']:.2f} | {spread['p50']} | {cell['p99']:.2f} | {spread['p99']} "
            f"| {cell['per_second']:.0f} | {cell['cpu_us']:.1f} |"
        )
    return lines


def growth(all_series: list[Series]) -> str:
    """The tables of `growth`."""
    lines: list[str] = []
    for series in all_series:
        lines += [f"\n### {series.title}\n", *series.table()]
    return "\n".join(lines) + "\n" if lines else ""


def void(cell: dict) -> str | None:
    """Why a row has no figures, if it has none."""
    if "note" in cell:
        return cell["note"]
    return f"void: {cell['failed']} failed" if cell["failed"] or not cell["cpu_us"] else None
