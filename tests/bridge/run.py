"""Runs all cases in this interpreter: `python run.py`, PROPYLON_EXTENSION names the extension."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import cases_environ  # noqa: E402, F401
import cases_files  # noqa: E402, F401
import cases_frameworks  # noqa: E402, F401
import cases_input  # noqa: E402, F401
import cases_loading  # noqa: E402, F401
import cases_response  # noqa: E402, F401
import probe  # noqa: E402

sys.exit(probe.run())
