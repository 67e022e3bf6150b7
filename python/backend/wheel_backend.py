"""Builds a wheel with both halves: the extension (by maturin) and the `propylon` executable.

maturin builds one target a wheel; the executable goes in beside it as wheel data, so that
`pip install .` puts `propylon` into the virtualenv's `bin`, as `pip install uwsgi` does.
"""

import json
import pathlib
import shutil
import subprocess

import maturin
from maturin import (  # noqa: F401  (the rest of PEP 517 is maturin's own)
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_wheel,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
    scripts = ROOT / "build" / "wheel" / "propylon.data" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "release" / "propylon", scripts / "propylon")
