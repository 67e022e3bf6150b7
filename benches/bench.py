"""`make bench`: the tables of the figures we hold ourselves to, ours beside the peers, in turns, in one run."""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

import stacks
from measure import Stack, free_port, measure

CALLABLES = {"raw WSGI": "raw", "Flask hello": "flask"}
FRONT_PATHS = {"cache hit, 11 bytes": "/cached", "static file, 14 KB": "/static/page.html",
               "reverse proxy, keep-alive": "/proxy", "return 200": "/return"}  # fmt: skip
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
    """One benchmark run: its folder, its rounds, its results by table, row and column."""

    def __init__(self, folder, rounds, seconds):
        self.folder, self.rounds, self.seconds = folder, rounds, seconds
        self.results = {}

    def measured(self, table, row, column, commands, addresses, url):
        """Starts a stack, measures one round, stops it. A failed request voids the cell."""
        cells = self.results.setdefault(table, {}).setdefault(column, {}).setdefault(row, [])
        try:
            stack = Stack(commands, addresses, stacks.HERE)
        except (RuntimeError, FileNotFoundError) as missing:
            print(f"{table}: {row}, {column}: {missing}")
            return
        try:
            cell = measure(stack, url, self.seconds)
        finally:
            stack.stop()
        cells.append(cell)
        cpu = cell["cpu_us"]
        print(f"{table}: {column}: {row}: {cpu and round(cpu, 1)} us, {cell['per_second']:.0f}/s, failed {cell['failed']}", flush=True)

    def write(self, name, **values):
        text = (stacks.HERE / "configs" / name).read_text()
        values.update(RUN=str(self.folder), HERE=str(stacks.HERE))
        for key, value in values.items():
            text = text.replace(f"%{key}%", str(value))
        (self.folder / name).write_text(text)

    def prepare(self, callable, port, origin):
        self.write("app.ini", CALLABLE=callable, VENV=sys.prefix)
        self.write("nginx.conf", PORT=port, ORIGIN=origin)
        self.write("origin.conf", ORIGIN=origin)
        (self.folder / "uwsgi_params").write_text(UWSGI_PARAMS)
        (self.folder / "mime.types").write_text("types { text/html html; }\n")
        html = self.folder / "html" / "static"
        html.mkdir(parents=True, exist_ok=True)
        (html / "page.html").write_text("<p>fourteen thousand bytes</p>\n" * 452)


def direct(run):
    """App servers, direct HTTP."""
    for _ in range(run.rounds):
        for column, callable in CALLABLES.items():
            port = free_port()
            for row, command in stacks.direct(callable, port).items():
                run.measured("direct", row, column, [command], [("127.0.0.1", port)], f"http://127.0.0.1:{port}/")


def stack(run):
    """The whole stack, and the mixed pairs."""
    for _ in range(run.rounds):
        for column, callable in CALLABLES.items():
            port = free_port()
            run.prepare(callable, port, free_port())
            socket = str(run.folder / "app.sock")
            addresses = [socket, ("127.0.0.1", port)]
            rows = {"propylon serve": [stacks.serve(run.folder)]}
            for front, front_command in stacks.fronts(run.folder).items():
                for app, app_command in stacks.apps_behind(run.folder).items():
                    rows[f"{front} + {app}"] = [app_command, front_command]
            for row, commands in rows.items():
                run.measured("stack", row, column, commands, addresses, f"http://127.0.0.1:{port}/")


def front(run):
    """The web server alone; what it fetches from is not counted."""
    port, origin_port = free_port(), free_port()
    run.prepare("raw", port, origin_port)
    conf = ["-c", str(run.folder / "origin.conf"), "-e", str(run.folder / "origin.log"), "-g", "daemon off;" + stacks.user()]
    origin = Stack([[stacks.NGINX, *conf]], [("127.0.0.1", origin_port)], stacks.HERE)
    try:
        for _ in range(run.rounds):
            for row, command in stacks.fronts(run.folder).items():
                for column, path in FRONT_PATHS.items():
                    address = ("127.0.0.1", port)
                    run.measured("front", row, column, [command], [address], f"http://127.0.0.1:{port}{path}")
    finally:
        origin.stop()


PARTS = {"direct": direct, "stack": stack, "front": front}


def summary(results):
    """Medians over the rounds, and ours divided by the best peer."""
    for columns in results.values():
        for rows in columns.values():
            for row, cells in rows.items():
                good = [cell for cell in cells if cell["cpu_us"]]
                rows[row] = {
                    "failed": sum(cell["failed"] for cell in cells),
                    **{
                        key: statistics.median(cell[key] for cell in good) if good else None
                        for key in ("cpu_us", "per_second", "p50", "p99", "pss_mb")
                    },
                }
    return results


def markdown(results):
    lines = []
    for table, columns in results.items():
        for column, rows in columns.items():
            sound = {row: cell["cpu_us"] for row, cell in rows.items() if cell["cpu_us"] and not cell["failed"]}
            peers = [cpu for row, cpu in sound.items() if "propylon" not in row]
            best = min(peers) if peers else None
            lines += [f"\n### {table}: {column}\n", "| | CPU us/request | / best peer | req/s | p50 ms | p99 ms | PSS MB |",
                      "|---|---|---|---|---|---|---|"]  # fmt: skip
            for row, cell in sorted(rows.items(), key=lambda item: item[1]["cpu_us"] or 1e9):
                if cell["failed"] or not cell["cpu_us"]:
                    lines.append(f"| {row} | void: {cell['failed']} failed | | | | | |")
                    continue
                ratio = f"{cell['cpu_us'] / best:.2f}" if best else ""
                lines.append(
                    f"| {row} | {cell['cpu_us']:.1f} | {ratio} | {cell['per_second']:.0f} "
                    f"| {cell['p50'] or 0:.2f} | {cell['p99'] or 0:.2f} | {cell['pss_mb']:.0f} |"
                )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of each measured run")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(stacks.HERE)
    with tempfile.TemporaryDirectory(prefix="propylon-bench-") as folder:
        run = Run(pathlib.Path(folder), arguments.rounds, arguments.seconds)
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                part(run)
    results = summary(run.results)
    output = stacks.ROOT / "build" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(results, indent=1))
    (output / "results.md").write_text(markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
