"""One benchmark run: its folder, its configuration files, its results by table, column and row."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import stacks
from measure import Address, Load, Stack, free_port, measure
from series import Series

UWSGI_PARAMS = """\
uwsgi_param QUERY_STRING $query_string; uwsgi_param REQUEST_METHOD $request_method;
uwsgi_param CONTENT_TYPE $content_type; uwsgi_param CONTENT_LENGTH $content_length;
uwsgi_param REQUEST_URI $request_uri; uwsgi_param PATH_INFO $document_uri;
uwsgi_param DOCUMENT_ROOT $document_root; uwsgi_param SERVER_PROTOCOL $server_protocol;
uwsgi_param REQUEST_SCHEME $scheme; uwsgi_param HTTPS $https if_not_empty;
uwsgi_param REMOTE_ADDR $remote_addr; uwsgi_param REMOTE_PORT $remote_port;
uwsgi_param SERVER_PORT $server_port; uwsgi_param SERVER_NAME $server_name;
"""


class Run:
    """What the parts write into."""

    def __init__(self, folder: pathlib.Path, rounds: int, seconds: int, full: bool = False):
        self.folder, self.rounds, self.seconds, self.full = folder, rounds, seconds, full
        self.results: dict = {}
        self.growth: list[Series] = []
        self.instructions: dict[str, float] = {}
        self.ended_early: list[str] = []

    def cells(self, table: str, column: str, row: str) -> list:
        """The rounds of one cell."""
        return self.results.setdefault(table, {}).setdefault(column, {}).setdefault(row, [])

    def measured(self, place: tuple[str, str, str], commands: list, addresses: list[Address], load: Load) -> None:
        """Starts a stack, measures one round, stops it. A failed request voids the cell."""
        self.watched(place, commands, addresses, lambda stack: measure(stack, load, self.seconds))

    def watched(self, place: tuple[str, str, str], commands: list, addresses: list[Address], how) -> None:
        """Starts a stack, takes a cell by `how(stack)`, stops it."""
        cells, label = self.cells(*place), ": ".join(place)
        stack = self.started(label, commands, addresses)
        if not stack:
            cells.append({"note": "did not start"})
            return
        try:
            cell = how(stack)
        finally:
            stack.stop()
        cells.append(cell)
        if "note" in cell:
            print(f"{label}: {cell['note']}", flush=True)
            return
        cpu, p50, p99 = (cell[key] and round(cell[key], 2) for key in ("cpu_us", "p50", "p99"))
        print(f"{label}: {cpu} us, {cell['per_second']:.0f}/s, p50 {p50} ms, p99 {p99} ms, failed {cell['failed']}", flush=True)

    def started(self, label: str, commands: list, addresses: list[Address]) -> Stack | None:
        """A stack; one that is not there, or does not start, is said and left out."""
        try:
            return Stack(commands, addresses, stacks.HERE)
        except RuntimeError as missing:
            print(f"{label}: {missing}", flush=True)
            return None

    def attempt(self, name: str, what) -> None:
        """Does something of which the rest does not depend: that it ended early is said, here and at the end."""
        try:
            what()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"{name}: ended early: {error}", flush=True)
            self.ended_early.append(name)

    def write(self, name: str, into: pathlib.Path | None = None, **values) -> None:
        """Fills in a file of configs/, for this run's folder or another one."""
        text = (stacks.HERE / "configs" / name).read_text()
        values = {"RUN": self.folder, "HERE": stacks.HERE, **values}
        for key, value in values.items():
            text = text.replace(f"%{key}%", str(value))
        ((into or self.folder) / name).write_text(text)

    def prepare(self, callable: str, port: int, origin: int | None = None, processes: int = 1, logs: bool = False) -> None:
        """Everything the stacks of this run need in its folder; `logs`: access and request logs on."""
        request_log = f"logto = {self.folder}/requests.log" if logs else "disable-logging = true"
        access_log = f"access_log {self.folder}/access.log" if logs else "access_log off"
        origin = origin or free_port()
        self.write("app.ini", CALLABLE=callable, VENV=sys.prefix, PROCESSES=processes, LOG=request_log)
        self.write("nginx.conf", PORT=port, ORIGIN=origin, LOG=access_log)
        self.write("origin.conf", ORIGIN=origin)
        (self.folder / "uwsgi_params").write_text(UWSGI_PARAMS)
        (self.folder / "mime.types").write_text("types { text/html html; }\n")
        html = self.folder / "html" / "static"
        html.mkdir(parents=True, exist_ok=True)
        page = html / "page.html"
        if not page.exists():
            # Once: a file that has just changed is not what is measured.
            page.write_text("<p>fourteen thousand bytes</p>\n" * 452)
