"""Writes tables and plots into docs/performance.md, between markers: what stands around them is written by hand."""

from __future__ import annotations

import pathlib
import re

from plots import Plot
from series import Series


def publish(docs: pathlib.Path, name: str, markdown: str) -> None:
    """Replaces what stands between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`."""
    page = docs / "performance.md"
    before = page.read_text()
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    after, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{markdown.strip()}\n\n{end}", before, flags=re.S)
    if count != 1:
        raise ValueError(f"{page} needs one pair of markers: {begin} {end}")
    page.write_text(after)


def growth(docs: pathlib.Path, series: Series) -> str:
    """A table with its plots, which are written into docs/plots."""
    (docs / "plots").mkdir(exist_ok=True)
    lines = [f"### {series.title}\n", *series.table(), ""]
    for key in series.plots:
        words = next(column.words for column in series.columns if column.key == key)
        drawn = {row: points for row in series.rounds if (points := series.points(row, key))}
        if drawn:
            plot = Plot(f"{series.title}: {words}", series.axis, words, drawn)
            name = f"{series.name}-{key.replace('_', '-')}.svg"
            (docs / "plots" / name).write_text(plot.svg())
            lines += [f"![{plot.title}](plots/{name})", ""]
    return "\n".join(lines)
