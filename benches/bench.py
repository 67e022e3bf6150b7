"""`make bench`: the tables of the figures we hold ourselves to, ours beside the peers, in turns, in one run."""

import argparse
import json
import os
import pathlib
import signal
import sys
import tempfile

import instructions
import parts
import publish
import report
import stacks
from growth import growth
from run import Run
from tail import tail

PARTS = {
    "direct": parts.direct, "stack": parts.stack, "front": parts.front, "tail": tail, "growth": growth,
    "instructions": instructions.instructions,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of each measured run")
    parser.add_argument("--full", action="store_true", help="`growth` up to its largest sizes")
    parser.add_argument("--publish", action="store_true", help="write tables and plots into docs/, and the baseline of `instructions`")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(stacks.HERE)
    # Ends as after an interrupt: with everything stopped that was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    with tempfile.TemporaryDirectory(prefix="propylon-bench-") as folder:
        run = Run(pathlib.Path(folder), arguments.rounds, arguments.seconds, arguments.full)
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                run.attempt(name, lambda: part(run))
                # Whatever becomes of the parts to come.
                text = save(run)
    print(text)
    if arguments.publish:
        into_docs(run)
    if run.ended_early:
        sys.exit(f"bench: ended early: {', '.join(run.ended_early)}")


def save(run: Run) -> str:
    """Writes the results beside the build and returns their tables."""
    results = report.summary(run.results)
    text = report.markdown(results) + report.growth(run.growth) + instructions.table(run.instructions, instructions.baseline())
    results["growth"] = {series.name: series.as_json() for series in run.growth}
    results["instructions"] = run.instructions
    output = stacks.ROOT / "build" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(results, indent=1))
    (output / "results.md").write_text(text)
    return text


def into_docs(run: Run) -> None:
    """What was measured replaces what docs/performance.md says of it."""
    docs = stacks.ROOT / "docs"
    for table, figures in report.summary(run.results).items():
        publish.publish(docs, table, report.markdown({table: figures}))
    for series in run.growth:
        publish.publish(docs, series.name, publish.growth(docs, series))
    if run.instructions:
        publish.publish(docs, "instructions", instructions.plain_table(run.instructions))
        instructions.keep(run.instructions)


if __name__ == "__main__":
    main()
