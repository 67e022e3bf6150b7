"""Where the commands are: ours and the originals, by role."""

import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Another build can be tested in place: PROPYLON_TEST_BINARY=target/release/propylon.
OURS = os.environ.get("PROPYLON_TEST_BINARY") or str(ROOT / "build" / "bin" / "propylon")


def _original(name, *also):
    beside_python = pathlib.Path(sys.executable).parent / name
    for candidate in (beside_python, *also):
        if os.access(candidate, os.X_OK):
            return str(candidate)
    return shutil.which(name)


UWSGI = _original("uwsgi")
NGINX = _original("nginx", "/usr/sbin/nginx")
WRK = shutil.which("wrk")

# The command that stands in uWSGI's or nginx's place, by maker.
APP_COMMAND = {"ours": [OURS, "app"], "original": [UWSGI]}
FRONT_COMMAND = {"ours": [OURS, "front"], "original": [NGINX]}


def virtualenvs():
    """One virtualenv with Flask and Django per CPython on this machine."""
    listed = os.environ.get("PROPYLON_TEST_VENVS", "").split()
    return listed or [str(pathlib.Path(sys.prefix))]


def virtualenv():
    """The virtualenv that runs the tests; the originals live in it too."""
    return str(pathlib.Path(sys.prefix))
