"""The files for init systems and the firewall, and `pip install .`."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from harness import client, peers
from harness.processes import Process, free_port

PACKAGING = peers.ROOT / "packaging"


@pytest.mark.parametrize("unit", sorted((PACKAGING / "systemd").glob("*.service")), ids=lambda path: path.name)
def test_systemd_has_nothing_to_say_about_the_unit(unit, tmp_path):
    text = unit.read_text()
    for line in text.splitlines():
        # The command is not installed here; everything else stays as it ships.
        if line.startswith("Exec") and "propylon" in line:
            program = line.split("=", 1)[1].split()[0]
            text = text.replace(program, "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_unit_for_serve_is_well_locked_up():
    unit = PACKAGING / "systemd" / "propylon.service"
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    secured = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert secured.returncode == 0, secured.stdout[-500:]


def test_the_firewall_profiles_are_the_three_that_nginx_has():
    import configparser

    profiles = configparser.ConfigParser()
    profiles.read(PACKAGING / "ufw" / "propylon")
    ports = {name: profiles[name]["ports"] for name in profiles.sections()}
    assert ports == {"Propylon HTTP": "80/tcp", "Propylon HTTPS": "443/tcp", "Propylon Full": "80,443/tcp"}
    assert all(profiles[name]["title"] and profiles[name]["description"] for name in profiles.sections())


def test_pip_install_brings_the_command_and_it_serves(machine):
    venv = machine.folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)], check=True)
    site = pathlib.Path(shutil.which("maturin") or pathlib.Path(sys.executable).with_name("maturin"))
    environment = {**os.environ, "PATH": f"{site.parent}:{os.environ['PATH']}", "PYTHONPATH": site_packages()}
    # maturin's environment would make the next ordinary build start over.
    environment["CARGO_TARGET_DIR"] = str(peers.ROOT / "build" / "wheel-target")
    command = [str(venv / "bin" / "pip"), "install", "--quiet", "--no-build-isolation", "--no-deps", str(peers.ROOT)]
    subprocess.run(command, check=True, env=environment, timeout=900)
    installed = venv / "bin" / "propylon"
    assert os.access(installed, os.X_OK)
    machine.write("wsgi.py", "def application(e, s):\n    s('200 OK', [])\n    return [b'installed']\n")
    port = free_port()
    process = Process(
        [str(installed), "app", "--socket", f"127.0.0.1:{port}", "--protocol=http", "-w", "wsgi"],
        machine.log / "installed.log",
        machine.project,
    )
    machine.started.append(process)
    process.ready(port)
    assert client.get(port).text() == "installed"


def site_packages():
    return next(path for path in sys.path if path.endswith("site-packages"))
