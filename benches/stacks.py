"""What is measured: each stack's commands, honestly configured: keep-alive on, logs off, one worker."""

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

FASTWSGI = "import fastwsgi, apps; fastwsgi.server.init(apps.{callable}, '127.0.0.1', {port}, 0); fastwsgi.server.run()"
BJOERN = "import bjoern, apps; bjoern.run(apps.{callable}, '127.0.0.1', {port})"


def direct(callable, port):
    """App servers that speak HTTP themselves: name to command."""
    address = f"127.0.0.1:{port}"
    uwsgi = ["--http11-socket", address, "-w", f"apps:{callable}", "-M", "-p", "1", "--disable-logging", "--listen", "1024",
             "--virtualenv", sys.prefix]
    return {
        "propylon http-socket": [OURS, "app", *uwsgi, "--pythonpath", str(HERE)],
        "uWSGI http11-socket": [UWSGI, *uwsgi, "--pythonpath", str(HERE)],
        "FastWSGI": [sys.executable, "-c", FASTWSGI.format(callable=callable, port=port)],
        "bjoern": [sys.executable, "-c", BJOERN.format(callable=callable, port=port)],
        "granian": [str(BESIDE / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
                    "--workers", "1", "--no-access-log", "--log-level", "error", f"apps:{callable}"],
        "gunicorn gthread": [str(BESIDE / "gunicorn"), "-k", "gthread", "--threads", "4", "-w", "1", "--keep-alive", "75",
                             "-b", address, "--log-level", "error", f"apps:{callable}"],
    }  # fmt: skip


def fronts(run):
    """Fronts with the one nginx.conf: name to command."""
    conf = ["-c", str(run / "nginx.conf"), "-e", str(run / "error.log"), "-g", "daemon off;" + user()]
    return {"propylon front": [OURS, "front", *conf], "nginx": [NGINX, *conf]}


def apps_behind(run):
    """App servers on the socket that the fronts pass to: name to command."""
    ini = str(run / "app.ini")
    return {"propylon app": [OURS, "app", "--ini", ini], "uWSGI": [UWSGI, "--ini", ini]}


def serve(run):
    """Both halves of ours in one."""
    return [OURS, "serve", "--ini", str(run / "app.ini"), "--site", str(run / "nginx.conf")]


def user():
    """Root's fronts stay root, so that every stack may read the same folder."""
    return " user root;" if os.getuid() == 0 else ""
