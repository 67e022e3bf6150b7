"""PEP 3333 at the bridge itself, on every CPython: each case is a sentence in cases_*.py."""

import os
import pathlib
import subprocess

import pytest
from harness import peers

RUN = pathlib.Path(__file__).with_name("run.py")
BUILT = peers.ROOT / "build" / "lib" / "propylon" / "_pyhost.abi3.so"


@pytest.mark.parametrize("venv", peers.virtualenvs(), ids=lambda path: pathlib.Path(path).name)
def test_the_bridge_holds_every_rule(venv):
    extension = os.environ.get("PROPYLON_EXTENSION", str(BUILT))
    done = subprocess.run(
        [f"{venv}/bin/python", str(RUN)],
        env={**os.environ, "PROPYLON_EXTENSION": extension},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-10000:] + done.stderr[-5000:]
    assert "0 failed" in done.stdout
