"""A machine's worth of folders for one test: project, nginx's /etc tree, logs, accounts."""

import functools
import grp
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys

from . import peers
from .processes import Process, free_port

# Debian's nginx.conf as people have it, with every path inside the test's own folder.
NGINX_CONF = """\
{user}
worker_processes auto;
pid {run}/nginx.pid;
error_log {log}/error.log;

events {{
	worker_connections 768;
	# multi_accept on;
}}

http {{
	##
	# Basic Settings
	##
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	# server_tokens off;

	include {etc}/mime.types;
	default_type application/octet-stream;

	client_body_temp_path {lib}/body;
	proxy_temp_path {lib}/proxy;
	fastcgi_temp_path {lib}/fastcgi;
	uwsgi_temp_path {lib}/uwsgi;
	scgi_temp_path {lib}/scgi;

	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers on;

	access_log {log}/access.log;

	gzip on;

	include {etc}/conf.d/*.conf;
	include {etc}/sites-enabled/*;
}}
"""

MIME_TYPES = """\
types {
    text/html                             html htm shtml;
    text/css                              css;
    text/plain                            txt;
    application/javascript                js;
    application/json                      json;
    image/png                             png;
    image/svg+xml                         svg svgz;
}
"""

UWSGI_PARAMS = """\
uwsgi_param  QUERY_STRING       $query_string;
uwsgi_param  REQUEST_METHOD     $request_method;
uwsgi_param  CONTENT_TYPE       $content_type;
uwsgi_param  CONTENT_LENGTH     $content_length;

uwsgi_param  REQUEST_URI        $request_uri;
uwsgi_param  PATH_INFO          $document_uri;
uwsgi_param  DOCUMENT_ROOT      $document_root;
uwsgi_param  SERVER_PROTOCOL    $server_protocol;
uwsgi_param  REQUEST_SCHEME     $scheme;
uwsgi_param  HTTPS              $https if_not_empty;

uwsgi_param  REMOTE_ADDR        $remote_addr;
uwsgi_param  REMOTE_PORT        $remote_port;
uwsgi_param  SERVER_PORT        $server_port;
uwsgi_param  SERVER_NAME        $server_name;
"""


@functools.cache
def _accounts():
    """The guide's accounts when root runs the tests: the app as one user of the web's group.

    Nobody changes accounts when that user could not reach the interpreter or our commands (a
    checkout below a private home directory).
    """
    if os.getuid() != 0:
        return None, None
    try:
        account = {"user": pwd.getpwnam("nobody").pw_uid, "group": grp.getgrnam("www-data").gr_gid}
    except KeyError:
        return None, None
    for command in ([sys.executable, "-c", "0"], [peers.OURS, "--version"]):
        try:
            subprocess.run(command, check=True, capture_output=True, cwd="/", extra_groups=[], **account)
        except (OSError, subprocess.CalledProcessError):
            return None, None
    return account["user"], account["group"]


class Machine:
    """Folders and processes of one test; everything started is stopped at the end."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)
        self.project = self.folder / "project"
        self.etc = self.folder / "etc"
        self.log = self.folder / "log"
        self.run = self.folder / "run"
        self.lib = self.folder / "lib"
        self.uid, self.gid = _accounts()
        for path in (self.project, self.etc, self.log, self.run, self.lib):
            path.mkdir()
            self.own(path)
        for path in ("sites-available", "sites-enabled", "conf.d"):
            (self.etc / path).mkdir()
        (self.etc / "mime.types").write_text(MIME_TYPES)
        (self.etc / "uwsgi_params").write_text(UWSGI_PARAMS)
        as_root = "user root;" if os.getuid() == 0 else ""
        user = as_root if self.uid is None else "user www-data;"
        self.nginx_conf = self.etc / "nginx.conf"
        self.nginx_conf.write_text(
            NGINX_CONF.format(user=user, run=self.run, log=self.log, etc=self.etc, lib=self.lib)
        )
        self.started = []

    def own(self, path):
        """Gives a file to the account that runs the app."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid)

    def write(self, name, text):
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.own(path)
        return path

    def environment(self, **more):
        """The activated virtualenv's environment, plus what is given."""
        venv = peers.virtualenv()
        env = {key: value for key, value in os.environ.items() if not key.startswith("UWSGI_")}
        env.update(VIRTUAL_ENV=venv, PATH=f"{venv}/bin:{os.environ['PATH']}")
        # The order of a set must not differ between two stacks that are compared.
        env.update(PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0")
        env.update(more)
        return env

    def start(self, command, name=None, cwd=None, as_app=False, env=None):
        """Starts a command; `as_app` under the app's account."""
        account = None
        if as_app and self.uid is not None:
            account = {"user": self.uid, "group": self.gid, "extra_groups": []}
        log = self.log / f"{name or 'process'}-{len(self.started)}.log"
        log.touch()
        process = Process(command, log, cwd or self.project, env or self.environment(), account)
        self.started.append(process)
        return process

    def app(self, maker, *arguments, env=None):
        """uWSGI's place, in the project's folder, under the app's account."""
        command = [*peers.APP_COMMAND[maker], *map(str, arguments)]
        process = self.start(command, name="app", as_app=True, env=env)
        if maker == "original":
            process.end_signal = signal.SIGINT
        return process

    def front(self, maker, *arguments):
        """nginx's place, in the foreground, with this machine's nginx.conf."""
        return self.start(
            [*self.front_command(maker), "-g", "daemon off;", *map(str, arguments)], name="front", cwd="/"
        )

    def serve(self, ini, site=None):
        """Both halves in one: an ini of the project and this machine's nginx.conf (or a site)."""
        command = [peers.OURS, "serve", "--ini", str(ini), "--site", str(site or self.nginx_conf)]
        return self.start(command, name="serve")

    def front_command(self, maker):
        return [*peers.FRONT_COMMAND[maker], "-c", str(self.nginx_conf), "-e", str(self.log / "error.log")]

    def front_says(self, maker, *arguments):
        """Runs a short nginx command (`-t`, `-T`, `-s reload`); returns code, stdout, stderr."""
        result = subprocess.run(
            [*self.front_command(maker), *arguments], capture_output=True, text=True, timeout=60
        )
        return result.returncode, result.stdout, result.stderr

    def site(self, name, text):
        """A file in sites-available, enabled by a symbolic link, as in the guides."""
        path = self.etc / "sites-available" / name
        path.write_text(text)
        link = self.etc / "sites-enabled" / name
        if not link.is_symlink():
            link.symlink_to(f"../sites-available/{name}")
        return path

    def error_log(self):
        path = self.log / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self):
        """Every log, for the report of a failed test."""
        parts = [f"--- {path.name}\n{path.read_text(errors='replace')}" for path in sorted(self.log.glob("*"))]
        return "\n".join(parts)

    def close(self):
        failures = []
        for process in reversed(self.started):
            try:
                process.stop()
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, "\n".join(failures)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["Machine", "free_port"]
