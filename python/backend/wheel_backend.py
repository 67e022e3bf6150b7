"""Builds a wheel with both halves: the extension (by maturin) and the `propylon` executable.

maturin builds one target a wheel; the executable goes in beside it as wheel data, so that
`pip install .` puts `propylon` into the virtualenv's `bin`, as `pip install uwsgi` does.
"""

import json
import pathlib
import shutil
import subprocess

import maturin
from maturin import build_sdist, get_requires_for_build_sdist, get_requires_for_build_wheel  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
# As named in pyproject.toml; maturin wants it to exist for whatever it is asked.
SCRIPTS = ROOT / "build" / "wheel" / "propylon.data" / "scripts"


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    _build_executable()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def _build_executable():
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--package", "propylon"], cwd=ROOT, check=True
    )
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    target = pathlib.Path(json.loads(metadata.stdout)["target_directory"])
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "release" / "propylon", SCRIPTS / "propylon")
