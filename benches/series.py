"""A figure that grows with something: its rounds, its table."""

from __future__ import annotations

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Column:
    """One figure of a series: its key in a cell, its words, its digits after the point."""

    key: str
    words: str
    digits: int


@dataclasses.dataclass
class Series:
    """One thing that grows; `rounds` are cells by row and size."""

    name: str
    title: str
    axis: str
    columns: list[Column]
    plots: list[str]
    rounds: dict[str, dict[int, list[dict]]] = dataclasses.field(default_factory=dict)

    def add(self, row: str, size: int, cell: dict) -> None:
        """One round's cell."""
        self.rounds.setdefault(row, {}).setdefault(size, []).append(cell)
        shown = ", ".join(f"{cell[it.key]:.{it.digits}f} {it.words}" for it in self.columns if cell.get(it.key) is not None)
        print(f"growth: {self.name}: {row}: {label(size)}: {shown}, failed {cell['failed']}", flush=True)

    def value(self, row: str, size: int, key: str) -> float | None:
        """The median of the rounds; `None` if there is none or a request failed."""
        cells = self.rounds.get(row, {}).get(size, [])
        values = [cell[key] for cell in cells if cell.get(key) is not None]
        return None if not values or any(cell["failed"] for cell in cells) else statistics.median(values)

    def sizes(self) -> list[int]:
        """All sizes, in order."""
        return sorted({size for cells in self.rounds.values() for size in cells})

    def table(self) -> list[str]:
        """One line for each row and size."""
        lines = [f"| {self.axis} | | {' | '.join(it.words for it in self.columns)} |", "|---|---|" + "---|" * len(self.columns)]
        for size in self.sizes():
            for row in self.rounds:
                if size not in self.rounds[row]:
                    continue
                failed = sum(cell["failed"] for cell in self.rounds[row][size])
                figures = ["void: " + str(failed) + " failed"] if failed else [self.figure(row, size, it) for it in self.columns]
                figures += [""] * (len(self.columns) - len(figures))
                lines.append(f"| {label(size)} | {row} | {' | '.join(figures)} |")
        return lines

    def figure(self, row: str, size: int, column: Column) -> str:
        """One figure as it stands in the table."""
        value = self.value(row, size, column.key)
        return "" if value is None else f"{value:.{column.digits}f}"

    def points(self, row: str, key: str) -> list[tuple[int, float]]:
        """What a plot shows of a row."""
        found = [(size, self.value(row, size, key)) for size in self.sizes()]
        return [(size, value) for size, value in found if value is not None]

    def as_json(self) -> dict:
        """Medians, for machines."""
        keys = [it.key for it in self.columns]
        rows = {row: {size: {key: self.value(row, size, key) for key in keys} for size in cells} for row, cells in self.rounds.items()}
        return {"title": self.title, "axis": self.axis, "rows": rows}


def label(size: int) -> str:
    """A size with its thousands apart."""
    return f"{size:,}"
