"""Fixtures of the interop tests: a machine per test, and the pairs of the guides."""

import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.site import Machine  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    machine = getattr(item, "machine", None)
    if report.when == "call" and report.failed and machine is not None:
        report.sections.append(("logs of the processes", machine.logs()[-20000:]))


@pytest.fixture
def machine(request):
    """Folders and processes of one test; no process outlives it, no alert is left in its log."""
    made = Machine(tempfile.mkdtemp(prefix="propylon-test-"))
    request.node.machine = made
    try:
        yield made
    finally:
        try:
            made.close()
            assert "[alert]" not in made.error_log(), made.error_log()
        finally:
            made.remove()
