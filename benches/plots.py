"""Plots as SVG: lines over a logarithmic axis, legible on light and dark pages."""

from __future__ import annotations

import dataclasses
import html
import math

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 180, 44, 52
# Told apart by everybody, and by their marks, too; ours is always the first.
COLOURS = ("#d1495b", "#2e86ab", "#e08e0b", "#5f8f3f", "#8a5fb0")
MARKS = ("circle", "square", "diamond", "up", "down")
STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #8884; stroke-width: 1 }
  .axis { stroke: #888; stroke-width: 1 }
  .back { fill: #fff }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .back { fill: #161b22 } }
"""


@dataclasses.dataclass(frozen=True)
class Plot:
    """What a plot shows: a title, the words of both axes, the points of each line by its name."""

    title: str
    across: str
    up: str
    lines: dict[str, list[tuple[float, float]]]

    def svg(self) -> str:
        """The picture; the upper axis begins at 0 unless the values differ twentyfold."""
        x = Axis.logarithmic([place for line in self.lines.values() for place, _ in line], LEFT, WIDTH - RIGHT)
        y = Axis.fitting([value for line in self.lines.values() for _, value in line], HEIGHT - BOTTOM, TOP)
        parts = [head(self.title), *self.grid(x, y)]
        for number, (name, line) in enumerate(self.lines.items()):
            parts += drawn(number, name, [(x.at(across), y.at(up)) for across, up in line])
        return "\n".join([*parts, "</svg>"]) + "\n"

    def grid(self, x: Axis, y: Axis) -> list[str]:
        """Lines and labels of both axes."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = [f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}"/>']
        for value in y.ticks:
            at = y.at(value)
            parts.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
            parts.append(text(LEFT - 8, at + 4, short(value), "end"))
        for value in x.ticks:
            at = x.at(value)
            parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}"/>')
            parts.append(text(at, bottom + 18, short(value), "middle"))
        parts.append(text((LEFT + right) / 2, HEIGHT - 12, self.across, "middle"))
        middle = (TOP + bottom) / 2
        turned = f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">{html.escape(self.up)}</text>'
        return [*parts, turned]


@dataclasses.dataclass(frozen=True)
class Axis:
    """From values to places."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool
    ticks: list[float]

    @staticmethod
    def logarithmic(values: list[float], start: float, end: float) -> Axis:
        """Whole decades, a tick at each."""
        first, last = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
        last = max(last, first + 1)
        return Axis(first, last, start, end, True, [10.0**power for power in range(first, last + 1)])

    @staticmethod
    def fitting(values: list[float], start: float, end: float) -> Axis:
        """From 0 to a round number, or decades if the values differ twentyfold."""
        if min(values) > 0 and max(values) / min(values) > 20:
            return Axis.logarithmic(values, start, end)
        step = round_step(max(max(values), 1e-9) / 5)
        count = max(1, math.ceil(max(values) / step))
        return Axis(0, count * step, start, end, False, [number * step for number in range(count + 1)])

    def at(self, value: float) -> float:
        """The place of a value."""
        value = math.log10(value) if self.is_logarithmic else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not less than that."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def drawn(number: int, name: str, places: list[tuple[float, float]]) -> list[str]:
    """One line, its marks, and its entry in the legend."""
    colour, shape = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    across, up = WIDTH - RIGHT + 22, TOP + 10 + number * 22
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(mark(shape, colour, x, y) for x, y in places),
        mark(shape, colour, across, up),
        text(across + 12, up + 4, name, "start"),
    ]


def mark(shape: str, colour: str, x: float, y: float) -> str:
    """One point."""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    corners = {"square": "-4,-4 4,-4 4,4 -4,4", "diamond": "0,-5 5,0 0,5 -5,0", "up": "0,-5 5,4 -5,4", "down": "0,5 5,-4 -5,-4"}
    return f'<polygon points="{corners[shape]}" transform="translate({x:.1f} {y:.1f})" fill="{colour}"/>'


def head(title: str) -> str:
    """The beginning of a picture."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n"
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>\n<text class="title" x="{LEFT}" y="26">{html.escape(title)}</text>'
    )


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Some words."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def short(value: float) -> str:
    """A number as a label: 20, 0.5, 10k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
