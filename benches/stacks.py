"""What is measured: each stack's commands, honestly configured: keep-alive on, logs off, one worker, where
no table says otherwise."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# Another build can be measured in place: PROPYLON_BENCH_BINARY=target/release/propylon.
OURS = os.environ.get("PROPYLON_BENCH_BINARY") or str(ROOT / "build" / "bin" / "propylon")
BESIDE = pathlib.Path(sys.executable).parent
UWSGI = str(BESIDE / "uwsgi")
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
RELEASE = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
FLOOR = os.environ.get("PROPYLON_FLOOR_BINARY") or str(RELEASE / "floor")

FASTWSGI = "import fastwsgi, apps; fastwsgi.server.init(apps.{callable}, '127.0.0.1', {port}, 0); fastwsgi.server.run()"
BJOERN = "import bjoern, apps; bjoern.run(apps.{callable}, '127.0.0.1', {port})"


def direct(callable: str, port: int) -> dict[str, list[str]]:
    """App servers that speak HTTP themselves: name to command."""
    address = f"127.0.0.1:{port}"
    uwsgi = uwsgi_options(callable, address)
    return {
        "propylon http-socket": [OURS, "app", *uwsgi],
        "uWSGI http11-socket": [UWSGI, *uwsgi],
        "FastWSGI": [sys.executable, "-c", FASTWSGI.format(callable=callable, port=port)],
        "bjoern": [sys.executable, "-c", BJOERN.format(callable=callable, port=port)],
        "granian": [str(BESIDE / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
                    "--workers", "1", "--no-access-log", "--log-level", "error", f"apps:{callable}"],
        "gunicorn gthread": gthread(callable, address, 4),
    }  # fmt: skip


def threaded(callable: str, port: int, threads: int) -> dict[str, list[str]]:
    """App servers with one worker of several threads."""
    address = f"127.0.0.1:{port}"
    uwsgi = [*uwsgi_options(callable, address), "--threads", str(threads)]
    return {
        "propylon http-socket": [OURS, "app", *uwsgi],
        "gunicorn gthread": gthread(callable, address, threads),
    }


def uwsgi_options(callable: str, address: str) -> list[str]:
    """The command line that ours and uWSGI share."""
    return ["--http11-socket", address, "-w", f"apps:{callable}", "-M", "-p", "1", "--disable-logging", "--listen", "1024",
            "--virtualenv", sys.prefix, "--pythonpath", str(HERE)]  # fmt: skip


def gthread(callable: str, address: str, threads: int) -> list[str]:
    """Gunicorn with threads."""
    return [str(BESIDE / "gunicorn"), "-k", "gthread", "--threads", str(threads), "-w", "1", "--keep-alive", "75",
            "-b", address, "--log-level", "error", f"apps:{callable}"]  # fmt: skip


def fronts(run: pathlib.Path) -> dict[str, list[str]]:
    """Fronts with the one nginx.conf: name to command."""
    return {row: one_front(row, run / "nginx.conf") for row in ("propylon front", "nginx")}


def one_front(row: str, conf: pathlib.Path) -> list[str]:
    """The command of one front with a configuration file."""
    options = ["-c", str(conf), "-e", str(conf.with_name("error.log")), "-g", "daemon off;" + user()]
    return [OURS, "front", *options] if row == "propylon front" else [NGINX, *options]


def floor(what: str, port: int, given: pathlib.Path | str) -> list[str]:
    """The system calls alone: `answer` with the bytes of a file, or `proxy` to an address."""
    return [FLOOR, what, f"127.0.0.1:{port}", str(given)]


def apps_behind(run: pathlib.Path) -> dict[str, list[str]]:
    """App servers on the socket that the fronts pass to: name to command."""
    ini = str(run / "app.ini")
    return {"propylon app": [OURS, "app", "--ini", ini], "uWSGI": [UWSGI, "--ini", ini]}


def serve(run: pathlib.Path) -> list[str]:
    """Both halves of ours in one."""
    return [OURS, "serve", "--ini", str(run / "app.ini"), "--site", str(run / "nginx.conf")]


def pairs(run: pathlib.Path) -> dict[str, list[list[str]]]:
    """Whole stacks: ours in one, and every front with every app server."""
    rows = {"propylon serve": [serve(run)]}
    for front, front_command in fronts(run).items():
        for app, app_command in apps_behind(run).items():
            rows[f"{front} + {app}"] = [app_command, front_command]
    return rows


def origin(run: pathlib.Path) -> list[str]:
    """What the fronts fetch from."""
    return [NGINX, "-c", str(run / "origin.conf"), "-e", str(run / "origin.log"), "-g", "daemon off;" + user()]


def user() -> str:
    """Root's fronts stay root, so that every stack may read the same folder."""
    return " user root;" if os.getuid() == 0 else ""
