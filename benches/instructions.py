"""The part `instructions`: what single steps cost, counted by callgrind: the same on a busy machine as on a quiet one."""

from __future__ import annotations

import json
import os
import re
import subprocess

import stacks
from run import Run

BASELINE = stacks.HERE / "instructions.json"
COUNTS = (200, 5200)
# Below this it is the allocator's or a hash seed's luck.
NOTABLE = 0.02


def instructions(run: Run) -> None:
    """Every case of benches/instructions, per repetition."""
    binary = os.environ.get("PROPYLON_INSTRUCTIONS_BINARY") or str(stacks.RELEASE / "instructions")
    names = subprocess.run([binary], capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        first, second = (counted(binary, name, count) for count in COUNTS)
        run.instructions[name] = (second - first) / (COUNTS[1] - COUNTS[0])
        print(f"instructions: {name}: {run.instructions[name]:.0f}", flush=True)


def counted(binary: str, name: str, count: int) -> int:
    """Instructions of a whole process."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, name, str(count)]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return int(re.search(r"Collected : (\d+)", words)[1])


def baseline() -> dict[str, float]:
    """What was committed."""
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else {}


def keep(found: dict[str, float]) -> None:
    """Makes these the figures that later ones are compared with."""
    BASELINE.write_text(json.dumps({name: round(value) for name, value in found.items()}, indent=1) + "\n")


def plain_table(found: dict[str, float]) -> str:
    """Markdown: the figures alone."""
    return "\n".join(["| | instructions |", "|---|---|", *(f"| {name} | {value:,.0f} |" for name, value in found.items())])


def table(found: dict[str, float], before: dict[str, float]) -> str:
    """Markdown: now, in the baseline, the change."""
    if not found:
        return ""
    lines = ["\n### Instructions per step\n", "| | now | baseline | |", "|---|---|---|---|"]
    for name, value in found.items():
        old = before.get(name)
        change = (value - old) / old if old else 0.0
        words = f"{change:+.0%}" if abs(change) > NOTABLE else ""
        lines.append(f"| {name} | {value:,.0f} | {old and f'{old:,.0f}' or 'new'} | {words} |")
    return "\n".join(lines) + "\n"
