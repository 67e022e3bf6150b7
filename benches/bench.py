"""`make bench`: the tables of the figures we hold ourselves to, ours beside the peers, in turns, in one run."""

import argparse
import json
import os
import pathlib
import tempfile

import parts
import report
import stacks
from growth import growth
from run import Run
from tail import tail

PARTS = {"direct": parts.direct, "stack": parts.stack, "front": parts.front, "tail": tail, "growth": growth}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of each measured run")
    parser.add_argument("--full", action="store_true", help="`growth` up to its largest sizes")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(stacks.HERE)
    with tempfile.TemporaryDirectory(prefix="propylon-bench-") as folder:
        run = Run(pathlib.Path(folder), arguments.rounds, arguments.seconds, arguments.full)
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                part(run)
    save(run)


def save(run: Run) -> None:
    """Writes the results beside the build and prints them."""
    results = report.summary(run.results)
    text = report.markdown(results) + report.growth(run.growth)
    results["growth"] = {series.name: series.as_json() for series in run.growth}
    output = stacks.ROOT / "build" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(results, indent=1))
    (output / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
